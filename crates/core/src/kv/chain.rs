//! Block identities: block `i` is the identity of block `i - 1` and the run pieces inside block `i`.
//!
//! Identities are interned numbers, so equality is exact and never a matter of hash luck. They are counted
//! references: an identity that no chain, cached block or child names is forgotten, so memory stays flat.
use crate::types::Run;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A block's interned identity; dense, and used again once nobody names it.
pub type Identity = u32;

/// The parent of a first block.
const ROOT: Identity = Identity::MAX;

type Pieces = SmallVec<[Run; 2]>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    parent: Identity,
    pieces: Pieces,
}

#[derive(Debug)]
struct Node {
    key: Key,
    refs: u32,
}

/// Gives equal blocks with equal prefixes equal numbers.
#[derive(Debug, Default)]
pub struct Interner {
    ids: FxHashMap<Key, Identity>,
    nodes: Vec<Node>,
    vacant: Vec<Identity>,
}

impl Interner {
    /// Identities somebody names.
    pub fn live(&self) -> usize {
        self.ids.len()
    }

    /// One more reference to `id`.
    pub fn retain(&mut self, id: Identity) {
        let node = &mut self.nodes[id as usize];
        assert!(node.refs > 0, "identity-counted: identity {id} was forgotten");
        node.refs += 1;
    }

    /// One reference less; what nobody names any more is forgotten, and so on up the chain.
    pub fn release(&mut self, id: Identity) {
        let mut id = id;
        loop {
            let node = &mut self.nodes[id as usize];
            assert!(node.refs > 0, "identity-counted: identity {id} released once too often");
            node.refs -= 1;
            if node.refs > 0 {
                return;
            }
            let parent = node.key.parent;
            self.ids.remove(&node.key);
            self.vacant.push(id);
            if parent == ROOT {
                return;
            }
            id = parent;
        }
    }

    /// The identity of the block after `parent` (none for a first block) that holds `pieces`; the caller gets a reference.
    fn intern(&mut self, parent: Identity, pieces: Pieces) -> Identity {
        let key = Key { parent, pieces };
        if let Some(&id) = self.ids.get(&key) {
            self.nodes[id as usize].refs += 1;
            return id;
        }
        if parent != ROOT {
            self.retain(parent);
        }
        let node = Node { key: key.clone(), refs: 1 };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Identity
            }
        };
        self.ids.insert(key, id);
        id
    }
}

/// The identities of one request's full blocks, computed as far as somebody asked.
#[derive(Debug, Default)]
pub struct Chain {
    ids: Vec<Identity>,
    /// Run of `prompt ++ output` that the next token comes from, and the tokens of it already used.
    run: usize,
    used: u32,
}

impl Chain {
    /// Identities known so far, first block first.
    pub fn ids(&self) -> &[Identity] {
        &self.ids
    }

    /// Makes sure that the first `blocks` blocks are known. Their tokens are those of `prompt`, then of `output`.
    pub fn extend(&mut self, interner: &mut Interner, prompt: &[Run], output: &[Run], block_size: u32, blocks: usize) {
        self.walk(prompt, output, block_size, blocks, |parent, pieces| Some(interner.intern(parent, pieces)));
    }

    /// The identities of the first `blocks` blocks as far as somebody has named them; names none.
    pub fn known(interner: &Interner, prompt: &[Run], output: &[Run], block_size: u32, blocks: usize) -> Vec<Identity> {
        let mut chain = Chain::default();
        let named = |parent, pieces| interner.ids.get(&Key { parent, pieces }).copied();
        chain.walk(prompt, output, block_size, blocks, named);
        chain.ids
    }

    fn walk(
        &mut self,
        prompt: &[Run],
        output: &[Run],
        block_size: u32,
        blocks: usize,
        mut name: impl FnMut(Identity, Pieces) -> Option<Identity>,
    ) {
        while self.ids.len() < blocks {
            let mut pieces = Pieces::new();
            let mut missing = block_size;
            while missing > 0 {
                let run = if self.run < prompt.len() { prompt[self.run] } else { output[self.run - prompt.len()] };
                let take = missing.min(run.len - self.used);
                let start = run.start + self.used;
                match pieces.last_mut() {
                    Some(last) if last.id == run.id && last.start + last.len == start => last.len += take,
                    _ if take > 0 => pieces.push(Run { id: run.id, start, len: take }),
                    _ => {}
                }
                missing -= take;
                self.used += take;
                if self.used == run.len {
                    self.run += 1;
                    self.used = 0;
                }
            }
            let parent = self.ids.last().copied().unwrap_or(ROOT);
            let Some(id) = name(parent, pieces) else { return };
            self.ids.push(id);
        }
    }

    /// Forgets everything; the chain can serve another request.
    pub fn clear(&mut self, interner: &mut Interner) {
        for id in self.ids.drain(..).rev() {
            interner.release(id);
        }
        self.run = 0;
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ContentId;

    fn run(id: u64, start: u32, len: u32) -> Run {
        Run { id: ContentId::Named(id), start, len }
    }

    #[test]
    fn equal_tokens_have_equal_identities_however_the_runs_are_cut() {
        let mut interner = Interner::default();
        let (mut a, mut b, mut c) = (Chain::default(), Chain::default(), Chain::default());
        a.extend(&mut interner, &[run(1, 0, 20), run(2, 0, 12)], &[], 16, 2);
        b.extend(&mut interner, &[run(1, 0, 5), run(1, 5, 0), run(1, 5, 15)], &[run(2, 0, 12)], 16, 2);
        c.extend(&mut interner, &[run(3, 0, 16), run(1, 16, 4), run(2, 0, 12)], &[], 16, 2);
        assert_eq!(a.ids(), b.ids());
        assert_ne!(a.ids()[0], c.ids()[0]);
        assert_ne!(a.ids()[1], c.ids()[1], "the same tokens after another prefix are another block");
        a.clear(&mut interner);
        assert_eq!(interner.live(), 4);
        b.clear(&mut interner);
        c.clear(&mut interner);
        assert_eq!(interner.live(), 0, "identity-counted: nobody names a block, none is remembered");
    }
}
