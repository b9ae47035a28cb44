//! Prompt identity: what a prompt consists of, as runs of named tokens (design: "Prompt identity").
//!
//! **Who may name what.** A request brings text into the world: what its prompt holds that the trace does not name (its
//! private text) and what it generates (its output). From then on every request may name any stretch of either, be it of the
//! same session or of none, be the request that brought it part of the trace still or cut away; before, nobody may. So text
//! has no owner who could be asked whether two prompts are equal: they share a prefix exactly as far as their tokens are
//! equal one by one, private ones like named ones. Everything that says what a cache has of a prompt obeys this and
//! [`served_prefix`]: both block pools, the statistics of traces, what fits and comparisons are made of, the gateway's
//! prefix indexes and providers' prompt caches.
use std::sync::Arc;

/// Where a run of tokens comes from. Two tokens are equal iff their content id and position in it are; who may name them
/// is said once, in this file's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentId {
    /// A block or text named by the trace (a Mooncake hash id, a shared system prompt).
    Named(u64),
    /// What request `index` generates.
    Output(u64),
    /// Prompt text of request `index` that the trace does not name, counted from the first such token.
    Private(u64),
}

impl ContentId {
    /// The request that brings this text into the world, before which nobody has it; `None` for what was there before all.
    pub fn brought_by(self) -> Option<u64> {
        match self {
            ContentId::Named(_) => None,
            ContentId::Output(index) | ContentId::Private(index) => Some(index),
        }
    }
}

/// `len` tokens of `id` from position `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The content that the tokens are of.
    pub id: ContentId,
    /// First token, counted inside the content.
    pub start: u32,
    /// Length of the run, tokens.
    pub len: u32,
}

/// A prompt as a list of runs; their lengths add up to the prompt's tokens. A single run, which most prompts are, lives
/// in place, so that such a request allocates nothing.
#[derive(Debug, Clone)]
pub struct Content(Runs);

#[derive(Debug, Clone)]
enum Runs {
    One([Run; 1]),
    Many(Arc<[Run]>),
}

impl PartialEq for Content {
    fn eq(&self, other: &Content) -> bool {
        self.runs() == other.runs()
    }
}
impl Eq for Content {}

impl From<Vec<Run>> for Content {
    fn from(runs: Vec<Run>) -> Content {
        match runs[..] {
            [run] => Content(Runs::One([run])),
            _ => Content(Runs::Many(runs.into())),
        }
    }
}

impl From<&[Run]> for Content {
    fn from(runs: &[Run]) -> Content {
        match *runs {
            [run] => Content(Runs::One([run])),
            _ => Content(Runs::Many(runs.into())),
        }
    }
}

impl<const N: usize> From<[Run; N]> for Content {
    fn from(runs: [Run; N]) -> Content {
        match runs[..] {
            [run] => Content(Runs::One([run])),
            _ => Content(Runs::Many(runs.into())),
        }
    }
}

impl Content {
    /// Bytes beside the struct's own; several clones share them.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Runs::One(_) => 0,
            Runs::Many(runs) => size_of_val(&**runs),
        }
    }

    /// `tokens` tokens that request `index` brings.
    pub fn private(index: u64, tokens: u32) -> Content {
        Content(Runs::One([Run { id: ContentId::Private(index), start: 0, len: tokens }]))
    }
    /// Runs of the content, in the prompt's order.
    pub fn runs(&self) -> &[Run] {
        match &self.0 {
            Runs::One(run) => run,
            Runs::Many(runs) => runs,
        }
    }
    /// Total tokens.
    pub fn tokens(&self) -> u64 {
        self.runs().iter().map(|r| u64::from(r.len)).sum()
    }
    /// Leading tokens that some earlier prompt may begin with, if this is the prompt of request `index`: all before the first
    /// that it brings itself.
    pub fn shareable_tokens(&self, index: u64) -> u32 {
        self.runs().iter().take_while(|r| r.id.brought_by() != Some(index)).map(|r| r.len).sum()
    }
    /// Leading tokens that both share.
    pub fn shared_prefix(&self, other: &Content) -> u64 {
        let some = |r: &Run| r.len > 0;
        let (mut a, mut b) = (self.runs().iter().copied().filter(some), other.runs().iter().copied().filter(some));
        let (mut x, mut y) = (a.next(), b.next());
        let mut shared = 0;
        while let (Some(p), Some(q)) = (x, y) {
            if p.id != q.id || p.start != q.start {
                break;
            }
            let n = p.len.min(q.len);
            shared += u64::from(n);
            let rest = |r: Run| (r.len > n).then(|| Run { id: r.id, start: r.start + n, len: r.len - n });
            x = rest(p).or_else(|| a.next());
            y = rest(q).or_else(|| b.next());
        }
        shared
    }
}

/// `runs` with each joined to the one before that it goes on from, and without empty ones: equal prompts have equal runs then,
/// however theirs were cut.
pub fn joined(runs: &[Run]) -> impl Iterator<Item = Run> {
    let mut rest = runs.iter().filter(|r| r.len > 0).copied().peekable();
    std::iter::from_fn(move || {
        let mut run = rest.next()?;
        while let Some(next) = rest.next_if(|n| n.id == run.id && run.start.checked_add(run.len) == Some(n.start)) {
            run.len += next.len;
        }
        Some(run)
    })
}

/// Tokens that a prefix cache in blocks of `block` tokens serves of a prompt of which it has the first `shared`: whole
/// blocks, and never the prompt's last token, because an engine has to compute one.
pub fn served_prefix(shared: u32, prompt_tokens: u32, block: u32) -> u32 {
    shared.min(prompt_tokens.saturating_sub(1)) / block * block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_may_be_shared_up_to_what_its_request_brings() {
        let (old, own) = (ContentId::Private(3), ContentId::Private(9));
        let runs = [old, ContentId::Output(3), own, ContentId::Named(1)];
        let content = Content::from(runs.map(|id| Run { id, start: 0, len: 10 }));
        assert_eq!((content.shareable_tokens(9), content.shareable_tokens(10)), (20, 40));
        assert_eq!(runs.map(ContentId::brought_by), [Some(3), Some(3), Some(9), None]);
    }

    #[test]
    fn a_cache_serves_whole_blocks_and_never_the_last_token() {
        let served = |shared| served_prefix(shared, 48, 16);
        assert_eq!([0, 15, 16, 47, 48].map(served), [0, 0, 16, 32, 32]);
    }

    fn run(id: u64, start: u32, len: u32) -> Run {
        Run { id: ContentId::Named(id), start, len }
    }

    #[test]
    fn prefixes_are_compared_token_by_token_across_run_borders() {
        let a = Content::from([run(1, 0, 10), run(1, 10, 10), run(2, 0, 5)]);
        let b = Content::from([run(4, 0, 0), run(1, 0, 20), run(2, 0, 3), run(3, 0, 9)]);
        assert_eq!(a.shared_prefix(&b), 23);
        assert_eq!(a.shared_prefix(&Content::private(0, 25)), 0);
    }
}
