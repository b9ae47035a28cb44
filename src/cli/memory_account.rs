//! A replica's memory as `baseload memory` answers for it, and the same for programs.
use baseload_core::catalog::{Gpu, Model};
use baseload_core::memory::{self, MemoryPlan, PlanOptions, gib};
use serde_json::json;

/// A replica's memory and what was asked of it.
pub(super) struct Account<'a> {
    pub model: &'a Model,
    pub gpu: &'a Gpu,
    pub options: &'a PlanOptions,
    pub plan: &'a MemoryPlan,
    /// Tokens of a sequence.
    pub context: u32,
    /// Sequences at once, where somebody asked.
    pub concurrency: Option<u64>,
    /// What people should know of the replica that `baseload run` makes of the same words.
    pub notes: &'a [String],
}

impl Account<'_> {
    /// Everything, for programs.
    pub fn document(&self) -> serde_json::Value {
        let (a, p, o) = (self, self.plan, self.options);
        let mut stack = serde_json::Map::new();
        stack.insert("total".into(), json!(gib(p.per_gpu_total_bytes)));
        stack.extend(parts(p).map(|(key, _, bytes)| (key.to_owned(), json!(gib(bytes)))));
        let mut document = json!({
            "model": a.model.id,
            "gpu": a.gpu.id,
            "tensor_parallel": o.tensor_parallel,
            "weights_dtype": o.weights_dtype,
            "kv_dtype": o.kv_dtype,
            "utilization": o.utilization,
            "max_model_len": p.max_model_len,
            "max_num_seqs": p.max_num_seqs,
            "max_num_batched_tokens": p.max_num_batched_tokens,
            "per_gpu_gib": stack,
            "weights_kept_bf16_gib": gib(p.weights_kept_bf16_bytes),
            "kv_bytes_per_token": p.kv_bytes_per_token,
            "block_size": p.block_size,
            "block_bytes": p.block_bytes,
            "kv_groups": p.groups,
            "blocks": p.num_blocks,
            "usable_blocks": p.usable_blocks(),
            "kv_tokens": p.kv_tokens,
            "weights_only_kv_tokens": p.weights_only_kv_tokens,
            "context": a.context,
            "sequences": p.sequences_of(a.context),
            "preemption_starts_at": p.preempts_at(a.context),
            "weights_only_sequences": p.weights_only_kv_tokens / u64::from(a.context),
            "notes": a.notes,
            "assumptions": memory::assumptions(a.model, a.gpu, o),
        });
        if let Some(n) = a.concurrency {
            let needed = p.blocks_of(n, a.context);
            document["at_concurrency"] = json!({
                "concurrency": n,
                "blocks": needed,
                "kv_share": needed as f64 / p.usable_blocks().max(1) as f64,
                "fits": n <= p.sequences_of(a.context),
            });
        }
        document
    }
}

/// The parts of a GPU's memory in the order in which they are stacked: key, name, bytes.
pub(super) fn parts(plan: &MemoryPlan) -> [(&'static str, &'static str, u64); 6] {
    [
        ("weights", "weights", plan.weights_bytes),
        ("activations", "activations", plan.activations_bytes),
        ("cuda_graphs", "CUDA graphs", plan.cuda_graphs_bytes),
        ("nccl_and_other", "NCCL and other", plan.other_bytes),
        ("kv_pool", "KV pool", plan.kv_pool_bytes),
        ("unused", "unused", plan.unused_bytes),
    ]
}
