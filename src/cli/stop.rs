//! Ctrl-C as a flag, so that what is under way can tidy up; what does not hear of it in time is ended all the same.
use super::printer;
use crate::experiment::Scrap;
use baseload_core::types::Fault;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long whoever works may take to hear of it: a read from a pipe or a lost network drive never does.
const PATIENCE: Duration = Duration::from_millis(600);
/// What is said then.
pub const INTERRUPTED: &str = "interrupted; nothing was written";

/// What Ctrl-C sets and whoever works looks at.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    scraps: Arc<Mutex<Vec<Scrap>>>,
}

impl Stop {
    /// Hears Ctrl-C (and SIGTERM) from now on. Once a process: a second handler cannot be set.
    ///
    /// # Errors
    /// When the system takes no handler.
    pub fn on_ctrl_c() -> Result<Stop, Fault> {
        let stop = Stop::default();
        let heard = stop.clone();
        let set = ctrlc::set_handler(move || heard.ring());
        set.map_err(|e| Fault::new(format!("Ctrl-C handler: {e}")))?;
        Ok(stop)
    }

    /// Set to stop.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Whether it was rung.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// What must not be left behind if the program is ended.
    pub fn removes(&self, scrap: Scrap) {
        self.scraps.lock().unwrap_or_else(PoisonError::into_inner).push(scrap);
    }

    /// Rings, and ends the program unless it ends by itself.
    fn ring(&self) {
        let again = self.flag.swap(true, Ordering::Relaxed);
        if !again {
            std::thread::sleep(PATIENCE);
        }
        let scraps = std::mem::take(&mut *self.scraps.lock().unwrap_or_else(PoisonError::into_inner));
        // What is in its place, or removed already, is of a program that is about to end.
        if again || scraps.is_empty() || scraps.iter().filter(|scrap| scrap.discard()).count() > 0 {
            printer::error(INTERRUPTED);
            exit(130);
        }
    }
}
