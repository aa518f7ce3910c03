//! What the kernel says about links and addresses: observed, never assumed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network interface as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Kernel index.
    pub index: u32,
    /// Set up by the administrator (`IFF_UP`).
    pub admin_up: bool,
    /// Carrier and operational state allow traffic (`IFF_LOWER_UP` and an operstate of up or unknown).
    pub lower_up: bool,
}

impl Link {
    /// Whether the link can carry a public address now. A link that an operator set down stays down.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.admin_up && self.lower_up
    }
}

/// An address on an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KernelAddr {
    /// Interface name.
    pub iface: String,
    /// Mask bits.
    pub prefix: u8,
}

/// All links and addresses of the node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelState {
    /// Links by name.
    pub links: BTreeMap<String, Link>,
    /// Where each address is; an address can be on several interfaces.
    pub addrs: BTreeMap<IpAddr, Vec<KernelAddr>>,
}

impl KernelState {
    /// Whether `iface` exists and can carry traffic.
    #[must_use]
    pub fn link_up(&self, iface: &str) -> bool {
        self.links.get(iface).is_some_and(Link::is_up)
    }

    /// The places of an address, empty when it is nowhere.
    #[must_use]
    pub fn places(&self, addr: IpAddr) -> &[KernelAddr] {
        self.addrs.get(&addr).map_or(&[], Vec::as_slice)
    }
}
