//! How weights and cached keys and values are stored.
//!
//! Imports nothing. Must keep true: names are those of the experiment file and of `baseload memory`.
use serde::{Deserialize, Serialize};

/// How the matrices of the layers are stored: what memory counts and steps are priced by. Embeddings, output head, norms,
/// biases and routers stay BF16; activations and attention are BF16 (FP8 products quantise their input).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightsDtype {
    /// 16 bits.
    #[default]
    Bf16,
    /// 8 bits, a scale a channel or tensor.
    Fp8,
    /// 8 bits, a scale a block of 128 x 128.
    Fp8Block,
    /// 4 bits with scales for routed experts, BF16 for the rest (gpt-oss); memory counts all as `int4`.
    Mxfp4,
    /// 4 bits with, for each group of 128 weights, a 16-bit scale and a 4-bit zero point, as AWQ and GPTQ have them;
    /// computed in BF16.
    Int4,
}

impl WeightsDtype {
    /// Every one, by name.
    pub const ALL: [WeightsDtype; 5] =
        [WeightsDtype::Bf16, WeightsDtype::Fp8, WeightsDtype::Fp8Block, WeightsDtype::Mxfp4, WeightsDtype::Int4];

    /// Bytes in memory of a quantised parameter, scales included; those of 8 bits, one for 128 x 128 weights at the finest,
    /// are under 0.03 % and not counted.
    pub fn bytes_per_param(self) -> f64 {
        match self {
            WeightsDtype::Bf16 => 2.0,
            WeightsDtype::Fp8 | WeightsDtype::Fp8Block => 1.0,
            WeightsDtype::Mxfp4 | WeightsDtype::Int4 => (4.0 + (16.0 + 4.0) / 128.0) / 8.0,
        }
    }
    /// Bytes that a step reads for a weight of attention and dense FFN; fitted step times rest on 0.53 for four bits with
    /// their scales.
    pub fn linear_bytes(self) -> f64 {
        match self {
            WeightsDtype::Bf16 | WeightsDtype::Mxfp4 => 2.0,
            WeightsDtype::Fp8 | WeightsDtype::Fp8Block => 1.0,
            WeightsDtype::Int4 => 0.53,
        }
    }
    /// Bytes that a step reads for a weight of a routed expert.
    pub fn expert_bytes(self) -> f64 {
        if self == WeightsDtype::Mxfp4 { 0.53 } else { self.linear_bytes() }
    }
    /// Whether products are computed in 8 bits where the hardware can.
    pub fn eight_bit(self) -> bool {
        matches!(self, WeightsDtype::Fp8 | WeightsDtype::Fp8Block)
    }
    /// Name of the format in files, options, profiles and the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            WeightsDtype::Bf16 => "bf16",
            WeightsDtype::Fp8 => "fp8",
            WeightsDtype::Fp8Block => "fp8-block",
            WeightsDtype::Mxfp4 => "mxfp4",
            WeightsDtype::Int4 => "int4",
        }
    }
    /// The format of this name.
    pub fn parse(name: &str) -> Option<WeightsDtype> {
        WeightsDtype::ALL.into_iter().find(|d| d.name() == name)
    }
}

/// How keys and values are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KvDtype {
    /// 16 bits.
    #[default]
    Bf16,
    /// 8 bits, one scale a layer.
    Fp8,
}

impl KvDtype {
    /// Every one, by name.
    pub const ALL: [KvDtype; 2] = [KvDtype::Bf16, KvDtype::Fp8];

    /// Bytes of a cached element.
    pub fn bytes(self) -> u32 {
        match self {
            KvDtype::Bf16 => 2,
            KvDtype::Fp8 => 1,
        }
    }
    /// Name of the format in files and options.
    pub fn name(self) -> &'static str {
        match self {
            KvDtype::Bf16 => "bf16",
            KvDtype::Fp8 => "fp8",
        }
    }
    /// The format of this name.
    pub fn parse(name: &str) -> Option<KvDtype> {
        KvDtype::ALL.into_iter().find(|d| d.name() == name)
    }
}
