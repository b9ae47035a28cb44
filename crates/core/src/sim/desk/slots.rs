//! Requests in flight: slots, and the attempt ids that name a slot and a generation.
use super::ending::Ending;
use crate::gateway::Hop;
use crate::types::{AttemptId, Outcome, OutcomeCause, Place, Request, SimTime, Usd};

/// A request between arrival and end.
#[derive(Debug)]
pub struct InFlight {
    pub request: Request,
    pub class: u16,
    pub tries: u32,
    pub current: Option<Sent>,
    /// The second copy. While there are two, `current` is the older one.
    pub hedge: Option<Sent>,
    /// The slower of two copies, which will be cancelled when all answers of this instant are in.
    pub loser: Option<AttemptId>,
    /// Answered; it ends when the loser is cancelled, at the same instant.
    pub answered: Option<Ending>,
    /// Given up: how it ends when all that is under way of it has been cancelled, at the same instant.
    pub given_up: Option<(Outcome, OutcomeCause)>,
    /// Most output tokens of an attempt that was cancelled because the request was given up.
    pub given_up_tokens: u32,
    /// When the answer's first token left the backend.
    pub first_token: Option<SimTime>,
    pub cost: Usd,
    pub preemptions: u32,
    /// The pool or endpoint of the last attempt that was not cancelled, or that is under way.
    pub last_backend: Option<Place>,
    /// How the last attempt ended that was not cancelled.
    pub last: Option<Ending>,
    /// The request waits until a replica is ready.
    pub parked: bool,
    pub route: Route,
}

impl InFlight {
    /// A request that has just arrived.
    pub fn new(request: Request, class: u16) -> InFlight {
        InFlight {
            request,
            class,
            tries: 0,
            current: None,
            hedge: None,
            loser: None,
            answered: None,
            given_up: None,
            given_up_tokens: 0,
            first_token: None,
            cost: Usd::ZERO,
            preemptions: 0,
            last_backend: None,
            last: None,
            parked: false,
            route: Route::default(),
        }
    }
    /// An attempt under way.
    pub fn sent(&mut self, attempt: AttemptId) -> Option<&mut Sent> {
        [self.current.as_mut(), self.hedge.as_mut()].into_iter().flatten().find(|s| s.attempt == attempt)
    }
    /// Takes an attempt out; what is left is `current`.
    pub fn take(&mut self, attempt: AttemptId) -> Option<Sent> {
        if self.hedge.is_some_and(|s| s.attempt == attempt) {
            return self.hedge.take();
        }
        let taken = self.current.take_if(|s| s.attempt == attempt);
        if taken.is_some() {
            self.current = self.hedge.take();
        }
        taken
    }
}

/// Why a request may go to one place only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedBy {
    /// The request's tries at a place with a fallback chain are not used up, or it fell back to there.
    FallbackChain,
    /// A stage of a cascade.
    CascadeStage,
}

/// What the next attempt of a request is, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TryKind {
    #[default]
    First,
    Retry,
    Fallback,
    Escalation,
}

/// Where a request stands among the gateway's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Route {
    /// The only pool or endpoint that it may go to.
    pub pinned: Option<(Place, PinnedBy)>,
    /// How far it has come along fallback chains.
    pub hop: Hop,
    /// Failures at this place.
    pub failures: u32,
    /// Waited at this place for Retry-Afters.
    pub waited: SimTime,
    /// Stage of the cascade that the request is in, from 0.
    pub stage: u16,
    pub next_try: TryKind,
    /// Whether the request is past admission.
    pub admitted: bool,
    /// In the gateway's queue.
    pub queued: bool,
}

/// The attempt under way.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub attempt: AttemptId,
    pub at: SimTime,
    /// The replica or endpoint.
    pub to: Place,
    /// Unanswered prompt tokens at the replica when it was sent, its own included.
    pub backlog_tokens: u64,
    pub first_token: Option<SimTime>,
    pub try_number: u32,
}

#[derive(Debug, Default)]
struct Slot {
    /// Grows with every attempt, retry timer and retirement.
    generation: u32,
    /// Grows with every retirement.
    life: u32,
    item: Option<InFlight>,
}

/// Slots with generations, so that what names an older attempt or request is known to be void.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: u64,
}

impl Slots {
    pub fn insert(&mut self, item: InFlight) -> u32 {
        self.live += 1;
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize].item = Some(item);
                slot
            }
            None => {
                self.slots.push(Slot { item: Some(item), ..Slot::default() });
                (self.slots.len() - 1) as u32
            }
        }
    }
    pub fn live(&self) -> u64 {
        self.live
    }
    /// The request in a slot that is known to be taken.
    pub fn get(&mut self, slot: u32) -> &mut InFlight {
        self.slots[slot as usize].item.as_mut().expect("nothing-lost: a slot was used after its request ended")
    }
    /// A new generation of the slot: timers of older ones are void, but for those of attempts under way.
    pub fn bump(&mut self, slot: u32) -> u32 {
        let generation = &mut self.slots[slot as usize].generation;
        *generation = generation.wrapping_add(1);
        *generation
    }
    pub fn is_current(&self, slot: u32, generation: u32) -> bool {
        let s = &self.slots[slot as usize];
        s.generation == generation && s.item.is_some()
    }
    /// What names the request in a slot, and none that the slot had before or will have.
    pub fn life(&self, slot: u32) -> u32 {
        self.slots[slot as usize].life
    }
    pub fn is_alive(&self, slot: u32, life: u32) -> bool {
        let s = &self.slots[slot as usize];
        s.life == life && s.item.is_some()
    }
    /// The id of the attempt that a generation of a slot is.
    pub fn attempt_id(slot: u32, generation: u32) -> AttemptId {
        AttemptId(u64::from(generation) << 32 | u64::from(slot))
    }
    /// The generation that an attempt is of its slot.
    pub fn generation_of(attempt: AttemptId) -> u32 {
        (attempt.0 >> 32) as u32
    }
    /// The slot of an attempt, if that attempt is under way.
    pub fn resolve(&self, attempt: AttemptId) -> Option<u32> {
        let slot = attempt.0 as u32;
        let item = self.slots.get(slot as usize)?.item.as_ref()?;
        let is_it = |sent: &Option<Sent>| sent.as_ref().is_some_and(|s| s.attempt == attempt);
        (is_it(&item.current) || is_it(&item.hedge)).then_some(slot)
    }
    pub fn retire(&mut self, slot: u32) -> InFlight {
        self.bump(slot);
        self.live -= 1;
        self.free.push(slot);
        let s = &mut self.slots[slot as usize];
        s.life = s.life.wrapping_add(1);
        s.item.take().expect("nothing-lost: a request ended twice")
    }
}
