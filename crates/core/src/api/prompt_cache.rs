//! A provider's prompt cache: which leading tokens of which prompts it has seen and still holds (spec/apis.md 4.2).
//!
//! Prompts are paths of runs: a node is one content, from one place on, behind one prefix, and says how far prompts went
//! into it and when last. So a prompt costs one look-up a run, however long it is, and identity is exact.
//!
//! Must keep true: what is read was written no longer than the time to live before (`reads-were-written`); nothing expired
//! is kept; a call allocates nothing once the tables have grown.
use crate::types::{Content, ContentId, Run, SimTime, joined};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// At which places of a prompt a cache entry may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// By itself, in steps of so many tokens above the least.
    Steps(u32),
    /// Where the client puts breakpoints, at most [`BREAKPOINTS`]. A client that asks for the provider's automatic cache puts
    /// one at the end of its prompt, and we let it mark the ends of the last two blocks before, and the first one that is long
    /// enough (its system prompt). A block is a run of the prompt: a message, a document.
    Breakpoints,
}

/// Breakpoints of a prompt at most (spec/apis.md 4.2).
pub const BREAKPOINTS: usize = 4;
/// Block ends that are looked at for each breakpoint, from it backwards, itself included (spec/apis.md 4.2, [K]).
pub const LOOK_BACK: usize = 20;

/// When a prompt is cached, how a hit is counted, and whether writing costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRule {
    /// Shortest prefix that is cached, tokens.
    pub min_tokens: u32,
    /// At which places of a prompt an entry may end.
    pub kind: CacheKind,
    /// Idle time after which an entry is gone; each use begins it anew.
    pub ttl: SimTime,
    /// Whether written tokens have a price of their own.
    pub priced_writes: bool,
}

impl CacheRule {
    /// OpenAI's automatic cache up to GPT-5.5: 1,024 tokens, steps of 128, 5 minutes idle, free writes (spec/apis.md 4.2).
    #[cfg(test)]
    pub const OPENAI: CacheRule =
        CacheRule { min_tokens: 1024, kind: CacheKind::Steps(128), ttl: SimTime::from_secs(300), priced_writes: false };

    /// Billable cached tokens of a match of `matched` tokens.
    pub fn hit(&self, matched: u32) -> u32 {
        match self.kind {
            _ if matched < self.min_tokens => 0,
            CacheKind::Steps(step) => self.min_tokens + (matched - self.min_tokens) / step * step,
            CacheKind::Breakpoints => matched,
        }
    }
    /// Tokens that a call writes at a price of their own, of a prompt of `prompt` tokens of which `read` were read.
    pub fn written(&self, prompt: u32, read: u32) -> u32 {
        if self.priced_writes { self.hit(prompt).saturating_sub(read) } else { 0 }
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

/// A node by what names it: the node before, how far into that, whose tokens, from which on.
type Name = (u32, u32, ContentId, u32);

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node {
    name: Name,
    /// When a prompt last went through here: never before any node behind it.
    used: SimTime,
    /// Neighbours in the order of use.
    older: u32,
    newer: u32,
    /// Lengths into this content that are held, and when each was last used. For steps only those that no longer and later
    /// one makes needless.
    held: SmallVec<[(u32, SimTime); 1]>,
}

/// What a provider holds. It never has what expired before the last call.
#[derive(Debug)]
pub struct PromptCache {
    rule: CacheRule,
    names: FxHashMap<Name, u32>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl PromptCache {
    /// An empty cache.
    pub fn new(rule: CacheRule) -> PromptCache {
        let (names, nodes, free) = (FxHashMap::default(), Vec::new(), Vec::new());
        PromptCache { rule, names, nodes, free, oldest: NONE, newest: NONE }
    }

    /// Looks a prompt up, stores it and refreshes what it used; returns what is to be billed.
    pub fn touch(&mut self, content: &Content, now: SimTime) -> CacheUse {
        self.forget(now);
        let prompt = u32::try_from(content.tokens()).unwrap_or(u32::MAX);
        if prompt < self.rule.min_tokens {
            return CacheUse::default();
        }
        let read = match self.rule.kind {
            CacheKind::Steps(_) => {
                let matched = self.touch_steps(content.runs(), now);
                self.rule.hit(matched)
            }
            CacheKind::Breakpoints => self.touch_breakpoints(content.runs(), now),
        };
        CacheUse { read, written: self.rule.written(prompt, read) }
    }

    /// Nodes that it holds.
    pub fn len(&self) -> usize {
        self.names.len()
    }
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn alive(&self, used: SimTime, now: SimTime) -> bool {
        now.since(used) <= self.rule.ttl
    }

    /// Tokens from the start that some prompt within the time to live had too.
    fn touch_steps(&mut self, runs: &[Run], now: SimTime) -> u32 {
        let ttl = self.rule.ttl;
        let (mut before, mut into, mut matched, mut matching) = (NONE, 0, 0, true);
        for run in joined(runs) {
            let at = self.pass((before, into, run.id, run.start), now);
            let held = &mut self.nodes[at as usize].held;
            held.retain(|(_, used)| now.since(*used) <= ttl);
            if matching {
                let most = held.iter().map(|(len, _)| (*len).min(run.len)).max().unwrap_or(0);
                matched += most;
                matching = most == run.len;
            }
            held.retain(|(len, _)| *len > run.len);
            held.push((run.len, now));
            (before, into) = (at, run.len);
        }
        matched
    }

    /// The longest prefix that ends where an entry is held, and is seen from a breakpoint.
    fn touch_breakpoints(&mut self, runs: &[Run], now: SimTime) -> u32 {
        let min = u64::from(self.rule.min_tokens);
        let (mut blocks, mut first, mut tokens) = (0usize, usize::MAX, 0u64);
        for run in joined(runs) {
            tokens += u64::from(run.len);
            if tokens >= min {
                first = first.min(blocks);
            }
            blocks += 1;
        }
        let marks: [usize; BREAKPOINTS] = [1, 2, 3, blocks - first].map(|back| blocks.wrapping_sub(back));
        let marked = |block: usize| block >= first && marks.contains(&block);
        let seen = |block: usize| {
            block >= first && marks.iter().any(|m| *m < blocks && *m >= first && block <= *m && m - block < LOOK_BACK)
        };
        let (mut before, mut into, mut tokens) = (NONE, 0, 0);
        let mut read = (0, NONE, 0);
        for (block, run) in joined(runs).enumerate() {
            let at = self.pass((before, into, run.id, run.start), now);
            let (ttl, held) = (self.rule.ttl, &mut self.nodes[at as usize].held);
            tokens += run.len;
            held.retain(|(_, used)| now.since(*used) <= ttl);
            let entry = held.iter_mut().find(|(len, _)| *len == run.len);
            if entry.is_some() && seen(block) {
                read = (tokens, at, run.len);
            }
            match entry {
                Some((_, used)) if marked(block) => *used = now,
                None if marked(block) => held.push((run.len, now)),
                _ => {}
            }
            (before, into) = (at, run.len);
        }
        let (tokens, at, len) = read;
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.held.iter_mut().filter(|(l, _)| *l == len).for_each(|(_, used)| *used = now);
        }
        tokens
    }

    /// The node of this name, made where there is none, as the one used last.
    fn pass(&mut self, name: Name, now: SimTime) -> u32 {
        if let Some(at) = self.names.get(&name).copied() {
            self.unlink(at);
            self.link(at, now);
            return at;
        }
        let node = Node { name, used: now, older: NONE, newer: NONE, held: SmallVec::new() };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        self.names.insert(name, at);
        self.link(at, now);
        at
    }

    fn link(&mut self, at: u32, now: SimTime) {
        let newest = self.newest;
        let node = &mut self.nodes[at as usize];
        (node.used, node.older, node.newer) = (now, newest, NONE);
        match self.nodes.get_mut(newest as usize) {
            Some(last) => last.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let (older, newer) = (self.nodes[at as usize].older, self.nodes[at as usize].newer);
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }

    /// Drops what expired. What lies behind an expired node expired too, and goes in the same sweep, so that no name is left
    /// that speaks of a node whose number was given away.
    fn forget(&mut self, now: SimTime) {
        while let Some(node) = self.nodes.get(self.oldest as usize).filter(|n| !self.alive(n.used, now)) {
            let (at, name) = (self.oldest, node.name);
            self.unlink(at);
            self.names.remove(&name);
            self.nodes[at as usize].held = SmallVec::new();
            self.free.push(at);
        }
    }
}

#[cfg(test)]
#[path = "prompt_cache_tests.rs"]
mod tests;
