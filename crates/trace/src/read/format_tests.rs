//! Readers of formats that are known from their description, on files made to it; and the measured ones at hand.
use super::tests::{entries, sample};
use super::*;
use crate::{How, SourceOptions, Strictness, open, open_with, open_with_options};
use baseload_core::types::TraceFault;
use baseload_core::types::{Classes, ColumnMap, ContentId, NO_SESSION, Run, Status};
use std::io::Cursor;

/// Each change of `text` must give an error that starts so and says what would be right.
#[track_caller]
fn refused(text: &str, changes: &[(&str, &str, &str)]) {
    for (from, to, want) in changes {
        assert!(text.contains(from), "{from} is not in the text");
        let error = entries(&text.replacen(from, to, 1)).expect_err(want);
        assert!(error.to_string().starts_with(want) && error.to_string().contains(';'), "{error}\nwanted {want}");
    }
}

#[test]
fn azure_multimodal_keeps_images_and_says_that_they_cost_nothing() {
    let text = "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2024-10-01 00:00:00.5+00:00,2,100,5\n\
                2024-10-01 00:00:01+00:00,0,7,1\n";
    let (all, notes) = entries(text).unwrap();
    assert_eq!((all[0].measured.images, all[0].prompt_tokens, all[1].at_ns - all[0].at_ns), (2, 100, 500_000_000));
    assert!(notes[0].starts_with("1 requests have images") && notes.len() == 1, "{notes:?}");
    refused(
        text,
        &[
            ("+00:00", " CET", "t:2: `2024-10-01 00:00:00.5 CET` is no timestamp"),
            ("+00:00", "+02:00", "t:2: `2024-10-01 00:00:00.5+02:00` is no timestamp"),
            (",2,", ",x,", "t:2: NumImages is `x`"),
            ("ContextTokens", "Tokens", "t:1: this is no trace format"),
            (",5\n", "\n", "t:2: the line is torn: 3 fields"),
        ],
    );
}

#[test]
fn burstgpt_keeps_failures() {
    let text = "timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type,Session ID,Elapsed time\n\
                45,ChatGPT,472,18,490,Conversation log,a,1.5\n45.5,GPT-4,30,0,30,API log,,\n";
    let (all, notes) = entries(text).unwrap();
    assert_eq!((all[0].at_ns, all[1].at_ns), (45_000_000_000, 45_500_000_000));
    assert_eq!((all[0].session, all[1].session), (0, NO_SESSION));
    assert_eq!((all[0].measured.status, all[1].measured.status), (Status::Completed, Status::Failed));
    assert_eq!((all[0].measured.e2e_ns, all[1].measured.e2e_ns), (Some(1_500_000_000), None));
    assert!(notes[0].starts_with("1 responses of 0 tokens"), "{notes:?}");
    let (renamed, notes) = entries(&text.replacen("Elapsed time", "Latency", 1).replacen("GPT-4", "GPT-9", 1)).unwrap();
    assert_eq!((renamed.len(), renamed[0].measured.e2e_ns), (2, None));
    assert_eq!(notes[0], "fields that are not known are passed over: Latency (1)");
    refused(
        text,
        &[
            ("490", "491", "t:2: Total tokens is 491 but request and response add up to 490"),
            ("Total tokens,", "", "t:1: column `Total tokens` is missing"),
            ("Elapsed time", "Model", "t:1: column `Model` stands twice"),
            ("45,", "-45,", "t:2: Timestamp is `-45`"),
        ],
    );
}

#[test]
fn bailian_sessions_are_their_roots() {
    let line = |chat: u64, parent: i64, turn: u32, ids: &str| {
        format!(
            "{{\"chat_id\":{chat},\"parent_chat_id\":{parent},\"timestamp\":{turn}.25,\"input_length\":40,\
             \"output_length\":2,\"type\":\"text\",\"turn\":{turn},\"hash_ids\":[{ids}]}}\n"
        )
    };
    let text =
        [line(9, -1, 1, "3,4,5"), line(10, 9, 2, "3,4"), line(11, 10, 3, "3,7,8"), line(5, 2, 4, "1,2,3")].concat();
    let (all, notes) = entries(&text).unwrap();
    assert_eq!(all.iter().map(|e| e.session).collect::<Vec<_>>(), [9, 9, 9, 2]);
    let lens = |n: usize| all[n].content.iter().map(|r| r.len).collect::<Vec<_>>();
    assert_eq!((lens(0), lens(1)), (vec![16, 16, 8], vec![16, 16]));
    assert!(notes[0].starts_with("1 chats have a parent"), "{notes:?}");
    assert!(all.iter().all(|e| e.think_ns.is_none()));
    refused(
        &text,
        &[
            ("[3,4,5]", "[3]", "t:1: 1 hash_ids for 40 tokens"),
            (
                "\"chat_id\":10,\"parent_chat_id\":9",
                "\"chat_id\":9,\"parent_chat_id\":9",
                "t:2: chat_id 9 stands twice",
            ),
            ("\"turn\":1", "\"turn\":2", "t:1: turn is 2 but parent_chat_id -1"),
            ("\"type\"", "\"kind\"", "t:1: the line is torn or wrong (missing field `type`"),
        ],
    );
    let more = text.replacen("\"turn\":1", "\"turn\":1,\"kind\":2", 1);
    assert!(entries(&more).unwrap().1.iter().any(|n| n.ends_with("passed over: kind (1)")));
}

const COPILOT: &str = r#"{"session_id":"s1","date":"2026-06-01","turns":[{"turn_id":"t1","llm_calls":[{"message_id":"m1","timestamp":"2026-06-01T08:00:00.000Z","duration_ms":1000.0,"initiator_type":"user","model":"Model A","result":"Success","status_code":"OK","tokens":{"total":1100,"prompt":1000,"completion":100,"cached":600,"cached_pct":60},"message_metadata":[]},{"message_id":"m2","timestamp":"2026-06-01T08:00:05.000Z","duration_ms":500,"initiator_type":"agent","model":"Model A","result":"UserCancel","status_code":null,"tokens":{"total":1520,"prompt":1500,"completion":20,"cached":1050,"cached_pct":70},"message_metadata":null},{"message_id":"m3","timestamp":null,"duration_ms":null,"initiator_type":null,"model":null,"result":null,"status_code":null,"tokens":null,"message_metadata":null}],"tool_batches":[{"timestamp":"2026-06-01T08:00:02.000Z","duration_ms":2000,"auto_continue":true,"result":"x","request_id":"m1","function_calls":[]}]}]}
{"session_id":"s2","date":"2026-06-01","turns":[{"turn_id":"t1","llm_calls":[{"message_id":"n1","timestamp":"2026-06-01T08:00:03.000Z","duration_ms":10,"initiator_type":"user","model":"Model B","result":"Error","status_code":"x","tokens":{"total":5,"prompt":5,"completion":0,"cached":0,"cached_pct":0},"message_metadata":[]}],"tool_batches":null}]}
"#;

#[test]
fn copilot_calls_share_what_was_cached_and_sessions_are_merged() {
    let (all, notes) = entries(COPILOT).unwrap();
    let got: Vec<_> = all.iter().map(|e| (e.id, e.session, e.measured.status)).collect();
    // The second session's call stands between the first one's two.
    assert_eq!(got, [(0, 0, Status::Completed), (2, 1, Status::Failed), (1, 0, Status::Cancelled)]);
    let run = |id, len| Run { id, start: 0, len };
    assert!(all[0].content.is_empty(), "nobody before it had what it found cached");
    assert_eq!(all[2].content, [run(ContentId::Private(0), 1000), run(ContentId::Output(0), 50)]);
    assert_eq!((all[0].think_ns, all[2].think_ns), (None, Some(1_000_000_000)), "from the end of the tools");
    assert_eq!((all[2].measured.e2e_ns, all[2].measured.cached_tokens), (Some(500_000_000), Some(1050)));
    let said = notes.join("\n");
    for part in ["assumed to share", "600 cached tokens", "1 calls have no time", "tools ran 2 s", "1 requests have 0"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    refused(
        COPILOT,
        &[
            ("\"total\":1100", "\"total\":1101", "t:1: tokens.total is 1101"),
            ("\"cached\":600", "\"cached\":1600", "t:1: tokens.cached is 1600 but tokens.prompt 1000"),
            ("08:00:03.000Z", "08:00:03 CET", "t:2: timestamp is `2026-06-01T08:00:03 CET`"),
            ("\"duration_ms\":10,", "\"duration_ms\":-1,", "t:2: duration_ms is -1"),
        ],
    );
    let more = entries(&COPILOT.replacen("\"initiator_type\"", "\"starter\"", 1)).unwrap();
    assert_eq!((more.0.len(), more.1[0].as_str()), (3, "fields that are not known are passed over: starter (1)"));
}

#[test]
fn sharegpt_conversations_grow() {
    let text = r#"[{"id":"a","conversations":[{"from":"human","value":"12345678"},{"from":"gpt","value":"1234"},
 {"from":"human","value":"123"},{"from":"gpt","value":"äöüß5"}]},
{"id":"b","conversations":[{"from":"human","value":"x"}]},
{"id":"c","prompt_tokens":77,"output_tokens":8,"conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"y"}]}]"#;
    let (all, notes) = entries(text).unwrap();
    let got =
        |all: &[Entry]| all.iter().map(|e| (e.id, e.session, e.prompt_tokens, e.output_tokens)).collect::<Vec<_>>();
    assert_eq!(got(&all), [(0, NO_SESSION, 2, 1), (1, NO_SESSION, 77, 8)]);
    assert!(notes[0].starts_with("left out 1 of 3: 1 no answer in the conversation (first on line 3)"), "{notes:?}");
    assert!(notes[2].contains("estimate"), "{notes:?}");
    let options = SourceOptions { every_turn: true, ..SourceOptions::default() };
    let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let mut turns = open_with_options(reader, "t", &How::by_content(Classes::any()), &options).unwrap();
    let all = crate::collect(&mut *turns.entries).unwrap();
    assert_eq!(got(&all), [(0, 0, 2, 1), (1, 0, 4, 2), (2, 1, 77, 8)]);
    let run = |id, len| Run { id, start: 0, len };
    assert_eq!(all[1].content, [run(ContentId::Private(0), 2), run(ContentId::Output(0), 1)]);
    let opened = open(Box::new(Cursor::new(text.as_bytes().to_vec())), "t", &[]).unwrap();
    assert_eq!((opened.format.name, opened.entries.clock()), ("sharegpt", Clock::None));
    refused(
        text,
        &[
            ("\"from\":\"gpt\",\"value\":\"y", "\"from\":\"robot\",\"value\":\"y", "t:1: "),
            ("\"human\"", "\"robot\"", "t:1: `from` is `robot`"),
            ("\"output_tokens\":8,", "", "t:4: it has one of prompt_tokens and output_tokens"),
            ("]}]", "]}", "t:4: the array does not end"),
        ][1..],
    );
}

#[test]
fn litellm_reads_json_and_csv_alike() {
    let line = |id: &str, tail: &str| {
        format!(
            "{{\"request_id\":\"{id}\",\"startTime\":\"2026-06-01T08:00:00.5Z\",\"endTime\":\"2026-06-01T08:00:02Z\",\
             \"completionStartTime\":null,\"prompt_tokens\":10,\"completion_tokens\":3,\"total_tokens\":13,\
             \"messages\":[{{\"secret\":1}}],\"model\":\"m\"{tail}}}\n"
        )
    };
    let text = [
        line("a", ",\"team_id\":\"red\",\"end_user\":\"u\",\"session_id\":\"s\",\"status\":\"success\""),
        line("b", ",\"cache_hit\":\"True\",\"user\":\"w\""),
        line("c", ",\"team_id\":null,\"end_user\":\"\",\"user\":\"w\",\"status\":\"failure\",\"cache_hit\":\"False\""),
        line("d", ",\"team_id\":\"red\"").replace("null", "\"2026-06-01T08:00:01Z\""),
    ]
    .concat();
    let (all, notes) = entries(&text).unwrap();
    assert_eq!(all.iter().map(|e| e.tenant).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!((all[0].session, all[1].session), (NO_SESSION, NO_SESSION), "a session has two calls");
    assert_eq!((all[0].measured.e2e_ns, all[2].measured.ttft_ns), (Some(1_500_000_000), Some(500_000_000)));
    assert_eq!(all[1].measured.status, Status::Failed);
    assert!(notes[0].starts_with("left out 1 of 4: 1 answered by gateway cache (first on line 2)"), "{notes:?}");
    let csv = "startTime,request_id,prompt_tokens,completion_tokens,team_id,response\n\
               2026-06-01 08:00:00.5,a,10,3,red,\"{\"\"x\"\":\n1, \"\"y\"\": 2}\"\n2026-06-01 08:00:01,b,11,3,,\n";
    let (rows, notes) = entries(csv).unwrap();
    assert_eq!((rows.len(), rows[0].tenant, rows[1].tenant, rows[1].prompt_tokens), (2, 1, 0, 11));
    assert!(notes.iter().any(|n| n.contains("UTC")), "{notes:?}");
    refused(
        &text,
        &[
            ("\"failure\"", "\"maybe\"", "t:3: status is `maybe`"),
            ("08:00:00.5Z", "08:00:00.5 CET", "t:1: startTime is `2026-06-01T08:00:00.5 CET`"),
        ],
    );
    refused(
        csv,
        &[
            ("request_id,", "", "t:1: this is no trace format"),
            ("2}\"", "2}", "t:2: a quote does not close"),
            (",11,", ",x,", "t:4: prompt_tokens is `x`"),
        ],
    );
}

#[test]
fn otlp_spans_are_sorted() {
    let span = |start: u64, operation: &str, tail: &str| {
        format!(
            "{{\"traceId\":\"t\",\"spanId\":\"{start}\",\"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\",\"attributes\":[\
             {{\"key\":\"gen_ai.operation.name\",\"value\":{{\"stringValue\":\"{operation}\"}}}}{tail}]}}",
            start * 1_000_000_000,
            (start + 3) * 1_000_000_000
        )
    };
    let number = |key: &str, n: u32| format!(",{{\"key\":\"{key}\",\"value\":{{\"intValue\":\"{n}\"}}}}");
    let text = |key: &str, s: &str| format!(",{{\"key\":\"{key}\",\"value\":{{\"stringValue\":\"{s}\"}}}}");
    let export = |spans: &[String]| {
        format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}\n", spans.join(","))
    };
    let new = [
        number("gen_ai.usage.input_tokens", 50),
        number("gen_ai.usage.output_tokens", 5),
        number("gen_ai.usage.cache_read.input_tokens", 20),
        text("gen_ai.conversation.id", "c"),
        ",{\"key\":\"gen_ai.server.time_to_first_token\",\"value\":{\"doubleValue\":0.25}}".to_string(),
    ]
    .concat();
    let old = [
        number("gen_ai.usage.prompt_tokens", 60),
        number("gen_ai.usage.completion_tokens", 6),
        text("error.type", "timeout"),
    ]
    .concat();
    let file = [
        export(&[span(1000, "chat", &new), span(1, "execute_tool", "")]),
        export(&[span(500, "text_completion", &old)]),
        export(&[span(2000, "chat", &new), span(2001, "chat", "")]),
    ]
    .concat();
    let (all, notes) = entries(&file).unwrap();
    let got: Vec<_> = all.iter().map(|e| (e.id, e.at_ns / 1_000_000_000, e.prompt_tokens)).collect();
    assert_eq!(got, [(1, 500, 60), (0, 1000, 50), (2, 2000, 50)]);
    assert_eq!((all[0].measured.status, all[1].measured.status), (Status::Failed, Status::Completed));
    assert_eq!(
        (all[1].measured.ttft_ns, all[1].measured.cached_tokens, all[1].session),
        (Some(250_000_000), Some(20), 0)
    );
    let left =
        "left out 2 of 5: 1 not a generation: execute_tool (first on line 1), 1 no prompt tokens (first on line 3)";
    assert_eq!(notes[0], left);
    let pretty = file.replace(":[", ": [\n");
    assert_eq!(entries(&pretty).unwrap().0, all, "line ends inside an object change nothing");
    let late = [file.as_str(), &export(&[span(900, "chat", &new)])].concat();
    assert_eq!(entries(&late).unwrap().0[1].at_ns, 900_000_000_000, "whatever the order of a file");
}

#[test]
fn a_measured_run_is_replayed_from_its_start_times() {
    let text = r#"{"backend":"vllm","num_prompts":3,"request_rate":"inf","burstiness":1.0,"max_concurrency":4,"completed":2,"failed":1,
"input_lens":[10,20,30],"output_lens":[5,0,7],"ttfts":[0.5,0.0,0.25],"itls":[[0.1],[],[0.1]],"latencies":[1.5,0,2.0],"start_times":[100.5,100.0,102.0],"errors":["","boom",""]}"#;
    let (all, notes) = entries(text).unwrap();
    let got: Vec<_> = all.iter().map(|e| (e.id, e.at_ns / 1_000_000, e.prompt_tokens)).collect();
    assert_eq!(got, [(1, 0, 20), (0, 500, 10), (2, 2000, 30)]);
    assert_eq!((all[0].measured.status, all[0].measured.ttft_ns), (Status::Failed, None));
    assert_eq!((all[1].measured.ttft_ns, all[1].measured.e2e_ns), (Some(500_000_000), Some(1_500_000_000)));
    assert!(notes[0].starts_with("1 requests failed") && notes[2].contains("at most 4"), "{notes:?}");
    refused(
        text,
        &[
            ("[10,20,30]", "[10,20]", "t:1: input_lens has 2 values but start_times 3"),
            ("\"failed\":1", "\"failed\":0", "t:1: it says 2 completed and 0 failed"),
            ("\"ttfts\"", "\"ttft\"", "t:2: it has the totals of a run and not its requests"),
            ("[0.1]]", "[0.1]", "t:1: the object does not end"),
        ],
    );
    for (run, requests, users) in [("conc4", 160, true), ("rate2.5", 250, false)] {
        let Some(mut opened) = sample(&format!("calibration/vllm032_cpu_serve/{run}.json.gz")) else { return };
        let all = crate::collect(&mut *opened.entries).unwrap();
        assert_eq!((opened.format.name, all.len()), ("vllm-bench-serve", requests));
        assert!(all.is_sorted_by_key(|e| e.at_ns) && all.iter().all(|e| e.measured.e2e_ns > e.measured.ttft_ns));
        assert_eq!(opened.entries.notes().iter().any(|n| n.contains("closed loop")), users, "{run}");
    }
}

#[test]
fn any_table_is_read_by_a_column_map() {
    let map = "arrival = { column = \"when\", unit = \"ms\" }\nprompt_tokens = \"in\"\noutput_tokens = \"out\"\n\
               tenant = \"team\"\nsession = \"conv\"\nclass = \"kind\"\nttft = { column = \"first\", unit = \"s\" }\n";
    let map = ColumnMap::parse(map, "map.toml").unwrap();
    let read = |text: &str| -> Result<(Vec<Entry>, Vec<String>), TraceFault> {
        let classes = Classes::any();
        let strictness = Strictness::Faults;
        let how = How { columns: Some((&map, "map.toml")), strictness, ..How::by_content(classes.clone()) };
        let mut opened = open_with(Box::new(Cursor::new(text.as_bytes().to_vec())), "t", &how)?;
        Ok((crate::collect(&mut *opened.entries)?, classes.names()))
    };
    let csv = "x,when,in,out,team,conv,kind,first\n,1.5,10,2,red,\"a,b\",chat,0.25\n9,2,11,3,,,\"\",\n";
    let (all, classes) = read(csv).unwrap();
    assert_eq!((all[0].at_ns, all[1].at_ns), (1_500_000, 2_000_000));
    assert_eq!((all[0].tenant, all[1].tenant, all[0].session, all[1].session), (1, 0, 0, NO_SESSION));
    assert_eq!((all[0].class, all[1].class, classes), (0, u16::MAX, vec!["chat".to_string()]));
    assert_eq!((all[0].measured.ttft_ns, all[1].measured.ttft_ns), (Some(250_000_000), None));
    let json = "{\"when\":1.5,\"in\":10,\"out\":2,\"team\":\"red\",\"conv\":\"a,b\",\"kind\":\"chat\",\"first\":2.5e-1}\n\
                {\"when\":2,\"in\":11,\"out\":3,\"more\":[1]}\n";
    assert_eq!(read(json).unwrap().0, all);
    for (text, want) in [
        (
            csv.replacen("out", "o", 1),
            "t:1: column `out`, which map.toml names for output_tokens, is not there; it has x, when",
        ),
        (json.replacen("\"in\":11,", "", 1), "t:2: column `in`, which map.toml names for prompt_tokens"),
        (csv.replacen("1.5", "soon", 1), "t:2: when is `soon`; it must be a number of ms"),
    ] {
        assert!(read(&text).unwrap_err().to_string().starts_with(want), "{:?}", read(&text));
    }
    for (text, want) in [
        ("prompt_tokens = \"a\"\noutput = \"b\"\n", "m:2: unknown field `output`"),
        ("prompt_tokens = \"a\"\n", "m:1: give exactly one of output_tokens and answer_tokens"),
        ("prompt_chars = \"a\"\nprompt_tokens = \"b\"\nanswer_tokens = 1", "m:1: give exactly one of prompt_tokens"),
        ("prompt_tokens = \"a\"\nanswer_tokens = 1\nchars_per_token = 3.0", "m:1: chars_per_token goes with"),
        ("prompt_chars = \"a\"\nanswer_tokens = 1\nchars_per_token = 0.0", "m:1: chars_per_token is 0"),
        (
            "prompt_tokens = \"a\"\noutput_tokens = \"b\"\ne2e = { column = \"c\", unit = \"iso8601\" }",
            "m:1: e2e has the unit",
        ),
    ] {
        let error = ColumnMap::parse(text, "m").unwrap_err().to_string();
        assert!(error.starts_with(want) && error.contains(';'), "{error}");
    }
}

#[test]
fn tokens_that_a_table_does_not_have_are_assumed_and_said() {
    let map = "prompt_chars = \"chars\"\nanswer_tokens = 7\n";
    let map = ColumnMap::parse(map, "map.toml").unwrap();
    for text in ["x,chars\r\na,111\r\nb,96\r\nc,0\r\n", "{\"chars\":111}\n{\"chars\":96}\n{\"chars\":0}\n"] {
        let how = How { columns: Some((&map, "map.toml")), ..How::by_content(Classes::any()) };
        let mut opened = open_with(Box::new(Cursor::new(text.as_bytes().to_vec())), "t", &how).unwrap();
        let all = crate::collect(&mut *opened.entries).unwrap();
        let tokens: Vec<(u32, u32)> = all.iter().map(|e| (e.prompt_tokens, e.output_tokens)).collect();
        assert_eq!(tokens, [(28, 7), (24, 7), (1, 7)]);
        let notes = opened.entries.notes().join("; ");
        assert!(
            notes.contains("chars / 4, rounded up") && notes.contains("output tokens are an assumption: 7"),
            "{notes}"
        );
    }
    let error = open_with(
        Box::new(Cursor::new(b"x,y\n1,2\n".to_vec())),
        "t",
        &How { columns: Some((&map, "map.toml")), ..How::by_content(Classes::any()) },
    )
    .map(|mut o| crate::collect(&mut *o.entries).unwrap_err().to_string());
    assert!(error.unwrap().contains("column `chars`, which map.toml names for prompt_chars, is not there"));
}

#[test]
fn our_schema_has_ids_measures_and_clocks() {
    let csv = "id,session_s,prompt_tokens,output_tokens,session,think_s,ttft_s,e2e_s,cached_tokens,status,images\n\
               7,0.5,10,2,1,,0.125,1,4,cancelled,3\n3,1,11,0,1,2.5,,,,,\n";
    let (all, notes) = entries(csv).unwrap();
    assert_eq!((all[0].id, all[1].id, all[1].think_ns), (7, 3, Some(2_500_000_000)));
    let m = all[0].measured;
    assert_eq!((m.ttft_ns, m.cached_tokens, m.status, m.images), (Some(125_000_000), Some(4), Status::Cancelled, 3));
    assert!(notes[0].starts_with("1 requests have 0 output tokens"));
    let opened = open(Box::new(Cursor::new(csv.as_bytes().to_vec())), "t", &[]).unwrap();
    assert_eq!(opened.entries.clock(), Clock::Session);
    refused(
        csv,
        &[
            ("\n3,", "\n7,", "t:3: id 7 stands twice"),
            ("cancelled", "lost", "t:2: status is `lost`; it must be one of completed"),
            ("id,session_s", "arrival_s,session_s", "t:1: arrival_s, arrival_ns and session_s stand together"),
        ],
    );
    let json = "{\"id\":4,\"arrival_ns\":-5,\"prompt_tokens\":30,\"output_tokens\":5,\"content\":[[4,0,10],[\"output\",1,2,3],[\"prompt\",1,0,7]]}\n";
    let (all, _) = entries(json).unwrap();
    assert_eq!((all[0].at_ns, all[0].id), (-5, 4));
    assert_eq!(all[0].content[1], Run { id: ContentId::Output(1), start: 2, len: 3 });
    assert_eq!(all[0].content[2], Run { id: ContentId::Private(1), start: 0, len: 7 });
    refused(
        json,
        &[
            ("\"output\",1", "\"answer\",1", "t:1: content names `answer`"),
            ("\"arrival_ns\":-5", "\"arrival_ns\":-5,\"arrival_s\":0", "t:1: its time is not arrival_s alone"),
        ],
    );
}
