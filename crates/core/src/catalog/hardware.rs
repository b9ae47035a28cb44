//! Rows about machines and people: GPUs, their rents, and what else it costs to run them.
//!
//! Imports only `types`. Must keep true: field names are the keys of the tables in `data/`.
use crate::types::Usd;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A GPU's datasheet peaks. Bandwidths in 10^9 bytes/s, compute in 10^12 operations/s, dense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Name in experiments, such as `h100-sxm`.
    pub id: String,
    /// The vendor's name; the id unless given.
    #[serde(default)]
    pub name: String,
    /// Other names that it answers to.
    #[serde(default)]
    pub also: Vec<String>,
    /// A GPU of the catalogue whose peaks, links and step times are this one's too, unless it says its own.
    #[serde(default)]
    pub like: Option<String>,
    /// `nvidia` or `amd`.
    #[serde(default)]
    pub vendor: String,
    /// The number in the vendor's name, neither GB nor GiB; engines do not size by it.
    #[serde(default)]
    pub mem_gb: f64,
    /// Memory that the runtime reports, GiB: what engines size by.
    pub memory_total_gib: f64,
    /// Whether `memory_total_gib` is an estimate, which nobody has read from a runtime; no unless given.
    #[serde(default)]
    pub memory_total_estimated: bool,
    /// Where `memory_total_gib` is from.
    #[serde(default)]
    pub memory_total_source: String,
    /// Kind of memory.
    #[serde(default)]
    pub mem_type: String,
    /// Peak memory bandwidth, 10^9 bytes/s.
    pub mem_bw_gbps: f64,
    /// Peak dense BF16, TFLOP/s.
    pub bf16_tflops_dense: f64,
    /// Peak dense FP8, TFLOP/s, where the hardware has it.
    #[schemars(range(min = 0.001, max = 1e7))]
    pub fp8_tflops_dense: Option<f64>,
    /// Peak dense FP4, TFLOP/s, where the hardware has it.
    #[schemars(range(min = 0.001, max = 1e7))]
    pub fp4_tflops_dense: Option<f64>,
    /// Peak dense INT8, TOP/s, where published.
    #[schemars(range(min = 0.001, max = 1e7))]
    pub int8_tops_dense: Option<f64>,
    /// Link between GPUs of one domain; `PCIe` where there is no better one.
    #[serde(default)]
    pub scale_up_tech: String,
    /// Bandwidth of that link (`scale_up_tech`) in one direction for each GPU, 10^9 bytes/s.
    pub scale_up_gbps_unidirectional: f64,
    /// GPUs it joins; 1 where there is only PCIe.
    pub scale_up_domain_gpus: u32,
    /// PCIe generation.
    #[serde(default)]
    pub pcie_gen: u32,
    /// PCIe bandwidth in one direction, 10^9 bytes/s.
    #[serde(default)]
    pub pcie_gbps_unidirectional: f64,
    /// Board power, W.
    #[serde(default)]
    pub tdp_w: f64,
    /// NVIDIA's compute capability, such as `9.0`, where the vendor has one.
    #[serde(default)]
    pub compute_capability: Option<String>,
    /// Whether vLLM takes its smaller default limits of a step for it, whatever its memory.
    #[serde(default)]
    pub small_step_limits: bool,
    /// Power with the server's and cooling's share, kW a GPU.
    pub all_in_kw_per_gpu: Option<f64>,
    /// Remarks.
    pub note: Option<String>,
    /// When the row was read.
    #[serde(default)]
    pub date: String,
    /// Where the row is from; code is named with the commit or release that was read.
    #[serde(default)]
    pub source: String,
}

impl Gpu {
    /// Fills in what can be told from the rest.
    pub(super) fn fill(&mut self) {
        if self.name.is_empty() {
            self.name.clone_from(&self.id);
        }
        if self.scale_up_tech.is_empty() {
            let tech = if self.scale_up_domain_gpus > 1 { "link" } else { "PCIe" };
            tech.clone_into(&mut self.scale_up_tech);
        }
        if self.memory_total_source.is_empty() {
            self.memory_total_source.clone_from(&self.source);
        }
    }

    /// Memory that the runtime reports, bytes.
    pub fn memory_total_bytes(&self) -> u64 {
        (self.memory_total_gib * (1u64 << 30) as f64).round() as u64
    }

    /// GPUs that may share a layer: those of a domain, or the eight of a server where the link is PCIe.
    pub fn most_tensor_parallel(&self) -> u32 {
        if self.scale_up_domain_gpus > 1 { self.scale_up_domain_gpus } else { 8 }
    }

    /// Whether it is a data-centre Blackwell (compute capability 10.x: B200, B300 and their Grace kin, not the
    /// workstation and desktop cards), for which vLLM captures larger CUDA graphs.
    pub fn is_datacenter_blackwell(&self) -> bool {
        self.compute_capability.as_ref().is_some_and(|c| c.starts_with("10."))
    }
}

/// An observed rent of a GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rent {
    /// Id of the GPU.
    pub gpu: String,
    /// Who rents it out.
    pub provider: String,
    /// `on-demand`, `spot`, ...
    pub kind: String,
    /// US dollars for one GPU for one hour.
    #[serde(serialize_with = "usd_out", deserialize_with = "usd_in")]
    #[schemars(with = "f64", range(min = 0.0, max = 1e6))]
    pub usd_per_gpu_hour: Usd,
    /// Whether the row names a range of prices, not somebody who asks one.
    #[serde(default)]
    pub is_range: bool,
    /// What was read, such as the instance's price.
    pub basis: Option<String>,
    /// When the rent was read.
    #[serde(default)]
    pub date: String,
    /// Where the rent was read.
    #[serde(default)]
    pub source: String,
}

/// A KV cache that a real engine reported at its start, with the conditions that are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasuredPool {
    /// Id of the model.
    pub model: String,
    /// Id of the GPU.
    pub gpu: String,
    /// GPUs a replica.
    pub tensor_parallel: u32,
    /// Engine, with its version where it is known.
    pub engine: String,
    /// Share of memory that the engine was given.
    pub utilization: f64,
    /// Whether that share is said by the source, not assumed.
    pub utilization_known: bool,
    /// Longest sequence, where it is known.
    pub max_model_len: Option<u32>,
    /// Tokens in a step, where they are known.
    pub max_num_batched_tokens: Option<u32>,
    /// Tokens of a block.
    pub block_size: u32,
    /// Tokens of KV a replica, as reported: every block, the null block too.
    pub kv_tokens: u64,
    /// Remarks.
    pub note: Option<String>,
    /// When the measurement was read.
    #[serde(default)]
    pub date: String,
    /// Where the measurement was read.
    #[serde(default)]
    pub source: String,
}

/// A cost of people, power or space, as a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpsCost {
    /// Name of the cost.
    pub key: String,
    /// Low end, in `unit`; the typical one unless given.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1e9))]
    pub low: f64,
    /// Typical, in `unit`.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub typical: f64,
    /// High end, in `unit`; the typical one unless given.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1e9))]
    pub high: f64,
    /// Unit of the three, such as `USD/year`.
    pub unit: String,
    /// Whether the three are an assumption, on whose `source` nobody could check them; no unless given.
    #[serde(default)]
    pub unverified: bool,
    /// Remarks.
    pub notes: Option<String>,
    /// When the cost was read.
    #[serde(default)]
    pub date: String,
    /// Where the cost was read.
    #[serde(default)]
    pub source: String,
}

fn usd_out<S: Serializer>(value: &Usd, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(value.as_f64())
}

fn usd_in<'de, D: Deserializer<'de>>(d: D) -> Result<Usd, D::Error> {
    Usd::from_number(f64::deserialize(d)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;

    #[test]
    fn datacenter_blackwells_are_four_families() {
        let gpus = &Catalog::embedded().gpus;
        let found: Vec<&str> = gpus.iter().filter(|g| g.is_datacenter_blackwell()).map(|g| g.id.as_str()).collect();
        assert_eq!(found, ["b200-sxm", "gb200-nvl72", "b300-sxm", "gb300-nvl72"]);
    }
}
