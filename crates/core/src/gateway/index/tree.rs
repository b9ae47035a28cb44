//! Which replica was sent a prefix last: an approximate index, built from routing decisions alone.
//!
//! It knows nothing of what engines evict. Prompts are cut where their runs begin and every `CHUNK` tokens. Private text
//! counts like any other: a session's later turns repeat it, and a router cannot tell.
use crate::types::Content;
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Tokens a chunk at most.
const CHUNK: u32 = 512;
/// Chunks remembered; the oldest is forgotten first. SGLang's router keeps a tree of 2^26 characters (spec/routers.md 3.1),
/// which is about 2^15 chunks of 512 tokens for each of 2^5 replicas.
const CAPACITY: usize = 1 << 20;

/// See the module head.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    last: FxHashMap<u64, u32>,
    order: VecDeque<u64>,
    /// Chunks of the last prompt looked up, with the tokens up to their end.
    path: Vec<(u64, u32)>,
}

impl Tree {
    /// The replica that was sent the longest known prefix of the prompt looked up last most lately, and that prefix's tokens.
    pub fn longest(&self) -> Option<(u32, u32)> {
        self.path.iter().rev().find_map(|(chunk, tokens)| self.last.get(chunk).map(|&replica| (replica, *tokens)))
    }

    /// Takes note that the prompt looked up last goes to `replica`.
    pub fn sent(&mut self, replica: u32) {
        for &(chunk, _) in &self.path {
            if self.last.insert(chunk, replica).is_none() {
                self.order.push_back(chunk);
            }
        }
        while self.order.len() > CAPACITY {
            let oldest = self.order.pop_front().expect("prefix-index: it is longer than its capacity");
            self.last.remove(&oldest);
        }
    }

    /// Looks a prompt up.
    pub fn look(&mut self, prompt: &Content) {
        self.path.clear();
        let (mut parent, mut tokens) = (0u64, 0);
        for run in prompt.runs() {
            let mut at = 0;
            while at < run.len {
                let len = CHUNK.min(run.len - at);
                let mut hasher = FxHasher::default();
                (parent, run.id, run.start + at, len).hash(&mut hasher);
                parent = hasher.finish();
                tokens += len;
                self.path.push((parent, tokens));
                at += len;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ContentId, Run};

    fn prompt(names: &[(u64, u32)]) -> Content {
        let run = |&(n, len): &(u64, u32)| Run { id: ContentId::Named(n), start: 0, len };
        Content::from(names.iter().map(run).collect::<Vec<_>>())
    }

    fn longest(index: &mut Tree, prompt: &Content) -> Option<(u32, u32)> {
        index.look(prompt);
        index.longest()
    }

    #[test]
    fn the_longest_prefix_wins_and_the_last_sender_owns_it() {
        let mut index = Tree::default();
        assert_eq!(longest(&mut index, &prompt(&[(1, 600), (2, 100)])), None);
        index.sent(3);
        assert_eq!(longest(&mut index, &prompt(&[(1, 600), (2, 100), (9, 5)])), Some((3, 700)));
        assert_eq!(longest(&mut index, &prompt(&[(1, 600), (4, 100)])), Some((3, 600)));
        index.sent(5);
        assert_eq!(longest(&mut index, &prompt(&[(1, 512)])), Some((5, 512)));
        assert_eq!(longest(&mut index, &prompt(&[(2, 100)])), None, "the same text after another prefix is another");
        assert_eq!(longest(&mut index, &Content::private(7, 900)), None);
    }
}
