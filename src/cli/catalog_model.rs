//! `baseload catalog model`: the row of a model from its config.json.
use super::artefacts::Clock;
use super::{Exit, printer};
use crate::experiment::{LONGEST_TOML, read_text};
use baseload_core::catalog::{Catalog, FromConfig, Model, model_from_config};
use baseload_core::types::{Fault, Faults, TraceFault};
use std::path::PathBuf;

/// Print a catalog file with the row of a model, from the config.json that lies beside its weights at Hugging Face
///
/// Of Llama, Qwen 2 and 3, Mistral, Mixtral, Gemma, Phi 3, gpt-oss, DeepSeek and GLM shapes, dense or with experts, windows
/// or latents. What was assumed and what was not read stands above the row. The file goes to [catalog] files of an
/// experiment or to --catalog.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  baseload catalog model config.json --name my-70b > ours.toml\n  baseload memory --catalog \
ours.toml --model my-70b --gpu h100-sxm --tp 4"
)]
pub struct Args {
    /// The config.json
    config: PathBuf,
    /// The model's name in experiments
    #[arg(long)]
    name: String,
}

/// A file of the catalogue.
#[derive(serde::Serialize)]
struct CatalogFile {
    model: [Model; 1],
}

pub fn run(args: &Args, catalog: &Catalog) -> Result<(), Exit> {
    let shown = args.config.display().to_string();
    let text = read_text(&args.config, LONGEST_TOML)
        .map_err(|e| e.hint("give the config.json that lies beside a model's weights"))?;
    let read = model_from_config(&text, &args.name).map_err(|faults| {
        let here = |fault| Fault::from(TraceFault::from(fault).in_file(&shown));
        faults.into_iter().map(here).collect::<Faults>()
    })?;
    if let Ok(known) = catalog.model(&args.name) {
        let stands = if known.id == args.name { "this row stands in its place" } else { "give another name" };
        printer::error(&format!(
            "warning: `{}` is a name of the catalogue's {} already; {stands}",
            args.name, known.id
        ));
    }
    printer::out(&file(read, &Clock::start().today())?);
    Ok(())
}

/// The file: what people should know, and the row.
fn file(read: FromConfig, today: &str) -> Result<String, Fault> {
    let FromConfig { row, notes } = read;
    let notes: String = notes.iter().map(|n| format!("# {n}\n")).collect();
    let file = CatalogFile { model: [Model { date: today.into(), note: None, ..row }] };
    let rows = printer::toml_text(&file)?;
    Ok(format!("# A catalog file of baseload: give it as [catalog] files or --catalog.\n{notes}\n{rows}"))
}
