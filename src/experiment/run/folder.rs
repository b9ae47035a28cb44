//! The result folder: written as `NAME.partial`, renamed when whole.
use baseload_core::types::TraceFault;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder under construction; dropped unfinished, it is removed.
#[derive(Debug)]
pub struct ResultFolder {
    partial: PathBuf,
    target: PathBuf,
    done: bool,
}

impl ResultFolder {
    /// Starts `target.partial`.
    ///
    /// # Errors
    /// With the path; an existing folder that is no result folder is never touched.
    pub fn create(target: &Path) -> Result<ResultFolder, TraceFault> {
        ResultFolder::of("summary.json", target)
    }
    /// Starts `target.partial` for a result that is known by the file `mark`.
    ///
    /// # Errors
    /// With the path; an existing folder without that file is never touched.
    pub fn of(mark: &str, target: &Path) -> Result<ResultFolder, TraceFault> {
        let named = || target.display().to_string();
        if target.exists() && !target.join(mark).is_file() {
            let fault = TraceFault::of(named(), format!("it exists and holds no {mark}: it is not a result folder"));
            return Err(fault.hint("give another --out"));
        }
        let no_name = || TraceFault::of(named(), "it is no folder's name").hint("give another --out");
        let mut name = target.file_name().ok_or_else(no_name)?.to_os_string();
        name.push(".partial");
        let partial = target.with_file_name(name);
        let fault = |e: std::io::Error| {
            let hint = "give a folder you may write to with --out";
            TraceFault::of(partial.display(), e).hint(hint)
        };
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(fault)?;
        }
        fs::create_dir_all(&partial).map_err(fault)?;
        Ok(ResultFolder { partial, target: target.to_path_buf(), done: false })
    }
    /// The folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }
    /// Writes one file.
    ///
    /// # Errors
    /// With the path.
    pub fn write(&self, name: &str, text: &str) -> Result<(), TraceFault> {
        let path = self.partial.join(name);
        fs::write(&path, text).map_err(|e| TraceFault::of(path.display(), e))
    }
    /// Puts the folder in its place; a former result moves aside first and is removed last.
    ///
    /// # Errors
    /// With the path.
    pub fn finish(mut self) -> Result<PathBuf, TraceFault> {
        let named = self.target.display().to_string();
        let fault = |e: std::io::Error| TraceFault::of(&named, e);
        let mut old = self.partial.clone().into_os_string();
        old.push(".old");
        let old = PathBuf::from(old);
        if self.target.exists() {
            fs::rename(&self.target, &old).map_err(fault)?;
        }
        fs::rename(&self.partial, &self.target).map_err(fault)?;
        self.done = true;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(fault)?;
        }
        Ok(self.target.clone())
    }
}

impl Drop for ResultFolder {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("r");
        let folder = ResultFolder::create(&target).unwrap();
        folder.write("summary.json", "1").unwrap();
        drop(folder);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        for text in ["1", "2"] {
            let folder = ResultFolder::create(&target).unwrap();
            folder.write("summary.json", text).unwrap();
            folder.finish().unwrap();
            assert_eq!(fs::read_to_string(target.join("summary.json")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_foreign_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ResultFolder::create(dir.path()).unwrap_err().what.contains("not a result folder"));
    }
}
