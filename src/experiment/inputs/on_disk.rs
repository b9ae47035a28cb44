//! Where traces lie: on a disk. The only place of the library that opens a trace's files.
use super::open_text;
use baseload_core::types::{Classes, Entries, TraceFault};
use baseload_trace::{Columns, Files, Reader, ServeGenClient};
use std::path::{Path, PathBuf};

/// A trace by its path.
pub struct OnDisk<'a>(pub &'a Path);

impl OnDisk<'_> {
    fn beside(&self, path: &str) -> PathBuf {
        let folder = if self.0.is_dir() { self.0 } else { self.0.parent().unwrap_or(Path::new("")) };
        if path.is_empty() { folder.to_path_buf() } else { folder.join(path) }
    }
}

impl Files for OnDisk<'_> {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn trace(&self) -> Result<Option<Reader>, TraceFault> {
        if self.0.is_dir() { Ok(None) } else { open_text(self.0).map(Some) }
    }

    #[cfg(feature = "frames")]
    fn table(&self, columns: Option<Columns<'_>>, classes: &Classes) -> Result<Box<dyn Entries>, TraceFault> {
        Ok(Box::new(crate::frames::TraceReader::open(self.0, columns, classes)?))
    }

    #[cfg(not(feature = "frames"))]
    fn table(&self, _: Option<Columns<'_>>, _: &Classes) -> Result<Box<dyn Entries>, TraceFault> {
        let fault = TraceFault::of(self.name(), "this build reads no Parquet");
        Err(fault.hint("build it with the feature `frames`"))
    }

    fn shown(&self, path: &str) -> String {
        self.beside(path).display().to_string()
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, TraceFault> {
        let fault = |e: std::io::Error| TraceFault::of(self.shown(folder), e.to_string());
        let mut names = Vec::new();
        for file in std::fs::read_dir(self.beside(folder)).map_err(fault)? {
            names.extend(file.map_err(fault)?.file_name().into_string());
        }
        Ok(names)
    }

    fn text(&self, path: &str) -> Result<Reader, TraceFault> {
        open_text(&self.beside(path))
    }
}

/// Reads every client of a folder of ServeGen's client profiles.
///
/// # Errors
/// With the file, the line and what would be right.
pub fn open_servegen(folder: &Path) -> Result<Vec<ServeGenClient>, TraceFault> {
    ServeGenClient::all(&OnDisk(folder), "")
}
