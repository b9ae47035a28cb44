//! Properties of every schedule and of the replica around it. `PROPTEST_CASES=10000 cargo test --release properties` is
//! the long run.
mod clock;
mod equal;
mod limits;

use super::testkit::job;
use super::*;
use crate::types::{Content, ContentId, Job, Run};
use proptest::prelude::*;

/// Cases of each property: `PROPTEST_CASES`, else 300.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn configs() -> impl Strategy<Value = VllmConfig> {
    prop_oneof![3 => any_config(), 1 => priority_tight()]
}

/// The priority policy in so few blocks that running requests preempt each other and themselves.
fn priority_tight() -> impl Strategy<Value = VllmConfig> {
    let pool = prop_oneof![(Just(4u32), 26u32..44), (Just(16), 8u32..12)];
    (any_config(), pool, 3u32..8, 20u32..200).prop_map(|(config, (block_size, num_blocks), seqs, budget)| VllmConfig {
        block_size,
        num_blocks,
        max_num_seqs: seqs,
        max_num_batched_tokens: if config.chunked_prefill { budget } else { 500 },
        policy: QueuePolicy::Priority,
        watermark: 0.0,
        ..config
    })
}

fn any_config() -> impl Strategy<Value = VllmConfig> {
    let block_size = prop_oneof![Just(1u32), Just(4), Just(16)];
    let sizes = (block_size, 8u32..60, 1u32..8, prop_oneof![1u32..20, 20u32..200]);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.9));
    (sizes, switches, prop_oneof![Just(0u32), Just(7)], 0.0..0.3f64).prop_map(|(sizes, switches, cap, watermark)| {
        let ((block_size, num_blocks, seqs, budget), (cache, priority, gate, two, chunked)) = (sizes, switches);
        VllmConfig {
            block_size,
            num_blocks,
            max_num_seqs: seqs,
            // What may not be cut must fit a step.
            max_num_batched_tokens: if chunked { budget } else { 500 },
            chunked_prefill: chunked,
            prefix_caching: cache,
            policy: if priority { QueuePolicy::Priority } else { QueuePolicy::Fcfs },
            reserve_full_isl: gate,
            async_scheduling: two,
            long_prefill_token_threshold: cap,
            watermark: if watermark < 0.1 { 0.0 } else { watermark },
            ..VllmConfig::default()
        }
    })
}

/// One request of a drawn workload.
#[derive(Debug, Clone)]
struct Draw {
    /// Gap to the arrival before.
    gap: u64,
    /// Tokens of one of three shared texts, then of private text.
    shared: (u64, u32),
    own: u32,
    /// Goes on as this request before it does: its prompt holds the same text and then so many tokens of what the other
    /// generates, which may still be running.
    after: Option<(usize, u32)>,
    /// At most so many tokens are taken from the other request: the prompt leaves that request's text, or its output,
    /// early.
    most: Option<u32>,
    /// Is that request over again: the same prompt, and as `output_of` says the same answer.
    again: bool,
    output: u32,
    priority: i32,
    /// So long after its arrival the request's client goes away.
    leaves: Option<u64>,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let leaves = prop_oneof![5 => Just(None), 1 => (0u64..60).prop_map(Some)];
    let after = prop_oneof![3 => Just(None), 1 => (0usize..25, 1u32..30).prop_map(Some)];
    let text = (prop_oneof![2 => 0u64..3, 1 => 3u64..40], (0u64..3, 0u32..40), 1u32..60);
    let most = prop_oneof![2 => Just(None), 1 => (1u32..80).prop_map(Some)];
    let after = (after, most, prop::bool::weighted(0.3));
    let one = (text, after, prop_oneof![1u32..6, 1u32..60], -1i32..2, leaves).prop_map(
        |((gap, shared, own), (after, most, again), output, priority, leaves)| Draw {
            gap,
            shared,
            own,
            after,
            most,
            again,
            output,
            priority,
            leaves,
        },
    );
    prop::collection::vec(one, 1..25)
}

/// The job of request `id` of a workload.
fn job_of(workload: &[Draw], id: usize) -> Job {
    let draw = &workload[id];
    let named = |name, len| Run { id: ContentId::Named(name), start: 0, len };
    let private = |of: usize| Run { id: ContentId::Private(of as u64), start: 0, len: workload[of].own };
    let text = |d: &Draw, of: usize| vec![named(d.shared.0, d.shared.1), private(of)];
    let mut runs = match draw.after {
        Some((of, _)) if of < id && draw.again => text(&workload[of], of),
        Some((of, tokens)) if of < id => {
            let mut runs = text(&workload[of], of);
            let len = tokens.min(workload[of].output);
            runs.push(Run { id: ContentId::Output(of as u64), start: 0, len });
            let mut left = draw.most.unwrap_or(u32::MAX);
            for run in &mut runs {
                run.len = run.len.min(left);
                left -= run.len;
            }
            runs.push(private(id));
            runs
        }
        _ => text(draw, id),
    };
    runs.retain(|run| run.len > 0);
    let prompt = runs.iter().map(|r| r.len).sum();
    Job { priority: draw.priority, content: Content::from(runs), ..job(id as u64, prompt, draw.output) }
}

/// What request `id` says, where that is given: text that another request which is asked the same says too. Two requests that
/// run side by side can so fill equal blocks, which no trace makes them do.
fn output_of(workload: &[Draw], id: usize) -> Option<Box<[Run]>> {
    let of = workload[id].after.filter(|&(of, _)| of < id && workload[id].again).map_or(id, |(of, _)| of);
    Some(Box::from([Run { id: ContentId::Output(of as u64), start: 0, len: u32::MAX }]))
}
