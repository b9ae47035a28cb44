//! Every file of `tests/data/interchange` against its right reading, field by field; and files on which readers were wrong.
use super::*;
use crate::{Columns, How, Opened, SourceOptions, Strictness, collect, open_with_options};
use baseload_core::types::{Classes, ColumnMap, LeftOut, NO_SESSION, Status};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Files of `expected.json` that are no traces: readers of configurations and writers of outputs have them.
const NO_TRACES: [&str; 11] = [
    "epp_default.yaml",
    "epp_pd.yaml",
    "epp_pd_old.yaml",
    "epp_old_gie.yaml",
    "litellm_config.yaml",
    "vllm_deployment.yaml",
    "vllm_commands.txt",
    "junit.xml",
    "annotations.txt",
    "pr_comment.md",
    "action.yml",
];

/// What is not asserted of a trace, and why.
const NOT_ASSERTED: [(&str, &str); 7] = [
    ("format", "free wording"),
    ("notes", "free wording"),
    ("cache_write_tokens", "an entry has no such field: they are within the prompt's tokens, which are asserted"),
    ("reasoning_tokens", "an entry has no such field: they are within the output's tokens, which are asserted"),
    ("summary", "figures of an aggregate, which is refused as a trace"),
    ("first", "figures of an aggregate, which is refused as a trace"),
    ("second_left_out", "figures of an aggregate, which is refused as a trace"),
];

/// The format that each file is recognised as; those without one are refused.
const FORMATS: [(&str, &str); 38] = [
    ("litellm_dump.jsonl", "litellm"),
    ("litellm_dump.csv", "litellm"),
    ("litellm_array.json", "litellm"),
    ("litellm_v2.json", "litellm"),
    ("litellm_daily.json", ""),
    ("openrouter.csv", "openrouter"),
    ("helicone.jsonl", "helicone"),
    ("langfuse_v2.jsonl", "langfuse"),
    ("portkey.jsonl", "portkey"),
    ("envoy_access.jsonl", "envoy-ai-gateway"),
    ("cloudflare_api.json", "cloudflare-ai-gateway"),
    ("otlp_genai.json", "otlp"),
    ("otlp_openinference.jsonl", "otlp"),
    ("otlp_vllm.json", "otlp"),
    ("otlp_sglang.json", "otlp"),
    ("otel_flat_spans.json", "otlp"),
    ("vllm_bench_detailed.json", "vllm-bench-serve"),
    ("vllm_bench_2025.json", "vllm-bench-serve"),
    ("vllm_bench_plain.json", ""),
    ("vllm_bench_append.json", "vllm-bench-serve"),
    ("sglang_bench.jsonl", "sglang-bench-serving"),
    ("aiperf_records.jsonl", "aiperf"),
    ("aiperf_summary.json", ""),
    ("guidellm_v2.json", "guidellm"),
    ("inference_perf_per_request.json", "inference-perf"),
    ("inference_perf_summary.json", ""),
    ("benchmark_report_v021.json", ""),
    ("benchmark_report_v021.yaml", ""),
    ("inferencex_rows.json", ""),
    ("mooncake_sessions.jsonl", "mooncake-sessions"),
    ("mooncake_block64.jsonl", "mooncake"),
    ("weka_trace.json", "claude-sessions"),
    ("tracelab.jsonl", "tracelab"),
    ("dag.jsonl", "aiperf-dag"),
    ("sharegpt_lines.jsonl", "sharegpt"),
    ("messages.jsonl", "chat-messages"),
    ("lmsys.jsonl", "lmsys"),
    ("sagemaker.jsonl", "sagemaker-capture"),
];
const TABLES: [(&str, &str); 3] =
    [("azure2024.csv", "azure"), ("azure2025.csv", "azure-multimodal"), ("burstgpt3.csv", "burstgpt")];

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(folder)
}

fn opened(path: &Path, columns: Option<Columns<'_>>, options: &SourceOptions) -> Result<Opened, TraceFault> {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let how = How { columns, ..How::by_content(Classes::any()) };
    open_with_options(Box::new(Cursor::new(text)), "t", &how, options)
}

/// A trace as it is read.
struct Read {
    format: &'static str,
    clock: Clock,
    entries: Vec<Entry>,
    account: Account,
    notes: Vec<String>,
}

fn read(path: &Path, columns: Option<Columns<'_>>, options: &SourceOptions) -> Result<Read, TraceFault> {
    let Opened { format, mut entries } = opened(path, columns, options)?;
    let all = collect(&mut *entries)?;
    let (account, notes) = (entries.account(), entries.notes());
    Ok(Read { format: format.name, clock: entries.clock(), entries: all, account, notes })
}

fn known(name: &str) -> Read {
    read(&data("traces").join(name), None, &SourceOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn seconds(all: impl Iterator<Item = u64>) -> Vec<f64> {
    let mut all: Vec<f64> = all.map(|ns| ns as f64 / 1e9).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Numbers of a list, or of an object's values, in order.
fn numbers(value: &Value) -> Vec<f64> {
    let all: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(object) => object.values().collect(),
        _ => Vec::new(),
    };
    let mut all: Vec<f64> = all.into_iter().filter_map(Value::as_f64).collect();
    all.sort_by(f64::total_cmp);
    all
}

impl Read {
    fn session(&self, entry: &Entry) -> Option<&str> {
        let named = (entry.session != NO_SESSION).then(|| self.account.sessions.get(entry.session as usize));
        named.flatten().map(String::as_str)
    }

    fn sum(&self, of: impl Fn(&Entry) -> u64) -> Value {
        json!(self.entries.iter().map(of).sum::<u64>())
    }

    /// Its value for a field of `expected.json`; `want` says the form. `None` for a field that nobody has heard of.
    fn value(&self, field: &str, want: &Value) -> Option<Value> {
        let measured = |of: fn(&Entry) -> Option<u64>| seconds(self.entries.iter().filter_map(of));
        Some(match field {
            "rows" | "spans" => json!(self.account.rows),
            "requests" => json!(self.entries.len()),
            "failed" => self.sum(|e| u64::from(e.measured.status == Status::Failed)),
            "prompt_tokens" => self.sum(|e| e.prompt_tokens.into()),
            // An answer without tokens is replayed as one.
            "output_tokens" => self.sum(|e| match (e.output_tokens, e.measured.status) {
                (0, Status::Completed) => 1,
                (n, _) => n.into(),
            }),
            "cached_tokens" if self.entries.iter().all(|e| e.measured.cached_tokens.is_none()) => Value::Null,
            "cached_tokens" => self.sum(|e| e.measured.cached_tokens.unwrap_or(0).into()),
            "ttft_s" => json!(measured(|e| e.measured.ttft_ns)),
            "ttft_count" => json!(measured(|e| e.measured.ttft_ns).len()),
            "e2e_s" => {
                // Failed requests' times are no times of an answer.
                let answered =
                    self.entries.iter().filter(|e| want.is_object() || e.measured.status == Status::Completed);
                json!(seconds(answered.filter_map(|e| e.measured.e2e_ns)))
            }
            "arrivals_s" if self.clock == Clock::None => Value::Null,
            "arrivals_s" | "open_arrivals_s" => {
                let first = self.entries.iter().map(|e| e.at_ns).min().unwrap_or(0);
                let timed = self.entries.iter().filter(|e| field == "arrivals_s" || e.think_ns.is_none());
                json!(seconds(timed.map(|e| (e.at_ns - first) as u64)))
            }
            "think_s" => json!(self.entries.iter().map(|e| e.think_ns.map(|ns| ns as f64 / 1e9)).collect::<Vec<_>>()),
            "closed_turns" => {
                let mut turns = BTreeMap::<&str, Vec<f64>>::new();
                for entry in &self.entries {
                    if let (Some(session), Some(ns)) = (self.session(entry), entry.think_ns) {
                        turns.entry(session).or_default().push(ns as f64 / 1e9);
                    }
                }
                json!(turns)
            }
            "sessions" => {
                let mut names: Vec<&str> = self.entries.iter().filter_map(|e| self.session(e)).collect();
                names.sort_unstable();
                names.dedup();
                json!(names)
            }
            "tenants" => {
                let mut tenants = BTreeMap::<&str, u64>::new();
                for entry in &self.entries {
                    let name = (entry.tenant as usize).checked_sub(1).map(|i| self.account.tenants[i].as_str());
                    *tenants.entry(name.unwrap_or("(none)")).or_default() += 1;
                }
                json!(tenants)
            }
            "models" => {
                json!(self.account.models.iter().map(|m| (&m.model, m.requests)).collect::<BTreeMap<_, _>>())
            }
            "model" => json!(self.account.models.first().map(|m| &m.model)),
            "left_out" => {
                let mut counts: Vec<u64> = self.account.left_out.iter().map(|l| l.count).collect();
                counts.sort_unstable();
                json!(counts)
            }
            "unknown_fields" => {
                json!(self.account.unknown_fields.iter().map(|f| (&f.name, f.count)).collect::<BTreeMap<_, _>>())
            }
            "images" => self.sum(|e| e.measured.images.into()),
            "block_tokens" => {
                let runs = self.entries.iter().flat_map(|e| &e.content);
                let block = runs.map(|run| run.len).max().unwrap_or(0);
                json!(if self.format == "claude-sessions" { 64 } else { block })
            }
            _ => return None,
        })
    }
}

/// What is expected, in the form in which it is compared.
fn wanted(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("ttft_s" | "e2e_s" | "arrivals_s" | "open_arrivals_s", Value::Array(_) | Value::Object(_)) => {
            json!(numbers(value))
        }
        ("left_out", Value::Object(reasons)) => {
            let mut counts: Vec<u64> = reasons.values().filter_map(Value::as_u64).collect();
            counts.sort_unstable();
            json!(counts)
        }
        ("sessions", Value::Array(names)) => {
            let mut names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            names.sort_unstable();
            json!(names)
        }
        _ => value.clone(),
    }
}

fn compare(file: &str, read: &Read, want: &Map<String, Value>, wrong: &mut Vec<String>) {
    for (field, value) in want {
        if NOT_ASSERTED.iter().any(|n| n.0 == field) || matches!(field.as_str(), "runs" | "every_turn") {
            continue;
        }
        let want = wanted(field, value);
        match read.value(field, value) {
            None => wrong.push(format!("{file}: nobody asserts {field}")),
            Some(got) if got != want => {
                wrong.push(format!("{file}: {field} is {got}, must be {want}; left out {:?}", read.account.left_out));
            }
            Some(_) => {}
        }
    }
}

#[test]
fn every_example_is_read_as_it_must_be() {
    let text = std::fs::read_to_string(data("interchange").join("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let files = all["files"].as_object().unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, want) in files.iter().filter(|(file, _)| !NO_TRACES.contains(&file.as_str())) {
        seen += 1;
        let want = want.as_object().unwrap();
        let format = FORMATS.iter().chain(&TABLES).find(|f| f.0 == file).map(|f| f.1);
        let path = data("interchange").join(file);
        let made = read(&path, None, &SourceOptions::default());
        match (format, made) {
            (None, _) => wrong.push(format!("{file}: nobody says what it must be recognised as")),
            (Some(""), Ok(_)) => wrong.push(format!("{file}: an aggregate was read as a trace")),
            (Some(""), Err(fault)) => {
                let named = fault.to_string().contains("aggregate") && fault.hint.is_some();
                let refused = want.contains_key("refused") || want.get("requests") == Some(&json!(0));
                if !named || !refused {
                    wrong.push(format!("{file}: {fault}"));
                }
            }
            (Some(_), Err(fault)) => wrong.push(format!("{file}: {fault}")),
            (Some(format), Ok(read)) => {
                if read.format != format {
                    wrong.push(format!("{file}: read as {}, must be {format}", read.format));
                }
                compare(file, &read, want, &mut wrong);
                if let Some(Value::Array(runs)) = want.get("runs") {
                    let mut last = runs.last().and_then(Value::as_object).cloned().unwrap_or_default();
                    last.remove("summary");
                    compare(file, &read, &last, &mut wrong);
                }
                if let Some(Value::Object(turns)) = want.get("every_turn") {
                    let options = SourceOptions { every_turn: true, ..SourceOptions::default() };
                    let read = super::interchange_tests::read(&path, None, &options).unwrap();
                    compare(&format!("{file}, every turn"), &read, turns, &mut wrong);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((seen, seen + NO_TRACES.len()), (FORMATS.len() + TABLES.len(), files.len()));
}

/// Prompt and output tokens of all requests.
fn tokens(read: &Read) -> Vec<(u32, u32)> {
    read.entries.iter().map(|e| (e.prompt_tokens, e.output_tokens)).collect()
}

fn left_out(read: &Read) -> Vec<(&str, u64)> {
    read.account.left_out.iter().map(|l| (l.reason.as_str(), l.count)).collect()
}

#[test]
fn known_formats_refuse_no_file_for_what_they_do_not_know() {
    for file in ["litellm_new_columns.csv", "litellm_new_columns.jsonl"] {
        assert_eq!((known(file).format, tokens(&known(file))), ("litellm", vec![(100, 20)]), "{file}");
    }
    for file in ["litellm_api_list.json", "litellm_api_page.json"] {
        let read = known(file);
        assert_eq!((read.format, read.entries.len()), ("litellm", 1), "{file}");
        assert_eq!(left_out(&read), [("failed without tokens", 1)], "{file}");
    }
}

#[test]
fn a_call_is_one_request_whoever_saw_it() {
    let twice = known("otlp_call_within_call.json");
    assert_eq!((tokens(&twice), left_out(&twice)), (vec![(400, 200)], vec![("same call seen twice (nested)", 1)]));
    let engine = known("otlp_vllm_lines.jsonl");
    assert_eq!(tokens(&engine), [(1024, 200), (300, 64)]);
    let ttft: Vec<_> = engine.entries.iter().map(|e| e.measured.ttft_ns).collect();
    assert_eq!(ttft, [Some(210_000_000), Some(90_000_000)]);
}

#[test]
fn load_tests_of_last_year_are_read() {
    let old = known("vllm_bench_without_starts.json");
    assert_eq!((old.clock, tokens(&old)), (Clock::None, vec![(100, 40), (200, 50), (300, 60)]));
    assert!(old.notes.iter().any(|n| n.contains("a closed loop of 2 users")), "{:?}", old.notes);
    let fault = read(&data("traces").join("guidellm_indented.json"), None, &SourceOptions::default()).err().unwrap();
    assert!(fault.to_string().contains("GuideLLM report"), "{fault}");
}

#[test]
fn maps_take_dotted_names_and_leave_out_rows_without_tokens() {
    let mapped = |file: &str, map_name: &str| {
        let map = ColumnMap::parse(&std::fs::read_to_string(data("traces").join(map_name)).unwrap(), map_name).unwrap();
        read(&data("traces").join(file), Some((&map, map_name)), &SourceOptions::default()).unwrap()
    };
    let aiperf = mapped("aiperf_by_map.jsonl", "aiperf_map.toml");
    assert_eq!(tokens(&aiperf), [(550, 9), (900, 64)]);
    assert_eq!(aiperf.entries[1].at_ns - aiperf.entries[0].at_ns, 1_000_000_000);
    assert_eq!(known("aiperf_by_map.jsonl").format, "aiperf", "without a map it is its own format");
    let rows = mapped("row_without_tokens.jsonl", "row_without_tokens_map.toml");
    assert_eq!((tokens(&rows), left_out(&rows)), (vec![(100, 20), (90, 10)], vec![("no prompt tokens", 1)]));
    assert!(rows.notes[0].starts_with("left out 1 of 3: 1 no prompt tokens (first on line 2)"), "{:?}", rows.notes);
}

#[test]
fn sessions_with_delays_and_chats_are_read() {
    let delays = known("mooncake_delays.jsonl");
    let got: Vec<_> = delays.entries.iter().map(|e| (e.session, e.think_ns)).collect();
    assert_eq!(got, [(0, None), (0, Some(1_200_000_000)), (1, None)]);
    for (file, format, conversations) in [
        ("chat_sharegpt_lines.jsonl", "sharegpt", 2),
        ("chat_lmsys.jsonl", "lmsys", 1),
        ("chat_messages.jsonl", "chat-messages", 1),
        ("chat_tools.json", "sharegpt", 2),
    ] {
        assert_eq!((known(file).format, known(file).entries.len()), (format, conversations), "{file}");
    }
}

#[test]
fn one_bad_row_ends_no_file_and_strict_refuses_it() {
    // Of each kind of reader: a row that is torn among good ones, and the line that it stands on.
    let own = "{\"arrival_s\":1,\"prompt_tokens\":3,\"output_tokens\":5}\n";
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let kinds = [
        (format!("{own}{{\"arrival_s\":\n{own}"), 2),
        (format!("{azure}2024-05-12 00:00:00,5,5\n2024-05-12 00:00:01,5\n2024-05-12 00:00:02,5,5\n"), 3),
        ("request_id,startTime,prompt_tokens\na,2026-06-01 08:00:00,1\nb,never,1\nc,2026-06-01 08:00:01,1\n".into(), 3),
        ("[{\"request_id\":\"a\",\"startTime\":\"2026-06-01T08:00:00Z\",\"prompt_tokens\":1},\n{\"request_id\":\"b\",\"startTime\":\"2026-06-01T08:00:00Z\",\"prompt_tokens\":-1},{\"request_id\":\"c\",\"startTime\":\"2026-06-01T08:00:00Z\",\"prompt_tokens\":1}]".into(), 2),
        ("{\"id\":\"a\",\"block_size\":64,\"hash_id_scope\":\"local\",\"requests\":[{\"t\":0,\"type\":\"n\",\"in\":9,\"out\":1}]}\n{\"id\":\"b\"}\n{\"id\":\"c\",\"block_size\":64,\"hash_id_scope\":\"local\",\"requests\":[{\"t\":0,\"type\":\"n\",\"in\":9,\"out\":1}]}\n".into(), 2),
    ];
    for (text, line) in kinds {
        let made = |strictness| {
            let how = How { strictness, ..How::by_content(Classes::any()) };
            let mut opened = crate::open_with(Box::new(Cursor::new(text.clone().into_bytes())), "t", &how)?;
            let all = collect(&mut *opened.entries)?;
            Ok::<_, TraceFault>((all.len(), opened.entries.account()))
        };
        let (requests, account) = made(Strictness::LeaveOut).unwrap_or_else(|e| panic!("{text}: {e}"));
        let [LeftOut { reason, count: 1, first_line, first: Some(_) }] = account.left_out.as_slice() else {
            panic!("{text}: {account:?}");
        };
        assert_eq!((requests, reason.as_str(), *first_line, account.rows), (2, "not readable", line, 3), "{text}");
        for strictness in [Strictness::Refuse, Strictness::Faults] {
            let fault = made(strictness).unwrap_err().to_string();
            assert!(fault.starts_with(&format!("t:{line}: ")), "{text}: {fault}");
        }
    }
    // What is no call is left out without being a fault, unless nothing may be.
    let log =
        "request_id,startTime,prompt_tokens,call_type\na,2026-06-01 08:00:00,1,\nb,2026-06-01 08:00:01,1,aembedding\n";
    let made = |strictness| {
        let how = How { strictness, ..How::by_content(Classes::any()) };
        let mut opened = crate::open_with(Box::new(Cursor::new(log.as_bytes())), "t", &how)?;
        collect(&mut *opened.entries).map(|all| all.len())
    };
    assert_eq!((made(Strictness::LeaveOut), made(Strictness::Faults)), (Ok(1), Ok(1)));
    let fault = made(Strictness::Refuse).unwrap_err().to_string();
    assert!(fault.starts_with("t:3: it would be left out: not a generation: aembedding; "), "{fault}");
}

#[test]
fn json_is_read_whichever_way_it_stands() {
    let row = |id: &str| {
        format!("{{\"request_id\":\"{id}\",\"startTime\":\"2026-06-01T08:00:00Z\",\"prompt_tokens\":9,\"spend\":NaN}}")
    };
    let rows = [row("a"), row("b")];
    for text in [
        rows.join("\n"),
        rows.concat(),
        rows.join("\n\n  "),
        format!("[{}]", rows.join(",\n")),
        format!("\u{feff}{{\"total\": 2, \"data\": [{}], \"page\": 1}}", rows.join(",")),
        rows.join("\n").replace(",\"", ",\n\""),
    ] {
        let mut opened = crate::open(Box::new(Cursor::new(text.clone().into_bytes())), "t", &[])
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(collect(&mut *opened.entries).map(|all| all.len()), Ok(2), "{text}");
        assert_eq!(opened.format.name, "litellm");
    }
}

#[test]
fn a_file_that_is_cut_is_a_part_of_its_requests_or_a_message_with_its_line() {
    for (file, format) in FORMATS.iter().chain(&TABLES).filter(|f| !f.1.is_empty()) {
        let text = std::fs::read(data("interchange").join(file)).unwrap();
        let format = Some(crate::Readers::embedded().named(format).unwrap());
        let made = |bytes: &[u8]| {
            let how = How { format, ..How::by_content(Classes::any()) };
            let mut opened = crate::open_with(Box::new(Cursor::new(bytes.to_vec())), "t", &how)?;
            collect(&mut *opened.entries).map(|all| all.len())
        };
        let whole = made(&text).unwrap();
        for at in (0..text.len()).step_by(1 + text.len() / 300) {
            match made(&text[..at]) {
                Ok(requests) => assert!((1..=whole).contains(&requests), "{file} cut at {at}: {requests} of {whole}"),
                Err(fault) => assert!(fault.to_string().starts_with("t:"), "{file} cut at {at}: {fault}"),
            }
        }
    }
}
