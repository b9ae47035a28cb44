//! Prompt identity: what a prompt consists of, as runs of named tokens (design: "Prompt identity").
use std::sync::Arc;

/// Who a run of tokens belongs to. Two tokens are equal iff their content id and position in it are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentId {
    /// A block or text named by the trace (a Mooncake hash id, a shared system prompt).
    Named(u64),
    /// What request `index` generates.
    Output(u64),
    /// Unnamed prompt text of request `index`, shared with nobody.
    Private(u64),
}

/// `len` tokens of `id` from position `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Whose tokens.
    pub id: ContentId,
    /// First token, counted inside the content.
    pub start: u32,
    /// Tokens.
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
    /// `tokens` tokens that only request `index` has.
    pub fn private(index: u64, tokens: u32) -> Content {
        Content(Runs::One([Run { id: ContentId::Private(index), start: 0, len: tokens }]))
    }
    /// Its runs, in the prompt's order.
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
    /// that are its own. What is private to an earlier request of its session came with that one.
    pub fn shareable_tokens(&self, index: u64) -> u32 {
        self.runs().iter().take_while(|r| r.id != ContentId::Private(index)).map(|r| r.len).sum()
    }
    /// Leading tokens that both share.
    pub fn shared_prefix(&self, other: &Content) -> u64 {
        let (mut a, mut b) = (self.runs().iter().copied(), other.runs().iter().copied());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64, start: u32, len: u32) -> Run {
        Run { id: ContentId::Named(id), start, len }
    }

    #[test]
    fn prefixes_are_compared_token_by_token_across_run_borders() {
        let a = Content::from([run(1, 0, 10), run(1, 10, 10), run(2, 0, 5)]);
        let b = Content::from([run(1, 0, 20), run(2, 0, 3), run(3, 0, 9)]);
        assert_eq!(a.shared_prefix(&b), 23);
        assert_eq!(a.shared_prefix(&Content::private(0, 25)), 0);
    }
}
