//! Recognises a trace format by the head of its content, never by its file name.

/// A trace format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Azure LLM inference 2023 and 2024, CSV.
    Azure,
    /// Mooncake, JSON lines with 512-token hash ids.
    Mooncake,
    /// Claude Code sessions, a JSON line a session.
    Claude,
    /// LMCache agent calls, JSON lines with lengths in characters.
    LmCache,
    /// A folder of ServeGen client profiles: a generator.
    ServeGen,
    /// Our own schema as CSV.
    OwnCsv,
    /// Our own schema as JSON lines.
    OwnJsonl,
    /// A generator's specification, TOML: recognised by its file's ending, drawn with the options' seed.
    Generator,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 8] = [
        Format::Azure,
        Format::Mooncake,
        Format::Claude,
        Format::LmCache,
        Format::ServeGen,
        Format::OwnCsv,
        Format::OwnJsonl,
        Format::Generator,
    ];

    /// The name in messages and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Azure => "azure",
            Format::Mooncake => "mooncake",
            Format::Claude => "claude-sessions",
            Format::LmCache => "lmcache-agents",
            Format::ServeGen => "servegen",
            Format::OwnCsv => "baseload-csv",
            Format::OwnJsonl => "baseload-jsonl",
            Format::Generator => "generator",
        }
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
            Format::Mooncake => "JSON with timestamp, input_length, hash_ids",
            Format::Claude => "JSON with id, block_size, requests",
            Format::LmCache => "JSON with timestamp_us, input_chars",
            Format::ServeGen => "a folder with chunk-0-trace.csv",
            Format::OwnCsv => "header with arrival_s, prompt_tokens, output_tokens",
            Format::OwnJsonl => "JSON with arrival_s, prompt_tokens, output_tokens",
            Format::Generator => "a .toml file with arrivals, prompt, output",
        }
    }
}

/// The format of the trace `name` of which the head is given: its first lines, or what fits of them.
///
/// # Errors
/// Lists the known formats.
pub fn detect(head: &str, name: &str) -> Result<Format, String> {
    let head = head.trim_start_matches('\u{feff}').trim();
    let line = head.lines().next().unwrap_or("").trim();
    if line.is_empty() {
        return Err(format!("{name}:1: the trace is empty; it needs at least one request"));
    }
    if let Some(format) = if line.starts_with('{') { by_keys(head, line) } else { by_header(line) } {
        return Ok(format);
    }
    let known: Vec<String> = Format::ALL.iter().map(|f| format!("{} ({})", f.name(), f.looks_like())).collect();
    Err(format!("{name}:1: this is no trace format that is known; known are {}", known.join(", ")))
}

/// Formats that begin with a JSON object. A line that is torn or does not fit is searched for its keys.
fn by_keys(head: &str, line: &str) -> Option<Format> {
    let value = serde_json::from_str::<serde_json::Value>(line).ok();
    let has = |key: &str| match &value {
        Some(value) => value.get(key).is_some(),
        None => head.contains(&format!("\"{key}\"")),
    };
    let all = |keys: &[&str]| keys.iter().all(|k| has(k));
    if has("arrival_s") {
        Some(Format::OwnJsonl)
    } else if all(&["timestamp", "input_length", "hash_ids"]) && !has("chat_id") {
        Some(Format::Mooncake)
    } else if all(&["timestamp_us", "input_chars"]) {
        Some(Format::LmCache)
    } else if all(&["id", "block_size", "requests"]) {
        Some(Format::Claude)
    } else {
        None
    }
}

/// Formats that begin with a CSV header.
fn by_header(line: &str) -> Option<Format> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    if columns == ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] {
        return Some(Format::Azure);
    }
    columns.contains(&"arrival_s").then_some(Format::OwnCsv)
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
            ("arrival_s,prompt_tokens,output_tokens,class", Format::OwnCsv),
            (r#"{"arrival_s":0,"prompt_tokens":1,"output_tokens":1}"#, Format::OwnJsonl),
        ];
        for (line, want) in cases {
            assert_eq!(detect(line, "t").unwrap(), want);
        }
        let error = detect("a,b,c", "x.csv").unwrap_err();
        assert!(error.starts_with("x.csv:1: ") && Format::ALL.iter().all(|f| error.contains(f.name())), "{error}");
        assert!(detect("", "x").unwrap_err().contains("empty"));
    }
}
