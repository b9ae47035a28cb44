//! A row group of a Parquet trace as columns of our own types.
//!
//! Must keep true: times and counts are exact; a value that is wrong is named with its row in the group.
use super::column_read::{ReadColumn, Whole, Wrong};
use super::trace_plan::Plan;
use baseload_core::types::{Classes, ContentId, Run, Status, TimeUnit, TraceFault, wrong};
use rustc_hash::FxHashMap;

/// The columns of a row group; `None` where the file has no such column.
#[derive(Default)]
pub(super) struct Group {
    pub(super) rows: usize,
    pub(super) id: Option<Vec<u64>>,
    pub(super) at: Vec<i64>,
    pub(super) prompt: Vec<u32>,
    pub(super) output: Vec<u32>,
    pub(super) tenant: Option<Vec<u32>>,
    pub(super) session: Option<Vec<Option<u64>>>,
    pub(super) class: Option<Vec<u16>>,
    pub(super) limit: Option<Vec<Option<u32>>>,
    pub(super) priority: Option<Vec<Option<i32>>>,
    pub(super) think: Option<Vec<Option<u64>>>,
    pub(super) tools: Option<Vec<Option<u64>>>,
    pub(super) ttft: Option<Vec<Option<u64>>>,
    pub(super) e2e: Option<Vec<Option<u64>>>,
    pub(super) cached: Option<Vec<Option<u32>>>,
    pub(super) status: Option<Vec<Status>>,
    pub(super) images: Option<Vec<Option<u32>>>,
    pub(super) content: Option<Contents>,
}

/// Runs of all rows, and where each row's begin.
pub(super) struct Contents {
    offsets: Vec<usize>,
    kind: Vec<u32>,
    id: Vec<u64>,
    start: Vec<u32>,
    len: Vec<u32>,
}

/// Numbers that tenants and sessions of a column map got, by name, in order of first appearance.
#[derive(Default)]
pub(super) struct Numbers {
    tenants: FxHashMap<String, u32>,
    sessions: FxHashMap<String, u64>,
}

impl Group {
    /// `rows` rows of which `columns` are the columns that `plan` names, by key.
    pub(super) fn of(
        rows: usize,
        columns: &FxHashMap<&'static str, ReadColumn>,
        plan: &Plan,
        classes: &Classes,
        numbers: &mut Numbers,
    ) -> Result<Group, Wrong> {
        let read = Columns { columns, plan };
        let (mut prompt, mut output) = (read.full("prompt_tokens")?, read.full("output_tokens")?);
        if let Some(map) = &plan.assumed {
            let chars: Option<Vec<u32>> = read.full("prompt_chars")?;
            prompt = prompt.or(chars.map(|chars| chars.into_iter().map(|c| map.tokens_of(c)).collect()));
            output = output.or(map.answer_tokens.map(|n| vec![n; rows]));
        }
        let mut group = Group {
            rows,
            id: read.full("id")?,
            prompt: prompt.unwrap_or_default(),
            output: output.unwrap_or_default(),
            limit: read.optional("max_output_tokens")?,
            priority: read.optional("priority")?,
            cached: read.optional("cached_tokens")?,
            images: read.optional("images")?,
            think: read.spans("think_ns")?,
            tools: read.spans("tools_ns")?,
            ttft: read.spans("ttft_ns")?,
            e2e: read.spans("e2e_ns")?,
            ..Group::default()
        };
        for key in ["arrival_ns", "session_ns"] {
            if let Some(times) = read.times(key)? {
                group.at = read.each(key, times)?;
            }
        }
        if plan.mapped {
            let known = &mut numbers.tenants;
            let tenant = |name: Option<String>| {
                let next = known.len() as u32 + 1;
                name.map_or(0, |n| *known.entry(n).or_insert(next))
            };
            group.tenant = read.texts("tenant")?.map(|names| names.into_iter().map(tenant).collect());
            let known = &mut numbers.sessions;
            let session = |name: Option<String>| {
                let next = known.len() as u64;
                name.map(|n| *known.entry(n).or_insert(next))
            };
            group.session = read.texts("session")?.map(|names| names.into_iter().map(session).collect());
        } else {
            group.tenant = read.full("tenant")?;
            group.session = read.optional("session")?;
        }
        group.class = read.named("class", u16::MAX, |name| classes.number(name))?;
        group.status = read.named("status", Status::Completed, |name| {
            let known = Status::ALL.into_iter().find(|s| s.name() == name);
            known.ok_or_else(|| {
                let hint = format!("it must be one of {}", Status::ALL.map(Status::name).join(", "));
                wrong!("status is `{name}`").hint(hint)
            })
        })?;
        if let [Some(kind), Some(id), Some(start), Some(len)] =
            ["content_kind", "content_id", "content_start", "content_len"].map(|key| columns.get(key))
        {
            group.content = Some(Contents::of(kind, id, start, len)?);
        }
        Ok(group)
    }
}

/// Columns by key.
struct Columns<'a> {
    columns: &'a FxHashMap<&'static str, ReadColumn>,
    plan: &'a Plan,
}

impl Columns<'_> {
    fn optional<T: Whole>(&self, key: &str) -> Result<Option<Vec<Option<T>>>, Wrong> {
        self.columns.get(key).map(ReadColumn::whole).transpose()
    }

    fn full<T: Whole>(&self, key: &str) -> Result<Option<Vec<T>>, Wrong> {
        self.optional(key)?.map(|values| self.each(key, values)).transpose()
    }

    /// Values of which none may be empty.
    fn each<T>(&self, key: &str, values: Vec<Option<T>>) -> Result<Vec<T>, Wrong> {
        let empty = |row: usize| {
            let what = format!("column `{}` has an empty field", self.plan.names[key]);
            Wrong::at(row, what, "each request must have it")
        };
        values.into_iter().enumerate().map(|(row, v)| v.ok_or_else(|| empty(row))).collect()
    }

    fn times(&self, key: &str) -> Result<Option<Vec<Option<i64>>>, Wrong> {
        let unit = self.plan.units.get(key).copied().unwrap_or(TimeUnit::Nanos);
        self.columns.get(key).map(|c| c.times(unit)).transpose()
    }

    /// Times that last: none is below 0.
    fn spans(&self, key: &str) -> Result<Option<Vec<Option<u64>>>, Wrong> {
        let Some(times) = self.times(key)? else { return Ok(None) };
        let ns = |(row, v): (usize, Option<i64>)| {
            let wrong = |v: i64| Wrong::at(row, format!("{key} is {v} ns"), "it must be at least 0");
            v.map(|v| u64::try_from(v).map_err(|_| wrong(v))).transpose()
        };
        times.into_iter().enumerate().map(ns).collect::<Result<_, _>>().map(Some)
    }

    /// Texts; an empty one is none.
    fn texts(&self, key: &str) -> Result<Option<Vec<Option<String>>>, Wrong> {
        let texts = self.columns.get(key).map(ReadColumn::texts).transpose()?;
        Ok(texts.map(|texts| texts.into_iter().map(|t| t.filter(|t| !t.is_empty())).collect()))
    }

    /// What `of` makes of names, `none` where there is no name.
    fn named<T: Copy>(
        &self,
        key: &str,
        none: T,
        of: impl Fn(&str) -> Result<T, TraceFault>,
    ) -> Result<Option<Vec<T>>, Wrong> {
        let Some(names) = self.texts(key)? else { return Ok(None) };
        let value = |(row, name): (usize, Option<String>)| {
            name.map_or(Ok(none), |name| of(&name).map_err(|TraceFault { what, hint, .. }| Wrong { row, what, hint }))
        };
        names.into_iter().enumerate().map(value).collect::<Result<_, _>>().map(Some)
    }
}

impl Contents {
    fn of(kind: &ReadColumn, id: &ReadColumn, start: &ReadColumn, len: &ReadColumn) -> Result<Contents, Wrong> {
        let (offsets, kind) = kind.lists::<u32>()?;
        let (id_offsets, id) = id.lists::<u64>()?;
        let ((starts, start), (lens, len)) = (start.lists::<u32>()?, len.lists::<u32>()?);
        let differs = |other: &[usize]| offsets.iter().zip(other).position(|(a, b)| a != b);
        if let Some(row) = [&id_offsets, &starts, &lens].into_iter().filter_map(|other| differs(other)).min() {
            let what = "the content columns have lists of different lengths";
            return Err(Wrong::at(row.saturating_sub(1), what, "they must be parallel"));
        }
        Ok(Contents { offsets, kind, id, start, len })
    }

    /// Puts the runs of `row` into `out`.
    pub(super) fn fill(&self, row: usize, out: &mut Vec<Run>) -> Result<(), TraceFault> {
        for i in self.offsets[row]..self.offsets[row + 1] {
            let id = match self.kind[i] {
                0 => ContentId::Named(self.id[i]),
                1 => ContentId::Output(self.id[i]),
                2 => ContentId::Private(self.id[i]),
                kind => return Err(wrong!("content_kind is {kind}").hint("it must be 0 named, 1 output, 2 prompt")),
            };
            let (start, len) = (self.start[i], self.len[i]);
            if len == 0 || start.checked_add(len).is_none() {
                return Err(wrong!("content has a run of 0 tokens or past 2^32").hint("a run must have at least 1"));
            }
            out.push(Run { id, start, len });
        }
        Ok(())
    }
}
