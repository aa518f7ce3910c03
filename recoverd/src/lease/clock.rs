//! Two clocks, and who may believe which (leases.md D2).
//!
//! BOOTTIME counts suspends but is slewed by time daemons; MONOTONIC_RAW is not slewed but stops in a suspend. A holder's time
//! is up when either clock says so, a waiter's when both do. Ages and durations are in microseconds.

use crate::model::Mono;
use serde::{Deserialize, Serialize};

/// A duration in microseconds.
pub type Micros = u64;

/// An instant of one node, on both of its clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Clocks {
    /// CLOCK_BOOTTIME.
    pub boot: Mono,
    /// CLOCK_MONOTONIC_RAW.
    pub raw: Mono,
}

impl Clocks {
    /// This instant, `d` later.
    #[must_use]
    pub fn plus(self, d: Micros) -> Self {
        Self { boot: Mono(self.boot.0.saturating_add(d)), raw: Mono(self.raw.0.saturating_add(d)) }
    }

    /// This instant, `d` earlier.
    #[must_use]
    pub fn minus(self, d: Micros) -> Self {
        Self { boot: Mono(self.boot.0.saturating_sub(d)), raw: Mono(self.raw.0.saturating_sub(d)) }
    }

    /// The later of two instants, on each clock.
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        Self { boot: self.boot.max(other.boot), raw: self.raw.max(other.raw) }
    }

    /// For a holder: now, is the time up? When either clock says so (D2).
    #[must_use]
    pub fn is_up(self, deadline: Self) -> bool {
        self.boot >= deadline.boot || self.raw >= deadline.raw
    }

    /// For a waiter: now, is the wait over? When both clocks say so (D2).
    #[must_use]
    pub fn has_waited(self, end: Self) -> bool {
        self.boot >= end.boot && self.raw >= end.raw
    }

    /// The age of `then` by the clock that counted less.
    #[must_use]
    pub fn age_at_least(self, then: Self) -> Micros {
        self.boot.0.saturating_sub(then.boot.0).min(self.raw.0.saturating_sub(then.raw.0))
    }

    /// The age of `then` by the clock that counted more.
    #[must_use]
    pub fn age_at_most(self, then: Self) -> Micros {
        self.boot.0.saturating_sub(then.boot.0).max(self.raw.0.saturating_sub(then.raw.0))
    }

    /// How long until [`Self::is_up`].
    #[must_use]
    pub fn until_up(self, deadline: Self) -> Micros {
        deadline.boot.0.saturating_sub(self.boot.0).min(deadline.raw.0.saturating_sub(self.raw.0))
    }

    /// How long until [`Self::has_waited`].
    #[must_use]
    pub fn until_waited(self, end: Self) -> Micros {
        end.boot.0.saturating_sub(self.boot.0).max(end.raw.0.saturating_sub(self.raw.0))
    }
}
