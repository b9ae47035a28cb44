//! Traces as Parquet, read row group by row group: our own schema (`traces/README.md`), or any table by a column map.
//!
//! Must keep true: one row group is held; times and counts are exact; a fault names the file and the row.
use baseload_core::types::timestamp::timestamp;
use baseload_core::types::{
    Classes, Clock, ColumnMap, ContentId, Entries, Entry, IdSet, Measured, NO_SESSION, Run, Status, TimeColumn,
    TimeUnit,
};
use polars::prelude::*;
use rustc_hash::FxHashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Columns of our own schema.
pub(super) const COLUMNS: [&str; 21] = [
    "id",
    "arrival_ns",
    "session_ns",
    "prompt_tokens",
    "output_tokens",
    "tenant",
    "session",
    "class",
    "max_output_tokens",
    "priority",
    "think_ns",
    "tools_ns",
    "ttft_ns",
    "e2e_ns",
    "cached_tokens",
    "status",
    "images",
    "content_kind",
    "content_id",
    "content_start",
    "content_len",
];

/// Where the values of an entry come from.
#[derive(Debug, Default)]
struct Plan {
    names: FxHashMap<&'static str, String>,
    /// Units of the times of a column map.
    units: FxHashMap<&'static str, TimeUnit>,
    mapped: bool,
    /// The map, where it says what stands for tokens that the file does not have.
    assumed: Option<ColumnMap>,
}

/// The columns of a row group; `None` where the file has no such column.
#[derive(Default)]
struct Group {
    rows: usize,
    id: Option<Vec<u64>>,
    at: Vec<i64>,
    prompt: Vec<u32>,
    output: Vec<u32>,
    tenant: Option<Vec<u32>>,
    session: Option<Vec<Option<u64>>>,
    class: Option<Vec<u16>>,
    limit: Option<Vec<Option<u32>>>,
    priority: Option<Vec<Option<i32>>>,
    think: Option<Vec<Option<u64>>>,
    tools: Option<Vec<Option<u64>>>,
    ttft: Option<Vec<Option<u64>>>,
    e2e: Option<Vec<Option<u64>>>,
    cached: Option<Vec<Option<u32>>>,
    status: Option<Vec<Status>>,
    images: Option<Vec<Option<u32>>>,
    content: Option<Contents>,
}

/// Runs of all rows, and where each row's begin.
struct Contents {
    offsets: Vec<usize>,
    kind: Vec<u32>,
    id: Vec<u64>,
    start: Vec<u32>,
    len: Vec<u32>,
}

/// A trace in Parquet.
pub struct TraceReader {
    path: PathBuf,
    metadata: polars::io::parquet::metadata::FileMetadataRef,
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
    tenants: FxHashMap<String, u32>,
    sessions: FxHashMap<String, u64>,
}

impl TraceReader {
    /// Opens `path`, by `columns` (a map and its file's name) where it is not of our own schema.
    ///
    /// # Errors
    /// What is no Parquet, or has not the columns that it must.
    pub fn open(path: &Path, columns: Option<(&ColumnMap, &str)>, classes: &Classes) -> Result<TraceReader, String> {
        let name = path.display();
        let file = File::open(path).map_err(|e| format!("{name}: {e}"))?;
        let torn = |e: PolarsError| format!("{name}:1: it is no sound Parquet ({e}); it must be whole");
        let mut reader = ParquetReader::new(file);
        let metadata = reader.get_metadata().map_err(torn)?.clone();
        let schema = reader.schema().map_err(torn)?;
        let there: Vec<&str> = schema.iter_names().map(|n| n.as_str()).collect();
        let plan = match columns {
            Some((map, map_name)) => Plan::of(map, map_name, &there),
            None => Plan::own(&there),
        };
        let plan = plan.map_err(|e| format!("{name}:1: {e}"))?;
        let groups: Vec<usize> = metadata.row_groups.iter().map(|g| g.num_rows()).filter(|&n| n > 0).collect();
        if groups.is_empty() {
            return Err(format!("{name}:1: the trace has no requests; it needs at least one"));
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
            metadata,
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
            tenants: FxHashMap::default(),
            sessions: FxHashMap::default(),
        })
    }

    fn fault(&self, row: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path.display(), self.before + row + 1)
    }

    /// Reads the next row group, `false` at the end.
    fn advance(&mut self) -> Result<bool, String> {
        self.before += self.group.rows;
        self.group = Group::default();
        self.row = 0;
        let Some(&rows) = self.groups.get(self.next_group) else { return Ok(false) };
        self.next_group += 1;
        let file = File::open(&self.path).map_err(|e| self.fault(0, e))?;
        let mut reader = ParquetReader::new(file);
        reader.set_metadata(self.metadata.clone());
        let frame = reader
            .with_columns(Some(self.plan.names.values().cloned().collect()))
            .with_slice(Some((self.before, rows)))
            .read_parallel(ParallelStrategy::None)
            .finish()
            .map_err(|e| self.fault(0, format!("the row group is torn ({e}); the file must be whole")))?;
        if frame.height() != rows {
            return Err(self.fault(0, format!("the row group has {} rows; its footer says {rows}", frame.height())));
        }
        self.group = self.decode(&frame).map_err(|e| self.fault(0, e))?;
        Ok(true)
    }

    fn decode(&mut self, frame: &DataFrame) -> Result<Group, String> {
        let plan = &self.plan;
        let column =
            |key: &str| plan.names.get(key).map(|name| frame.column(name).map_err(|e| e.to_string())).transpose();
        let cast = |key: &str, to: &DataType| -> Result<Option<Column>, String> {
            let cast = |c: &Column| {
                c.strict_cast(to).map_err(|e| format!("column `{}` ({e}); it must be {to}", plan.names[key]))
            };
            column(key)?.map(cast).transpose()
        };
        let needed = |key: &str| format!("column `{}` has an empty field; each request must have it", plan.names[key]);
        macro_rules! full {
            ($key:literal, $type:ident, $get:ident) => {
                match cast($key, &DataType::$type)? {
                    None => None,
                    Some(c) => {
                        let values = c.$get().map_err(|e| e.to_string())?;
                        if values.null_count() > 0 {
                            return Err(needed($key));
                        }
                        Some(values.into_no_null_iter().collect::<Vec<_>>())
                    }
                }
            };
        }
        macro_rules! optional {
            ($key:literal, $type:ident, $get:ident) => {
                match cast($key, &DataType::$type)? {
                    None => None,
                    Some(c) => Some(c.$get().map_err(|e| e.to_string())?.iter().collect::<Vec<_>>()),
                }
            };
        }
        let times = |key: &'static str| -> Result<Option<Vec<Option<u64>>>, String> {
            let Some(c) = column(key)? else { return Ok(None) };
            let unit = plan.units.get(key).copied().unwrap_or(TimeUnit::Nanos);
            let ns = |v: Option<i64>| {
                v.map(|v| u64::try_from(v).map_err(|_| format!("{key} is {v} ns; it must be at least 0"))).transpose()
            };
            time_column(c, unit)?.into_iter().map(ns).collect::<Result<_, _>>().map(Some)
        };
        let (mut prompt, mut output) = (full!("prompt_tokens", UInt32, u32), full!("output_tokens", UInt32, u32));
        if let Some(map) = &plan.assumed {
            let chars = full!("prompt_chars", UInt32, u32);
            prompt = prompt.or(chars.map(|chars| chars.into_iter().map(|c| map.tokens_of(c)).collect()));
            output = output.or(map.answer_tokens.map(|n| vec![n; frame.height()]));
        }
        let mut group = Group {
            rows: frame.height(),
            id: full!("id", UInt64, u64),
            prompt: prompt.unwrap_or_default(),
            output: output.unwrap_or_default(),
            limit: optional!("max_output_tokens", UInt32, u32),
            priority: optional!("priority", Int32, i32),
            cached: optional!("cached_tokens", UInt32, u32),
            images: optional!("images", UInt32, u32),
            think: times("think_ns")?,
            tools: times("tools_ns")?,
            ttft: times("ttft_ns")?,
            e2e: times("e2e_ns")?,
            ..Group::default()
        };
        for key in ["arrival_ns", "session_ns"] {
            if let Some(c) = column(key)? {
                let unit = plan.units.get(key).copied().unwrap_or(TimeUnit::Nanos);
                let at: Option<Vec<i64>> = time_column(c, unit)?.into_iter().collect();
                group.at = at.ok_or_else(|| needed(key))?;
            }
        }
        if plan.mapped {
            if let Some(names) = optional_text(column("tenant")?)? {
                let known = &mut self.tenants;
                let number = |name: Option<String>| {
                    let next = known.len() as u32 + 1;
                    name.map_or(0, |n| *known.entry(n).or_insert(next))
                };
                group.tenant = Some(names.into_iter().map(number).collect());
            }
            if let Some(names) = optional_text(column("session")?)? {
                let known = &mut self.sessions;
                let number = |name: Option<String>| {
                    let next = known.len() as u64;
                    name.map(|n| *known.entry(n).or_insert(next))
                };
                group.session = Some(names.into_iter().map(number).collect());
            }
        } else {
            group.tenant = full!("tenant", UInt32, u32);
            group.session = optional!("session", UInt64, u64);
        }
        if let Some(names) = optional_text(column("class")?)? {
            let numbers = names.into_iter().map(|n| n.map_or(Ok(u16::MAX), |n| self.classes.number(&n)));
            group.class = Some(numbers.collect::<Result<_, _>>()?);
        }
        if let Some(names) = optional_text(column("status")?)? {
            let of = |name: Option<String>| {
                let Some(name) = name else { return Ok(Status::Completed) };
                Status::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
                    format!("status is `{name}`; it must be one of {}", Status::ALL.map(Status::name).join(", "))
                })
            };
            group.status = Some(names.into_iter().map(of).collect::<Result<_, _>>()?);
        }
        if let (Some(kind), Some(id), Some(start), Some(len)) =
            (column("content_kind")?, column("content_id")?, column("content_start")?, column("content_len")?)
        {
            group.content = Some(Contents::of(kind, id, start, len)?);
        }
        Ok(group)
    }
}

/// Nanoseconds of a column of times.
fn time_column(column: &Column, unit: TimeUnit) -> Result<Vec<Option<i64>>, String> {
    let wrong =
        |e: PolarsError| format!("column `{}` ({e}); it must hold times in the unit that is said", column.name());
    if unit == TimeUnit::Iso8601 {
        let texts = optional_text(Some(column))?.unwrap_or_default();
        let read = |text: Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let at = timestamp(text.as_bytes(), true);
            at.map(|(ns, _)| Some(ns)).ok_or_else(|| {
                format!("{} is `{text}`; it must be ISO 8601, such as 2026-06-01T08:00:00.120Z", column.name())
            })
        };
        return texts.into_iter().map(read).collect();
    }
    let scale = [1i64, 1, 1, 1_000, 1, 1, 1_000_000, 1, 1, 1_000_000_000][unit.digits()];
    if column.dtype().is_float() {
        let column = column.strict_cast(&DataType::Float64).map_err(wrong)?;
        let ns = |v: Option<f64>| match v.map(|v| v * scale as f64) {
            None => Ok(None),
            Some(ns) if (-9e18..9e18).contains(&ns) => Ok(Some(ns.round() as i64)),
            Some(ns) => Err(format!("{} is {ns} ns; it must be within 2^63", column.name())),
        };
        return column.f64().map_err(wrong)?.iter().map(ns).collect();
    }
    let column = column.strict_cast(&DataType::Int64).map_err(wrong)?;
    let ns = |v: Option<i64>| match v {
        None => Ok(None),
        Some(v) => {
            v.checked_mul(scale).map(Some).ok_or_else(|| format!("{} is {v}; it must be within 2^63 ns", column.name()))
        }
    };
    column.i64().map_err(wrong)?.iter().map(ns).collect()
}

fn optional_text(column: Option<&Column>) -> Result<Option<Vec<Option<String>>>, String> {
    let Some(column) = column else { return Ok(None) };
    let column = column
        .strict_cast(&DataType::String)
        .map_err(|e| format!("column `{}`: {e}; it must be text", column.name()))?;
    let texts = column.str().map_err(|e| e.to_string())?;
    Ok(Some(texts.iter().map(|t| t.filter(|t| !t.is_empty()).map(String::from)).collect()))
}

fn from_zero(offsets: &[usize]) -> Vec<usize> {
    offsets.iter().map(|o| o - offsets[0]).collect()
}

impl Contents {
    fn of(kind: &Column, id: &Column, start: &Column, len: &Column) -> Result<Contents, String> {
        let lists = |c: &Column, to: DataType| -> Result<(Vec<usize>, Series), String> {
            let wrong = |e: PolarsError| format!("column `{}` ({e}); it must be lists of {to}", c.name());
            let list = c.strict_cast(&DataType::List(Box::new(to.clone()))).map_err(wrong)?;
            let list = list.list().map_err(wrong)?.rechunk().into_owned();
            if list.null_count() > 0 {
                return Err(format!(
                    "column `{}` has an empty field; a request without content has an empty list",
                    c.name()
                ));
            }
            let offsets = match list.downcast_iter().next() {
                Some(array) => array.offsets().iter().map(|&o| o as usize).collect(),
                None => vec![0],
            };
            Ok((offsets, list.get_inner()))
        };
        let empty = "the content columns have an empty value; each run must be whole";
        let whole = |c: &Column| -> Result<(Vec<usize>, Vec<u32>), String> {
            let (offsets, values) = lists(c, DataType::UInt32)?;
            let values = values.u32().map_err(|e| e.to_string())?.iter().skip(offsets[0]);
            Ok((from_zero(&offsets), values.collect::<Option<_>>().ok_or(empty)?))
        };
        let (id_offsets, ids) = lists(id, DataType::UInt64)?;
        let ids =
            ids.u64().map_err(|e| e.to_string())?.iter().skip(id_offsets[0]).collect::<Option<_>>().ok_or(empty)?;
        let (offsets, kind) = whole(kind)?;
        let ((starts, start), (lens, len)) = (whole(start)?, whole(len)?);
        if offsets != from_zero(&id_offsets) || offsets != starts || offsets != lens {
            return Err("the content columns have lists of different lengths; they must be parallel".into());
        }
        Ok(Contents { offsets, kind, id: ids, start, len })
    }

    fn fill(&self, row: usize, out: &mut Vec<Run>) -> Result<(), String> {
        for i in self.offsets[row]..self.offsets[row + 1] {
            let id = match self.kind[i] {
                0 => ContentId::Named(self.id[i]),
                1 => ContentId::Output(self.id[i]),
                2 => ContentId::Private(self.id[i]),
                kind => return Err(format!("content_kind is {kind}; it must be 0 named, 1 output, 2 prompt")),
            };
            let (start, len) = (self.start[i], self.len[i]);
            if len == 0 || start.checked_add(len).is_none() {
                return Err("content has a run of 0 tokens or past 2^32; a run must have at least 1".into());
            }
            out.push(Run { id, start, len });
        }
        Ok(())
    }
}

impl Plan {
    fn own(there: &[&str]) -> Result<Plan, String> {
        let mut plan = Plan::default();
        for name in there {
            let known = COLUMNS.iter().find(|c| *c == name).ok_or_else(|| {
                format!(
                    "column `{name}` is unknown; known are {}; a file with others is read by a column map (--columns)",
                    COLUMNS.join(", ")
                )
            })?;
            plan.names.insert(known, (*name).to_string());
        }
        let has = |name: &str| plan.names.contains_key(name);
        if let Some(missing) = ["prompt_tokens", "output_tokens"].iter().find(|c| !has(c)) {
            return Err(format!("column `{missing}` is missing; the file needs it"));
        }
        if has("arrival_ns") && has("session_ns") {
            return Err("arrival_ns and session_ns stand together; a trace has one of them".into());
        }
        let content = COLUMNS[17..].iter().filter(|c| has(c)).count();
        if content != 0 && content != 4 {
            return Err(format!("only some of {} are there; all must be, or none", COLUMNS[17..].join(", ")));
        }
        Ok(plan)
    }

    fn of(map: &ColumnMap, map_name: &str, there: &[&str]) -> Result<Plan, String> {
        let assumed = Some(map.clone()).filter(|m| !m.notes().is_empty());
        let mut plan = Plan { mapped: true, assumed, ..Plan::default() };
        for (key, column) in map.columns() {
            if !there.contains(&column) {
                return Err(format!(
                    "column `{column}`, which {map_name} names for {key}, is not there; it has {}: name one of them or \
                     leave {key} out",
                    there.join(", ")
                ));
            }
            let own = match key {
                "arrival" => "arrival_ns",
                "think" => "think_ns",
                "ttft" => "ttft_ns",
                "e2e" => "e2e_ns",
                same => same,
            };
            plan.names.insert(own, column.to_string());
        }
        let times =
            [("arrival_ns", &map.arrival), ("think_ns", &map.think), ("ttft_ns", &map.ttft), ("e2e_ns", &map.e2e)];
        let unit = |(key, time): (&'static str, &Option<TimeColumn>)| Some((key, time.as_ref()?.unit));
        plan.units = times.into_iter().filter_map(unit).collect();
        Ok(plan)
    }
}

impl Entries for TraceReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, String> {
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
            return Err(self.fault(row, format!("id {} stands twice; it must be unique", entry.id)));
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
            return Err(self.fault(row, "the request has 0 prompt tokens; it needs at least 1"));
        }
        if let Some(contents) = &g.content {
            contents.fill(row, &mut entry.content).map_err(|e| self.fault(row, e))?;
            let tokens: u64 = entry.content.iter().map(|r| u64::from(r.len)).sum();
            if tokens > u64::from(entry.prompt_tokens) {
                let what = format!("its content is {tokens} tokens but its prompt {}", entry.prompt_tokens);
                return Err(self.fault(row, format!("{what}; the content may not be longer")));
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
        let full = self.ids.is_full().then(|| "ids are too far apart to check all of them for duplicates".to_string());
        let assumed = self.plan.assumed.iter().flat_map(ColumnMap::notes);
        empty.into_iter().chain(full).chain(assumed).collect()
    }
    fn total(&self) -> Option<u64> {
        Some(self.groups.iter().sum::<usize>() as u64)
    }
}
