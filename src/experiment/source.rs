//! Opens what `[trace]` names. The only place of the library that turns a trace's name into a file.
use super::file::TraceSection;
use crate::trace::{
    self, Classes, ClosedLoop, ClosedLoopSpec, Format, GenerateSpec, Generator, How, LengthSpec, Opened, SourceOptions,
    Think,
};
use crate::types::{SimTime, Source, parse_duration};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Where published traces lie.
pub const DATA_VARIABLE: &str = "BASELOAD_DATA";

/// Said wherever buckets are spread.
const SPREAD_NOTE: &str = "trace: arrivals stand in 3-second buckets and are spread over each by seed; \
                           trace.spread_buckets = false replays them as published";

/// A trace, found and checked, that every simulation opens anew.
#[derive(Debug, Clone)]
pub enum TraceOrigin {
    /// A file.
    File(PathBuf),
    /// A generator and the file that specifies it.
    Generate(Box<GenerateSpec>, PathBuf),
    /// Users.
    Users(Box<ClosedLoopSpec>),
}

/// Opens a file for reading, through gzip or zstd where its first bytes say so.
///
/// # Errors
/// With the path.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>, String> {
    let fault = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(fault)?);
    let magic = file.fill_buf().map_err(fault)?;
    Ok(if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(file)))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::with_capacity(1 << 16, zstd::stream::read::Decoder::with_buffer(file).map_err(fault)?))
    } else {
        Box::new(file)
    })
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
        let clients = super::open_servegen(path)?;
        let entries = Box::new(Generator::servegen(&clients, None, options)?);
        return Ok(Opened { format: Format::ServeGen, entries });
    }
    if how.format == Some(Format::Generator) || how.format.is_none() && path.extension().is_some_and(|e| e == "toml") {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
        let spec = GenerateSpec::parse(&text, &name)?;
        return Ok(Opened { format: Format::Generator, entries: Box::new(generator(&spec, path, options)?) });
    }
    let mut reader = open_text(path)?;
    let parquet = reader.fill_buf().is_ok_and(|head| head.starts_with(b"PAR1"));
    if parquet || how.format == Some(Format::Parquet) {
        return open_parquet(path, how);
    }
    trace::open_with(reader, &name, how)
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
        None => Generator::new(spec, options),
        Some(pool) => {
            let folder = path.parent().unwrap_or(Path::new("")).join(&pool.path);
            Generator::of_pool(spec, &super::open_servegen(&folder)?, options)
        }
    }
}

impl TraceOrigin {
    /// Finds what the section names; paths start at `folder`.
    ///
    /// # Errors
    /// With the key, and what to do.
    pub fn find(section: &TraceSection, folder: &Path) -> Result<TraceOrigin, String> {
        match (&section.source, &section.path, &section.generate, &section.users) {
            (Some(name), None, None, None) => published(name).map(TraceOrigin::File),
            (None, Some(path), None, None) => {
                let path = folder.join(path);
                if path.is_file() {
                    Ok(TraceOrigin::File(path))
                } else {
                    Err(format!(
                        "trace.path: {} is not a file; the path is relative to the experiment file",
                        path.display()
                    ))
                }
            }
            (None, None, Some(spec), None) => {
                let path = folder.join(spec);
                let mut text = String::new();
                let read = File::open(&path).and_then(|mut f| f.read_to_string(&mut text));
                read.map_err(|e| {
                    format!("trace.generate: {}: {e}; the path is relative to the experiment file", path.display())
                })?;
                let spec = GenerateSpec::parse(&text, &path.display().to_string());
                let spec = spec.map_err(|e| format!("trace.generate: {e}"))?;
                Ok(TraceOrigin::Generate(Box::new(spec), path))
            }
            (None, None, None, Some(u)) => {
                let counts = [
                    ("concurrency", u64::from(u.concurrency)),
                    ("requests", u.requests),
                    ("prompt_tokens", u.prompt_tokens.into()),
                    ("output_tokens", u.output_tokens.into()),
                ];
                if let Some((key, _)) = counts.iter().find(|(_, n)| *n == 0) {
                    return Err(format!("trace.users.{key} is 0; it must be at least 1"));
                }
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
                Ok(TraceOrigin::Users(Box::new(ClosedLoopSpec {
                    users: u.concurrency,
                    requests: Some(u.requests),
                    duration: None,
                    ramp: SimTime::ZERO,
                    think: if think == SimTime::ZERO { Think::None } else { Think::Exponential { mean: think } },
                    prompt: length(u.prompt_tokens),
                    output: length(u.output_tokens),
                    max_output_tokens: None,
                })))
            }
            _ => Err("trace: give exactly one of source, path, generate, users".into()),
        }
    }

    /// The file it reads, with its role in the manifest.
    pub fn file(&self) -> Option<(&'static str, &Path)> {
        match self {
            TraceOrigin::File(path) => Some(("trace", path)),
            TraceOrigin::Generate(_, path) => Some(("generator", path)),
            TraceOrigin::Users(_) => None,
        }
    }

    /// What a reader of results should know of how it is read, if there is something.
    ///
    /// # Errors
    /// The reader's, with file and line.
    pub fn note(&self, options: &SourceOptions) -> Result<Option<String>, String> {
        let TraceOrigin::File(path) = self else { return Ok(None) };
        let source = open_trace(path, None, &[], options)?;
        let spreads = source.format.bucket_ns() > 0 && options.spread_buckets;
        Ok(spreads.then(|| SPREAD_NOTE.into()))
    }

    /// A fresh source.
    ///
    /// # Errors
    /// The reader's, with file and line.
    pub fn open(&self, classes: &[String], options: &SourceOptions) -> Result<Box<dyn Source>, String> {
        Ok(match self {
            TraceOrigin::File(path) => {
                let opened = open_trace(path, None, classes, options)?;
                trace::play(trace::prepare(opened, options), options)?
            }
            TraceOrigin::Generate(spec, path) => trace::play(Box::new(generator(spec, path, options)?), options)?,
            TraceOrigin::Users(spec) => Box::new(ClosedLoop::new(spec, options)?),
        })
    }
}

/// A published trace's file below `$BASELOAD_DATA/traces`.
fn published(name: &str) -> Result<PathBuf, String> {
    let file = match name {
        "azure-2023-conv" => "AzureLLMInferenceTrace_conv.csv",
        "mooncake-conversation" => "mooncake_conversation_trace.jsonl",
        _ => {
            let known = ["azure-2023-conv", "mooncake-conversation"];
            return Err(format!(
                "trace.source: {}",
                crate::catalog::unknown("trace", name, known.into_iter(), "traces/README.md")
            ));
        }
    };
    let folder = std::env::var_os(DATA_VARIABLE).ok_or_else(|| {
        format!("trace.source: `{name}` is a published trace that is not part of this repository: download it and set {DATA_VARIABLE} to the folder that holds traces/{file}")
    })?;
    let path = PathBuf::from(folder).join("traces").join(file);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!(
            "trace.source: {} is not there; {DATA_VARIABLE} names the folder that holds traces/{file}",
            path.display()
        ))
    }
}
