//! Rows about how near to its peaks a GPU comes in an engine: what the analytic step time is fitted by.
//!
//! Imports only `types`. Must keep true: field names are the keys of `data/step_times.toml`; a row of another number
//! format than BF16 says only what differs from the BF16 row of the same GPU; at most twelve fitted numbers a row.
use serde::{Deserialize, Serialize};

/// Fitted numbers of one GPU and one number format of the weights. Shares are of the data sheet's peaks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepTimeRow {
    /// Id of the GPU.
    pub gpu: String,
    /// `bf16`, `fp8`, `fp8-block`, `mxfp4` or `int4`.
    pub dtype: String,
    /// GPUs known only by data sheet that borrow this row, scaled by their peaks.
    #[serde(default)]
    pub borrowed_by: Vec<String>,
    /// Share of peak bandwidth of matrix products, attention and element-wise kernels.
    pub memory_share: Option<f64>,
    /// Share of peak compute of matrix products.
    pub linear_compute_share: Option<f64>,
    /// Fixed part of one matrix product, microseconds.
    pub linear_launch_us: Option<f64>,
    /// Share of peak BF16 compute of prefill attention.
    pub attention_compute_share: Option<f64>,
    /// Keys more that each query costs (tiles on the diagonal, softmax, output).
    pub attention_row_tokens: Option<f64>,
    /// Fixed part of one attention kernel, microseconds.
    pub attention_launch_us: Option<f64>,
    /// Share of peak compute of the routed experts.
    pub expert_compute_share: Option<f64>,
    /// Share of peak bandwidth of the routed experts, where it differs from `memory_share`.
    pub expert_memory_share: Option<f64>,
    /// Fixed part of one layer of experts, microseconds, where it differs from eight launches of products.
    pub expert_launch_us: Option<f64>,
    /// Fixed part of one all-reduce over this GPU's link, microseconds.
    pub all_reduce_latency_us: Option<f64>,
    /// Share of the link's bandwidth that a ring of all-reduce seems to reach (above 1 where the switch adds up).
    pub link_share: Option<f64>,
    /// Fixed part of a layer beside the kernels named above, microseconds.
    pub layer_overhead_us: Option<f64>,
    /// Host path of a step, microseconds.
    pub host_step_us: Option<f64>,
    /// Host path for each sequence of a step, microseconds.
    pub host_sequence_us: Option<f64>,
    /// How the numbers came about.
    pub fitted: String,
    /// Median absolute error where it was held out, a share.
    pub error: f64,
    /// What `error` is of.
    pub error_of: String,
    /// First 16 digits of the SHA-256 of each file of the fit.
    pub data_sha256: Vec<String>,
    /// When it was fitted.
    pub date: String,
    /// Where the measurements are from.
    pub source: String,
}

impl StepTimeRow {
    /// Whether this row speaks for the GPU, its own or a borrower.
    pub fn speaks_for(&self, gpu: &str) -> bool {
        self.gpu == gpu || self.borrowed_by.iter().any(|id| id == gpu)
    }
}
