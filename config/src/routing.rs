//! `policy_routing` (`IP DEST/MASK [GATEWAY]`, for 13.per_ip_routing) and `static-routes` (`IFACE DEST/MASK GATEWAY`, for 11.routing).
//!
//! Pure. Blank lines and lines that start with `#` are skipped. A destination must be a network as the kernel takes it: without bits
//! behind its mask.

use crate::parsed::Parsed;
use crate::place::{Place, quote};
use crate::public_addresses::is_iface_name;
use std::net::IpAddr;
use std::path::Path;

/// A network: an address and its mask bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub addr: IpAddr,
    /// Mask bits.
    pub prefix: u8,
}

/// A route that packets from one public address take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyRoute {
    /// The public address.
    pub source: IpAddr,
    /// Where to.
    pub to: Network,
    /// By which router; `None`: the network is on the link.
    pub gateway: Option<IpAddr>,
    /// Its line, from 1.
    pub line: usize,
}

/// A route that this node always has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticRoute {
    /// The interface.
    pub iface: String,
    /// Where to.
    pub to: Network,
    /// By which router.
    pub gateway: IpAddr,
    /// Its line, from 1.
    pub line: usize,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    /// Too few or too many words.
    #[error("{text} is not a route; write {form}")]
    Form {
        /// The line, quoted.
        text: String,
        /// How a line looks.
        form: &'static str,
    },
    /// Not an address.
    #[error("{word} is not an IP address; write {form}")]
    Address {
        /// The word, quoted.
        word: String,
        /// How a line looks.
        form: &'static str,
    },
    /// Not the name of an interface.
    #[error("{word} is not an interface name; write {form}")]
    Interface {
        /// The word, quoted.
        word: String,
        /// How a line looks.
        form: &'static str,
    },
    /// Not a network.
    #[error(transparent)]
    Network(#[from] BadNetwork),
    /// IPv4 and IPv6 in one route.
    #[error("{0} and {1} are not of one family; write a route of IPv4 or of IPv6 addresses")]
    Families(IpAddr, IpAddr),
}

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// Neither `ADDRESS/BITS` nor a number of bits that fits.
    #[error("{0} is not a network; write ADDRESS/MASKBITS, for example 10.0.0.0/24")]
    Form(String),
    /// Bits behind the mask: the kernel refuses it.
    #[error("{text} has bits behind its mask and the kernel would refuse it; write {first}/{prefix}")]
    HostBits {
        /// What was written, quoted.
        text: String,
        /// The first address of the network.
        first: IpAddr,
        /// Its mask bits.
        prefix: u8,
    },
}

impl std::str::FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let form = || BadNetwork::Form(quote(text));
        let (addr, bits) = text.split_once('/').ok_or_else(form)?;
        let addr: IpAddr = addr.parse().map_err(|_| form())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = bits.parse::<u8>().ok().filter(|p| *p <= most).ok_or_else(form)?;
        let first = match addr {
            IpAddr::V4(a) => IpAddr::from(
                (u32::from(a) & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).to_be_bytes(),
            ),
            IpAddr::V6(a) => IpAddr::from(
                (u128::from(a) & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).to_be_bytes(),
            ),
        };
        if first != addr {
            return Err(BadNetwork::HostBits { text: quote(text), first, prefix });
        }
        Ok(Self { addr, prefix })
    }
}

const POLICY: &str = "IP DEST/MASKBITS [GATEWAY]";
const STATIC: &str = "INTERFACE DEST/MASKBITS GATEWAY";

/// Reads the text of a `policy_routing` file.
pub fn policy_routing(text: &str, file: &Path) -> Parsed<Vec<PolicyRoute>, RouteFault> {
    lines(text, file, |line, words| {
        let (source, to, gateway) = match words {
            [source, to] => (*source, *to, None),
            [source, to, gateway] => (*source, *to, Some(*gateway)),
            _ => return Err(RouteFault::Form { text: quote(&words.join(" ")), form: POLICY }),
        };
        let source = address(source, POLICY)?;
        let to: Network = to.parse()?;
        let gateway = gateway.map(|word| address(word, POLICY)).transpose()?;
        same_family(source, to.addr)?;
        gateway.map_or(Ok(()), |gateway| same_family(to.addr, gateway))?;
        Ok(PolicyRoute { source, to, gateway, line })
    })
}

/// Reads the text of a `static-routes` file.
pub fn static_routes(text: &str, file: &Path) -> Parsed<Vec<StaticRoute>, RouteFault> {
    lines(text, file, |line, words| {
        let [iface, to, gateway] = words else {
            return Err(RouteFault::Form { text: quote(&words.join(" ")), form: STATIC });
        };
        if !is_iface_name(iface) {
            return Err(RouteFault::Interface { word: quote(iface), form: STATIC });
        }
        let to: Network = to.parse()?;
        let gateway = address(gateway, STATIC)?;
        same_family(to.addr, gateway)?;
        Ok(StaticRoute { iface: (*iface).to_owned(), to, gateway, line })
    })
}

fn lines<T>(
    text: &str,
    file: &Path,
    read: impl Fn(usize, &[&str]) -> Result<T, RouteFault>,
) -> Parsed<Vec<T>, RouteFault> {
    let mut parsed = Parsed { value: Vec::new(), faults: Vec::new() };
    for (index, raw) in text.lines().enumerate() {
        let words: Vec<&str> = raw.split_whitespace().collect();
        if words.first().is_none_or(|word| word.starts_with('#')) {
            continue;
        }
        match read(index + 1, &words) {
            Ok(route) => parsed.value.push(route),
            Err(fault) => parsed.faults.push((Place::line(file, index + 1), fault)),
        }
    }
    parsed
}

fn address(word: &str, form: &'static str) -> Result<IpAddr, RouteFault> {
    word.parse().map_err(|_| RouteFault::Address { word: quote(word), form })
}

fn same_family(a: IpAddr, b: IpAddr) -> Result<(), RouteFault> {
    if a.is_ipv4() == b.is_ipv4() { Ok(()) } else { Err(RouteFault::Families(a, b)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::told;

    #[test]
    fn good_lines() {
        let text = "# c\n10.1.0.5 10.1.0.0/24\n\n10.1.0.5  0.0.0.0/0 10.1.0.1\nfd00::5 ::/0 fd00::1\n";
        let routes = told(policy_routing(text, Path::new("p"))).unwrap();
        let gateways: Vec<_> = routes.iter().map(|r| (r.line, r.gateway.map(|g| g.to_string()))).collect();
        assert_eq!(gateways, [(2, None), (4, Some("10.1.0.1".into())), (5, Some("fd00::1".into()))]);
        let routes = told(static_routes("eth1 10.2.0.0/16 10.1.0.1\n", Path::new("s"))).unwrap();
        assert_eq!((routes[0].iface.as_str(), routes[0].to.prefix), ("eth1", 16));
    }

    #[test]
    fn every_bad_line_is_named() {
        let policy = "10.1.0.5\n10.1.0.5 10.1.0.7/24\nx 10.1.0.0/24\n10.1.0.5 10.1.0.0/33\n10.1.0.5 ::/0\n\
                      10.1.0.5 0.0.0.0/0 gw\n10.1.0.5 0.0.0.0/0 10.1.0.1 more\n10.1.0.5 10.1.0.0\n";
        let fixed = "eth0 10.2.0.0/16\nan/iface 10.2.0.0/16 10.1.0.1\neth0 10.2.0.0/16 fd00::1\n";
        let policy = told(policy_routing(policy, Path::new("p"))).unwrap_err();
        let fixed = told(static_routes(fixed, Path::new("s"))).unwrap_err();
        let expected = [
            "p:1: \"10.1.0.5\" is not a route; write IP DEST/MASKBITS [GATEWAY]",
            "p:2: \"10.1.0.7/24\" has bits behind its mask and the kernel would refuse it; write 10.1.0.0/24",
            "p:3: \"x\" is not an IP address",
            "p:4: \"10.1.0.0/33\" is not a network",
            "p:5: 10.1.0.5 and :: are not of one family",
            "p:6: \"gw\" is not an IP address",
            "p:7: \"10.1.0.5 0.0.0.0/0 10.1.0.1 more\" is not a route",
            "p:8: \"10.1.0.0\" is not a network",
            "s:1: \"eth0 10.2.0.0/16\" is not a route; write INTERFACE",
            "s:2: \"an/iface\" is not an interface name",
            "s:3: 10.2.0.0 and fd00::1 are not of one family",
        ];
        let said: Vec<&str> = policy.lines().chain(fixed.lines()).collect();
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (line, expected) in said.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}");
        }
    }
}
