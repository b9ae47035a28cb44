//! Admission: who gets in while the fleet is full, and who waits at the gateway.
//!
//! The detectors are llm-d's (spec/routers.md 3.3): by utilisation, the mean over own replicas of `max(waiting / queue,
//! kv / limit)`, at least 1 is saturated, and so is what was scraped too long ago; and by requests under way. Shed is what is
//! less urgent than a priority; what is not shed passes, or waits in a queue that has a capacity and a time to live, and goes
//! on by priority and then in order of arrival. SGLang's queue (3.1: 100 requests, 60 s, with a limit of requests under way) is
//! the same with other numbers.
use crate::types::{Load, SimTime};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When the fleet is saturated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// By what was scraped of own replicas.
    Utilization {
        /// Waiting requests of a replica that are saturation.
        waiting: u32,
        /// KV use that is, millionths.
        kv_use_ppm: u32,
        /// Samples older than this are, too.
        stale_after: SimTime,
    },
    /// By requests under way at own replicas and endpoints.
    InFlight(u32),
}

/// Where requests wait at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// At most so many; more are refused.
    pub capacity: u32,
    /// At most so long; then they are refused.
    pub ttl: SimTime,
}

/// See the module head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// When the fleet is saturated; never if `None`, which leaves limits of places.
    pub detector: Option<Detector>,
    /// While it is, requests whose priority number is higher (less urgent) are refused.
    pub shed_above: Option<i32>,
    /// While it is, others wait here; they pass without.
    pub queue: Option<Queue>,
}

/// What becomes of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On to the policy.
    Pass,
    /// Into the queue.
    Wait,
    /// Refused.
    Shed,
}

impl Detector {
    /// By `loads` of the own replicas that are ready, sampled at `sampled_at`; `in_flight` requests are under way.
    pub fn saturated(
        &self,
        loads: impl ExactSizeIterator<Item = Load>,
        sampled_at: SimTime,
        in_flight: u32,
        now: SimTime,
    ) -> bool {
        match *self {
            Detector::InFlight(limit) => in_flight >= limit,
            Detector::Utilization { waiting, kv_use_ppm, stale_after } => {
                let n = loads.len();
                if n == 0 {
                    return false; // nobody there to be full: the policy knows where else to go
                }
                if now.since(sampled_at) > stale_after {
                    return true;
                }
                let use_of = |load: Load| {
                    let queue = f64::from(load.waiting) / f64::from(waiting);
                    queue.max(f64::from(load.kv_use_ppm()) / f64::from(kv_use_ppm))
                };
                loads.map(use_of).sum::<f64>() >= n as f64
            }
        }
    }
}

impl Admission {
    /// What becomes of an arrival of this priority; `behind` says that others wait already.
    pub fn verdict(&self, saturated: bool, priority: i32, behind: bool) -> Verdict {
        if saturated && self.shed_above.is_some_and(|most| priority > most) {
            return Verdict::Shed;
        }
        if self.queue.is_some() && (saturated || behind) { Verdict::Wait } else { Verdict::Pass }
    }
}

/// Priority, order of arrival, slot, generation.
type Entry = (i32, u64, u32, u32);

/// Who waits at the gateway, by lane (requests of a class may go to the same places, so that one which cannot go on holds up
/// its own lane only); in a lane by priority, then in order of arrival. Entries name a slot and its generation; they become
/// void when the generation does.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    lanes: Vec<BinaryHeap<Reverse<Entry>>>,
    sequence: u64,
    /// Entries that are not void.
    pub len: u32,
}

impl Waiting {
    /// Nobody waiting, in so many lanes.
    pub fn new(lanes: usize) -> Waiting {
        Waiting { lanes: vec![BinaryHeap::new(); lanes], sequence: 0, len: 0 }
    }
    /// Puts a request behind those of its priority.
    pub fn push(&mut self, lane: usize, priority: i32, slot: u32, generation: u32) {
        self.sequence += 1;
        self.len += 1;
        self.lanes[lane].push(Reverse((priority, self.sequence, slot, generation)));
    }
    /// The first of all lanes that are not `closed` (a set of bits; lanes from 64 on share the last): its lane and its slot.
    pub fn first(&mut self, closed: u64, alive: impl Fn(u32, u32) -> bool) -> Option<(usize, u32)> {
        for lane in &mut self.lanes {
            while lane.peek().is_some_and(|Reverse((_, _, slot, generation))| !alive(*slot, *generation)) {
                lane.pop();
            }
        }
        let open = self.lanes.iter().enumerate().filter(|(i, _)| closed >> (*i).min(63) & 1 == 0);
        let heads = open.filter_map(|(i, lane)| lane.peek().map(|Reverse((p, n, slot, _))| (*p, *n, i, *slot)));
        heads.min().map(|(_, _, lane, slot)| (lane, slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(waiting: u32, kv: u32) -> Load {
        Load { waiting, running: 0, kv_used_blocks: kv, kv_total_blocks: 100 }
    }

    #[test]
    fn saturation_is_the_mean_of_the_worse_of_queue_and_kv() {
        let d = Detector::Utilization { waiting: 5, kv_use_ppm: 800_000, stale_after: SimTime::from_millis(200) };
        let now = SimTime::from_secs(9);
        let is = |loads: &[Load], at| d.saturated(loads.iter().copied(), at, 0, now);
        assert!(is(&[load(5, 0)], now) && is(&[load(0, 80)], now) && !is(&[load(4, 79)], now));
        assert!(is(&[load(10, 0), load(0, 0)], now), "mean of 2 and 0");
        assert!(!is(&[load(9, 0), load(0, 8)], now), "mean of 1.8 and 0.1");
        assert!(is(&[load(0, 0)], SimTime::from_millis(8_799)), "201 ms old");
        assert!(!is(&[load(0, 0)], SimTime::from_millis(8_800)) && !is(&[], now));
        let d = Detector::InFlight(3);
        assert!(d.saturated([].into_iter(), now, 3, now) && !d.saturated([].into_iter(), now, 2, now));
    }

    #[test]
    fn the_less_urgent_are_shed_and_the_others_pass_or_wait() {
        let legacy = Admission { detector: None, shed_above: Some(0), queue: None };
        assert_eq!(legacy.verdict(true, 1, false), Verdict::Shed);
        assert_eq!(legacy.verdict(true, 0, false), Verdict::Pass);
        assert_eq!(legacy.verdict(false, 1, false), Verdict::Pass);
        let queue = Some(Queue { capacity: 5_000, ttl: SimTime::from_secs(60) });
        let flow = Admission { queue, shed_above: None, ..legacy };
        assert_eq!(flow.verdict(true, 1, false), Verdict::Wait);
        assert_eq!(flow.verdict(false, 1, true), Verdict::Wait, "nobody overtakes those who wait");
        assert_eq!(flow.verdict(false, 1, false), Verdict::Pass);
    }

    #[test]
    fn who_waits_goes_on_by_priority_then_in_order_and_a_closed_lane_holds_up_no_other() {
        let mut w = Waiting::new(2);
        w.push(0, 5, 10, 0);
        w.push(1, 5, 11, 0);
        w.push(0, -1, 12, 0);
        w.push(0, 5, 13, 0);
        let mut gone: Vec<u32> = Vec::new();
        let mut order = Vec::new();
        while let Some((_, slot)) = w.first(0, |slot, _| !gone.contains(&slot)) {
            order.push(slot);
            gone.push(slot);
        }
        assert_eq!(order, [12, 10, 11, 13]);
        w.push(0, 0, 1, 0);
        w.push(1, 9, 2, 0);
        assert_eq!(w.first(0b01, |_, _| true), Some((1, 2)));
        assert_eq!(w.first(0b11, |_, _| true), None);
    }
}
