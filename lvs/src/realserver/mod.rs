//! The real server's side of direct routing and tunnels: the virtual address is on `lo`, and nobody hears of it (field report R2).
//!
//! `ctdb lvs realserver up|down|show VIP…`. What is to be done is decided in [`plan`] from what is [`Seen`] and what is remembered
//! ([`State`]); [`host`] looks and does; [`store`] keeps the state in a file that is written *before* anything is changed, so that an
//! `up` that was cut short can be taken back, too. `down` undoes exactly what `up` did: an address that was there before stays, and a
//! setting goes back only while it is still what `up` made of it. Several addresses share the settings; the last one to go takes them
//! along.
//!
//! An IPv4 address gets the prefix 32 and the scope `host` (as CTDB's 91.lvs does), so that it never becomes a source of the host's own
//! connections. `arp_ignore` and `arp_announce` are set on `all` and `lo`, before the address is added. For IPv6 no setting is needed:
//! Linux answers neighbour solicitations only for addresses of the interface on which they arrive; the address gets the prefix 128, no
//! duplicate address detection and no route of its own.

pub mod host;
pub mod plan;
pub mod store;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// The interface that has the virtual addresses.
pub const LOOPBACK: &str = "lo";

/// Settings below `net.ipv4.conf` and the least that keeps a virtual address quiet. The kernel takes the greater one of `all` and of
/// the interface on which a request arrives, so `all` would do; `lo` is set, too, because that is what every guide says and what
/// people look for.
pub const SETTINGS: [(&str, u32); 4] =
    [("all/arp_ignore", 1), ("all/arp_announce", 2), ("lo/arp_ignore", 1), ("lo/arp_announce", 2)];

/// The same for the address of a group of which one node leads (`91.lvs`): there `arp_ignore` is 3, with which the kernel answers for
/// an address of scope `global`, on whatever interface it is, and not for one of scope `host`.
pub const GROUP_SETTINGS: [(&str, u32); 4] =
    [("all/arp_ignore", 3), ("all/arp_announce", 2), ("lo/arp_ignore", 3), ("lo/arp_announce", 2)];

/// What is seen of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Addresses with their interfaces.
    pub addresses: Vec<(String, IpAddr)>,
    /// Settings below `net.ipv4.conf`, by name: those of [`SETTINGS`], and `arp_ignore` of every other interface.
    pub settings: BTreeMap<String, u32>,
}

impl Seen {
    /// Whether the loopback has an address.
    #[must_use]
    pub fn on_loopback(&self, addr: IpAddr) -> bool {
        self.addresses.iter().any(|(iface, a)| iface == LOOPBACK && *a == addr)
    }

    /// Another interface that has an address.
    #[must_use]
    pub fn elsewhere(&self, addr: IpAddr) -> Option<&str> {
        self.addresses.iter().find(|(iface, a)| iface != LOOPBACK && *a == addr).map(|(i, _)| i.as_str())
    }
}

/// A setting that `up` changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What it was.
    pub before: u32,
    /// What `up` made of it.
    pub ours: u32,
}

/// What `up` did and `down` will undo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The boot in which it did so; a reboot undoes all by itself.
    pub boot: String,
    /// Virtual addresses; whether `up` added them, or found them on `lo`.
    pub vips: BTreeMap<IpAddr, bool>,
    /// Settings by name.
    pub settings: BTreeMap<String, Changed>,
}

/// One change of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Write a setting below `net.ipv4.conf`.
    Set {
        /// `all/arp_ignore`.
        name: String,
        /// The value.
        value: u32,
    },
    /// Put an address on `lo`.
    Add(IpAddr),
    /// Take it off.
    Remove(IpAddr),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set { name, value } => write!(f, "net.ipv4.conf.{} = {value}", name.replace('/', ".")),
            Self::Add(addr) => write!(f, "added {addr} to {LOOPBACK}"),
            Self::Remove(addr) => write!(f, "took {addr} off {LOOPBACK}"),
        }
    }
}

/// Why nothing, or not everything, was done.
#[derive(Debug, Error)]
pub enum RealServerError {
    /// An address that this host answers for.
    #[error(
        "{vip} is on {iface}: this host would answer ARP for it; a real server has it on lo only, so take it off {iface} first (on a \
         director, `ctdb lvs realserver` is not needed)"
    )]
    Elsewhere {
        /// The address.
        vip: IpAddr,
        /// Its interface.
        iface: String,
    },
    /// No address that a service can have.
    #[error("{vip} is no address of a virtual service; name the VIP")]
    NoVip {
        /// The address.
        vip: IpAddr,
    },
    /// The host cannot be looked at.
    #[error("cannot read {what}: {source}")]
    Look {
        /// What of it.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A step that the kernel refused; what was done before it is remembered, and `down` undoes it.
    #[error(
        "cannot do \"{step}\": {source}; it needs root (CAP_NET_ADMIN); `ctdb lvs realserver down` undoes what was done before it"
    )]
    Step {
        /// The step.
        step: Step,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file of the state.
    #[error(
        "cannot {what} {file}: {source}; it remembers what `up` changed, and nothing is changed without it"
    )]
    Store {
        /// read, write, lock.
        what: &'static str,
        /// The file.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
}
