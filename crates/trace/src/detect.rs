//! Recognises a trace format by the head of its content, never by its file name.

use baseload_core::types::{TraceFault, wrong};
/// A trace format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Azure LLM inference 2023 and 2024, CSV.
    Azure,
    /// Azure LLM inference 2025, multimodal, CSV.
    AzureMultimodal,
    /// GitHub Copilot coding agents 2026, a JSON line a session.
    Copilot,
    /// BurstGPT, CSV.
    BurstGpt,
    /// Mooncake, JSON lines with 512-token hash ids.
    Mooncake,
    /// Alibaba Bailian, JSON lines with chat ids and 16-token hash ids.
    Bailian,
    /// A folder of ServeGen client profiles: a generator.
    ServeGen,
    /// ShareGPT, a JSON array of conversations.
    ShareGpt,
    /// A result of `vllm bench serve`, one JSON object.
    VllmBench,
    /// LiteLLM spend logs, JSON lines or CSV.
    LiteLlm,
    /// OpenTelemetry GenAI spans, OTLP JSON.
    Otlp,
    /// Claude Code sessions, a JSON line a session.
    Claude,
    /// LMCache agent calls, JSON lines with lengths in characters.
    LmCache,
    /// Our own schema as CSV.
    OwnCsv,
    /// Our own schema as JSON lines.
    OwnJsonl,
    /// Our own schema as Parquet.
    Parquet,
    /// Any CSV, JSON lines or Parquet, through a column map.
    Columns,
    /// A generator's specification, TOML: recognised by its file's ending, drawn with the options' seed.
    Generator,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 18] = [
        Format::Azure,
        Format::AzureMultimodal,
        Format::Copilot,
        Format::BurstGpt,
        Format::Mooncake,
        Format::Bailian,
        Format::ServeGen,
        Format::ShareGpt,
        Format::VllmBench,
        Format::LiteLlm,
        Format::Otlp,
        Format::Claude,
        Format::LmCache,
        Format::OwnCsv,
        Format::OwnJsonl,
        Format::Parquet,
        Format::Columns,
        Format::Generator,
    ];

    /// The name in messages and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Azure => "azure",
            Format::AzureMultimodal => "azure-multimodal",
            Format::Copilot => "copilot",
            Format::BurstGpt => "burstgpt",
            Format::Mooncake => "mooncake",
            Format::Bailian => "bailian",
            Format::ServeGen => "servegen",
            Format::ShareGpt => "sharegpt",
            Format::VllmBench => "vllm-bench-serve",
            Format::LiteLlm => "litellm",
            Format::Otlp => "otlp",
            Format::Claude => "claude-sessions",
            Format::LmCache => "lmcache-agents",
            Format::OwnCsv => "baseload-csv",
            Format::OwnJsonl => "baseload-jsonl",
            Format::Parquet => "baseload-parquet",
            Format::Columns => "columns",
            Format::Generator => "generator",
        }
    }

    /// The format of a name.
    ///
    /// # Errors
    /// Lists the known names.
    pub fn of_name(name: &str) -> Result<Format, TraceFault> {
        Format::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
            wrong!("format `{name}` is unknown; known are {}", known.join(", "))
        })
    }

    /// Whether its reader was tried on the original; else it was written to the format's description, and refuses what
    /// that does not have.
    pub fn tried(self) -> bool {
        !matches!(
            self,
            Format::AzureMultimodal
                | Format::Copilot
                | Format::BurstGpt
                | Format::Bailian
                | Format::ShareGpt
                | Format::LiteLlm
                | Format::Otlp
        )
    }

    /// Width of the buckets that its published times stand in, ns; 0 where they are exact.
    pub fn bucket_ns(self) -> u64 {
        match self {
            Format::Mooncake => 3_000_000_000,
            _ => 0,
        }
    }

    /// What it looks like.
    pub fn looks_like(self) -> &'static str {
        match self {
            Format::Azure => "header TIMESTAMP,ContextTokens,GeneratedTokens",
            Format::AzureMultimodal => "the same header with NumImages",
            Format::Copilot => "JSON with session_id, turns",
            Format::BurstGpt => "header Timestamp,Model,Request tokens,...",
            Format::Mooncake => "JSON with timestamp, input_length, hash_ids",
            Format::Bailian => "JSON with chat_id, parent_chat_id",
            Format::ServeGen => "a folder with chunk-0-trace.csv",
            Format::ShareGpt => "JSON array with conversations",
            Format::VllmBench => "JSON object with ttfts, itls",
            Format::LiteLlm => "request_id, startTime, prompt_tokens",
            Format::Otlp => "JSON with resourceSpans",
            Format::Claude => "JSON with id, block_size, requests",
            Format::LmCache => "JSON with timestamp_us, input_chars",
            Format::OwnCsv => "header with prompt_tokens, output_tokens",
            Format::OwnJsonl => "JSON with prompt_tokens, output_tokens",
            Format::Parquet => "Parquet with prompt_tokens, output_tokens",
            Format::Columns => "any table, by a column map",
            Format::Generator => "a .toml file with arrivals, prompt, output",
        }
    }
}

/// The format of the trace `name` of which the head is given: its first lines, or what fits of them.
///
/// # Errors
/// Lists the known formats.
pub fn detect(head: &str, name: &str) -> Result<Format, TraceFault> {
    let head = head.trim_start_matches('\u{feff}').trim();
    let line = head.lines().next().unwrap_or("").trim();
    if line.is_empty() {
        return Err(wrong!("{name}:1: the trace is empty; it needs at least one request"));
    }
    let found = match line.as_bytes()[0] {
        b'{' => by_keys(head, line),
        b'[' if head.contains("\"conversations\"") => Some(Format::ShareGpt),
        _ => by_header(line),
    };
    found.ok_or_else(|| {
        let known: Vec<String> = Format::ALL.iter().map(|f| format!("{} ({})", f.name(), f.looks_like())).collect();
        TraceFault::of(name, "this is no trace format that is known")
            .on_line(1)
            .hint(format!("known are {}", known.join(", ")))
    })
}

/// Formats that begin with a JSON object. A line that is torn or does not fit is searched for its keys.
fn by_keys(head: &str, line: &str) -> Option<Format> {
    let value = serde_json::from_str::<serde_json::Value>(line).ok();
    let has = |key: &str| match &value {
        Some(value) => value.get(key).is_some(),
        None => head.contains(&format!("\"{key}\"")),
    };
    let all = |keys: &[&str]| keys.iter().all(|k| has(k));
    if has("resourceSpans") {
        Some(Format::Otlp)
    } else if all(&["session_id", "turns"]) {
        Some(Format::Copilot)
    } else if all(&["ttfts", "itls"]) || all(&["num_prompts", "request_rate", "burstiness"]) {
        Some(Format::VllmBench)
    } else if all(&["chat_id", "parent_chat_id"]) {
        Some(Format::Bailian)
    } else if all(&["timestamp", "input_length", "hash_ids"]) {
        Some(Format::Mooncake)
    } else if all(&["timestamp_us", "input_chars"]) {
        Some(Format::LmCache)
    } else if all(&["id", "block_size", "requests"]) {
        Some(Format::Claude)
    } else if all(&["request_id", "startTime", "prompt_tokens"]) {
        Some(Format::LiteLlm)
    } else if has("arrival_s") || has("arrival_ns") || has("session_s") || all(&["prompt_tokens", "output_tokens"]) {
        Some(Format::OwnJsonl)
    } else {
        None
    }
}

/// Formats that begin with a CSV header.
fn by_header(line: &str) -> Option<Format> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    let has = |name: &str| columns.iter().any(|c| c.trim_matches('"') == name);
    let has_any_case = |name: &str| columns.iter().any(|c| c.eq_ignore_ascii_case(name));
    if has("TIMESTAMP") && has("ContextTokens") && has("GeneratedTokens") {
        Some(if has("NumImages") { Format::AzureMultimodal } else { Format::Azure })
    } else if has_any_case("Timestamp") && has_any_case("Model") && has_any_case("Request tokens") {
        Some(Format::BurstGpt)
    } else if has("request_id") && has("startTime") && has("prompt_tokens") {
        Some(Format::LiteLlm)
    } else if has("arrival_s") || has("arrival_ns") || has("session_s") || has("prompt_tokens") && has("output_tokens")
    {
        Some(Format::OwnCsv)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_line() {
        let cases = [
            ("TIMESTAMP,ContextTokens,GeneratedTokens\r", Format::Azure),
            (r#"{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[0]}"#, Format::Mooncake),
            (r#"{"timestamp_us":0,"session":"a","input_chars":1}"#, Format::LmCache),
            (r#"{"id":"a","block_size":64,"requests":[{"t":"#, Format::Claude),
            ("TIMESTAMP,NumImages,ContextTokens,GeneratedTokens", Format::AzureMultimodal),
            ("timestamp,model,request tokens,Response tokens", Format::BurstGpt),
            (r#"{"session_id":"s","turns":[]}"#, Format::Copilot),
            (r#"{"chat_id":1,"parent_chat_id":-1,"timestamp":0,"input_length":1,"hash_ids":[]}"#, Format::Bailian),
            ("[\n {\"id\": 1, \"conversations\": [", Format::ShareGpt),
            ("{\n \"date\": 1, \"num_prompts\": 2, \"request_rate\": 1, \"burstiness\": 1", Format::VllmBench),
            (r#"{"request_id":"a","startTime":"","prompt_tokens":1}"#, Format::LiteLlm),
            ("startTime,request_id,prompt_tokens", Format::LiteLlm),
            ("{\n\"resourceSpans\": [", Format::Otlp),
            ("output_tokens,prompt_tokens", Format::OwnCsv),
            ("arrival_s,prompt_tokens,output_tokens,class", Format::OwnCsv),
            (r#"{"arrival_s":0,"prompt_tokens":1,"output_tokens":1}"#, Format::OwnJsonl),
        ];
        for (line, want) in cases {
            assert_eq!(detect(line, "t").unwrap(), want);
        }
        let error = detect("a,b,c", "x.csv").unwrap_err().to_string();
        assert!(error.starts_with("x.csv:1: ") && Format::ALL.iter().all(|f| error.contains(f.name())), "{error}");
        assert!(detect("", "x").unwrap_err().to_string().contains("empty"));
    }
}
