//! Traces as Parquet, written row group by row group: our own schema, `traces/README.md`.
//!
//! Must keep true: row groups of [`ROWS_PER_GROUP`]; the same entries give the same bytes; what is written is what is read.
use super::ROWS_PER_GROUP;
use super::table_write::{Column, TableWriter};
use baseload_core::types::{Clock, ContentId, Entry, NO_SESSION, Run, Status, TraceFault};
use std::path::Path;

/// Which columns are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Columns that the first row group needs. An entry further down that needs another one is refused.
    Narrow,
    /// All columns.
    Wide,
}

/// Columns that a trace may do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Present {
    id: bool,
    tenant: bool,
    session: bool,
    class: bool,
    limit: bool,
    priority: bool,
    think: bool,
    tools: bool,
    ttft: bool,
    e2e: bool,
    cached: bool,
    status: bool,
    images: bool,
    content: bool,
}

impl Present {
    const ALL: Present = Present {
        id: true,
        tenant: true,
        session: true,
        class: true,
        limit: true,
        priority: true,
        think: true,
        tools: true,
        ttft: true,
        e2e: true,
        cached: true,
        status: true,
        images: true,
        content: true,
    };

    /// What the entry at `row` needs.
    fn of(e: &Entry, row: u64) -> Present {
        Present {
            id: e.id != row,
            tenant: e.tenant != 0,
            session: e.session != NO_SESSION,
            class: e.class != u16::MAX,
            limit: e.max_output_tokens != 0,
            priority: e.priority != 0,
            think: e.think_ns.is_some(),
            tools: e.tools_ns != 0,
            ttft: e.measured.ttft_ns.is_some(),
            e2e: e.measured.e2e_ns.is_some(),
            cached: e.measured.cached_tokens.is_some(),
            status: e.measured.status != Status::Completed,
            images: e.measured.images != 0,
            content: !e.content.is_empty(),
        }
    }

    fn with(self, o: Present) -> Present {
        Present {
            id: self.id || o.id,
            tenant: self.tenant || o.tenant,
            session: self.session || o.session,
            class: self.class || o.class,
            limit: self.limit || o.limit,
            priority: self.priority || o.priority,
            think: self.think || o.think,
            tools: self.tools || o.tools,
            ttft: self.ttft || o.ttft,
            e2e: self.e2e || o.e2e,
            cached: self.cached || o.cached,
            status: self.status || o.status,
            images: self.images || o.images,
            content: self.content || o.content,
        }
    }
}

/// Why an entry was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWritten {
    /// The entry needs a column that the first ones did not: write the trace again, wide.
    TooNarrow,
    /// What the file system says.
    Fault(TraceFault),
}

impl From<TraceFault> for NotWritten {
    fn from(fault: TraceFault) -> NotWritten {
        NotWritten::Fault(fault)
    }
}

/// Writes one trace.
pub struct TraceWriter {
    path: std::path::PathBuf,
    clock: Clock,
    width: Width,
    present: Present,
    table: Option<TableWriter>,
    rows: Vec<Entry>,
    written: u64,
}

impl TraceWriter {
    /// Writes to `path`, entries of `clock`.
    pub fn new(path: &Path, clock: Clock, width: Width) -> TraceWriter {
        let present = if width == Width::Wide { Present::ALL } else { Present::default() };
        TraceWriter { path: path.to_path_buf(), clock, width, present, table: None, rows: Vec::new(), written: 0 }
    }

    /// Takes an entry. `classes` gives the names that its class is an index of.
    ///
    /// # Errors
    /// The file system's; [`NotWritten::TooNarrow`].
    pub fn write(&mut self, entry: &Entry, classes: impl Fn() -> Vec<String>) -> Result<(), NotWritten> {
        let needs = Present::of(entry, self.written + self.rows.len() as u64);
        if self.present.with(needs) != self.present {
            if self.table.is_some() {
                return Err(NotWritten::TooNarrow);
            }
            self.present = self.present.with(needs);
        }
        self.rows.push(entry.clone());
        if self.rows.len() == ROWS_PER_GROUP {
            self.flush(&classes())?;
        }
        Ok(())
    }

    fn flush(&mut self, classes: &[String]) -> Result<(), TraceFault> {
        let columns = self.columns(classes);
        let mut table = match self.table.take() {
            Some(table) => table,
            None => TableWriter::create(&self.path, &columns)?,
        };
        table.write(columns)?;
        self.table = Some(table);
        self.written += self.rows.len() as u64;
        self.rows.clear();
        Ok(())
    }

    /// Writes what is left and the footer. Returns the rows written.
    ///
    /// # Errors
    /// The file system's; that there is nothing.
    pub fn finish(mut self, classes: &[String]) -> Result<u64, TraceFault> {
        if !self.rows.is_empty() {
            self.flush(classes)?;
        }
        debug_assert!(self.width == Width::Narrow || self.present == Present::ALL);
        match self.table {
            Some(table) => table.close().map(|()| self.written),
            None => Err(TraceFault::no_requests().in_file(&self.path.display().to_string())),
        }
    }

    fn columns(&self, classes: &[String]) -> Vec<Column> {
        let (rows, p) = (&self.rows, self.present);
        let mut columns: Vec<Column> = Vec::new();
        macro_rules! column {
            ($there:expr, $name:literal, $r:ident => $value:expr) => {
                if $there {
                    columns.push(Column::new($name, rows.iter().map(|$r| $value).collect::<Vec<_>>()));
                }
            };
        }
        column!(p.id, "id", r => r.id);
        column!(matches!(self.clock, Clock::Common | Clock::Zero), "arrival_ns", r => r.at_ns);
        column!(self.clock == Clock::Session, "session_ns", r => r.at_ns);
        column!(true, "prompt_tokens", r => r.prompt_tokens);
        column!(true, "output_tokens", r => r.output_tokens);
        column!(p.tenant, "tenant", r => r.tenant);
        column!(p.session, "session", r => (r.session != NO_SESSION).then_some(r.session));
        column!(p.class, "class", r => classes.get(usize::from(r.class)).map(String::as_str));
        column!(p.limit, "max_output_tokens", r => (r.max_output_tokens > 0).then_some(r.max_output_tokens));
        column!(p.priority, "priority", r => r.priority);
        column!(p.think, "think_ns", r => r.think_ns);
        column!(p.tools, "tools_ns", r => r.tools_ns);
        column!(p.ttft, "ttft_ns", r => r.measured.ttft_ns);
        column!(p.e2e, "e2e_ns", r => r.measured.e2e_ns);
        column!(p.cached, "cached_tokens", r => r.measured.cached_tokens);
        column!(p.status, "status", r => r.measured.status.name());
        column!(p.images, "images", r => r.measured.images);
        if p.content {
            let kind = |id| match id {
                ContentId::Named(_) => 0,
                ContentId::Output(_) => 1,
                ContentId::Private(_) => 2,
            };
            let number = |id| match id {
                ContentId::Named(n) | ContentId::Output(n) | ContentId::Private(n) => n,
            };
            let short = |name, of: &dyn Fn(&Run) -> u32| {
                Column::lists(name, rows.iter().map(|r| r.content.iter().map(of).collect()))
            };
            columns.push(short("content_kind", &|r| kind(r.id)));
            columns.push(short("content_start", &|r| r.start));
            columns.push(short("content_len", &|r| r.len));
            let ids = rows.iter().map(|r| r.content.iter().map(|r| number(r.id)).collect());
            columns.push(Column::lists("content_id", ids));
        }
        columns
    }
}
