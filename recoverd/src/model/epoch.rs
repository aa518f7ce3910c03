//! Epochs, sessions and run ids: what orders the words of recmasters, the lives of a node, and the runs of an epoch.

use super::Pnn;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An epoch orders recmasters: a higher one wins, its messages are obeyed and those of lower ones refused.
///
/// Mirrors CTDB's generation. The node number makes two epochs of two nodes that saw the same history different (leases.md d20).
/// Epoch 0 means "none yet"; it is printed as `INVALID` by `ctdb status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Counts up by at least one at each change of recmaster.
    pub number: u64,
    /// The recmaster of this epoch.
    pub pnn: Pnn,
}

impl Epoch {
    /// No recmaster has been seen yet.
    pub const NONE: Self = Self { number: 0, pnn: Pnn(0) };

    /// Whether a recmaster ever announced this epoch.
    #[must_use]
    pub fn is_some(self) -> bool {
        self.number != 0
    }

    /// The epoch with which `pnn` follows this one.
    #[must_use]
    pub fn next(self, pnn: Pnn) -> Self {
        Self { number: self.number.saturating_add(1), pnn }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.pnn)
    }
}

/// One life of a node's daemon: a random number picked at start. Messages of a former life are not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Session(pub u64);

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A takeover run: the epoch of the recmaster that ran it and a count within that epoch. Printed as `EPOCH/COUNT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// Epoch of the recmaster.
    pub epoch: Epoch,
    /// From 1 in each epoch.
    pub count: u64,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.count)
    }
}
