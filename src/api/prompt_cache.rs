//! A provider's automatic prompt cache: which leading tokens it saw within its time to live (spec/apis.md 4.2).
use crate::types::{Content, ContentId, Run, SimTime};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// When a prompt is cached, and in what steps a hit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRule {
    /// Shortest hit, tokens.
    pub min_tokens: u32,
    /// Granularity of a hit above that, tokens.
    pub step_tokens: u32,
    /// Idle time after which an entry is gone.
    pub ttl: SimTime,
}

impl CacheRule {
    /// OpenAI's automatic cache: 1,024 tokens, steps of 128, 5 minutes idle (spec/apis.md 4.2).
    pub const OPENAI: CacheRule = CacheRule { min_tokens: 1024, step_tokens: 128, ttl: SimTime::from_secs(300) };

    /// Billable cached tokens of a match of `matched` tokens.
    pub fn hit(&self, matched: u32) -> u32 {
        if matched < self.min_tokens {
            return 0;
        }
        self.min_tokens + (matched - self.min_tokens) / self.step_tokens * self.step_tokens
    }
}

/// What one call reads from the cache and writes to it, prompt tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheUse {
    /// Read, as billed.
    pub read: u32,
    /// Written at a price of its own; 0 where writing costs nothing.
    pub written: u32,
}

type Piece = SmallVec<[Run; 2]>;

/// Prefixes seen, as a trie of `step_tokens` granules with exact identity.
#[derive(Debug)]
pub struct PromptCache {
    rule: CacheRule,
    nodes: FxHashMap<(u64, Piece), (u64, SimTime)>,
    next: u64,
}

impl PromptCache {
    /// An empty cache.
    pub fn new(rule: CacheRule) -> PromptCache {
        PromptCache { rule, nodes: FxHashMap::default(), next: 1 }
    }

    /// Looks the prompt up, stores it, refreshes what it touched; returns what is to be billed.
    /// Text that nobody else can have (private runs) ends the walk.
    pub fn touch(&mut self, content: &Content, now: SimTime) -> CacheUse {
        let granules = granules(content, self.rule.step_tokens);
        let (mut parent, mut matched, mut hitting) = (0u64, 0u32, true);
        for granule in granules {
            let key = (parent, granule);
            let fresh = match self.nodes.get_mut(&key) {
                Some((id, used)) => {
                    let alive = now.since(*used) <= self.rule.ttl;
                    *used = now;
                    parent = *id;
                    alive
                }
                None => {
                    parent = self.next;
                    self.next += 1;
                    self.nodes.insert(key, (parent, now));
                    false
                }
            };
            hitting &= fresh;
            if hitting {
                matched += self.rule.step_tokens;
            }
        }
        CacheUse { read: self.rule.hit(matched), written: 0 }
    }
}

/// Whole granules of the shareable beginning of a prompt.
fn granules(content: &Content, step: u32) -> Vec<Piece> {
    let mut out = Vec::new();
    let (mut piece, mut room) = (Piece::new(), step);
    for run in content.runs().iter() {
        if matches!(run.id, ContentId::Private(_)) {
            break;
        }
        let mut rest = *run;
        while rest.len > 0 {
            let take = rest.len.min(room);
            // Joined where it goes on, so that equal tokens are equal however the runs are cut.
            match piece.last_mut() {
                Some(last) if last.id == rest.id && last.start + last.len == rest.start => last.len += take,
                _ => piece.push(Run { len: take, ..rest }),
            }
            rest = Run { id: rest.id, start: rest.start + take, len: rest.len - take };
            room -= take;
            if room == 0 {
                out.push(std::mem::take(&mut piece));
                room = step;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_follow_the_published_steps() {
        let rule = CacheRule::OPENAI;
        assert_eq!([rule.hit(2_006), rule.hit(1_023), rule.hit(1_151)], [1_920, 0, 1_024]);
    }

    #[test]
    fn equal_tokens_are_a_hit_however_the_runs_are_cut() {
        let run = |start, len| Run { id: ContentId::Named(1), start, len };
        let mut cache = PromptCache::new(CacheRule::OPENAI);
        assert_eq!(cache.touch(&Content::from([run(0, 1_300)]), SimTime::ZERO).read, 0);
        let cut = Content::from([run(0, 5), run(5, 700), run(705, 595)]);
        assert_eq!(cache.touch(&cut, SimTime::from_secs(1)).read, 1_280);
    }

    #[test]
    fn a_second_prompt_within_the_ttl_reads_the_shared_prefix() {
        let shared = Run { id: ContentId::Named(1), start: 0, len: 1_300 };
        let prompt = |r| {
            let private = Run { id: ContentId::Private(r), start: 0, len: 200 };
            Content::from([shared, private])
        };
        let mut cache = PromptCache::new(CacheRule::OPENAI);
        assert_eq!(cache.touch(&prompt(1), SimTime::ZERO).read, 0);
        assert_eq!(cache.touch(&prompt(2), SimTime::from_secs(299)).read, 1_280);
        assert_eq!(cache.touch(&prompt(3), SimTime::from_secs(700)).read, 0);
    }
}
