//! Writes a trace: read, transformed, written beside its place and then put there.
use super::input::{Input, bar, untried};
use crate::cli::stop::Stop;
use crate::cli::{Exit, printer};
use crate::experiment::{WholeFile, transformed};
use crate::frames::{NotWritten, TraceWriter, Width};
use crate::report;
use baseload_core::types::numbers::thousands;
use baseload_core::types::{Clock, Entries, Entry, Fault, TraceFault, wrong};
use baseload_trace::{
    Buckets, Classes, Format, OWN_CSV, OWN_JSONL, Opened, PARQUET, Readers, Sorted, SourceOptions, TextWriter,
    Transform, Unplayable,
};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// A trace to write.
pub struct Job<'a> {
    /// The trace to read.
    pub input: &'a Path,
    /// How the trace is read.
    pub how: &'a Input,
    /// The file to write.
    pub output: &'a Path,
    /// What to write, instead of what the file's ending says.
    pub format: Option<Format>,
    /// Seed of draws, and whether to sort first.
    pub options: SourceOptions,
    /// Transforms of the trace, in order.
    pub transforms: &'a [Transform],
    /// Folder that paths of transforms are relative to.
    pub folder: &'a Path,
}

/// Writes it and says what was written.
///
/// # Errors
/// The reader's, the transforms' and the writer's; nothing is left then.
pub fn put(job: &Job<'_>) -> Result<(), Exit> {
    let format = match job.format {
        Some(format) => format,
        None => by_ending(job.output)?,
    };
    let stop = Stop::on_ctrl_c()?;
    let file = WholeFile::new(job.output)?;
    stop.removes(file.scrap());
    let mut done = job.pass(format, file.path(), Width::Narrow, &stop);
    if matches!(done, Err(Stopped::NotWritten(NotWritten::TooNarrow))) {
        done = job.pass(format, file.path(), Width::Wide, &stop);
    }
    if stop.is_set() {
        return Err(Exit::Interrupted);
    }
    let (count, notes) = match done {
        Ok(done) => done,
        Err(Stopped::Asked) => return Err(Exit::Interrupted),
        Err(Stopped::Unplayable(Unplayable::Asked(fault))) => return Err(fault.under("transform").into()),
        Err(Stopped::Unplayable(Unplayable::Unread(fault)) | Stopped::NotWritten(NotWritten::Fault(fault))) => {
            return Err(fault.into());
        }
        Err(Stopped::NotWritten(NotWritten::TooNarrow)) => unreachable!("wide-is-all: a wide writer has every column"),
    };
    file.finish()?;
    printer::out(&format!("{}: {} requests, {}", job.output.display(), thousands(count), format.name));
    for note in notes {
        printer::out(&report::wrapped(&format!("note: {note}"), report::WIDTH, 2));
    }
    Ok(())
}

fn by_ending(path: &Path) -> Result<Format, Fault> {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let bare = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match bare.rsplit_once('.').map(|(_, ending)| ending) {
        Some("parquet") if bare == name => Ok(PARQUET),
        Some("csv") => Ok(OWN_CSV),
        Some("jsonl" | "ndjson") => Ok(OWN_JSONL),
        _ => {
            let fault = Fault::new(format!("{}: its ending says no format", path.display()));
            Err(fault.hint("it must be .parquet, .csv or .jsonl, or give --output-format"))
        }
    }
}

/// Why a trace was not written to its end.
enum Stopped {
    /// Ctrl-C.
    Asked,
    NotWritten(NotWritten),
    /// The trace has not what its transforms ask for.
    Unplayable(Unplayable),
}

impl From<Unplayable> for Stopped {
    fn from(why: Unplayable) -> Stopped {
        Stopped::Unplayable(why)
    }
}

impl From<NotWritten> for Stopped {
    fn from(why: NotWritten) -> Stopped {
        Stopped::NotWritten(why)
    }
}

impl From<TraceFault> for Stopped {
    fn from(fault: TraceFault) -> Stopped {
        NotWritten::Fault(fault).into()
    }
}

impl Job<'_> {
    fn pass(&self, format: Format, beside: &Path, width: Width, stop: &Stop) -> Result<(u64, Vec<String>), Stopped> {
        let classes = Classes::any();
        let Opened { format: read_as, mut entries } = self.how.open(self.input, &classes, &self.options)?;
        let progress = bar(entries.total());
        if self.options.sort {
            entries = Box::new(Sorted::new(entries));
        }
        if !self.transforms.is_empty() {
            // Other rates and other times are of arrivals as they are replayed.
            if read_as.bucket_ns > 0 {
                entries = Box::new(Buckets::new(entries, read_as.bucket_ns, &self.options));
            }
            entries =
                transformed(entries, &classes, &self.options, self.transforms, (self.folder, &Readers::embedded()))?;
        }
        let clock = entries.clock();
        let mut entry = Entry::blank();
        let mut more = entries.next(&mut entry)?;
        let mut out = Out::create(format, self.output, beside, clock, width)?;
        let mut order = InOrder(i64::MIN, clock);
        let mut count = 0;
        while more {
            order.check(&entry, &*entries)?;
            out.write(&entry, &classes).map_err(|why| located(why, &*entries))?;
            count += 1;
            if count % 65_536 == 0 {
                progress.set_position(count);
                if stop.is_set() {
                    return Err(Stopped::Asked);
                }
            }
            more = entries.next(&mut entry)?;
        }
        if count == 0 {
            return Err(TraceFault::no_requests().in_file(&entries.place()).into());
        }
        let mut notes: Vec<String> = untried(read_as).into_iter().collect();
        notes.extend(entries.notes());
        if read_as.drawn {
            notes.push(format!("the generator was drawn with seed {}", self.options.seed));
        }
        if read_as.bucket_ns > 0 && format != read_as && self.transforms.is_empty() {
            notes.push(format!(
                "arrivals stand in buckets of {} s as published; only {} itself is spread over them when replayed",
                read_as.bucket_ns / 1_000_000_000,
                read_as.name
            ));
        }
        if clock == Clock::Zero {
            notes
                .push("arrivals count from the first request in the file, not from the start of the simulation".into());
        }
        notes.extend(out.finish(&classes)?);
        progress.finish_and_clear();
        Ok((count, notes))
    }
}

/// A fault with the place of the request that was not written.
fn located(why: NotWritten, entries: &dyn Entries) -> NotWritten {
    match why {
        NotWritten::Fault(fault) => fault.in_file(&entries.place()).into(),
        NotWritten::TooNarrow => why,
    }
}

/// Checks that times do not go back, where all requests have one clock.
struct InOrder(i64, Clock);

impl InOrder {
    fn check(&mut self, entry: &Entry, entries: &dyn Entries) -> Result<(), TraceFault> {
        if matches!(self.1, Clock::Common | Clock::Zero) && entry.at_ns < self.0 {
            let back = (i128::from(self.0) - i128::from(entry.at_ns)) as f64 / 1e9;
            let fault = TraceFault::of(entries.place(), format!("time goes back by {back} s from the request before"));
            return Err(fault.hint("give --sort to put them in order"));
        }
        self.0 = entry.at_ns;
        Ok(())
    }
}

/// A trace that is being written.
enum Out {
    Parquet(Box<TraceWriter>),
    Text(Box<TextWriter>, Box<dyn Finish>),
}

/// A stream that has something to write at its end.
trait Finish: Write {
    fn end(self: Box<Self>) -> std::io::Result<()>;
}

impl Finish for BufWriter<File> {
    fn end(mut self: Box<Self>) -> std::io::Result<()> {
        self.flush()
    }
}

impl Finish for flate2::write::GzEncoder<BufWriter<File>> {
    fn end(self: Box<Self>) -> std::io::Result<()> {
        self.finish()?.flush()
    }
}

impl Finish for zstd::stream::write::Encoder<'static, BufWriter<File>> {
    fn end(self: Box<Self>) -> std::io::Result<()> {
        self.finish()?.flush()
    }
}

impl Out {
    /// `name` says by its ending how a text is compressed.
    fn create(format: Format, name: &Path, beside: &Path, clock: Clock, width: Width) -> Result<Out, TraceFault> {
        if format == PARQUET {
            return Ok(Out::Parquet(Box::new(TraceWriter::new(beside, clock, width))));
        }
        let writer = TextWriter::new(format, clock)?;
        let fault = |e: std::io::Error| TraceFault::of(beside.display(), e);
        let file = BufWriter::with_capacity(1 << 16, File::create(beside).map_err(fault)?);
        let stream: Box<dyn Finish> = match name.extension().and_then(|e| e.to_str()) {
            Some("gz") => Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::default())),
            Some("zst") => Box::new(zstd::stream::write::Encoder::new(file, 3).map_err(fault)?),
            _ => Box::new(file),
        };
        Ok(Out::Text(Box::new(writer), stream))
    }

    fn write(&mut self, entry: &Entry, classes: &Classes) -> Result<(), NotWritten> {
        match self {
            Out::Parquet(writer) => writer.write(entry, || classes.names()),
            Out::Text(writer, stream) => {
                let names = if entry.class == u16::MAX { Vec::new() } else { classes.names() };
                Ok(writer.write(entry, &names, stream)?)
            }
        }
    }

    fn finish(self, classes: &Classes) -> Result<Vec<String>, TraceFault> {
        match self {
            Out::Parquet(writer) => writer.finish(&classes.names()).map(|_| Vec::new()),
            Out::Text(writer, stream) => {
                stream.end().map_err(|e| wrong!("the trace cannot be written: {e}"))?;
                Ok(writer.notes())
            }
        }
    }
}
