//! `baseload trace validate`: the first faults of a trace, by line.
use super::input::{Input, bar, untried, untried_ones};
use crate::cli::{Exit, printer};
use crate::report;
use baseload_core::types::numbers::thousands;
use baseload_core::types::{Clock, Entries, Entry, IdSet, NO_SESSION, Rest, Status, TraceFault};
use baseload_trace::{Classes, Opened, SourceOptions, Strictness};
use rustc_hash::FxHashMap;
use std::path::PathBuf;

const CHECKS: &str = "Example:\n  baseload trace validate my-trace.csv --max-faults 3\n\n\
Checks torn lines, order of time, duplicate ids, content against prompt length,\nthat content names earlier requests, \
and the order inside sessions; counts\nanswers of 0 tokens. Rows that are no calls of a model are left out and counted; one that\n\
cannot be read is a fault here and left out by other commands. Goes on behind a faulty\nline. Exits with 2 on a fault.";

/// List the first faults of a trace by line, and count what is in it
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{CHECKS}\n\n{}", untried_ones()))]
pub struct Args {
    /// The trace
    file: PathBuf,
    #[command(flatten)]
    how: Input,
    /// Stop after so many faults
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    max_faults: u32,
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let (classes, options) = (Classes::any(), SourceOptions::default());
    let Opened { format, mut entries } = args.how.open_as(Strictness::Faults, &args.file, &classes, &options)?;
    let mut read = Read::new(entries.clock());
    read.all(&mut *entries, args.max_faults as usize, format.headed);
    let whole = read.whole;
    printer::out(&format!(
        "{}: {}, {} requests read{}",
        args.file.display(),
        format.name,
        thousands(read.count),
        if whole { "" } else { ", not to the end" }
    ));
    printer::out(&format!(
        "prompt tokens {}, output tokens {}, sessions {}, answers of 0 tokens {}, not completed {}",
        read.prompt_tokens,
        read.output_tokens,
        thousands(read.checks.sessions.len() as u64),
        thousands(read.empty),
        thousands(read.failed)
    ));
    for note in untried(format).into_iter().chain(entries.notes()) {
        printer::out(&report::wrapped(&format!("note: {note}"), report::WIDTH, 2));
    }
    for fault in &read.faults {
        printer::out(&format!("fault: {fault}"));
    }
    if read.faults.is_empty() {
        printer::out("no faults");
        return Ok(());
    }
    let more = if whole { "in all" } else { "and perhaps more behind" };
    let fault = TraceFault::of(args.file.display(), format!("{} faults {more}", read.faults.len()));
    Err(fault.hint("mend the lines that are named").into())
}

/// What was read of a trace.
struct Read {
    checks: Checks,
    faults: Vec<String>,
    count: u64,
    /// Answers of no tokens, and requests that were not completed.
    empty: u64,
    failed: u64,
    prompt_tokens: u128,
    output_tokens: u128,
    /// Whether it was read to its end.
    whole: bool,
}

impl Read {
    fn new(clock: Clock) -> Read {
        Read {
            checks: Checks::new(clock),
            faults: Vec::new(),
            count: 0,
            empty: 0,
            failed: 0,
            prompt_tokens: 0,
            output_tokens: 0,
            whole: true,
        }
    }

    /// Reads until the end, until so many faults or until there is no way on; `headed` says that the first line names columns.
    fn all(&mut self, entries: &mut dyn Entries, most: usize, headed: bool) {
        let progress = bar(entries.total());
        let (mut entry, mut last_place) = (Entry::blank(), String::new());
        loop {
            match entries.next(&mut entry) {
                Ok(false) => break,
                Ok(true) => {
                    self.take(&entry, entries);
                    if self.count.is_multiple_of(65_536) {
                        progress.set_position(self.count);
                    }
                }
                Err(fault) => {
                    let place = entries.place();
                    // The same place again is no new fault; nor is the end of a trace of which no request was sound. Behind a
                    // faulty header no row can be understood.
                    let again = place == last_place || !self.faults.is_empty() && fault.rest == Rest::NoRequests;
                    let stuck = again || fault.rest != Rest::MayRead || headed && place.ends_with(":1");
                    if !again {
                        self.faults.push(fault.to_string());
                    }
                    last_place = place;
                    if stuck {
                        self.whole = again && self.faults.len() < most;
                        break;
                    }
                }
            }
            if self.faults.len() >= most {
                self.whole = false;
                break;
            }
        }
        progress.finish_and_clear();
        self.faults.truncate(most);
    }

    fn take(&mut self, entry: &Entry, entries: &dyn Entries) {
        self.count += 1;
        self.empty += u64::from(entry.output_tokens == 0);
        self.failed += u64::from(entry.measured.status != Status::Completed);
        self.prompt_tokens += u128::from(entry.prompt_tokens);
        self.output_tokens += u128::from(entry.output_tokens);
        self.checks.of(entry, entries, &mut self.faults);
    }
}

/// What a reader does not check itself.
struct Checks {
    clock: Clock,
    last_ns: i64,
    /// Time of each session's last request.
    sessions: FxHashMap<u64, i64>,
    ids: IdSet,
}

impl Checks {
    fn new(clock: Clock) -> Checks {
        Checks { clock, last_ns: i64::MIN, sessions: FxHashMap::default(), ids: IdSet::default() }
    }

    fn of(&mut self, entry: &Entry, entries: &dyn Entries, faults: &mut Vec<String>) {
        let mut fault = |what: String| faults.push(format!("{}: {what}", entries.place()));
        let seconds = |from: i64| (i128::from(from) - i128::from(entry.at_ns)) as f64 / 1e9;
        let common = matches!(self.clock, Clock::Common | Clock::Zero);
        if common && entry.at_ns < self.last_ns {
            fault(format!(
                "time goes back by {} s from the request before; put the trace in order (trace convert --sort)",
                seconds(self.last_ns)
            ));
        }
        self.last_ns = entry.at_ns;
        if entry.session != NO_SESSION {
            let last = self.sessions.insert(entry.session, entry.at_ns).unwrap_or(i64::MIN);
            if !common && entry.at_ns < last {
                fault(format!(
                    "session {} goes back by {} s; a session's requests must be in order",
                    entry.session,
                    seconds(last)
                ));
            }
        }
        for run in &entry.content {
            if let Some(id) = run.id.brought_by()
                && !self.ids.is_full()
                && !self.ids.contains(id)
            {
                fault(format!("its content names request {id}, which does not come before it; it must"));
                break;
            }
        }
        if !self.ids.insert(entry.id) {
            fault(format!("id {} stands twice; it must be unique", entry.id));
        }
    }
}
