//! What the checks are about: observations, without a judgement.

use super::firewall::Ruleset;
use crate::ipvs::selftest::SelfTest;
use crate::ipvs::{Info, IpvsError};
use crate::model::{DestId, Forward, ServiceId};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Everything that was observed.
#[derive(Debug)]
pub struct Facts {
    /// The kernel's IPVS, or why there is none.
    pub ipvs: Result<Info, IpvsError>,
    /// The self-test, or why it was not made.
    pub self_test: Result<SelfTest, String>,
    /// `uname -r`.
    pub release: String,
    /// Connections that IPVS remembers now, when it could be asked.
    pub connections: Option<u64>,
    /// Tracked connections and the most that there can be; none when connections are not tracked.
    pub conntrack: Option<(u64, u64)>,
    /// `tcp_tw_recycle`.
    pub recycle: Recycle,
    /// Destinations of the services, each with how it is reached.
    pub reach: Vec<Reach>,
    /// Virtual addresses.
    pub vips: Vec<Vip>,
    /// Whose hardware address it is, as the neighbour table has it.
    pub neighbours: BTreeMap<String, IpAddr>,
    /// `rp_filter` of the interfaces that matter.
    pub reverse_path: ReversePath,
    /// Outer sources of tunnelled packets, by the address to which they were sent.
    pub tunnels: BTreeMap<IpAddr, BTreeMap<IpAddr, u64>>,
    /// The other nodes of the cluster.
    pub peers: Vec<Peer>,
    /// The daemons' port, TCP and UDP.
    pub port: u16,
    /// Whether keepalived is configured on this host.
    pub keepalived: bool,
    /// Packet filters.
    pub rules: Vec<Ruleset>,
    /// Why some could not be read.
    pub unread_rules: Vec<String>,
    /// Services with what came of a connection.
    pub services: Vec<Through>,
    /// Connections by destination and state, as `/proc/net/ip_vs_conn` has them.
    pub states: BTreeMap<(ServiceId, DestId), States>,
}

/// What came of a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connect {
    /// It was made.
    Made,
    /// RST: the host is there, and nobody listens.
    Refused,
    /// No answer at all in that many milliseconds.
    Silent(u128),
    /// The system's error, such as "No route to host".
    Failed(String),
    /// It was not tried; why.
    NotTried(String),
}

/// A route as the kernel would choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Outgoing interface.
    pub iface: String,
    /// Router; none when the target is on the link.
    pub gateway: Option<IpAddr>,
    /// The source that the kernel prefers.
    pub source: Option<IpAddr>,
    /// The target is an address of this host.
    pub local: bool,
}

/// One destination of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Service.
    pub service: ServiceId,
    /// Destination.
    pub dest: DestId,
    /// Forwarding method.
    pub forward: Forward,
    /// Its route, or why there is none.
    pub route: Result<Route, String>,
    /// A connection to where the service will send.
    pub connect: Connect,
}

/// One virtual address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    /// Address.
    pub addr: IpAddr,
    /// The interface of this host that has it.
    pub here: Option<String>,
    /// The interface on which was asked for it, and the hardware addresses that answered; or why it was not asked for.
    pub answers: Result<(String, Vec<String>), String>,
    /// Whether a service of it forwards by DR or TUN: then real servers have the address, too.
    pub on_real_servers: bool,
}

/// A service as its clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Through {
    /// Service.
    pub service: ServiceId,
    /// Connections through the virtual address: as many as may meet every real server. None where only speaking tells anything (UDP).
    pub connects: Vec<Connect>,
    /// What came of speaking through it, when a check of its real servers can.
    pub spoken: Option<Spoken>,
    /// What conntrack makes of its packets on this host.
    pub tracking: Tracking,
}

/// A check of the real servers, made of the virtual address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Its name, such as `HTTP_GET`.
    pub check: &'static str,
    /// What was answered, or what was wrong with it.
    pub result: Result<String, String>,
}

/// What conntrack makes of the packets of a service on this host. On a director IPVS takes them before conntrack has confirmed the
/// connection (measured on Linux 6.1, DR and NAT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// New, then established: this host answers itself, or it is a director of NAT with `net.ipv4.vs.conntrack` = 1.
    Whole,
    /// A director with `net.ipv4.vs.conntrack` = 0: every packet is new, but FIN and RST, which are invalid.
    Unconfirmed,
    /// A director of DR or TUN with `net.ipv4.vs.conntrack` = 1, which never sees an answer: all but the first are invalid.
    OneSided,
}

/// Reverse path filters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReversePath {
    /// `all`, and every interface to which requests for a virtual address come.
    pub values: BTreeMap<String, u32>,
    /// Interfaces of default routes: by them answers to most clients leave.
    pub default_routes: Vec<String>,
}

/// `tcp_tw_recycle`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recycle {
    /// Its value; none since Linux 4.12.
    pub value: Option<u32>,
    /// `FILE:LINE` of every sysctl file that sets it.
    pub files: Vec<String>,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its private address.
    pub addr: IpAddr,
    /// Ours, from which it is reached, and the interface.
    pub from: Option<(IpAddr, String)>,
    /// By what it was seen alive; none when by nothing.
    pub alive: Option<String>,
    /// A connection to the daemon's port.
    pub heartbeat: Connect,
}

/// Connections of one destination by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct States {
    /// Opening: a SYN was forwarded, and the client did not go on.
    pub opening: u64,
    /// Established, closing, closed: data has passed.
    pub beyond: u64,
}

/// `/proc/net/ip_vs_conn` by service and destination; TCP only.
#[must_use]
pub fn connection_states(text: &str) -> BTreeMap<(ServiceId, DestId), States> {
    let mut all: BTreeMap<_, States> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["TCP", _, _, vip, vport, dest, dport, state, ..] = words.as_slice() else { continue };
        let port = |hex: &str| u16::from_str_radix(hex, 16).ok();
        let (Some(vip), Some(vport), Some(dest), Some(dport)) =
            (hex_address(vip), port(vport), hex_address(dest), port(dport))
        else {
            continue;
        };
        let service = ServiceId::addr(vip, vport, crate::model::Protocol::Tcp);
        let states = all.entry((service, DestId::new(dest, dport))).or_default();
        match *state {
            "SYN_RECV" | "SYN_SENT" | "SYNACK" => states.opening += 1,
            // A template of persistence is no connection.
            "NONE" | "LISTEN" => {}
            _ => states.beyond += 1,
        }
    }
    all
}

/// `C0000201`, or `[2001:0db8:…]`.
fn hex_address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => match text.contains(':') {
            true => text.parse().ok().map(IpAddr::V6),
            false => u32::from_str_radix(text, 16).ok().map(|n| IpAddr::V4(Ipv4Addr::from(n))),
        },
    }
}
