//! How weights and cached keys and values are stored.
//!
//! Imports nothing. Must keep true: names are those of the experiment file and of `baseload memory`.
use serde::{Deserialize, Serialize};

/// How the matrices of the layers are stored. Embeddings, output head, norms, biases and routers stay BF16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeightsDtype {
    /// 16 bits.
    #[default]
    Bf16,
    /// 8 bits. The scales, one for 128 x 128 weights at the finest, are under 0.03 % and not counted.
    Fp8,
    /// 4 bits with, for each group of 128 weights, a 16-bit scale and a 4-bit zero point, as AWQ and GPTQ have them.
    Int4,
}

impl WeightsDtype {
    /// Every one, by name.
    pub const ALL: [WeightsDtype; 3] = [WeightsDtype::Bf16, WeightsDtype::Fp8, WeightsDtype::Int4];

    /// Bytes of a quantised parameter, scales included.
    pub fn bytes_per_param(self) -> f64 {
        match self {
            WeightsDtype::Bf16 => 2.0,
            WeightsDtype::Fp8 => 1.0,
            WeightsDtype::Int4 => (4.0 + (16.0 + 4.0) / 128.0) / 8.0,
        }
    }
    /// Its name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            WeightsDtype::Bf16 => "bf16",
            WeightsDtype::Fp8 => "fp8",
            WeightsDtype::Int4 => "int4",
        }
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
    /// Its name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            KvDtype::Bf16 => "bf16",
            KvDtype::Fp8 => "fp8",
        }
    }
}
