//! Sessions: turns that follow each other, each prompt repeating what came before.
//!
//! Must hold: a session's turn depends on (seed, replicate, session, turn) and on what the session said; with `by_turn` its
//! lengths are those of a member of a population that every seed has, in an order of its own; only sessions that are under
//! way are held.
use super::super::spec::{GenerateSpec, LengthSpec, Sessions, TurnLength, at_share};
use super::arrivals::ArrivalTimes;
use super::drawer::{Copula, Drawer, family};
use super::reuse::{Sharer, take};
use crate::SourceOptions;
use baseload_core::random::{Even, StreamFamily, StreamKey, dist};
use baseload_core::types::TraceFault;
use baseload_core::types::{ContentId, Entry, Run};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A session under way.
struct SessionState {
    number: u64,
    /// Number of the session in its population.
    member: u64,
    /// Turns that it has had, and will have.
    turn: u32,
    turns: u32,
    /// Rank of the session's prompts among those of their turns.
    rank: f64,
    /// The last prompt, its answer and its id.
    said: Vec<Run>,
    answer: u32,
    id: u64,
    /// Tokens of its prompts since it last started over; each is a beginning of `said`.
    marks: Vec<u32>,
}

/// Streams of what sessions draw, keyed by session, or by member of the population, and turn.
struct Streams {
    event: StreamFamily,
    member: StreamFamily,
}

/// Generates sessions.
pub(super) struct Talks {
    spec: Sessions,
    requests: Option<u64>,
    end_ns: u64,
    arrivals: ArrivalTimes,
    /// The next arrival, looked at.
    next_ns: Option<i64>,
    first: Option<Drawer>,
    output: Drawer,
    copula: Option<Copula>,
    turns: Drawer,
    grow: Option<Drawer>,
    gap: Option<Drawer>,
    think: Option<Drawer>,
    sharer: Option<Sharer>,
    streams: Streams,
    /// The order in which sessions of a population come, and its size.
    order: Even,
    population: u64,
    talks: Vec<Option<SessionState>>,
    free: Vec<usize>,
    due: BinaryHeap<Reverse<(i64, u64, usize)>>,
    started: u64,
    made: u64,
}

/// The golden ratio less 1: its multiples are spread as evenly as can be.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Sessions that are one population where their number is not said, and at most.
const POPULATION: u64 = 1024;
const POPULATION_MOST: u64 = 65_536;
/// A prompt longer than this starts over where nothing else is said.
const MOST_PROMPT: u32 = 1 << 30;

impl Talks {
    /// Follows a checked spec.
    pub fn new(spec: &GenerateSpec, sessions: &Sessions, options: &SourceOptions) -> Result<Talks, TraceFault> {
        let drawer = |s: &LengthSpec, key, name| Drawer::new(s, key, options, name, 0);
        let some = |s: &Option<LengthSpec>, key, name| s.as_ref().map(|s| drawer(s, key, name)).transpose();
        let first = sessions.by_turn.is_empty().then(|| drawer(&spec.prompt, "prompt", "generate.prompt"));
        let population = sessions.count.unwrap_or(POPULATION).clamp(1, POPULATION_MOST);
        Ok(Talks {
            requests: spec.requests,
            end_ns: spec.duration.map_or(u64::MAX, |d| d.0),
            arrivals: ArrivalTimes::new(&spec.arrivals, options, "generate.arrival"),
            next_ns: None,
            first: first.transpose()?,
            output: drawer(&spec.output, "output", "generate.output")?,
            copula: spec.joint.map(Copula::new),
            turns: drawer(&sessions.turns, "turns", "generate.turns")?,
            grow: some(&sessions.grow, "grow", "generate.grow")?,
            gap: some(&sessions.gap_ms, "gap_ms", "generate.gap")?,
            think: some(&sessions.think_ms, "think_ms", "generate.think")?,
            sharer: spec.reuse.as_ref().map(|r| Sharer::new(r, options)),
            streams: Streams {
                event: family(options, "generate.turn"),
                // A population's own: no seed goes in.
                member: StreamKey { seed: 0, replicate: 0, name: "generate.member" }.family(),
            },
            order: Even::new(family(options, "generate.session"), population),
            population,
            talks: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            started: 0,
            made: 0,
            spec: sessions.clone(),
        })
    }

    /// Requests in all, where known.
    pub fn total(&self) -> Option<u64> {
        self.requests
    }

    /// Fills a blank entry; `false` at the end.
    pub fn draw(&mut self, entry: &mut Entry) -> bool {
        if self.requests.is_some_and(|most| self.made >= most) {
            return false;
        }
        let next = match self.spec.concurrent {
            Some(concurrent) => self.concurrent(concurrent),
            None => self.in_turn(),
        };
        let Some((at_ns, place)) = next else { return false };
        if at_ns as u64 >= self.end_ns {
            return false;
        }
        (entry.id, entry.at_ns) = (self.made, at_ns);
        self.made += 1;
        let mut talk = self.talks[place].take().expect("session-held: what is due is under way");
        self.fill(&mut talk, entry);
        talk.turn += 1;
        (talk.answer, talk.id, talk.said) = (entry.output_tokens, entry.id, entry.prompt().collect());
        if let Some(sharer) = &mut self.sharer
            && self.spec.across
        {
            sharer.remember(entry);
        }
        if talk.turn >= talk.turns {
            self.free.push(place);
            return true;
        }
        let (gap_ms, _) = self.pause(entry.id, entry.output_tokens);
        self.due.push(Reverse((at_ns.saturating_add((gap_ms * 1e6) as i64), talk.number, place)));
        self.talks[place] = Some(talk);
        true
    }

    /// The next turn that is due, or the next session that starts, whichever is first.
    fn in_turn(&mut self) -> Option<(i64, usize)> {
        let may_start = self.spec.count.is_none_or(|most| self.started < most);
        if may_start && self.next_ns.is_none() {
            self.next_ns = self.arrivals.next_ns();
        }
        let next = if may_start { self.next_ns } else { None };
        let waiting = self.due.peek().map(|Reverse((at, ..))| *at);
        match (next, waiting) {
            (None, None) => None,
            (Some(start), waiting) if waiting.is_none_or(|w| start <= w) => {
                self.next_ns = None;
                Some((start, self.start()))
            }
            _ => self.due.pop().map(|Reverse((at, _, place))| (at, place)),
        }
    }

    /// The next arrival, given to a new session where fewer than `concurrent` wait, else to the one that is due first. A fraction
    /// of a session is kept by turns: the whole number above it as often as the fraction says.
    fn concurrent(&mut self, concurrent: f64) -> Option<(i64, usize)> {
        let at = self.arrivals.next_ns()?;
        let step = self.made as f64 * GOLDEN;
        let wanted = concurrent.floor() + if step - step.floor() < concurrent.fract() { 1.0 } else { 0.0 };
        let may_start = self.spec.count.is_none_or(|most| self.started < most);
        if self.due.is_empty() || may_start && (self.due.len() as f64) < wanted {
            return Some((at, self.start()));
        }
        self.due.pop().map(|Reverse((_, _, place))| (at, place))
    }

    fn start(&mut self) -> usize {
        let number = self.started;
        self.started += 1;
        // A Fibonacci lattice: both depths and ranks are even, and so are the pairs of them. Every seed has the same
        // population, in another order: with few sessions the trace would else be another one with each seed.
        let member = (self.order.at(number) * self.population as f64).floor();
        let place = member + 0.5;
        let (depth, rank) = (place / self.population as f64, (place * GOLDEN).fract());
        let turns =
            if self.spec.by_turn.is_empty() { self.turns.draw(number) } else { self.turns.length.at(depth) }.max(1);
        let talk = SessionState {
            number,
            member: member as u64,
            turn: 0,
            turns,
            rank,
            said: Vec::new(),
            answer: 0,
            id: 0,
            marks: Vec::new(),
        };
        match self.free.pop() {
            Some(place) => {
                self.talks[place] = Some(talk);
                place
            }
            None => {
                self.talks.push(Some(talk));
                self.talks.len() - 1
            }
        }
    }

    /// Milliseconds from request `id` to its session's next, and how many of them its client thinks.
    fn pause(&mut self, id: u64, output: u32) -> (f64, f64) {
        let answer = self.spec.answer_ms_per_token * f64::from(output);
        match (&mut self.gap, &mut self.think) {
            (Some(gap), think) => {
                let rank = gap.rank(id);
                let gap_ms = f64::from(gap.length.at(rank));
                let think_ms = think.as_ref().map_or((gap_ms - answer).max(0.0), |t| f64::from(t.length.at(rank)));
                (gap_ms, think_ms)
            }
            (None, Some(think)) => {
                let think_ms = f64::from(think.draw(id));
                (answer + think_ms, think_ms)
            }
            (None, None) => (answer, 0.0),
        }
    }

    /// The talk's next turn.
    fn fill(&mut self, talk: &mut SessionState, entry: &mut Entry) {
        entry.session = talk.number;
        if talk.turn > 0 {
            // The pause was drawn with the request that it followed.
            entry.think_ns = Some((self.pause(talk.id, talk.answer).1 * 1e6) as u64);
        }
        if self.spec.by_turn.is_empty() {
            self.grown(talk, entry);
            entry.output_tokens = self.output.draw(entry.id);
        } else {
            self.measured(talk, entry);
        }
    }

    /// The prompt before, its answer, and something new.
    fn grown(&mut self, talk: &mut SessionState, entry: &mut Entry) {
        let first = self.first.as_mut().expect("spec-checked: sessions that grow have a first prompt");
        if talk.turn == 0 {
            entry.prompt_tokens = first.draw(talk.number);
            talk.marks = vec![entry.prompt_tokens];
            return;
        }
        let grow = self.grow.as_mut().expect("spec-checked: sessions without by_turn grow");
        let new = grow.draw(entry.id);
        let mut rng = self.streams.event.at(talk.number, talk.turn);
        let (event, which) = (dist::uniform01(&mut rng), dist::uniform01(&mut rng));
        let last = talk.marks.last().copied().unwrap_or(1);
        let most = self.spec.most_prompt_tokens.unwrap_or(MOST_PROMPT);
        let long = u64::from(last) + u64::from(talk.answer) + u64::from(new) > u64::from(most);
        let (keep, answer) = if long || event < self.spec.reset {
            talk.marks.truncate(1);
            (talk.marks[0], 0)
        } else if event < self.spec.reset + self.spec.branch {
            let to = (which * talk.marks.len() as f64) as usize;
            talk.marks.truncate(to.min(talk.marks.len() - 1) + 1);
            (talk.marks[talk.marks.len() - 1], 0)
        } else {
            (last, talk.answer)
        };
        take(&talk.said, keep, &mut entry.content);
        if answer > 0 && self.spec.repeat_answers {
            entry.content.push(Run { id: ContentId::Output(talk.id), start: 0, len: answer });
        }
        entry.prompt_tokens = keep.saturating_add(answer).saturating_add(new).min(most.max(keep));
        talk.marks.push(entry.prompt_tokens);
    }

    /// Makes the entry's prompt as long as its turn and rank say, repeating what the spec says.
    fn measured(&mut self, talk: &mut SessionState, entry: &mut Entry) {
        let mut rng = self.streams.member.at(talk.member, talk.turn);
        let mut number = || dist::uniform01(&mut rng);
        let (redraw, rank, extend, own) = (number(), number(), number(), number());
        if talk.turn > 0 && redraw < self.spec.redraw {
            talk.rank = rank;
        }
        entry.prompt_tokens = length_of(&self.spec.by_turn, talk.turn + 1, talk.rank).max(1);
        entry.output_tokens = match self.copula {
            None => self.output.draw(entry.id),
            Some(copula) => self.output.length.at(copula.rank(talk.rank, own)),
        };
        let said: u32 = talk.said.iter().map(|r| r.len).sum();
        if talk.turn > 0 && extend < self.spec.extend {
            let tokens = said.min(entry.prompt_tokens);
            let tokens = self.sharer.as_ref().map_or(tokens, |s| s.whole_blocks(tokens, entry.prompt_tokens));
            take(&talk.said, tokens, &mut entry.content);
        } else if let Some(sharer) = &mut self.sharer
            && (talk.turn > 0 || self.spec.across)
        {
            let want = sharer.want(entry.prompt_tokens);
            if self.spec.across {
                sharer.share(entry, want);
            } else {
                let tokens = sharer.whole_blocks(want.tokens.min(said), entry.prompt_tokens);
                take(&talk.said, tokens, &mut entry.content);
            }
        }
    }
}

/// Prompt tokens of a turn at a rank.
fn length_of(by_turn: &[TurnLength], turn: u32, rank: f64) -> u32 {
    let after = by_turn.partition_point(|t| t.turn <= turn);
    let below = &by_turn[after.saturating_sub(1)];
    let low = at_share(&below.quantiles, rank);
    let Some(above) = by_turn.get(after) else { return low.round() as u32 };
    let high = at_share(&above.quantiles, rank);
    let part = f64::from(turn - below.turn) / f64::from(above.turn - below.turn);
    (low + (high - low) * part).round() as u32
}
