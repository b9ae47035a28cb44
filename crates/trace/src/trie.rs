//! Beginnings of prompts, token by token, however runs cut them: what an infinite prefix cache knows.
use baseload_core::types::{ContentId, Entry};
use rustc_hash::FxHashMap;

/// A radix tree over runs. An edge is a stretch of one content; a node is named by a number, the root by 0.
#[derive(Debug, Default)]
pub struct Prefixes {
    /// (node, whose tokens, from which) to the edge there.
    edges: FxHashMap<(u32, ContentId, u32), Edge>,
    nodes: u32,
    prompts: u64,
}

/// A stretch of one content.
#[derive(Debug, Clone, Copy)]
struct Edge {
    tokens: u32,
    /// The node at its end.
    end: u32,
    /// The last prompt that had it, numbered from 1.
    last: u64,
}

/// What earlier prompts have of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hit {
    /// Leading tokens that some earlier prompt began with.
    pub tokens: u32,
    /// How many prompts ago the longest such beginning was last used, 0 where there is none.
    pub back: u64,
}

impl Prefixes {
    /// Adds a prompt, its private text included, which a later one may name; returns how many of its leading tokens some
    /// earlier prompt began with.
    pub fn insert(&mut self, entry: &Entry) -> Hit {
        let (mut node, mut hit, mut whole) = (0, Hit::default(), true);
        self.prompts += 1;
        let now = self.prompts;
        for run in entry.prompt() {
            let (mut start, mut left) = (run.start, run.len);
            while left > 0 {
                match self.edges.get_mut(&(node, run.id, start)) {
                    Some(edge) => {
                        let same = edge.tokens.min(left);
                        if whole {
                            hit = Hit { tokens: hit.tokens + same, back: now - edge.last };
                        }
                        if same == edge.tokens {
                            (node, edge.last) = (edge.end, now);
                        } else {
                            node = self.split(node, run.id, start, same, now);
                        }
                        start += same;
                        left -= same;
                    }
                    None => {
                        whole = false;
                        self.nodes += 1;
                        let edge = Edge { tokens: left, end: self.nodes, last: now };
                        self.edges.insert((node, run.id, start), edge);
                        node = self.nodes;
                        left = 0;
                    }
                }
            }
        }
        hit
    }

    /// Cuts an edge after `at` tokens; returns the node there.
    fn split(&mut self, node: u32, id: ContentId, start: u32, at: u32, now: u64) -> u32 {
        self.nodes += 1;
        let middle = self.nodes;
        if let Some(edge) = self.edges.get_mut(&(node, id, start)) {
            let whole = std::mem::replace(edge, Edge { tokens: at, end: middle, last: now });
            self.edges.insert((middle, id, start + at), Edge { tokens: whole.tokens - at, ..whole });
        }
        middle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::random::{dist::uniform01, stream};
    use baseload_core::types::{Content, Run};

    #[test]
    fn hits_are_those_of_comparing_with_every_earlier_prompt() {
        let mut rng = stream(1, 0, "trie", 0, 0);
        let mut pick = |n: u32| (uniform01(&mut rng) * f64::from(n)) as u32;
        let (mut prefixes, mut past): (_, Vec<Content>) = (Prefixes::default(), Vec::new());
        for id in 0..400u64 {
            let mut content = Vec::new();
            for _ in 0..pick(5) {
                let start = pick(2) * 5;
                content.push(Run { id: ContentId::Named(u64::from(pick(3))), start, len: 1 + pick(9) });
            }
            let named: u32 = content.iter().map(|r| r.len).sum();
            let entry = Entry { id, prompt_tokens: named + 3, content, ..Entry::blank() };
            let mut whole = entry.content.clone();
            whole.push(Run { id: ContentId::Private(id), start: 0, len: 3 });
            let whole = Content::from(whole);
            let slow = past.iter().map(|p| p.shared_prefix(&whole)).max().unwrap_or(0);
            let last = past.iter().rposition(|p| slow > 0 && p.shared_prefix(&whole) == slow);
            let back = last.map_or(0, |i| id - i as u64);
            assert_eq!(prefixes.insert(&entry), Hit { tokens: slow as u32, back }, "{id}");
            past.push(whole);
        }
    }
}
