//! Which files of a result folder are ours. All others are somebody's notes: they stay when a result is replaced.
use super::beside::MARK;
use std::fs;
use std::path::{Path, PathBuf};

/// A kind of result folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The file that makes a folder a result: JSON that has the experiment's `name`.
    pub known_by: &'static str,
    /// Its other files.
    files: &'static [&'static str],
    /// Its folders of records: `TABLE/policy=POLICY/replicate=K/part.parquet`.
    tables: &'static [&'static str],
}

/// What `baseload run` writes.
pub const RUN: Kind = Kind {
    known_by: "summary.json",
    files: &["manifest.json", "perf.json", "run.json", "report.html"],
    tables: &["requests", "attempts", "series"],
};

/// What `baseload breakeven` writes.
pub const BREAK_EVEN: Kind = Kind { known_by: "breakeven.json", files: &["breakeven.html"], tables: &[] };

impl Kind {
    /// Whether the path from the result folder is of a file of ours.
    fn has(&self, path: &Path) -> bool {
        let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
        match parts.as_deref() {
            Some([file]) => *file == MARK || *file == self.known_by || self.files.contains(file),
            Some([_, _, _, "part.parquet"]) => path.parent().is_some_and(|folder| self.may_hold(folder)),
            _ => false,
        }
    }

    /// Whether the path from the result folder is of a folder that may hold files of ours.
    fn may_hold(&self, path: &Path) -> bool {
        let starts = ["", "policy=", "replicate="];
        let mut parts = path.iter().enumerate();
        parts.all(|(depth, part)| match (part.to_str(), starts.get(depth)) {
            (Some(table), Some(&"")) => self.tables.contains(&table),
            (Some(part), Some(start)) => part.starts_with(start),
            _ => false,
        })
    }

    /// Removes our files from `old` and moves all others to the same place in `new`; then `old` itself, if it is empty.
    /// Nothing that is there is written over: what has no place in `new` stays, and `old` with it.
    pub(super) fn clear(&self, old: &Path, new: &Path) {
        self.clear_below(old, new, Path::new(""));
        let _ = fs::remove_file(old.join(MARK));
        let _ = fs::remove_dir(old);
    }

    fn clear_below(&self, old: &Path, new: &Path, below: &Path) {
        for entry in fs::read_dir(old.join(below)).into_iter().flatten().flatten() {
            let path: PathBuf = below.join(entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && self.may_hold(&path) {
                self.clear_below(old, new, &path);
                let _ = fs::remove_dir(entry.path());
            } else if !is_folder && self.has(&path) {
                // The mark goes last: what it stands in is then still known for ours.
                let _ = if path == Path::new(MARK) { Ok(()) } else { fs::remove_file(entry.path()) };
            } else if fs::symlink_metadata(new.join(&path)).is_err() {
                let _ = fs::create_dir_all(new.join(below));
                let _ = fs::rename(entry.path(), new.join(&path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_removed_and_notes_move() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let ours = ["summary.json", "run.json", MARK, "requests/policy=a/replicate=0/part.parquet"];
        let notes = [
            "notes.md",
            "mine/summary.json",
            "requests/why.txt",
            "attempts/policy=a/replicate=0/part.csv",
            "policy=a/replicate=0/part.parquet",
        ];
        for file in ours.iter().chain(&notes) {
            fs::create_dir_all(old.join(file).parent().unwrap()).unwrap();
            fs::write(old.join(file), file).unwrap();
        }
        fs::create_dir(&new).unwrap();
        RUN.clear(&old, &new);
        assert!(!old.exists());
        notes.iter().for_each(|file| assert_eq!(fs::read_to_string(new.join(file)).unwrap(), *file));
        ours.iter().for_each(|file| assert!(!new.join(file).exists(), "{file}"));
    }

    #[test]
    fn what_has_no_place_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        for folder in [&old, &new] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("notes.md"), folder.to_str().unwrap()).unwrap();
        }
        BREAK_EVEN.clear(&old, &new);
        for folder in [&old, &new] {
            assert_eq!(fs::read_to_string(folder.join("notes.md")).unwrap(), folder.to_str().unwrap());
        }
    }
}
