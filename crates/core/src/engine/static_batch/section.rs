//! `[pool.X.engine.static]`: the options of static batching, and the engine that they make.
use super::{StaticConfig, StaticScheduler};
use crate::engine::registry::{Demand, EngineLimits, EngineRow, EngineSection, KvCapacity, Machine};
use crate::engine::{EngineMode, Scheduler};
use crate::memory::{BLOCK_SIZE, StepLimits};
use crate::types::{Fault, SimTime, check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Static batching in the registry.
pub const ROW: EngineRow =
    EngineRow::of::<StaticSection>("static", "Fixed batches: no slot is freed until the last row ends.");

/// The profile run that sizes the memory of a static batcher, which has neither limit.
const PROFILE_RUN: StepLimits = StepLimits { max_num_batched_tokens: 8_192, max_num_seqs: 256 };

/// Static batching.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StaticSection {
    /// Rows of a batch.
    #[schemars(range(min = 0, max = 4_096))]
    pub max_batch: u32,
    /// A batch closes at its size, or when its oldest request has waited this long.
    pub timeout: String,
    /// Tokens of a KV block (the unit of the memory account).
    #[schemars(range(min = 0, max = 1_000_000))]
    pub block_size: u32,
    /// `timeout`, resolved.
    #[serde(skip)]
    waits: SimTime,
}

impl Default for StaticSection {
    fn default() -> Self {
        StaticSection {
            max_batch: 32,
            timeout: "500ms".into(),
            block_size: BLOCK_SIZE,
            waits: SimTime::from_millis(500),
        }
    }
}

impl EngineSection for StaticSection {
    fn resolve(&mut self, _on: &Machine<'_>) -> Result<Vec<String>, Fault> {
        check::at_least_1("block_size", self.block_size)?;
        check::at_least_1("max_batch", self.max_batch)?;
        self.waits = check::duration("timeout", &self.timeout)?;
        Ok(Vec::new())
    }

    /// Synchronous and, like the frameworks that have one, without graphs; its memory is that of vLLM's profile run.
    fn demand(&self) -> Demand {
        Demand {
            limits: PROFILE_RUN,
            block_size: self.block_size,
            concurrent_batches: 1,
            graphs: false,
            graph_memory: true,
        }
    }

    fn limits(&self, kv: &KvCapacity) -> EngineLimits {
        // Every row holds a block of its own.
        let most_rows = self.max_batch.min(kv.num_blocks);
        EngineLimits {
            max_rows: self.max_batch,
            most_rows,
            most_tokens: u64::from(most_rows) * u64::from(kv.max_model_len),
            cached_block: None,
            by_priority: false,
        }
    }

    fn build(&self, kv: &KvCapacity, _mode: EngineMode) -> Box<dyn Scheduler> {
        Box::new(StaticScheduler::new(StaticConfig {
            max_batch: self.max_batch,
            timeout: self.waits,
            max_model_len: kv.max_model_len,
            block_size: kv.block_size,
            num_blocks: kv.num_blocks,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_nobody_and_a_wait_without_a_unit_are_refused() {
        let says = |section: StaticSection| {
            let mut section = section;
            section.resolve(&Machine { gpu: None, max_model_len: 100 }).unwrap_err().to_string()
        };
        let plain = StaticSection::default();
        assert_eq!(says(StaticSection { max_batch: 0, ..plain.clone() }), "max_batch: it is 0; it must be at least 1");
        let e = says(StaticSection { timeout: "5".into(), ..plain });
        assert!(e.starts_with("timeout: `5` is not a duration"), "{e}");
    }
}
