//! `--engine KEY=VALUE`: settings of a measured engine that its files do not say, under vLLM's names.
use baseload_core::catalog::MeasuredEngine;

const KEYS: [&str; 7] = [
    "max_num_seqs",
    "max_num_batched_tokens",
    "max_model_len",
    "num_gpu_blocks",
    "block_size",
    "enable_prefix_caching",
    "async_scheduling",
];

/// Parses them.
pub fn parse(pairs: &[String]) -> Result<MeasuredEngine, String> {
    let mut engine = MeasuredEngine::default();
    for pair in pairs {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let count = || match value.parse::<u32>() {
            Ok(n) if n > 0 => Ok(Some(n)),
            _ => Err(format!("--engine {pair}: {key} must be a whole number from 1")),
        };
        let on =
            || value.parse::<bool>().map(Some).map_err(|_| format!("--engine {pair}: {key} must be true or false"));
        match key {
            "max_num_seqs" => engine.max_num_seqs = count()?,
            "max_num_batched_tokens" => engine.max_num_batched_tokens = count()?,
            "max_model_len" => engine.max_model_len = count()?,
            "num_gpu_blocks" => engine.num_gpu_blocks = count()?,
            "block_size" => engine.block_size = count()?,
            "enable_prefix_caching" => engine.enable_prefix_caching = on()?,
            "async_scheduling" => engine.async_scheduling = on()?,
            _ => {
                let known = KEYS.into_iter();
                return Err(baseload_core::catalog::unknown("engine setting", key, known, "baseload validate --help"));
            }
        }
    }
    Ok(engine)
}
