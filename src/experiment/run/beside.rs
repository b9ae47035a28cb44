//! What lies beside a place while something is written for it: names that nobody else has, locks that die with their
//! process, and what is to be removed when a run ends without a result.
//!
//! Must keep true: what does not bear both a name and a mark of ours is never touched.
use baseload_core::types::TraceFault;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a place's name at most: what stands beside it has up to 45 more, and file systems take 255.
const LONGEST_NAME: usize = 200;
/// The file that marks a folder as one that is being written; locked as long as its writer lives.
pub(super) const MARK: &str = ".baseload";
/// First word of marks and locks.
const OURS: &str = "baseload";

/// The name of a place.
///
/// # Errors
/// A place without a name, or with one that leaves no room for names beside it.
pub(super) fn name_of(place: &Path) -> Result<&OsStr, TraceFault> {
    let fault = |what: &str| Err(TraceFault::of(place.display(), what));
    match place.file_name() {
        None => fault("it ends in no name"),
        Some(name) if name.len() > LONGEST_NAME => {
            fault("its name is too long").map_err(|f| f.hint(format!("it may have {LONGEST_NAME} bytes")))
        }
        Some(name) => Ok(name),
    }
}

/// `.NAME.PID-RANDOM.ENDING` beside `place`: a name that no other process and no other call has.
///
/// # Errors
/// As [`name_of`].
pub(super) fn own_name(place: &Path, ending: &str) -> Result<PathBuf, TraceFault> {
    let mut name = OsString::from(".");
    name.push(name_of(place)?);
    let random = RandomState::new().build_hasher().finish();
    name.push(format!(".{}-{random:016x}.{ending}", std::process::id()));
    Ok(place.with_file_name(name))
}

/// The NAME and ENDING of a path that [`own_name`] has made; none for all others.
pub(super) fn parts_of(path: &Path) -> Option<(&str, &str)> {
    let (rest, ending) = path.file_name()?.to_str()?.strip_prefix('.')?.rsplit_once('.')?;
    let (name, token) = rest.rsplit_once('.')?;
    let (pid, random) = token.split_once('-')?;
    let is_hex = random.len() == 16 && random.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (!name.is_empty() && is_hex && pid.parse::<u32>().is_ok()).then_some((name, ending))
}

/// What lies in the folder of `place` and bears one of our names with this ending.
pub(super) fn left_beside(place: &Path, ending: &str) -> Vec<PathBuf> {
    let folder = place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    entries.filter(|path| parts_of(path).is_some_and(|(_, end)| end == ending)).collect()
}

/// A locked file of ours. The lock ends with it or with the process, however that ends.
#[derive(Debug)]
pub(super) struct Locked {
    path: PathBuf,
    file: File,
}

/// Why a file was not locked.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another process holds it, by its id where it says it.
    Taken(Option<u32>),
    /// It is not ours.
    Foreign,
    /// The file system knows no locks.
    NoLocks,
    /// The file cannot be opened or written.
    Failed(io::Error),
}

impl Locked {
    /// Locks the file at `path`, which is made where it is not there. Nobody is waited for.
    pub(super) fn at(path: &Path) -> Result<Locked, NotLocked> {
        loop {
            match fs::symlink_metadata(path) {
                Ok(there) if !there.is_file() => return Err(NotLocked::Foreign),
                _ => {}
            }
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let mut file = file.map_err(NotLocked::Failed)?;
            let locked = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(_)) => return Err(NotLocked::NoLocks),
            };
            let mut words = String::new();
            let read = Read::by_ref(&mut file).take(64).read_to_string(&mut words);
            let said = words.strip_prefix(OURS).and_then(|rest| rest.trim().parse::<u32>().ok());
            if !locked {
                return Err(NotLocked::Taken(said));
            }
            if read.is_err() || said.is_none() && !words.is_empty() {
                return Err(NotLocked::Foreign);
            }
            // Its holder may have removed it between our opening and our lock.
            if is_at(&file, path) {
                let written = file.rewind().and_then(|()| file.set_len(0));
                let written = written.and_then(|()| writeln!(file, "{OURS} {}", std::process::id()));
                if let Err(e) = written {
                    // No room even for this: nothing is left behind, either.
                    let _ = fs::remove_file(path);
                    return Err(NotLocked::Failed(e));
                }
                return Ok(Locked { path: path.to_path_buf(), file });
            }
        }
    }

    /// Removes the file, which nobody then finds locked.
    pub(super) fn remove(self) -> io::Result<()> {
        let removed = fs::remove_file(&self.path);
        drop(self.file);
        removed
    }
}

/// Whether `path` still leads to `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().ok().zip(fs::symlink_metadata(path).ok()).is_some_and(|(a, b)| same(a, b))
}

/// Whether `path` still leads to `file`: here an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// What is under construction, to be removed unless it is put in its place. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Scrap(Arc<Mutex<Option<PathBuf>>>);

impl Scrap {
    /// The file, or marked folder, at `path`.
    pub(super) fn of(path: &Path) -> Scrap {
        Scrap(Arc::new(Mutex::new(Some(path.to_path_buf()))))
    }

    /// Removes it, unless it is in its place; waits while it is being put there. Says whether there was anything.
    pub fn discard(&self) -> bool {
        let path = self.hold().take();
        if let Some(path) = &path {
            remove(path);
        }
        path.is_some()
    }

    /// Nobody else removes it while this is held; `None` in it is for ever.
    pub(super) fn hold(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a file, or a folder with its mark last, so that what is left of an unfinished removal is still marked.
pub(super) fn remove(path: &Path) {
    if !fs::symlink_metadata(path).is_ok_and(|there| there.is_dir()) {
        let _ = fs::remove_file(path);
        return;
    }
    // Where this fails, for want of a handle to list it or of a right, the next run tries again.
    if empty(path).is_ok() {
        let _ = fs::remove_file(path.join(MARK));
        let _ = fs::remove_dir(path);
    }
}

/// Removes all but the mark.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != MARK {
            let path = entry.path();
            if entry.file_type()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_told_from_all_others() {
        let own = own_name(Path::new("results/a.b"), "partial").unwrap();
        assert_eq!((own.parent(), parts_of(&own)), (Some(Path::new("results")), Some(("a.b", "partial"))));
        assert_ne!(own, own_name(Path::new("results/a.b"), "partial").unwrap());
        for foreign in [".a.partial", "a.1-0123456789abcdef.partial", ".a.x-0123456789abcdef.partial", ".a.1-2.old"] {
            assert_eq!(parts_of(Path::new(foreign)), None, "{foreign}");
        }
        let long = format!("r/{}", "x".repeat(201));
        assert!(own_name(Path::new(&long), "partial").unwrap_err().to_string().ends_with("it may have 200 bytes"));
        assert!(own_name(Path::new("r/.."), "partial").unwrap_err().what.contains("no name"));
    }

    #[test]
    fn a_lock_is_held_once_and_says_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".r.lock");
        let held = Locked::at(&path).unwrap();
        assert!(matches!(Locked::at(&path), Err(NotLocked::Taken(Some(pid))) if pid == std::process::id()));
        held.remove().unwrap();
        assert!(!path.exists());
        drop(Locked::at(&path).unwrap());
        Locked::at(&path).expect("what a dead process left is no lock").remove().unwrap();
        std::fs::write(&path, "thesis").unwrap();
        assert!(matches!(Locked::at(&path), Err(NotLocked::Foreign)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "thesis");
    }

    #[test]
    fn scrap_is_removed_once_and_never_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("partial");
        fs::create_dir_all(path.join("requests/policy=a")).unwrap();
        fs::write(path.join(MARK), "").unwrap();
        let scrap = Scrap::of(&path);
        assert!(scrap.clone().discard() && !path.exists());
        fs::create_dir(&path).unwrap();
        assert!(!scrap.discard() && path.exists());
    }
}
