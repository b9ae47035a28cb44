//! Opens what `[trace]` names. The only place of the library that turns a trace's name into a file.
use super::super::format::{TraceSection, UsersSection};
use super::{open_servegen, open_text, published};
use baseload_core::types::{Entries, SimTime, Source, parse_duration};
use baseload_trace::{
    Arrivals, Classes, ClosedLoop, ClosedLoopSpec, ClosedPlay, ColumnMap, Format, GenerateSpec, Generator, How,
    LengthSpec, Opened, Play, Process, SourceOptions, Think, Transform, transform,
};
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// A trace, found and checked, that every simulation opens anew.
#[derive(Debug, Clone)]
pub struct TraceOrigin {
    kind: Kind,
    /// Arrivals instead of the trace's own, and the file that says them.
    arrivals: Option<(Arrivals, Option<PathBuf>)>,
    transforms: Vec<Transform>,
    /// Where paths of transforms start.
    folder: PathBuf,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A file or folder, what it is said to be, and the map of its columns.
    File(PathBuf, Option<Format>, Option<Box<(ColumnMap, PathBuf)>>),
    /// A generator and the file that specifies it.
    Generate(Box<GenerateSpec>, PathBuf),
    /// Users with prompts of their own.
    Users(Box<ClosedLoopSpec>),
}

/// Opens a trace of any form: a text in a known format, plain or compressed, Parquet, or a generator's specification
/// (`.toml`). `format` is what it is said to be; else its content says it. `classes` are the experiment's, in order.
///
/// # Errors
/// With the path, the line and what would be right.
pub fn open_trace(
    path: &Path,
    format: Option<Format>,
    classes: &[String],
    options: &SourceOptions,
) -> Result<Opened, String> {
    open_trace_with(path, &How { format, columns: None, classes: Classes::known(classes) }, options)
}

/// Opens a trace of any form, as `how` says.
///
/// # Errors
/// With the path, the line and what would be right.
pub fn open_trace_with(path: &Path, how: &How, options: &SourceOptions) -> Result<Opened, String> {
    let name = path.display().to_string();
    if how.format == Some(Format::ServeGen) || how.format.is_none() && path.is_dir() {
        let clients = open_servegen(path)?;
        let entries = Box::new(Generator::servegen(&clients, None, options)?);
        return Ok(Opened { format: Format::ServeGen, entries });
    }
    if how.format == Some(Format::Generator) || how.format.is_none() && path.extension().is_some_and(|e| e == "toml") {
        let spec = specification(path)?;
        return Ok(Opened { format: Format::Generator, entries: Box::new(generator(&spec, path, options)?) });
    }
    let mut reader = open_text(path)?;
    let parquet = reader.fill_buf().is_ok_and(|head| head.starts_with(b"PAR1"));
    if parquet || how.format == Some(Format::Parquet) {
        return open_parquet(path, how);
    }
    Ok(baseload_trace::open_with(reader, &name, how)?)
}

#[cfg(feature = "frames")]
fn open_parquet(path: &Path, how: &How) -> Result<Opened, String> {
    let entries = crate::frames::TraceReader::open(path, how.columns, &how.classes)?;
    let format = if how.columns.is_some() { Format::Columns } else { Format::Parquet };
    Ok(Opened { format, entries: Box::new(entries) })
}

#[cfg(not(feature = "frames"))]
fn open_parquet(path: &Path, _: &How) -> Result<Opened, String> {
    Err(format!("{}: this build reads no Parquet; build it with the feature `frames`", path.display()))
}

/// The generator that a specification at `path` describes; a pool of clients that it names is read.
fn generator(spec: &GenerateSpec, path: &Path, options: &SourceOptions) -> Result<Generator, String> {
    match &spec.servegen {
        None => Ok(Generator::new(spec, options)?),
        Some(pool) => {
            let folder = path.parent().unwrap_or(Path::new("")).join(&pool.path);
            Ok(Generator::of_pool(spec, &open_servegen(&folder)?, options)?)
        }
    }
}

/// `entries` as `transforms` make them; their paths start at `folder`.
///
/// # Errors
/// The transforms' own; what they open.
pub fn transformed(
    entries: Box<dyn Entries>,
    classes: &Classes,
    options: &SourceOptions,
    transforms: &[Transform],
    folder: &Path,
) -> Result<Box<dyn Entries>, String> {
    let mut open = |path: &str| {
        let how = How { format: None, columns: None, classes: classes.clone() };
        Ok(baseload_trace::prepare(open_trace_with(&folder.join(path), &how, options)?, options))
    };
    let (seed, replicate) = (options.seed, options.replicate);
    let mut context = transform::Context { seed, replicate, classes: classes.clone(), open: &mut open };
    Ok(transform::apply(entries, transforms, &mut context)?)
}

/// A generator's specification.
fn specification(path: &Path) -> Result<GenerateSpec, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    Ok(GenerateSpec::parse(&text, &name)?)
}

impl TraceOrigin {
    /// Finds what the section names; paths start at `folder`.
    ///
    /// # Errors
    /// With the key, and what to do.
    pub fn find(section: &TraceSection, folder: &Path) -> Result<TraceOrigin, String> {
        let kind = Kind::find(section, folder)?;
        let arrivals = match (&section.arrivals, section.arrivals_per_s) {
            (None, None) => None,
            (Some(_), Some(_)) => return Err("trace.arrivals_per_s: arrivals are given too; give one of them".into()),
            (None, Some(rate)) if !(rate.is_finite() && rate > 0.0) => {
                return Err(format!("trace.arrivals_per_s is {rate}; it must be a number above 0"));
            }
            (None, Some(rate)) => Some((Arrivals::constant_rate(Process::Poisson, rate), None)),
            (Some(path), None) => {
                let path = folder.join(path);
                Some((specification(&path).map_err(|e| format!("trace.arrivals: {e}"))?.arrivals, Some(path)))
            }
        };
        let plain = arrivals.is_none() && section.transform.is_empty();
        if let (Kind::Users(_), false) = (&kind, plain) {
            return Err("trace.users: users without a trace have neither arrivals nor transforms".into());
        }
        Ok(TraceOrigin { kind, arrivals, transforms: section.transform.clone(), folder: folder.to_path_buf() })
    }

    /// The same trace with more transforms behind its own.
    #[must_use]
    pub fn then(mut self, more: impl IntoIterator<Item = Transform>) -> TraceOrigin {
        self.transforms.extend(more);
        self
    }

    /// The files it reads, each with its role in the manifest; those of a folder by name.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn files(&self) -> Result<Vec<(&'static str, PathBuf)>, String> {
        let mut files = Vec::new();
        match &self.kind {
            Kind::File(path, _, columns) => {
                trace_files(path, &mut files)?;
                files.extend(columns.iter().map(|c| ("columns", c.1.clone())));
            }
            Kind::Generate(spec, path) => {
                files.push(("generator", path.clone()));
                if let Some(pool) = &spec.servegen {
                    trace_files(&path.parent().unwrap_or(Path::new("")).join(&pool.path), &mut files)?;
                }
            }
            Kind::Users(_) => {}
        }
        files.extend(self.arrivals.iter().filter_map(|(_, path)| path.clone()).map(|path| ("arrivals", path)));
        for t in &self.transforms {
            if let Transform::Superpose(transform::Superpose { with: Some(path), .. }) = t {
                trace_files(&self.folder.join(path), &mut files)?;
            }
        }
        Ok(files)
    }

    /// A fresh source.
    ///
    /// # Errors
    /// The reader's, with file and line; the transforms' own; what a closed loop needs and the trace does not have.
    pub fn open(&self, classes: &[String], options: &SourceOptions) -> Result<Box<dyn Source>, String> {
        let entries: Box<dyn Entries> = match &self.kind {
            Kind::File(path, format, columns) => {
                let name = columns.as_ref().map(|c| c.1.display().to_string());
                let columns = columns.as_ref().zip(name.as_deref()).map(|(c, name)| (&c.0, name));
                let how = How { format: *format, columns, classes: Classes::known(classes) };
                baseload_trace::prepare(open_trace_with(path, &how, options)?, options)
            }
            Kind::Generate(spec, path) => Box::new(generator(spec, path, options)?),
            Kind::Users(spec) => return Ok(Box::new(ClosedLoop::new(spec, options)?)),
        };
        let entries = match &self.arrivals {
            Some((arrivals, _)) => Box::new(baseload_trace::retimed(entries, arrivals, options)?),
            None => entries,
        };
        let entries = transformed(entries, &Classes::known(classes), options, &self.transforms, &self.folder)
            .map_err(|e| format!("trace.transform: {e}"))?;
        Ok(baseload_trace::play(entries, options)?)
    }
}

/// A trace's file, or all files of its folder in order of name.
fn trace_files(path: &Path, files: &mut Vec<(&'static str, PathBuf)>) -> Result<(), String> {
    if !path.is_dir() {
        files.push(("trace", path.to_path_buf()));
        return Ok(());
    }
    let fault = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    files.extend(found.into_iter().map(|path| ("trace", path)));
    Ok(())
}

impl Kind {
    fn find(section: &TraceSection, folder: &Path) -> Result<Kind, String> {
        let format = section.input_format.as_deref().map(Format::of_name).transpose();
        let format = format.map_err(|e| format!("trace.input_format: {e}"))?;
        let columns = match &section.columns {
            None => None,
            Some(path) => {
                let path = folder.join(path);
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|e| format!("trace.columns: {}: {e}", path.display()))?;
                let map = ColumnMap::parse(&text, &path.display().to_string());
                Some(Box::new((map.map_err(|e| format!("trace.columns: {e}"))?, path)))
            }
        };
        match (&section.source, &section.path, &section.generate, &section.users) {
            (Some(name), None, None, _) => {
                published::find("trace.source", name).map(|path| Kind::File(path, format, columns))
            }
            (None, Some(path), None, _) => {
                let path = folder.join(path);
                if path.exists() {
                    Ok(Kind::File(path, format, columns))
                } else {
                    Err(format!(
                        "trace.path: {} is not there; the path is relative to the experiment file",
                        path.display()
                    ))
                }
            }
            (None, None, Some(spec), _) => {
                let path = folder.join(spec);
                if !path.is_file() {
                    return Err(format!(
                        "trace.generate: {} is not a file; the path is relative to the experiment file",
                        path.display()
                    ));
                }
                let spec = specification(&path).map_err(|e| format!("trace.generate: {e}"))?;
                Ok(Kind::Generate(Box::new(spec), path))
            }
            (None, None, None, Some(users)) => users_alone(section, users),
            _ => Err("trace: give exactly one of source, path, generate, users".into()),
        }
    }
}

/// Users with prompts of their own.
fn users_alone(section: &TraceSection, u: &UsersSection) -> Result<Kind, String> {
    let need = |key: &str, n: Option<u64>| match n {
        Some(0) => Err(format!("trace.users.{key} is 0; it must be at least 1")),
        Some(n) => Ok(n),
        None => Err(format!("trace.users.{key} is missing; users without a trace need it")),
    };
    need("concurrency", Some(u.concurrency.into()))?;
    let requests = need("requests", u.requests)?;
    let prompt = need("prompt_tokens", u.prompt_tokens.map(u64::from))? as u32;
    let output = need("output_tokens", u.output_tokens.map(u64::from))? as u32;
    if section.rate_scale != 1.0 {
        return Err("trace.rate_scale: users have no rate of their own; change trace.users instead".into());
    }
    let think = parse_duration(&u.think).map_err(|e| format!("trace.users.think: {e}"))?;
    let length = |median: u32| LengthSpec {
        median: Some(f64::from(median)),
        sigma: Some(0.5),
        max: Some(median.saturating_mul(8).max(1)),
        ..LengthSpec::default()
    };
    Ok(Kind::Users(Box::new(ClosedLoopSpec {
        users: u.concurrency,
        requests: Some(requests),
        duration: None,
        ramp: SimTime::ZERO,
        think: if think == SimTime::ZERO { Think::None } else { Think::Exponential { mean: think } },
        prompt: length(prompt),
        output: length(output),
        max_output_tokens: None,
    })))
}

/// How the section wants a trace played.
///
/// # Errors
/// With the key, and what to do.
pub fn play_of(section: &TraceSection) -> Result<Play, String> {
    let has_trace = section.source.is_some() || section.path.is_some() || section.generate.is_some();
    let time = |key: &str, text: &str| parse_duration(text).map_err(|e| format!("trace.{key}: {e}"));
    match (&section.sessions, section.users.as_ref().filter(|_| has_trace)) {
        (None, None) => Ok(Play::Open),
        (Some(_), Some(_)) => Err("trace.sessions: users are given too; give one of them".into()),
        (Some(_), None) if section.users.is_some() => {
            Err("trace.sessions: users without a trace have no sessions".into())
        }
        (Some(s), None) => {
            let think = s.think.as_deref().map(|t| time("sessions.think", t)).transpose()?;
            Ok(Play::Closed(ClosedPlay::Sessions { think }))
        }
        (None, Some(u)) => {
            for (key, given) in [
                ("requests", u.requests.is_some()),
                ("prompt_tokens", u.prompt_tokens.is_some()),
                ("output_tokens", u.output_tokens.is_some()),
            ] {
                if given {
                    return Err(format!("trace.users.{key}: beside a trace users send its requests; limit cuts them"));
                }
            }
            if u.concurrency == 0 {
                return Err("trace.users.concurrency is 0; it must be at least 1".into());
            }
            Ok(Play::Closed(ClosedPlay::Users { users: u.concurrency, think: time("users.think", &u.think)? }))
        }
    }
}
