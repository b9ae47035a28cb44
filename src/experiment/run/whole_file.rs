//! A file that is written beside its place and put there when it is whole.
use baseload_core::types::TraceFault;
use std::path::{Path, PathBuf};

/// A file under construction; dropped unfinished, it is removed.
#[derive(Debug)]
pub struct WholeFile {
    beside: PathBuf,
    target: PathBuf,
    done: bool,
}

impl WholeFile {
    /// Starts `.NAME.partial` beside `target`. A device or pipe has no place to be put in: it is written to directly.
    ///
    /// # Errors
    /// A target that is a folder or names no file.
    pub fn new(target: &Path) -> Result<WholeFile, TraceFault> {
        let Some(name) = target.file_name().filter(|_| !target.is_dir()) else {
            let fault = TraceFault::of(target.display(), "it is a folder");
            return Err(fault.hint("give the name of a file"));
        };
        let direct = target.exists() && !target.is_file();
        let beside = if direct {
            target.to_path_buf()
        } else {
            target.with_file_name(format!(".{}.partial", name.to_string_lossy()))
        };
        Ok(WholeFile { beside, target: target.to_path_buf(), done: direct })
    }

    /// The file to write.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// With the path.
    pub fn finish(mut self) -> Result<(), TraceFault> {
        if !self.done {
            let named = || self.target.display().to_string();
            std::fs::rename(&self.beside, &self.target).map_err(|e| TraceFault::of(named(), e))?;
            self.done = true;
        }
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

/// Writes a whole file: the former one stays until the new one is there.
///
/// # Errors
/// With the path.
pub fn write_whole(target: &Path, text: &str) -> Result<(), TraceFault> {
    let file = WholeFile::new(target)?;
    std::fs::write(file.path(), text)
        .map_err(|e| TraceFault::of(target.display(), e).hint("give a place you may write to"))?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.toml");
        write_whole(&target, "1").unwrap();
        let file = WholeFile::new(&target).unwrap();
        std::fs::write(file.path(), "half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "1");
        write_whole(&target, "2").unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "2");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        assert!(write_whole(dir.path(), "1").unwrap_err().what.contains("it is a folder"));
        assert!(write_whole(&dir.path().join("no/a.toml"), "1").unwrap_err().file.contains("no/a.toml"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        write_whole(Path::new("/dev/null"), "1").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        assert!(!Path::new("/dev/.null.partial").exists());
    }
}
