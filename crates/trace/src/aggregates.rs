//! Files that people take for traces and that are sums: what they are, and what to use instead.
use super::head::Head;

/// What an aggregate is, and what would be right; `None` for what is none that is known.
pub(super) fn named(head: &Head<'_>) -> Option<(&'static str, &'static str)> {
    let has = |keys: &[&str]| head.has_keys(keys);
    if has(&["startTime", "spend", "models"]) && !has(&["request_id"]) {
        return Some((
            "LiteLLM's sums a day, which /spend/logs answers where it is given dates",
            "not calls but sums a day: ask the API again with summarize=false",
        ));
    }
    if has(&["aiperf_version"]) {
        return Some((
            "AIPerf's summary (profile_export_aiperf.json)",
            "its requests are in profile_export.jsonl beside it; compare the summary with a run's own figures",
        ));
    }
    if has(&["load_summary", "successes"]) {
        return Some((
            "inference-perf's report of a stage or a whole run",
            "its requests are in per_request_lifecycle_metrics.json (report.request_lifecycle.per_request = true); compare the \
             report with a run's own figures",
        ));
    }
    let yaml =
        head.line().starts_with("version:") && head.text().contains("\nrun:") && head.text().contains("\nresults:");
    if yaml || has(&["version", "run", "results"]) || has(&["version", "run", "scenario"]) {
        return Some((
            "an llm-d Benchmark Report",
            "replay the results of the load test that it was made of; compare the report with a run's own figures",
        ));
    }
    if has(&["hw", "conc", "tput_per_gpu"]) || has(&["hardware", "conc", "metrics"]) {
        return Some((
            "InferenceX's averages of load points",
            "`baseload validate` replays such load points (kind inferencex) and compares",
        ));
    }
    if has(&["Timestamp", "Model", "StatusCode", "Metrics"]) {
        return Some((
            "Cloudflare's Logpush events",
            "they name no tokens: export the logs by the API (tokens_in, tokens_out)",
        ));
    }
    if head.has_columns(&["Model", "Spend"]) {
        return Some((
            "a gateway's spend by model",
            "export the calls: OpenRouter's generation export has a row each (generation_id, tokens_prompt)",
        ));
    }
    None
}
