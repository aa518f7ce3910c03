//! Public addresses and the key that orders them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The number by which addresses are ordered and compared in allocation: an unsigned 128-bit number, IPv4 in the lower 32 bits.
/// An IPv4-mapped IPv6 address has the key of the IPv4 address (SEMANTICS A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddrKey(pub u128);

/// The key of an address (SEMANTICS A.2).
#[must_use]
pub fn addr_key(addr: IpAddr) -> AddrKey {
    match addr.to_canonical() {
        IpAddr::V4(a) => AddrKey(u128::from(u32::from(a))),
        IpAddr::V6(a) => AddrKey(u128::from(a)),
    }
}

impl AddrKey {
    /// The words of the key from the most significant one.
    #[must_use]
    pub fn words(self) -> [u32; 4] {
        [(self.0 >> 96) as u32, (self.0 >> 64) as u32, (self.0 >> 32) as u32, self.0 as u32]
    }

    /// Whether this is the key of an IPv4 address.
    #[must_use]
    pub fn is_v4(self) -> bool {
        self.0 <= u128::from(u32::from(Ipv4Addr::BROADCAST))
    }
}

/// One line of the `public_addresses` file: the address, its mask, and the interfaces that may carry it, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicAddress {
    /// The address. IPv4-mapped IPv6 text is kept as IPv4.
    pub addr: IpAddr,
    /// Mask bits, 1 to 32 or 1 to 128.
    pub prefix: u8,
    /// Interfaces that may carry it, in the order of the file; never empty.
    pub ifaces: Vec<String>,
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.addr, self.prefix, self.ifaces.join(","))
    }
}
