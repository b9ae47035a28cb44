//! `baseload trace formats`: every format that is read, what it looks like and what it carries.
use super::input::untried_ones;
use crate::cli::{Exit, Format, printer};
use crate::report::{self, Sheet};
use baseload_trace::{Carries, Readers, Tried};

/// List the formats that traces are read in, and what each says of its requests
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// Form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

fn after_help() -> String {
    let known = "A file is known by its content. Lists, {\"data\": [...]} answers, JSON lines, objects one after another and CSV are \
                 the same rows, plain, gzip or zstd. What no format fits is read by a column map (--columns). Which one to export: \
                 docs/bring-your-traffic.md.";
    let known = report::wrapped(known, 79, 0);
    format!("Example:\n  baseload trace formats --format json\n\n{known}\n{}", untried_ones())
}

pub fn run(args: &Args) -> Result<(), Exit> {
    let readers = Readers::embedded();
    if args.format == Format::Json {
        let rows: Vec<_> = readers
            .rows()
            .iter()
            .map(|row| {
                let carries: serde_json::Map<String, serde_json::Value> =
                    row.carries.named().into_iter().map(|(name, has)| (name.to_lowercase(), has.into())).collect();
                serde_json::json!({ "format": row.name, "looks_like": row.looks_like, "carries": carries, "tried": tried(row.tried) })
            })
            .collect();
        return Ok(printer::json(&rows)?);
    }
    let mut columns = vec!["format"];
    columns.extend(Carries::NONE.named().map(|(name, _)| name));
    let mut carries = Sheet::new("What the traces of a format say of their requests", &columns, 1);
    let mut looks = Sheet::new("How a format is recognised", &["format", "a file looks like"], 2);
    for row in readers.rows() {
        let cell = |(name, has): (&str, bool)| match (name, has) {
            ("tokens", false) => "estimate".to_owned(),
            (_, true) => "yes".to_owned(),
            (_, false) => "-".to_owned(),
        };
        carries.row(std::iter::once(row.name.to_owned()).chain(row.carries.named().map(cell)).collect());
        looks.row(vec![row.name.to_owned(), row.looks_like.to_owned()]);
    }
    let sheets = [carries, looks];
    match args.format {
        Format::Markdown => printer::out(&sheets.map(|s| s.markdown()).join("\n")),
        _ => {
            printer::out(&sheets.map(|s| s.text()).join("\n"));
            let said = "A source may leave out what its format has: `baseload trace info` says what a file has.";
            printer::out(&format!("\n{}{}", report::wrapped(said, report::WIDTH, 0), untried_ones()));
        }
    }
    Ok(())
}

/// What a reader was tried on, for programs.
fn tried(tried: Tried) -> &'static str {
    match tried {
        Tried::Own => "ours",
        Tried::On(what) => what,
        Tried::Nothing => "nothing",
    }
}
