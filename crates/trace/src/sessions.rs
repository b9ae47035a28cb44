//! Closed loops over a trace: a session's next request leaves when the one before has been answered and the client has
//! thought; or a fixed number of users send the trace's requests one after the other.
//!
//! Must hold: a lane has at most one request under way; a request's index is its entry's id; what a later turn repeats
//! of the turns before it has their identity, answers included. Holds the whole trace.
use super::replay::{no_arrivals, request};
use super::sort::collect;
use super::{SourceOptions, Unplayable, no_rate};
use baseload_core::types::{Clock, ContentId, Entries, Entry, NO_SESSION, Outcome, Request, Run, SimTime, Source};
use baseload_core::types::{Fault, TraceFault, key};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How requests wait for answers.
#[derive(Debug, Clone, PartialEq)]
pub enum ClosedPlay {
    /// Each session's requests, one after the other.
    Sessions {
        /// Time between an answer and the next request, instead of the recorded one.
        think: Option<SimTime>,
    },
    /// Users, each with one request at a time, who take the trace's requests in order.
    Users {
        /// Number of users.
        users: u32,
        /// Time between an answer and the user's next request.
        think: SimTime,
    },
}

/// What waits for one another.
struct Lane {
    waiting: VecDeque<Entry>,
    /// What the session has said so far, where its content is followed.
    said: Option<LastTurn>,
}

/// The last turn of a session, as it was recorded and as it was sent.
struct LastTurn {
    /// Leading content as the trace named it.
    raw: Vec<Run>,
    /// The whole prompt that was sent.
    sent: Vec<Run>,
    id: u64,
    prompt_tokens: u32,
    output_tokens: u32,
}

/// A trace as closed loops.
pub struct Closed {
    options: SourceOptions,
    think: Option<SimTime>,
    lanes: Vec<Lane>,
    /// By session: its lane, in which one request at a time is under way.
    lane_of: FxHashMap<u64, usize>,
    /// Users take from one queue.
    shared: Option<VecDeque<Entry>>,
    due: BinaryHeap<Reverse<(SimTime, usize)>>,
    busy: Vec<bool>,
    total: u64,
    notes: Vec<String>,
}

impl Closed {
    /// Reads `entries` to their end and plays them.
    ///
    /// # Errors
    /// The reader's; sessions or think times that the trace does not have; options that a closed loop cannot follow.
    pub fn new(
        mut entries: Box<dyn Entries>,
        play: &ClosedPlay,
        options: &SourceOptions,
    ) -> Result<Closed, Unplayable> {
        options.check()?;
        let mut all = collect(&mut *entries)?;
        if let Some(limit) = options.limit {
            all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        let total = all.len() as u64;
        let mut this = Closed {
            options: options.clone(),
            think: None,
            lanes: Vec::new(),
            lane_of: FxHashMap::default(),
            shared: None,
            due: BinaryHeap::new(),
            busy: Vec::new(),
            total,
            notes: entries.notes(),
        };
        match play {
            ClosedPlay::Users { users, think } => this.users(all, *users, *think)?,
            ClosedPlay::Sessions { think } => {
                this.think = *think;
                this.sessions(all, entries.clock())?;
            }
        }
        Ok(this)
    }

    fn users(&mut self, all: Vec<Entry>, users: u32, think: SimTime) -> Result<(), Unplayable> {
        if users == 0 {
            return Err(Fault::at(key!["users", "concurrency"], "it is 0").hint("it must be at least 1").into());
        }
        if self.options.rate_scale != 1.0 {
            return Err(no_rate().into());
        }
        self.think = Some(think);
        for user in 0..(users as usize).min(all.len()) {
            self.lanes.push(Lane { waiting: VecDeque::new(), said: None });
            self.busy.push(false);
            self.lane_of.insert(user as u64, user);
            self.due.push(Reverse((SimTime::ZERO, user)));
        }
        self.shared = Some(all.into());
        Ok(())
    }

    fn sessions(&mut self, all: Vec<Entry>, clock: Clock) -> Result<(), Unplayable> {
        if !matches!(clock, Clock::Common | Clock::Zero) {
            return Err(no_arrivals().into());
        }
        if all.iter().all(|e| e.session == NO_SESSION) {
            return Err(Fault::at("sessions", "the trace has no sessions")
                .hint("leave it out for an open loop, or give trace.users")
                .into());
        }
        let first = all.iter().map(|e| e.at_ns).min().unwrap_or(0);
        let origin = if clock == Clock::Zero { 0 } else { first };
        let mut first_at = Vec::new();
        let (mut later, mut unknown) = (0u64, 0u64);
        for entry in all {
            let alone = entry.session == NO_SESSION;
            let known = if alone { None } else { self.lane_of.get(&entry.session).copied() };
            let lane = known.unwrap_or_else(|| {
                let lane = self.lanes.len();
                if !alone {
                    self.lane_of.insert(entry.session, lane);
                }
                self.lanes.push(Lane { waiting: VecDeque::new(), said: None });
                first_at.push(entry.at_ns - origin);
                lane
            });
            later += u64::from(known.is_some());
            unknown += u64::from(known.is_some() && entry.think_ns.is_none());
            self.lanes[lane].waiting.push_back(entry);
        }
        if self.think.is_none() && unknown > 0 {
            if unknown == later {
                return Err(Fault::at(
                    "sessions",
                    "the trace does not say how long its clients thought between an answer and their next request",
                )
                .hint("give trace.sessions.think")
                .into());
            }
            self.notes
                .push(format!("{unknown} of {later} think times are unknown; those requests leave at the answer"));
        }
        self.busy = vec![false; self.lanes.len()];
        for (lane, at) in first_at.into_iter().enumerate() {
            self.due.push(Reverse((SimTime(self.options.scaled(at as u64)), lane)));
        }
        Ok(())
    }

    /// Gives what the entry repeats of its session's last turn that turn's identity, its answer included.
    fn follow(lane: &mut Lane, entry: &mut Entry) {
        let raw = entry.content.clone();
        if let Some(last) = &lane.said {
            let named: u64 = last.raw.iter().map(|r| u64::from(r.len)).sum();
            let shared = if last.raw.is_empty() && raw.is_empty() { 0 } else { shared_tokens(&last.raw, &raw) };
            // Without names a conversation is taken to grow; with names it grew if all that was named comes again.
            let grew = shared == named && entry.prompt_tokens > last.prompt_tokens;
            let mut content = Vec::new();
            if grew {
                content.extend_from_slice(&last.sent);
                let answer = last.output_tokens.min(entry.prompt_tokens - last.prompt_tokens);
                if answer > 0 {
                    content.push(Run { id: ContentId::Output(last.id), start: 0, len: answer });
                }
            } else {
                content.extend(take(&last.sent, shared));
            }
            let have: u64 = content.iter().map(|r| u64::from(r.len)).sum();
            content.extend(skip(&raw, have));
            entry.content = content;
        }
        lane.said = Some(LastTurn {
            raw,
            sent: entry.prompt().collect(),
            id: entry.id,
            prompt_tokens: entry.prompt_tokens,
            output_tokens: entry.output_tokens.max(1),
        });
    }

    fn has_next(&self, lane: usize) -> bool {
        self.shared.as_ref().map_or(!self.lanes[lane].waiting.is_empty(), |s| !s.is_empty())
    }
}

/// Leading tokens that two lists of runs have in common.
fn shared_tokens(a: &[Run], b: &[Run]) -> u64 {
    baseload_core::types::Content::from(a).shared_prefix(&baseload_core::types::Content::from(b))
}

/// The first `tokens` tokens of `runs`.
fn take(runs: &[Run], tokens: u64) -> impl Iterator<Item = Run> + '_ {
    let mut left = tokens;
    runs.iter().map_while(move |r| {
        let len = u64::from(r.len).min(left) as u32;
        left -= u64::from(len);
        (len > 0).then_some(Run { len, ..*r })
    })
}

/// `runs` without their first `tokens` tokens.
fn skip(runs: &[Run], tokens: u64) -> impl Iterator<Item = Run> + '_ {
    let mut left = tokens;
    runs.iter().filter_map(move |r| {
        let cut = u64::from(r.len).min(left) as u32;
        left -= u64::from(cut);
        (cut < r.len).then_some(Run { id: r.id, start: r.start + cut, len: r.len - cut })
    })
}

impl Source for Closed {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        while let Some(&Reverse((at, lane))) = self.due.peek() {
            if self.has_next(lane) {
                return Ok(Some(at));
            }
            self.due.pop();
        }
        Ok(None)
    }

    fn next(&mut self) -> Request {
        let due = self.due.pop();
        let Reverse((at, lane)) = due.expect("source-peeked: next is called only after peek said there is a request");
        let entry = match &mut self.shared {
            Some(queue) => queue.pop_front(),
            None => self.lanes[lane].waiting.pop_front(),
        };
        let mut entry = entry.expect("source-peeked: peek drops lanes that have nothing left");
        if self.shared.is_some() {
            entry.session = lane as u64;
        } else if entry.session != NO_SESSION {
            Closed::follow(&mut self.lanes[lane], &mut entry);
        }
        assert!(!self.busy[lane], "lane-alone: a lane sends while its last request is under way");
        self.busy[lane] = true;
        request(&mut entry, at, &self.options)
    }

    fn finished(&mut self, session: u64, at: SimTime, _outcome: Outcome) {
        let Some(&lane) = self.lane_of.get(&session) else { return };
        if !std::mem::take(&mut self.busy[lane]) {
            return;
        }
        // A given think time is all that lies between; a recorded one begins when the tools have run.
        let recorded = || {
            let next = self.lanes[lane].waiting.front()?;
            Some(SimTime(next.tools_ns.saturating_add(next.think_ns.unwrap_or(0))))
        };
        let wait = self.think.or_else(recorded).unwrap_or(SimTime::ZERO);
        if self.has_next(lane) {
            self.due.push(Reverse((at + wait, lane)));
        }
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Held;

    fn turn(id: u64, session: u64, at_s: i64, prompt: u32, think_s: Option<u64>) -> Entry {
        let (at_ns, think_ns) = (at_s * 1_000_000_000, think_s.map(|s| s * 1_000_000_000));
        Entry { id, session, at_ns, think_ns, prompt_tokens: prompt, output_tokens: 20, ..Entry::blank() }
    }

    fn closed(all: Vec<Entry>, play: ClosedPlay) -> Result<Closed, Unplayable> {
        Closed::new(Box::new(Held::new(all, Clock::Common, "given", Vec::new())), &play, &SourceOptions::default())
    }

    fn named(id: u64, len: u32) -> Run {
        Run { id: ContentId::Named(id), start: 0, len }
    }

    fn at(s: u64) -> Option<SimTime> {
        Some(SimTime::from_secs(s))
    }

    #[test]
    fn a_turn_leaves_when_the_one_before_was_answered_and_thought_over() {
        let all = vec![
            turn(0, 7, 10, 100, None),
            turn(1, 8, 11, 100, None),
            Entry { tools_ns: 2_000_000_000, ..turn(2, 7, 30, 150, Some(3)) },
            turn(3, NO_SESSION, 40, 9, None),
        ];
        let sessions = ClosedPlay::Sessions { think: None };
        let mut source = closed(all.clone(), sessions.clone()).unwrap();
        assert_eq!((source.peek().unwrap(), source.next().index), (at(0), 0));
        assert_eq!((source.peek().unwrap(), source.next().index), (at(1), 1));
        // Session 7's next turn waits for its answer; what has no session leaves on time.
        assert_eq!(source.peek().unwrap(), at(30));
        source.finished(7, SimTime::from_secs(4), Outcome::Completed);
        source.finished(8, SimTime::from_secs(4), Outcome::Completed);
        assert_eq!(source.peek().unwrap(), at(9));
        let second = source.next();
        // It repeats the first prompt and the answer, and adds 30 tokens.
        assert_eq!(
            second.content.runs(),
            [
                Run { id: ContentId::Private(0), start: 0, len: 100 },
                Run { id: ContentId::Output(0), start: 0, len: 20 },
                Run { id: ContentId::Private(2), start: 0, len: 30 },
            ]
        );
        assert_eq!((source.peek().unwrap(), source.next().index, source.peek().unwrap()), (at(30), 3, None));

        let mut fixed = closed(all.clone(), ClosedPlay::Sessions { think: Some(SimTime::from_secs(60)) }).unwrap();
        fixed.next();
        fixed.finished(7, SimTime::from_secs(4), Outcome::Failed);
        fixed.next();
        assert_eq!((fixed.peek().unwrap(), fixed.next().index), (at(30), 3));
        assert_eq!(fixed.peek().unwrap(), at(64));

        let mut unknown = all;
        unknown[2].think_ns = None;
        let error = closed(unknown, sessions.clone()).err().unwrap();
        assert!(error.to_string().contains("give trace.sessions.think"), "{error}");
        let error = closed(vec![turn(0, NO_SESSION, 0, 5, None)], sessions).err().unwrap();
        assert!(error.to_string().contains("no sessions"), "{error}");
    }

    #[test]
    fn names_say_whether_a_conversation_grew() {
        let mut all = vec![
            turn(0, 7, 0, 100, None),
            turn(1, 7, 1, 200, Some(0)),
            turn(2, 7, 2, 300, Some(0)),
            turn(3, 7, 3, 90, Some(0)),
        ];
        // Full blocks of 64 are named; the second turn repeats the first's block, then has two of its own.
        all[0].content = vec![named(1, 64)];
        all[1].content = vec![named(1, 64), named(2, 64), named(3, 64)];
        // The third goes another way after the first block, and the fourth is cut short.
        all[2].content = vec![named(1, 64), named(9, 64), named(10, 64), named(11, 64)];
        all[3].content = vec![named(1, 64)];
        let mut source = closed(all, ClosedPlay::Sessions { think: None }).unwrap();
        let mut turns = Vec::new();
        for s in 0..4 {
            assert!(source.peek().unwrap().is_some());
            turns.push(source.next());
            source.finished(7, SimTime::from_secs(s + 1), Outcome::Completed);
        }
        let runs: Vec<&[Run]> = turns.iter().map(|t| t.content.runs()).collect();
        assert_eq!(
            runs[1],
            [
                named(1, 64),
                Run { id: ContentId::Private(0), start: 0, len: 36 },
                Run { id: ContentId::Output(0), start: 0, len: 20 },
                Run { id: ContentId::Named(2), start: 56, len: 8 },
                named(3, 64),
                Run { id: ContentId::Private(1), start: 0, len: 8 },
            ]
        );
        assert_eq!(runs[2][..2], [named(1, 64), named(9, 64)]);
        assert_eq!(runs[3], [named(1, 64), Run { id: ContentId::Private(3), start: 0, len: 26 }]);
        assert_eq!(turns[1].content.shared_prefix(&turns[0].content), 100);
        assert!(turns.iter().all(|t| t.content.tokens() == u64::from(t.prompt_tokens)));
    }

    #[test]
    fn users_take_the_requests_in_order() {
        let all = (0..4).map(|i| turn(i, NO_SESSION, 100 * i as i64, 9, None)).collect();
        let think = SimTime::from_secs(2);
        let mut source = closed(all, ClosedPlay::Users { users: 2, think }).unwrap();
        assert_eq!((source.next().index, source.next().index, source.peek().unwrap()), (0, 1, None));
        source.finished(1, SimTime::from_secs(3), Outcome::Completed);
        assert_eq!(source.peek().unwrap(), at(5));
        assert_eq!((source.next().session, source.peek().unwrap()), (1, None));
        source.finished(0, SimTime::from_secs(6), Outcome::Completed);
        source.finished(1, SimTime::from_secs(7), Outcome::Completed);
        assert_eq!((source.peek().unwrap(), source.next().index, source.peek().unwrap()), (at(8), 3, None));
    }
}
