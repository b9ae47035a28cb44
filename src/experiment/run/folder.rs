//! The result folder: written beside its place under a name of its own, put there when it is whole.
//!
//! Must keep true: whatever ends a run, its place holds a whole result or what was there before; one run at a time writes
//! for a place; files that are not ours stay. What a dead run has left is removed, or put back, by the next one there.
use super::beside::{Locked, MARK, NotLocked, Scrap, left_beside, own_name, parts_of, remove};
use super::claim::Claim;
pub use super::own_files::{BREAK_EVEN, Kind, RUN};
use baseload_core::types::TraceFault;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Bytes of the file that a result is known by at most; those of this program's largest runs have a hundredth.
const LONGEST_SUMMARY: u64 = 256 << 20;

/// A folder under construction; dropped unfinished, it is removed.
#[derive(Debug)]
pub struct ResultFolder {
    kind: Kind,
    /// Name of the experiment that it is a result of.
    name: String,
    /// Where it is to be, as it was given.
    target: PathBuf,
    /// The same with links followed.
    place: PathBuf,
    partial: PathBuf,
    scrap: Scrap,
    /// Tells others that whoever writes into the partial folder lives; none where there are no locks.
    _alive: Option<Locked>,
    replaces: bool,
    _claim: Claim,
    _parents: Parents,
}

/// Folders that were made to have a place at all; those that are empty go with it.
#[derive(Debug)]
struct Parents(Vec<PathBuf>);

impl Drop for Parents {
    fn drop(&mut self) {
        self.0.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

const ELSEWHERE: &str = "give another --out";
const WRITABLE: &str = "give a folder you may write to with --out";

impl ResultFolder {
    /// Starts a result of the experiment `name`, to be put at `target`.
    ///
    /// # Errors
    /// With the path: it holds something else than a result of that experiment, which is never touched; another run
    /// writes for it; it cannot be written.
    pub fn create(kind: Kind, name: &str, target: &Path) -> Result<ResultFolder, TraceFault> {
        let place = followed(target)?;
        let of_target = |fault: TraceFault| TraceFault { file: target.display().to_string(), ..fault };
        let parents = parents(&place)?;
        let claim = Claim::on(&place, target, ["run is writing", ELSEWHERE, WRITABLE])?;
        if claim.is_sure() {
            sweep(kind, &place);
        }
        let replaces = is_result(kind, name, &place).map_err(of_target)?;
        let (partial, alive) = started(&place)?;
        Ok(ResultFolder {
            kind,
            name: name.into(),
            target: target.to_path_buf(),
            scrap: Scrap::of(&partial),
            place,
            partial,
            _alive: alive,
            replaces,
            _claim: claim,
            _parents: parents,
        })
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Whether it stands in place of an earlier result.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// What is to be removed if the program must end before this is finished.
    pub fn scrap(&self) -> Scrap {
        self.scrap.clone()
    }

    /// Writes one file.
    ///
    /// # Errors
    /// With the path.
    pub fn write(&self, name: &str, text: &str) -> Result<(), TraceFault> {
        let path = self.partial.join(name);
        fs::write(&path, text).map_err(|e| TraceFault::of(path.display(), e))
    }

    /// Puts the folder in its place. Of a former result there our files are removed, and all others stay.
    ///
    /// # Errors
    /// With the path. The result is whole then, too, and the message says where.
    pub fn finish(self) -> Result<PathBuf, TraceFault> {
        let mut scrap = self.scrap.hold();
        if scrap.take().is_none() {
            return Err(TraceFault::of(self.target.display(), "it was given up"));
        }
        match self.put() {
            Ok(()) => Ok(self.target.clone()),
            Err(fault) => {
                // Nobody's leavings: the next run must not sweep it.
                let _ = fs::remove_file(self.partial.join(MARK));
                let kept = format!("the result is whole in {}", self.partial.display());
                let hint = fault.hint.as_ref().map_or_else(|| kept.clone(), |hint| format!("{kept}; {hint}"));
                Err(TraceFault { file: self.target.display().to_string(), ..fault }.hint(hint))
            }
        }
    }

    fn put(&self) -> Result<(), TraceFault> {
        let fault = |e: std::io::Error| TraceFault::of(self.place.display(), e);
        if is_result(self.kind, &self.name, &self.place)? {
            let old = own_name(&self.place, "old")?;
            // While it is moved it is marked, so that a run that dies here is cleaned up after.
            let moving = Locked::at(&self.place.join(MARK));
            fs::rename(&self.place, &old).map_err(fault)?;
            if let Err(e) = fs::rename(&self.partial, &self.place) {
                let _ = fs::rename(&old, &self.place);
                let _ = fs::remove_file(self.place.join(MARK));
                return Err(fault(e));
            }
            self.kind.clear(&old, &self.place);
            drop(moving);
        } else {
            fs::rename(&self.partial, &self.place).map_err(fault)?;
        }
        let _ = fs::remove_file(self.place.join(MARK));
        Ok(())
    }
}

impl Drop for ResultFolder {
    fn drop(&mut self) {
        self.scrap.discard();
    }
}

/// The place that a target is: a link's is where it leads to.
fn followed(target: &Path) -> Result<PathBuf, TraceFault> {
    match fs::symlink_metadata(target) {
        Ok(there) if there.is_symlink() => fs::canonicalize(target).map_err(|_| {
            let to = fs::read_link(target).map_or_else(|_| String::new(), |to| format!(" ({})", to.display()));
            let fault = TraceFault::of(target.display(), format!("it is a link to what is not there{to}"));
            fault.hint(format!("remove the link, or {ELSEWHERE}"))
        }),
        _ => Ok(target.to_path_buf()),
    }
}

/// Makes the folders above a place.
fn parents(place: &Path) -> Result<Parents, TraceFault> {
    let above = place.parent().filter(|p| !p.as_os_str().is_empty());
    let made = above.into_iter().flat_map(Path::ancestors).take_while(|p| !p.as_os_str().is_empty() && !p.exists());
    let made = Parents(made.map(Path::to_path_buf).collect());
    match above.map_or(Ok(()), fs::create_dir_all) {
        Ok(()) => Ok(made),
        Err(e) => Err(TraceFault::of(place.display(), e).hint(WRITABLE)),
    }
}

/// Whether `place` holds a result of the experiment `name`; if not, nothing is there.
fn is_result(kind: Kind, name: &str, place: &Path) -> Result<bool, TraceFault> {
    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
    }
    let refused = |what: String, hint: &str| Err(TraceFault::of(place.display(), what).hint(hint));
    match fs::symlink_metadata(place) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(TraceFault::of(place.display(), e).hint(WRITABLE)),
        Ok(_) => {}
    }
    let known_by = place.join(kind.known_by);
    if !fs::symlink_metadata(&known_by).is_ok_and(|there| there.is_file()) {
        return refused(format!("it exists and holds no {}: it is not a result folder", kind.known_by), ELSEWHERE);
    }
    let mut text = String::new();
    let read = File::open(&known_by).and_then(|file| file.take(LONGEST_SUMMARY).read_to_string(&mut text));
    match read.ok().and_then(|_| serde_json::from_str::<Named>(&text).ok()) {
        None => refused(format!("its {} says no experiment: it is not a result folder", kind.known_by), ELSEWHERE),
        Some(found) if found.name != name => refused(
            format!("it holds a result of `{}`, and this is `{name}`", found.name),
            "give another --out, or remove it",
        ),
        Some(_) => Ok(true),
    }
}

/// A partial folder with its mark.
fn started(place: &Path) -> Result<(PathBuf, Option<Locked>), TraceFault> {
    loop {
        let partial = own_name(place, "partial")?;
        let fault = |e: std::io::Error| TraceFault::of(partial.display(), e).hint(WRITABLE);
        fs::create_dir(&partial).map_err(fault)?;
        match Locked::at(&partial.join(MARK)) {
            Ok(alive) => return Ok((partial, Some(alive))),
            Err(NotLocked::NoLocks) => return Ok((partial, None)),
            // Somebody who sweeps took it for a dead run's.
            Err(NotLocked::Taken(_)) => {}
            Err(NotLocked::Failed(e)) if e.kind() == ErrorKind::NotFound => {}
            Err(NotLocked::Failed(e)) => {
                remove(&partial);
                return Err(fault(e));
            }
            Err(NotLocked::Foreign) => return Err(TraceFault::of(partial.display(), "it is in the way")),
        }
    }
}

/// Clears away what dead runs have left in this folder. A former result that one of them had moved away from `place`, which
/// this run has claimed, is put back; where a new one is there, notes of the old one go to it.
fn sweep(kind: Kind, place: &Path) {
    let is_dead = |folder: &PathBuf| {
        let mark = folder.join(MARK);
        mark.is_file().then(|| Locked::at(&mark).ok()).flatten()
    };
    for folder in left_beside(place, "partial").into_iter().filter(|path| path.is_dir()) {
        if let Some(dead) = is_dead(&folder) {
            remove(&folder);
            drop(dead);
        }
    }
    let own = place.file_name().and_then(|name| name.to_str());
    for old in left_beside(place, "old").into_iter().filter(|old| parts_of(old).map(|(name, _)| name) == own) {
        let Some(dead) = is_dead(&old) else { continue };
        if fs::symlink_metadata(place).is_ok() {
            kind.clear(&old, place);
        } else if fs::rename(&old, place).is_ok() {
            let _ = fs::remove_file(place.join(MARK));
        }
        drop(dead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(target: &Path) -> Result<ResultFolder, TraceFault> {
        ResultFolder::create(RUN, "x", target)
    }
    fn summary(seed: u32) -> String {
        format!("{{\"name\": \"x\", \"seed\": {seed}}}")
    }
    fn finish(folder: ResultFolder, seed: u32) {
        folder.write("summary.json", &summary(seed)).unwrap();
        folder.finish().unwrap();
    }
    #[track_caller]
    fn holds(dir: &Path, names: &[&str]) {
        let mut left: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, names);
    }

    #[test]
    fn a_folder_is_whole_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("results/r");
        let folder = start(&target).unwrap();
        folder.write("summary.json", &summary(1)).unwrap();
        assert!(!target.exists());
        drop(folder);
        holds(dir.path(), &[]);
        for seed in [1, 2] {
            let folder = start(&target).unwrap();
            assert_eq!(folder.replaces(), seed == 2);
            finish(folder, seed);
            assert_eq!(fs::read_to_string(target.join("summary.json")).unwrap(), summary(seed));
            fs::write(target.join("notes.md"), "mine").unwrap();
        }
        holds(&dir.path().join("results"), &["r"]);
        holds(&target, &["notes.md", "summary.json"]);
    }

    #[test]
    fn a_second_run_for_a_place_is_refused_until_the_first_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("r");
        let first = start(&target).unwrap();
        let says = start(&target).unwrap_err().to_string();
        assert!(says.contains(&format!("another run is writing it (process {})", std::process::id())), "{says}");
        start(&dir.path().join("s")).expect("another place is free");
        finish(first, 1);
        finish(start(&target).unwrap(), 2);
        holds(dir.path(), &["r"]);
    }

    #[test]
    fn what_is_no_result_of_this_experiment_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let says = |target: &Path| start(target).unwrap_err().to_string();
        assert!(says(dir.path()).contains("holds no summary.json: it is not a result folder"));
        fs::write(dir.path().join("summary.json"), "{}").unwrap();
        assert!(says(dir.path()).contains("its summary.json says no experiment"));
        fs::write(dir.path().join("summary.json"), "{\"name\": \"y\"}").unwrap();
        assert!(says(dir.path()).contains("it holds a result of `y`, and this is `x`; give another --out"));
        assert!(says(Path::new("/")).contains("it ends in no name"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_those_to_nothing_are_refused_before_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let (link, there) = (dir.path().join("link"), dir.path().join("there"));
        std::os::unix::fs::symlink(&there, &link).unwrap();
        let says = start(&link).unwrap_err().to_string();
        assert!(says.contains("link: it is a link to what is not there"), "{says}");
        finish(start(&there).unwrap(), 1);
        let folder = start(&link).unwrap();
        assert!(start(&there).unwrap_err().what.contains("another run"), "one place, whatever leads to it");
        finish(folder, 2);
        assert_eq!(fs::read_to_string(there.join("summary.json")).unwrap(), summary(2));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    /// What lies there after a process died at each step of putting a result in its place.
    #[test]
    fn what_a_dead_run_left_is_swept_and_a_moved_result_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("r");
        let mark = |folder: &Path| fs::write(folder.join(MARK), "baseload 1\n").unwrap();
        let old = dir.path().join(".r.1-0123456789abcdef.old");
        finish(start(&target).unwrap(), 1);
        fs::write(target.join("notes.md"), "mine").unwrap();
        // Between the two renames: the old result is away, the new one not there yet.
        mark(&target);
        fs::rename(&target, &old).unwrap();
        for (folder, marked) in [(".r.2-0123456789abcdef.partial", true), (".r.3-0123456789abcdef.partial", false)] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("thesis.txt"), "mine").unwrap();
            if marked {
                mark(&dir.path().join(folder));
            }
        }
        drop(start(&target).unwrap());
        holds(dir.path(), &[".r.3-0123456789abcdef.partial", "r"]);
        holds(&target, &["notes.md", "summary.json"]);
        // Behind the second rename: the new one is there, and the old one not yet cleared.
        fs::create_dir(&old).unwrap();
        mark(&old);
        fs::write(old.join("summary.json"), summary(1)).unwrap();
        fs::write(old.join("more.md"), "mine").unwrap();
        drop(start(&target).unwrap());
        holds(dir.path(), &[".r.3-0123456789abcdef.partial", "r"]);
        holds(&target, &["more.md", "notes.md", "summary.json"]);
    }

    #[test]
    fn a_result_that_cannot_be_put_in_its_place_is_kept_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("r");
        let folder = start(&target).unwrap();
        folder.write("summary.json", &summary(1)).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(target.join("thesis.txt"), "mine").unwrap();
        let partial = folder.path().to_path_buf();
        let says = folder.finish().unwrap_err().to_string();
        assert!(says.contains(&format!("the result is whole in {}", partial.display())), "{says}");
        drop(start(&dir.path().join("s")).unwrap());
        holds(&partial, &["summary.json"]);
        holds(&target, &["thesis.txt"]);
    }
}
