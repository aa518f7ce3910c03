//! One virtual service: by what the kernel finds it, and what one edit can change.

use super::{ModelError, SchedFlags, Scheduler};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Transport protocol of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IPPROTO_TCP, 6.
    #[default]
    Tcp,
    /// IPPROTO_UDP, 17.
    Udp,
    /// IPPROTO_SCTP, 132. Others may have put it into the kernel; our configuration does not offer it.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Address family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// AF_INET.
    #[default]
    Inet,
    /// AF_INET6.
    Inet6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(addr: IpAddr) -> Self {
        if addr.is_ipv4() { Self::Inet } else { Self::Inet6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
        })
    }
}

/// By what the kernel finds a service. Text form (also in JSON, where it is a map key): `tcp 192.0.2.1:80`, `fwmark 5 inet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ServiceId {
    /// By address, port and protocol.
    Addr {
        /// Virtual address.
        addr: IpAddr,
        /// Port; 0 for every port (the kernel wants persistence then).
        port: u16,
        /// Protocol.
        protocol: Protocol,
    },
    /// By the mark that a firewall rule put on the packet.
    Fwmark {
        /// The mark, never 0.
        mark: u32,
        /// Which packets of that mark.
        family: Family,
    },
}

impl ServiceId {
    /// A service by address and port.
    #[must_use]
    pub fn addr(addr: IpAddr, port: u16, protocol: Protocol) -> Self {
        Self::Addr { addr, port, protocol }
    }

    /// The family (`IPVS_SVC_ATTR_AF`).
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Addr { addr, .. } => Family::of(*addr),
            Self::Fwmark { family, .. } => *family,
        }
    }

    /// The virtual address, when the service has one.
    #[must_use]
    pub fn vip(&self) -> Option<IpAddr> {
        match self {
            Self::Addr { addr, .. } => Some(*addr),
            Self::Fwmark { .. } => None,
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr { addr, port, protocol } => write!(f, "{protocol} {}", SocketAddr::new(*addr, *port)),
            Self::Fwmark { mark, family } => write!(f, "fwmark {mark} {family}"),
        }
    }
}

impl FromStr for ServiceId {
    type Err = ModelError;

    fn from_str(s: &str) -> Result<Self, ModelError> {
        let bad = || ModelError::Service(s.to_owned());
        let words: Vec<&str> = s.split(' ').collect();
        let (kind, rest) = words.split_first().ok_or_else(bad)?;
        let protocol = match *kind {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            "fwmark" => {
                let [mark, family] = rest else { return Err(bad()) };
                let family = match *family {
                    "inet" => Family::Inet,
                    "inet6" => Family::Inet6,
                    _ => return Err(bad()),
                };
                let mark = mark.parse().map_err(|_| bad())?;
                return Ok(Self::Fwmark { mark, family });
            }
            _ => return Err(bad()),
        };
        let [at] = rest else { return Err(bad()) };
        let at: SocketAddr = at.parse().map_err(|_| bad())?;
        Ok(Self::addr(at.ip(), at.port(), protocol))
    }
}

impl TryFrom<String> for ServiceId {
    type Error = ModelError;

    fn try_from(s: String) -> Result<Self, ModelError> {
        s.parse()
    }
}

impl From<ServiceId> for String {
    fn from(s: ServiceId) -> Self {
        s.to_string()
    }
}

/// Which clients count as one for persistence: the kernel's netmask field, which holds a mask for IPv4 and a length for IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// IPv4 netmask.
    V4(Ipv4Addr),
    /// IPv6 prefix length, 1 to 128.
    V6(u8),
}

impl Granularity {
    /// Every client for itself.
    #[must_use]
    pub fn host(family: Family) -> Self {
        match family {
            Family::Inet => Self::V4(Ipv4Addr::BROADCAST),
            Family::Inet6 => Self::V6(128),
        }
    }

    /// `255.255.255.0` or a prefix length, for services of a family.
    ///
    /// # Errors
    /// [`ModelError::Granularity`] for a mask with holes, of 0 bits, or of the other family.
    pub fn parse(text: &str, family: Family) -> Result<Self, ModelError> {
        let bad = || ModelError::Granularity(text.to_owned());
        match family {
            Family::Inet => {
                let mask: u32 = match text.parse::<Ipv4Addr>() {
                    Ok(mask) => mask.into(),
                    Err(_) => {
                        let bits: u32 = text.parse().ok().filter(|b| (1..=32).contains(b)).ok_or_else(bad)?;
                        u32::MAX << (32 - bits)
                    }
                };
                let contiguous = mask != 0 && mask.leading_ones() + mask.trailing_zeros() == 32;
                contiguous.then(|| Self::V4(mask.into())).ok_or_else(bad)
            }
            Family::Inet6 => {
                text.parse().ok().filter(|b| (1..=128).contains(b)).map(Self::V6).ok_or_else(bad)
            }
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(mask) => mask.fmt(f),
            Self::V6(bits) => bits.fmt(f),
        }
    }
}

/// Connections of one client stay with one real server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Persistence {
    /// Seconds, never 0.
    pub timeout: u32,
    /// Which clients count as one.
    pub granularity: Granularity,
    /// `persistence_engine` (the kernel's `IPVS_SVC_ATTR_PE_NAME`): `sip`, or none.
    pub engine: Option<String>,
}

/// Everything of a service that one edit can change.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// Scheduler.
    pub scheduler: Scheduler,
    /// Bits for the scheduler.
    pub sched_flags: SchedFlags,
    /// One-packet scheduling (`ops`): every UDP packet is scheduled anew.
    pub one_packet: bool,
    /// Persistence, when wanted.
    pub persistence: Option<Persistence>,
}
