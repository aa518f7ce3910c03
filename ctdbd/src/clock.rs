//! The daemon's clocks: one for decisions, one for people.

use nix::time::{ClockId, clock_gettime};
use recoverd::model::Mono;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now on CLOCK_MONOTONIC, in microseconds since the host booted. The only clock that decisions see.
#[must_use]
pub(crate) fn mono() -> Mono {
    // CLOCK_MONOTONIC exists on every Linux; the call cannot fail with a valid clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Mono(0), |t| {
        let micros = Duration::from(t).as_micros();
        Mono(u64::try_from(micros).unwrap_or(u64::MAX))
    })
}

/// Now by the wall clock, in microseconds since 1970. For people only.
#[must_use]
pub(crate) fn wall_us() -> i64 {
    wall_of(SystemTime::now())
}

/// A point of the wall clock in microseconds since 1970.
#[must_use]
pub(crate) fn wall_of(t: SystemTime) -> i64 {
    t.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// When `t` was by the wall clock, in microseconds since 1970.
#[must_use]
pub(crate) fn wall_of_mono(t: Mono) -> i64 {
    let ago = mono().since(t).as_micros();
    wall_us().saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX))
}
