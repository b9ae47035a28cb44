//! Where requests live: slots with generations, used again, so that steady state allocates nothing.
use crate::kv::Tokens;
use crate::types::{AttemptId, Content, ContentId, Femtos, Job, Run};
use rustc_hash::FxHashMap;
use std::ops::{Index, IndexMut};

/// Which list a request is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// New or preempted.
    Waiting,
    /// Admitted.
    Running,
}

/// One request. Names follow spec/vllm.md 1.2.
#[derive(Debug)]
pub(super) struct Slot<T> {
    pub generation: u32,
    pub attempt: AttemptId,
    pub state: State,
    pub priority: i32,
    pub arrival: u64,
    pub prompt: u32,
    pub output: u32,
    /// `C`: tokens computed, advanced when scheduled.
    pub computed: u32,
    /// Output tokens that left.
    pub emitted: u32,
    /// `ph`: tokens that batches in flight will sample (asynchronous only).
    pub placeholders: u32,
    /// Batches in flight that it is in.
    pub in_flight: u32,
    /// The last batch that it was scheduled in to sample a token.
    pub last_sample: u32,
    /// Whether it is kept by `steady.rs`, which then counts for it: what its fields say is of the tick it joined at.
    pub steady: bool,
    pub preemptions: u32,
    /// Prefix-cache hit at the first admission.
    pub cached_tokens: Option<u32>,
    /// When its last token left.
    pub last_token: Femtos,
    /// KV blocks that the request holds.
    pub table: T,
    content: Content,
    output_runs: OutputRuns,
}

#[derive(Debug)]
enum OutputRuns {
    Own([Run; 1]),
    Given(Box<[Run]>),
}

impl<T> Slot<T> {
    /// `T`: tokens known so far.
    pub fn tokens(&self) -> u32 {
        self.prompt + self.emitted
    }
    /// What the priority policy compares; larger is less urgent.
    pub fn urgency(&self) -> (i32, u64) {
        (self.priority, self.arrival)
    }
    /// The request's block table, to change, and its tokens.
    pub fn parts(&mut self) -> (&mut T, Tokens<'_>) {
        let output: &[Run] = match &self.output_runs {
            OutputRuns::Own(run) => run,
            OutputRuns::Given(runs) => runs,
        };
        (&mut self.table, Tokens { prompt: self.content.runs(), output })
    }
}

/// All requests of a scheduler.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    vacant: Vec<u32>,
    /// Slots by attempt, kept from the first time on that somebody asks: who never aborts does not pay for it.
    by_attempt: Option<FxHashMap<AttemptId, u32>>,
}

impl<T: Default> Slots<T> {
    pub fn new() -> Slots<T> {
        Slots { slots: Vec::new(), vacant: Vec::new(), by_attempt: None }
    }

    /// The slot of an attempt that is here. `present` has the slots of all that are; only the first call looks at it.
    pub fn find(&mut self, attempt: AttemptId, present: impl Iterator<Item = u32>) -> Option<u32> {
        let slots = &self.slots;
        let all = || present.map(|slot| (slots[slot as usize].attempt, slot)).collect();
        self.by_attempt.get_or_insert_with(all).get(&attempt).copied()
    }

    /// The request that a batch row names, if it is still there.
    pub fn alive(&self, slot: u32, generation: u32) -> bool {
        self.slots[slot as usize].generation == generation
    }

    pub fn insert(&mut self, job: Job, output: Option<Box<[Run]>>, arrival: u64) -> u32 {
        let vacant = self.vacant.pop();
        let old = vacant.map(|s| &mut self.slots[s as usize]);
        let (generation, table) = match old {
            Some(old) => (old.generation, std::mem::take(&mut old.table)),
            None => (0, T::default()),
        };
        let own = Run { id: ContentId::Output(job.request), start: 0, len: u32::MAX };
        let fresh = Slot {
            generation,
            attempt: job.attempt,
            state: State::Waiting,
            priority: job.priority,
            arrival,
            prompt: job.prompt_tokens,
            output: job.output_tokens,
            computed: 0,
            emitted: 0,
            placeholders: 0,
            in_flight: 0,
            preemptions: 0,
            cached_tokens: None,
            last_sample: 0,
            steady: false,
            last_token: Femtos(0),
            table,
            content: job.content,
            output_runs: output.map_or(OutputRuns::Own([own]), OutputRuns::Given),
        };
        let slot = match vacant {
            Some(slot) => {
                self.slots[slot as usize] = fresh;
                slot
            }
            None => {
                self.slots.push(fresh);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(by_attempt) = &mut self.by_attempt {
            let before = by_attempt.insert(job.attempt, slot);
            assert!(before.is_none(), "attempt-unique: {:?} is here already", job.attempt);
        }
        slot
    }

    pub fn remove(&mut self, slot: u32) {
        let old = &mut self.slots[slot as usize];
        old.generation = old.generation.wrapping_add(1);
        old.content = Content::private(0, 0);
        old.output_runs = OutputRuns::Given(Box::from([]));
        if let Some(by_attempt) = &mut self.by_attempt {
            by_attempt.remove(&old.attempt);
        }
        self.vacant.push(slot);
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = Slot<T>;
    fn index(&self, slot: u32) -> &Slot<T> {
        &self.slots[slot as usize]
    }
}
impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, slot: u32) -> &mut Slot<T> {
        &mut self.slots[slot as usize]
    }
}
