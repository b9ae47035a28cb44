//! One call that several spans show: two instrumentations, one inside the other or side by side; an export that has a span
//! twice; an engine's prefill and decode instances; and spans that carry the sums of calls within them.
//!
//! Of each such call one request is made: its arrival, end, session and tenant are the outer span's, the rest is from whoever
//! has it, inner spans first. Two equal calls one after the other stay two.
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;

/// A span that is a call.
#[derive(Default, Clone)]
pub(super) struct Call {
    /// Where it stands in the file.
    pub(super) line: u64,
    pub(super) trace: String,
    pub(super) id: String,
    /// Who instrumented it.
    pub(super) scope: String,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) prompt: u32,
    pub(super) output: u32,
    pub(super) cached: Option<u32>,
    pub(super) written: Option<u32>,
    pub(super) most_output: Option<u32>,
    /// Names of its model, the one that answered first.
    pub(super) models: Vec<String>,
    pub(super) ttft_ns: Option<u64>,
    pub(super) session: Option<String>,
    pub(super) tenant: Option<String>,
    /// The answer's own id.
    pub(super) response: Option<String>,
    pub(super) cost_usd: Option<f64>,
    pub(super) failed: bool,
    /// The call that an engine's instance worked for, and whether it is the one that decodes.
    pub(super) engine: Option<(String, bool)>,
}

/// Spans of a file.
#[derive(Default)]
pub(super) struct Spans {
    calls: Vec<Call>,
    /// Parent of every span, calls or not, by trace and span id.
    parents: FxHashMap<(String, String), String>,
}

/// Reasons, and the lines of what is left out for them.
pub(super) type LeftOut = Vec<(&'static str, u64)>;

const EXPORTED: &str = "same call seen twice (same span again)";
const ANSWER: &str = "same call seen twice (same response id)";
const NESTED: &str = "same call seen twice (nested)";
const BESIDE: &str = "same call seen twice (side by side)";
const INSTANCES: &str = "same call seen twice (prefill and decode instance)";
const SUM: &str = "sum of the calls within it";

/// Ancestors of a span that are looked at, so that circles of parents end.
const DEEPEST: usize = 256;
/// Spans side by side that are compared with one.
const COMPARED: usize = 64;

impl Call {
    /// Whether two spans may show one call: equal tokens, and a model in common or one that is not named.
    fn like(&self, other: &Call) -> bool {
        let bare = |model: &str| model.rsplit('/').next().unwrap_or(model).to_owned();
        let common = || self.models.iter().any(|a| other.models.iter().any(|b| bare(a) == bare(b)));
        (self.prompt, self.output) == (other.prompt, other.output)
            && (self.models.is_empty() || other.models.is_empty() || common())
    }

    /// Takes what this, the outer span, has not from one within it, and what an inner one knows better.
    fn merge(&mut self, inner: &Call) {
        let ahead = inner.start_ns.saturating_sub(self.start_ns);
        let ttft = inner.ttft_ns.and_then(|ns| u64::try_from(i128::from(ns) + i128::from(ahead)).ok());
        self.ttft_ns = ttft.or(self.ttft_ns);
        self.cached = inner.cached.or(self.cached);
        self.written = inner.written.or(self.written);
        self.most_output = inner.most_output.or(self.most_output);
        self.cost_usd = inner.cost_usd.or(self.cost_usd);
        self.response = inner.response.clone().or(self.response.take());
        if !inner.models.is_empty() {
            self.models.clone_from(&inner.models);
        }
        self.session = self.session.take().or_else(|| inner.session.clone());
        self.tenant = self.tenant.take().or_else(|| inner.tenant.clone());
        self.failed &= inner.failed;
    }
}

impl Spans {
    /// Takes note of a span's place in its trace.
    pub(super) fn knows(&mut self, trace: &str, id: &str, parent: &str) {
        if !id.is_empty() {
            self.parents.insert((trace.to_owned(), id.to_owned()), parent.to_owned());
        }
    }

    /// Adds a call.
    pub(super) fn add(&mut self, call: Call) {
        self.calls.push(call);
    }

    /// The calls above call `i`, nearest first.
    fn above(&self, i: usize, by_id: &FxHashMap<(&str, &str), usize>) -> Vec<usize> {
        let trace = &self.calls[i].trace;
        let (mut id, mut found) = (self.calls[i].id.clone(), Vec::new());
        for _ in 0..DEEPEST {
            let Some(parent) = self.parents.get(&(trace.clone(), id)).filter(|p| !p.is_empty()) else { break };
            found.extend(by_id.get(&(trace.as_str(), parent.as_str())).copied().filter(|&p| p != i));
            id = parent.clone();
        }
        found
    }

    /// One request a call, in the order of the file, and what is left out.
    pub(super) fn requests(self) -> (Vec<Call>, LeftOut) {
        let mut merged = Merged::new(self.calls.len());
        let mut by_id: FxHashMap<(&str, &str), usize> = FxHashMap::default();
        let mut by_answer: FxHashMap<(&str, &str), usize> = FxHashMap::default();
        let mut by_engine: FxHashMap<&str, usize> = FxHashMap::default();
        for (i, call) in self.calls.iter().enumerate() {
            let trace = call.trace.as_str();
            if !call.id.is_empty()
                && let Some(&first) = by_id.get(&(trace, call.id.as_str()))
            {
                merged.join(first, i, EXPORTED);
                continue;
            }
            by_id.insert((trace, call.id.as_str()), i);
            if let Some(answer) = call.response.as_deref().filter(|answer| !answer.is_empty()) {
                match by_answer.get(&(trace, answer)) {
                    Some(&first) => merged.join(first, i, ANSWER),
                    None => _ = by_answer.insert((trace, answer), i),
                }
            }
            if let Some((engine, _)) = &call.engine {
                match by_engine.get(engine.as_str()) {
                    Some(&first) => merged.join(first, i, INSTANCES),
                    None => _ = by_engine.insert(engine, i),
                }
            }
        }
        let above: Vec<Vec<usize>> = (0..self.calls.len()).map(|i| self.above(i, &by_id)).collect();
        for (i, ancestors) in above.iter().enumerate() {
            if let Some(&outer) = ancestors.iter().find(|&&a| self.calls[a].like(&self.calls[i])) {
                merged.join(outer, i, NESTED);
            }
        }
        self.beside(&above, &mut merged);
        let sums = self.sums(&above, &mut merged);
        self.outcome(merged, &sums)
    }

    /// Joins equal calls of one trace that two instrumentations show side by side, one within the time of the other.
    fn beside(&self, above: &[Vec<usize>], merged: &mut Merged) {
        let mut groups: FxHashMap<(&str, u32, u32), Vec<usize>> = FxHashMap::default();
        let mut order = Vec::new();
        for (i, call) in self.calls.iter().enumerate().filter(|(_, call)| !call.trace.is_empty()) {
            let key = (call.trace.as_str(), call.prompt, call.output);
            groups.entry(key).or_insert_with(|| {
                order.push(key);
                Vec::new()
            });
            groups.entry(key).and_modify(|group| group.push(i));
        }
        for key in order {
            let Some(mut group) = groups.remove(&key) else { continue };
            group.sort_by_key(|&i| (self.calls[i].start_ns, Reverse(self.calls[i].end_ns), i));
            for (n, &i) in group.iter().enumerate() {
                let within = |outer: &&usize| {
                    let (a, b) = (&self.calls[**outer], &self.calls[i]);
                    let related = above[i].contains(outer) || above[**outer].contains(&i);
                    let inside = a.start_ns <= b.start_ns && b.end_ns <= a.end_ns;
                    a.scope != b.scope && !related && inside && a.like(b)
                };
                let near = &group[n.saturating_sub(COMPARED)..n];
                if let Some(&outer) = near.iter().rev().find(within) {
                    merged.join(outer, i, BESIDE);
                }
            }
        }
    }

    /// Calls whose tokens are the sums of two calls or more within them.
    fn sums(&self, above: &[Vec<usize>], merged: &mut Merged) -> FxHashSet<usize> {
        let mut within: FxHashMap<usize, (u64, u64, u64)> = FxHashMap::default();
        let mut counted: FxHashSet<usize> = FxHashSet::default();
        for (i, ancestors) in above.iter().enumerate() {
            let root = merged.root(i);
            let outer = ancestors.iter().map(|&a| merged.root(a)).find(|&a| a != root);
            if let Some(outer) = outer.filter(|_| counted.insert(root)) {
                let sum = within.entry(outer).or_default();
                sum.0 += 1;
                sum.1 += u64::from(self.calls[i].prompt);
                sum.2 += u64::from(self.calls[i].output);
            }
        }
        let equal = |&(&i, &(n, prompt, output)): &(&usize, &(u64, u64, u64))| {
            n >= 2 && prompt == u64::from(self.calls[i].prompt) && output == u64::from(self.calls[i].output)
        };
        within.iter().filter(equal).map(|(&i, _)| i).collect()
    }

    fn outcome(self, mut merged: Merged, sums: &FxHashSet<usize>) -> (Vec<Call>, LeftOut) {
        let mut groups: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        (0..self.calls.len()).for_each(|i| groups.entry(merged.root(i)).or_default().push(i));
        let mut left_out = LeftOut::new();
        for (i, reason) in merged.why.iter().enumerate() {
            left_out.extend(reason.map(|reason| (reason, self.calls[i].line)));
        }
        let mut requests = Vec::new();
        for i in 0..self.calls.len() {
            let Some(mut group) = groups.remove(&merged.root(i)) else { continue };
            if sums.contains(&merged.root(i)) {
                left_out.push((SUM, self.calls[i].line));
                continue;
            }
            // Outer spans first; of an engine's instances the one that decodes alone.
            let decodes = |i: usize| self.calls[i].engine.as_ref().is_none_or(|e| e.1);
            if group.iter().any(|&i| decodes(i)) {
                group.retain(|&i| decodes(i));
            }
            group.sort_by_key(|&i| (self.calls[i].start_ns, Reverse(self.calls[i].end_ns), i));
            let mut call = self.calls[group[0]].clone();
            group[1..].iter().for_each(|&inner| call.merge(&self.calls[inner]));
            requests.push(call);
        }
        (requests, left_out)
    }
}

/// Which spans show one call.
struct Merged {
    /// Towards the first span of the call.
    towards: Vec<usize>,
    /// Why a span is not the first of its call.
    why: Vec<Option<&'static str>>,
}

impl Merged {
    fn new(spans: usize) -> Merged {
        Merged { towards: (0..spans).collect(), why: vec![None; spans] }
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.towards[i] != i {
            self.towards[i] = self.towards[self.towards[i]];
            i = self.towards[i];
        }
        i
    }

    /// Spans `outer` and `inner` show one call.
    fn join(&mut self, outer: usize, inner: usize, why: &'static str) {
        let (a, b) = (self.root(outer), self.root(inner));
        if a != b {
            self.towards[b] = a;
            self.why[b] = Some(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, scope: &str, (start, end): (i64, i64), (prompt, output): (u32, u32)) -> Call {
        let (trace, id, scope) = ("t".to_owned(), id.to_owned(), scope.to_owned());
        Call { trace, id, scope, start_ns: start, end_ns: end, prompt, output, ..Call::default() }
    }

    /// Tokens of the requests, and reasons of what is left out.
    fn made(calls: &[(Call, &str)]) -> (Vec<(u32, u32)>, Vec<&'static str>) {
        let mut spans = Spans::default();
        for (call, parent) in calls {
            spans.knows(&call.trace, &call.id, parent);
            spans.add(call.clone());
        }
        let (requests, left_out) = spans.requests();
        (requests.iter().map(|c| (c.prompt, c.output)).collect(), left_out.into_iter().map(|l| l.0).collect())
    }

    #[test]
    fn sums_are_left_out_and_their_parts_stay() {
        let outer = call("a", "x", (0, 100), (30, 3));
        let parts = [(call("b", "x", (1, 20), (10, 1)), "a"), (call("c", "x", (30, 90), (20, 2)), "a")];
        let sum = [vec![(outer.clone(), "")], parts.to_vec()].concat();
        assert_eq!(made(&sum), (vec![(10, 1), (20, 2)], vec![SUM]));
        // One that has more than its parts is a call of its own.
        let more = [vec![(Call { prompt: 31, ..outer }, "")], parts.to_vec()].concat();
        assert_eq!(made(&more).0, [(31, 3), (10, 1), (20, 2)]);
    }

    #[test]
    fn equal_calls_one_after_the_other_stay_two() {
        let (a, b) = (call("a", "x", (0, 10), (5, 5)), call("b", "y", (10, 20), (5, 5)));
        assert_eq!(made(&[(a.clone(), ""), (b, "")]).0.len(), 2);
        // Of one instrumentation, they are two whenever they are.
        assert_eq!(made(&[(a.clone(), ""), (call("b", "x", (2, 9), (5, 5)), "")]).0.len(), 2);
        assert_eq!(made(&[(a.clone(), ""), (call("b", "y", (2, 9), (5, 5)), "")]), (vec![(5, 5)], vec![BESIDE]));
        assert_eq!(made(&[(a.clone(), ""), (a, "")]), (vec![(5, 5)], vec![EXPORTED]));
    }

    #[test]
    fn models_of_one_name_are_one_whoever_serves_them_and_circles_of_parents_end() {
        let named = |id: &str, model: &str| Call { models: vec![model.into()], ..call(id, "x", (0, 9), (5, 5)) };
        assert_eq!(made(&[(named("a", "openai/m"), ""), (named("b", "m"), "a")]), (vec![(5, 5)], vec![NESTED]));
        assert_eq!(made(&[(named("a", "m"), ""), (named("b", "n"), "a")]).0.len(), 2);
        assert_eq!(made(&[(named("a", "m"), "b"), (named("b", "n"), "a")]).0.len(), 2);
    }
}
