//! Rows about how near to its peaks a GPU comes in an engine: what the analytic step time is fitted by.
//!
//! Imports only `types`. Must keep true: field names are the keys of `data/step_times.toml`; a row of another number
//! format than BF16 says only what differs from the BF16 row of the same GPU; at most twelve fitted numbers a row.
use crate::types::{TraceFault, wrong};
use serde::{Deserialize, Serialize};

/// Fitted numbers of one GPU and one number format of the weights. Shares are of the data sheet's peaks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    #[serde(default)]
    pub fitted: String,
    /// Median absolute error where it was held out, a share.
    #[serde(default)]
    pub error: f64,
    /// What `error` is of.
    #[serde(default)]
    pub error_of: String,
    /// First 16 digits of the SHA-256 of each file of the fit.
    #[serde(default)]
    pub data_sha256: Vec<String>,
    /// When the row was fitted.
    #[serde(default)]
    pub date: String,
    /// Where the measurements are from.
    #[serde(default)]
    pub source: String,
}

/// Names of the fitted numbers, in the order of [`StepTimeRow::numbers`].
pub const NUMBERS: [&str; 14] = [
    "memory_share",
    "linear_compute_share",
    "linear_launch_us",
    "attention_compute_share",
    "attention_row_tokens",
    "attention_launch_us",
    "expert_compute_share",
    "expert_memory_share",
    "expert_launch_us",
    "all_reduce_latency_us",
    "link_share",
    "layer_overhead_us",
    "host_step_us",
    "host_sequence_us",
];

/// A file of rows, as `baseload calibrate --kind kernels` writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepTimeFile {
    /// Rows, one a number format.
    pub step_time: Vec<StepTimeRow>,
}

impl StepTimeFile {
    /// Whether `text` is such a file, and not a profile of one model.
    pub fn is(text: &str) -> bool {
        toml::de::DeTable::parse_recoverable(text).0.get_ref().contains_key("step_time")
    }

    /// Reads a file; `name` is for messages.
    ///
    /// # Errors
    /// What is no such file, with its line; two rows of one format, rows of two GPUs, a number that is negative or none.
    pub fn parse(text: &str, name: &str) -> Result<StepTimeFile, TraceFault> {
        let file: StepTimeFile = toml::from_str(text).map_err(|e| TraceFault::toml(name, text, &e))?;
        file.check().map_err(|fault| fault.in_file(name))?;
        Ok(file)
    }

    /// Checks what types cannot say.
    fn check(&self) -> Result<(), TraceFault> {
        let Some(first) = self.step_time.first() else {
            return Err(wrong!("no [[step_time]]").hint("give at least one row"));
        };
        for (i, row) in self.step_time.iter().enumerate() {
            let what = format!("[[step_time]] {} ({}, {})", i + 1, row.gpu, row.dtype);
            if row.gpu != first.gpu {
                return Err(wrong!("{what}: the first row is of {}", first.gpu).hint("a file is of one GPU"));
            }
            if self.step_time[..i].iter().any(|r| r.dtype == row.dtype) {
                return Err(wrong!("{what}: another row is of {} too", row.dtype).hint("one row a number format"));
            }
            for (key, value) in NUMBERS.iter().zip(row.numbers()) {
                if let Some(v) = value.filter(|v| !(v.is_finite() && *v >= 0.0)) {
                    return Err(wrong!("{what}: {key} is {v}").hint("it must be a number from 0"));
                }
            }
            if row.numbers().iter().all(Option::is_none) {
                return Err(wrong!("{what}: it has no number").hint(format!("give one of {}", NUMBERS.join(", "))));
            }
        }
        Ok(())
    }
}

impl StepTimeRow {
    /// The fitted numbers, in the order of [`NUMBERS`].
    pub fn numbers(&self) -> [Option<f64>; 14] {
        [
            self.memory_share,
            self.linear_compute_share,
            self.linear_launch_us,
            self.attention_compute_share,
            self.attention_row_tokens,
            self.attention_launch_us,
            self.expert_compute_share,
            self.expert_memory_share,
            self.expert_launch_us,
            self.all_reduce_latency_us,
            self.link_share,
            self.layer_overhead_us,
            self.host_step_us,
            self.host_sequence_us,
        ]
    }
    /// The fitted numbers, to be changed.
    pub fn numbers_mut(&mut self) -> [&mut Option<f64>; 14] {
        [
            &mut self.memory_share,
            &mut self.linear_compute_share,
            &mut self.linear_launch_us,
            &mut self.attention_compute_share,
            &mut self.attention_row_tokens,
            &mut self.attention_launch_us,
            &mut self.expert_compute_share,
            &mut self.expert_memory_share,
            &mut self.expert_launch_us,
            &mut self.all_reduce_latency_us,
            &mut self.link_share,
            &mut self.layer_overhead_us,
            &mut self.host_step_us,
            &mut self.host_sequence_us,
        ]
    }
    /// Itself, and the numbers of `under` where it says none.
    #[must_use]
    pub fn over(&self, under: &StepTimeRow) -> StepTimeRow {
        let mut row = self.clone();
        for (own, theirs) in row.numbers_mut().into_iter().zip(under.numbers()) {
            *own = own.or(theirs);
        }
        row
    }
    /// Whether this row speaks for the GPU, its own or a borrower.
    pub fn speaks_for(&self, gpu: &str) -> bool {
        self.gpu == gpu || self.borrowed_by.iter().any(|id| id == gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn numbers_and_names_go_together_and_lie_over_others() {
        let table = toml::Table::try_from(Catalog::embedded().step_time("h100-sxm", "fp8-block").unwrap()).unwrap();
        let row = Catalog::embedded().step_time("h100-sxm", "fp8-block").unwrap();
        for (name, value) in NUMBERS.iter().zip(row.numbers()) {
            assert_eq!(table.get(*name).and_then(toml::Value::as_float), value, "{name}");
        }
        let base = Catalog::embedded().step_time("h100-sxm", "bf16").unwrap();
        let laid = row.over(base);
        assert_eq!((laid.memory_share, laid.host_step_us), (row.memory_share, base.host_step_us));
    }

    #[test]
    fn a_file_reads_back_and_its_faults_are_named() {
        let row = Catalog::embedded().step_time("l40s", "bf16").unwrap().clone();
        let text = toml::to_string(&StepTimeFile { step_time: vec![row.clone()] }).unwrap();
        assert!(StepTimeFile::is(&text) && !StepTimeFile::is("[step]\nstep_s = 1.0\n"));
        assert_eq!(StepTimeFile::parse(&text, "k").unwrap().step_time, std::slice::from_ref(&row));
        let says = |text: &str| StepTimeFile::parse(text, "k").unwrap_err().to_string();
        assert_eq!(
            says(&format!("{text}{text}")),
            "k: [[step_time]] 2 (l40s, bf16): another row is of bf16 too; one row a number format"
        );
        let other = text.replace("gpu = \"l40s\"", "gpu = \"l4\"");
        assert_eq!(
            says(&format!("{text}{other}")),
            "k: [[step_time]] 2 (l4, bf16): the first row is of l40s; a file is of one GPU"
        );
        assert_eq!(
            says(&text.replace("= 0.559", "= -0.5")),
            "k: [[step_time]] 1 (l40s, bf16): linear_compute_share is -0.5; it must be a number from 0"
        );
        assert!(
            says(&text.replace("memory_share", "memory_shar")).starts_with("k:5: unknown field `memory_shar`"),
            "{}",
            says(&text.replace("memory_share", "memory_shar"))
        );
        assert!(says("step_time = []").contains("no [[step_time]]"));
    }
}
