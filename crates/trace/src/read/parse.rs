//! What readers share: numbers, names and JSON, with messages that say what would be right.
use crate::shown::shown;
use baseload_core::types::{Entry, UnknownField};
use baseload_core::types::{TraceFault, wrong};
use rustc_hash::FxHashMap;
use serde::Deserialize;

/// What every format must keep.
///
/// # Errors
/// What is wrong; what would be right.
pub(super) fn checked(entry: &Entry) -> Result<(), TraceFault> {
    if entry.prompt_tokens == 0 {
        return Err("the request has 0 prompt tokens; it needs at least 1".into());
    }
    if entry.content.is_empty() {
        return Ok(());
    }
    let content: u64 = entry.content.iter().map(|r| u64::from(r.len)).sum();
    if content > u64::from(entry.prompt_tokens) {
        return Err(wrong!(
            "its content is {content} tokens but its prompt {}; the content may not be longer",
            entry.prompt_tokens
        ));
    }
    Ok(())
}

/// A whole number of tokens, or what is wrong with it.
pub(super) fn tokens(text: &str, column: &str) -> Result<u32, TraceFault> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(wrong!("{column} is {text}, a negative number; it must be at least 1"));
    }
    text.parse().map_err(|_| wrong!("{column} is `{text}`; it must be a whole number of tokens"))
}

/// A count of tokens that JSON gave as any whole number.
pub(super) fn count(value: i64, key: &str) -> Result<u32, TraceFault> {
    if value < 0 {
        return Err(wrong!("{key} is {value}, a negative number; it must be at least 1"));
    }
    u32::try_from(value).map_err(|_| wrong!("{key} is {value}; it must be under 2^32"))
}

/// Seconds, 0 or more, as nanoseconds.
pub(super) fn seconds_ns(seconds: f64, key: &str) -> Result<i64, TraceFault> {
    if (0.0..9e9).contains(&seconds) {
        Ok((seconds * 1e9).round() as i64)
    } else {
        Err(wrong!("{key} is {seconds}; it must be seconds from 0"))
    }
}

/// A line as JSON; `right` says what it must be.
pub(super) fn json<'a, T: Deserialize<'a>>(line: &'a str, right: &str) -> Result<T, TraceFault> {
    serde_json::from_str(line).map_err(|e| {
        // The line's number within itself is always 1 and would be taken for the file's.
        let what = e.to_string().replace(" at line 1 column ", " at column ");
        wrong!("the line is torn or wrong ({what}); it must be JSON with {right}")
    })
}

/// Fields that a reader does not know, by name.
#[derive(Default)]
pub(super) struct Unknown(Vec<UnknownField>);

impl Unknown {
    /// Counts one.
    pub(super) fn count(&mut self, name: &str) {
        let full = self.0.len() >= 256;
        match self.0.iter_mut().find(|f| f.name == name) {
            Some(known) => known.count += 1,
            None if !full => self.0.push(UnknownField { name: name.into(), count: 1 }),
            None => {}
        }
    }
    /// Counts those of an object, as a struct's `#[serde(flatten)]` gathers them.
    pub(super) fn others(&mut self, others: &Others) {
        others.keys().for_each(|name| self.count(name));
    }
    /// All so far.
    pub(super) fn list(&self) -> Vec<UnknownField> {
        self.0.iter().map(|f| UnknownField { name: shown(&f.name), count: f.count }).collect()
    }
}

/// Fields of an object that its struct does not name.
pub(super) type Others = std::collections::BTreeMap<String, serde::de::IgnoredAny>;

/// A line as JSON whose struct refuses unknown keys: those that are not among `known` are counted and passed over.
pub(super) fn json_counting<T: serde::de::DeserializeOwned>(
    line: &str,
    known: &[&str],
    right: &str,
    unknown: &mut Unknown,
) -> Result<T, TraceFault> {
    if let Ok(read) = serde_json::from_str(line) {
        return Ok(read);
    }
    let Ok(mut object) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) else {
        return json(line, right);
    };
    let strange: Vec<String> = object.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
    for key in &strange {
        object.remove(key);
    }
    let read = T::deserialize(serde_json::Value::Object(object))
        .map_err(|e| wrong!("the line is torn or wrong ({e}); it must be JSON with {right}"))?;
    strange.iter().for_each(|key| unknown.count(key));
    Ok(read)
}

/// Says how many answers were empty, where any were.
pub(super) fn zero_outputs(count: u64) -> Option<String> {
    (count > 0).then(|| format!("{count} requests have 0 output tokens; they are kept and replayed with 1"))
}

/// Numbers for names, from 0 in order of first appearance.
#[derive(Default)]
pub(super) struct Names {
    known: FxHashMap<Box<str>, u64>,
}

impl Names {
    /// The number of `name`.
    pub(super) fn number(&mut self, name: &str) -> u64 {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        let number = self.known.len() as u64;
        self.known.insert(name.into(), number);
        number
    }
    /// Names so far.
    pub(super) fn len(&self) -> u64 {
        self.known.len() as u64
    }
    /// Whether it is known.
    pub(super) fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }
    /// All names, in order of their numbers.
    pub(super) fn list(&self) -> Vec<String> {
        let mut all: Vec<(u64, &str)> = self.known.iter().map(|(name, &number)| (number, &**name)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, name)| name.to_owned()).collect()
    }
}

/// Exact nanoseconds of decimal seconds, 0 or more; digits past the ninth decimal are cut.
pub(super) fn decimal_ns(text: &str) -> Option<i64> {
    scaled(text, 9)
}

/// `text`, a decimal number of 0 or more, times 10^`digits`, exactly; what is finer is cut.
pub(super) fn scaled(text: &str, digits: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.bytes().chain(std::iter::repeat(b'0')).take(digits);
    whole.bytes().chain(fraction).try_fold(0i64, |n, d| n.checked_mul(10)?.checked_add(i64::from(d - b'0')))
}
