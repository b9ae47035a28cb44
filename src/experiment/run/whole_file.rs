//! A file that is written beside its place under a name of its own and put there when it is whole.
use super::beside::{Scrap, left_beside, own_name, parts_of};
use baseload_core::types::TraceFault;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A file under construction; dropped unfinished, it is removed.
#[derive(Debug)]
pub struct WholeFile {
    beside: PathBuf,
    target: PathBuf,
    scrap: Scrap,
    /// Locked as long as its writer lives. None of a device, which is written to directly.
    alive: Option<File>,
}

impl WholeFile {
    /// Starts a file beside `target`. A device or pipe has no place to be put in: it is written to directly.
    ///
    /// # Errors
    /// A target that is a folder or names no file, or that cannot be written.
    pub fn new(target: &Path) -> Result<WholeFile, TraceFault> {
        if target.file_name().is_none() || target.is_dir() {
            let fault = TraceFault::of(target.display(), "it is a folder");
            return Err(fault.hint("give the name of a file"));
        }
        // A link stays one: what it leads to is written.
        let target = match fs::read_link(target).and_then(|_| fs::canonicalize(target)) {
            Ok(there) => there,
            Err(_) => target.to_path_buf(),
        };
        if target.exists() && !target.is_file() {
            return Ok(WholeFile { beside: target.clone(), target, scrap: Scrap::default(), alive: None });
        }
        sweep(&target);
        let beside = own_name(&target, "partial")?;
        let fault = |e: std::io::Error| TraceFault::of(target.display(), e).hint("give a place you may write to");
        let file = File::create_new(&beside).map_err(fault)?;
        // Where there are no locks nobody sweeps.
        let _ = file.try_lock();
        Ok(WholeFile { scrap: Scrap::of(&beside), beside, target, alive: Some(file) })
    }

    /// The file to write.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// What is to be removed if the program must end before this is finished.
    pub fn scrap(&self) -> Scrap {
        self.scrap.clone()
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// With the path.
    pub fn finish(self) -> Result<(), TraceFault> {
        if self.alive.is_none() {
            return Ok(());
        }
        let mut scrap = self.scrap.hold();
        fs::rename(&self.beside, &self.target).map_err(|e| TraceFault::of(self.target.display(), e))?;
        *scrap = None;
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        self.scrap.discard();
    }
}

/// Removes what dead processes have left of this file.
fn sweep(target: &Path) {
    let own = target.file_name().and_then(|name| name.to_str());
    let of_target = |path: &PathBuf| path.is_file() && parts_of(path).map(|(name, _)| name) == own;
    for path in left_beside(target, "partial").into_iter().filter(of_target) {
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes a whole file: the former one stays until the new one is there.
///
/// # Errors
/// With the path.
pub fn write_whole(target: &Path, text: &str) -> Result<(), TraceFault> {
    let file = WholeFile::new(target)?;
    fs::write(file.path(), text)
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
        fs::write(file.path(), "half").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&target).unwrap(), "1");
        write_whole(&target, "2").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "2");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        assert!(write_whole(dir.path(), "1").unwrap_err().what.contains("it is a folder"));
        assert!(write_whole(&dir.path().join("no/a.toml"), "1").unwrap_err().file.contains("no/a.toml"));
    }

    #[test]
    fn two_writers_do_not_meet_and_only_what_a_dead_one_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.csv");
        let dead = dir.path().join(".a.csv.1-0123456789abcdef.partial");
        let foreign = [".a.csv.partial", ".b.csv.1-0123456789abcdef.partial"].map(|name| dir.path().join(name));
        fs::write(&dead, "half").unwrap();
        foreign.iter().for_each(|path| fs::write(path, "thesis").unwrap());
        let (one, two) = (WholeFile::new(&target).unwrap(), WholeFile::new(&target).unwrap());
        assert!(!dead.exists() && foreign.iter().all(|path| path.exists()));
        fs::write(one.path(), "1").unwrap();
        fs::write(two.path(), "2").unwrap();
        two.finish().unwrap();
        one.finish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "1");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1 + foreign.len());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_not_replaced_and_a_link_stays() {
        write_whole(Path::new("/dev/null"), "1").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        let dir = tempfile::tempdir().unwrap();
        let (link, there) = (dir.path().join("link"), dir.path().join("there"));
        fs::write(&there, "1").unwrap();
        std::os::unix::fs::symlink(&there, &link).unwrap();
        write_whole(&link, "2").unwrap();
        assert_eq!(fs::read_to_string(&there).unwrap(), "2");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
