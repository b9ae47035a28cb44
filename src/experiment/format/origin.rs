//! Where an experiment comes from: its files as they were read and its `--set`s, so that a fault found at any stage
//! names the file, the line and the whole key.
//!
//! May import: the parser. Must keep true: a fault starts with its key path (`pool.chat.gpu: ...`, `slo.ttft is 0; ...`);
//! whatever comes without one is said of the file as a whole.
use baseload_core::types::{FAULTS_SHOWN, Fault, Faults, Segment};
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A fault of the experiment, with the place in its file where there is one.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// At a place in a file.
    #[error(transparent)]
    At(Box<Place>),
    /// Anywhere else.
    #[error("{0}")]
    Plain(String),
    /// Several, a line each.
    #[error("{0}")]
    Several(String),
}

impl FileError {
    /// In one line, with what would be right.
    pub(in crate::experiment) fn with_hint(&self) -> String {
        let hint = match self {
            FileError::At(place) => place.hint.as_ref(),
            FileError::Plain(_) | FileError::Several(_) => None,
        };
        format!("{self}{}", hint.map_or_else(String::new, |h| format!("; {h}")))
    }
}

impl From<FileError> for String {
    fn from(error: FileError) -> String {
        error.to_string()
    }
}

/// A fault at a place in a file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Place {
    /// `FILE:LINE: key.path: what is wrong; what would be right`.
    pub message: String,
    /// The file.
    pub file: ReadFile,
    /// The place, in bytes of its text.
    pub span: Range<usize>,
    /// The nearest known name, where there is one.
    pub hint: Option<String>,
}

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// Where.
    pub path: PathBuf,
    /// What it held.
    pub text: String,
}

/// The files of an experiment, the one that was asked for first and then what it extends, and its `--set`s.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Files.
    pub files: Vec<ReadFile>,
    /// `path.to.key=value` as given, with the keys of its path.
    pub sets: Vec<(String, Vec<String>)>,
}

impl Origin {
    /// The fault `message` at its place. A message that starts with no key that is known is of the file as a whole.
    pub fn fault(&self, message: &str) -> FileError {
        self.fault_with_hint(message, None)
    }

    /// Faults at their places: one with what it says and its hint apart, several as a line each, in the order of the file.
    pub fn located(&self, faults: Faults) -> FileError {
        if faults.len() == 1
            && let Some(fault) = faults.iter().next()
        {
            return self.placed(fault, fault.hint.clone()).1;
        }
        let mut placed: Vec<((usize, usize), String)> = Vec::new();
        for fault in &faults {
            let (at, error) = self.placed(fault, None);
            let hint = fault.hint.as_ref().map_or_else(String::new, |h| format!("; {h}"));
            placed.push((at, format!("{error}{hint}")));
        }
        placed.sort();
        let mut lines: Vec<String> = placed.into_iter().take(FAULTS_SHOWN).map(|(_, line)| line).collect();
        if faults.len() > FAULTS_SHOWN {
            lines.push(format!("and {} more", faults.len() - FAULTS_SHOWN));
        }
        FileError::Several(lines.join("\n"))
    }

    /// A fault at its place, and that place's rank: file and byte.
    fn placed(&self, fault: &Fault, hint: Option<String>) -> ((usize, usize), FileError) {
        let shown = Fault { hint: None, ..fault.clone() };
        let Some(top) = self.files.first() else { return ((0, 0), FileError::Plain(fault.to_string())) };
        let hinted = hint.as_ref().map_or_else(String::new, |h| format!("; {h}"));
        let segments = fault.key.segments();
        let of_set = |keys: &[String]| {
            let name = |(k, s): (&String, &Segment)| matches!(s, Segment::Name(n) if n == k);
            keys.len() <= segments.len() && keys.iter().zip(segments).all(name)
        };
        if let Some((set, _)) = self.sets.iter().rev().find(|(_, keys)| of_set(keys)) {
            let error = FileError::Plain(format!("{}: --set {set}: {shown}{hinted}", top.path.display()));
            return ((usize::MAX, 0), error);
        }
        let found = self.files.iter().enumerate();
        let found = found.filter_map(|(i, f)| find_key(&f.text, segments).map(|(depth, span)| (depth, span, i, f)));
        // The deepest, and among equals the file that is laid over the others.
        let best = found.reduce(|a, b| if b.0 > a.0 { b } else { a });
        match best {
            Some((_, span, i, file)) => {
                let within = fault.within.clone().and_then(|w| narrowed(&file.text, &span, w));
                let span = within.unwrap_or(span);
                ((i, span.start), place(file, span, &shown.to_string(), hint))
            }
            None => ((0, 0), FileError::Plain(format!("{}: {shown}{hinted}", top.path.display()))),
        }
    }

    pub(in crate::experiment) fn fault_with_hint(&self, message: &str, hint: Option<String>) -> FileError {
        let Some(top) = self.files.first() else { return FileError::Plain(message.into()) };
        let key = message.split([' ', ':']).next().unwrap_or_default();
        // A place inside a text stands behind its key as `[12..20]`; people see the text underlined there.
        let (shown, within) = match inside(key) {
            Some((bare, range)) => (format!("{bare}{}", &message[key.len()..]), Some(range)),
            None => (message.to_string(), None),
        };
        let (message, key) = (shown.as_str(), within.as_ref().map_or(key, |_| inside(key).map_or(key, |(k, _)| k)));
        let hinted = hint.as_ref().map_or_else(String::new, |h| format!("; {h}"));
        if let Some((set, _)) = self.sets.iter().rev().find(|(_, keys)| covers(keys, key)) {
            return FileError::Plain(format!("{}: --set {set}: {message}{hinted}", top.path.display()));
        }
        let found = self.files.iter().filter_map(|f| find(&f.text, key).map(|(depth, span)| (depth, span, f)));
        // The deepest, and among equals the file that is laid over the others.
        let best = found.reduce(|a, b| if b.0 > a.0 { b } else { a });
        match best {
            Some((_, span, file)) => {
                let span = within.and_then(|w| narrowed(&file.text, &span, w)).unwrap_or(span);
                place(file, span, message, hint)
            }
            None => FileError::Plain(format!("{}: {message}{hinted}", top.path.display())),
        }
    }
}

/// A fault at `span` of a file.
pub fn place(file: &ReadFile, span: Range<usize>, message: &str, hint: Option<String>) -> FileError {
    let line = line_of(&file.text, span.start);
    FileError::At(Box::new(Place {
        message: format!("{}:{line}: {message}", file.path.display()),
        file: file.clone(),
        span,
        hint,
    }))
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// Whether a `--set` of these keys says what stands at `key`.
fn covers(keys: &[String], key: &str) -> bool {
    let mut rest = key;
    for (i, name) in keys.iter().enumerate() {
        let Some(after) = strip_key(rest, name) else { return false };
        rest = after;
        if rest.is_empty() {
            return i + 1 == keys.len();
        }
    }
    true
}

/// The rest of a dotted path after its first key, if that is `name`, quoted or not.
fn strip_key<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let quoted = format!("\"{name}\"");
    let rest = path.strip_prefix(&quoted).or_else(|| path.strip_prefix(name))?;
    if rest.is_empty() || rest.starts_with('[') { Some(rest) } else { rest.strip_prefix('.') }
}

/// A key and the place inside its text, of `key[12..20]`.
fn inside(key: &str) -> Option<(&str, Range<usize>)> {
    let (bare, range) = key.strip_suffix(']')?.rsplit_once('[')?;
    let (from, to) = range.split_once("..")?;
    Some((bare, from.parse().ok()?..to.parse().ok()?))
}

/// Of `key = "text"` at `span` the part `within` the text; none where the text is written with escapes.
fn narrowed(file: &str, span: &Range<usize>, within: Range<usize>) -> Option<Range<usize>> {
    let written = &file[span.clone()];
    let quote = written.find(['"', '\''])?;
    let mark = &written[quote..quote + 1];
    let long = written[quote..].starts_with(&mark.repeat(3));
    let start = span.start + quote + if long { 3 } else { 1 };
    let (from, to) = (start + within.start, start + within.end);
    let plain = mark == "'" || !written.contains('\\');
    (plain && !long && to <= span.end && file.is_char_boundary(from) && file.is_char_boundary(to)).then_some(from..to)
}

/// Depth and place of the longest part of the path `key` that the text has; none of the text as a whole.
fn find_key(text: &str, key: &[Segment]) -> Option<(usize, Range<usize>)> {
    let document = DeTable::parse(text).ok()?;
    let (first, rest) = key.split_first()?;
    let Segment::Name(name) = first else { return None };
    let (key, mut value) = document.get_ref().get_key_value(name.as_str())?;
    let mut best = (1, key_and_value(key.span(), value));
    for (i, segment) in rest.iter().enumerate() {
        let next = match (value.get_ref(), segment) {
            (DeValue::Table(table), Segment::Name(name)) => {
                table.get_key_value(name.as_str()).map(|(key, value)| (key_and_value(key.span(), value), value))
            }
            (DeValue::Array(list), Segment::Index(at)) => list.get(*at).map(|value| (value.span(), value)),
            _ => None,
        };
        let Some((span, deeper)) = next else { break };
        (best, value) = ((i + 2, span), deeper);
    }
    Some(best)
}

/// Depth and place of the longest part of the dotted path `key` that the text has. Names may hold dots: the text knows.
fn find(text: &str, key: &str) -> Option<(usize, Range<usize>)> {
    let document = DeTable::parse(text).ok()?;
    descend(document.get_ref(), key, 1)
}

fn descend(table: &DeTable<'_>, path: &str, depth: usize) -> Option<(usize, Range<usize>)> {
    let candidates = table.iter().filter_map(|(name, value)| {
        let rest = strip_key(path, name.get_ref())?;
        let deeper = match (value.get_ref(), rest) {
            (_, "") => None,
            (DeValue::Table(inner), rest) => descend(inner, rest, depth + 1),
            (DeValue::Array(list), rest) => element(list, rest, depth + 1),
            _ => None,
        };
        Some(deeper.unwrap_or_else(|| (depth, key_and_value(name.span(), value))))
    });
    candidates.max_by_key(|(depth, _)| *depth)
}

/// The same inside element `[i]` of a list.
fn element(list: &[Spanned<DeValue<'_>>], path: &str, depth: usize) -> Option<(usize, Range<usize>)> {
    let (at, rest) = path.strip_prefix('[')?.split_once(']')?;
    let value = list.get(at.parse::<usize>().ok()?)?;
    let deeper = match (value.get_ref(), rest.strip_prefix('.')) {
        (DeValue::Table(inner), Some(rest)) => descend(inner, rest, depth + 1),
        _ => None,
    };
    Some(deeper.unwrap_or_else(|| (depth, value.span())))
}

/// From a key to its value's end where both stand on one line, else the key alone.
fn key_and_value(key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    let is_header = matches!(value.get_ref(), DeValue::Table(_)) && value.span().start <= key.start;
    if is_header || value.span().end <= key.end { key } else { key.start..value.span().end }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"x\"\n[pool.chat]\ngpu = \"l4\"\nrent = { kind = \"spot\" }\n[endpoint.\"gpt-4.1\"]\n\
                        catalog = \"a\"\n";

    fn at(key: &str) -> Option<(usize, &'static str)> {
        find(TEXT, key).map(|(_, span)| (line_of(TEXT, span.start), &TEXT[span]))
    }

    #[test]
    fn a_key_is_found_as_far_as_it_is_there() {
        assert_eq!(at("pool.chat.gpu"), Some((3, "gpu = \"l4\"")));
        assert_eq!(at("pool.chat.rent.kind"), Some((4, "kind = \"spot\"")));
        assert_eq!(at("pool.chat.rent.provider"), Some((4, "rent = { kind = \"spot\" }")));
        assert_eq!(at("pool.chat.model").map(|x| x.0), Some(2));
        assert_eq!(at("endpoint.gpt-4.1.catalog"), Some((6, "catalog = \"a\"")));
        assert_eq!(at("endpoint.\"gpt-4.1\".catalog"), Some((6, "catalog = \"a\"")));
        assert_eq!(at("the"), None);
        let text = "[policy.a]\nrules = [{ to = \"x\" }, { when = \"a > b\", to = \"y\" }]\n";
        let at = |key: &str| find(text, key).map(|(_, span)| &text[span]);
        assert_eq!(at("policy.a.rules[1].when"), Some("when = \"a > b\""));
        assert_eq!(at("policy.a.rules[0].when"), Some("{ to = \"x\" }"));
        let file = ReadFile { path: "f.toml".into(), text: text.into() };
        let fault = Origin { files: vec![file], sets: vec![] }.fault("policy.a.rules[1].when[4..5]: no b");
        let FileError::At(place) = fault else { panic!("{fault}") };
        assert_eq!(place.message, "f.toml:2: policy.a.rules[1].when: no b");
        let span = place.span;
        assert_eq!((&text[span.clone()], span.start), ("b", text.find("b\"").unwrap()));
    }

    #[test]
    fn several_faults_stand_a_line_each_in_the_order_of_the_file() {
        use baseload_core::types::key;
        let origin = Origin { files: vec![ReadFile { path: "f.toml".into(), text: TEXT.into() }], sets: vec![] };
        let mut faults = Faults::from(Fault::at(key!["endpoint", "gpt-4.1", "catalog"], "no").hint("yes"));
        assert_eq!(origin.located(faults.clone()).to_string(), "f.toml:6: endpoint.\"gpt-4.1\".catalog: no");
        faults.push(Fault::at(key!["pool", "chat", "rent", "kind"], "no"));
        faults.push(Fault::new("no policy"));
        let expected = "f.toml: no policy\nf.toml:4: pool.chat.rent.kind: no\n\
            f.toml:6: endpoint.\"gpt-4.1\".catalog: no; yes";
        assert_eq!(origin.located(faults).to_string(), expected);
    }

    #[test]
    fn a_fault_names_the_set_that_made_it_or_the_file_that_has_it() {
        let file = |path: &str, text: &str| ReadFile { path: path.into(), text: text.into() };
        let sets = vec![("pool.chat={gpu=1}".to_string(), vec!["pool".to_string(), "chat".to_string()])];
        let files = vec![file("over.toml", "seed = 2\n[slo]\nttft = \"2s\"\n"), file("base.toml", TEXT)];
        let origin = Origin { files, sets };
        let says = |message: &str| origin.fault(message).to_string();
        assert_eq!(says("pool.chat.gpu: no"), "over.toml: --set pool.chat={gpu=1}: pool.chat.gpu: no");
        assert_eq!(says("endpoint.gpt-4.1.catalog: no"), "base.toml:6: endpoint.gpt-4.1.catalog: no");
        assert_eq!(says("slo.ttft is 0"), "over.toml:3: slo.ttft is 0");
        assert_eq!(says("no policy at all"), "over.toml: no policy at all");
        assert_eq!(Origin::default().fault("x: y").to_string(), "x: y");
    }
}
