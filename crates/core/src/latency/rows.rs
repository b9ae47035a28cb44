//! Kernel tables: measured times of single kernels, which `table.rs` interpolates and `calibrate` fits numbers to.
//!
//! Imports nothing.
/// A matrix product, `m` tokens of `k` inputs to `n` outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductRow {
    /// Tokens of the product.
    pub m: u32,
    /// Outputs.
    pub n: u32,
    /// Inputs.
    pub k: u32,
    /// Measured time.
    pub seconds: f64,
}

/// Attention, BF16: of whole prompts of `tokens` (prefill), or of one token on top of `tokens` of context (decode).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionRow {
    /// Sequences.
    pub batch: u32,
    /// Tokens of each prompt, or context of each row.
    pub tokens: u32,
    /// Query heads.
    pub heads: u32,
    /// Key/value heads.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Measured time.
    pub seconds: f64,
}

/// One layer of routed experts, cut in `tensor_parallel` parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpertRow {
    /// Tokens of the step.
    pub tokens: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Inner width of an expert, before it is cut.
    pub inner: u32,
    /// Experts a token visits.
    pub top_k: u32,
    /// Experts.
    pub experts: u32,
    /// Parts.
    pub tensor_parallel: u32,
    /// Measured time.
    pub seconds: f64,
}

/// An all-reduce.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AllReduceRow {
    /// GPUs.
    pub gpus: u32,
    /// Bytes on each.
    pub bytes: f64,
    /// Measured time.
    pub seconds: f64,
}

/// Kernel times of one GPU; products and experts of one number format. Empty parts are not fitted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KernelTables {
    /// Matrix products.
    pub products: Vec<ProductRow>,
    /// Matrix products in BF16, where `products` are in another format: output head and router are BF16 all the same.
    pub bf16_products: Vec<ProductRow>,
    /// Attention of prompts.
    pub prefill: Vec<AttentionRow>,
    /// Attention of decode rows.
    pub decode: Vec<AttentionRow>,
    /// Routed experts.
    pub experts: Vec<ExpertRow>,
    /// All-reduces.
    pub all_reduce: Vec<AllReduceRow>,
}
