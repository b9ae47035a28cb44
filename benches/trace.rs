//! Sources alone: what a simulation pays before the first step. Published traces are read from memory, so the disk is out.
//!
//! Reads `BASELOAD_DATA`; where it is unset, the readers are measured on rows of the same shape made here.
use baseload::trace::{GenerateSpec, Generator, Replay, SourceOptions, open, prepare};
use baseload::types::Source;
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

criterion_group!(benches, readers, generators);
criterion_main!(benches);
