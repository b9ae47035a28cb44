//! What happens next: failures, backends by their next event, timers; and the one total order of an instant.
//!
//! Order at one instant: failures, then backends by index (replicas before endpoints), then timeouts, then other timers, each
//! in the order in which they were set. Arrivals, schedules and samples follow; the loop itself keeps them behind.
use crate::types::SimTime;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A replica dies.
    ReplicaFails(u32),
    /// The gateway notices; its requests fail.
    FailureDetected(u32),
    /// A replica serves again.
    ReplicaBack(u32),
    /// A backend has something to do: replicas by index, then endpoints.
    Backend(u32),
    /// The gateway's timeout of a request: slot and life.
    Timeout(u32, u32),
    /// A request is due to be sent (again): slot and generation.
    Retry(u32, u32),
    /// An attempt ran out of its own time: slot and the attempt's generation.
    TryTimeout(u32, u32),
    /// The same, unless its first token has come.
    FirstTokenTimeout(u32, u32),
    /// An attempt's first token is late: a second copy may go.
    Hedge(u32, u32),
    /// Of two copies the other one was first.
    Loser(u32, u32),
    /// A client leaves, unless it has seen a token: slot and life.
    ClientGone(u32, u32),
    /// A request waited too long in the gateway's queue: slot and generation.
    QueueTimeout(u32, u32),
    /// Who waits at the gateway may go on.
    Pump,
}

/// Everything that is pending.
#[derive(Debug)]
pub struct Agenda {
    failures: BinaryHeap<Reverse<(SimTime, Event)>>,
    backends: Tournament,
    /// Deadlines come in the order of arrivals, so a queue is sorted.
    timeouts: VecDeque<(SimTime, u32, u32)>,
    timers: BinaryHeap<Reverse<(SimTime, u64, Event)>>,
    sequence: u64,
}

impl Agenda {
    /// Nothing pending, for so many backends.
    pub fn new(backends: usize) -> Agenda {
        Agenda {
            failures: BinaryHeap::new(),
            backends: Tournament::new(backends),
            timeouts: VecDeque::new(),
            timers: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// A failure event; `NEVER` adds nothing.
    pub fn fail(&mut self, at: SimTime, event: Event) {
        if at < SimTime::NEVER {
            self.failures.push(Reverse((at, event)));
        }
    }
    /// When a backend has something to do next, instead of what was said before.
    pub fn arm(&mut self, backend: u32, at: SimTime) {
        self.backends.set(backend, at);
    }
    /// A request's deadline; no earlier than the deadlines set before.
    pub fn time_out(&mut self, at: SimTime, slot: u32, life: u32) {
        debug_assert!(self.timeouts.back().is_none_or(|last| last.0 <= at), "deadline-order: arrivals come in order");
        if at < SimTime::NEVER {
            self.timeouts.push_back((at, slot, life));
        }
    }
    /// A retry.
    pub fn retry(&mut self, at: SimTime, slot: u32, generation: u32) {
        self.timer(at, Event::Retry(slot, generation));
    }
    /// Any other timer; `NEVER` adds nothing.
    pub fn timer(&mut self, at: SimTime, event: Event) {
        if at < SimTime::NEVER {
            self.sequence += 1;
            self.timers.push(Reverse((at, self.sequence, event)));
        }
    }
    /// Whether a timer is due.
    pub fn timer_due(&self, now: SimTime) -> bool {
        self.timers.peek().is_some_and(|Reverse(t)| t.0 <= now)
    }

    /// When the earliest is due; `NEVER` if nothing is. Deadlines of requests that are not `alive` any more are dropped.
    pub fn peek(&mut self, alive: impl Fn(u32, u32) -> bool) -> SimTime {
        while self.timeouts.front().is_some_and(|&(_, slot, life)| !alive(slot, life)) {
            self.timeouts.pop_front();
        }
        let first = |t: Option<SimTime>| t.unwrap_or(SimTime::NEVER);
        first(self.failures.peek().map(|Reverse(f)| f.0))
            .min(self.backends.first().0)
            .min(first(self.timeouts.front().map(|t| t.0)))
            .min(first(self.timers.peek().map(|Reverse(t)| t.0)))
    }

    /// Takes the first that is due at `now`. A backend stays due until it is armed anew.
    pub fn pop_at(&mut self, now: SimTime) -> Option<Event> {
        if self.failures.peek().is_some_and(|Reverse(f)| f.0 <= now) {
            return self.failures.pop().map(|Reverse(f)| f.1);
        }
        let (at, backend) = self.backends.first();
        if at <= now {
            return Some(Event::Backend(backend));
        }
        if self.timeouts.front().is_some_and(|t| t.0 <= now) {
            return self.timeouts.pop_front().map(|(_, slot, life)| Event::Timeout(slot, life));
        }
        if self.timer_due(now) {
            return self.timers.pop().map(|Reverse((.., event))| event);
        }
        None
    }
}

/// A tournament over a fixed number of players: the earliest wins, the lowest index among equals.
#[derive(Debug)]
struct Tournament {
    /// Node 1 is the final, node `i` is played by the winners of `2i` and `2i + 1`; the players are the second half.
    nodes: Vec<(SimTime, u32)>,
}

impl Tournament {
    fn new(players: usize) -> Tournament {
        let half = players.max(1).next_power_of_two();
        let player = |i: usize| (SimTime::NEVER, (i % half) as u32);
        let mut nodes: Vec<_> = (0..2 * half).map(player).collect();
        for i in (1..half).rev() {
            nodes[i] = nodes[2 * i].min(nodes[2 * i + 1]);
        }
        Tournament { nodes }
    }

    fn first(&self) -> (SimTime, u32) {
        self.nodes[1]
    }

    fn set(&mut self, player: u32, at: SimTime) {
        let mut i = self.nodes.len() / 2 + player as usize;
        if self.nodes[i].0 == at {
            return;
        }
        self.nodes[i].0 = at;
        while i > 1 {
            i /= 2;
            let (left, right) = (self.nodes[2 * i], self.nodes[2 * i + 1]);
            let winner = if right.0 < left.0 { right } else { left };
            if self.nodes[i] == winner {
                return;
            }
            self.nodes[i] = winner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_one_instant_failures_come_first_and_backends_go_by_index() {
        let mut agenda = Agenda::new(3);
        let t = SimTime::from_secs(1);
        agenda.retry(t, 9, 0);
        agenda.time_out(t, 1, 0);
        agenda.arm(2, t);
        agenda.arm(1, t);
        agenda.fail(t, Event::FailureDetected(7));
        agenda.fail(SimTime::NEVER, Event::ReplicaBack(0));
        let mut got = Vec::new();
        while let Some(event) = agenda.pop_at(t) {
            if let Event::Backend(b) = event {
                agenda.arm(b, SimTime::NEVER);
            }
            got.push(event);
        }
        let wanted =
            [Event::FailureDetected(7), Event::Backend(1), Event::Backend(2), Event::Timeout(1, 0), Event::Retry(9, 0)];
        assert_eq!(got, wanted);
        assert_eq!(agenda.peek(|_, _| true), SimTime::NEVER);
    }

    #[test]
    fn a_tournament_always_knows_the_first_of_the_earliest() {
        for players in [1, 2, 3, 7, 64] {
            let mut tournament = Tournament::new(players);
            let mut times = vec![SimTime::NEVER; players];
            let mut x = 1u64;
            for _ in 0..2_000 {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (player, at) = ((x >> 33) as usize % players, SimTime((x >> 20) % 16));
                times[player] = at;
                tournament.set(player as u32, at);
                let first = (0..players).min_by_key(|&i| (times[i], i)).expect("a player");
                assert_eq!(tournament.first(), (times[first], first as u32));
            }
        }
    }

    #[test]
    fn deadlines_of_the_dead_are_dropped() {
        let mut agenda = Agenda::new(1);
        agenda.time_out(SimTime(5), 0, 0);
        agenda.time_out(SimTime(6), 1, 0);
        assert_eq!(agenda.peek(|slot, _| slot == 1), SimTime(6));
    }
}
