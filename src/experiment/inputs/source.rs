//! Opens what `[trace]` names. The only place of the library that turns a trace's name into a file.
use super::super::resolve::{ArrivalSpec, TraceKind, TraceSpec};
use super::super::whole_text::{LONGEST_TOML, read_text};
use super::on_disk::OnDisk;
use super::published;
use baseload_core::types::{Entries, Fault, Faults, Source, TraceFault};
use baseload_trace::{
    Arrivals, Classes, ClosedLoop, ClosedLoopSpec, ColumnMap, Format, GenerateSpec, Generator, How, Opened, Process,
    Readers, SourceOptions, Strictness, Transform, Unplayable, transform,
};
use std::path::{Path, PathBuf};

/// A trace, found and checked, that every simulation opens anew.
#[derive(Debug, Clone)]
pub struct TraceOrigin {
    kind: Kind,
    /// The key of `[trace]` that names it.
    named: &'static str,
    readers: Readers,
    /// What becomes of a file's rows that are no requests.
    strictness: Strictness,
    /// Arrivals instead of the trace's own, and the file that says them.
    arrivals: Option<(Arrivals, Option<PathBuf>)>,
    transforms: Vec<Transform>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// A file or folder, what it is said to be, and the map of its columns.
    File(PathBuf, Option<Format>, Option<Columns>),
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
) -> Result<Opened, TraceFault> {
    open_trace_with(path, &How { format, ..How::by_content(Classes::known(classes)) }, options)
}

/// Opens a trace of any form, as `how` says.
///
/// # Errors
/// With the path, the line and what would be right.
pub fn open_trace_with(path: &Path, how: &How, options: &SourceOptions) -> Result<Opened, TraceFault> {
    baseload_trace::open_in(&OnDisk(path), how, options)
}

/// `entries` as `transforms` make them; their paths start at `folder`, and these readers open them.
///
/// # Errors
/// The transforms' own, their keys counted from the list; what they read.
pub fn transformed(
    entries: Box<dyn Entries>,
    classes: &Classes,
    options: &SourceOptions,
    transforms: &[Transform],
    (folder, readers): (&Path, &Readers),
) -> Result<Box<dyn Entries>, Unplayable> {
    let mut open = |path: &str| {
        let how = How { readers: readers.clone(), ..How::by_content(classes.clone()) };
        let opened = open_trace_with(&folder.join(path), &how, options).map_err(|fault| match fault.hint {
            Some(_) => fault,
            None => fault.hint("a path of a transform is relative to the file that names it"),
        })?;
        Ok(baseload_trace::prepare(opened, options))
    };
    let (seed, replicate) = (options.seed, options.replicate);
    let mut context = transform::Context { seed, replicate, classes: classes.clone(), open: &mut open };
    transform::apply(entries, transforms, &mut context)
}

/// A generator's specification.
fn specification(path: &Path) -> Result<GenerateSpec, TraceFault> {
    let name = path.display().to_string();
    let text = read_text(path, LONGEST_TOML)?;
    GenerateSpec::parse(&text, &name)
}

/// Finds what an experiment's trace names.
///
/// # Errors
/// What is not there and how to get it; what is wrong with a generator's specification or a map of columns. Keys are counted
/// from `trace`.
pub fn find(spec: &TraceSpec) -> Result<TraceOrigin, Faults> {
    let mut faults = Faults::default();
    let columns = spec.columns.as_ref().map(|path| columns(path).map_err(|e| Fault::from(e).under("columns")));
    let columns = faults.or_default(columns.transpose());
    let relative = "the path is relative to the experiment file";
    let kind = match &spec.kind {
        TraceKind::Published(name) => {
            let path = published::find(name).map_err(|fault| fault.under("source"));
            path.map(|path| Kind::File(path, spec.format, columns))
        }
        TraceKind::File(path) if path.exists() => Ok(Kind::File(path.clone(), spec.format, columns)),
        TraceKind::File(path) => Err(Fault::at("path", format!("{} is not there", path.display())).hint(relative)),
        TraceKind::Generate(path) if path.is_file() => specification(path)
            .map(|made| Kind::Generate(Box::new(made), path.clone()))
            .map_err(|e| Fault::from(e).under("generate")),
        TraceKind::Generate(path) => {
            Err(Fault::at("generate", format!("{} is not a file", path.display())).hint(relative))
        }
        TraceKind::Users(users) => Ok(Kind::Users(users.clone())),
    };
    let arrivals = spec.arrivals.as_ref().map(|arrivals| match arrivals {
        ArrivalSpec::PerSecond(rate) => Ok((Arrivals::constant_rate(Process::Poisson, *rate), None)),
        ArrivalSpec::Of(path) => specification(path)
            .map(|made| (made.arrivals, Some(path.clone())))
            .map_err(|e| Fault::from(e).under("arrivals")),
    });
    let arrivals = faults.or_default(arrivals.transpose());
    let Some(kind) = faults.take(kind) else { return Err(faults) };
    let (readers, transforms, named) = (spec.readers.clone(), spec.transforms.clone(), spec.kind.key());
    faults.finish(TraceOrigin { kind, named, readers, strictness: spec.strictness, arrivals, transforms })
}

/// A map of columns and where it lies.
type Columns = Box<(ColumnMap, PathBuf)>;

fn columns(path: &Path) -> Result<Columns, TraceFault> {
    let name = path.display().to_string();
    let text = read_text(path, LONGEST_TOML)?;
    Ok(Box::new((ColumnMap::parse(&text, &name)?, path.to_path_buf())))
}

impl TraceOrigin {
    /// This trace with more transforms behind its own.
    #[must_use]
    pub fn then(mut self, more: impl IntoIterator<Item = Transform>) -> TraceOrigin {
        self.transforms.extend(more);
        self
    }

    /// The files it reads, each with its role in the manifest; those of a folder by name.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn files(&self) -> Result<Vec<(&'static str, PathBuf)>, TraceFault> {
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
                trace_files(Path::new(path), &mut files)?;
            }
        }
        Ok(files)
    }

    /// A fresh source.
    ///
    /// # Errors
    /// The reader's, with file and line; of the transforms and of how it is played, with a key counted from `trace`.
    pub fn open(&self, classes: &[String], options: &SourceOptions) -> Result<Box<dyn Source>, Unplayable> {
        self.opened(classes, options).map_err(|why| match why {
            Unplayable::Asked(fault) if fault.key.is_empty() => fault.under(self.named).into(),
            why => why,
        })
    }

    fn opened(&self, classes: &[String], options: &SourceOptions) -> Result<Box<dyn Source>, Unplayable> {
        let entries: Box<dyn Entries> = match &self.kind {
            Kind::File(path, format, columns) => {
                let name = columns.as_ref().map(|c| c.1.display().to_string());
                let columns = columns.as_ref().zip(name.as_deref()).map(|(c, name)| (&c.0, name));
                let (readers, classes) = (self.readers.clone(), Classes::known(classes));
                let strictness = self.strictness;
                let how = How { readers, format: *format, columns, classes, strictness };
                baseload_trace::prepare(open_trace_with(path, &how, options)?, options)
            }
            Kind::Generate(spec, path) => Box::new(Generator::of(spec, &OnDisk(path), options)?),
            Kind::Users(spec) => return Ok(Box::new(ClosedLoop::new(spec, options)?)),
        };
        let entries = match &self.arrivals {
            Some((arrivals, _)) => Box::new(baseload_trace::retimed(entries, arrivals, options)?),
            None => entries,
        };
        let beside = (Path::new(""), &self.readers);
        let entries = transformed(entries, &Classes::known(classes), options, &self.transforms, beside);
        let entries = entries.map_err(|why| match why {
            Unplayable::Asked(fault) => fault.under("transform").into(),
            unread => unread,
        })?;
        baseload_trace::play(entries, options)
    }
}

/// A trace's file, or all files of its folder in order of name.
fn trace_files(path: &Path, files: &mut Vec<(&'static str, PathBuf)>) -> Result<(), TraceFault> {
    if !path.is_dir() {
        files.push(("trace", path.to_path_buf()));
        return Ok(());
    }
    let fault = |e: std::io::Error| TraceFault::of(path.display().to_string(), e.to_string());
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
