//! Work over bytes that may be damaged: polars' reader panics on some of them, and a panic becomes a message here.
//!
//! Must keep true: what panics runs on a thread of its own, whose name says so; nothing of it is kept.
use baseload_core::types::{TraceFault, wrong};
use std::panic::PanicHookInfo;
use std::thread;

/// The name of threads whose panics are messages.
const READER: &str = "parquet reader";

/// What `work` gives; a panic of it is an error in its own words.
pub(super) fn guarded<T: Send>(work: impl FnOnce() -> Result<T, TraceFault> + Send) -> Result<T, TraceFault> {
    thread::scope(|scope| {
        let reader = thread::Builder::new().name(READER.into()).spawn_scoped(scope, work);
        let reader = reader.map_err(|e| wrong!("no thread to read it on: {e}"))?;
        reader.join().unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or(panic.downcast_ref::<&str>().copied());
            Err(TraceFault::new(words.unwrap_or("it cannot be decoded")))
        })
    })
}

/// Panics over damaged files print nothing from here on, for they become messages; all others print as before.
/// Once for the whole process: for a program's start.
pub fn quiet_readers() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        if thread::current().name() != Some(READER) {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::{TraceFault, guarded, wrong};

    #[test]
    fn a_panic_is_an_error_in_its_own_words() {
        assert_eq!(guarded(|| Ok(3)), Ok(3));
        assert_eq!(guarded::<u8>(|| Err(wrong!("no"))), Err(TraceFault::new("no")));
        assert_eq!(guarded::<u8>(|| panic!("page {} is torn", 7)), Err(TraceFault::new("page 7 is torn")));
        assert_eq!(
            guarded(|| Ok([1u8, 2].iter().position(|x| *x == 3).expect("it is there"))),
            Err(TraceFault::new("it is there"))
        );
    }
}
