//! The fast pool: blocks that live and die together are one span, and the free queue is a list of spans.
//!
//! Blocks that were never cached are told apart by nobody. They enter the free queue at its front and leave it there,
//! so they are its beginning, and a count says all about them. The rest of the queue are idle spans; a freed request's
//! blocks queue last block first, so each span leaves the queue from its end. A span is split where a hit ends inside
//! it; who holds a span finds the split-off rest by `next`.
use super::log::KvLog;
use super::pool::{Hits, KvPool, Tokens};
use super::segments::{SegmentChain, SegmentId, Segments};
use crate::types::SimTime;
use smallvec::SmallVec;

const NONE: u32 = u32::MAX;

/// Cached blocks `lo..hi` of a segment, all held by the same requests.
#[derive(Debug, Clone, Copy)]
struct Span {
    segment: SegmentId,
    lo: u32,
    hi: u32,
    /// Requests that hold it; without any it is in the queue.
    refs: u32,
    /// What was split off its end, for holders that hold more than `hi - lo` blocks from here.
    next: u32,
    /// Registered while another copy was there; always one block.
    twin: bool,
    /// Neighbours in the queue of idle spans.
    before: u32,
    after: u32,
}

/// `blocks` blocks from the start of `span`, over what was split off it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    span: u32,
    blocks: u32,
}

/// What one request holds.
#[derive(Debug, Default)]
pub struct SpanTable {
    entries: SmallVec<[Entry; 2]>,
    /// Cached blocks: those of the entries.
    cached: u32,
    /// Blocks after them, not cached.
    plain: u32,
    /// Cached blocks, from the first, that were announced by KV events.
    told: u32,
    chain: SegmentChain,
}

impl SpanTable {
    /// The first part of its chain with a block that is not cached.
    fn first_open_part(&self) -> usize {
        self.chain.parts().partition_point(|p| p.first + p.blocks <= self.cached)
    }
}

/// See the module head.
#[derive(Debug)]
pub struct SpanPool {
    block_size: u32,
    usable: u32,
    /// Blocks lent and not settled.
    lent: u32,
    /// Never cached free blocks: the head of the queue.
    plain: u32,
    /// Blocks of idle spans: the rest of it.
    idle: u32,
    /// Ends of the list of idle spans.
    head: u32,
    tail: u32,
    spans: Vec<Span>,
    vacant: Vec<u32>,
    segments: Segments,
    /// Spans hit by the last look-up, with how many of their blocks.
    hits: Vec<(u32, u32)>,
    scratch: Vec<u32>,
    log: Option<KvLog>,
}

impl SpanPool {
    fn span(&self, id: u32) -> &Span {
        &self.spans[id as usize]
    }

    fn insert(&mut self, span: Span) -> u32 {
        self.segments.retain(span.segment);
        match self.vacant.pop() {
            Some(id) => {
                self.spans[id as usize] = span;
                id
            }
            None => {
                self.spans.push(span);
                (self.spans.len() - 1) as u32
            }
        }
    }

    /// Links an idle span into the queue behind `at` (`NONE`: at its head).
    fn link_after(&mut self, at: u32, id: u32) {
        let after = if at == NONE { self.head } else { self.span(at).after };
        let span = &mut self.spans[id as usize];
        (span.before, span.after) = (at, after);
        self.idle += span.hi - span.lo;
        match at {
            NONE => self.head = id,
            _ => self.spans[at as usize].after = id,
        }
        match after {
            NONE => self.tail = id,
            _ => self.spans[after as usize].before = id,
        }
    }

    fn unlink(&mut self, id: u32) {
        let Span { before, after, lo, hi, .. } = *self.span(id);
        self.idle -= hi - lo;
        match before {
            NONE => self.head = after,
            _ => self.spans[before as usize].after = after,
        }
        match after {
            NONE => self.tail = before,
            _ => self.spans[after as usize].before = before,
        }
    }

    /// Splits a span so that it keeps `blocks` blocks. The rest keeps its place in the queue: before it, if idle.
    fn split(&mut self, id: u32, blocks: u32) {
        let old = *self.span(id);
        debug_assert!(!old.twin && blocks > 0 && blocks < old.hi - old.lo, "span-split: inside of a span");
        let rest = self.insert(Span { lo: old.lo + blocks, before: NONE, after: NONE, ..old });
        let cut = old.hi - old.lo - blocks;
        let kept = &mut self.spans[id as usize];
        (kept.hi, kept.next) = (old.lo + blocks, rest);
        if old.refs == 0 {
            self.idle -= cut;
            self.link_after(old.before, rest);
        }
        let firsts = &mut self.segments.get_mut(old.segment).firsts;
        let at = firsts.iter().position(|&s| s == id).expect("span-listed: a first span is in its segment");
        firsts.insert(at + 1, rest);
    }

    /// Takes `n` blocks from the head of the free queue.
    fn draw(&mut self, n: u32) {
        let plain = n.min(self.plain);
        self.plain -= plain;
        if n > plain {
            self.evict(n - plain);
        }
    }

    /// Evicts the `n` blocks at the head of the idle spans.
    fn evict(&mut self, mut n: u32) {
        while n > 0 {
            let id = self.head;
            assert!(id != NONE, "block-conserved: allocation from an empty free queue");
            let span = &mut self.spans[id as usize];
            let take = n.min(span.hi - span.lo);
            n -= take;
            if take < span.hi - span.lo {
                let Span { segment, hi, .. } = *span;
                span.hi -= take;
                self.idle -= take;
                self.gone(segment, hi - take, hi);
            } else {
                let Span { segment, lo, hi, .. } = *span;
                self.segments.retain(segment);
                self.destroy(id);
                self.gone(segment, lo, hi);
                self.segments.release(segment);
            }
        }
    }

    fn note(&mut self, segment: SegmentId, lo: u32, hi: u32, stored: bool) {
        if let Some(log) = self.log.as_mut().filter(|_| lo < hi) {
            self.segments.retain(segment);
            log.note(segment, lo, hi, stored);
        }
    }

    /// A copy of blocks `lo..hi` is gone.
    fn gone(&mut self, segment: SegmentId, lo: u32, hi: u32) {
        if self.log.is_none() {
            return;
        }
        if hi - lo > 1 && self.segments.get(segment).twins.is_empty() {
            return self.note(segment, lo, hi, false);
        }
        for index in lo..hi {
            if self.copy_at(segment, index).is_none() {
                self.note(segment, index, index + 1, false);
            }
        }
    }

    /// Announces what a table holds cached and nobody was told of, where no other copy is found before it.
    fn announce(&mut self, table: &SpanTable) {
        if self.log.is_none() || table.told >= table.cached {
            return;
        }
        let mut at = 0;
        for entry in &table.entries {
            let (mut id, end) = (entry.span, at + entry.blocks);
            while at < end {
                let Span { segment, lo, hi, next, .. } = *self.span(id);
                let from = lo + table.told.saturating_sub(at).min(hi - lo);
                if from < hi && self.copy_at(segment, from) == Some(id) {
                    self.note(segment, from, hi, true);
                }
                (id, at) = (next, at + hi - lo);
            }
        }
    }

    fn destroy(&mut self, id: u32) {
        self.unlink(id);
        let Span { segment, twin, .. } = *self.span(id);
        let owner = self.segments.get_mut(segment);
        let list = if twin { &mut owner.twins } else { &mut owner.firsts };
        let at = list.iter().position(|&s| s == id).expect("span-listed: a span is in its segment");
        list.remove(at);
        self.segments.release(segment);
        self.vacant.push(id);
    }

    /// The span that holds the last cached block of a table.
    fn last_span(&self, table: &SpanTable) -> u32 {
        let Some(entry) = table.entries.last() else { return NONE };
        let (mut id, mut left) = (entry.span, entry.blocks);
        loop {
            let span = self.span(id);
            let length = span.hi - span.lo;
            if length >= left {
                return id;
            }
            left -= length;
            id = span.next;
        }
    }

    /// The copy of a block that a look-up finds: the one registered first.
    fn copy_at(&self, segment: SegmentId, index: u32) -> Option<u32> {
        self.copy_from(segment, index, &mut 0)
    }

    /// The copy of block `index` of a segment, for a caller who asks for one block after another: `passed` counts the
    /// segment's first spans that end before the block.
    fn copy_from(&self, segment: SegmentId, index: u32, passed: &mut usize) -> Option<u32> {
        let s = self.segments.get(segment);
        // First spans are in order and share no block: only the first that ends later may hold it.
        while let Some(&id) = s.firsts.get(*passed) {
            let span = self.span(id);
            if index < span.lo {
                break;
            }
            if index < span.hi {
                return Some(id);
            }
            *passed += 1;
        }
        s.twins.iter().find(|&&id| (self.span(id).lo..self.span(id).hi).contains(&index)).copied()
    }

    /// Registers block `index` of `segment`, held by one request so far.
    fn register_one(&mut self, table: &mut SpanTable, segment: SegmentId, index: u32) {
        let twin = self.copy_at(segment, index).is_some();
        let last = self.last_span(table);
        if !twin && self.may_grow(last, segment, index) {
            self.grow(table, last, 1);
        } else {
            self.begin(table, segment, index, 1, twin);
        }
    }

    /// Whether the span may take blocks from `index` on: it ends there and its one holder is who asks.
    fn may_grow(&self, id: u32, segment: SegmentId, index: u32) -> bool {
        id != NONE && {
            let s = self.span(id);
            s.segment == segment && s.hi == index && s.refs == 1 && !s.twin
        }
    }

    fn grow(&mut self, table: &mut SpanTable, id: u32, blocks: u32) {
        self.spans[id as usize].hi += blocks;
        table.entries.last_mut().expect("span-held: it grows, so it is held").blocks += blocks;
    }

    fn begin(&mut self, table: &mut SpanTable, segment: SegmentId, lo: u32, blocks: u32, twin: bool) {
        let span = Span { segment, lo, hi: lo + blocks, refs: 1, next: NONE, twin, before: NONE, after: NONE };
        let id = self.insert(span);
        if twin {
            self.segments.get_mut(segment).twins.push(id);
        } else {
            let spans = &self.spans;
            let firsts = &mut self.segments.get_mut(segment).firsts;
            let at = firsts.partition_point(|&s| spans[s as usize].lo < lo);
            firsts.insert(at, id);
        }
        table.entries.push(Entry { span: id, blocks });
    }

    /// Registers blocks `from..to` of a segment; those below `told` are announced.
    fn register(&mut self, table: &mut SpanTable, segment: SegmentId, from: u32, to: u32, told: u32) {
        if self.log.is_some() {
            for index in from..to.min(told.max(from)) {
                if self.copy_at(segment, index).is_none() {
                    self.note(segment, index, index + 1, true);
                }
            }
        }
        let s = self.segments.get(segment);
        let last = self.last_span(table);
        let none_ahead = s.twins.is_empty() && s.firsts.iter().all(|&id| self.span(id).hi <= from);
        if none_ahead && self.may_grow(last, segment, from) {
            self.grow(table, last, to - from);
        } else if none_ahead {
            self.begin(table, segment, from, to - from, false);
        } else {
            (from..to).for_each(|index| self.register_one(table, segment, index));
        }
        table.cached += to - from;
        table.plain -= to - from;
    }
}

impl KvPool for SpanPool {
    type Table = SpanTable;
    const LENDS: bool = true;

    fn new(num_blocks: u32, block_size: u32) -> SpanPool {
        assert!((2..NONE).contains(&num_blocks), "block-pool: {num_blocks} blocks leave none beside the null block");
        SpanPool {
            block_size,
            usable: num_blocks - 1,
            lent: 0,
            plain: num_blocks - 1,
            idle: 0,
            head: NONE,
            tail: NONE,
            spans: Vec::new(),
            vacant: Vec::new(),
            segments: Segments::default(),
            hits: Vec::new(),
            scratch: Vec::new(),
            log: None,
        }
    }

    fn usable(&self) -> u32 {
        self.usable
    }

    fn free_count(&self) -> u32 {
        self.plain + self.idle
    }

    fn held(table: &SpanTable) -> u32 {
        table.cached + table.plain
    }

    fn name(&mut self, table: &mut SpanTable, tokens: Tokens<'_>, blocks: u32) -> bool {
        table.chain.extend(&mut self.segments, tokens, self.block_size, blocks);
        self.segments.met_watched()
    }

    fn cached(&self, tokens: Tokens<'_>, blocks: u32) -> u32 {
        let mut found = 0;
        for part in SegmentChain::known(&self.segments, tokens, self.block_size, blocks) {
            let (mut index, mut passed) = (0, 0);
            while index < part.blocks {
                let Some(id) = self.copy_from(part.segment, index, &mut passed) else { return found + index };
                index = self.span(id).hi.min(part.blocks);
            }
            found += index;
        }
        found
    }

    fn cached_at(&self, tokens: Tokens<'_>, blocks: u32, at: SimTime) -> u32 {
        let mut found = 0;
        let mut cached = Vec::new();
        for part in SegmentChain::known(&self.segments, tokens, self.block_size, blocks) {
            cached.clear();
            cached.resize(part.blocks as usize, false);
            let segment = self.segments.get(part.segment);
            for &id in segment.firsts.iter().chain(&segment.twins) {
                let Span { lo, hi, .. } = *self.span(id);
                cached[lo.min(part.blocks) as usize..hi.min(part.blocks) as usize].fill(true);
            }
            self.log.iter().for_each(|log| log.undo(part.segment, at, &mut cached));
            let prefix = cached.iter().take_while(|c| **c).count() as u32;
            found += prefix;
            if prefix < part.blocks {
                break;
            }
        }
        found
    }

    fn keep_log(&mut self, keep: SimTime) {
        self.log = Some(KvLog::new(keep));
    }

    fn log_kept(&self) -> Option<SimTime> {
        self.log.as_ref().map(KvLog::keep)
    }

    fn stamp(&mut self, now: SimTime) {
        let Some(log) = &mut self.log else { return };
        log.stamp(now);
        while let Some(old) = log.forget() {
            self.segments.release(old.of);
        }
    }

    fn silent_count(&self) -> u32 {
        if self.log.is_some() { self.plain } else { self.free_count() }
    }

    fn look_up(&mut self, table: &mut SpanTable, most: u32) -> Hits {
        self.hits.clear();
        let mut found = Hits::default();
        'parts: for part in table.chain.parts() {
            let end = part.blocks.min(most.saturating_sub(part.first));
            let (mut index, mut passed) = (0, 0);
            while index < end {
                let Some(id) = self.copy_from(part.segment, index, &mut passed) else { break 'parts };
                let (lo, hi, refs) = (self.span(id).lo, self.span(id).hi, self.span(id).refs);
                debug_assert_eq!(lo, index, "span-from-start: a hit begins where a span begins");
                let blocks = hi.min(end) - index;
                self.hits.push((id, blocks));
                found.blocks += blocks;
                found.idle += if refs == 0 { blocks } else { 0 };
                index += blocks;
            }
        }
        found
    }

    fn take_hits(&mut self, table: &mut SpanTable) {
        let hits = std::mem::take(&mut self.hits);
        for &(id, blocks) in &hits {
            if blocks < self.span(id).hi - self.span(id).lo {
                self.split(id, blocks);
            }
            if self.span(id).refs == 0 {
                self.unlink(id);
            }
            self.spans[id as usize].refs += 1;
            table.entries.push(Entry { span: id, blocks });
            table.cached += blocks;
        }
        table.told = table.told.max(table.cached);
        self.hits = hits;
        self.hits.clear();
    }

    fn take(&mut self, table: &mut SpanTable, n: u32) {
        self.draw(n);
        table.plain += n;
    }

    fn cache(&mut self, table: &mut SpanTable, full: u32, told: u32) {
        if full <= table.cached {
            return;
        }
        let mut at = table.first_open_part();
        while table.cached < full {
            let part = table.chain.parts()[at];
            let (from, to) = (table.cached - part.first, part.blocks.min(full - part.first));
            self.register(table, part.segment, from, to, told.saturating_sub(part.first));
            at += 1;
        }
        table.told = table.told.max(full.min(told));
    }

    fn release(&mut self, table: &mut SpanTable) {
        self.announce(table);
        self.plain += table.plain;
        let mut parts = std::mem::take(&mut self.scratch);
        for entry in table.entries.drain(..).rev() {
            parts.clear();
            let (mut id, mut left) = (entry.span, entry.blocks);
            loop {
                parts.push(id);
                let span = self.span(id);
                let length = span.hi - span.lo;
                debug_assert!(length <= left, "span-held-whole: a holder holds all of a span");
                left -= length;
                if left == 0 {
                    break;
                }
                id = span.next;
            }
            for &id in parts.iter().rev() {
                let refs = &mut self.spans[id as usize].refs;
                *refs -= 1;
                if *refs == 0 {
                    self.link_after(self.tail, id);
                }
            }
        }
        self.scratch = parts;
        (table.cached, table.plain, table.told) = (0, 0, 0);
    }

    fn retire(&mut self, table: &mut SpanTable) {
        assert!(table.entries.is_empty() && table.plain == 0, "block-conserved: a request is retired with blocks");
        table.chain.clear(&mut self.segments);
    }

    fn watch(&mut self, table: &mut SpanTable) -> bool {
        let last = self.last_span(table);
        let open = &table.chain.parts()[table.first_open_part()..];
        let alone = open.iter().all(|part| {
            let s = self.segments.get(part.segment);
            let mine = |&id: &u32| id == last && self.span(id).refs == 1 && !self.span(id).twin;
            s.chains == 1 && s.twins.is_empty() && s.firsts.iter().all(mine)
        });
        if alone {
            open.iter().for_each(|part| self.segments.get_mut(part.segment).watched = true);
        }
        alone
    }

    fn unwatch(&mut self, table: &mut SpanTable) {
        for part in table.chain.parts() {
            self.segments.get_mut(part.segment).watched = false;
        }
    }

    fn lend(&mut self, n: u32) {
        self.draw(n);
        self.lent += n;
    }

    fn settle(&mut self, table: &mut SpanTable, n: u32) {
        assert!(n <= self.lent, "block-conserved: {n} blocks to settle, {} lent", self.lent);
        self.lent -= n;
        table.plain += n;
    }

    fn check(&self) {
        let (mut idle, mut at, mut before) = (0, self.head, NONE);
        while at != NONE {
            let span = self.span(at);
            assert!(span.refs == 0 && span.before == before && span.lo < span.hi, "block-conserved: idle span {at}");
            idle += span.hi - span.lo;
            (before, at) = (at, span.after);
        }
        assert!(before == self.tail && idle == self.idle, "block-conserved: {idle} idle, {} counted", self.idle);
        assert!(self.plain + self.idle + self.lent <= self.usable, "block-conserved: more free than there are");
    }
}
