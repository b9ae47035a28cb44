//! One decode step of vLLM's scheduler after the other, at 8, 64 and 256 rows: what a step costs that no stride skips.
use baseload::engine::{Batch, Scheduler, StepResult, VllmConfig, VllmScheduler};
use baseload::types::{AttemptId, Content, Job, SimTime};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const PROMPT: u32 = 1155;
const STEPS: u64 = 100;

/// An engine whose `rows` requests have all got their first token.
fn decoding(rows: u32) -> (VllmScheduler, Batch, StepResult) {
    let config = VllmConfig { num_blocks: 28_000, async_scheduling: false, ..VllmConfig::default() };
    let mut engine = VllmScheduler::new(config);
    for id in 0..u64::from(rows) {
        let job = Job {
            attempt: AttemptId(id),
            request: id,
            try_number: 0,
            prompt_tokens: PROMPT,
            output_tokens: 1000,
            max_output_tokens: 1000,
            priority: 0,
            content: Content::private(id, PROMPT),
        };
        engine.enqueue(job, SimTime::ZERO).expect("it fits");
    }
    let (mut batch, mut result) = (Batch::default(), StepResult::default());
    while batch.decode_rows < rows {
        step(&mut engine, &mut batch, &mut result);
    }
    (engine, batch, result)
}

fn step(engine: &mut VllmScheduler, batch: &mut Batch, result: &mut StepResult) {
    engine.schedule(SimTime::ZERO, batch);
    result.clear();
    engine.update(batch, result);
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    group.throughput(Throughput::Elements(STEPS));
    for rows in [8, 64, 256] {
        group.bench_function(format!("{STEPS} decode steps of {rows} rows"), |b| {
            b.iter_batched(
                || decoding(rows),
                |(mut engine, mut batch, mut result)| {
                    for _ in 0..STEPS {
                        step(&mut engine, &mut batch, &mut result);
                        assert!(batch.decode_rows == rows && batch.prefill.is_empty(), "a decode step is no more");
                    }
                    engine.unfinished()
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
