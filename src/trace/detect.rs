//! Recognises a trace format by its first line, never by its file name.

/// A trace format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Azure LLM inference 2023 and 2024, CSV.
    Azure,
    /// Mooncake, JSON lines with 512-token hash ids.
    Mooncake,
    /// Our own schema as CSV.
    OwnCsv,
    /// Our own schema as JSON lines.
    OwnJsonl,
    /// A generator's specification, TOML: recognised by its file's ending, drawn with the options' seed.
    Generator,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] = [Format::Azure, Format::Mooncake, Format::OwnCsv, Format::OwnJsonl, Format::Generator];

    /// The format of a name.
    ///
    /// # Errors
    /// Lists the names.
    pub fn named(name: &str) -> Result<Format, String> {
        let known: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
        let found = Format::ALL.into_iter().find(|f| f.name() == name);
        found.ok_or_else(|| format!("`{name}` is no trace format; known are {}", known.join(", ")))
    }

    /// The name in messages and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Azure => "azure",
            Format::Mooncake => "mooncake",
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

    /// What its first line looks like.
    pub fn looks_like(self) -> &'static str {
        match self {
            Format::Azure => "header TIMESTAMP,ContextTokens,GeneratedTokens",
            Format::Mooncake => "JSON with timestamp, input_length, hash_ids",
            Format::OwnCsv => "header with arrival_s, prompt_tokens, output_tokens",
            Format::OwnJsonl => "JSON with arrival_s, prompt_tokens, output_tokens",
            Format::Generator => "a .toml file with arrivals, prompt, output",
        }
    }
}

/// The format of the trace `name` whose first line is given.
///
/// # Errors
/// Lists the known formats.
pub fn detect(first_line: &str, name: &str) -> Result<Format, String> {
    let line = first_line.trim_start_matches('\u{feff}').trim();
    if line.is_empty() {
        return Err(format!("{name}:1: the trace is empty; it needs at least one request"));
    }
    if line.starts_with('{') {
        let has = |key: &str| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(value) => value.get(key).is_some(),
            Err(_) => line.contains(&format!("\"{key}\"")),
        };
        if has("arrival_s") {
            return Ok(Format::OwnJsonl);
        }
        if has("timestamp") && has("input_length") && has("hash_ids") && !has("chat_id") {
            return Ok(Format::Mooncake);
        }
    } else {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        if columns == ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] {
            return Ok(Format::Azure);
        }
        if columns.contains(&"arrival_s") {
            return Ok(Format::OwnCsv);
        }
    }
    let known: Vec<String> = Format::ALL.iter().map(|f| format!("{} ({})", f.name(), f.looks_like())).collect();
    Err(format!("{name}:1: this is no trace format that is known; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_line() {
        let cases = [
            ("TIMESTAMP,ContextTokens,GeneratedTokens\r", Format::Azure),
            (r#"{"timestamp":0,"input_length":1,"output_length":1,"hash_ids":[0]}"#, Format::Mooncake),
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
