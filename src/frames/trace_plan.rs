//! Which column of a Parquet trace holds what: our own schema (`traces/README.md`), or what a column map says.
//!
//! Must keep true: a column that is needed, unknown or not there is a fault before a row is read.
use baseload_core::types::{ColumnMap, TimeUnit, TraceFault, wrong};
use rustc_hash::FxHashMap;

/// Columns of our own schema.
const COLUMNS: [&str; 21] = [
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
pub(super) struct Plan {
    pub(super) names: FxHashMap<&'static str, String>,
    /// Units of the times of a column map.
    pub(super) units: FxHashMap<&'static str, TimeUnit>,
    pub(super) mapped: bool,
    /// The map, where it says what stands for tokens that the file does not have.
    pub(super) assumed: Option<ColumnMap>,
}

impl Plan {
    pub(super) fn own(there: &[&str]) -> Result<Plan, TraceFault> {
        let mut plan = Plan::default();
        for name in there {
            let known = COLUMNS.iter().find(|c| *c == name).ok_or_else(|| {
                let known = COLUMNS.join(", ");
                let hint = format!("known are {known}; a file with others is read by a column map (--columns)");
                wrong!("column `{name}` is unknown").hint(hint)
            })?;
            plan.names.insert(known, (*name).to_string());
        }
        let has = |name: &str| plan.names.contains_key(name);
        if let Some(missing) = ["prompt_tokens", "output_tokens"].iter().find(|c| !has(c)) {
            return Err(wrong!("column `{missing}` is missing").hint("the file needs it"));
        }
        if has("arrival_ns") && has("session_ns") {
            return Err(wrong!("arrival_ns and session_ns stand together").hint("a trace has one of them"));
        }
        let content = COLUMNS[17..].iter().filter(|c| has(c)).count();
        if content != 0 && content != 4 {
            return Err(wrong!("only some of {} are there", COLUMNS[17..].join(", ")).hint("all must be, or none"));
        }
        Ok(plan)
    }

    pub(super) fn of(map: &ColumnMap, map_name: &str, there: &[&str]) -> Result<Plan, TraceFault> {
        let assumed = Some(map.clone()).filter(|m| !m.notes().is_empty());
        let mut plan = Plan { mapped: true, assumed, ..Plan::default() };
        for (key, column) in map.columns() {
            if !there.contains(&column) {
                let hint = format!("it has {}: name one of them or leave {key} out", there.join(", "));
                return Err(wrong!("column `{column}`, which {map_name} names for {key}, is not there").hint(hint));
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
        let unit =
            |(key, time): (&'static str, &Option<baseload_core::types::TimeColumn>)| Some((key, time.as_ref()?.unit));
        plan.units = times.into_iter().filter_map(unit).collect();
        Ok(plan)
    }
}
