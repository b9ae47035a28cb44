//! Which replica was sent a prefix last: an approximate index, built from routing decisions alone.
//!
//! It knows nothing of what engines evict. What it forgets, it forgets by chunks of up to `CHUNK` tokens of one run; what it
//! knows, it knows token by token, as a tree of characters or tokens does.
use crate::types::{Content, ReplicaId, joined};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Tokens a chunk at most.
const CHUNK: u32 = 512;
/// Chunks remembered; the oldest is forgotten first. SGLang's router keeps a tree of 2^26 characters (spec/routers.md 3.1),
/// which is about 2^15 chunks of 512 tokens for each of 2^5 replicas.
const CAPACITY: usize = 1 << 20;

/// How far into a chunk prompts went and to which replica they were sent: those that no later one went as far as, so that
/// lengths fall.
type Sent = SmallVec<[(u32, ReplicaId); 1]>;

/// A chunk of a prompt: what begins at one place of one text behind one prefix.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    name: u64,
    /// Tokens of the prompt before it, and its own.
    before: u32,
    len: u32,
}

/// See the module head.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    last: FxHashMap<u64, Sent>,
    order: VecDeque<u64>,
    /// Chunks of the last prompt looked up.
    path: Vec<Chunk>,
}

impl Tree {
    /// The replica that was sent the longest known prefix of the prompt looked up last most lately, and that prefix's tokens.
    pub fn longest(&self) -> Option<(ReplicaId, u32)> {
        // A chunk's name says all before it, so the last one that is known is where the known prefix ends.
        self.path.iter().rev().find_map(|chunk| {
            let sent = self.last.get(&chunk.name)?;
            let matched = sent.first()?.0.min(chunk.len);
            let (_, replica) = sent.iter().rev().find(|(len, _)| *len >= matched)?;
            Some((*replica, chunk.before + matched))
        })
    }

    /// Takes note that the prompt looked up last goes to `replica`.
    pub fn sent(&mut self, replica: ReplicaId) {
        for &Chunk { name, len, .. } in &self.path {
            let sent = self.last.entry(name).or_default();
            if sent.is_empty() {
                self.order.push_back(name);
            }
            sent.retain(|(other, _)| *other > len);
            sent.push((len, replica));
        }
        while self.order.len() > CAPACITY {
            let oldest = self.order.pop_front().expect("prefix-index: it is longer than its capacity");
            self.last.remove(&oldest);
        }
    }

    /// Looks a prompt up.
    pub fn look(&mut self, prompt: &Content) {
        self.path.clear();
        let (mut name, mut before, mut len) = (0u64, 0, 0);
        for run in joined(prompt.runs()) {
            let mut at = 0;
            while at < run.len {
                let mut hasher = FxHasher::default();
                (name, len, run.id, run.start + at).hash(&mut hasher);
                (name, len) = (hasher.finish(), CHUNK.min(run.len - at));
                self.path.push(Chunk { name, before, len });
                (before, at) = (before + len, at + len);
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

    fn longest(index: &mut Tree, prompt: &Content) -> Option<(ReplicaId, u32)> {
        index.look(prompt);
        index.longest()
    }

    #[test]
    fn the_longest_prefix_wins_and_the_last_sender_owns_it() {
        let mut index = Tree::default();
        assert_eq!(longest(&mut index, &prompt(&[(1, 600), (2, 100)])), None);
        index.sent(ReplicaId(3));
        assert_eq!(longest(&mut index, &prompt(&[(1, 600), (2, 100), (9, 5)])), Some((ReplicaId(3), 700)));
        assert_eq!(longest(&mut index, &prompt(&[(1, 600), (4, 100)])), Some((ReplicaId(3), 600)));
        index.sent(ReplicaId(5));
        assert_eq!(longest(&mut index, &prompt(&[(1, 512)])), Some((ReplicaId(5), 512)));
        assert_eq!(longest(&mut index, &prompt(&[(2, 100)])), None, "the same text after another prefix is another");
        assert_eq!(longest(&mut index, &Content::private(7, 900)), None);
        assert_eq!(
            longest(&mut index, &prompt(&[(1, 550)])),
            Some((ReplicaId(5), 550)),
            "a match may end inside a run"
        );
        index.sent(ReplicaId(6));
        assert_eq!(longest(&mut index, &prompt(&[(1, 540)])), Some((ReplicaId(6), 540)));
        assert_eq!(
            longest(&mut index, &prompt(&[(1, 600), (2, 60)])),
            Some((ReplicaId(3), 660)),
            "behind it the former one owns"
        );
    }
}
