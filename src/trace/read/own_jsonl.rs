//! Our own schema as JSON lines: the CSV's keys, and `content`, the leading named runs of the prompt.
use super::Rows;
use super::parse::{class_of, count};
use crate::types::{ContentId, Entry, NO_SESSION, Run};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    arrival_s: f64,
    prompt_tokens: i64,
    output_tokens: i64,
    #[serde(default)]
    tenant: u32,
    session: Option<u64>,
    #[serde(default)]
    class: String,
    max_output_tokens: Option<i64>,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    content: Vec<(u64, u32, u32)>,
}

/// Reads one JSON object a line; unknown keys are refused.
pub(super) struct OwnJsonl {
    classes: Vec<String>,
}

impl OwnJsonl {
    pub(super) fn new(classes: &[String]) -> OwnJsonl {
        OwnJsonl { classes: classes.to_vec() }
    }
}

impl Rows for OwnJsonl {
    fn row(&mut self, line: &str, row: &mut Entry) -> Result<bool, String> {
        let line: Line = serde_json::from_str(line).map_err(|e| {
            format!("the line is torn or wrong ({e}); it must be JSON with arrival_s, prompt_tokens, output_tokens")
        })?;
        if !(0.0..9e9).contains(&line.arrival_s) {
            return Err(format!("arrival_s is {}; it must be seconds from 0", line.arrival_s));
        }
        row.at_ns = (line.arrival_s * 1e9).round() as i64;
        row.prompt_tokens = count(line.prompt_tokens, "prompt_tokens")?;
        row.output_tokens = count(line.output_tokens, "output_tokens")?;
        row.tenant = line.tenant;
        row.session = line.session.unwrap_or(NO_SESSION);
        row.class = class_of(&line.class, &self.classes)?;
        row.max_output_tokens = line.max_output_tokens.map_or(Ok(0), |m| count(m, "max_output_tokens"))?;
        row.priority = line.priority;
        if line.content.iter().any(|&(_, start, len)| len == 0 || start.checked_add(len).is_none()) {
            return Err(
                "content has a run of 0 tokens or past 2^32; a run is [id, start, len] with len at least 1".into()
            );
        }
        let run = |&(id, start, len): &(u64, u32, u32)| Run { id: ContentId::Named(id), start, len };
        row.content.extend(line.content.iter().map(run));
        Ok(true)
    }
}
