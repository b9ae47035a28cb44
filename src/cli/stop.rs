//! Ctrl-C as a flag, so that what is under way can tidy up.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that Ctrl-C sets. Whoever works looks at it. Once a process: a second handler cannot be set.
///
/// # Errors
/// When the system takes no handler.
pub fn on_ctrl_c() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(|e| format!("Ctrl-C handler: {e}"))?;
    Ok(stop)
}
