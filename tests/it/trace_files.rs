//! Traces in all forms: what is written is read again, what is torn is refused with its place, nothing panics.
use crate::program::{Ended, command, end_of, root};
use baseload::experiment::open_trace_with;
use baseload::frames::{TraceWriter, Width};
use baseload::trace::{
    Classes, Format, How, OWN_CSV, OWN_JSONL, PARQUET, Readers, Replay, SourceOptions, Strictness, TextWriter, collect,
    open_with, prepare,
};
use baseload::types::{Clock, ContentId, Entry, Measured, NO_SESSION, Run, Source, Status, TraceFault};
use proptest::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn how(format: Option<Format>) -> How<'static> {
    How { format, ..How::by_content(Classes::any()) }
}

fn run() -> impl Strategy<Value = Run> {
    let id = prop_oneof![
        any::<u64>().prop_map(ContentId::Named),
        any::<u64>().prop_map(ContentId::Output),
        any::<u64>().prop_map(ContentId::Private),
    ];
    (id, 0..u32::MAX / 2, 1..5_000u32).prop_map(|(id, start, len)| Run { id, start, len })
}

/// A request with anything that one may have; its id is given by its row.
fn entry() -> impl Strategy<Value = Entry> {
    let duration = || proptest::option::of(0..1u64 << 51);
    let first = (
        0..1i64 << 62,
        any::<u32>(),
        prop_oneof![Just(NO_SESSION), any::<u64>()],
        prop_oneof![Just(u16::MAX), 0..3u16],
    );
    let second = (any::<u32>(), any::<u32>(), any::<u32>(), any::<i32>(), proptest::collection::vec(run(), 0..4));
    let measured = (duration(), duration(), proptest::option::of(any::<u32>()), 0..4usize, any::<u32>());
    (first, second, (duration(), 0..1u64 << 51), measured).prop_map(|(a, b, (think_ns, tools_ns), m)| {
        let content = b.4;
        let least: u32 = content.iter().map(|r| r.len).sum();
        Entry {
            id: 0,
            at_ns: a.0,
            tenant: a.1,
            session: a.2,
            class: a.3,
            prompt_tokens: b.0.max(least).max(1),
            output_tokens: b.1,
            max_output_tokens: b.2,
            priority: b.3,
            content,
            think_ns,
            tools_ns,
            measured: Measured { ttft_ns: m.0, e2e_ns: m.1, cached_tokens: m.2, status: Status::ALL[m.3], images: m.4 },
        }
    })
}

/// Class names in the order that the reader will meet them, which is how it numbers them.
fn by_appearance(entries: &mut [Entry]) -> Vec<String> {
    let mut order: Vec<u16> = Vec::new();
    for entry in entries.iter_mut().filter(|e| e.class != u16::MAX) {
        let place = order.iter().position(|c| *c == entry.class).unwrap_or(order.len());
        if place == order.len() {
            order.push(entry.class);
        }
        entry.class = place as u16;
    }
    order.iter().map(|c| format!("class \u{e9}{c}")).collect()
}

fn text(entries: &[Entry], format: Format, clock: Clock, classes: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = TextWriter::new(format, clock).unwrap();
    entries.iter().for_each(|e| writer.write(e, classes, &mut out).unwrap());
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        entries in proptest::collection::vec(entry(), 1..20),
        clock in prop_oneof![Just(Clock::Common), Just(Clock::Session), Just(Clock::None)],
        wide in any::<bool>(),
        plain in any::<bool>(),
        gap in 1..3u64,
    ) {
        let mut entries = entries;
        for (n, entry) in entries.iter_mut().enumerate() {
            entry.id = n as u64 * gap;
            match clock {
                Clock::None => entry.at_ns = 0,
                // JSON's seconds of a session are exact for 26 days.
                Clock::Session => entry.at_ns >>= 11,
                _ => {}
            }
            if plain {
                *entry = Entry { id: entry.id, at_ns: entry.at_ns, prompt_tokens: entry.prompt_tokens, output_tokens: 1, ..Entry::blank() };
            }
        }
        let classes = by_appearance(&mut entries);
        let reread = |bytes: Vec<u8>| -> Result<(Clock, Vec<Entry>, Vec<String>), TraceFault> {
            let how = how(None);
            let mut opened = open_with(Box::new(Cursor::new(bytes)), "t", &how)?;
            Ok((opened.entries.clock(), collect(&mut *opened.entries)?, how.classes.names()))
        };
        let want = (clock, entries.clone(), classes.clone());
        prop_assert_eq!(reread(text(&entries, OWN_JSONL, clock, &classes)), Ok(want.clone()));
        let mut bare = want.clone();
        bare.1.iter_mut().for_each(|e| e.content.clear());
        prop_assert_eq!(reread(text(&entries, OWN_CSV, clock, &classes)), Ok(bare));

        let file = tempfile::NamedTempFile::with_suffix(".parquet").unwrap();
        let mut writer = TraceWriter::new(file.path(), clock, if wide { Width::Wide } else { Width::Narrow });
        for entry in &entries {
            writer.write(entry, || classes.clone()).unwrap();
        }
        prop_assert_eq!(writer.finish(&classes), Ok(entries.len() as u64));
        let how = how(None);
        let mut opened = open_trace_with(file.path(), &how, &SourceOptions::default()).unwrap();
        prop_assert_eq!((opened.format, opened.entries.clock()), (PARQUET, clock));
        prop_assert_eq!(collect(&mut *opened.entries).unwrap(), entries);
        prop_assert_eq!(how.classes.names(), classes);
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    files_of("tests/corpus/trace")
}

fn files_of(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join(folder);
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 40, "the corpus is not where it should be");
    files
}

/// Reads `bytes` as `format` and replays them; how many requests there were, or the fault.
fn read(bytes: &[u8], format: Option<Format>) -> Result<u64, TraceFault> {
    read_as(bytes, format, Strictness::LeaveOut)
}

/// Reads `bytes` as [`read`] does; `strictness` says what becomes of rows that are no requests.
fn read_as(bytes: &[u8], format: Option<Format>, strictness: Strictness) -> Result<u64, TraceFault> {
    let opened = open_with(Box::new(Cursor::new(bytes.to_vec())), "t", &How { strictness, ..how(format) })?;
    let options = SourceOptions::default();
    if matches!(opened.entries.clock(), Clock::Session | Clock::None) {
        let mut entries = opened.entries;
        return Ok(collect(&mut *entries)?.len() as u64);
    }
    let mut source = Replay::new(prepare(opened, &options), &options)?;
    let mut count = 0;
    while source.peek()?.is_some() {
        let request = source.next();
        assert_eq!(request.content.tokens(), u64::from(request.prompt_tokens), "content-fits");
        count += 1;
    }
    Ok(count)
}

#[test]
fn torn_files_are_refused_with_their_place_and_sound_ones_read() {
    let texts: Vec<Format> = Readers::embedded().rows().iter().filter(|f| !f.example.is_empty()).copied().collect();
    for (name, bytes) in corpus() {
        if name.ends_with(".gz") {
            continue;
        }
        // A sound file is named after its format alone, but for one that is only written unusually.
        // The ids of mooncake_ids are those of full blocks of 256.
        let unusual = [
            "azure_bom_crlf",
            "azure_multimodal",
            "azure_permuted",
            "azure_unsorted",
            "mooncake_ids",
            "mooncake_key",
            "vllm_bench",
        ];
        let sound = !name.contains('_') || unusual.iter().any(|n| name.split('.').next() == Some(n));
        let sound = sound && !["empty.csv", "blank.csv", "binary.csv"].contains(&name.as_str());
        match read_as(&bytes, None, Strictness::Faults) {
            Ok(count) => assert!(sound && count > 0, "{name} was read: {count} requests"),
            Err(error) => {
                assert!(!sound, "{name}: {error}");
                let error = error.to_string();
                let (place, what) = error.split_once(": ").unwrap_or_else(|| panic!("{name}: no place: {error}"));
                let line = place.strip_prefix("t:").and_then(|n| n.parse::<u64>().ok());
                assert!(line.is_some_and(|n| n > 0) && what.contains(';'), "{name}: {error}");
            }
        }
        for &format in &texts {
            if let Err(error) = read(&bytes, Some(format)) {
                assert!(error.to_string().starts_with("t:"), "{name} as {}: {error}", format.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_file_is_an_error_or_a_result(
        file in any::<proptest::sample::Index>(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0..5u8, any::<u8>(), 1..40usize), 1..4),
        format in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let files = [corpus(), files_of("tests/data/interchange")].concat();
        let mut bytes = file.get(&files).1.clone();
        for (at, what, byte, len) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + len).min(bytes.len());
            match what {
                0 => bytes.truncate(at),
                1 => bytes[at] = byte,
                2 => _ = bytes.drain(at..end),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.insert(at, b"0919\"{}[],:-e.\n"[usize::from(byte) % 15]),
            }
        }
        let texts: Vec<Format> = Readers::embedded().rows().to_vec();
        if let Err(error) = read(&bytes, format.map(|f| *f.get(&texts))) {
            let error = error.to_string();
            prop_assert!(error.starts_with("t:") || error.contains("does not say when"), "{}", error);
        }
    }
}

fn convert(folder: &Path, words: &[&str]) -> Ended {
    end_of(command().current_dir(folder).args(["trace", "convert"]).args(words))
}

#[test]
fn a_trace_goes_round_every_form_and_comes_back_the_same() {
    let folder = folder("traces-round");
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.680590000,374,44\n2023-11-16 18:15:50.995169000,396,109\n";
    std::fs::write(folder.join("a.csv"), azure).unwrap();
    for (from, to) in
        [("a.csv", "b.parquet"), ("b.parquet", "c.jsonl.gz"), ("c.jsonl.gz", "d.csv.zst"), ("d.csv.zst", "e.jsonl")]
    {
        convert(&folder, &[from, to]).well();
    }
    convert(&folder, &["e.jsonl", "z.csv", "--output-format", "azure"]).well();
    assert_eq!(std::fs::read_to_string(folder.join("z.csv")).unwrap(), azure);

    let mooncake = "{\"timestamp\":0,\"input_length\":600,\"output_length\":5,\"hash_ids\":[1,2]}\n\
                    {\"timestamp\":3000,\"input_length\":512,\"output_length\":9,\"hash_ids\":[1]}\n";
    std::fs::write(folder.join("m.jsonl"), mooncake).unwrap();
    let said = convert(&folder, &["m.jsonl", "m.parquet"]).well().stdout;
    assert!(said.contains("buckets of 3 s"), "{said}");
    convert(&folder, &["m.parquet", "n.jsonl", "--output-format", "mooncake"]).well();
    assert_eq!(std::fs::read_to_string(folder.join("n.jsonl")).unwrap(), mooncake);
    let said = convert(&folder, &["m.parquet", "m.csv"]).well().stdout;
    assert!(said.contains("no place for a request's content (prompt identity) (2 had"), "{said}");
    // Blocks are cut anew where the size differs; what two prompts share stays shared.
    convert(&folder, &["m.parquet", "b.jsonl", "--output-format", "bailian"]).well();
    let mut opened = open_trace_with(&folder.join("b.jsonl"), &how(None), &SourceOptions::default()).unwrap();
    let all = collect(&mut *opened.entries).unwrap();
    assert_eq!((opened.format.name, all[0].content.len(), all[1].content.len()), ("bailian", 38, 32));
    assert_eq!(all[0].content[..32], all[1].content[..]);
    convert(&folder, &["m.parquet", "burst.csv", "--output-format", "burstgpt"]).well();
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!left.iter().any(|f| f.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn a_failed_conversion_writes_nothing_and_names_the_remedy() {
    let folder = folder("traces-failed");
    let csv = "arrival_s,prompt_tokens,output_tokens\n2,5,5\n1,5,5\n";
    std::fs::write(folder.join("a.csv"), csv).unwrap();
    std::fs::write(folder.join("map.toml"), "prompt_tokens = \"in\"\noutput_tokens = \"out\"\n").unwrap();
    let corpus = root().join("tests/corpus/trace");
    let torn = corpus.join("azure_torn.csv.gz").display().to_string();
    for (words, wants) in [
        (vec!["a.csv", "b.parquet"], vec!["a.csv:3: time goes back by 1 s", "--sort"]),
        (vec!["a.csv", "b.xlsx"], vec!["b.xlsx: its ending says no format", "--output-format"]),
        (vec!["a.csv", "b.json", "--output-format", "copilot"], vec!["copilot cannot be written"]),
        (vec!["a.csv", "b.csv", "--columns", "map.toml"], vec!["a.csv:1: column `in`, which map.toml names"]),
        (vec![&torn, "b.csv"], vec!["azure_torn.csv.gz:", "cannot be read"]),
    ] {
        let ended = convert(&folder, &words);
        let message = ended.message();
        assert_eq!(ended.code, 2, "{words:?}: {message}");
        assert!(wants.iter().all(|w| message.replace('\n', " ").contains(w)), "{words:?}: {message}");
        let there = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(there, 2, "{words:?} left something");
    }
    convert(&folder, &["a.csv", "b.csv", "--sort"]).well();
    let sorted = std::fs::read_to_string(folder.join("b.csv")).unwrap();
    assert!(sorted.lines().nth(1).unwrap().starts_with("1.000000000,1,5,5"), "{sorted}");
}

#[test]
fn validate_goes_on_behind_a_fault_and_exits_with_2() {
    let folder = folder("traces-validate");
    let csv = "arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,5\n2,0,5\n3,5,0\n2.5,5,5\n4,x,5\n";
    std::fs::write(folder.join("a.csv"), csv).unwrap();
    std::fs::write(folder.join("good.csv"), "arrival_s,prompt_tokens,output_tokens\n0,5,5\n").unwrap();
    let validate = |words: &[&str]| end_of(command().current_dir(&folder).args(["trace", "validate"]).args(words));
    let ended = validate(&["a.csv"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    let faults: Vec<&str> =
        ended.stdout.lines().filter_map(|l| l.strip_prefix("fault: a.csv:")).map(|l| &l[..1]).collect();
    assert_eq!(faults, ["3", "4", "6", "7"], "{}", ended.stdout);
    assert!(
        ended.stdout.contains("3 requests read\n") && ended.stdout.contains("1 requests have 0 output"),
        "{}",
        ended.stdout
    );
    let two = validate(&["a.csv", "--max-faults", "2"]).stdout;
    assert_eq!(two.matches("fault: ").count(), 2, "{two}");
    assert!(validate(&["good.csv"]).well().stdout.contains("no faults"));
    let torn = end_of(command().args(["trace", "validate", "tests/corpus/trace/azure_torn.csv.gz"]));
    assert!(torn.code == 2 && torn.stdout.matches("fault: ").count() == 1, "{}", torn.stdout);
}

#[test]
fn row_groups_follow_one_another_and_a_late_column_makes_the_file_wide() {
    let folder = folder("traces-long");
    let mut csv = String::from("arrival_s,prompt_tokens,output_tokens,priority\n");
    for n in 0..140_000u32 {
        csv.push_str(&format!("{n},{},{},{}\n", 1 + n % 4000, n % 900, if n == 139_999 { "5" } else { "" }));
    }
    std::fs::write(folder.join("a.csv"), csv).unwrap();
    convert(&folder, &["a.csv", "a.parquet"]).well();
    let mut opened = open_trace_with(&folder.join("a.parquet"), &how(None), &SourceOptions::default()).unwrap();
    assert_eq!(opened.entries.total(), Some(140_000));
    let all = collect(&mut *opened.entries).unwrap();
    assert_eq!((all.len(), all[139_999].priority, all[131_072].id), (140_000, 5, 131_072));
    assert!(
        all.iter()
            .enumerate()
            .all(|(n, e)| e.at_ns == n as i64 * 1_000_000_000 && e.prompt_tokens == 1 + n as u32 % 4000)
    );
}

#[test]
fn a_million_requests_stream_from_parquet_through_info_and_run() {
    let folder = folder("million");
    let spec = "requests = 1000000\nprompt.constant = 300\noutput.constant = 40\n[arrivals]\n\
        rate = [{ at = \"0s\", per_s = 200.0 }]\n";
    std::fs::write(folder.join("million.toml"), spec).unwrap();
    let program = |args: &[&str]| end_of(command().current_dir(&folder).args(args)).well().stdout;
    program(&["trace", "convert", "million.toml", "million.parquet"]);
    let info: serde_json::Value =
        serde_json::from_str(&program(&["trace", "info", "million.parquet", "--format", "json"])).unwrap();
    assert_eq!((&info["format"], &info["stats"]["count"]), (&"baseload-parquet".into(), &1_000_000.into()));
    let experiment = "name = \"million\"\n[trace]\npath = \"million.parquet\"\n[slo]\nttft = \"2s\"\n[endpoint.a]\n\
        catalog = \"openai/gpt-4o\"\n[policy.buy]\n[policy.buy.api_only]\n";
    std::fs::write(folder.join("million-run.toml"), experiment).unwrap();
    program(&["run", "million-run.toml", "--quiet", "--no-records", "--out", "out"]);
    let read = |file: &str| {
        let text = std::fs::read_to_string(folder.join("out").join(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(read("summary.json")["requests"], 1_000_000);
    // The bound that 100 million keep to (traces/README.md); what is held does not grow with requests.
    if let Some(resident) = read("perf.json")["peak_rss_bytes"].as_u64() {
        assert!(resident < 500_000_000, "{resident} bytes resident");
    }
}
