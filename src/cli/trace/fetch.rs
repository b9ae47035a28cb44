//! `baseload trace fetch`: gets published traces and checks that they are what they should be.
use super::download;
use super::download::Bounds;
use crate::cli::{Exit, printer};
use crate::experiment::published::{
    Checked, LISTING, Published, PublishedTrace, Record, cache_folder, record, write_record,
};
use crate::experiment::{Claim, LONGEST_TOML, read_text};
use crate::report::{self, Sheet};
use baseload_core::types::numbers::thousands;
use baseload_core::types::{Fault, SimTime, TraceFault, parse_duration, wrong};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Get a published trace, and check that it is the file it should be
///
/// Files go to $BASELOAD_CACHE, else $XDG_CACHE_HOME/baseload, else ~/.cache/baseload, and an experiment's
/// `[trace] source = "NAME"` finds them there, or below $BASELOAD_DATA/traces. A download that was cut goes on where it
/// ended. A file whose hash is not the manifest's is refused; where the manifest has none, the first fetch prints the
/// file's, and --trust records it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  baseload trace fetch --list\n  baseload trace fetch mooncake-conversation\n\nNo trace is part of \
this project; each has its own licence, which --list names for one NAME."
)]
pub struct Args {
    /// The trace
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Show the traces that are known, or all that is known of NAME
    #[arg(long)]
    list: bool,
    /// Use what is on this machine, and no network
    #[arg(long)]
    offline: bool,
    /// Trust a file whose hash the manifest does not have, and record its hash
    #[arg(long)]
    trust: bool,
    /// Keep files in this folder
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Another list of traces, such as your company's, in the form of traces/manifest.toml
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Largest file to take, where the manifest does not say its size
    #[arg(long, value_name = "GIB", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_gib: u64,
    /// Longest time of a download, such as `90m`; what came until then is kept, and the same command goes on from there
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = longest)]
    max_time: SimTime,
}

/// A time that is not nothing.
fn longest(text: &str) -> Result<SimTime, Fault> {
    match parse_duration(text)? {
        SimTime::ZERO => Err(Fault::new("it is 0").hint("it must be longer than 0")),
        time => Ok(time),
    }
}

impl Args {
    /// This command for a trace, with what says where its files are and are known from.
    fn again(&self, more: &str) -> String {
        let quoted = |path: &Path| {
            let text = path.display().to_string();
            let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
            if !text.is_empty() && text.chars().all(is_plain) {
                text
            } else {
                format!("'{}'", text.replace('\'', "'\\''"))
            }
        };
        let mut words = format!("baseload trace fetch {more}");
        let given = [("--manifest", &self.manifest), ("--cache", &self.cache)];
        for (option, path) in given.iter().filter_map(|(option, path)| Some((option, path.as_deref()?))) {
            words.push_str(&format!(" {option} {}", quoted(path)));
        }
        words
    }
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let manifest = match &args.manifest {
        None => Published::shipped(),
        Some(path) => {
            let text = read_text(path, LONGEST_TOML)?;
            Published::parse(&text, &path.display().to_string())?
        }
    };
    let cache = match &args.cache {
        Some(folder) => folder.clone(),
        None => cache_folder()?,
    };
    let Some(name) = &args.name else {
        printer::out(&list(&manifest, &cache));
        return Ok(());
    };
    let trace = manifest.get(name).map_err(|fault| {
        let hint = fault.hint.as_ref().map(|hint| hint.replace(LISTING, &args.again("--list")));
        Fault { hint, ..fault }
    })?;
    if args.list {
        printer::out(&details(trace, &cache));
        return Ok(());
    }
    printer::out(&fetch(trace, &cache, args)?);
    Ok(())
}

/// Gets it and says where it is.
fn fetch(trace: &PublishedTrace, cache: &Path, args: &Args) -> Result<String, TraceFault> {
    if let Some(path) = trace.in_data() {
        if trace.folder {
            return Ok(format!("{}\nit is among your data", path.display()));
        }
        return match trace.check(&path, &path)? {
            Checked::Right { sha256, .. } => Ok(said(&path, &sha256, "is the one meant; it is among your data")),
            Checked::Unknown { sha256, .. } => {
                Ok(said(&path, &sha256, "is nowhere to be compared; it is among your data"))
            }
        };
    }
    let path = cache.join(&trace.file);
    if trace.folder {
        return if path.is_dir() {
            Ok(format!("{}\nit is a folder, and is not checked", path.display()))
        } else {
            Err(wrong!("`{}` is a folder, which is not fetched", trace.name).hint(trace.by_hand(&path)))
        };
    }
    if path.is_file() {
        return settle(trace, &path, args);
    }
    if args.offline {
        let (name, at) = (&trace.name, path.display());
        let hint = if trace.url.is_empty() { trace.by_hand(&path) } else { "run it without --offline".into() };
        return Err(wrong!("`{name}` is not on this machine ({at}) and --offline forbids to fetch it").hint(hint));
    }
    if trace.url.is_empty() {
        return Err(wrong!("the address of `{}` is not known here", trace.name).hint(trace.by_hand(&path)));
    }
    let folder = path.parent().unwrap_or(cache);
    std::fs::create_dir_all(folder).map_err(|e| TraceFault::of(folder.display(), e))?;
    // Two that add to one part would make neither file.
    let _one = Claim::on(&path, &path, ["fetch is getting", "give another --cache", "give another --cache"])?;
    let part = with_ending(&path, ".part");
    let bounds = Bounds { bytes: args.max_gib << 30, time: Duration::from_nanos(args.max_time.0), ..Bounds::default() };
    download::to(&trace.url, &part, (trace.bytes, trace.known_sha256().is_some()), &bounds).map_err(|fault| {
        let hint = fault.hint.as_ref().map_or_else(String::new, |hint| format!("{hint}; or "));
        fault.of_part(format!("`{}`", trace.name)).hint(hint + &trace.by_hand(&path))
    })?;
    // Checked while it is still beside its place: a wrong file never has the right one's name.
    if let Err(fault) = trace.check(&part, &path) {
        download::forget(&part);
        let hint = fault.hint.as_ref().map_or_else(String::new, |hint| format!("{hint}. "));
        return Err(fault.hint(format!("{hint}{} sent it; nothing was kept", trace.url)));
    }
    std::fs::rename(&part, &path).map_err(|e| TraceFault::of(path.display(), e))?;
    download::forget(&part);
    settle(trace, &path, args)
}

/// Checks a file in the cache and records that it is right.
fn settle(trace: &PublishedTrace, path: &Path, args: &Args) -> Result<String, TraceFault> {
    let keep = |bytes, sha256: String, how: &str| {
        write_record(path, &Record { name: trace.name.clone(), bytes, sha256: sha256.clone() })?;
        Ok(said(path, &sha256, how))
    };
    let again = |fault: TraceFault| {
        let hint = fault.hint.as_ref().map_or_else(String::new, |hint| format!("{hint}; "));
        fault.hint(hint + "delete it and fetch again")
    };
    match trace.check(path, path).map_err(again)? {
        Checked::Right { bytes, sha256 } => keep(bytes, sha256, "is the one meant"),
        Checked::Unknown { bytes, sha256 } if args.trust => keep(bytes, sha256, "is trusted from now on"),
        Checked::Unknown { bytes, sha256 } => {
            let (at, bytes) = (path.display(), thousands(bytes));
            let known = "but nobody has said what its hash should be";
            let fault = wrong!("{at} is here ({bytes} bytes), {known}. It is sha256 {sha256}");
            Err(fault.hint(format!("if you trust it: {} --trust", args.again(&trace.name))))
        }
    }
}

fn said(path: &Path, sha256: &str, how: &str) -> String {
    format!("{}\nsha256 {sha256} {how}", path.display())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

/// Whether and where the trace is on this machine, in a word.
fn place(trace: &PublishedTrace, cache: &Path) -> &'static str {
    let path = cache.join(&trace.file);
    match () {
        () if trace.in_data().is_some() => "data",
        () if path.exists() && (trace.folder || record(&path).is_some()) => "cache",
        () if path.exists() => "unchecked",
        () if trace.url.is_empty() => "by hand",
        () => "to fetch",
    }
}

fn list(manifest: &Published, cache: &Path) -> String {
    let mut sheet = Sheet::new("", &["name", "format", "bytes", "sha256", "where"], 2);
    for t in &manifest.traces {
        sheet.row(vec![
            t.name.clone(),
            t.format.clone(),
            t.bytes.map_or_else(|| "?".into(), thousands),
            if t.known_sha256().is_some() { "known" } else { "unverified" }.into(),
            place(t, cache).into(),
        ]);
    }
    let note = "data: below $BASELOAD_DATA/traces. by hand: its address is not known here. unverified: nobody here has \
                hashed it. `baseload trace fetch --list NAME` says what it is, its licence and its page.";
    format!("{}\n{}", sheet.text(), report::wrapped(note, report::WIDTH, 0))
}

fn details(trace: &PublishedTrace, cache: &Path) -> String {
    let unknown = |text: &str| if text.is_empty() { "not known here".to_string() } else { text.to_string() };
    let path = trace.in_data().unwrap_or_else(|| cache.join(&trace.file));
    let mut sheet = Sheet::new(format!("{}: {}", trace.name, trace.about), &["", ""], 2).wrapping();
    let mut line = |what: &str, text: String| sheet.row(vec![what.into(), text]);
    if !trace.note.is_empty() {
        line("note", trace.note.clone());
    }
    line("format", trace.format.clone());
    line("page", unknown(&trace.page));
    line("url", unknown(&trace.url));
    line("bytes", trace.bytes.map_or_else(|| "not known here".into(), thousands));
    line("sha256", trace.sha256.clone());
    line("licence", trace.licence.clone());
    line("cite", trace.citation.clone());
    line("where", format!("{} ({})", path.display(), place(trace, cache)));
    sheet.text()
}
