//! Measured calls of APIs, in two forms.
//!
//! A CSV, a call a row: `model`, `in_tokens`, `out_tokens`, `api_time_s`; and `prefix_seen_tokens`, `ttft_s`, `dup_group`
//! where known (source: callanjfox/kv-cache-tester as derived in data/api, read 2026-11-24). Or a JSON array of
//! ray-project/llmperf (llmperf-leaderboard, raw data of December 2023, read 2026-11-24), which names neither provider nor
//! model: its files are called `PROVIDER_SIZE.json`, and all are of Llama 2 chat.
use super::super::hash;
use super::super::measurements::Input;
use super::super::table::{Row, Table};
use baseload_core::api::Call;
use baseload_core::catalog::{ApiOutcomes, Catalog};
use baseload_core::types::{SimTime, TraceFault, wrong};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};

/// One call that was answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredCall {
    /// Tokens of the call, and when it was sent.
    pub call: Call,
    /// Seconds until the answer was whole.
    pub e2e_s: f64,
    /// Seconds until the first token, where it was streamed.
    pub ttft_s: Option<f64>,
    /// Calls of one group are alike and share a fold; none where the file has no groups.
    pub group: Option<u64>,
}

/// The calls of one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiCalls {
    /// The model, as the file names it.
    pub model: String,
    /// The provider, where the file says it.
    pub provider: Option<String>,
    /// In the file's order.
    pub calls: Vec<MeasuredCall>,
    /// Rows without a time or a length.
    pub left_out: u64,
    /// What became of all calls, where the file has failed ones too.
    pub outcomes: Option<ApiOutcomes>,
    /// Files read.
    pub files: Vec<String>,
    /// Hashes of the calls' rows.
    pub rows: Vec<String>,
}

impl ApiCalls {
    /// Groups in it.
    pub fn groups(&self) -> u64 {
        let mut all: Vec<u64> = self.calls.iter().filter_map(|c| c.group).collect();
        all.sort_unstable();
        all.dedup();
        all.len() as u64
    }
    /// Calls whose time to first token is known.
    pub fn streamed(&self) -> u64 {
        self.calls.iter().filter(|c| c.ttft_s.is_some()).count() as u64
    }
    /// Hash of all calls.
    pub fn hash(&self) -> String {
        hash::of_all(&self.rows)
    }
    fn join(&mut self, other: ApiCalls) {
        self.calls.extend(other.calls);
        self.rows.extend(other.rows);
        self.files.extend(other.files);
        self.left_out += other.left_out;
        self.outcomes = match (self.outcomes, other.outcomes) {
            (Some(a), Some(b)) => Some(ApiOutcomes {
                calls: a.calls + b.calls,
                rate_limited: a.rate_limited + b.rate_limited,
                short: a.short + b.short,
                failed: a.failed + b.failed,
            }),
            (a, b) => a.or(b),
        };
    }
}

/// Reads files; calls of one model stand together, models in order of their names.
///
/// # Errors
/// With file and line, and column or key.
pub fn read_api_calls(catalog: &Catalog, inputs: Vec<Input>) -> Result<Vec<ApiCalls>, TraceFault> {
    let mut all: Vec<ApiCalls> = Vec::new();
    // The file that holds the calls of each model, provider and hash.
    let mut seen: BTreeMap<(String, Option<String>, String), String> = BTreeMap::new();
    for input in inputs {
        for found in read_api_file(catalog, input.text, &input.name)? {
            let key = (found.model.clone(), found.provider.clone(), found.hash());
            // Files without a call are alike, and no harm.
            if !found.calls.is_empty()
                && let Some(one) = seen.insert(key, input.name.clone())
            {
                let (other, model) = (&input.name, &found.model);
                return Err(wrong!("{one} and {other} hold the same calls of {model}").hint("give each file once"));
            }
            match all.iter_mut().find(|c| c.model == found.model && c.provider == found.provider) {
                Some(known) => known.join(found),
                None => all.push(found),
            }
        }
    }
    all.sort_by(|a, b| (&a.model, &a.provider).cmp(&(&b.model, &b.provider)));
    Ok(all)
}

/// Reads one file.
///
/// # Errors
/// As [`read_api_calls`].
pub fn read_api_file(catalog: &Catalog, mut text: impl BufRead, name: &str) -> Result<Vec<ApiCalls>, TraceFault> {
    let begins = text.fill_buf().map_err(|e| TraceFault::unreadable(e).in_file(name))?;
    let json = begins.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b == b'[');
    if json { llmperf(catalog, text, name).map(|calls| vec![calls]) } else { table(text, name) }
}

const NEEDED: [&str; 4] = ["model", "in_tokens", "out_tokens", "api_time_s"];

fn table(text: impl BufRead, name: &str) -> Result<Vec<ApiCalls>, TraceFault> {
    let table = Table::read(text, name, &NEEDED)?;
    let mut all: Vec<ApiCalls> = Vec::new();
    for row in table.rows() {
        let model = row.text("model");
        if model.is_empty() {
            return Err(row.fault("model is empty").hint("every call says its model"));
        }
        let of = all.iter().position(|c| c.model == model).unwrap_or_else(|| {
            all.push(ApiCalls { model: model.to_owned(), files: vec![name.to_owned()], ..ApiCalls::default() });
            all.len() - 1
        });
        match call(&row)? {
            Some(call) => {
                all[of].calls.push(call);
                all[of].rows.push(hash::of(&row.whole()));
            }
            None => all[of].left_out += 1,
        }
    }
    Ok(all)
}

/// The call of a row; none where its time or a length is missing.
fn call(row: &Row<'_>) -> Result<Option<MeasuredCall>, TraceFault> {
    let whole = |column: &str| -> Result<u32, TraceFault> {
        let v = row.number(column)?;
        if v != v.floor() || v > f64::from(u32::MAX) {
            return Err(row.fault(format!("{column} is {v}")).hint("it must be a whole number from 0"));
        }
        Ok(v as u32)
    };
    // A call that failed at once has no time, which some files write as 0.
    let seconds = |column: &str| -> Result<Option<f64>, TraceFault> {
        if row.text(column).is_empty() { Ok(None) } else { Ok(Some(row.number(column)?).filter(|s| *s > 0.0)) }
    };
    let Some(e2e_s) = seconds("api_time_s")? else { return Ok(None) };
    if row.text("in_tokens").is_empty() || row.text("out_tokens").is_empty() {
        return Ok(None);
    }
    let (prompt, output) = (whole("in_tokens")?, whole("out_tokens")?);
    // Tokens that were sent before may be more than the prompt has, after a session was cut.
    let cached = if row.text("prefix_seen_tokens").is_empty() { 0 } else { whole("prefix_seen_tokens")?.min(prompt) };
    let group = match row.text("dup_group") {
        "" => None,
        text => {
            let wrong = || row.fault(format!("dup_group is `{text}`")).hint("it must be a whole number from 0");
            let number = text.parse::<f64>().ok().filter(|v| *v >= 0.0 && *v == v.floor() && *v < 1e15);
            Some(number.ok_or_else(wrong)? as u64)
        }
    };
    let ttft_s = seconds("ttft_s")?;
    in_order(ttft_s, e2e_s).map_err(|fault| row.at(fault))?;
    let call = Call { prompt, cached, output, at: SimTime::ZERO };
    Ok(Some(MeasuredCall { call, e2e_s, ttft_s, group }))
}

/// Refuses a first token that comes later than the last.
fn in_order(ttft_s: Option<f64>, e2e_s: f64) -> Result<(), TraceFault> {
    match ttft_s {
        Some(first) if first > e2e_s => {
            let fault = wrong!("ttft_s is {first}, later than the whole call's {e2e_s}");
            Err(fault.hint("a first token is no later than the last"))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct LlmPerf {
    error_code: Option<i64>,
    ttft_s: Option<f64>,
    end_to_end_latency_s: Option<f64>,
    number_input_tokens: Option<u32>,
    number_output_tokens: Option<u32>,
}

/// llmperf's own code for answers of fewer tokens than were asked for.
const SHORT: i64 = -100;

fn llmperf(catalog: &Catalog, mut text: impl Read, name: &str) -> Result<ApiCalls, TraceFault> {
    let mut whole = String::new();
    text.read_to_string(&mut whole).map_err(|e| TraceFault::unreadable(e).in_file(name))?;
    let rows: Vec<LlmPerf> = serde_json::from_str(&whole).map_err(|e| {
        let fault = TraceFault::of(name, &e).on_line(e.line() as u64);
        fault.hint("wanted are a CSV of calls, or an array of calls as ray-project/llmperf writes it")
    })?;
    let stem = name.rsplit('/').next().unwrap_or(name);
    let stem = stem.trim_end_matches(".gz").trim_end_matches(".json");
    let (provider, size) = match stem.rsplit_once('_') {
        Some((p, size)) => (Some(p.to_owned()), size),
        None => (None, stem),
    };
    let number = size.strip_suffix(['b', 'B']).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let of_size = catalog.data_set("api").and_then(|d| d.model_of_size.as_deref()).unwrap_or("SIZE");
    let model = if number { of_size.replace("SIZE", &size.to_ascii_lowercase()) } else { size.to_owned() };
    let mut out = ApiCalls { model, provider, files: vec![name.to_owned()], ..ApiCalls::default() };
    let mut outcomes = ApiOutcomes { calls: rows.len() as u64, ..ApiOutcomes::default() };
    for (i, r) in rows.iter().enumerate() {
        match r.error_code {
            Some(429) => outcomes.rate_limited += 1,
            Some(SHORT) => outcomes.short += 1,
            Some(_) => outcomes.failed += 1,
            None => {
                let (Some(e2e_s), Some(prompt), Some(output)) =
                    (r.end_to_end_latency_s, r.number_input_tokens, r.number_output_tokens)
                else {
                    out.left_out += 1;
                    continue;
                };
                for (key, s) in [("end_to_end_latency_s", Some(e2e_s)), ("ttft_s", r.ttft_s)] {
                    if let Some(s) = s.filter(|s| !s.is_finite() || *s <= 0.0) {
                        let what = format!("call {i}: {key} is {s}");
                        return Err(TraceFault::of(name, what).hint("it must be above 0"));
                    }
                }
                in_order(r.ttft_s, e2e_s).map_err(|f| f.of_part(format!("call {i}")).in_file(name))?;
                let call = Call { prompt, cached: 0, output, at: SimTime::ZERO };
                out.calls.push(MeasuredCall { call, e2e_s, ttft_s: r.ttft_s, group: None });
                out.rows.push(hash::of(&format!("{e2e_s},{:?},{prompt},{output}", r.ttft_s)));
            }
        }
    }
    out.outcomes = Some(outcomes);
    Ok(out)
}
