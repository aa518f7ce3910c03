//! What a test and its lab's init say to each other: one JSON line each way over the init's standard input (a Unix socket).
//!
//! The init acts in the namespaces because it is one thread and may; a test process has many threads and may not.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// What the init is told when it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InitConfig {
    pub(crate) nodes: usize,
    pub(crate) public_ifaces: Vec<String>,
    /// Removed when the lab ends.
    pub(crate) remove_dir: Option<PathBuf>,
}

/// The first line of the init. The descriptors go with it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// Descriptors: pid, then mount and net of each host, then user if `user_namespace`.
    Ready { hosts: usize, user_namespace: bool },
    /// This machine does not let us make namespaces.
    NoNamespaces(String),
    /// Something else went wrong.
    Failed(String),
}

/// A request about one host, by its number (nodes first, then the client, then the switch).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Addresses { host: usize },
    AddAddress { host: usize, iface: String, address: IpAddr, prefix: u8 },
    DelAddress { host: usize, iface: String, address: IpAddr },
    SetLink { host: usize, iface: String, up: bool },
    LinkState { host: usize, iface: String },
    FlushNeighbours { host: usize, iface: String },
    SetNeighbour { host: usize, iface: String, address: IpAddr, mac: [u8; 6] },
    AddressEvents,
}

/// The answer to a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Addresses(Vec<HeldAddress>),
    Link(LinkState),
    Events(Vec<AddressEvent>),
    Error(String),
}

/// An address on an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAddress {
    /// Name of the interface.
    pub iface: String,
    /// The address.
    pub address: IpAddr,
    /// Bits of the netmask.
    pub prefix: u8,
}

/// The state of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Administratively up.
    pub up: bool,
    /// Up and with carrier.
    pub carrier: bool,
    /// Hardware address.
    pub mac: [u8; 6],
}

/// The kernel said that an address appeared on or vanished from a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressEvent {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub at_ns: u64,
    /// Number of the host (nodes first).
    pub host: usize,
    /// Which address.
    pub address: IpAddr,
    /// Appeared (or vanished).
    pub added: bool,
}

/// Name of the switch's port to interface `iface` of node `node` (at most 15 characters, as the kernel wants).
pub(crate) fn switch_port(node: usize, iface: &str) -> String {
    let mut name = format!("{node}.{iface}");
    name.truncate(15);
    name
}

/// A node's address in the private network.
pub(crate) fn private_v4(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 20, octet(41, node))
}

/// A node's IPv6 address in the private network: its last group reads like the last octet of the IPv4 one.
pub(crate) fn private_v6(node: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, decimal_as_hex(octet(41, node)))
}

/// A node's own (static) address in the public network.
pub(crate) fn static_v4(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, octet(11, node))
}

/// A node's own (static) IPv6 address in the public network.
pub(crate) fn static_v6(node: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, decimal_as_hex(octet(11, node)))
}

/// The client's addresses in the public network.
pub(crate) const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
/// The same for IPv6.
pub(crate) const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 9);

fn octet(base: u8, node: usize) -> u8 {
    base.saturating_add(u8::try_from(node).unwrap_or(u8::MAX))
}

fn decimal_as_hex(value: u8) -> u16 {
    let value = u16::from(value);
    (value / 100) * 0x100 + (value / 10 % 10) * 0x10 + value % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_addresses_read_alike() {
        assert_eq!(private_v4(0).to_string(), "192.168.20.41");
        assert_eq!(private_v6(2).to_string(), "fd00:20::43");
        assert_eq!(static_v6(1).to_string(), "fd00:a::12");
        assert_eq!(private_v6(80).to_string(), "fd00:20::121");
    }

    #[test]
    fn port_names_fit_the_kernel() {
        assert_eq!(switch_port(1, "bond0"), "1.bond0");
        assert_eq!(switch_port(12, "averylongname15").len(), 15);
    }
}
