//! The configuration as it was understood: typed, complete with defaults, and with the place of every block.

use super::check_types::Check;
use super::report::Place;
use crate::model::{DestId, Forward, Protocol, ServiceId, ServiceSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A whole `virtual_servers.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `virtual_server` blocks in the order of the file.
    pub virtual_servers: Vec<VirtualServer>,
    /// `lvs_sync_daemon`, when wanted.
    pub sync: Option<SyncDaemon>,
    /// `lvs_timeouts`, what is set.
    pub timeouts: Timeouts,
    /// `SSL { … }`: for all checks with TLS.
    pub tls: TlsFiles,
}

/// One `virtual_server` block: one kernel service, or many when it is of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualServer {
    /// As it is declared: `192.0.2.1 80`, `fwmark 5`, `group web`.
    pub name: String,
    /// Where.
    pub at: Place,
    /// Kernel services with their settings; never empty.
    pub services: BTreeMap<ServiceId, ServiceSettings>,
    /// `ha_suspend`: check only while the address is here.
    pub ha_suspend: bool,
    /// `omega`: run the down-notifiers when the director stops.
    pub omega: bool,
    /// Weight of live servers that is needed; 1 or more.
    pub quorum: u32,
    /// By how much it may be missed or must be exceeded; less than the quorum.
    pub hysteresis: u32,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Script>,
    /// Run when it is lost.
    pub quorum_down: Option<Script>,
    /// Serves while the quorum is lost.
    pub sorry: Option<SorryServer>,
    /// `drain_timeout` (ours): how long a real server that leaves this file keeps its connections; zero: it goes at once.
    pub drain_timeout: Duration,
    /// Real servers in the order of the file, each address and port once.
    pub real_servers: Vec<RealServer>,
}

/// One `real_server` block with what it inherits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealServer {
    /// Where.
    pub at: Place,
    /// Address.
    pub addr: IpAddr,
    /// Port; none for the port of the service.
    pub port: Option<u16>,
    /// 0 to 65535.
    pub weight: u32,
    /// Forwarding.
    pub forward: Forward,
    /// `uthreshold`, 0 for none.
    pub upper: u32,
    /// `lthreshold`, 0 for the kernel's rule.
    pub lower: u32,
    /// Weight 0 instead of removal when it is down.
    pub inhibit_on_failure: bool,
    /// Run when it comes up.
    pub notify_up: Option<Script>,
    /// Run when it goes down.
    pub notify_down: Option<Script>,
    /// Checks; all must pass. None at all: always up.
    pub checks: Vec<Check>,
}

impl RealServer {
    /// As the kernel will know it within a service.
    #[must_use]
    pub fn dest(&self, service: &ServiceId) -> DestId {
        DestId::new(self.addr, kernel_port(service, self.port, self.forward))
    }

    /// `192.0.2.1:80`, or the address alone when it takes the service's port.
    #[must_use]
    pub fn name(&self) -> String {
        self.port.map_or_else(|| self.addr.to_string(), |port| DestId::new(self.addr, port).to_string())
    }
}

/// `sorry_server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SorryServer {
    /// Where.
    pub at: Place,
    /// Address.
    pub addr: IpAddr,
    /// Port; none for the port of the service.
    pub port: Option<u16>,
    /// Forwarding.
    pub forward: Forward,
    /// `sorry_server_inhibit`: it stays in the table with weight 0 while it is not needed.
    pub inhibit: bool,
}

impl SorryServer {
    /// As the kernel will know it within a service.
    #[must_use]
    pub fn dest(&self, service: &ServiceId) -> DestId {
        DestId::new(self.addr, kernel_port(service, self.port, self.forward))
    }
}

/// The port of a destination in the kernel's table. A mark stands for many ports: by a method that does not translate, each packet keeps
/// its own, and a port that is written (for the checks, mostly) is none of the table's. keepalived 2.2.7 puts 0 there, too.
fn kernel_port(service: &ServiceId, written: Option<u16>, forward: Forward) -> u16 {
    match service {
        ServiceId::Fwmark { .. } if !forward.translates_ports() => 0,
        _ => written.unwrap_or_else(|| port_of(service)),
    }
}

/// The port of a service; 0 for fwmark services and those of every port.
#[must_use]
pub fn port_of(service: &ServiceId) -> u16 {
    match service {
        ServiceId::Addr { port, .. } => *port,
        ServiceId::Fwmark { .. } => 0,
    }
}

/// A program with arguments. Never run by a shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Script {
    /// Program (absolute path) and arguments; never empty.
    pub argv: Vec<String>,
    /// User to run it as; none for the daemon's choice.
    pub user: Option<String>,
    /// Group; none for the user's own.
    pub group: Option<String>,
}

/// `lvs_sync_daemon`: connections are told to the other directors, master where the address is, backup elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDaemon {
    /// Interface for the multicast.
    pub iface: String,
    /// Synchronisation id, 0 to 255.
    pub id: u8,
    /// Longest message in bytes; none for the kernel's choice.
    pub maxlen: Option<u16>,
    /// UDP port; none for 8848.
    pub port: Option<u16>,
    /// Multicast TTL; none for 1.
    pub ttl: Option<u8>,
    /// Multicast group; none for 224.0.0.81.
    pub group: Option<IpAddr>,
}

/// `lvs_timeouts` in seconds; what is not set stays as the kernel has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: Option<u32>,
    /// TCP connections after a FIN.
    pub tcpfin: Option<u32>,
    /// UDP.
    pub udp: Option<u32>,
}

/// `SSL { … }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// Certificates of authorities (PEM): servers' certificates are verified against them.
    pub ca: Option<String>,
    /// Our certificate (PEM).
    pub certificate: Option<String>,
    /// Its key (PEM).
    pub key: Option<String>,
}

/// Protocols that the configuration offers.
pub const PROTOCOLS: [(&str, Protocol); 2] = [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp)];
