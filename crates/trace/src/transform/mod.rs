//! Transforms of a trace: entries in, entries out, in the order written. One file an idea.
//!
//! Must hold: time stays in order; what happens to an entry depends on the seed, the replicate and the entry, so that
//! the same file gives the same result; an entry's id stays unique, and stays the same where entries are only dropped
//! or changed.
//! Read first: `rescale.rs`, which changes the rate and keeps its bursts.
mod anonymise;
mod check;
mod copies;
mod label;
mod mapped;
mod pick;
mod rescale;
#[cfg(test)]
mod tests;
mod volume;

use super::Unplayable;
use super::spec::{duration, some_duration};
use baseload_core::types::{Classes, Clock, ContentId, Entries, Entry, Run, SimTime, duration_text};
use baseload_core::types::{Fault, Faults, TraceFault, key};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One step of a transformation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// A part of the trace.
    Slice(Slice),
    /// A share of the requests.
    Thin(Thin),
    /// The trace several times over itself, or another trace over it.
    Superpose(Superpose),
    /// More or fewer requests a second; the day keeps its hours and gaps keep their coefficient of variation.
    ScaleRate(ScaleRate),
    /// All times multiplied: 2 = half the rate, and a day takes two.
    ScaleTime(ScaleTime),
    /// The trace again and again, to a length.
    Repeat(Repeat),
    /// Longer or shorter prompts and answers.
    Tokens(Tokens),
    /// Other tenants for the requests, drawn by share.
    Tenants(Tenants),
    /// A class for the requests that a rule meets; later rules win.
    Class(ClassRule),
    /// A span in which the rate is multiplied.
    Spike(Spike),
    /// A daily curve over the rate.
    Diurnal(Diurnal),
    /// No identities but those of this trace: sessions, tenants and content are numbered in order of appearance.
    Anonymise(Anonymise),
    /// More or fewer customers: the window and the shape in time stay, each request comes so many times.
    Volume(Volume),
}

/// By time, by count, or both; what is left out at the front is skipped before the rest is counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slice {
    /// From so long after the first request; the start unless given.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<SimTime>,
    /// To so long after the first request, exclusive; the end unless given.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub to: Option<SimTime>,
    /// Requests left out at the start; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub skip: Option<u64>,
    /// Most requests that are kept; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub take: Option<u64>,
}

/// What a share is drawn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThinBy {
    /// Runs of requests, stretched over the time of those dropped: gaps keep their coefficient of variation.
    #[default]
    Gaps,
    /// Each request for itself. Gaps of coefficient of variation c then have sqrt(share * c^2 + 1 - share).
    Request,
    /// Whole sessions.
    Session,
    /// Whole tenants.
    Tenant,
}

/// A share of the requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thin {
    /// Share that is kept, above 0 and at most 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// What it is drawn of.
    #[serde(default)]
    pub by: ThinBy,
}

/// Copies over one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Superpose {
    /// How many times the trace is there in all; 1 unless given, for a trace laid over it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_000))]
    pub copies: u32,
    /// Each copy is late by a time drawn up to this one; bursts longer than it add up. 5 s unless given.
    #[serde(with = "text", default = "five_seconds")]
    #[schemars(with = "String")]
    pub shift: SimTime,
    /// Copies have the same prompts, and so share prefixes with one another; else each has its own. No unless given.
    #[serde(default)]
    pub same_content: bool,
    /// Another trace (a path, relative to the experiment file) that is laid over this one, both from their start; none
    /// unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}

/// Requests at another rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleRate {
    /// Times the rate, above 0. Below 1 requests are dropped, above 1 they come again under new numbers.
    #[schemars(range(min = 1e-06, max = 1_000.0))]
    pub times: f64,
}

/// Another number of requests within the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Times the requests, above 0: 2.5 = all of them twice and half of them once more. Copies have sessions and private
    /// content of their own, and share what the trace names.
    #[schemars(range(min = 1e-06, max = 1000.0))]
    pub times: f64,
    /// Each copy is late by a time drawn up to this one. 5 s unless given.
    #[serde(with = "text", default = "five_seconds")]
    #[schemars(with = "String")]
    pub shift: SimTime,
}

/// Other times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleTime {
    /// Times all times, above 0.
    #[schemars(range(min = 1e-06, max = 1_000_000.0))]
    pub times: f64,
}

/// The trace again and again; one of the two lengths is needed. Holds the whole trace.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Repeat {
    /// Until so many requests; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub requests: Option<u64>,
    /// Until so long after the first; no limit unless given.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<SimTime>,
    /// Each round has the same prompts; else each has its own. No unless given.
    pub same_content: bool,
}

/// A change of lengths: first times, then cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LengthChange {
    /// Times the tokens, above 0; 1 unless given.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub times: f64,
    /// At least so many tokens; 1 unless given.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min: u32,
    /// At most so many tokens; no limit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max: Option<u32>,
}

impl Default for LengthChange {
    fn default() -> LengthChange {
        LengthChange { times: 1.0, min: 1, max: None }
    }
}

/// Longer or shorter prompts and answers. A shorter prompt keeps the start of its content.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// How lengths of prompts change.
    pub prompt: LengthChange,
    /// How lengths of answers change.
    pub output: LengthChange,
}

/// Other tenants for the requests, drawn by share for each session (each request, where it has none).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// Share of each tenant, the first being tenant 1; they are divided by their sum.
    #[schemars(inner(range(min = 0.0, max = 1_000_000_000.0)))]
    pub shares: Vec<f64>,
}

/// A class for the requests that meet all of what is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Name of a class of the experiment.
    pub to: String,
    /// Share of the requests that meet the rest; all unless given.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Requests of these tenants only; of all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 0, max = 4_294_967_295_u64)))]
    pub tenants: Option<Vec<u32>>,
    /// Prompts of at least so many tokens only; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub prompt_at_least: Option<u32>,
    /// Prompts of fewer than so many tokens only; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub prompt_under: Option<u32>,
}

/// A span in which the rate is multiplied, as [`ScaleRate`] does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// Start of the spike after the first request.
    #[serde(with = "text")]
    #[schemars(with = "String")]
    pub at: SimTime,
    /// How long it lasts.
    #[serde(with = "text")]
    #[schemars(with = "String")]
    pub duration: SimTime,
    /// Times the rate, 0 or more.
    #[schemars(range(min = 0.0, max = 1_000.0))]
    pub times: f64,
}

/// The rate times `1 + amplitude * cos(2 pi (t - peak_at) / period)`, as [`ScaleRate`] does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diurnal {
    /// Swing to both sides of 1, from 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub amplitude: f64,
    /// Time of the highest rate after the first request; 14 h unless given.
    #[serde(with = "text", default = "afternoon")]
    #[schemars(with = "String")]
    pub peak_at: SimTime,
    /// Length of a day; 24 h unless given.
    #[serde(with = "text", default = "day")]
    #[schemars(with = "String")]
    pub period: SimTime,
}

/// Identities of this trace only, and coarser figures where asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Anonymise {
    /// Times are rounded down to whole multiples of this; exact unless given.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub time: Option<SimTime>,
    /// Prompt and output tokens are rounded up to a multiple of this; 1 (exact) unless given.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub tokens: u32,
}

impl Default for Anonymise {
    fn default() -> Anonymise {
        Anonymise { time: None, tokens: 1 }
    }
}

fn one() -> u32 {
    1
}
fn all() -> f64 {
    1.0
}
fn five_seconds() -> SimTime {
    SimTime::from_secs(5)
}
fn afternoon() -> SimTime {
    SimTime::from_secs(14 * 3_600)
}
fn day() -> SimTime {
    SimTime::from_secs(24 * 3_600)
}

/// A duration as text.
mod text {
    use super::*;
    pub(super) fn serialize<S: Serializer>(t: &SimTime, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&duration_text(*t))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SimTime, D::Error> {
        duration(d)
    }
}

/// An optional duration as text.
mod optional {
    use super::*;
    pub(super) fn serialize<S: Serializer>(t: &Option<SimTime>, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&duration_text(t.unwrap_or(SimTime::ZERO)))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SimTime>, D::Error> {
        some_duration(d)
    }
}

/// Opens a trace by the name that a transform gives it.
pub type Open<'a> = &'a mut dyn FnMut(&str) -> Result<Box<dyn Entries>, TraceFault>;

/// What transforms need besides themselves.
pub struct Context<'a> {
    /// Seed of the experiment.
    pub seed: u64,
    /// Replicate.
    pub replicate: u32,
    /// Names of classes.
    pub classes: Classes,
    /// Opens the trace that another one is laid over with.
    pub open: Open<'a>,
}

/// `entries` as `transforms` make them, in order.
///
/// # Errors
/// The first that cannot be done; its key starts at the transform's place in the list, such as `[0].spike.times`.
pub fn apply(
    mut entries: Box<dyn Entries>,
    transforms: &[Transform],
    context: &mut Context<'_>,
) -> Result<Box<dyn Entries>, Unplayable> {
    for (i, transform) in transforms.iter().enumerate() {
        let made = step(entries, transform, i as u32, context);
        entries = made.map_err(|why| match why {
            Unplayable::Asked(fault) => fault.under(key![i, transform.name()]).into(),
            unread => unread,
        })?;
    }
    Ok(entries)
}

/// Refuses what cannot be done, whatever the trace.
///
/// # Errors
/// All faults, their keys as those of [`apply`].
pub fn check(transforms: &[Transform]) -> Result<(), Faults> {
    let each = transforms.iter().enumerate();
    each.flat_map(|(i, t)| t.faults().under(key![i, t.name()])).collect::<Faults>().finish(())
}

fn step(
    inner: Box<dyn Entries>,
    transform: &Transform,
    stage: u32,
    context: &mut Context<'_>,
) -> Result<Box<dyn Entries>, Unplayable> {
    if let Some(fault) = transform.faults().into_iter().next() {
        return Err(fault.into());
    }
    if transform.needs_times() && !matches!(inner.clock(), Clock::Common | Clock::Zero) {
        let fault = Fault::new("the trace does not say when its requests arrive, which this needs");
        let hint = "thin it by session, slice it by count, or change the sessions' starts instead";
        return Err(fault.hint(hint).into());
    }
    let stage_key = StageKey { seed: context.seed, replicate: context.replicate, stage };
    Ok(match transform {
        Transform::Slice(t) => Box::new(pick::Sliced::new(inner, t.clone())),
        Transform::Thin(Thin { share, by: ThinBy::Gaps }) => rescale::Rescaled::constant(inner, *share, stage_key),
        Transform::Thin(t) => Box::new(pick::Thinned::new(inner, t, stage_key)),
        Transform::Superpose(t) => {
            let other = t.with.as_deref().map(|path| (context.open)(path)).transpose();
            let other = other.map_err(|fault| Fault::from(fault).under("with"))?;
            copies::superposed(inner, t, other, stage_key)?
        }
        Transform::ScaleRate(t) => rescale::Rescaled::constant(inner, t.times, stage_key),
        Transform::ScaleTime(t) => pick::stretched(inner, t.times),
        Transform::Repeat(t) => Box::new(copies::Repeated::new(inner, t.clone())),
        Transform::Tokens(t) => mapped::mapped(inner, label::tokens(t.clone())),
        Transform::Tenants(t) => mapped::mapped(inner, label::tenants(&t.shares, stage_key)),
        Transform::Class(t) => mapped::mapped(inner, label::class(t.clone(), &context.classes, stage_key)?),
        Transform::Spike(t) => rescale::Rescaled::spike(inner, t, stage_key),
        Transform::Diurnal(t) => rescale::Rescaled::diurnal(inner, t, stage_key),
        Transform::Anonymise(t) => anonymise::anonymised(inner, t.clone()),
        Transform::Volume(t) => volume::Volumed::over(inner, t, stage_key),
    })
}

/// Keys of a transform's draws.
#[derive(Debug, Clone, Copy)]
struct StageKey {
    seed: u64,
    replicate: u32,
    /// Place of the transform, so that two of a kind draw apart.
    stage: u32,
}

impl StageKey {
    /// A number in [0, 1) for `index` under `name`.
    fn uniform(self, name: &'static str, index: u64) -> f64 {
        baseload_core::random::dist::uniform01(&mut baseload_core::random::stream(
            self.seed,
            self.replicate,
            name,
            index,
            self.stage,
        ))
    }
}

impl Transform {
    /// All names, as the experiment file and the command line have them.
    pub const NAMES: [&'static str; 13] = [
        "slice",
        "thin",
        "superpose",
        "scale_rate",
        "scale_time",
        "repeat",
        "tokens",
        "tenants",
        "class",
        "spike",
        "diurnal",
        "anonymise",
        "volume",
    ];

    /// Name of the transform in experiments.
    pub fn name(&self) -> &'static str {
        let at = match self {
            Transform::Slice(_) => 0,
            Transform::Thin(_) => 1,
            Transform::Superpose(_) => 2,
            Transform::ScaleRate(_) => 3,
            Transform::ScaleTime(_) => 4,
            Transform::Repeat(_) => 5,
            Transform::Tokens(_) => 6,
            Transform::Tenants(_) => 7,
            Transform::Class(_) => 8,
            Transform::Spike(_) => 9,
            Transform::Diurnal(_) => 10,
            Transform::Anonymise(_) => 11,
            Transform::Volume(_) => 12,
        };
        Self::NAMES[at]
    }
}

/// Gives an entry, and all that its content names of requests, another number; `named` maps the trace's own names.
fn renumber(entry: &mut Entry, id: impl Fn(u64) -> u64, named: impl Fn(u64) -> u64) {
    entry.id = id(entry.id);
    for run in &mut entry.content {
        run.id = match run.id {
            ContentId::Named(n) => ContentId::Named(named(n)),
            ContentId::Output(n) => ContentId::Output(id(n)),
            ContentId::Private(n) => ContentId::Private(id(n)),
        };
    }
}

/// Cuts leading content to `tokens`.
fn cut(content: &mut Vec<Run>, tokens: u32) {
    let mut left = tokens;
    content.retain_mut(|run| {
        run.len = run.len.min(left);
        left -= run.len;
        run.len > 0
    });
}
