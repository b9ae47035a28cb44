//! CUDA-graph padding: which size a batch of tokens runs as (spec/vllm.md 1.12).
//!
//! Imports nothing. Must keep true: sizes rise, the largest is at most the token budget, and a batch never shrinks.
//! Source: vLLM 0.32.0, config/vllm.py `_set_cudagraph_sizes` (read 2026-11-24), without speculative decoding. Beyond
//! the spec's sentence it says: the sequence limit is captured only where it is at most the largest size of the
//! grid's range (so 513 tokens run without a graph under a limit of 1,024), and a token budget inside that range is
//! captured too.

/// Largest size captured by default, tokens.
const MOST: u32 = 512;
/// Largest size captured by default on data-centre Blackwell (compute capability 10.x), tokens.
const MOST_BLACKWELL: u32 = 1_024;

/// The sizes that an engine captured as graphs. `Default` has none: nothing is padded and every step is launched
/// kernel by kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphSizes {
    /// The captured size that runs each number of tokens, from 0.
    padded: Vec<u32>,
}

impl GraphSizes {
    /// vLLM's sizes for an engine of `max_num_seqs` and `max_num_batched_tokens`.
    pub fn new(max_num_seqs: u32, max_num_batched_tokens: u32, datacenter_blackwell: bool) -> GraphSizes {
        let most = if datacenter_blackwell { MOST_BLACKWELL } else { MOST };
        let range = most.min(max_num_seqs.saturating_mul(2));
        let largest = range.min(max_num_batched_tokens);
        let mut sizes: Vec<u32> = [1, 2, 4].into_iter().filter(|s| *s <= largest).collect();
        sizes.extend((8..=largest.min(255)).step_by(8));
        sizes.extend((256..=largest).step_by(16));
        sizes.extend([max_num_batched_tokens].into_iter().filter(|b| *b <= largest));
        sizes.extend([max_num_seqs].into_iter().filter(|s| *s <= range && *s <= max_num_batched_tokens));
        sizes.sort_unstable();
        sizes.dedup();
        let mut padded = vec![0];
        for size in sizes {
            padded.resize(size as usize + 1, size);
        }
        GraphSizes { padded }
    }

    /// The captured size that runs `tokens`; `None` where no graph is large enough.
    pub fn padded(&self, tokens: u64) -> Option<u32> {
        self.padded.get(usize::try_from(tokens).ok()?).copied()
    }

    /// The captured sizes, rising.
    pub fn sizes(&self) -> Vec<u32> {
        let mut sizes: Vec<u32> = self.padded.iter().copied().filter(|s| *s > 0).collect();
        sizes.dedup();
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_run_as_the_vector_of_spec_1_12_says() {
        for seqs in [256, 1_024] {
            let g = GraphSizes::new(seqs, 8_192, false);
            for (tokens, size) in [
                (1, 1),
                (3, 4),
                (5, 8),
                (9, 16),
                (17, 24),
                (33, 40),
                (100, 104),
                (129, 136),
                (250, 256),
                (257, 272),
                (300, 304),
                (511, 512),
                (512, 512),
            ] {
                assert_eq!(g.padded(tokens), Some(size), "cudagraph-padding: {tokens} tokens, {seqs} sequences");
            }
            assert_eq!(g.padded(513), None, "cudagraph-padding: above the largest size there is no graph");
        }
    }

    #[test]
    fn limits_bound_the_sizes_and_are_captured_themselves() {
        assert_eq!(GraphSizes::new(1_024, 16_384, true).padded(1_023), Some(1_024));
        assert_eq!(GraphSizes::new(1_024, 16_384, true).padded(1_025), None);
        assert_eq!(GraphSizes::new(1, 8_192, false).sizes(), [1, 2]);
        assert_eq!(GraphSizes::new(3, 8_192, false).sizes(), [1, 2, 3, 4]);
        assert_eq!(GraphSizes::new(10, 8_192, false).sizes(), [1, 2, 4, 8, 10, 16]);
        assert_eq!(GraphSizes::new(100, 8_192, false).padded(97), Some(100));
        assert_eq!(GraphSizes::new(256, 300, false).padded(289), Some(300), "the budget is captured");
        assert_eq!(GraphSizes::new(256, 300, false).padded(301), None);
        assert_eq!(GraphSizes::new(5, 3, false).sizes(), [1, 2, 3], "a limit above the budget is not");
        assert_eq!(GraphSizes::default().padded(1), None);
    }

    #[test]
    fn sizes_rise_and_no_batch_shrinks() {
        for seqs in [1, 2, 7, 33, 128, 250, 256, 257, 511, 600, 1_024] {
            for budget in [1, 5, 64, 255, 256, 500, 2_048] {
                for blackwell in [false, true] {
                    let g = GraphSizes::new(seqs, budget, blackwell);
                    let sizes = g.sizes();
                    let largest = *sizes.last().unwrap();
                    assert!(sizes.is_sorted() && largest <= budget);
                    for tokens in 1..=u64::from(largest) {
                        let size = g.padded(tokens).unwrap();
                        assert!(u64::from(size) >= tokens);
                        assert_eq!(Some(size), sizes.iter().copied().find(|s| u64::from(*s) >= tokens));
                    }
                    assert_eq!(g.padded(u64::from(largest) + 1), None);
                }
            }
        }
    }
}
