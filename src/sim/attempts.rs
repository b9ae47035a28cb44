//! Requests in flight: slots, and the attempt ids that name a slot and a generation.
pub use crate::gateway::Target;
use crate::types::{AttemptId, BackendKind, OutcomeCause, Request, SimTime, Usd};

/// A request between arrival and end.
#[derive(Debug)]
pub struct InFlight {
    pub request: Request,
    pub class: u16,
    pub tries: u32,
    pub current: Option<Sent>,
    pub first_token: Option<SimTime>,
    pub cost: Usd,
    pub preemptions: u32,
    pub last_backend: Option<BackendKind>,
    pub last_cause: OutcomeCause,
    pub parked: bool,
}

/// The attempt under way.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub attempt: AttemptId,
    pub at: SimTime,
    pub to: Target,
    /// Unanswered prompt tokens at the replica when it was sent, its own included.
    pub backlog_tokens: u64,
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
    /// A new generation of the slot: timers and attempts of older ones are void.
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
    pub fn attempt_id(slot: u32, generation: u32) -> AttemptId {
        AttemptId(u64::from(generation) << 32 | u64::from(slot))
    }
    /// The slot of an attempt, if that attempt is the current one.
    pub fn resolve(&self, attempt: AttemptId) -> Option<u32> {
        let (slot, generation) = (attempt.0 as u32, (attempt.0 >> 32) as u32);
        self.is_current(slot, generation).then_some(slot)
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
