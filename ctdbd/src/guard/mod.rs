//! The guard: a small process in a session of its own that cleans up behind a daemon that dies without saying goodbye.
//!
//! CTDB leaves the addresses of a killed daemon where they are, and two nodes answer (BASELINE: until it is started again). Here the
//! daemon starts this same program as its guard. A pipe ties them: when the daemon dies the kernel closes it, whatever killed
//! the daemon, and the guard takes the public addresses off. A daemon that ends in order says goodbye, and the guard just ends.
//! The guard holds a lock in the run directory while it lives, so that a new daemon begins only when the old one's guard is done.
//! It decides nothing else.

mod child;
mod parent;

pub use child::{ARGUMENT, run};
pub use parent::{Guard, GuardError};

use recoverd::model::Session;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What the daemon tells its guard: JSON, one object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// First: where to lock, and for whom.
    Begin {
        /// The lock file.
        lock: PathBuf,
        /// Where to write what was done, for the journal of the next daemon.
        report: PathBuf,
        /// Our private address, those of all peers, and the UDP port of leases: whom to tell that the session is fenced.
        addr: IpAddr,
        peers: Vec<IpAddr>,
        port: u16,
    },
    /// All public addresses of the configuration, at start and after each reload.
    Public(Vec<IpAddr>),
    /// All other nodes, after the nodes file changed.
    Peers(Vec<IpAddr>),
    /// The base of the gate's marks: with it the guard can shut the gate.
    Gate(u32),
    /// The present lease session.
    Session(Option<Session>),
    /// The daemon ends in order: there is nothing to clean up.
    Goodbye,
}

/// What a guard watches over.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Run directory, for lock and report.
    pub rundir: PathBuf,
    /// All public addresses of the configuration.
    pub public: Vec<IpAddr>,
    /// Our private address.
    pub addr: IpAddr,
    /// Private addresses of all other nodes.
    pub peers: Vec<IpAddr>,
    /// UDP port of leases.
    pub port: u16,
}

/// Name of the report in the run directory.
const REPORT: &str = "guard.report";

/// What the guard of a former daemon left behind, once: the report is removed.
#[must_use]
pub fn take_report(rundir: &Path) -> Option<String> {
    let path = rundir.join(REPORT);
    let text = std::fs::read_to_string(&path).ok()?;
    std::fs::remove_file(&path).ok()?;
    Some(text.trim().to_owned())
}

/// What the guard says once it has the lock.
const READY: &str = "ready";
