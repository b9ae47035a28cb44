//! Block identities of the fast pool: segments, runs of blocks named at once.
//!
//! An identity is (segment, index). A segment is named by the identity before it and by where its tokens come from, so
//! equal prefixes get equal identities and a prompt of a thousand blocks costs a handful of look-ups, not a thousand.
//! How a chain is cut depends on its tokens alone: a block of one piece that goes on where the block before it ended
//! belongs to that block's segment; a block with a piece of private text begins a segment that never ends, for only
//! its own request can say what follows. Segments are counted references and forgotten with the last one.
use super::pool::Tokens;
use crate::types::{ContentId, Run};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Index of a segment; dense, and used again once nobody names it.
pub(super) type SegmentId = u32;

/// No segment: the parent of first blocks.
const NONE: u32 = u32::MAX;

/// What names a segment: the block before it, and its first block's pieces; one piece may go on over further blocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    parent: (SegmentId, u32),
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// Whole blocks of one content from `start` on.
    Run { id: ContentId, start: u32 },
    /// One block of several pieces.
    Mixed(SmallVec<[Run; 2]>),
    /// Everything from the first block with private text of this owner on.
    Own(ContentId),
}

/// A named run of blocks, and where copies of them are.
#[derive(Debug)]
pub(super) struct Segment {
    key: Key,
    /// Chains, spans and child segments that name it.
    refs: u32,
    /// Chains among them.
    pub chains: u32,
    /// Spans that were registered first at their indices, by index.
    pub firsts: SmallVec<[u32; 2]>,
    /// Spans of one block registered while another copy was there, in that order.
    pub twins: SmallVec<[u32; 2]>,
    /// Whether one request fills blocks of it that it has not registered yet.
    pub watched: bool,
}

/// All segments that somebody names.
#[derive(Debug, Default)]
pub(super) struct Segments {
    ids: FxHashMap<Key, SegmentId>,
    nodes: Vec<Segment>,
    vacant: Vec<SegmentId>,
    /// Whether a chain has met a watched segment since [`Segments::met_watched`] was asked.
    met: bool,
}

impl Segments {
    /// Whether a chain has met a segment under another chain's watch since this was asked last.
    pub fn met_watched(&mut self) -> bool {
        std::mem::take(&mut self.met)
    }
    pub fn get(&self, id: SegmentId) -> &Segment {
        &self.nodes[id as usize]
    }
    pub fn get_mut(&mut self, id: SegmentId) -> &mut Segment {
        &mut self.nodes[id as usize]
    }
    pub fn retain(&mut self, id: SegmentId) {
        self.nodes[id as usize].refs += 1;
    }

    /// One reference less; what nobody names is forgotten, and so on up the chain.
    pub fn release(&mut self, id: SegmentId) {
        let mut id = id;
        loop {
            let node = &mut self.nodes[id as usize];
            node.refs -= 1;
            if node.refs > 0 {
                return;
            }
            debug_assert!(node.firsts.is_empty() && node.twins.is_empty() && node.chains == 0, "segment-counted");
            let parent = node.key.parent.0;
            self.ids.remove(&node.key);
            self.vacant.push(id);
            if parent == NONE {
                return;
            }
            id = parent;
        }
    }

    /// The segment of this name, for one more chain.
    fn intern(&mut self, key: Key) -> SegmentId {
        if let Some(&id) = self.ids.get(&key) {
            let node = &mut self.nodes[id as usize];
            node.refs += 1;
            node.chains += 1;
            self.met |= node.watched;
            return id;
        }
        if key.parent.0 != NONE {
            self.retain(key.parent.0);
        }
        let node = Segment {
            key: key.clone(),
            refs: 1,
            chains: 1,
            firsts: SmallVec::new(),
            twins: SmallVec::new(),
            watched: false,
        };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as SegmentId
            }
        };
        self.ids.insert(key, id);
        id
    }
}

/// Consecutive blocks of a request in one segment, from its index 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub segment: SegmentId,
    /// Index in the request of the first block.
    pub first: u32,
    pub blocks: u32,
}

/// The identities of one request's full blocks, computed as far as somebody asked.
#[derive(Debug, Default)]
pub(super) struct SegmentChain {
    parts: SmallVec<[Part; 2]>,
    /// Blocks named so far.
    blocks: u32,
    /// Run that the next token comes from, and the tokens of it already used.
    run: usize,
    used: u32,
    /// Where the last part's content goes on, if it is of one content; `Own` parts always go on.
    goes_on: GoesOn,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    #[default]
    No,
    At(ContentId, u32),
    Own,
}

impl SegmentChain {
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Makes sure that the first `blocks` blocks are named.
    pub fn extend(&mut self, segments: &mut Segments, tokens: Tokens<'_>, block_size: u32, blocks: u32) {
        self.walk(tokens, block_size, blocks, |key| Some(segments.intern(key)));
    }

    /// The parts of the first `blocks` blocks as far as somebody has named their segments; names none.
    pub fn known(segments: &Segments, tokens: Tokens<'_>, block_size: u32, blocks: u32) -> SmallVec<[Part; 2]> {
        let mut chain = SegmentChain::default();
        chain.walk(tokens, block_size, blocks, |key| segments.ids.get(&key).copied());
        chain.parts
    }

    fn walk(
        &mut self,
        tokens: Tokens<'_>,
        block_size: u32,
        blocks: u32,
        mut name: impl FnMut(Key) -> Option<SegmentId>,
    ) {
        while self.blocks < blocks {
            if self.goes_on == GoesOn::Own {
                self.lengthen(blocks - self.blocks);
                return;
            }
            let (id, at, contiguous) = self.ahead(tokens, block_size * (blocks - self.blocks));
            if contiguous >= block_size && !matches!(id, ContentId::Private(_)) {
                let whole = (contiguous / block_size).min(blocks - self.blocks);
                if self.goes_on == GoesOn::At(id, at) {
                    self.lengthen(whole);
                } else {
                    let kind = Kind::Run { id, start: at };
                    if !self.begin(kind, whole, &mut name) {
                        return;
                    }
                }
                self.goes_on = GoesOn::At(id, at + whole * block_size);
                self.skip(tokens, whole * block_size);
            } else {
                let pieces = self.pieces(tokens, block_size);
                let private = pieces.iter().find(|run| matches!(run.id, ContentId::Private(_)));
                let (kind, goes_on) = match private {
                    Some(run) => (Kind::Own(run.id), GoesOn::Own),
                    None => (Kind::Mixed(pieces), GoesOn::No),
                };
                if !self.begin(kind, 1, &mut name) {
                    return;
                }
                self.goes_on = goes_on;
            }
        }
    }

    /// Begins a part, if it gets a name.
    fn begin(&mut self, kind: Kind, blocks: u32, name: &mut impl FnMut(Key) -> Option<SegmentId>) -> bool {
        let parent = self.parts.last().map_or((NONE, 0), |p| (p.segment, p.blocks - 1));
        let Some(segment) = name(Key { parent, kind }) else { return false };
        self.parts.push(Part { segment, first: self.blocks, blocks });
        self.blocks += blocks;
        true
    }

    fn lengthen(&mut self, blocks: u32) {
        let last = self.parts.last_mut().expect("segment-chain: what goes on has begun");
        last.blocks += blocks;
        self.blocks += blocks;
    }

    /// The content of the next token, its place in it, and how many tokens (up to about `most`) follow it without a gap.
    fn ahead(&self, tokens: Tokens<'_>, most: u32) -> (ContentId, u32, u32) {
        let (mut i, mut used) = (self.run, self.used);
        let mut run = tokens.run(i);
        while run.len == used {
            (i, used) = (i + 1, 0);
            run = tokens.run(i);
        }
        let (id, at) = (run.id, run.start + used);
        let mut length = run.len - used;
        while length < most && i + 1 < tokens.prompt.len() + tokens.output.len() {
            i += 1;
            let next = tokens.run(i);
            if next.len > 0 && (next.id != id || next.start != at + length) {
                break;
            }
            length = length.saturating_add(next.len);
        }
        (id, at, length)
    }

    fn skip(&mut self, tokens: Tokens<'_>, mut count: u32) {
        while count > 0 {
            let run = tokens.run(self.run);
            let take = count.min(run.len - self.used);
            count -= take;
            self.used += take;
            if self.used == run.len {
                self.run += 1;
                self.used = 0;
            }
        }
    }

    /// Takes the pieces of the next block, merged where they touch.
    fn pieces(&mut self, tokens: Tokens<'_>, block_size: u32) -> SmallVec<[Run; 2]> {
        let mut pieces: SmallVec<[Run; 2]> = SmallVec::new();
        let mut missing = block_size;
        while missing > 0 {
            let run = tokens.run(self.run);
            let take = missing.min(run.len - self.used);
            let start = run.start + self.used;
            match pieces.last_mut() {
                Some(last) if last.id == run.id && last.start + last.len == start => last.len += take,
                _ if take > 0 => pieces.push(Run { id: run.id, start, len: take }),
                _ => {}
            }
            self.skip(tokens, take);
            if take == 0 {
                self.run += 1;
                self.used = 0;
            }
            missing -= take;
        }
        pieces
    }

    /// Forgets everything; the chain can serve another request.
    pub fn clear(&mut self, segments: &mut Segments) {
        for part in self.parts.drain(..).rev() {
            segments.get_mut(part.segment).chains -= 1;
            segments.release(part.segment);
        }
        *self = SegmentChain::default();
    }
}
