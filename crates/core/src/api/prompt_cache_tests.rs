//! Published vectors, and both kinds of cache beside a slow one that keeps whole prompts token by token.
use super::*;
use proptest::prelude::*;

fn run(id: ContentId, start: u32, len: u32) -> Run {
    Run { id, start, len }
}
fn named(id: u64, len: u32) -> Run {
    run(ContentId::Named(id), 0, len)
}
fn own(request: u64, len: u32) -> Run {
    run(ContentId::Private(request), 0, len)
}
const ANTHROPIC: CacheRule =
    CacheRule { min_tokens: 1024, kind: CacheKind::Breakpoints, ttl: SimTime::from_secs(300), priced_writes: true };

#[test]
fn hits_follow_the_published_steps() {
    let rule = CacheRule::OPENAI;
    assert_eq!([rule.hit(2_006), rule.hit(1_023), rule.hit(1_151)], [1_920, 0, 1_024]);
}

#[test]
fn equal_tokens_are_a_hit_however_the_runs_are_cut() {
    let part = |start, len| run(ContentId::Named(1), start, len);
    let mut cache = PromptCache::new(CacheRule::OPENAI);
    assert_eq!(cache.touch(&Content::from([part(0, 1_300)]), SimTime::ZERO).read, 0);
    let cut = Content::from([part(0, 5), part(5, 700), part(705, 595)]);
    assert_eq!(cache.touch(&cut, SimTime::from_secs(1)).read, 1_280);
}

#[test]
fn a_second_prompt_within_the_ttl_reads_the_shared_prefix() {
    let prompt = |r| Content::from([named(1, 1_300), own(r, 200)]);
    let mut cache = PromptCache::new(CacheRule::OPENAI);
    assert_eq!(cache.touch(&prompt(1), SimTime::ZERO).read, 0);
    assert_eq!(cache.touch(&prompt(2), SimTime::from_secs(299)).read, 1_280);
    assert_eq!(cache.touch(&prompt(3), SimTime::from_secs(700)).read, 0);
}

/// In a closed loop a session's next turn names the text and the answer of the one before as theirs.
#[test]
fn the_next_turn_reads_the_private_text_of_the_one_before() {
    let second = Content::from([own(0, 1_500), run(ContentId::Output(0), 0, 100), own(1, 50)]);
    let mut cache = PromptCache::new(CacheRule::OPENAI);
    assert_eq!(cache.touch(&Content::from([own(0, 1_500)]), SimTime::ZERO).read, 0);
    assert_eq!(cache.touch(&second, SimTime::from_secs(1)).read, 1_408);
    let mut asked = PromptCache::new(ANTHROPIC);
    assert_eq!(asked.touch(&Content::from([own(0, 1_500)]), SimTime::ZERO), CacheUse { read: 0, written: 1_500 });
    assert_eq!(asked.touch(&second, SimTime::from_secs(1)), CacheUse { read: 1_500, written: 150 });
}

#[test]
fn automatic_writes_with_a_price_are_whole_steps_that_were_not_read() {
    let mut cache = PromptCache::new(CacheRule { priced_writes: true, ..CacheRule::OPENAI });
    let prompt = |r| Content::from([named(1, 1_300), own(r, 200)]);
    assert_eq!(cache.touch(&prompt(1), SimTime::ZERO), CacheUse { read: 0, written: 1_408 });
    assert_eq!(cache.touch(&prompt(2), SimTime::ZERO), CacheUse { read: 1_280, written: 128 });
    assert_eq!(cache.touch(&Content::from([own(3, 1_023)]), SimTime::ZERO), CacheUse::default());
}

#[test]
fn breakpoints_hold_block_ends_only_and_use_refreshes_them() {
    let mut cache = PromptCache::new(ANTHROPIC);
    let prompt = |r| Content::from([named(1, 1_300), own(r, 200)]);
    assert_eq!(cache.touch(&prompt(1), SimTime::ZERO), CacheUse { read: 0, written: 1_500 });
    // No step below the end of a block is one.
    assert_eq!(cache.touch(&Content::from([named(1, 1_200), own(9, 1)]), SimTime::ZERO).read, 0);
    for (r, at) in [(2, 299), (3, 590), (4, 880)] {
        assert_eq!(cache.touch(&prompt(r), SimTime::from_secs(at)), CacheUse { read: 1_300, written: 200 }, "{at}");
    }
    assert_eq!(cache.touch(&prompt(5), SimTime::from_secs(1_181)).read, 0, "301 s after its last use");
    assert_eq!(cache.touch(&Content::from([named(1, 1_000)]), SimTime::from_secs(1_181)), CacheUse::default());
}

#[test]
fn a_breakpoint_looks_back_over_twenty_block_ends() {
    let blocks = |n: u64| Content::from((0..n).map(|i| named(i, 1_100)).collect::<Vec<Run>>());
    let second = |n: u64| {
        let mut cache = PromptCache::new(ANTHROPIC);
        cache.touch(&blocks(30), SimTime::ZERO);
        cache.touch(&blocks(n), SimTime::ZERO).read
    };
    // The last breakpoint of 49 blocks looks at 30 to 49; the one two blocks before it at 28 to 47.
    assert_eq!(second(49), 30 * 1_100);
    assert_eq!(second(51), 30 * 1_100);
    // Beyond that only the first block end that was long enough is seen.
    assert_eq!(second(52), 1_100);
}

#[test]
fn what_expired_is_dropped() {
    for rule in [CacheRule::OPENAI, ANTHROPIC] {
        let mut cache = PromptCache::new(rule);
        let mut most = 0;
        for i in 0..10_000u64 {
            cache.touch(&Content::from([named(i % 7, 2_000), own(i, 3_000)]), SimTime::from_secs(i));
            most = most.max(cache.len());
        }
        assert!(most <= 2 * 301 + 7, "{most} nodes for 301 prompts within the time to live");
        assert!(cache.nodes.len() <= most + 1, "{} slots for {most}", cache.nodes.len());
        cache.forget(SimTime::from_secs(20_000));
        assert!(cache.is_empty() && cache.oldest == NONE && cache.newest == NONE);
    }
}

/// A token, by whose it is and where in it.
type Token = (ContentId, u32);

fn tokens(content: &Content) -> Vec<Token> {
    content.runs().iter().flat_map(|r| (r.start..r.start + r.len).map(|t| (r.id, t))).collect()
}

/// Keeps every prefix that was ever written, with when it was written or used last.
#[derive(Default)]
struct Slow(Vec<(Vec<Token>, SimTime)>);

impl Slow {
    fn steps(&mut self, rule: &CacheRule, prompt: Vec<Token>, now: SimTime) -> u32 {
        if prompt.len() < rule.min_tokens as usize {
            return 0;
        }
        let alive = self.0.iter().filter(|(_, used)| now.since(*used) <= rule.ttl);
        let shared = |other: &[Token]| prompt.iter().zip(other).take_while(|(a, b)| a == b).count();
        let most = alive.map(|(other, _)| shared(other)).max().unwrap_or(0);
        self.0.push((prompt, now));
        rule.hit(most as u32)
    }
    fn breakpoints(&mut self, rule: &CacheRule, prompt: Vec<Token>, now: SimTime) -> u32 {
        let min = rule.min_tokens as usize;
        let goes_on = |i: usize| prompt[i - 1].0 == prompt[i].0 && prompt[i - 1].1 + 1 == prompt[i].1;
        let ends: Vec<usize> = (1..=prompt.len()).filter(|i| *i == prompt.len() || !goes_on(*i)).collect();
        let long: Vec<usize> = (0..ends.len()).filter(|b| ends[*b] >= min).collect();
        let mut marks: Vec<usize> = long.iter().rev().take(3).copied().collect();
        marks.extend(long.first());
        let mut best = 0;
        for mark in &marks {
            for block in long.iter().filter(|b| *b <= mark && mark - *b < LOOK_BACK) {
                let prefix = &prompt[..ends[*block]];
                if self.0.iter().any(|(entry, used)| entry == prefix && now.since(*used) <= rule.ttl) {
                    best = best.max(prefix.len());
                }
            }
        }
        for end in marks.iter().map(|m| ends[*m]).chain((best > 0).then_some(best)) {
            self.0.push((prompt[..end].to_vec(), now));
        }
        best as u32
    }
}

fn prompts() -> impl Strategy<Value = Vec<(u64, Vec<Run>)>> {
    let id = prop_oneof![
        4 => (0..3u64).prop_map(ContentId::Named),
        1 => (0..3u64).prop_map(ContentId::Private),
        1 => (0..2u64).prop_map(ContentId::Output)
    ];
    let a_run =
        (id, prop_oneof![4 => Just(0u32), 1 => 0..6u32], 0..12u32).prop_map(|(id, start, len)| run(id, start, len));
    let prompt = (0..40u64, prop::collection::vec(a_run, 1..30));
    prop::collection::vec(prompt, 1..40)
}

proptest! {
    #[test]
    fn both_kinds_read_what_was_written_and_alive(
        all in prompts(), min in 1..20u32, step in 1..5u32, ttl in 1..60u64, priced: bool,
    ) {
        for kind in [CacheKind::Steps(step), CacheKind::Breakpoints] {
            let rule = CacheRule { min_tokens: min, kind, ttl: SimTime(ttl), priced_writes: priced };
            let (mut cache, mut slow, mut now) = (PromptCache::new(rule), Slow::default(), SimTime::ZERO);
            for (gap, runs) in &all {
                now += SimTime(*gap);
                let content = Content::from(runs.clone());
                let all = tokens(&content);
                let n = all.len() as u32;
                let got = cache.touch(&content, now);
                let read = match kind {
                    CacheKind::Steps(_) => slow.steps(&rule, all, now),
                    CacheKind::Breakpoints => slow.breakpoints(&rule, all, now),
                };
                prop_assert_eq!(got.read, read, "{:?} of {:?} at {:?}", kind, runs, now);
                prop_assert!(got.read + got.written <= n);
                prop_assert!(priced || got.written == 0);
                for node in cache.names.keys() {
                    prop_assert!(node.0 == NONE || cache.names.values().any(|at| *at == node.0), "reads-were-written");
                }
            }
        }
    }
}
