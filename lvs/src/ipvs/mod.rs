//! The kernel's IPVS table over generic netlink: read it, change it, and nothing else. No `ipvsadm`.
//!
//! What a request or an answer looks like is pure ([`encode`], [`decode`], [`control`], on the framing of [`wire`]); [`Kernel`] owns the
//! socket and sends it. What is to be changed is decided elsewhere ([`crate::diff`], [`crate::reconcile`]); [`pass`] performs one pass and
//! says for each request what came of it. [`Ipvs`] is the seam: [`Kernel`] behind it in the daemon, [`Fake`] in tests.
//!
//! Every call blocks until the kernel has answered. That is microseconds, but seconds when a module must be loaded (the first call, the
//! first service of a scheduler): call from a thread that may wait, never from an executor's.

mod control;
mod decode;
mod encode;
mod error;
mod fake;
mod host;
mod kernel;
mod numbers;
mod pass;
pub(crate) mod rtnetlink;
pub mod selftest;
mod socket;
mod wire;

pub use control::{Info, KernelTimeouts, Role, RunningSync};
pub use error::IpvsError;
pub use fake::Fake;
pub use host::{HostFacts, Module};
pub use kernel::{Counts, Kernel};
pub use pass::{Answer, Outcome, pass};
pub use wire::Malformed;

use crate::diff::Change;
use crate::drain::Connections;
use crate::model::{DestId, ServiceId, Table};
use crate::reconcile::KernelError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// A table of virtual services that can be read and changed.
pub trait Ipvs {
    /// Everything that is there, with its counters.
    ///
    /// # Errors
    /// When the kernel has no IPVS, or does not let us ask: the error says which of these, and the remedy.
    fn read(&mut self) -> Result<Reading, IpvsError>;

    /// Performs one request. To add what is there already is to edit it; all else that the kernel refuses is an error (to delete what is
    /// not there, too: [`crate::reconcile::Reconciler`] takes that for done).
    ///
    /// # Errors
    /// The kernel's answer. It concerns the object of this request alone.
    fn perform(&mut self, change: &Change) -> Result<Performed, KernelError>;
}

/// How a request was performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performed {
    /// As asked.
    Done,
    /// What was to be added was there already, put there by others since the last reading, and was edited.
    Adopted,
}

/// The table with its counters, as one reading found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Services and destinations.
    pub table: Table,
    /// What was counted for each service.
    pub services: BTreeMap<ServiceId, Stats>,
    /// What was counted for each destination.
    #[serde(with = "pairs")]
    pub dests: BTreeMap<(ServiceId, DestId), DestCounters>,
    /// Entries that the model has no word for, in words: never touched.
    pub foreign: Vec<String>,
}

impl Reading {
    /// Connections by destination, for [`crate::director::Director::desired`]: active and inactive ones together.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let sum = |c: &DestCounters| u64::from(c.active) + u64::from(c.inactive);
        self.dests.iter().map(|(key, counters)| (*key, sum(counters))).collect()
    }
}

/// A map with a pair as its key, as a list: JSON has text keys only.
mod pairs {
    use super::{BTreeMap, DestCounters, DestId, ServiceId};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Map = BTreeMap<(ServiceId, DestId), DestCounters>;

    pub(super) fn serialize<S: Serializer>(map: &Map, s: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Map, D::Error> {
        Ok(Vec::<((ServiceId, DestId), DestCounters)>::deserialize(d)?.into_iter().collect())
    }
}

/// What the kernel has counted, and rates. Both are brought up to date every two seconds, by the kernel's estimator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients; NAT only.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients; NAT only.
    pub bytes_out: u64,
    /// Connections a second.
    pub connections_per_second: u64,
    /// Packets a second from clients.
    pub packets_in_per_second: u64,
    /// Packets a second to clients.
    pub packets_out_per_second: u64,
    /// Bytes a second from clients.
    pub bytes_in_per_second: u64,
    /// Bytes a second to clients.
    pub bytes_out_per_second: u64,
}

/// What the kernel has counted of one destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestCounters {
    /// Established connections.
    pub active: u32,
    /// All others that are still remembered: opening, closing, UDP.
    pub inactive: u32,
    /// Clients that are remembered for persistence.
    pub persistent: u32,
    /// Packets, bytes, rates.
    pub stats: Stats,
}
