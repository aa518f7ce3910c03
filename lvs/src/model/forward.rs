//! How a packet gets from the director to a real server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The forwarding method of one destination (`IPVS_DEST_ATTR_FWD_METHOD`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forward {
    /// NAT (`-m`): addresses and port are rewritten, replies come back through the director. keepalived's default.
    #[default]
    Nat,
    /// Direct routing (`-g`): only the MAC address changes, so the real server listens on the service's address and port.
    Dr,
    /// Tunnelling (`-i`): the packet is wrapped; inside it nothing changes, so the port cannot change either.
    Tun(Tunnel),
    /// Local node: older kernels report it for an address of the director itself. Read only, never wanted.
    Local,
    /// Cache bypass. Read only, never wanted.
    Bypass,
}

impl Forward {
    /// Whether a destination may listen on another port than the service's: only address translation can change ports.
    #[must_use]
    pub fn translates_ports(self) -> bool {
        matches!(self, Self::Nat)
    }
}

/// Upper case as in keepalived's `lvs_method`.
impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat => f.write_str("NAT"),
            Self::Dr => f.write_str("DR"),
            Self::Tun(t) => write!(f, "TUN{t}"),
            Self::Local => f.write_str("LOCAL"),
            Self::Bypass => f.write_str("BYPASS"),
        }
    }
}

/// How a tunnelled packet is wrapped (`IPVS_DEST_ATTR_TUN_TYPE`, `_PORT`, `_FLAGS`; Linux 5.2 for GUE, 5.3 for GRE).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tunnel {
    /// IP in IP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// UDP port of the other end, never 0.
        port: u16,
        /// Checksum of the outer UDP header.
        csum: Checksum,
    },
    /// Generic routing encapsulation.
    Gre {
        /// Checksum of the GRE header; GRE has no remote checksum offload.
        csum: Checksum,
    },
}

/// As in keepalived's `lvs_method TUN …`; nothing for plain IP in IP.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipip => Ok(()),
            Self::Gue { port, csum } => write!(f, " type gue port {port} {csum}"),
            Self::Gre { csum } => write!(f, " type gre {csum}"),
        }
    }
}

/// Checksum of the outer header of a GUE or GRE tunnel (`IP_VS_TUNNEL_ENCAP_FLAG_*`: 0, 1, 2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// None (the default of ipvsadm and keepalived).
    #[default]
    Nocsum,
    /// Full checksum.
    Csum,
    /// Remote checksum offload, GUE only.
    Remcsum,
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nocsum => "nocsum",
            Self::Csum => "csum",
            Self::Remcsum => "remcsum",
        })
    }
}
