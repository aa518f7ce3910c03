//! What goes into the gate, and what it says about itself.

use super::GateError;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What the gate guards.
#[derive(Debug, Clone)]
pub struct GateConfig {
    /// All public addresses of the configuration, held or not.
    pub public: Vec<IpAddr>,
    /// Addresses that many nodes have for themselves and one answers for (LVS): their ARP passes as that of a public one, their packets
    /// pass always.
    pub quiet: Vec<IpAddr>,
    /// The interfaces they may be on; those that do not exist are passed over.
    pub interfaces: Vec<String>,
    /// LeaseTime, 100 ms to 60 s.
    pub lease_time: Duration,
}

/// What came of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The gate is open for that long, counted from the call, unless it is renewed or closed.
    Renewed(Duration),
    /// The gate, or one of its tables, was shut (or was closed because the daemon was too slow): only [`super::Gate::open`] opens it.
    NoLease,
    /// Too little is left to send a tick for. The gate stays as it is, and shuts by itself in time.
    TooLate,
    /// The tables are gone or do not see the tick. They are being put back; then [`super::Gate::open`] again.
    TablesGone,
}

/// The state of the gate, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateState {
    /// Held addresses pass, for that long.
    Open(Duration),
    /// Nothing passes for a public address.
    Shut,
    /// There is no gate, and why.
    Degraded(String),
}

impl fmt::Display for GateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(left) => write!(f, "open for {} ms", left.as_millis()),
            Self::Shut => f.write_str("shut"),
            Self::Degraded(why) => write!(f, "degraded: no gate: {why}"),
        }
    }
}

impl From<&GateError> for GateState {
    fn from(why: &GateError) -> Self {
        Self::Degraded(why.to_string())
    }
}
