//! Where requests live: slots with generations, used again, so that steady state allocates nothing.
use crate::kv::Chain;
use crate::types::{AttemptId, Content, ContentId, Job, Run, SimTime};
use rustc_hash::FxHashMap;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

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
pub(super) struct Slot {
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
    /// Tokens being computed by batches in flight.
    pub in_flight: u32,
    pub preemptions: u32,
    /// Prefix-cache hit at the first admission.
    pub cached_tokens: Option<u32>,
    /// When its last token left.
    pub last_token: SimTime,
    pub blocks: Vec<u32>,
    /// How many of `blocks`, from the first, are in the prefix cache.
    pub cached_blocks: usize,
    pub chain: Chain,
    content: Content,
    output_runs: OutputRuns,
}

#[derive(Debug)]
enum OutputRuns {
    Own([Run; 1]),
    Given(Box<[Run]>),
}

impl Slot {
    /// `T`: tokens known so far.
    pub fn tokens(&self) -> u32 {
        self.prompt + self.emitted
    }
    /// What the priority policy compares; larger is less urgent.
    pub fn urgency(&self) -> (i32, u64) {
        (self.priority, self.arrival)
    }
    /// The chain with what extending it needs: prompt runs, output runs.
    pub fn chain_parts(&mut self) -> (&mut Chain, &[Run], &[Run]) {
        let output: &[Run] = match &self.output_runs {
            OutputRuns::Own(run) => run,
            OutputRuns::Given(runs) => runs,
        };
        (&mut self.chain, &self.content.0, output)
    }
}

/// All requests of a scheduler.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    by_attempt: FxHashMap<AttemptId, u32>,
}

impl Slots {
    pub fn find(&self, attempt: AttemptId) -> Option<u32> {
        self.by_attempt.get(&attempt).copied()
    }

    /// The request that a batch row names, if it is still there.
    pub fn alive(&self, slot: u32, generation: u32) -> bool {
        self.slots[slot as usize].generation == generation
    }

    pub fn insert(&mut self, job: Job, output: Option<Box<[Run]>>, arrival: u64) -> u32 {
        let vacant = self.vacant.pop();
        let old = vacant.map(|s| &mut self.slots[s as usize]);
        let (generation, blocks, chain) = match old {
            Some(old) => (old.generation, std::mem::take(&mut old.blocks), std::mem::take(&mut old.chain)),
            None => (0, Vec::new(), Chain::default()),
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
            last_token: SimTime::ZERO,
            blocks,
            cached_blocks: 0,
            chain,
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
        let before = self.by_attempt.insert(job.attempt, slot);
        assert!(before.is_none(), "attempt-unique: {:?} is here already", job.attempt);
        slot
    }

    pub fn remove(&mut self, slot: u32) {
        let old = &mut self.slots[slot as usize];
        assert!(old.blocks.is_empty() && old.chain.ids().is_empty(), "block-conserved: a slot is retired with blocks");
        old.generation = old.generation.wrapping_add(1);
        old.content = Content(Arc::from([]));
        old.output_runs = OutputRuns::Given(Box::from([]));
        self.by_attempt.remove(&old.attempt);
        self.vacant.push(slot);
    }
}

impl Index<u32> for Slots {
    type Output = Slot;
    fn index(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }
}
impl IndexMut<u32> for Slots {
    fn index_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slots[slot as usize]
    }
}
