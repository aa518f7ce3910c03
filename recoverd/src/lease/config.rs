//! What a lease machine must know before its first input: tunables, the kind of lock, the nodes.

use super::Rules;
use super::clock::Micros;
use crate::model::Pnn;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The kind of cluster lock, as far as the protocol depends on it (leases.md part 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    /// A store that can prove the lock ours and that keeps our record: a file, etcd.
    Store,
    /// A helper process: that it lives counts as proof, and a new holder must wait until an old helper has noticed its loss.
    Helper {
        /// LockLossTime.
        loss_time: Duration,
    },
    /// The votes of the nodes themselves.
    Quorum {
        /// Evict the predecessor on the ages that joins report (about 1.2 T instead of 2.3 T after an election).
        short_count: bool,
    },
}

/// Configuration of a [`super::Lease`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseConfig {
    /// This node.
    pub me: Pnn,
    /// Nodes of the nodes file that are not deleted.
    pub nodes: Vec<Pnn>,
    /// Hash of the nodes file: nodes with different files do not work together (d22).
    pub list: u64,
    /// LeaseTime, T.
    pub lease_time: Duration,
    /// LeaderlessGrace, G; not used with lock `quorum`.
    pub leaderless_grace: Duration,
    /// The lock.
    pub lock: LockKind,
}

/// The durations of the protocol, in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Times {
    /// T.
    pub(super) t: Micros,
    /// The beat, T/5.
    pub(super) beat: Micros,
    /// G; `None` with lock `quorum`: a minority can never hold that lock, so majority grants need no end.
    pub(super) g: Option<Micros>,
    margin_permille: u64,
    slack: Micros,
}

impl Times {
    pub(super) fn new(cfg: &LeaseConfig, rules: &Rules) -> Self {
        let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX / 4);
        let t = us(cfg.lease_time);
        let g = match cfg.lock {
            LockKind::Quorum { .. } => None,
            LockKind::Store | LockKind::Helper { .. } => Some(us(cfg.leaderless_grace)),
        };
        let (margin_permille, slack) = if rules.d1_margin { (1110, 10_000) } else { (1100, 0) };
        Self { t, beat: t / 5, g, margin_permille, slack }
    }

    /// W(x) = 1.11 x + 10 ms: `x` on any clock within ±5 % has passed when this has passed here (D1: 1.05/0.95 = 1.1053).
    pub(super) fn wait(&self, x: Micros) -> Micros {
        x * self.margin_permille / 1000 + self.slack
    }
}

/// The age of an event that another node reports, where an age too high is dangerous: × 0.9.
pub(super) fn shrunk(age: Micros) -> Micros {
    age - age / 10
}

/// The age of an event that another node reports, where an age too low is dangerous: × 1.11.
///
/// It comes from another node and may be anything; [`Micros::MAX`] stands for "never".
pub(super) fn stretched(age: Micros) -> Micros {
    age.saturating_add(age.saturating_mul(11) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_of_others_may_be_anything() {
        assert_eq!((stretched(100), shrunk(100)), (111, 90));
        assert_eq!((stretched(0), shrunk(0)), (0, 0));
        assert_eq!(stretched(Micros::MAX), Micros::MAX);
        assert!(stretched(Micros::MAX / 12) > Micros::MAX / 12);
    }
}
