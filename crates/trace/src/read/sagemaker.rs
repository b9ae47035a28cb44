//! SageMaker's data capture: JSON lines, a call each, with what the endpoint was sent and what it answered, as text or in
//! base64. Written to its documentation, not tried on a capture.
//!
//! Tokens are those of the answer's usage; else an estimate, characters / 4. Times are whole seconds. Of requests and answers
//! nothing is kept but their lengths.
use super::calls::{Calls, Log, Of, log};
use super::chat::{chars_as_tokens, tokens_of_messages};
use super::record::Record;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::{Entry, TraceFault, wrong};
use serde_json::Value;

/// Row of SageMaker's format in the registry of readers.
pub const FORMAT: Format = Format {
    name: "sagemaker-capture",
    looks_like: "JSON with captureData, eventMetadata",
    tried: Tried::Nothing,
    carries: Carries::ARRIVALS,
    recognises: |head| head.has_keys(&["captureData"]) && head.names("endpointInput"),
    open: |trace| log(trace, SageMaker::default()),
    example: r#"{"captureData":{"endpointInput":{"data":"{\"inputs\": \"Which way?\"}","encoding":"JSON"},"endpointOutput":{"data":"[{\"generated_text\": \"That way.\"}]","encoding":"JSON"}},"eventMetadata":{"eventId":"e1","inferenceTime":"2026-11-20T10:00:00Z"}}"#,
    ..Format::PLAIN
};

/// Reads one call a line.
#[derive(Default)]
struct SageMaker {
    estimated: u64,
}

/// Bytes of a text in base64; `None` where it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0u32, 0u32, Vec::with_capacity(text.len() / 4 * 3));
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    Some(out)
}

/// The JSON that one side of a call is; plain text as a JSON text.
fn side(row: &Record, name: &str) -> Result<Value, TraceFault> {
    let data = row.text(&format!("captureData.{name}.data")).unwrap_or_default();
    let text = if row.is(&format!("captureData.{name}.encoding"), "BASE64") {
        let bytes = base64(&data).ok_or_else(|| wrong!("{name} is no base64, which its encoding says"))?;
        String::from_utf8(bytes).map_err(|_| wrong!("{name} is not UTF-8 text; text is"))?
    } else {
        data
    };
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Characters of the texts under these keys, wherever they stand.
fn chars(value: &Value, keys: &[&str]) -> u64 {
    match value {
        Value::Array(all) => all.iter().map(|inner| chars(inner, keys)).sum(),
        Value::Object(object) => {
            let of = |(key, inner): (&String, &Value)| match inner {
                Value::String(text) if keys.contains(&key.as_str()) => text.chars().count() as u64,
                Value::Array(_) | Value::Object(_) => chars(inner, keys),
                _ => 0,
            };
            object.iter().map(of).sum()
        }
        Value::String(text) => text.chars().count() as u64,
        _ => 0,
    }
}

impl Log for SageMaker {
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        if row.text("eventMetadata.eventId").is_some_and(|id| calls.again(&id, "eventId")) {
            return Ok(());
        }
        let (input, output) = (side(row, "endpointInput")?, side(row, "endpointOutput")?);
        let usage = Record::of(&output).and_then(|answer| answer.object("usage")).unwrap_or_default();
        let of = |names: &[&'static str]| usage.first(names).map_or(Ok(None), |name| usage.tokens(name));
        let mut entry = Entry { at_ns: calls.needed_instant(row, "eventMetadata.inferenceTime")?, ..Entry::blank() };
        let counted = (of(&["prompt_tokens", "input_tokens"])?, of(&["completion_tokens", "output_tokens"])?);
        if let (Some(prompt), Some(output)) = counted {
            (entry.prompt_tokens, entry.output_tokens) = (prompt, output);
        } else {
            self.estimated += 1;
            entry.prompt_tokens = match input.get("messages") {
                Some(messages) => tokens_of_messages(messages)?,
                None => chars_as_tokens(chars(&input, &["inputs", "prompt", "text", "input"])),
            };
            let answered = ["generated_text", "text", "content", "outputs", "completion"];
            entry.output_tokens = chars_as_tokens(chars(&output, &answered));
        }
        if !calls.has_tokens(Some(entry.prompt_tokens), false) {
            return Ok(());
        }
        let request = Record::of(&input).unwrap_or_default();
        let limit = request.first(&["max_tokens", "max_completion_tokens", "parameters.max_new_tokens"]);
        entry.max_output_tokens = limit.and_then(|name| request.tokens(name).ok().flatten()).unwrap_or(0);
        calls.push(entry, &Of { model: request.text("model"), ..Of::default() })
    }

    fn knows(&self, field: &str) -> bool {
        ["captureData", "eventMetadata", "eventVersion"].contains(&field)
    }

    fn notes(&self) -> Vec<String> {
        let estimated = (self.estimated > 0)
            .then(|| format!("tokens of {} requests are an estimate: characters / 4, rounded up", self.estimated));
        std::iter::once("times are whole seconds".to_string()).chain(estimated).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_with_and_without_its_end() {
        for (text, want) in [("", ""), ("YQ==", "a"), ("YWI", "ab"), ("YWJj\nZA==", "abcd"), ("w6k=", "é")] {
            assert_eq!(base64(text).as_deref(), Some(want.as_bytes()), "{text}");
        }
        assert_eq!(base64("a*b"), None);
    }
}
