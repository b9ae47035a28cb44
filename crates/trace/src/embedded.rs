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
            mooncake::SESSIONS,
            bailian::FORMAT,
            generate::SERVEGEN,
            chat::SHAREGPT,
            chat::MESSAGES,
            chat::LMSYS,
            vllm_bench::FORMAT,
            sglang_bench::FORMAT,
            aiperf::FORMAT,
            guidellm::FORMAT,
            inference_perf::FORMAT,
            litellm::FORMAT,
            openrouter::FORMAT,
            helicone::FORMAT,
            langfuse::FORMAT,
            portkey::FORMAT,
            envoy::FORMAT,
            cloudflare::FORMAT,
            otlp::FORMAT,
            sagemaker::FORMAT,
            tracelab::FORMAT,
            dag::FORMAT,
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
