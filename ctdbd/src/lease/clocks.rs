//! The two clocks of the lease protocol.

use nix::time::{ClockId, clock_gettime};
use recoverd::lease::Clocks;
use recoverd::model::Mono;
use std::time::Duration;

/// Now, on both clocks.
#[must_use]
pub fn now() -> Clocks {
    Clocks { boot: read(ClockId::CLOCK_BOOTTIME), raw: read(ClockId::CLOCK_MONOTONIC_RAW) }
}

fn read(clock: ClockId) -> Mono {
    // Both clocks exist on every Linux; should one fail all the same, a time that stands still ends every lease at once by the other.
    clock_gettime(clock)
        .map_or(Mono(0), |t| Mono(u64::try_from(Duration::from(t).as_micros()).unwrap_or(u64::MAX)))
}

/// What is left until `deadline` for a holder: until the first of the clocks has reached it.
pub(super) fn left(deadline: Clocks) -> Duration {
    Duration::from_micros(now().until_up(deadline))
}
