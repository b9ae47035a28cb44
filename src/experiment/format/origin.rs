//! Where an experiment comes from: its files as they were read and its `--set`s, so that a fault found at any stage
//! names the file, the line and the whole key.
//!
//! Must keep true: a fault's place is found by the segments of its key; no message is read.
use baseload_core::types::shown::quotation;
use baseload_core::types::{FAULTS_SHOWN, Fault, Faults, KeyPath, Segment};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Text of the file.
    pub text: Arc<str>,
}

impl ReadFile {
    /// A fault at these bytes of the file.
    pub fn fault(&self, at: Range<usize>, fault: Fault) -> FileFaults {
        let place = format!("{}:{}", self.path.display(), line_of(&self.text, at.start));
        FileFaults(vec![Located { place, fault, excerpt: Some(Excerpt { file: self.clone(), at }) }])
    }
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The file.
    pub file: ReadFile,
    /// Bytes of its text.
    pub at: Range<usize>,
}

/// A fault and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// `FILE:LINE`, `FILE: --set KEY=VALUE`, or `FILE`; empty where no file was read.
    pub place: String,
    /// What is wrong.
    pub fault: Fault,
    /// The text at its place, where it has one in a file.
    pub excerpt: Option<Excerpt>,
}

impl fmt::Display for Located {
    /// `FILE:LINE: key.path: what; hint`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        self.fault.fmt(f)
    }
}

/// All that is wrong with an experiment, in the order of its files. At least one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFaults(Vec<Located>);

impl FileFaults {
    /// A fault of no place in a file.
    pub fn plain(fault: impl Into<Fault>) -> FileFaults {
        FileFaults(vec![Located { place: String::new(), fault: fault.into(), excerpt: None }])
    }

    /// All faults of both.
    #[must_use]
    pub fn and(mut self, more: FileFaults) -> FileFaults {
        self.0.extend(more.0);
        self
    }

    /// The faults.
    pub fn all(&self) -> &[Located] {
        &self.0
    }
}

impl fmt::Display for FileFaults {
    /// A line each, [`FAULTS_SHOWN`] at most, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, located) in self.0.iter().take(FAULTS_SHOWN).enumerate() {
            f.write_str(if i == 0 { "" } else { "\n" })?;
            located.fmt(f)?;
        }
        match self.0.len().saturating_sub(FAULTS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for FileFaults {}

/// The files of an experiment, the one that was asked for first and then what it extends, and its `--set`s.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Files.
    pub files: Vec<ReadFile>,
    /// `path.to.key=value` as given, with its path.
    pub sets: Vec<(String, KeyPath)>,
}

impl Origin {
    /// Faults at their places, in the order of the files.
    pub fn located(&self, faults: Faults) -> FileFaults {
        let documents: Vec<_> = self.files.iter().map(|file| DeTable::parse(&file.text).ok()).collect();
        let place = |fault| self.place(fault, &documents);
        let mut all: Vec<((usize, usize), Located)> = faults.into_iter().map(place).collect();
        all.sort_by_key(|(rank, _)| *rank);
        FileFaults(all.into_iter().map(|(_, located)| located).collect())
    }

    /// A fault at its place, with that place's rank: file and byte.
    fn place(&self, fault: Fault, documents: &[Option<Document<'_>>]) -> ((usize, usize), Located) {
        let Some(top) = self.files.first() else {
            return ((0, 0), Located { place: String::new(), fault, excerpt: None });
        };
        let top = top.path.display();
        let segments = fault.key.segments();
        let of_set = |(_, key): &&(String, KeyPath)| !key.is_empty() && segments.starts_with(key.segments());
        if let Some((set, _)) = self.sets.iter().rev().find(of_set) {
            let set = quotation(set);
            return ((usize::MAX, 0), Located { place: format!("{top}: --set {set}"), fault, excerpt: None });
        }
        let found = self.files.iter().zip(documents).enumerate();
        let found = found.filter_map(|(i, (file, document))| {
            find(document.as_ref()?, segments).map(|(depth, span)| (depth, span, i, file))
        });
        // The deepest, and among equals the file that is laid over the others.
        let Some((_, span, i, file)) = found.reduce(|a, b| if b.0 > a.0 { b } else { a }) else {
            return ((0, 0), Located { place: top.to_string(), fault, excerpt: None });
        };
        let within = fault.within.clone().and_then(|within| narrowed(&file.text, &span, within));
        let at = within.unwrap_or(span);
        let place = format!("{}:{}", file.path.display(), line_of(&file.text, at.start));
        let rank = (i, at.start);
        (rank, Located { place, fault, excerpt: Some(Excerpt { file: file.clone(), at }) })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// Span of the part `within` the text of `key = "text"` at `span`; none where the text is written with escapes.
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

/// A file's tables with their places.
type Document<'a> = Spanned<DeTable<'a>>;

/// Depth and place of the longest part of the path `key` that the text has; none of the text as a whole.
fn find(document: &Document<'_>, key: &[Segment]) -> Option<(usize, Range<usize>)> {
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

/// From a key to its value's end where both stand on one line, else the key alone.
fn key_and_value(key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    let is_header = matches!(value.get_ref(), DeValue::Table(_)) && value.span().start <= key.start;
    if is_header || value.span().end <= key.end { key } else { key.start..value.span().end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload_core::types::key;

    const TEXT: &str = "name = \"x\"\n[pool.chat]\ngpu = \"l4\"\nrent = { kind = \"spot\" }\n[endpoint.\"gpt-4.1\"]\n\
                        catalog = \"a\"\n";

    fn file(path: &str, text: &str) -> ReadFile {
        ReadFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_key_is_found_as_far_as_it_is_there() {
        let found =
            |text: &str, key: KeyPath| find(&DeTable::parse(text).unwrap(), key.segments()).map(|(_, span)| span);
        let at = |key: KeyPath| found(TEXT, key).map(|span| (line_of(TEXT, span.start), &TEXT[span]));
        assert_eq!(at(key!["pool", "chat", "gpu"]), Some((3, "gpu = \"l4\"")));
        assert_eq!(at(key!["pool", "chat", "rent", "kind"]), Some((4, "kind = \"spot\"")));
        assert_eq!(at(key!["pool", "chat", "rent", "provider"]), Some((4, "rent = { kind = \"spot\" }")));
        assert_eq!(at(key!["pool", "chat", "model"]).map(|x| x.0), Some(2));
        assert_eq!(at(key!["endpoint", "gpt-4.1", "catalog"]), Some((6, "catalog = \"a\"")));
        assert_eq!((at(key!["the"]), at(key![])), (None, None));
        let text = "[policy.a]\nrules = [{ to = \"x\" }, { when = \"a > b\", to = \"y\" }]\n";
        let at = |key: KeyPath| found(text, key).map(|span| &text[span]);
        assert_eq!(at(key!["policy", "a", "rules", 1, "when"]), Some("when = \"a > b\""));
        assert_eq!(at(key!["policy", "a", "rules", 0, "when"]), Some("{ to = \"x\" }"));
        let origin = Origin { files: vec![file("f.toml", text)], sets: vec![] };
        let fault = Fault::at(key!["policy", "a", "rules", 1, "when"], "no b").within(4..5);
        let faults = origin.located(fault.into());
        assert_eq!(faults.to_string(), "f.toml:2: policy.a.rules[1].when: no b");
        let excerpt = faults.all()[0].excerpt.clone().unwrap();
        assert_eq!((&text[excerpt.at.clone()], excerpt.at.start), ("b", text.find("b\"").unwrap()));
    }

    #[test]
    fn a_fault_names_the_set_that_made_it_or_the_file_that_has_it() {
        let sets = vec![("pool.chat={gpu=1}".to_string(), key!["pool", "chat"])];
        let files = vec![file("over.toml", "seed = 2\n[slo]\nttft = \"2s\"\n"), file("base.toml", TEXT)];
        let origin = Origin { files, sets };
        let says = |key: KeyPath| origin.located(Fault::at(key, "no").into()).to_string();
        assert_eq!(says(key!["pool", "chat", "gpu"]), "over.toml: --set pool.chat={gpu=1}: pool.chat.gpu: no");
        assert_eq!(says(key!["endpoint", "gpt-4.1", "catalog"]), "base.toml:6: endpoint.\"gpt-4.1\".catalog: no");
        assert_eq!(says(key!["slo", "ttft"]), "over.toml:3: slo.ttft: no");
        assert_eq!(says(key![]), "over.toml: no");
        assert_eq!(Origin::default().located(Fault::at("x", "y").into()).to_string(), "x: y");
    }

    #[test]
    fn several_faults_stand_a_line_each_in_the_order_of_the_file() {
        let origin = Origin { files: vec![file("f.toml", TEXT)], sets: vec![] };
        let mut faults = Faults::from(Fault::at(key!["endpoint", "gpt-4.1", "catalog"], "no").hint("yes"));
        faults.push(Fault::at(key!["pool", "chat", "rent", "kind"], "no"));
        faults.push(Fault::new("no policy"));
        let expected = "f.toml: no policy\nf.toml:4: pool.chat.rent.kind: no\n\
            f.toml:6: endpoint.\"gpt-4.1\".catalog: no; yes";
        assert_eq!(origin.located(faults.clone()).to_string(), expected);
        faults.extend((0..20).map(|_| Fault::at("name", "no")));
        assert!(origin.located(faults).to_string().ends_with("\nand 3 more"));
    }
}
