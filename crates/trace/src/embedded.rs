//! The trace readers of this program: a reader is a file, and a line of this list.
use super::generate;
use super::read::*;
use super::registry::Readers;

impl Readers {
    /// The readers of this program.
    pub fn embedded() -> Readers {
        Readers(vec![
            azure::AZURE,
            azure::MULTIMODAL,
            copilot::FORMAT,
            burstgpt::FORMAT,
            mooncake::FORMAT,
            bailian::FORMAT,
            generate::SERVEGEN,
            sharegpt::FORMAT,
            vllm_bench::FORMAT,
            litellm::FORMAT,
            otlp::FORMAT,
            claude::FORMAT,
            lmcache::FORMAT,
            own_csv::FORMAT,
            own_jsonl::FORMAT,
            parquet::FORMAT,
            mapped::FORMAT,
            generate::GENERATOR,
        ])
    }
}
