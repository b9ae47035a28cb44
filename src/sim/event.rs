//! The closed set of events and their one total order.
use crate::types::SimTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What may happen. The order of classes at one instant is [`Event::class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A replica dies.
    ReplicaFails(u32),
    /// The gateway notices; its requests fail.
    FailureDetected(u32),
    /// A replica serves again.
    ReplicaBack(u32),
    /// A step of this replica ends.
    StepEnds(u32),
    /// This endpoint answers something.
    EndpointAnswers(u32),
    /// The gateway's timeout of a request: slot and its generation.
    Timeout(u32, u32),
    /// A retry is due: slot and its generation.
    Retry(u32, u32),
}

impl Event {
    /// Order at one instant: stops and failures, ends of steps and answers, timers. Arrivals, schedules and samples
    /// follow; the loop itself keeps them behind.
    pub fn class(self) -> u8 {
        match self {
            Event::ReplicaFails(_) | Event::FailureDetected(_) | Event::ReplicaBack(_) => 1,
            Event::StepEnds(_) | Event::EndpointAnswers(_) => 2,
            Event::Timeout(..) | Event::Retry(..) => 3,
        }
    }
    /// Backends of one class go by index; endpoints after replicas. Timers keep their sequence.
    fn key(self) -> u64 {
        match self {
            Event::ReplicaFails(r) | Event::FailureDetected(r) | Event::ReplicaBack(r) | Event::StepEnds(r) => r.into(),
            Event::EndpointAnswers(e) => (1 << 32) + u64::from(e),
            Event::Timeout(..) | Event::Retry(..) => 0,
        }
    }
}

/// Time, class, key, sequence: the total order.
type Entry = (SimTime, u8, u64, u64, Event);

/// Pending events, earliest first.
#[derive(Debug, Default)]
pub struct EventQueue {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl EventQueue {
    /// Adds an event; `SimTime::NEVER` adds nothing.
    pub fn push(&mut self, at: SimTime, event: Event) {
        if at < SimTime::NEVER {
            self.sequence += 1;
            self.heap.push(Reverse((at, event.class(), event.key(), self.sequence, event)));
        }
    }
    /// When the earliest is due.
    pub fn peek(&self) -> Option<SimTime> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
    /// Takes the earliest if it is due at `now`.
    pub fn pop_at(&mut self, now: SimTime) -> Option<Event> {
        (self.peek()? <= now).then(|| self.heap.pop().map(|Reverse((.., event))| event)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_one_instant_failures_come_first_and_backends_go_by_index() {
        let mut queue = EventQueue::default();
        let t = SimTime::from_secs(1);
        let wanted = [
            Event::FailureDetected(7),
            Event::StepEnds(1),
            Event::StepEnds(2),
            Event::EndpointAnswers(0),
            Event::Retry(9, 0),
            Event::Timeout(1, 0),
        ];
        for i in [3, 4, 2, 5, 1, 0] {
            queue.push(t, wanted[i]);
        }
        queue.push(SimTime::NEVER, Event::ReplicaBack(0));
        let got: Vec<_> = std::iter::from_fn(|| queue.pop_at(t)).collect();
        assert_eq!(got, wanted);
        assert_eq!(queue.peek(), None);
    }
}
