//! The facts that a command reads: the embedded catalogue, and the files that `--catalog` lays over it.
use super::{Exit, printer};
use crate::experiment::{OwnFacts, read_catalog};
use std::path::PathBuf;

/// Files of the user's own.
#[derive(Debug, clap::Args)]
pub struct CatalogArgs {
    /// Facts of your own (models, GPUs, APIs, rents, people), laid over the catalog's; repeatable
    #[arg(id = "catalog_files", long = "catalog", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl CatalogArgs {
    /// The catalogue; what people should know of their own rows goes to stderr.
    pub fn read(&self) -> Result<OwnFacts, Exit> {
        let own = read_catalog(&self.files)?;
        own.notes.iter().for_each(|note| printer::error(&format!("warning: {note}")));
        Ok(own)
    }
}
