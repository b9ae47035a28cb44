//! Traces as Parquet, read row group by row group: our own schema (`traces/README.md`), or any table by a column map.
//!
//! Must keep true: one row group is held; times and counts are exact; a fault names the file and the row.
use super::column_read::Wrong;
use super::table_read::TableFile;
use super::trace_group::{Group, Numbers};
use super::trace_plan::Plan;
use baseload_core::types::{
    Classes, Clock, ColumnMap, Entries, Entry, IdSet, Measured, NO_SESSION, Status, TraceFault, wrong,
};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};

/// A trace in Parquet.
pub struct TraceReader {
    path: PathBuf,
    file: TableFile,
    /// Rows of each row group.
    groups: Vec<usize>,
    plan: Plan,
    classes: Classes,
    group: Group,
    next_group: usize,
    /// Row of the group that comes next, and rows of the groups before.
    row: usize,
    before: usize,
    clock: Clock,
    ids: IdSet,
    empty: u64,
    numbers: Numbers,
}

impl TraceReader {
    /// Opens `path`, by `columns` (a map and its file's name) where it is not of our own schema.
    ///
    /// # Errors
    /// What is no Parquet, or has not the columns that it must.
    pub fn open(
        path: &Path,
        columns: Option<(&ColumnMap, &str)>,
        classes: &Classes,
    ) -> Result<TraceReader, TraceFault> {
        let name = path.display().to_string();
        let here = |fault: TraceFault| fault.in_file(&name).on_line(1);
        let torn = |fault: TraceFault| {
            let hint = fault.hint.unwrap_or_else(|| "it must be whole".into());
            here(wrong!("it is no sound Parquet ({})", fault.what).hint(hint))
        };
        let file = TableFile::open(path).map_err(torn)?;
        let plan = match columns {
            Some((map, map_name)) => Plan::of(map, map_name, &file.names()),
            None => Plan::own(&file.names()),
        };
        let plan = plan.map_err(here)?;
        let groups = file.groups();
        if groups.iter().all(|rows| *rows == 0) {
            return Err(here(TraceFault::no_requests()));
        }
        let clock = if plan.names.contains_key("session_ns") {
            Clock::Session
        } else if plan.names.contains_key("arrival_ns") {
            Clock::Common
        } else {
            Clock::None
        };
        Ok(TraceReader {
            path: path.to_path_buf(),
            file,
            groups,
            plan,
            classes: classes.clone(),
            group: Group::default(),
            next_group: 0,
            row: 0,
            before: 0,
            clock,
            ids: IdSet::default(),
            empty: 0,
            numbers: Numbers::default(),
        })
    }

    /// A fault of `row` of the group, at its place.
    fn at(&self, row: usize, fault: TraceFault) -> TraceFault {
        fault.in_file(&self.path.display().to_string()).on_line((self.before + row) as u64 + 1)
    }

    /// Reads the next row group, `false` at the end.
    fn advance(&mut self) -> Result<bool, TraceFault> {
        self.before += self.group.rows;
        self.group = Group::default();
        self.row = 0;
        let Some(&rows) = self.groups.get(self.next_group) else { return Ok(false) };
        self.next_group += 1;
        self.group = self.read(self.next_group - 1, rows).map_err(|wrong| self.at(wrong.row, wrong.fault()))?;
        Ok(true)
    }

    fn read(&mut self, group: usize, rows: usize) -> Result<Group, Wrong> {
        let mut columns = FxHashMap::default();
        for (key, name) in &self.plan.names {
            let column = self.file.column(group, name);
            let column = column.map_err(|TraceFault { what, hint, .. }| Wrong { row: 0, what, hint })?;
            columns.insert(*key, column);
        }
        Group::of(rows, &columns, &self.plan, &self.classes, &mut self.numbers)
    }
}

impl Entries for TraceReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        while self.row == self.group.rows {
            if !self.advance()? {
                return Ok(false);
            }
        }
        let (row, g) = (self.row, &self.group);
        self.row += 1;
        entry.clear();
        entry.id = match &g.id {
            Some(ids) => ids[row],
            None => (self.before + row) as u64,
        };
        if g.id.is_some() && !self.ids.insert(entry.id) {
            return Err(self.at(row, wrong!("id {} stands twice", entry.id).hint("it must be unique")));
        }
        entry.at_ns = g.at.get(row).copied().unwrap_or(0);
        entry.prompt_tokens = g.prompt[row];
        entry.output_tokens = g.output[row];
        entry.tenant = g.tenant.as_ref().map_or(0, |v| v[row]);
        entry.session = g.session.as_ref().and_then(|v| v[row]).unwrap_or(NO_SESSION);
        entry.class = g.class.as_ref().map_or(u16::MAX, |v| v[row]);
        entry.max_output_tokens = g.limit.as_ref().and_then(|v| v[row]).unwrap_or(0);
        entry.priority = g.priority.as_ref().and_then(|v| v[row]).unwrap_or(0);
        entry.think_ns = g.think.as_ref().and_then(|v| v[row]);
        entry.tools_ns = g.tools.as_ref().and_then(|v| v[row]).unwrap_or(0);
        entry.measured = Measured {
            ttft_ns: g.ttft.as_ref().and_then(|v| v[row]),
            e2e_ns: g.e2e.as_ref().and_then(|v| v[row]),
            cached_tokens: g.cached.as_ref().and_then(|v| v[row]),
            status: g.status.as_ref().map_or(Status::Completed, |v| v[row]),
            images: g.images.as_ref().and_then(|v| v[row]).unwrap_or(0),
        };
        self.empty += u64::from(entry.output_tokens == 0);
        if entry.prompt_tokens == 0 {
            return Err(self.at(row, wrong!("the request has 0 prompt tokens").hint("it needs at least 1")));
        }
        if let Some(contents) = &g.content {
            contents.fill(row, &mut entry.content).map_err(|fault| self.at(row, fault))?;
            let tokens: u64 = entry.content.iter().map(|r| u64::from(r.len)).sum();
            if tokens > u64::from(entry.prompt_tokens) {
                let fault = wrong!("its content is {tokens} tokens but its prompt {}", entry.prompt_tokens);
                return Err(self.at(row, fault.hint("the content may not be longer")));
            }
        }
        Ok(true)
    }
    fn clock(&self) -> Clock {
        self.clock
    }
    fn place(&self) -> String {
        format!("{}:{}", self.path.display(), (self.before + self.row).max(1))
    }
    fn notes(&self) -> Vec<String> {
        let empty = (self.empty > 0)
            .then(|| format!("{} requests have 0 output tokens; they are kept and replayed with 1", self.empty));
        let full = self
            .ids
            .is_full()
            .then(|| "ids are too far apart to check all of them for duplicates, which would count twice".to_string());
        let assumed = self.plan.assumed.iter().flat_map(ColumnMap::notes);
        empty.into_iter().chain(full).chain(assumed).collect()
    }
    fn total(&self) -> Option<u64> {
        Some(self.groups.iter().sum::<usize>() as u64)
    }
}
