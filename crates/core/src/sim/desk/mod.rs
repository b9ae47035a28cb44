//! The desk: the gateway's books and rules. It has the requests in flight, knows what it sent where, asks the policy, and owns
//! what surrounds a decision: admission, queue, deadlines, retries, fallbacks, second copies, cascades.
//!
//! It touches no backend and no clock. What it wants done it puts into `actions`, which the world performs in order after
//! each call; what it makes of effects it puts into `told`. `decide.rs` finds where a request goes, `send.rs` sends it,
//! `closing.rs` takes what backends say, `recover.rs` has the timers around attempts, `admission.rs` who gets in and who waits.
mod admission;
mod closing;
mod decide;
mod directory;
mod ending;
mod recover;
mod send;
mod slots;

use super::agenda::Timer;
use super::{SimStats, WorldEffect, WorldSpec};
use crate::gateway::{
    BackendFacts, BudgetLevel, Decide, EndpointView, Health, LearnedTtft, Needs, PrefillRate, Waiting,
};
use crate::types::{AttemptId, EndpointId, Job, Place, PoolId, ReplicaId, SimTime};
use directory::Directory;
use slots::Slots;
use std::collections::VecDeque;

pub(super) use super::fleet::Fleet;
pub(super) use super::market::Market;
pub(super) use admission::Look;
pub(super) use directory::Standing;
pub(super) use ending::Hangup;

/// What the desk may look at beyond its own books.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub fleet: &'a Fleet,
    pub market: &'a Market,
}

/// What the desk wants done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// A timer is to be set.
    Timer {
        /// For when.
        at: SimTime,
        /// What then.
        timer: Timer,
    },
    /// The deadline of a request; they come in the order of arrivals.
    Deadline {
        /// When.
        at: SimTime,
        /// Slot of the request.
        slot: u32,
        /// Which of the slot's requests.
        life: u32,
    },
    /// An attempt is to be handed to its backend, [`Desk::job`] being the job.
    Submit {
        /// Slot of its request.
        slot: u32,
        /// The attempt that is submitted.
        attempt: AttemptId,
        /// The replica or endpoint that it goes to.
        to: Place,
    },
    /// An attempt is to be cancelled, and [`Desk::cancelled`] to be told what it leaves.
    Cancel {
        /// Slot of its request.
        slot: u32,
        /// The attempt that is cancelled.
        attempt: AttemptId,
        /// The replica or endpoint that has it.
        at: Place,
        /// Why the attempt is cancelled.
        why: Hangup,
    },
}

/// See the module head.
pub(super) struct Desk<'a> {
    spec: &'a WorldSpec,
    policy: Box<dyn Decide>,
    /// What the policy and the rules read.
    pub needs: Needs,
    slots: Slots,
    places: Directory,
    /// Requests that wait until a replica is ready.
    parked: VecDeque<u32>,
    health: Health,
    budget: BudgetLevel,
    learned: LearnedTtft,
    waiting: Waiting,
    /// When the queue is looked at next; `NEVER` if no timer for it is set.
    look_at: SimTime,
    /// Whether any rule may narrow down candidates.
    narrows: bool,
    /// Requests answered, and their output tokens: what a gateway knows of output lengths.
    outputs_seen: (u64, u64),
    /// What it counts.
    counts: SimStats,
    /// To be performed in order.
    pub actions: Vec<Action>,
    /// What became of requests and attempts.
    pub told: Vec<WorldEffect>,
    // Scratch, reused so that the loop does not allocate.
    endpoint_views: Vec<EndpointView>,
    narrowed: Vec<ReplicaId>,
}

impl<'a> Desk<'a> {
    /// An empty desk that knows no place.
    pub fn new(spec: &'a WorldSpec) -> Desk<'a> {
        assert!(spec.pools.len() <= 64, "pool-set: more than 64 pools");
        let policy = spec.routing.policy();
        let r = &spec.resilience;
        let mut needs = policy.needs();
        needs.loads |= r.reads_loads();
        let rates = spec.pools.iter().map(|p| PrefillRate::new(p.assumed_prefill_tokens_per_s)).collect();
        Desk {
            spec,
            policy,
            needs,
            slots: Slots::default(),
            places: Directory::new(rates),
            parked: VecDeque::new(),
            health: Health::new(r.breaker, r.cooldown),
            budget: BudgetLevel::new(r.retry.budget),
            learned: LearnedTtft::default(),
            waiting: Waiting::new(spec.classes.len()),
            look_at: SimTime::NEVER,
            narrows: r.narrows(),
            outputs_seen: (0, 0),
            counts: SimStats::default(),
            actions: Vec::new(),
            told: Vec::new(),
            endpoint_views: Vec::new(),
            narrowed: Vec::new(),
        }
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u64 {
        self.slots.live()
    }
    /// What it has counted.
    pub fn counts(&self) -> SimStats {
        SimStats { circuits_opened: self.health.opened, ..self.counts.clone() }
    }

    /// A replica has come.
    pub fn replica_came(&mut self, id: ReplicaId, pool: PoolId, standing: Standing) {
        self.places.add_replica(id, pool, standing);
        self.health.came(id.into());
    }
    /// An endpoint has come, whose p90 TTFT is assumed.
    pub fn endpoint_came(&mut self, id: EndpointId, facts: BackendFacts, assumed_ttft: SimTime, standing: Standing) {
        self.places.add_endpoint(id, facts, assumed_ttft, standing);
        self.health.came(id.into());
    }
    /// A replica or an endpoint is a candidate from now on, or no more.
    pub fn stands(&mut self, place: Place, standing: Standing) {
        self.places.set(place, standing);
    }
    /// A place has left for good; nothing is under way there.
    pub fn left(&mut self, place: Place) {
        assert_eq!(self.places.under_way(place), 0, "nothing-lost: {place:?} leaves with attempts under way");
        if let Place::Replica(id) = place {
            self.places.remove_replica(id);
        }
        self.health.left();
        self.policy.forget(place);
        self.told.push(WorldEffect::Left { place });
    }
    /// Attempts under way at a replica or an endpoint.
    pub fn under_way(&self, place: Place) -> u32 {
        self.places.under_way(place)
    }

    /// Whether a timer concerns what is no more.
    pub fn is_void(&self, timer: Timer) -> bool {
        match timer {
            Timer::Timeout(slot, life) | Timer::ClientGone(slot, life) => !self.slots.is_alive(slot, life),
            Timer::Retry(slot, generation) | Timer::QueueTimeout(slot, generation) => {
                !self.slots.is_current(slot, generation)
            }
            Timer::TryTimeout(slot, generation)
            | Timer::FirstTokenTimeout(slot, generation)
            | Timer::Hedge(slot, generation)
            | Timer::Loser(slot, generation) => self.slots.resolve(Slots::attempt_id(slot, generation)).is_none(),
            Timer::Queue => false,
        }
    }
    /// Whether a request is in flight: a slot, and which of its requests.
    pub fn is_alive(&self, slot: u32, life: u32) -> bool {
        self.slots.is_alive(slot, life)
    }

    /// The job that an attempt under way is.
    pub fn job(&mut self, slot: u32, attempt: AttemptId) -> Job {
        let flight = self.slots.get(slot);
        let try_number = flight.sent(attempt).expect("nothing-lost: what is handed in is under way").try_number;
        let class = &self.spec.classes[flight.class as usize].0;
        let request = &flight.request;
        Job {
            attempt,
            request: request.index,
            try_number,
            prompt_tokens: request.prompt_tokens,
            output_tokens: request.output_tokens.min(request.max_output_tokens).max(1),
            max_output_tokens: request.max_output_tokens,
            priority: request.priority.saturating_add(class.priority),
            content: request.content.clone(),
        }
    }

    fn timer(&mut self, at: SimTime, timer: Timer) {
        self.actions.push(Action::Timer { at, timer });
    }
}
