//! How a model's layers share the block pool: groups, bytes of a block, blocks of a sequence.
//!
//! Imports `catalog`. Must keep true: a block holds one group's layers; groups of a model are equally wide; a sequence
//! needs blocks of every group, and windowed groups stop asking for more.
//!
//! The rules are vLLM's (spec/vllm.md 1.10; 0.32.0, `v1/core/kv_cache_utils.py`
//! `_get_kv_cache_groups_uniform_page_size`, `v1/kv_cache_interface.py` `max_admission_blocks_per_request`,
//! `platforms/interface.py` for the block size of linear attention; read 2026-11-24).
use super::matrices::kv_heads_on_gpu;
use super::{KvDtype, PlanOptions};
use crate::catalog::Model;

/// Bytes a token and layer of FP8 latents under sparse attention: 512 of them, 16 of scales, 128 of BF16 rope.
const SPARSE_FP8_LATENT_BYTES: u64 = 656;

/// What the layers of a group keep of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Every token.
    All,
    /// The last so many tokens.
    Window(u32),
    /// The tokens of the current chunk of so many.
    Chunk(u32),
    /// One state, however long the sequence.
    State,
}

/// The groups of a model on one GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KvLayout {
    /// What is kept, and by how many groups; at most two kinds.
    pub kinds: Vec<(Keeps, u32)>,
    /// Bytes of a block: the layers of one group, padding included.
    pub block_bytes: u64,
    /// Tokens of a block; linear attention makes it longer than asked for.
    pub block_size: u32,
    /// Tokens that may be scheduled and not yet be done with; they are kept beside a window.
    in_flight: u64,
}

/// Bytes of KV that one token takes in one layer on each GPU. MLA latents are on every GPU.
fn token_layer_bytes(model: &Model, tensor_parallel: u32, kv_dtype_bytes: u32) -> u64 {
    if !model.is_mla() {
        let elements = 2 * u64::from(kv_heads_on_gpu(model, tensor_parallel)) * u64::from(model.head_dim);
        return elements * u64::from(kv_dtype_bytes);
    }
    let latent = u64::from(model.kv_lora_rank + model.qk_rope_head_dim) * u64::from(kv_dtype_bytes);
    match u64::from(model.indexer_bytes_per_token_layer) {
        0 => latent,
        indexer if kv_dtype_bytes == KvDtype::Fp8.bytes() => SPARSE_FP8_LATENT_BYTES + indexer,
        indexer => latent + indexer,
    }
}

/// Bytes of KV that one token takes on each GPU, in all layers that cache tokens: windowed layers count as if they
/// kept them all, linear attention caches none.
pub fn kv_bytes_per_token(model: &Model, tensor_parallel: u32, kv_dtype_bytes: u32) -> u64 {
    token_layer_bytes(model, tensor_parallel, kv_dtype_bytes) * u64::from(model.kv_layers())
}

impl KvLayout {
    /// The groups that vLLM makes of a model.
    pub fn of(model: &Model, options: &PlanOptions, max_num_batched_tokens: u32) -> KvLayout {
        let per_token = token_layer_bytes(model, options.tensor_parallel, options.kv_dtype.bytes());
        let other = match (model.window, model.is_chunked()) {
            (0, _) => Keeps::State,
            (w, true) => Keeps::Chunk(w),
            (w, false) => Keeps::Window(w),
        };
        let layers: Vec<(Keeps, u32)> = [(Keeps::All, model.full_attention_layers), (other, model.window_layers)]
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect();
        let least = layers.iter().map(|(_, n)| *n).min().unwrap_or(1);
        let most = layers.iter().map(|(_, n)| *n).max().unwrap_or(1);
        let width = if f64::from(most) < f64::from(least) * 1.5 { most } else { least };
        let mut block_size = options.block_size;
        if layers.iter().any(|(keeps, _)| *keeps == Keeps::State) {
            let state = model.linear_state_bytes.div_ceil(u64::from(options.tensor_parallel));
            let blocks = state.div_ceil(u64::from(block_size) * per_token.max(1)).max(1);
            block_size = block_size.saturating_mul(u32::try_from(blocks).unwrap_or(u32::MAX));
        }
        KvLayout {
            kinds: layers.into_iter().map(|(keeps, n)| (keeps, n.div_ceil(width))).collect(),
            block_bytes: per_token * u64::from(width) * u64::from(block_size),
            block_size,
            in_flight: u64::from(options.concurrent_batches) * u64::from(max_num_batched_tokens),
        }
    }

    /// Groups in all: blocks that one position takes until a window is full.
    pub fn groups(&self) -> u32 {
        self.kinds.iter().map(|(_, n)| n).sum()
    }

    /// Blocks that a sequence of `len` tokens may hold at once while its prompt runs: what vLLM reserves for it.
    pub fn blocks_at_most(&self, len: u64) -> u64 {
        self.blocks(len, self.in_flight, true)
    }

    /// Blocks that a sequence of `len` tokens holds while it decodes: one token is in flight for each batch, and its
    /// window reaches back from there.
    pub fn blocks_decoding(&self, len: u64) -> u64 {
        self.blocks(len, 1, false)
    }

    fn blocks(&self, len: u64, in_flight: u64, reserve: bool) -> u64 {
        let whole = |tokens: u64| tokens.div_ceil(u64::from(self.block_size));
        let all = whole(len);
        let of = |keeps: Keeps| match keeps {
            Keeps::All => all,
            // One more, for a window need not begin where a block does. vLLM reserves it for short sequences too.
            Keeps::Window(w) => {
                let held = (u64::from(w) - 1 + in_flight).min(len);
                whole(held) + u64::from(reserve || held < len)
            }
            Keeps::Chunk(c) => whole((u64::from(c) + in_flight).min(len)),
            Keeps::State => 1,
        };
        self.kinds.iter().map(|(keeps, n)| of(*keeps) * u64::from(*n)).sum()
    }

    /// The longest sequence of at most `limit` tokens for which `blocks` are enough to start, by vLLM's rule.
    pub fn longest(&self, blocks: u64, limit: u32) -> Option<u32> {
        let fits = |len: u32| self.blocks_at_most(len.into()) <= blocks;
        if !fits(1) {
            return None;
        }
        let (mut good, mut bad) = (1, limit.saturating_add(1));
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if fits(middle) { good = middle } else { bad = middle }
        }
        Some(good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn layout(model: &str, tensor_parallel: u32) -> KvLayout {
        let options = PlanOptions { tensor_parallel, ..PlanOptions::default() };
        KvLayout::of(Catalog::embedded().model(model).unwrap(), &options, 8_192)
    }

    #[test]
    fn kv_bytes_are_those_of_the_spec() {
        let of = |id, tp, bytes| kv_bytes_per_token(Catalog::embedded().model(id).unwrap(), tp, bytes);
        let table = [
            ("llama-3.1-8b", 131_072),
            ("llama-3.1-70b", 327_680),
            ("llama-3.1-405b", 516_096),
            ("qwen3-32b", 262_144),
            ("qwen3-30b-a3b", 98_304),
            ("gpt-oss-120b", 73_728),
            ("deepseek-v3", 70_272),
        ];
        for (id, bytes) in table {
            assert_eq!(of(id, 1, 2), bytes, "{id}: spec 1.9");
            assert_eq!(of(id, 1, 1), bytes / 2, "{id}: FP8 halves it");
        }
        assert_eq!(of("llama-3.1-70b", 4, 2), 81_920);
        assert_eq!(of("llama-3.1-70b", 16, 2), 40_960, "8 KV heads on 16 GPUs: one each, held twice");
        assert_eq!(of("deepseek-v3", 8, 2), 70_272, "latents are on every GPU");
        assert_eq!(of("glm-5", 1, 2), 78 * (1_152 + 132), "with the indexer's keys");
        assert_eq!(of("glm-5", 1, 1), 78 * (656 + 132), "packed FP8 latents (spec 1.9)");
        for m in &Catalog::embedded().models {
            let all = m.kv_bytes_per_token_bf16_all_layers;
            let wanted = if m.window > 0 { all } else { m.kv_bytes_per_token_bf16_full_layers };
            let indexer = u64::from(m.indexer_bytes_per_token_layer * m.layers);
            assert_eq!(kv_bytes_per_token(m, 1, 2), wanted + indexer, "{}", m.id);
        }
    }

    #[test]
    fn a_block_of_16_tokens_is_that_of_the_spec() {
        let kib = |id| layout(id, 1).block_bytes / 1_024;
        for (id, size) in [
            ("llama-3.1-8b", 2_048),
            ("llama-3.1-70b", 5_120),
            ("llama-3.1-405b", 8_064),
            ("qwen3-32b", 4_096),
            ("qwen3-30b-a3b", 1_536),
            ("deepseek-v3", 1_098),
        ] {
            assert_eq!(kib(id), size, "{id}");
        }
        // The spec's 1.125 MiB for gpt-oss-120b is for attention in full; in two groups a block is half of it.
        assert_eq!(kib("gpt-oss-120b"), 576);
    }

    #[test]
    fn layers_are_grouped_as_vllm_does() {
        let kinds = |id| layout(id, 1).kinds;
        assert_eq!(kinds("llama-3.1-8b"), [(Keeps::All, 1)]);
        assert_eq!(kinds("gpt-oss-20b"), [(Keeps::All, 1), (Keeps::Window(128), 1)]);
        assert_eq!(kinds("gemma-3-12b"), [(Keeps::All, 1), (Keeps::Window(1_024), 5)]);
        // 52 windowed layers in groups of 10: eight of the last group are padding.
        assert_eq!(kinds("gemma-3-27b"), [(Keeps::All, 1), (Keeps::Window(1_024), 6)]);
        assert_eq!(kinds("llama-4-scout"), [(Keeps::All, 1), (Keeps::Chunk(8_192), 3)]);
        assert_eq!(kinds("qwen3.5-35b-a3b"), [(Keeps::All, 1), (Keeps::State, 3)]);
        let near = Model { full_attention_layers: 13, ..Catalog::embedded().model("gpt-oss-20b").unwrap().clone() };
        let near = KvLayout::of(&near, &PlanOptions::default(), 8_192);
        assert_eq!(near.block_bytes, 13 * 16 * 2_048, "13 and 12 layers are two groups of 13, not three of 12");
        assert_eq!(near.groups(), 2);
    }

    #[test]
    fn linear_attention_makes_a_block_as_large_as_its_state() {
        // vLLM: "Setting attention block size to N tokens to ensure that attention page size is >= mamba page size."
        let one = layout("qwen3.5-35b-a3b", 1);
        assert_eq!(one.block_size, 1_056, "2,146,304 bytes in tokens of 2,048, in sixteens");
        assert_eq!(one.blocks_decoding(10_560), 10 + 3);
        assert_eq!(layout("qwen3.5-35b-a3b", 2).block_size, 1_056, "state and KV heads are both halved");
        assert_eq!(layout("qwen3.5-35b-a3b", 4).block_size, 528, "the state again, a single KV head not");
    }

    #[test]
    fn windows_cap_what_a_sequence_holds() {
        let gemma = layout("gemma-3-12b", 1);
        assert_eq!(gemma.blocks_decoding(512), 6 * 32, "shorter than the window: one block a position and group");
        assert_eq!(gemma.blocks_decoding(65_536), 4_096 + 5 * 65);
        assert_eq!(gemma.blocks_decoding(131_072), 8_192 + 5 * 65);
        // Admission: (1,024 - 1 + 2 batches of 8,192 tokens) in blocks, and one.
        assert_eq!(gemma.blocks_at_most(131_072), 8_192 + 5 * (1_088 + 1));
        let scout = layout("llama-4-scout", 1);
        assert_eq!(scout.blocks_at_most(131_072), 8_192 + 3 * (8_192 + 2 * 8_192) / 16);
        let plain = layout("llama-3.1-8b", 1);
        assert_eq!((plain.blocks_at_most(100), plain.blocks_decoding(100)), (7, 7));
    }

    #[test]
    fn the_longest_sequence_is_the_last_that_fits() {
        for id in ["llama-3.1-8b", "gemma-3-27b", "gpt-oss-120b", "llama-4-scout", "qwen3.5-35b-a3b"] {
            let l = layout(id, 1);
            for blocks in [1, 5, 100, 3_000, 20_000] {
                match l.longest(blocks, 200_000) {
                    None => assert!(l.blocks_at_most(1) > blocks, "{id}"),
                    Some(len) => {
                        assert!(l.blocks_at_most(len.into()) <= blocks, "{id}");
                        assert!(len == 200_000 || l.blocks_at_most(u64::from(len) + 1) > blocks, "{id}");
                    }
                }
            }
        }
        assert_eq!(layout("llama-3.1-8b", 1).longest(10, 1_000), Some(160));
    }
}
