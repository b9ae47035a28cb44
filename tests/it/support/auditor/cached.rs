//! Cached tokens of own attempts against everything that was ever written: a trie of tokens for each life of a replica, which
//! knows no pool, no block table and no eviction.
//!
//! An attempt writes its prompt and its answer, and nothing before it is sent. It is admitted before its first token, or
//! before it ends without one. So what it finds is at most the longest beginning of its prompt that another attempt
//! wrote there which was sent before that, in whole blocks, and never all of the prompt.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::replay::fleet;
use super::requests::Life;
use super::trace::{Ask, Kind, Run};
use std::collections::BTreeMap;

type Token = (Kind, u64, u32);

/// Who wrote a token behind its prefix: the first writer and when it was sent, and when the next was.
struct Node {
    by: (u64, u32),
    sent: u64,
    again: Option<u64>,
}

/// All that was written in one life of a replica.
#[derive(Default)]
struct Written {
    next: BTreeMap<(usize, Token), usize>,
    nodes: Vec<Node>,
}

fn tokens(runs: &[Run]) -> impl Iterator<Item = Token> + '_ {
    runs.iter().flat_map(|r| (r.start..r.start + r.len).map(|at| (r.kind, r.id, at)))
}

impl Written {
    /// Adds what attempt `by` may write from `sent` on; attempts come in the order in which they are sent.
    fn add(&mut self, runs: &[Run], by: (u64, u32), sent: u64) {
        let mut at = usize::MAX;
        for token in tokens(runs) {
            at = match self.next.get(&(at, token)) {
                Some(&node) => {
                    self.nodes[node].again.get_or_insert(sent);
                    node
                }
                None => {
                    self.nodes.push(Node { by, sent, again: None });
                    self.next.insert((at, token), self.nodes.len() - 1);
                    self.nodes.len() - 1
                }
            };
        }
    }

    /// Leading tokens of `runs` that others than attempt `but` wrote who were sent before `before`.
    fn longest(&self, runs: &[Run], but: (u64, u32), before: u64) -> u32 {
        let (mut at, mut found) = (usize::MAX, 0);
        for token in tokens(runs) {
            let Some(&node) = self.next.get(&(at, token)) else { break };
            let Node { by, sent, again } = self.nodes[node];
            if !(by != but && sent < before || again.is_some_and(|sent| sent < before)) {
                break;
            }
            (at, found) = (node, found + 1);
        }
        found
    }
}

/// Complains of every own attempt that had more cached than that.
pub fn cached(c: &mut Complaints, facts: &Facts, policy: &Policy, asks: &[Ask], lives: &[Life]) {
    let horizon = lives.iter().map(|l| l.request.ended).max().unwrap_or(0);
    let fleet = fleet(facts, policy, horizon);
    let own = lives.iter().zip(asks).flat_map(|(life, ask)| life.attempts.iter().map(move |a| (ask, *a)));
    let mut own: Vec<_> = own.filter_map(|(ask, a)| Some((ask, a, a.replica? as usize))).collect();
    own.sort_by_key(|(_, a, _)| a.sent);
    // KV dies with its replica: each life begins with nothing.
    let life_of = |replica: usize, sent: u64| {
        fleet.get(replica).map(|r| (replica, r.downs.iter().filter(|d| d.back <= sent).count()))
    };
    let mut written: BTreeMap<(usize, usize), Written> = BTreeMap::new();
    for &(ask, a, replica) in &own {
        let Some(life) = life_of(replica, a.sent) else { continue };
        // What never fits is never admitted.
        if u64::from(ask.prompt) < facts.pools[fleet[replica].pool].context() {
            let output = Run { kind: Kind::Output, id: a.request, start: 0, len: ask.output };
            let whole: Vec<Run> = ask.content.iter().copied().chain([output]).collect();
            written.entry(life).or_default().add(&whole, (a.request, a.try_number), a.sent);
        }
    }
    for &(ask, a, replica) in own.iter().filter(|(_, a, _)| a.cached_tokens > 0) {
        let at = format!("request {} try {} at replica {replica}", a.request, a.try_number);
        let Some(life) = life_of(replica, a.sent) else {
            c.say(format!("{at}: there is no such replica"));
            continue;
        };
        let pool = &facts.pools[fleet[replica].pool];
        let size = pool.block_size as u32;
        let admitted = a.first_token.unwrap_or(a.ended);
        let longest = |w: &Written| w.longest(&ask.content, (a.request, a.try_number), admitted);
        let there = written.get(&life).map_or(0, longest);
        let most = there.min(ask.prompt - 1) / size * size;
        if !pool.vllm || !pool.prefix_caching || a.cached_tokens > most || !a.cached_tokens.is_multiple_of(size) {
            let (cached, on) = (a.cached_tokens, pool.vllm && pool.prefix_caching);
            c.say(format!(
                "{at}: reads-were-written: {cached} cached tokens; blocks of {size}, caching {on}, {there} of {} were written",
                ask.prompt
            ));
        }
    }
}
