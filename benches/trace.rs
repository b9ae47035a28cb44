//! Sources alone: what a simulation pays before the first step. Published traces are read from memory, so the disk is out.
//!
//! Reads `BASELOAD_DATA`; where it is unset, the readers are measured on rows of the same shape made here.
use baseload::trace::{GenerateSpec, Generator, Replay, SourceOptions, open, prepare};
use baseload::types::{Entries, Entry, Source};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write;
use std::io::Cursor;

/// Requests and tokens of a source, so that the bench can tell that it read what it should.
fn drain(source: &mut dyn Source) -> (u64, u64) {
    let (mut requests, mut tokens) = (0, 0);
    while source.peek().expect("a sound trace").is_some() {
        let request = source.next();
        requests += 1;
        tokens += request.content.tokens() + u64::from(request.output_tokens);
    }
    (requests, tokens)
}

/// A published trace, or rows of its shape.
fn text(file: &str, made: fn() -> String) -> (String, &'static str) {
    let published = std::env::var("BASELOAD_DATA").map(|data| format!("{data}/traces/{file}"));
    match published.map(std::fs::read_to_string) {
        Ok(Ok(text)) => (text, "published"),
        _ => (made(), "made"),
    }
}

fn azure() -> String {
    let mut text = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_string();
    for i in 0..19_366u32 {
        let (minute, second) = (i / 340, i % 340 * 60 / 340);
        let row = writeln!(text, "2023-11-16 18:{minute:02}:{second:02}.1234567,{},{}", 100 + i % 2110, 1 + i % 421);
        row.expect("text in memory");
    }
    text
}

fn mooncake() -> String {
    let mut text = String::new();
    for i in 0..12_031u32 {
        let ids: Vec<String> = (0..24).map(|k| (if k < 8 { k } else { 16 * i + k }).to_string()).collect();
        let (at, prompt) = (i / 10 * 3000, 12_035);
        let row = writeln!(
            text,
            "{{\"timestamp\": {at}, \"input_length\": {prompt}, \"output_length\": 343, \"hash_ids\": [{}]}}",
            ids.join(", ")
        );
        row.expect("text in memory");
    }
    text
}

fn readers(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for (name, file, made, rows) in [
        ("azure", "AzureLLMInferenceTrace_conv.csv", azure as fn() -> String, 19_366),
        ("mooncake", "mooncake_conversation_trace.jsonl", mooncake, 12_031),
    ] {
        let (text, origin) = text(file, made);
        group.throughput(Throughput::Elements(rows));
        group.bench_function(format!("{name} {rows} rows, {origin}"), |b| {
            b.iter(|| {
                let reader = Box::new(Cursor::new(text.clone().into_bytes()));
                let opened = open(reader, file, &[]).expect("a known format");
                let options = SourceOptions::default();
                let mut source = Replay::new(prepare(opened, &options), &options).expect("sound options");
                let (requests, tokens) = drain(&mut source);
                assert_eq!(requests, rows, "{name}: rows were lost");
                tokens
            });
        });
    }
    group.finish();
}

/// A million rows as long traces have them, in memory for text and in a file for Parquet.
fn long(c: &mut Criterion) {
    const ROWS: u64 = 1_000_000;
    let mut group = c.benchmark_group("long");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    let mut text = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_string();
    for i in 0..ROWS {
        let (day, second) = (10 + i * 7 / ROWS, i * 7 * 86_400 / ROWS % 86_400);
        let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
        let (prompt, output) = (1 + i * 7919 % 4001, 1 + i * 31 % 701);
        let row = writeln!(text, "2024-05-{day} {h:02}:{m:02}:{s:02}.{:06}+00:00,{prompt},{output}", i);
        row.expect("text in memory");
    }
    let text: std::sync::Arc<[u8]> = text.into_bytes().into();
    let options = SourceOptions::default();
    let azure = || open(Box::new(Cursor::new(text.clone())), "long", &[]).expect("a known format");
    group.bench_function("azure rows to entries", |b| {
        b.iter(|| {
            let mut entries = azure().entries;
            let mut entry = Entry::blank();
            let mut rows = 0;
            while entries.next(&mut entry).expect("a sound trace") {
                rows += 1;
            }
            assert_eq!(rows, ROWS);
        });
    });
    group.bench_function("azure rows to requests", |b| {
        b.iter(|| {
            let sorted = Replay::new(prepare(azure(), &options), &options);
            assert_eq!(drain(&mut sorted.expect("sound options")).0, ROWS);
        });
    });
    #[cfg(feature = "frames")]
    parquet(&mut group, &mut *azure().entries, ROWS);
    group.finish();
}

#[cfg(feature = "frames")]
fn parquet(
    group: &mut criterion::BenchmarkGroup<criterion::measurement::WallTime>,
    entries: &mut dyn Entries,
    rows: u64,
) {
    use baseload::frames::{TraceReader, TraceWriter, Width};
    use baseload::types::{Classes, Clock};
    let file = tempfile::NamedTempFile::with_suffix(".parquet").expect("a temporary file");
    let mut writer = TraceWriter::new(file.path(), Clock::Common, Width::Narrow);
    let mut entry = Entry::blank();
    while entries.next(&mut entry).expect("a sound trace") {
        writer.write(&entry, Vec::new).expect("room on the disk");
    }
    writer.finish(&[]).expect("room on the disk");
    let options = SourceOptions::default();
    group.bench_function("parquet rows to requests", |b| {
        b.iter(|| {
            let entries = TraceReader::open(file.path(), None, &Classes::known(&[])).expect("our own file");
            let mut source = Replay::new(Box::new(entries), &options).expect("sound options");
            assert_eq!(drain(&mut source).0, rows);
        });
    });
}

fn generators(c: &mut Criterion) {
    const REQUESTS: u64 = 100_000;
    let mut group = c.benchmark_group("generate");
    group.throughput(Throughput::Elements(REQUESTS));
    let fixed = include_str!("../traces/bench-w4.toml");
    let desk = include_str!("../traces/support-desk.toml").replace("duration = \"2h\"", "requests = 100000");
    let plain = "requests = 100000\n[arrivals]\nrate = [{ at = \"0s\", per_s = 80.0 }]\n\
        [prompt]\nmedian = 700\np95 = 2400\nmax = 16000\n[output]\nmedian = 180\np95 = 620\nmax = 2000\n";
    for (name, text) in [("fixed lengths", fixed), ("Poisson, log-normal", plain), ("support desk", desk.as_str())] {
        let spec = GenerateSpec::parse(text, name).expect("a sound spec");
        let options = SourceOptions { limit: Some(REQUESTS), ..SourceOptions::default() };
        group.bench_function(name, |b| {
            b.iter(|| {
                let (requests, tokens) = drain(&mut Generator::source(&spec, &options).expect("sound options"));
                assert_eq!(requests, REQUESTS, "{name}: it ran dry");
                tokens
            });
        });
    }
    group.finish();
}

criterion_group!(benches, readers, long, generators);
criterion_main!(benches);
