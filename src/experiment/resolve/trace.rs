//! `[trace]`, resolved: which requests, as what, and how they leave. Nothing is opened here; `inputs` does.
use super::super::format::{TraceSection, UsersSection};
use super::*;
use baseload_trace::{
    ClosedLoopSpec, ClosedPlay, Format, LengthSpec, Play, Readers, SourceOptions, Strictness, Think, Transform,
    transform::{self, Superpose},
};

/// A trace as an experiment means it.
#[derive(Debug, Clone)]
pub struct TraceSpec {
    /// Where requests come from.
    pub kind: TraceKind,
    /// Readers of traces that there are.
    pub readers: Readers,
    /// What a file is said to be; its content says it unless given.
    pub format: Option<Format>,
    /// What becomes of a file's rows that are no requests.
    pub strictness: Strictness,
    /// A file that says what a file's columns are.
    pub columns: Option<PathBuf>,
    /// Arrivals in place of the trace's own.
    pub arrivals: Option<ArrivalSpec>,
    /// Transforms in order. Paths in them are whole.
    pub transforms: Vec<Transform>,
    /// What else every source needs to know.
    pub options: SourceOptions,
    /// The first so many requests are simulated and counted nowhere.
    pub warmup_requests: u64,
}

impl TraceSpec {
    /// Whether requests wait for the answers to earlier ones, so that no more are under way than there are users or sessions.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, TraceKind::Users(_))
            || self.options.play != Play::Open
            || self.options.max_concurrency.is_some()
    }
}

/// Where requests come from.
#[derive(Debug, Clone)]
pub enum TraceKind {
    /// A published trace of this name.
    Published(String),
    /// A file or a folder.
    File(PathBuf),
    /// A generator's specification.
    Generate(PathBuf),
    /// Users with prompts of their own.
    Users(Box<ClosedLoopSpec>),
}

/// Arrivals in place of a trace's own.
#[derive(Debug, Clone)]
pub enum ArrivalSpec {
    /// A Poisson process of so many a second.
    PerSecond(f64),
    /// Arrivals of the generator's specification at this path.
    Of(PathBuf),
}

impl TraceKind {
    /// The key of `[trace]` that says it.
    pub fn key(&self) -> &'static str {
        match self {
            TraceKind::Published(_) => "source",
            TraceKind::File(_) => "path",
            TraceKind::Generate(_) => "generate",
            TraceKind::Users(_) => "users",
        }
    }
}

impl TraceSpec {
    /// Whether so many users send as much as they are answered.
    pub fn is_of_users(&self) -> bool {
        matches!(self.kind, TraceKind::Users(_)) || matches!(self.options.play, Play::Closed(ClosedPlay::Users { .. }))
    }
}

impl Resolver<'_> {
    /// The trace. Keys of faults are counted from `trace`.
    pub(super) fn trace(&self) -> Result<TraceSpec, Faults> {
        let t = &self.file.trace;
        let mut faults = Faults::default();
        let path = |name: &str| self.paths.at(&key!["trace", name]).map(Path::to_path_buf);
        let kind = match (&t.source, path("path"), path("generate"), &t.users) {
            (Some(name), None, None, _) => Ok(TraceKind::Published(name.clone())),
            (None, Some(path), None, _) => Ok(TraceKind::File(path)),
            (None, None, Some(path), _) => Ok(TraceKind::Generate(path)),
            (None, None, None, Some(users)) => users_alone(t, users).map(|spec| TraceKind::Users(Box::new(spec))),
            (None, None, None, None) => {
                Err(Fault::new("it says not where requests come from").hint(ONE_OF_THEM).into())
            }
            _ => Err(Fault::new("it says twice where requests come from").hint(ONE_OF_THEM).into()),
        };
        let kind = faults.take(kind);
        let named = |name: &str| self.readers.named(name).map_err(|fault| Fault::from(fault).under("input_format"));
        let format = t.input_format.as_deref().map(named);
        let format = faults.or_default(format.transpose());
        let arrivals = match (path("arrivals"), t.arrivals_per_s) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                faults.push(Fault::at("arrivals_per_s", "arrivals are given too").hint("give one of them"));
                None
            }
            (None, Some(rate)) => faults.take(above_0("arrivals_per_s", rate)).map(ArrivalSpec::PerSecond),
            (Some(path), None) => Some(ArrivalSpec::Of(path)),
        };
        if matches!(kind, Some(TraceKind::Users(_))) && !(arrivals.is_none() && t.transform.is_empty()) {
            faults.push(Fault::at("users", "users without a trace have neither arrivals nor transforms"));
        }
        let options = SourceOptions {
            seed: self.file.seed,
            replicate: 0,
            rate_scale: t.rate_scale,
            limit: t.limit,
            default_max_output_tokens: t.default_max_output_tokens,
            spread_buckets: t.spread_buckets,
            sort: t.sort,
            hash_block: t.hash_block,
            every_turn: t.every_turn,
            replay_failed: t.replay_failed,
            play: faults.or_default(play(t)),
            max_concurrency: t.max_concurrency,
        };
        faults.take(options.check());
        faults.take(transform::check(&t.transform).map_err(|faults| faults.under("transform")));
        let strictness = if t.strict { Strictness::Refuse } else { Strictness::LeaveOut };
        let mut transforms = t.transform.clone();
        for (i, transform) in transforms.iter_mut().enumerate() {
            let at = key!["trace", "transform", i, "superpose", "with"];
            if let (Transform::Superpose(Superpose { with: Some(with), .. }), Some(path)) =
                (transform, self.paths.at(&at))
            {
                *with = path.display().to_string();
            }
        }
        if t.max_concurrency.is_some() && t.users.is_some() {
            let fault = Fault::at("max_concurrency", "users are given too, each with one request under way");
            faults.push(fault.hint("leave it out, or change users.concurrency"));
        }
        let Some(kind) = kind else { return Err(faults) };
        let readers = self.readers.clone();
        let (columns, warmup_requests) = (path("columns"), t.warmup_requests);
        faults.finish(TraceSpec {
            kind,
            readers,
            format,
            strictness,
            columns,
            arrivals,
            transforms,
            options,
            warmup_requests,
        })
    }
}

const ONE_OF_THEM: &str = "give exactly one of source, path, generate, users";

/// Users with prompts of their own.
fn users_alone(section: &TraceSection, u: &UsersSection) -> Result<ClosedLoopSpec, Faults> {
    let mut faults = Faults::default();
    let mut need = |key: &str, n: Option<u64>| {
        let at = key!["users", key];
        let n = n.ok_or_else(|| Fault::at(at.clone(), "it is missing").hint("users without a trace need it"));
        faults.or_default(n.and_then(|n| at_least_1(at, n)))
    };
    need("concurrency", Some(u.concurrency.into()));
    let requests = need("requests", u.requests);
    let prompt = need("prompt_tokens", u.prompt_tokens.map(u64::from)) as u32;
    let output = need("output_tokens", u.output_tokens.map(u64::from)) as u32;
    if section.rate_scale != 1.0 {
        faults.push(Fault::at("rate_scale", "users have no rate of their own").hint("change trace.users instead"));
    }
    let think = faults.or(SimTime::ZERO, duration(key!["users", "think"], &u.think));
    let ramp = faults.or(SimTime::ZERO, duration(key!["users", "ramp"], &u.ramp));
    let length = |median: u32| LengthSpec {
        median: Some(f64::from(median)),
        sigma: Some(0.5),
        max: Some(median.saturating_mul(8).max(1)),
        ..LengthSpec::default()
    };
    faults.finish(ClosedLoopSpec {
        users: u.concurrency,
        requests: Some(requests),
        duration: None,
        ramp,
        think: if think == SimTime::ZERO { Think::None } else { Think::Exponential { mean: think } },
        prompt: length(prompt),
        output: length(output),
        max_output_tokens: None,
    })
}

/// How the section wants a trace played.
fn play(section: &TraceSection) -> Result<Play, Faults> {
    let has_trace = section.source.is_some() || section.path.is_some() || section.generate.is_some();
    match (&section.sessions, section.users.as_ref().filter(|_| has_trace)) {
        (None, None) => Ok(Play::Open),
        (Some(_), Some(_)) => Err(Fault::at("sessions", "users are given too").hint("give one of them").into()),
        (Some(_), None) if section.users.is_some() => {
            Err(Fault::at("sessions", "users without a trace have no sessions").into())
        }
        (Some(s), None) => {
            let think = s.think.as_deref().map(|t| duration(key!["sessions", "think"], t)).transpose()?;
            Ok(Play::Closed(ClosedPlay::Sessions { think }))
        }
        (None, Some(u)) => {
            let mut faults = Faults::default();
            for (key, given) in [
                ("requests", u.requests.is_some()),
                ("prompt_tokens", u.prompt_tokens.is_some()),
                ("output_tokens", u.output_tokens.is_some()),
            ] {
                if given {
                    let fault = Fault::at(key!["users", key], "beside a trace users send its requests");
                    faults.push(fault.hint("limit cuts them"));
                }
            }
            if faults.or(SimTime::ZERO, duration(key!["users", "ramp"], &u.ramp)) != SimTime::ZERO {
                faults.push(
                    Fault::at(key!["users", "ramp"], "beside a trace all users begin at once").hint("leave it out"),
                );
            }
            let users = faults.or_default(at_least_1(key!["users", "concurrency"], u.concurrency));
            let think = faults.or(SimTime::ZERO, duration(key!["users", "think"], &u.think));
            faults.finish(Play::Closed(ClosedPlay::Users { users, think }))
        }
    }
}
