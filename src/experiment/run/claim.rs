//! A place that one process at a time writes for.
use super::beside::{Locked, NotLocked, name_of};
use baseload_core::types::TraceFault;
use std::ffi::OsString;
use std::path::Path;

/// The claim on a place, until it is dropped; an empty one where the file system knows no locks.
#[derive(Debug)]
pub struct Claim(Option<Locked>);

impl Claim {
    /// Claims `place`, by a locked `.NAME.lock` beside it. `others` says what another process does that has it, `elsewhere`
    /// what to do instead, and `writable` what else may help.
    ///
    /// # Errors
    /// With the place, as `shown`: another process has it; its lock cannot be made.
    pub fn on(place: &Path, shown: &Path, [others, elsewhere, writable]: [&str; 3]) -> Result<Claim, TraceFault> {
        let of_shown = |fault: TraceFault| TraceFault { file: shown.display().to_string(), ..fault };
        let mut name = OsString::from(".");
        name.push(name_of(place).map_err(|fault| of_shown(fault).hint(elsewhere))?);
        name.push(".lock");
        let lock = place.with_file_name(name);
        match Locked::at(&lock) {
            Ok(locked) => Ok(Claim(Some(locked))),
            Err(NotLocked::NoLocks) => Ok(Claim(None)),
            Err(NotLocked::Taken(by)) => {
                let by = by.map_or_else(String::new, |pid| format!(" (process {pid})"));
                let fault = TraceFault::of(shown.display(), format!("another {others} it{by}"));
                Err(fault.hint(format!("wait until it has ended, or {elsewhere}")))
            }
            Err(NotLocked::Foreign) => {
                let fault = TraceFault::of(lock.display(), "it is in the way: a place is locked by this name");
                Err(fault.hint(format!("move it elsewhere, or {elsewhere}")))
            }
            Err(NotLocked::Failed(e)) => Err(TraceFault::of(shown.display(), e).hint(writable)),
        }
    }

    /// Whether nobody else can have it, either.
    pub fn is_sure(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = self.0.take().map(Locked::remove);
    }
}
