//! One destination of a service: a real server as the kernel knows it.

use super::{Forward, ModelError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// By what the kernel finds a destination within its service. Whatever port was added is the port to delete: this identity is always
/// the kernel's, never one recomputed from a configuration (field report R0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DestId {
    /// Address of the real server. Its family may differ from the service's for tunnels only.
    pub addr: IpAddr,
    /// Port; 0 for "the port that the client asked for" in services without a port.
    pub port: u16,
}

impl DestId {
    /// A destination by address and port.
    #[must_use]
    pub fn new(addr: IpAddr, port: u16) -> Self {
        Self { addr, port }
    }
}

impl fmt::Display for DestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.addr, self.port).fmt(f)
    }
}

impl FromStr for DestId {
    type Err = ModelError;

    fn from_str(s: &str) -> Result<Self, ModelError> {
        let at: SocketAddr = s.parse().map_err(|_| ModelError::Dest(s.to_owned()))?;
        Ok(Self::new(at.ip(), at.port()))
    }
}

impl TryFrom<String> for DestId {
    type Error = ModelError;

    fn try_from(s: String) -> Result<Self, ModelError> {
        s.parse()
    }
}

impl From<DestId> for String {
    fn from(d: DestId) -> Self {
        d.to_string()
    }
}

/// Everything of a destination that one edit can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DestSettings {
    /// 0 (no new connections) to 65535.
    pub weight: u32,
    /// Forwarding method.
    pub forward: Forward,
    /// No new connections above this number; 0: no limit (`uthreshold`).
    pub upper: u32,
    /// New connections again below this number; 0: the kernel's rule, three quarters of `upper` (`lthreshold`).
    pub lower: u32,
}

impl Default for DestSettings {
    fn default() -> Self {
        Self { weight: 1, forward: Forward::Nat, upper: 0, lower: 0 }
    }
}
