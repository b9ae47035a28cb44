//! The prefix curve against a literal LRU list, and against curves known on paper.
use super::*;
use baseload_core::types::NO_SESSION;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A block as exact as can be: all tokens up to its end.
type Exact = Vec<(ContentId, u32)>;

/// The blocks of a prompt, first to last.
fn exact(entry: &Entry, block: u32) -> Vec<Exact> {
    let mut runs = entry.content.clone();
    let named: u32 = runs.iter().map(|r| r.len).sum();
    runs.push(Run { id: ContentId::Private(entry.id), start: 0, len: entry.prompt_tokens - named });
    let tokens: Exact = runs.iter().flat_map(|r| (r.start..r.start + r.len).map(|at| (r.id, at))).collect();
    (1..=tokens.len() / block as usize).map(|n| tokens[..n * block as usize].to_vec()).collect()
}

/// Tokens that an LRU cache of `size` blocks has of `entries`' prompts: a list, nothing clever.
fn literal(entries: &[Entry], block: u32, size: usize) -> u64 {
    let (mut cache, mut hits): (VecDeque<Exact>, u64) = (VecDeque::new(), 0);
    for entry in entries {
        let blocks = exact(entry, block);
        let eligible = ((entry.prompt_tokens - 1) / block) as usize;
        hits += blocks[..eligible].iter().take_while(|b| cache.contains(b)).count() as u64;
        for b in blocks.into_iter().rev() {
            cache.retain(|c| *c != b);
            cache.push_front(b);
            cache.truncate(size);
        }
    }
    hits * u64::from(block)
}

fn curve(entries: &[Entry], mut reuse: Reuse) -> Option<PrefixCurve> {
    entries.iter().for_each(|e| reuse.add(e));
    reuse.curve()
}

/// The share at a size of 2^k blocks; a curve ends where it stays level.
fn at(curve: &PrefixCurve, k: usize) -> f64 {
    curve.points.get(k).map_or(curve.unlimited, |p| p.hit_share)
}

fn entry(id: u64, content: Vec<Run>, private: u32, session: u64) -> Entry {
    let named: u32 = content.iter().map(|r| r.len).sum();
    Entry { id, content, prompt_tokens: (named + private).max(1), session, ..Entry::blank() }
}

fn named(id: u64, len: u32) -> Run {
    Run { id: ContentId::Named(id), start: 0, len }
}

#[test]
fn a_small_trace_has_the_curve_that_paper_says() {
    // Blocks of 10 tokens. A = 20 tokens, B = 20 tokens; each request asks one of them and has 5 tokens of its own.
    //   A  miss, miss        then in use (most recent first): A0 A1
    //   A  A0 at distance 1, A1 at 2
    //   B  miss, miss        B0 B1 A0 A1
    //   A  A0 at 3, A1 at 4  A0 A1 B0 B1
    //   B  B0 at 3, B1 at 4
    let asks = [1, 1, 2, 1, 2];
    let entries: Vec<Entry> =
        asks.iter().enumerate().map(|(i, &id)| entry(i as u64, vec![named(id, 20)], 5, NO_SESSION)).collect();
    let curve = curve(&entries, Reuse::new(10, true)).unwrap();
    let shares: Vec<f64> = curve.points.iter().map(|p| p.hit_share).collect();
    assert_eq!(shares, [10.0 / 125.0, 20.0 / 125.0, 60.0 / 125.0]);
    assert_eq!((curve.unlimited, curve.distinct_blocks, curve.sampled_one_in), (60.0 / 125.0, 4, 1));
    assert_eq!(curve.points[2], CurvePoint { blocks: 4, tokens: 40, hit_share: 0.48 });
}

#[test]
fn private_text_pushes_out_but_never_hits_and_the_last_token_is_always_computed() {
    // 10 named and 30 private tokens: three private blocks lie between two uses of the named one.
    let entries: Vec<Entry> = (0..4).map(|i| entry(i, vec![named(1, 10)], 30, NO_SESSION)).collect();
    let curve1 = curve(&entries, Reuse::new(10, true)).unwrap();
    // Leaf first: the named block is touched last, so that it is at distance 1.
    assert_eq!(curve1.points.len(), 1);
    assert_eq!((curve1.unlimited, curve1.distinct_blocks), (30.0 / 160.0, 13));
    // A prompt that is nothing but one block has to be computed for its last token.
    let entries: Vec<Entry> = (0..4).map(|i| entry(i, vec![named(1, 10)], 0, NO_SESSION)).collect();
    assert_eq!(curve(&entries, Reuse::new(10, true)).unwrap().unlimited, 0.0);
}

#[test]
fn private_text_that_nobody_names_later_is_counted_and_not_followed() {
    let entries: Vec<Entry> = (0..4).map(|i| entry(i, vec![named(1, 10)], 30, NO_SESSION)).collect();
    let followed = curve(&entries, Reuse::new(10, true)).unwrap();
    let mut counted = Reuse::new(10, false);
    entries.iter().for_each(|e| counted.add(e));
    assert_eq!(counted.marks.len(), 1);
    assert_eq!(counted.curve().unwrap(), followed);
}

#[test]
fn a_later_turn_names_what_its_session_said_before_and_a_trace_without_names_has_no_curve() {
    let turn = |id, private| Run { id: ContentId::Private(id), start: 0, len: private };
    let entries =
        [entry(0, vec![], 25, 3), entry(1, vec![turn(0, 25)], 20, 3), entry(2, vec![turn(0, 25), turn(1, 20)], 20, 3)];
    let curve1 = curve(&entries, Reuse::new(10, true)).unwrap();
    assert_eq!(curve1.unlimited, (20.0 + 40.0) / (25.0 + 45.0 + 65.0));
    assert_eq!(curve(&entries[..1], Reuse::new(10, true)), None);
}

#[test]
fn equal_tokens_are_equal_blocks_however_runs_are_cut() {
    let of = |runs: &[Run], block| {
        let mut all = Vec::new();
        blocks(runs.iter().copied(), block, |h| all.push(h));
        all
    };
    let run = |id, start, len| Run { id: ContentId::Named(id), start, len };
    let a = of(&[run(1, 0, 20), run(2, 0, 12)], 16);
    assert_eq!(a, of(&[run(1, 0, 5), run(1, 5, 0), run(1, 5, 15), run(2, 0, 12)], 16));
    assert_eq!(a.len(), 2);
    let c = of(&[run(3, 0, 16), run(1, 16, 4), run(2, 0, 12)], 16);
    assert!(a[0] != c[0] && a[1] != c[1], "the same tokens after another prefix are another block");
    assert_ne!(of(&[run(1, 0, 4)], 2)[1], of(&[run(1, 0, 2), run(1, 0, 2)], 2)[1]);
}

/// Prompts over few names, so that much is asked again, private text of earlier ones included.
fn prompts() -> impl Strategy<Value = Vec<Entry>> {
    let piece = (0u64..5, 0u32..3, 1u32..9, 0u8..4);
    let one = (prop::collection::vec(piece, 0..5), 0u32..12);
    prop::collection::vec(one, 1..60).prop_map(|all| {
        let mut entries: Vec<Entry> = Vec::new();
        for (i, (pieces, private)) in all.into_iter().enumerate() {
            let run = |(id, start, len, kind): (u64, u32, u32, u8)| {
                let earlier = id as usize % i.max(1);
                match kind {
                    0 if i > 0 => Run { id: ContentId::Private(earlier as u64), start, len },
                    1 => Run { id: ContentId::Output(id), start, len },
                    _ => Run { id: ContentId::Named(id), start, len },
                }
            };
            let content = pieces.into_iter().map(run).collect();
            entries.push(entry(i as u64, content, private, NO_SESSION));
        }
        entries
    })
}

proptest! {
    #[test]
    fn the_curve_is_that_of_a_literal_list_at_every_size(entries in prompts(), block in 1u32..6) {
        let tokens: u64 = entries.iter().map(|e| u64::from(e.prompt_tokens)).sum();
        // Few slots, so that the line is made anew often.
        let found = curve(&entries, Reuse::with(block, 1_000_000, 1));
        prop_assert_eq!(found.is_some(), entries.iter().any(|e| !e.content.is_empty()));
        let Some(found) = found else { return Ok(()) };
        for k in 0..10 {
            prop_assert_eq!(at(&found, k), literal(&entries, block, 1 << k) as f64 / tokens as f64, "2^{} blocks", k);
        }
        prop_assert_eq!(found.unlimited, literal(&entries, block, 1 << 20) as f64 / tokens as f64);
        let mut all: Vec<Exact> = entries.iter().flat_map(|e| exact(e, block)).collect();
        all.sort();
        all.dedup();
        prop_assert_eq!(found.distinct_blocks, all.len() as u64);
    }
}

#[test]
fn a_sample_is_close_to_the_whole_and_says_that_it_is_one() {
    // 40,000 requests over 3,000 prompts of 40 blocks, the n-th asked as often as 1/n, and a hot prefix of 4 blocks.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(state) >> 11) as f64 / (1u64 << 53) as f64
    };
    let entries: Vec<Entry> = (0..40_000)
        .map(|i| {
            let id = libm::exp(next() * libm::log(3_000.0)) as u64;
            entry(i, vec![named(0, 64), named(id, 640)], 40, NO_SESSION)
        })
        .collect();
    let whole = curve(&entries, Reuse::new(16, false)).unwrap();
    let sample = curve(&entries, Reuse { named_later: false, ..Reuse::with(16, 10_000, 64) }).unwrap();
    assert_eq!((whole.sampled_one_in, sample.sampled_one_in), (1, 16));
    for k in 6..whole.points.len() {
        let (a, b) = (at(&whole, k), at(&sample, k));
        assert!((a - b).abs() < 0.02, "2^{k} blocks: {a} and, sampled, {b}");
    }
    let off = sample.distinct_blocks as f64 / whole.distinct_blocks as f64;
    assert!((0.97..1.03).contains(&off), "{off}");
}

#[test]
fn a_prompt_of_absurd_length_takes_no_absurd_memory() {
    let mut reuse = Reuse::with(1, 1_000, 64);
    reuse.add(&entry(0, vec![named(1, 10)], 5_000_000, 7));
    assert!(reuse.marks.len() <= 1_000 && reuse.hashes.capacity() <= 4_000, "{}", reuse.hashes.capacity());
    assert!(reuse.curve().unwrap().sampled_one_in >= 4_096);
}
