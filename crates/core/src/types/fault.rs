//! What is wrong with what people gave: a fault of a text with keys ([`Fault`], [`Faults`]) and one of a trace ([`TraceFault`]).
//!
//! Must keep true: a key is a list of segments from the place where it is known to the place where it is shown; it is
//! made to a text only by `Display`, and nobody cuts a text into keys. A message ends, however long what it quotes is.
use super::nearest;
use super::shown::{bounded, ended, in_quotes, quotation};
use std::fmt;
use std::ops::Range;

/// Faults that are shown of many; the rest is counted.
pub const FAULTS_SHOWN: usize = 20;

/// One step of a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a table. It may hold any character, dots too.
    Name(String),
    /// A place of a list, from 0.
    Index(usize),
}

impl Segment {
    /// Whether it is the key `name` of a table.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Segment::Name(own) if own == name)
    }
}

impl From<&str> for Segment {
    fn from(name: &str) -> Segment {
        Segment::Name(name.into())
    }
}

impl From<String> for Segment {
    fn from(name: String) -> Segment {
        Segment::Name(name)
    }
}

impl From<&String> for Segment {
    fn from(name: &String) -> Segment {
        Segment::Name(name.clone())
    }
}

impl From<usize> for Segment {
    fn from(at: usize) -> Segment {
        Segment::Index(at)
    }
}

/// Path of a key in a text, from its top: `policy.hybrid.rules[2].when`. Empty: the text as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPath(Vec<Segment>);

impl KeyPath {
    /// From the outermost segment to the innermost.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is the text as a whole.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This path, one segment deeper.
    #[must_use]
    pub fn then(mut self, segment: impl Into<Segment>) -> KeyPath {
        self.0.push(segment.into());
        self
    }

    /// This path as one that starts at `outer`.
    #[must_use]
    pub fn under(self, outer: impl Into<KeyPath>) -> KeyPath {
        let mut whole = outer.into();
        whole.0.extend(self.0);
        whole
    }
}

impl<S: Into<Segment>> From<S> for KeyPath {
    /// A path of one segment. A text is one name, dots and all.
    fn from(segment: S) -> KeyPath {
        KeyPath(vec![segment.into()])
    }
}

impl From<Vec<Segment>> for KeyPath {
    fn from(segments: Vec<Segment>) -> KeyPath {
        KeyPath(segments)
    }
}

impl fmt::Display for KeyPath {
    /// Writes the path as TOML has it: names with other characters than letters, digits, `_` and `-` in quotes, long ones
    /// cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(at) => write!(f, "[{at}]")?,
                Segment::Name(name) => {
                    f.write_str(if i == 0 { "" } else { "." })?;
                    if is_bare(name) { f.write_str(&quotation(name))? } else { f.write_str(&in_quotes(name))? }
                }
            }
        }
        Ok(())
    }
}

/// A [`KeyPath`](crate::types::KeyPath) of its segments, names or indices: `key!["policy", name, "rules", 2]`.
#[macro_export]
macro_rules! key {
    ($($segment:expr),* $(,)?) => {
        $crate::types::KeyPath::from(::std::vec![$($crate::types::Segment::from($segment)),*] as ::std::vec::Vec<$crate::types::Segment>)
    };
}

/// A fault of a text with keys: an experiment, a catalogue, a profile. Shown as `key.path: what; hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key whose value is wrong, from the top of the text.
    pub key: KeyPath,
    /// The bytes inside the value's text that are wrong, where it is a part of them.
    pub within: Option<Range<usize>>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Fault {
    /// `what` is wrong at `key`, a [`key!`](crate::key) or one segment.
    pub fn at(key: impl Into<KeyPath>, what: impl Into<String>) -> Fault {
        Fault { key: key.into(), within: None, what: what.into(), hint: None }
    }

    /// `what` is wrong with the text as a whole, or at what the caller puts in front with [`Fault::under`].
    pub fn new(what: impl Into<String>) -> Fault {
        Fault::at(KeyPath::default(), what)
    }

    /// `name` at `key` is no known KIND: the nearest of `known`, or all of them.
    pub fn unknown<'a>(
        key: impl Into<KeyPath>,
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Fault {
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match (nearest(name, &known), known.len().saturating_sub(FAULTS_SHOWN)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            _ if known.is_empty() => "there is none".into(),
            // One more than what fits is no reason to leave it out.
            (None, 0 | 1) => format!("there are {}", known.join(", ")),
            (None, more) => format!("there are {} and {more} more", known[..FAULTS_SHOWN].join(", ")),
        };
        Fault::at(key, format!("unknown {kind} `{name}`")).hint(hint)
    }

    /// Only these bytes of the value's text are wrong.
    #[must_use]
    pub fn within(self, bytes: Range<usize>) -> Fault {
        Fault { within: Some(bytes), ..self }
    }

    /// What would be right.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Fault {
        Fault { hint: Some(hint.into()), ..self }
    }

    /// This fault seen from outside: its key starts at `outer`, a [`key!`](crate::key) or one segment.
    #[must_use]
    pub fn under(self, outer: impl Into<KeyPath>) -> Fault {
        Fault { key: self.key.under(outer), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&bounded(&self.what))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {}", ended(hint)))
    }
}

impl std::error::Error for Fault {}

/// All that is wrong with a text, in the order in which it was found. As an error it holds at least one fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// The value of `result`, or nothing and its faults kept: how a stage goes on behind a fault.
    pub fn take<T>(&mut self, result: Result<T, impl Into<Faults>>) -> Option<T> {
        result.map_err(|faults| self.0.extend(faults.into().0)).ok()
    }

    /// The value of `result`, or `stand_in` and its faults kept. What is made of stand-ins ends in [`Faults::finish`].
    pub fn or<T>(&mut self, stand_in: T, result: Result<T, impl Into<Faults>>) -> T {
        self.take(result).unwrap_or(stand_in)
    }

    /// [`Faults::or`] with the default of the type.
    pub fn or_default<T: Default>(&mut self, result: Result<T, impl Into<Faults>>) -> T {
        self.take(result).unwrap_or_default()
    }

    /// `value` if nothing is wrong.
    ///
    /// # Errors
    /// All faults that were kept.
    pub fn finish<T>(self, value: T) -> Result<T, Faults> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// All of them as seen from outside: each key starts at `outer`.
    #[must_use]
    pub fn under(self, outer: impl Into<KeyPath>) -> Faults {
        let outer = outer.into();
        self.0.into_iter().map(|fault| fault.under(outer.clone())).collect()
    }

    /// The faults.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of faults.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Faults {
        Faults(vec![fault])
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Faults {
        Faults(faults.into_iter().collect())
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        self.0.extend(faults);
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    /// A line each, [`FAULTS_SHOWN`] at most, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().take(FAULTS_SHOWN).enumerate() {
            f.write_str(if i == 0 { "" } else { "\n" })?;
            fault.fmt(f)?;
        }
        match self.0.len().saturating_sub(FAULTS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// A fault of a file that has no keys: a trace, measurements, a result. Shown as `FILE:LINE: what; hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFault {
    /// The name that the text was opened under; empty until whoever knows it says so ([`TraceFault::in_file`]).
    pub file: String,
    /// The line, from 1, in texts that have lines.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Whether reading may go on behind it.
    pub rest: Rest,
}

/// What a fault of a trace says of the rest of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// The next request may be sound.
    #[default]
    MayRead,
    /// The trace's bytes do not come, or cannot be told apart.
    Lost,
    /// The trace has ended, and no request was sound.
    NoRequests,
}

impl TraceFault {
    /// `what` is wrong, somewhere that the caller knows.
    pub fn new(what: impl Into<String>) -> TraceFault {
        TraceFault { file: String::new(), line: None, what: what.into(), hint: None, rest: Rest::MayRead }
    }

    /// A trace that has ended without a sound request.
    pub fn no_requests() -> TraceFault {
        let fault = TraceFault::new("the trace has no requests").hint("it needs at least one");
        TraceFault { rest: Rest::NoRequests, ..fault }
    }

    /// Bytes that do not come, for `reason`.
    pub fn unreadable(reason: impl fmt::Display) -> TraceFault {
        let fault = TraceFault::new(format!("cannot be read ({reason})"));
        TraceFault { rest: Rest::Lost, ..fault.hint("the file is torn or not what it seems") }
    }

    /// A TOML text of the name `file` that cannot be read.
    pub fn toml(file: &str, text: &str, error: &toml::de::Error) -> TraceFault {
        let before = error.span().map_or("", |span| &text[..text.floor_char_boundary(span.start)]);
        TraceFault::of(file, error.message()).on_line(before.matches('\n').count() as u64 + 1)
    }

    /// `what` is wrong with the file `file`.
    pub fn of(file: impl fmt::Display, what: impl fmt::Display) -> TraceFault {
        TraceFault { file: file.to_string(), ..TraceFault::new(what.to_string()) }
    }

    /// What would be right.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> TraceFault {
        TraceFault { hint: Some(hint.into()), ..self }
    }

    /// This fault of a part of the file that has a name, such as a request: the name stands before what is wrong.
    #[must_use]
    pub fn of_part(self, part: impl fmt::Display) -> TraceFault {
        TraceFault { what: format!("{part}: {}", self.what), ..self }
    }

    /// The line, from 1, unless it is known already.
    #[must_use]
    pub fn on_line(self, line: u64) -> TraceFault {
        TraceFault { line: self.line.or(Some(line)), ..self }
    }

    /// The file, unless it is known already.
    #[must_use]
    pub fn in_file(self, file: &str) -> TraceFault {
        if self.file.is_empty() { TraceFault { file: file.into(), ..self } } else { self }
    }
}

impl fmt::Display for TraceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", None) => {}
            ("", Some(line)) => write!(f, "line {line}: ")?,
            (file, None) => write!(f, "{file}: ")?,
            (file, Some(line)) => write!(f, "{file}:{line}: ")?,
        }
        f.write_str(&bounded(&self.what))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {}", ended(hint)))
    }
}

impl std::error::Error for TraceFault {}

impl From<TraceFault> for Fault {
    /// Becomes a part of what is wrong at the key that names the file.
    fn from(fault: TraceFault) -> Fault {
        let hint = fault.hint.clone();
        Fault { hint, ..Fault::new(TraceFault { hint: None, ..fault }.to_string()) }
    }
}

impl From<Fault> for TraceFault {
    /// Becomes what is wrong with the file that has the key.
    fn from(fault: Fault) -> TraceFault {
        let hint = fault.hint.clone();
        TraceFault { hint, ..TraceFault::new(Fault { hint: None, ..fault }.to_string()) }
    }
}

impl From<TraceFault> for Faults {
    fn from(fault: TraceFault) -> Faults {
        Fault::from(fault).into()
    }
}

impl From<&str> for TraceFault {
    fn from(what: &str) -> TraceFault {
        TraceFault::new(what)
    }
}

impl From<String> for TraceFault {
    fn from(what: String) -> TraceFault {
        TraceFault::new(what)
    }
}

/// A [`TraceFault`] in the words of `format!`; whoever knows file and line adds them.
#[macro_export]
macro_rules! wrong {
    ($($words:tt)*) => {
        $crate::types::TraceFault::new(format!($($words)*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_gathers_its_key_on_the_way_out() {
        let fault =
            Fault::at("gpu", "`h10` is unknown").hint("did you mean `h100-sxm`?").under(key!["pool", "gpt-4.1"]);
        assert_eq!(fault.to_string(), "pool.\"gpt-4.1\".gpu: `h10` is unknown; did you mean `h100-sxm`?");
        assert_eq!(fault.key.segments()[1], Segment::Name("gpt-4.1".into()));
        let when = Fault::new("no such field").within(3..8).under("when").under(2).under("rules");
        assert_eq!((when.to_string().as_str(), when.within), ("rules[2].when: no such field", Some(3..8)));
        assert_eq!(Fault::new("empty").to_string(), "empty");
        let unknown = |known: &[&'static str]| Fault::unknown("to", "place", "chta", known.iter().copied()).to_string();
        assert_eq!(unknown(&["chat", "big"]), "to: unknown place `chta`; did you mean `chat`?");
        assert_eq!(unknown(&["x", "big"]), "to: unknown place `chta`; there are x, big");
        assert_eq!(unknown(&[]), "to: unknown place `chta`; there is none");
        assert_eq!(key![].to_string(), "");
        assert_eq!(key!["a", String::from("b c"), 0, "d"].then("").to_string(), "a.\"b c\"[0].d.\"\"");
    }

    #[test]
    fn faults_are_kept_and_twenty_are_shown() {
        let mut faults = Faults::default();
        assert_eq!(faults.take(Ok::<_, Fault>(3)), Some(3));
        assert_eq!(faults.take(Err::<u32, _>(Fault::at("a", "no"))), None);
        assert_eq!(faults.clone().under("t").to_string(), "t.a: no");
        assert_eq!(faults.clone().finish(1).unwrap_err().len(), 1);
        assert_eq!(Faults::default().finish(1), Ok(1));
        faults.extend((0..21).map(|i| Fault::at(i, "no")));
        let shown = faults.to_string();
        assert_eq!((shown.lines().count(), shown.lines().last()), (21, Some("and 2 more")));
    }

    #[test]
    fn a_trace_fault_keeps_the_place_that_was_named_first() {
        let fault = TraceFault::new("the line is torn").hint("a row has 3 fields").on_line(7).on_line(9);
        assert_eq!(fault.to_string(), "line 7: the line is torn; a row has 3 fields");
        assert_eq!(fault.in_file("a.csv").in_file("b").to_string(), "a.csv:7: the line is torn; a row has 3 fields");
        assert_eq!(TraceFault::of("a.csv", "is empty").to_string(), "a.csv: is empty");
    }
}
