//! The arguments of every command that reads a trace, and the reading.
use crate::experiment::{LONGEST_TOML, open_trace_with, read_text};
use baseload_core::types::TraceFault;
use baseload_trace::{Classes, ColumnMap, Format, How, Opened, Readers, SourceOptions, Strictness, TextWriter, Tried};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};

/// How a trace is to be read.
#[derive(Debug, Default, clap::Args)]
pub struct Input {
    #[arg(long, value_name = "FORMAT", value_parser = format_of, help = help())]
    pub input_format: Option<Format>,
    /// A column map (TOML) that says what the file's columns are
    #[arg(long, value_name = "MAP", conflicts_with = "input_format")]
    pub columns: Option<PathBuf>,
    /// Refuse a trace of which a row is left out, instead of counting it and going on
    #[arg(long)]
    pub strict: bool,
    /// Tokens of a hash id, where a Mooncake file's rows do not tell
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub hash_block: Option<u32>,
    /// Make a request of each answer of a chat file's conversations, not of the first alone
    #[arg(long)]
    pub every_turn: bool,
}

/// The format of a name.
///
/// # Errors
/// Lists the known names.
pub fn format_of(name: &str) -> Result<Format, TraceFault> {
    Readers::embedded().named(name)
}

fn help() -> String {
    format!("What the file is, instead of what its content says: {}", Readers::embedded().names())
}

/// Which published formats can be written.
pub fn writable() -> String {
    let own = [baseload_trace::OWN_CSV.name, baseload_trace::OWN_JSONL.name];
    let published: Vec<&str> = TextWriter::formats().into_iter().filter(|name| !own.contains(name)).collect();
    listed(&published)
}

/// Which readers nobody tried on an original, as help says it.
pub fn untried_ones() -> String {
    let ones = listed(&Readers::embedded().untried());
    let text = format!("Readers of {ones} are written to the description, not tried on the original.");
    crate::report::wrapped(&text, 79, 0).trim_end().to_owned()
}

/// Words with commas, the last one behind "and".
fn listed(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

impl Input {
    /// Opens `file`; class names are all accepted and collected in `classes`.
    ///
    /// # Errors
    /// The reader's.
    pub fn open(&self, file: &Path, classes: &Classes, options: &SourceOptions) -> Result<Opened, TraceFault> {
        self.open_as(Strictness::LeaveOut, file, classes, options)
    }

    /// Opens `file` as [`Input::open`] does; what becomes of rows that are no requests is `strictness`, unless none may be.
    ///
    /// # Errors
    /// The reader's.
    pub fn open_as(
        &self,
        strictness: Strictness,
        file: &Path,
        classes: &Classes,
        options: &SourceOptions,
    ) -> Result<Opened, TraceFault> {
        let map = match &self.columns {
            None => None,
            Some(path) => {
                let name = path.display().to_string();
                let text = read_text(path, LONGEST_TOML)?;
                Some((ColumnMap::parse(&text, &name)?, name))
            }
        };
        let columns = map.as_ref().map(|(map, name)| (map, name.as_str()));
        let strictness = if self.strict { Strictness::Refuse } else { strictness };
        let how = How { format: self.input_format, columns, strictness, ..How::by_content(classes.clone()) };
        let (hash_block, every_turn) = (self.hash_block, self.every_turn);
        open_trace_with(file, &how, &SourceOptions { hash_block, every_turn, ..options.clone() })
    }
}

/// What people should know of a format before they trust what is read.
pub fn untried(format: Format) -> Option<String> {
    (format.tried == Tried::Nothing)
        .then(|| format!("the reader of {} was written to the description, not tried on the original", format.name))
}

/// A progress bar, on a terminal only.
pub fn bar(total: Option<u64>) -> ProgressBar {
    let style = match total {
        Some(_) => "{bar:30} {human_pos} of {human_len} requests, {eta} left",
        None => "{spinner} {human_pos} requests, {per_sec}",
    };
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
    bar.with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
