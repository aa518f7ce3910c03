//! The `public_addresses` file: which addresses this node may serve, and on which interfaces.
//!
//! Pure. One line is `IP/MASKBITS IFACE[,IFACE…]`; blank lines and `#` lines are skipped; a line without interface takes the one of
//! `--public-interface`. Whether an interface exists is not asked here: one that does not disables itself for its addresses, not the
//! file (DESIGN §9; in CTDB it voids the file).

use super::parsed::Parsed;
use super::place::{Place, quote};
use recoverd::model::{PublicAddress, addr_key};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// What can be wrong with a line of `public_addresses`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// No mask.
    #[error("{0} has no mask; write IP/MASKBITS INTERFACE, for example 10.0.0.31/24 eth0")]
    NoMask(String),
    /// Not an address.
    #[error("{0} is not an IP address; write IP/MASKBITS INTERFACE, for example 10.0.0.31/24 eth0")]
    Address(String),
    /// Not a mask for this family.
    #[error("mask {mask} does not fit {addr}; write the number of mask bits, 1 to {most}")]
    Mask {
        /// What stands behind the slash, quoted.
        mask: String,
        /// The address.
        addr: IpAddr,
        /// Most bits of this family.
        most: u8,
    },
    /// An address that cannot be served.
    #[error("{addr} is {what} and cannot be a public address; write an address of the clients' network")]
    Unusable {
        /// The address.
        addr: IpAddr,
        /// What it is.
        what: &'static str,
    },
    /// Neither an interface on the line nor a default.
    #[error(
        "no interface for {0}; write IP/MASKBITS INTERFACE, or start ctdbd with --public-interface=INTERFACE"
    )]
    NoInterface(IpAddr),
    /// Not a name that the kernel allows.
    #[error("{0} is not an interface name; write 1 to 15 characters without blank, slash or colon")]
    Interface(String),
    /// Something behind the interfaces.
    #[error(
        "text {0} after the interfaces; separate interfaces by commas without blanks and put comments on lines of their own"
    )]
    Trailing(String),
    /// The same address twice.
    #[error("{addr} stands already on line {first} ({file}:{first}); remove one of the two lines")]
    Duplicate {
        /// The address.
        addr: IpAddr,
        /// Where it stood first.
        first: usize,
        /// The file, again.
        file: String,
    },
    /// A node's private address.
    #[error(
        "{addr} is the private address of node {pnn}; a public address moves between nodes, write one that no node owns"
    )]
    OfNode {
        /// The address.
        addr: IpAddr,
        /// The node.
        pnn: u32,
    },
}

/// A public address and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressLine {
    /// The address.
    pub address: PublicAddress,
    /// From 1.
    pub line: usize,
}

/// Reads the text of a `public_addresses` file.
pub fn parse(text: &str, file: &Path, default_iface: Option<&str>) -> Parsed<Vec<AddressLine>, AddressFault> {
    let mut parsed = Parsed { value: Vec::new(), faults: Vec::new() };
    let mut first_lines = HashMap::new();
    for (index, raw) in text.lines().enumerate() {
        let (line, text) = (index + 1, raw.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fault = match parse_line(text, default_iface) {
            Ok(address) => match first_lines.entry(addr_key(address.addr)) {
                Entry::Occupied(first) => {
                    let (addr, file) = (address.addr, file.display().to_string());
                    AddressFault::Duplicate { addr, first: *first.get(), file }
                }
                Entry::Vacant(first) => {
                    first.insert(line);
                    parsed.value.push(AddressLine { address, line });
                    continue;
                }
            },
            Err(fault) => fault,
        };
        parsed.faults.push((Place::line(file, line), fault));
    }
    parsed
}

/// Reads one line, or one `IP/MASKBITS` with its interfaces as `ctdb addip` has them.
///
/// # Errors
/// What is wrong with it.
pub fn parse_line(text: &str, default_iface: Option<&str>) -> Result<PublicAddress, AddressFault> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let Some((addr_text, mask_text)) = first.split_once('/') else {
        return Err(match first.parse::<IpAddr>() {
            Ok(_) => AddressFault::NoMask(quote(first)),
            Err(_) => AddressFault::Address(quote(first)),
        });
    };
    let written: IpAddr = addr_text.parse().map_err(|_| AddressFault::Address(quote(addr_text)))?;
    let addr = written.to_canonical();
    let prefix = mask(mask_text, written, addr)?;
    if let Some(what) = unusable(addr, prefix) {
        return Err(AddressFault::Unusable { addr, what });
    }
    let mut ifaces: Vec<String> = Vec::new();
    for name in words.next().or(default_iface).unwrap_or_default().split(',').filter(|n| !n.is_empty()) {
        if !is_iface_name(name) {
            return Err(AddressFault::Interface(quote(name)));
        }
        if !ifaces.iter().any(|known| known == name) {
            ifaces.push(name.to_owned());
        }
    }
    let rest: Vec<&str> = words.collect();
    if !rest.is_empty() {
        return Err(AddressFault::Trailing(quote(&rest.join(" "))));
    }
    if ifaces.is_empty() {
        return Err(AddressFault::NoInterface(addr));
    }
    Ok(PublicAddress { addr, prefix, ifaces })
}

/// Mask bits for `addr`; those of an IPv4-mapped address count from its 96th bit.
fn mask(text: &str, written: IpAddr, addr: IpAddr) -> Result<u8, AddressFault> {
    let most = if addr.is_ipv4() { 32 } else { 128 };
    let before = if addr.is_ipv4() && written.is_ipv6() { 96 } else { 0 };
    text.parse::<u8>()
        .ok()
        .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|bits| bits.checked_sub(before))
        .filter(|bits| (1..=most).contains(bits))
        .ok_or_else(|| AddressFault::Mask { mask: quote(text), addr, most })
}

/// Why an address cannot be served, if so.
fn unusable(addr: IpAddr, prefix: u8) -> Option<&'static str> {
    if addr.is_unspecified() {
        return Some("the unspecified address");
    }
    if addr.is_loopback() {
        return Some("a loopback address");
    }
    if addr.is_multicast() {
        return Some("a multicast address");
    }
    let v4 = match addr {
        IpAddr::V4(v4) => v4,
        // It has the same number as the IPv4 address, by which allocation knows addresses (SEMANTICS A.2).
        IpAddr::V6(_) if addr_key(addr).is_v4() => {
            return Some("an IPv4 address written in the obsolete form ::a.b.c.d");
        }
        IpAddr::V6(_) => return None,
    };
    if v4 == Ipv4Addr::BROADCAST {
        return Some("the broadcast address");
    }
    if prefix < 31 {
        let host_bits = u32::MAX >> prefix;
        match u32::from(v4) & host_bits {
            0 => return Some("the network's own number under this mask"),
            bits if bits == host_bits => return Some("the network's broadcast address under this mask"),
            _ => {}
        }
    }
    None
}

/// Whether the kernel accepts this as the name of an interface.
pub(crate) fn is_iface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests;
