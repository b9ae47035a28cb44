//! Ctrl-C as a flag, so that what is under way can tidy up.
use baseload_core::types::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that Ctrl-C sets. Whoever works looks at it. Once a process: a second handler cannot be set.
///
/// # Errors
/// When the system takes no handler.
pub fn on_ctrl_c() -> Result<Arc<AtomicBool>, Fault> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let set = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    set.map_err(|e| Fault::new(format!("Ctrl-C handler: {e}")))?;
    Ok(stop)
}
