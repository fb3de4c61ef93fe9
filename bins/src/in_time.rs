//! For tests of code that must not block: they fail instead of hanging.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Runs `work` on another thread, and returns its result.
///
/// # Panics
///
/// If the work panics, or takes a minute: then it blocks, however busy the machine.
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = channel();
    let worker = thread::spawn(move || drop(done.send(work())));
    match (is_done.recv_timeout(Duration::from_mins(1)), worker) {
        (Ok(result), _) => result,
        (Err(RecvTimeoutError::Timeout), _) => panic!("it waits, and must not"),
        (Err(RecvTimeoutError::Disconnected), worker) => match worker.join() {
            Err(cause) => resume_unwind(cause),
            Ok(()) => unreachable!("it ended without a result"),
        },
    }
}
