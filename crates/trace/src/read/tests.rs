//! Readers against rows made by hand and, where `BASELOAD_DATA` is set, against published traces.
use super::*;
use crate::{How, Opened, Replay, SourceOptions, Strictness, TraceStats, open, open_with, prepare, write_csv};
use baseload_core::types::TraceFault;
use baseload_core::types::{Classes, ContentId, NO_SESSION, Request, Run, SimTime, Source};
use std::io::Cursor;

fn reader(text: &str) -> Reader {
    Box::new(Cursor::new(text.as_bytes().to_vec()))
}

fn try_read(text: &str, options: &SourceOptions) -> Result<Vec<Request>, TraceFault> {
    let classes = ["private".to_string(), "hard".to_string()];
    let mut source = Replay::new(prepare(open(reader(text), "t", &classes)?, options), options)?;
    let mut all = Vec::new();
    while source.peek()?.is_some() {
        all.push(source.next());
    }
    Ok(all)
}

fn read(text: &str) -> Vec<Request> {
    try_read(text, &SourceOptions::default()).unwrap()
}

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
    2023-11-16 18:20:01.1230000,512,40\r\n2023-11-16 18:20:02+00:00,8,1200";

#[test]
fn azure_rows_become_requests_from_the_first_arrival() {
    let all = read(AZURE);
    assert_eq!((all[0].arrival, all[1].arrival), (SimTime::ZERO, SimTime::from_millis(877)));
    assert_eq!((all[0].max_output_tokens, all[1].max_output_tokens), (1024, 1200));
    assert_eq!((all[1].class, all[1].session, all[1].content.tokens()), (u16::MAX, NO_SESSION, 8));
    let options = SourceOptions { rate_scale: 2.0, limit: Some(2), ..Default::default() };
    assert_eq!(try_read(AZURE, &options).unwrap()[1].arrival, SimTime(438_500_000));
    assert_eq!(try_read(AZURE, &SourceOptions { limit: Some(1), ..options }).unwrap().len(), 1);
}

#[test]
fn mooncake_buckets_are_spread_in_order_and_ids_become_runs() {
    let line = |t: u64, n: u32, ids: &str| {
        format!("{{\"timestamp\": {t}, \"input_length\": {n}, \"output_length\": 5, \"hash_ids\": [{ids}]}}\n")
    };
    let text = [line(3000, 1100, "0,7,8"), line(3000, 512, "9"), line(3000, 1, "4"), line(5999, 3, "5")].concat();
    let all = read(&text);
    let lens: Vec<u32> = all[0].content.runs().iter().map(|r| r.len).collect();
    assert_eq!(lens, [512, 512, 76]);
    assert_eq!(all[0].content.runs()[1].id, ContentId::Named(7));
    assert_eq!(all.iter().map(|r| r.prompt_tokens).collect::<Vec<_>>(), [1100, 512, 1, 3]);
    assert!(all.windows(2).all(|w| w[0].arrival <= w[1].arrival) && all[0].arrival < all[2].arrival);
    assert!(all[2].arrival < SimTime::from_millis(2999) && all[3].arrival >= SimTime::from_millis(2999));
    let raw = try_read(&text, &SourceOptions { spread_buckets: false, ..Default::default() }).unwrap();
    assert_eq!((raw[2].arrival, raw[3].arrival), (SimTime::ZERO, SimTime::from_millis(2999)));
    let cut = try_read(&text, &SourceOptions { limit: Some(2), ..Default::default() }).unwrap();
    assert_eq!(cut, all[..2]);
    assert!(
        try_read(&line(0, 513, "1"), &SourceOptions::default()).unwrap_err().to_string().starts_with("t:1: 1 hash_ids")
    );
}

#[test]
fn our_own_schema_is_read_and_written() {
    let csv = "output_tokens,arrival_s,prompt_tokens,class,session,priority,max_output_tokens,tenant\n\
        5,10.25,20,hard,7,-1,99,3\n6,11,30,,,,,\n";
    let all = read(csv);
    assert_eq!((all[0].arrival, all[1].arrival), (SimTime::ZERO, SimTime::from_millis(750)));
    assert_eq!((all[0].class, all[0].session, all[0].priority, all[0].max_output_tokens), (1, 7, -1, 99));
    assert_eq!((all[0].tenant, all[1].class, all[1].session), (3, u16::MAX, NO_SESSION));
    let classes = ["private".to_string(), "hard".to_string()];
    let mut out = Vec::new();
    let opened = open(reader(csv), "t", &classes).unwrap();
    let mut source = Replay::new(opened.entries, &SourceOptions::default()).unwrap();
    assert_eq!(write_csv(&mut source, &classes, &mut out), Ok(2));
    assert_eq!(read(std::str::from_utf8(&out).unwrap()), all);

    let json = "{\"arrival_s\":1,\"prompt_tokens\":30,\"output_tokens\":5,\"class\":\"private\",\"content\":[[4,0,10],[4,10,15]]}\n";
    let one = &read(json)[0];
    assert_eq!((one.class, one.content.tokens()), (0, 30));
    assert_eq!(one.content.runs()[2], Run { id: ContentId::Private(0), start: 0, len: 5 });
}

#[test]
fn faults_are_named_with_their_line() {
    let azure = |rows: &str| format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{rows}");
    let own = |rows: &str| format!("arrival_s,prompt_tokens,output_tokens,class\n{rows}");
    let json = |tail: &str| format!("{{\"arrival_s\":1,\"prompt_tokens\":3,\"output_tokens\":5{tail}\n");
    let cases = [
        (azure(""), "t:2: the trace has no requests"),
        (String::new(), "t:1: the trace is empty"),
        (azure("2023-11-16 18:20:01,512"), "t:2: the line is torn"),
        (azure("2023-11-16 18:20:01,-5,3"), "t:2: ContextTokens is -5, a negative number"),
        (own("1,5,1,\n0,5,1,"), "t:3: time goes back by 1 s"),
        (azure("yesterday,5,1"), "t:2: `yesterday` is no timestamp"),
        (own("1,5,1,nope"), "t:2: class `nope` is not in the experiment; known classes: private, hard"),
        (own("1,5"), "t:2: the line is torn"),
        (own("x,5,1,"), "t:2: arrival_s is `x`"),
        (own("1,0,1,"), "t:3: the trace has no requests; left out 1 of 1: 1 no prompt tokens (first on line 2)"),
        ("arrival_s,prompt_tokens\n".into(), "t:1: column `output_tokens` is missing"),
        (json(""), "t:1: the line is torn"),
        (json(",\"extra\":1}"), "t:1: the line is torn or wrong (unknown field `extra`"),
        (json(",\"content\":[[1,0,4]]}"), "t:1: its content is 4 tokens but its prompt 3"),
        (json("}").replace(":3", ":-3"), "t:1: prompt_tokens is -3"),
        ("a,b\n1,2\n".into(), "t:1: this is no trace format"),
    ];
    for (text, want) in cases {
        let error = try_read(&text, &SourceOptions::default()).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}\nwanted {want}");
        assert!(error.contains(';'), "{error} says nothing of what would be right");
    }
    assert!(try_read(AZURE, &SourceOptions { rate_scale: 0.0, ..Default::default() }).is_err());
}

#[test]
fn published_traces_have_the_published_counts() {
    let Ok(data) = std::env::var("BASELOAD_DATA") else {
        println!("skipped: BASELOAD_DATA unset");
        return;
    };
    let stats = |file: &str, spread_buckets: bool| {
        let reader = std::io::BufReader::new(std::fs::File::open(format!("{data}/traces/{file}")).unwrap());
        let options = SourceOptions { spread_buckets, ..Default::default() };
        TraceStats::of(&mut prepare(open(Box::new(reader), file, &[]).unwrap(), &options), 16).unwrap()
    };
    let azure = stats("AzureLLMInferenceTrace_conv.csv", true);
    assert_eq!((azure.count, azure.unlimited_hit_share()), (19_366, None));
    let mooncake = stats("mooncake_conversation_trace.jsonl", true);
    assert_eq!(mooncake.count, 12_031);
    assert!(mooncake.unlimited_hit_share().is_some_and(|s| (0.3..0.5).contains(&s)), "{mooncake:?}");
    let raw = stats("mooncake_conversation_trace.jsonl", false);
    let gap_cv = |stats: &TraceStats| stats.arrivals.as_ref().map(|a| a.gap_cv);
    assert!(gap_cv(&raw) > gap_cv(&mooncake) && raw.prefix == mooncake.prefix);
}

/// Entries and notes; what cannot be read is a fault, so that tests see what is said of it.
pub(super) fn entries(text: &str) -> Result<(Vec<Entry>, Vec<String>), TraceFault> {
    let how = How { strictness: Strictness::Faults, ..How::by_content(Classes::known(&[])) };
    let mut opened = open_with(reader(text), "t", &how)?;
    let all = crate::collect(&mut *opened.entries)?;
    Ok((all, opened.entries.notes()))
}

#[test]
fn a_claude_session_has_its_subagents_beside_it() {
    let call = |t: &str, tail: &str| format!("{{\"t\":{t},\"type\":\"n\",\"model\":\"m\",{tail}}}");
    let text = format!(
        "{{\"id\":\"a\",\"block_size\":64,\"hash_id_scope\":\"local\",\"requests\":[{},{},{{\"type\":\"subagent\",\"t\":4.5,\
         \"agent_id\":\"x\",\"duration_ms\":null,\"requests\":[{}]}},{}]}}\n",
        call("0.0", "\"in\":200,\"out\":5,\"think_time\":0.0,\"api_time\":2.5,\"hash_ids_rle\":[[1,3]]"),
        call("4.0", "\"in\":300,\"out\":0,\"think_time\":1.5,\"hash_ids_rle\":[[1,3],[4,1]]"),
        call("1.0", "\"in\":70,\"out\":5,\"think_time\":9.0,\"hash_ids_rle\":[[5,1]]"),
        call("5.0", "\"in\":140,\"out\":1,\"think_time\":0.25,\"hash_ids_rle\":[[1,1],[9,1]]"),
    );
    let (all, notes) = entries(&text).unwrap();
    let got: Vec<_> = all.iter().map(|e| (e.id, e.session, e.at_ns / 1_000_000, e.think_ns)).collect();
    let s = 1_000_000_000;
    assert_eq!(got, [(0, 0, 0, None), (1, 0, 4000, Some(3 * s / 2)), (2, 0, 5000, Some(s / 4)), (3, 1, 5500, None)]);
    assert_eq!(all[0].measured.e2e_ns, Some(5 * s / 2));
    let runs = |n: usize| all[n].content.iter().map(|r| (r.start, r.len)).collect::<Vec<_>>();
    assert_eq!(
        (runs(0), runs(1), runs(2), runs(3)),
        (vec![(64, 192)], vec![(64, 256)], vec![(64, 64), (576, 64)], vec![(320, 64)])
    );
    assert!(
        all.iter().flat_map(|e| &e.content).all(|r| r.id == all[0].content[0].id),
        "ids of a line are one numbering"
    );
    assert!(
        notes.len() == 3 && notes[1].starts_with("1 subagents") && notes[2].starts_with("1 requests have 0"),
        "{notes:?}"
    );
    let other = entries(&text.replace("\"a\"", "\"b\"")).unwrap().0;
    assert_ne!(other[0].content[0].id, all[0].content[0].id, "ids mean nothing across sessions");
    for (from, to, want) in [
        ("[[1,3]]", "[[1,4]]", "t:1: request 0 of session 0: hash_ids_rle has 4 blocks"),
        ("local", "global", "t:1: hash_id_scope is `global`"),
        ("\"t\":5.0", "\"t\":3.0", "t:1: request 3 of session 0: t is 3 after 4.5"),
        ("\"api_time\":2.5", "\"api_time\":-1", "t:1: request 0 of session 0: api_time is -1"),
    ] {
        let error = entries(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.starts_with(want) && error.contains(';'), "{error}");
    }
}

#[test]
fn lmcache_characters_become_tokens() {
    let line = |at: u64, s: &str, chars: u32, ids: &str| {
        format!(
            "{{\"timestamp_us\":{at},\"session\":\"{s}\",\"step\":0,\"input_chars\":{chars},\"output_chars\":9,\"hash_ids\":[{ids}]}}\n"
        )
    };
    let (all, notes) =
        entries(&[line(7, "b", 4097, "3,9"), line(7, "a", 0, ""), line(9, "b", 2047, "")].concat()).unwrap();
    let got: Vec<_> = all.iter().map(|e| (e.at_ns, e.session, e.prompt_tokens, e.output_tokens)).collect();
    assert_eq!(got, [(7_000, 0, 1025, 3), (7_000, 1, 1, 3), (9_000, 0, 512, 3)]);
    assert_eq!(all[0].content[1], Run { id: ContentId::Named(9), start: 0, len: 512 });
    assert!(notes[0].contains("estimate") && notes[1].starts_with("1 calls"), "{notes:?}");
    assert!(
        entries(&line(7, "b", 4097, "3")).unwrap_err().to_string().starts_with("t:1: 1 hash_ids for 4097 characters")
    );
}

/// A published sample, decompressed; `None` where it is not at hand.
pub(super) fn sample(file: &str) -> Option<Opened> {
    let Ok(data) = std::env::var("BASELOAD_DATA") else {
        println!("skipped: BASELOAD_DATA unset");
        return None;
    };
    let file = std::io::BufReader::new(std::fs::File::open(format!("{data}/{file}")).unwrap());
    let text = std::io::BufReader::new(flate2::bufread::MultiGzDecoder::new(file));
    Some(open(Box::new(text), "sample", &[]).unwrap())
}

#[test]
fn the_published_agent_traces_are_read() {
    let Some(mut claude) = sample("traces/claude_code_sessions.jsonl.gz") else { return };
    let all = crate::collect(&mut *claude.entries).unwrap();
    let sessions: std::collections::BTreeSet<u64> = all.iter().map(|e| e.session).collect();
    assert_eq!((claude.format.name, all.len(), sessions.len()), ("claude-sessions", 38_027, 559 + 62));
    assert_eq!(claude.entries.clock(), Clock::Session);
    println!("{:?}", claude.entries.notes());
    for (name, calls, sessions) in [("magagent", 746, 25), ("miniswe", 402, 20), ("taubench", 471, 24)] {
        let mut agents = sample(&format!("traces/lmcache_agent_{name}.jsonl.gz")).unwrap();
        let all = crate::collect(&mut *agents.entries).unwrap();
        let seen: std::collections::BTreeSet<u64> = all.iter().map(|e| e.session).collect();
        assert_eq!((agents.format.name, all.len(), seen.len()), ("lmcache-agents", calls, sessions), "{name}");
        assert!(all.is_sorted_by_key(|e| e.at_ns), "{name}");
        println!("{name}: {:?}", agents.entries.notes());
    }
}
