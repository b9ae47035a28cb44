//! What happens next: failures and places that open, backends by their next event, timers; and the one total order of an instant.
//!
//! Order at one instant: failures, then replicas and endpoints in the order of their ids, then timeouts, then other timers, each
//! in the order in which they were set. Arrivals, schedules and samples follow; the loop itself keeps them behind.
use crate::types::{EndpointId, Place, ReplicaId, SimTime};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A replica dies.
    ReplicaFails(ReplicaId),
    /// The gateway notices; its requests fail.
    FailureDetected(ReplicaId),
    /// A replica serves again.
    ReplicaBack(ReplicaId),
    /// A new replica or endpoint serves.
    Opens(Place),
    /// A replica has something to do.
    Replica(ReplicaId),
    /// An endpoint has something to do.
    Endpoint(EndpointId),
    /// The gateway has something to do.
    Timer(Timer),
}

/// What the gateway wants to be reminded of. A timer names a slot of its requests and which of the slot's requests (`life`),
/// attempts or reminders (`generation`) it concerns; where that is over, the timer is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The deadline of a request: slot and life.
    Timeout(u32, u32),
    /// A request is due to be sent (again): slot and generation.
    Retry(u32, u32),
    /// An attempt ran out of its own time: slot and the attempt's generation.
    TryTimeout(u32, u32),
    /// An attempt ran out of its time to the first token: slot and the attempt's generation.
    FirstTokenTimeout(u32, u32),
    /// An attempt's first token is late, and a second copy may go: slot and the attempt's generation.
    Hedge(u32, u32),
    /// The attempt lost against the request's other copy: slot and the attempt's generation.
    Loser(u32, u32),
    /// A client leaves, unless it has seen a token: slot and life.
    ClientGone(u32, u32),
    /// A request waited too long in the gateway's queue: slot and generation.
    QueueTimeout(u32, u32),
    /// Who waits at the gateway may go on.
    Queue,
}

/// Everything that is pending.
#[derive(Debug, Default)]
pub struct Agenda {
    failures: BinaryHeap<Reverse<(SimTime, Event)>>,
    replicas: Tournament,
    endpoints: Tournament,
    /// Deadlines come in the order of arrivals, so a queue is sorted.
    timeouts: VecDeque<(SimTime, u32, u32)>,
    timers: BinaryHeap<Reverse<(SimTime, u64, Timer)>>,
    sequence: u64,
}

impl Agenda {
    /// A failure, or a place that opens; `NEVER` adds nothing.
    pub fn fail(&mut self, at: SimTime, event: Event) {
        if at < SimTime::NEVER {
            self.failures.push(Reverse((at, event)));
        }
    }
    /// When a backend has something to do next, instead of what was said before.
    pub fn arm(&mut self, backend: Place, at: SimTime) {
        match backend {
            Place::Replica(id) => self.replicas.set(id.0, at),
            Place::Endpoint(id) => self.endpoints.set(id.0, at),
            Place::Pool(_) => unreachable!("agenda: a pool does nothing of itself"),
        }
    }
    /// A request's deadline; no earlier than the deadlines set before.
    pub fn time_out(&mut self, at: SimTime, slot: u32, life: u32) {
        debug_assert!(self.timeouts.back().is_none_or(|last| last.0 <= at), "deadline-order: arrivals come in order");
        if at < SimTime::NEVER {
            self.timeouts.push_back((at, slot, life));
        }
    }
    /// A timer; `NEVER` adds nothing.
    pub fn timer(&mut self, at: SimTime, timer: Timer) {
        if at < SimTime::NEVER {
            self.sequence += 1;
            self.timers.push(Reverse((at, self.sequence, timer)));
        }
    }
    /// Whether a timer is due.
    pub fn timer_due(&self, now: SimTime) -> bool {
        self.timers.peek().is_some_and(|Reverse(t)| t.0 <= now)
    }

    /// When the earliest is due; `NEVER` if nothing is. Deadlines of requests that are not `alive` any more are dropped.
    pub fn peek(&mut self, alive: impl Fn(u32, u32) -> bool) -> SimTime {
        let timeout = loop {
            match self.timeouts.front() {
                Some(&(_, slot, life)) if !alive(slot, life) => _ = self.timeouts.pop_front(),
                Some(&(at, ..)) => break at,
                None => break SimTime::NEVER,
            }
        };
        let first = |t: Option<SimTime>| t.unwrap_or(SimTime::NEVER);
        first(self.failures.peek().map(|Reverse(f)| f.0))
            .min(self.replicas.first().0)
            .min(self.endpoints.first().0)
            .min(timeout)
            .min(first(self.timers.peek().map(|Reverse(t)| t.0)))
    }

    /// Takes the first that is due at `now`. A backend stays due until it is armed anew.
    pub fn pop_at(&mut self, now: SimTime) -> Option<Event> {
        if self.failures.peek().is_some_and(|Reverse(f)| f.0 <= now) {
            return self.failures.pop().map(|Reverse(f)| f.1);
        }
        let (at, replica) = self.replicas.first();
        if at <= now {
            return Some(Event::Replica(ReplicaId(replica)));
        }
        let (at, endpoint) = self.endpoints.first();
        if at <= now {
            return Some(Event::Endpoint(EndpointId(endpoint)));
        }
        if self.timeouts.front().is_some_and(|t| t.0 <= now) {
            return self.timeouts.pop_front().map(|(_, slot, life)| Event::Timer(Timer::Timeout(slot, life)));
        }
        if self.timer_due(now) {
            return self.timers.pop().map(|Reverse((.., timer))| Event::Timer(timer));
        }
        None
    }
}

/// A tournament of players that come as they are named: the earliest wins, the lowest number among equals.
#[derive(Debug)]
struct Tournament {
    /// Node 1 is the final, node `i` is played by the winners of `2i` and `2i + 1`; the players are the second half.
    nodes: Vec<(SimTime, u32)>,
}

impl Default for Tournament {
    fn default() -> Tournament {
        Tournament { nodes: vec![(SimTime::NEVER, 0); 2] }
    }
}

impl Tournament {
    /// Makes room for twice as many.
    #[cold]
    fn grow(&mut self) {
        let half = self.nodes.len();
        let player = |i: usize| self.nodes.get(half / 2 + i).copied().filter(|_| i < half / 2);
        let mut nodes: Vec<_> = (0..half).map(|i| (SimTime::NEVER, i as u32)).collect();
        nodes.extend((0..half).map(|i| player(i).unwrap_or((SimTime::NEVER, i as u32))));
        for i in (1..half).rev() {
            nodes[i] = nodes[2 * i].min(nodes[2 * i + 1]);
        }
        self.nodes = nodes;
    }

    fn first(&self) -> (SimTime, u32) {
        self.nodes[1]
    }

    fn set(&mut self, player: u32, at: SimTime) {
        while player as usize >= self.nodes.len() / 2 {
            self.grow();
        }
        let mut i = self.nodes.len() / 2 + player as usize;
        let mut winner = (at, player);
        // Up to the final, each time against who won beside it; where nothing changes, nothing does above.
        while self.nodes[i] != winner {
            self.nodes[i] = winner;
            if i == 1 {
                return;
            }
            let other = self.nodes[i ^ 1];
            let is_left = i & 1 == 0;
            if other.0 < winner.0 || (other.0 == winner.0 && !is_left) {
                winner = other;
            }
            i /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_one_instant_failures_come_first_and_backends_go_by_index() {
        let mut agenda = Agenda::default();
        let t = SimTime::from_secs(1);
        agenda.timer(t, Timer::Retry(9, 0));
        agenda.time_out(t, 1, 0);
        let (one, two) = (ReplicaId(1), ReplicaId(2));
        agenda.arm(EndpointId(0).into(), t);
        agenda.arm(two.into(), t);
        agenda.arm(one.into(), t);
        agenda.fail(t, Event::FailureDetected(ReplicaId(7)));
        agenda.fail(SimTime::NEVER, Event::ReplicaBack(ReplicaId(0)));
        let mut got = Vec::new();
        while let Some(event) = agenda.pop_at(t) {
            match event {
                Event::Replica(r) => agenda.arm(r.into(), SimTime::NEVER),
                Event::Endpoint(e) => agenda.arm(e.into(), SimTime::NEVER),
                _ => {}
            }
            got.push(event);
        }
        let wanted = [
            Event::FailureDetected(ReplicaId(7)),
            Event::Replica(one),
            Event::Replica(two),
            Event::Endpoint(EndpointId(0)),
            Event::Timer(Timer::Timeout(1, 0)),
            Event::Timer(Timer::Retry(9, 0)),
        ];
        assert_eq!(got, wanted);
        assert_eq!(agenda.peek(|_, _| true), SimTime::NEVER);
    }

    #[test]
    fn a_tournament_always_knows_the_first_of_the_earliest() {
        for players in [1, 2, 3, 7, 64] {
            let mut tournament = Tournament::default();
            let mut times = vec![SimTime::NEVER; players];
            let mut x = 1u64;
            for _ in 0..2_000 {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (player, at) = ((x >> 33) as usize % players, SimTime((x >> 20) % 16));
                times[player] = at;
                tournament.set(player as u32, at);
                let first = (0..players).min_by_key(|&i| (times[i], i)).expect("a player");
                if times[first] < SimTime::NEVER {
                    assert_eq!(tournament.first(), (times[first], first as u32));
                }
            }
        }
    }

    #[test]
    fn deadlines_of_the_dead_are_dropped() {
        let mut agenda = Agenda::default();
        agenda.time_out(SimTime(5), 0, 0);
        agenda.time_out(SimTime(6), 1, 0);
        assert_eq!(agenda.peek(|slot, _| slot == 1), SimTime(6));
    }
}
