//! Block identities of the fast pool: segments, runs of blocks named at once.
//!
//! An identity is (segment, index). A segment is named by the identity before it and by where its tokens come from, so
//! equal prefixes get equal identities and a prompt of a thousand blocks costs a handful of look-ups, not a thousand.
//! A block of one piece that goes on where the block before it ended belongs to that block's segment, whoever's text it
//! is; any other block begins a segment. One thing more goes on: private text that is followed by its request's output, as
//! it is in the request itself and in later turns that repeat it. Where it does so is said by who names the segment
//! first and kept as long as somebody names it (`Segment::over`), so that a request's own text and its output are one
//! segment and one look-up; a chain that leaves the private text elsewhere leaves the segment there, too. Segments are
//! counted references and forgotten with the last one.
use super::pool::Tokens;
use crate::types::{ContentId, Run};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Index of a segment; dense, and used again once nobody names it.
pub(super) type SegmentId = u32;

/// No segment: the parent of first blocks.
const NONE: u32 = u32::MAX;

/// What names a segment: the block before it, and its first block's pieces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    parent: (SegmentId, u32),
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// A block of one content from `start` on.
    Run { id: ContentId, start: u32 },
    /// A block of several pieces.
    Mixed(SmallVec<[Run; 2]>),
}

/// Nowhere: private text that nothing is known to follow.
const NOWHERE: u32 = u32::MAX;

/// A named run of blocks, and where copies of them are.
#[derive(Debug)]
pub(super) struct Segment {
    key: Key,
    /// Where private text that it holds ends and its request's output begins, counted in that text. No block of private text
    /// beyond is of this segment.
    over: u32,
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

    /// The segment of this name, for one more chain, and where its private text is over: there, if it is new.
    fn intern(&mut self, key: Key, over: u32) -> (SegmentId, u32) {
        if let Some(&id) = self.ids.get(&key) {
            let node = &mut self.nodes[id as usize];
            node.refs += 1;
            node.chains += 1;
            self.met |= node.watched;
            return (id, node.over);
        }
        if key.parent.0 != NONE {
            self.retain(key.parent.0);
        }
        let node = Segment {
            key: key.clone(),
            over,
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
        (id, over)
    }
}

/// Whether this run is what the request of this private text generates, from its first token.
fn answers(text: ContentId, run: Run) -> bool {
    matches!((text, run.id), (ContentId::Private(of), ContentId::Output(by)) if of == by) && run.start == 0
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
    /// What the last part's segment holds after it.
    goes_on: Continuation,
    /// Token of its request at which the private text of the chain's last segment is over.
    over: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Continuation {
    /// There is no part yet.
    #[default]
    Nothing,
    /// The segment goes on with this content, from this token of it on.
    At(ContentId, u32),
    /// All that the request has.
    Rest,
}

impl SegmentChain {
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Makes sure that the first `blocks` blocks are named.
    pub fn extend(&mut self, segments: &mut Segments, tokens: Tokens<'_>, block_size: u32, blocks: u32) {
        self.walk(tokens, block_size, blocks, |key, over| Some(segments.intern(key, over)));
    }

    /// The parts of the first `blocks` blocks as far as somebody has named their segments; names none.
    pub fn known(segments: &Segments, tokens: Tokens<'_>, block_size: u32, blocks: u32) -> SmallVec<[Part; 2]> {
        let mut chain = SegmentChain::default();
        let known = |id: &SegmentId| (*id, segments.get(*id).over);
        chain.walk(tokens, block_size, blocks, |key, _| segments.ids.get(&key).map(known));
        chain.parts
    }

    fn walk(
        &mut self,
        tokens: Tokens<'_>,
        block_size: u32,
        blocks: u32,
        mut name: impl FnMut(Key, u32) -> Option<(SegmentId, u32)>,
    ) {
        while self.blocks < blocks {
            let left = blocks - self.blocks;
            if self.goes_on == Continuation::Rest {
                self.lengthen(left);
                return;
            }
            let (id, at, contiguous) = self.ahead(tokens, block_size * left);
            if contiguous >= block_size {
                let most = (contiguous / block_size).min(left);
                let mut whole = most.min(self.room(id, at, block_size));
                if whole > 0 {
                    self.lengthen(whole);
                } else {
                    let over = self.over_at(tokens, id, at);
                    if !self.begin(Kind::Run { id, start: at }, over, &mut name) {
                        return;
                    }
                    self.goes_on = Continuation::At(id, at + block_size);
                    let more = (most - 1).min(self.room(id, at + block_size, block_size));
                    self.lengthen(more);
                    whole = 1 + more;
                }
                self.goes_on = Continuation::At(id, at + whole * block_size);
                self.skip(tokens, whole * block_size);
            } else {
                let pieces = self.pieces(tokens, block_size);
                let last = pieces[pieces.len() - 1];
                let end = last.start + last.len;
                if self.goes_over(&pieces) {
                    self.lengthen(1);
                } else {
                    let over = self.over_at(tokens, last.id, end);
                    if !self.begin(Kind::Mixed(pieces), over, &mut name) {
                        return;
                    }
                }
                self.goes_on = Continuation::At(last.id, end);
            }
            if self.all_follows(tokens) {
                self.goes_on = Continuation::Rest;
            }
        }
    }

    /// Blocks of one content from here on that the last part's segment has room for.
    fn room(&self, id: ContentId, at: u32, block_size: u32) -> u32 {
        match (self.goes_on, id) {
            (Continuation::At(last, to), ContentId::Private(_)) if (last, to) == (id, at) => {
                (self.over - at) / block_size
            }
            (Continuation::At(last, to), _) if (last, to) == (id, at) => u32::MAX,
            (Continuation::At(ContentId::Private(of), to), ContentId::Output(by))
                if of == by && at == 0 && to == self.over =>
            {
                u32::MAX
            }
            _ => 0,
        }
    }

    /// Whether a block of these pieces goes on in the last part's segment: it is where that goes over to the output.
    fn goes_over(&self, pieces: &[Run]) -> bool {
        let ([text, output], Continuation::At(last, to)) = (pieces, self.goes_on) else { return false };
        text.id == last && text.start == to && text.start + text.len == self.over && answers(last, *output)
    }

    /// Token at which private text that has come to `at` is over, if its request's output follows then.
    fn over_at(&self, tokens: Tokens<'_>, id: ContentId, mut at: u32) -> u32 {
        let (mut i, mut used) = (self.run, self.used);
        if !matches!(id, ContentId::Private(_)) {
            return NOWHERE;
        }
        while i < tokens.len() {
            let run = tokens.run(i);
            if run.id == id && run.start + used == at {
                at += run.len - used;
            } else if run.len > used {
                return if answers(id, run) && used == 0 { at } else { NOWHERE };
            }
            (i, used) = (i + 1, 0);
        }
        NOWHERE
    }

    /// Whether the last part's segment holds all that the request has after it, so that nobody has to look again.
    fn all_follows(&self, tokens: Tokens<'_>) -> bool {
        let Continuation::At(id, at) = self.goes_on else { return false };
        let left = tokens.len() - self.run;
        if left == 0 {
            return false;
        }
        let run = tokens.run(self.run);
        let contiguous = run.id == id && run.start + self.used == at;
        match id {
            ContentId::Private(_) if !contiguous => left == 1 && self.used == 0 && at == self.over && answers(id, run),
            ContentId::Private(_) => {
                left == 2 && run.start + run.len == self.over && answers(id, tokens.run(self.run + 1))
            }
            _ => left == 1 && contiguous,
        }
    }

    /// Begins a part of one block, if it gets a name.
    fn begin(&mut self, kind: Kind, over: u32, name: &mut impl FnMut(Key, u32) -> Option<(SegmentId, u32)>) -> bool {
        let parent = self.parts.last().map_or((NONE, 0), |p| (p.segment, p.blocks - 1));
        let Some((segment, over)) = name(Key { parent, kind }, over) else { return false };
        self.parts.push(Part { segment, first: self.blocks, blocks: 1 });
        self.blocks += 1;
        self.over = over;
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
        while length < most && i + 1 < tokens.len() {
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
