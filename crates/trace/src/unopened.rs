//! What a reader is given, and how it asks for files: this package knows none.
use super::SourceOptions;
use super::head::Head;
use baseload_core::types::{Classes, ColumnMap, Entries, TraceFault, wrong};
use std::io::BufRead;

/// A text's bytes, unpacked.
pub type Reader = Box<dyn BufRead + Send>;

/// A column map and its own name, for messages.
pub type Columns<'a> = (&'a ColumnMap, &'a str);

/// Where a trace lies, as whoever knows files sees it. Paths are of what lies beside the trace or, where that is a folder, in
/// it; `""` is that folder.
pub trait Files {
    /// The trace's name, for messages.
    fn name(&self) -> String;

    /// The trace as a text, unpacked; `None` where it is a folder.
    ///
    /// # Errors
    /// What cannot be opened.
    fn trace(&self) -> Result<Option<Reader>, TraceFault>;

    /// Rows of the trace, which is Parquet: in our own schema, or by a column map.
    ///
    /// # Errors
    /// What cannot be read.
    fn table(&self, columns: Option<Columns<'_>>, classes: &Classes) -> Result<Box<dyn Entries>, TraceFault>;

    /// A path's name, for messages.
    fn shown(&self, path: &str) -> String;

    /// Names of the files in a folder, in any order.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>, TraceFault>;

    /// A text, unpacked.
    ///
    /// # Errors
    /// What cannot be opened.
    fn text(&self, path: &str) -> Result<Reader, TraceFault>;
}

/// A text that no file is known of: nothing lies beside it.
pub(super) struct Alone<'a>(pub &'a str);

impl Alone<'_> {
    fn none<T>(&self, what: &str) -> Result<T, TraceFault> {
        Err(TraceFault::of(self.0, format!("it is a text by itself and no {what}"))
            .on_line(1)
            .hint("open it as a file"))
    }
}

impl Files for Alone<'_> {
    fn name(&self) -> String {
        self.0.into()
    }
    fn trace(&self) -> Result<Option<Reader>, TraceFault> {
        self.none("file")
    }
    fn table(&self, _: Option<Columns<'_>>, _: &Classes) -> Result<Box<dyn Entries>, TraceFault> {
        self.none("Parquet file")
    }
    fn shown(&self, path: &str) -> String {
        path.into()
    }
    fn list(&self, _: &str) -> Result<Vec<String>, TraceFault> {
        self.none("folder")
    }
    fn text(&self, _: &str) -> Result<Reader, TraceFault> {
        self.none("folder")
    }
}

/// What becomes of a trace's rows that are no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// They are left out and counted, whatever the reason; the reader goes on.
    #[default]
    LeaveOut,
    /// Those that are no calls of a model are left out and counted; one that cannot be read is a fault, behind which
    /// reading goes on.
    Faults,
    /// The first that is left out is a fault.
    Refuse,
}

/// A trace that a reader is to open.
pub struct Unopened<'a> {
    /// Name of the trace, for messages.
    pub name: &'a str,
    /// How it begins.
    pub head: &'a Head<'a>,
    /// What class names are accepted.
    pub classes: &'a Classes,
    /// The names of its columns, where somebody gave them.
    pub columns: Option<Columns<'a>>,
    /// What a reader that draws needs to know.
    pub options: &'a SourceOptions,
    /// Files that the trace lies among.
    pub files: &'a dyn Files,
    /// What becomes of rows that are no requests.
    pub strictness: Strictness,
    /// Whether its first line may be a header.
    pub headed: bool,
    pub(super) text: Option<Reader>,
}

impl Unopened<'_> {
    /// All of its text, the head included.
    ///
    /// # Errors
    /// A folder.
    pub fn text(&mut self) -> Result<Reader, TraceFault> {
        self.text.take().ok_or_else(|| wrong!("{}:1: it is a folder", self.name).hint("it must be a file"))
    }
}
