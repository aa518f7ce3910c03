//! Bounded waiting for a condition. No sleeps where a condition can be awaited, and the message of a wait that ran out shows the
//! last state seen.

use super::LabError;
use std::time::{Duration, Instant};

/// Asks `probe` every 5 ms until it is `Ok`.
///
/// # Errors
/// [`LabError::Timeout`] with the last `Err` of `probe` when `timeout` has passed.
pub fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T, LabError> {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(state) if start.elapsed() >= timeout => {
                return Err(LabError::Timeout { what: what.to_owned(), after: timeout, state });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
