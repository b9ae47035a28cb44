//! The floor under a simulation: an event queue and records, and nothing else, for as many changes of batch and requests
//! as W1 and W2 of `experiments/bench/` have. `baseload run` of those against these figures is the ratio to beat.
//!
//! A change of batch is one event taken and one put back, and one entry of gaps between tokens; a request is one attempt record, one request record and three
//! histogram entries. No scheduler, no blocks, no policy, no source. Times of events are drawn so that the queue is as
//! deep as the fleet and pops come from anywhere in it.
use baseload::random::{Xoshiro256PlusPlus, dist, stream};
use baseload::types::{
    AttemptRecord, GapRun, NO_SESSION, Outcome, OutcomeCause, Place, PoolId, RecordSink, ReplicaId, RequestRecord,
    SeriesRow, SimTime, Usd,
};
use hdrhistogram::Histogram;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;

/// A workload's counts: `requests` and `batch_changes` of its perf.json on 2026-11-24.
struct Counts {
    name: &'static str,
    requests: u64,
    batch_changes: u64,
    replicas: u32,
}

const WORKLOADS: [Counts; 2] = [
    Counts { name: "W1", requests: 19_366, batch_changes: 82_508, replicas: 1 },
    Counts { name: "W2", requests: 100_000, batch_changes: 476_420, replicas: 16 },
];

/// What a collector keeps at the least: histograms, counts and sums.
struct Sink {
    histograms: [Histogram<u64>; 3],
    gaps: Histogram<u64>,
    completed: u64,
    tokens: u64,
    spend: Usd,
}

impl Sink {
    fn new() -> Sink {
        let histogram = || Histogram::new_with_bounds(1, 1 << 50, 3).expect("bounds in range");
        Sink {
            histograms: [histogram(), histogram(), histogram()],
            gaps: histogram(),
            completed: 0,
            tokens: 0,
            spend: Usd::ZERO,
        }
    }
}

impl RecordSink for Sink {
    fn attempt(&mut self, record: &AttemptRecord) {
        self.spend += record.cost;
    }
    fn request(&mut self, record: &RequestRecord) {
        self.completed += 1;
        self.tokens += u64::from(record.prompt_tokens) + u64::from(record.output_tokens);
        let ttft = record.ttft.unwrap_or_default();
        let tpot = (record.e2e - ttft).0 / u64::from(record.output_tokens.max(2) - 1);
        for (histogram, value) in self.histograms.iter_mut().zip([ttft.0, tpot, record.e2e.0]) {
            histogram.saturating_record(value.max(1));
        }
    }
    fn gaps(&mut self, run: &GapRun) {
        let ns = (run.first_fs / 1_000_000) as u64;
        self.gaps.saturating_record_n(ns, u64::from(run.steps) * u64::from(run.tokens));
    }
    fn series(&mut self, _row: &SeriesRow) {}
}

fn records(index: u64, now: SimTime, took: SimTime, sink: &mut impl RecordSink) {
    let backend = Place::Pool(PoolId(0));
    let first = SimTime(took.0 / 8);
    sink.attempt(black_box(&AttemptRecord {
        request: index,
        try_number: 0,
        backend,
        replica: Some(ReplicaId(0)),
        sent: now,
        first_token: Some(now + first),
        ended: now + took,
        outcome: Outcome::Completed,
        cause: OutcomeCause::None,
        cached_tokens: 0,
        output_tokens: 211,
        preemptions: 0,
        cost: Usd::ZERO,
    }));
    sink.request(black_box(&RequestRecord {
        index,
        arrival: now,
        class: 0,
        tenant: 0,
        session: NO_SESSION,
        prompt_tokens: 1155,
        output_tokens: 211,
        max_output_tokens: 1024,
        outcome: Outcome::Completed,
        cause: OutcomeCause::None,
        backend: Some(backend),
        attempts: 1,
        ttft: Some(first),
        e2e: took,
        ended: now + took,
        cached_tokens: 0,
        shareable_tokens: 0,
        preemptions: 0,
        cost: Usd::ZERO,
        met_slo: true,
        above_bar: None,
    }));
}

/// The order of `sim`'s queue: time, class, key, sequence.
type Entry = (SimTime, u8, u64, u64);

fn delays() -> Vec<SimTime> {
    let mut rng: Xoshiro256PlusPlus = stream(1, 0, "bench.floor", 0, 0);
    (0..4096).map(|_| SimTime(dist::exponential(&mut rng, 50e6).round() as u64 + 1)).collect()
}

/// Replays nothing but events and records; returns what the sink saw.
fn floor(counts: &Counts, delays: &[SimTime]) -> (u64, u64) {
    let mut queue: BinaryHeap<Reverse<Entry>> = BinaryHeap::new();
    let mut sequence = 0;
    let mut push = |queue: &mut BinaryHeap<Reverse<Entry>>, at, replica| {
        sequence += 1;
        queue.push(Reverse((at, 2, replica, sequence)));
    };
    for replica in 0..u64::from(counts.replicas) {
        push(&mut queue, delays[replica as usize], replica);
    }
    let (mut sink, mut done) = (Sink::new(), 0);
    for change in 0..counts.batch_changes {
        let Reverse((now, _, replica, _)) = queue.pop().expect("one event a replica");
        let delay = delays[(change % 4096) as usize];
        push(&mut queue, now + delay, replica);
        let first_fs = u128::from(delay.0) * 1_000_000;
        sink.gaps(black_box(&GapRun { first_fs, more_fs: 0, steps: 8, tokens: 16 }));
        if done * counts.batch_changes < change * counts.requests {
            records(done, now, SimTime(delay.0 * 40), &mut sink);
            done += 1;
        }
    }
    while done < counts.requests {
        records(done, SimTime::ZERO, delays[0], &mut sink);
        done += 1;
    }
    (sink.completed, sink.tokens)
}

fn main() {
    let delays = delays();
    println!("queue and records alone, best of 20 (single thread, so wall is CPU on an idle machine)");
    for counts in &WORKLOADS {
        let best = (0..20).map(|_| {
            #[expect(clippy::disallowed_methods, reason = "a bench measures the host's clock")]
            let started = std::time::Instant::now();
            let (completed, tokens) = black_box(floor(counts, &delays));
            let took = started.elapsed();
            assert_eq!((completed, tokens), (counts.requests, counts.requests * 1366), "records were lost");
            took
        });
        let best = best.min().expect("twenty runs").as_secs_f64();
        println!(
            "{}: {} requests, {} changes of batch, {} replicas: {:.1} ns a change, {:.2} ms in all",
            counts.name,
            counts.requests,
            counts.batch_changes,
            counts.replicas,
            best * 1e9 / counts.batch_changes as f64,
            best * 1e3
        );
    }
}
