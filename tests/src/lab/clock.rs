//! The clock of all measurements: `CLOCK_MONOTONIC`, which the daemons' journals and the probes share on one machine.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since an arbitrary start, the same for all processes of this machine.
#[must_use]
pub fn now_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_REALTIME` in nanoseconds: the kernel's receive stamps come on that clock.
pub(crate) fn realtime_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME)
}

fn nanoseconds(clock: ClockId) -> u64 {
    // The kernel cannot fail to read these two clocks.
    let Ok(now) = clock_gettime(clock) else { return 0 };
    u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
}
