//! What the built-in handlers ask of the kernel's routing: routes, rules, switches in `/proc/sys/net`, and the gateway's masquerade.
//!
//! `ctdbd` implements this with rtnetlink and nf_tables, tests with a table.

use crate::handler::BoxFuture;
use crate::netif::NetIfError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The kernel's main routing table.
pub const MAIN_TABLE: u32 = 254;

/// A network: address and mask bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    /// The address; bits behind the mask are zero in what the kernel is asked for.
    pub addr: IpAddr,
    /// Mask bits.
    pub prefix: u8,
}

impl Net {
    /// Reads `ADDR/BITS`, or `ADDR` for one address. `None` when it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (addr, bits) = text.split_once('/').map_or((text, None), |(addr, bits)| (addr, Some(bits)));
        let addr: IpAddr = addr.parse().ok()?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (prefix <= most).then_some(Self { addr, prefix })
    }

    /// The network itself: the bits behind the mask cleared.
    #[must_use]
    pub fn network(self) -> Self {
        let keep = |width: u8| u32::from(width.saturating_sub(self.prefix));
        let addr = match self.addr {
            IpAddr::V4(a) => IpAddr::V4((a.to_bits() & u32::MAX.checked_shl(keep(32)).unwrap_or(0)).into()),
            IpAddr::V6(a) => IpAddr::V6((a.to_bits() & u128::MAX.checked_shl(keep(128)).unwrap_or(0)).into()),
        };
        Self { addr, prefix: self.prefix }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to.
    pub dest: Net,
    /// Through whom; directly if `None`.
    pub gateway: Option<IpAddr>,
    /// Out of which interface; the kernel finds the gateway's if `None`.
    pub iface: Option<String>,
    /// Metric (priority); the kernel's default if `None`.
    pub metric: Option<u32>,
    /// Routing table.
    pub table: u32,
}

/// As `ip route` would be asked.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dest)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(iface) = &self.iface {
            write!(f, " dev {iface}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        if self.table != MAIN_TABLE {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}

/// A rule: what comes from an address is routed by a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// The source address.
    pub from: IpAddr,
    /// Priority: rules are tried in ascending order.
    pub pref: u32,
    /// Routing table.
    pub table: u32,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} pref {} table {}", self.from, self.pref, self.table)
    }
}

/// What the packet filter of a NAT gateway does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masquerade {
    /// What comes from here and goes elsewhere leaves with the address of the interface that it leaves by.
    pub private: (Ipv4Addr, u8),
    /// To this address nobody can connect.
    pub public: Ipv4Addr,
}

/// Requests about routing. All may be repeated without harm.
pub trait Routing: Send + Sync {
    /// Adds a route and says whether it was not there yet.
    fn add_route<'a>(&'a self, route: &'a Route) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// Removes a route and says whether it was there.
    fn del_route<'a>(&'a self, route: &'a Route) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// Removes all routes of a table, of both families.
    fn flush_table(&self, table: u32) -> BoxFuture<'_, Result<(), NetIfError>>;

    /// Adds a rule and says whether it was not there yet.
    fn add_rule<'a>(&'a self, rule: &'a Rule) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// Removes a rule and says whether it was there.
    fn del_rule<'a>(&'a self, rule: &'a Rule) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// The rules of a priority that are for one source address, of both families.
    fn rules(&self, pref: u32) -> BoxFuture<'_, Result<Vec<Rule>, NetIfError>>;

    /// Writes a file below `/proc/sys/net`, unless it says that already.
    fn set_switch(&self, file: &str, value: &str) -> Result<(), NetIfError>;

    /// Puts an address on an interface until it is taken off, whatever becomes of the daemon, and says whether it was not there yet:
    /// unlike a public address, one of the gateway may outlive us, and is nobody's in particular.
    fn add_fixed_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// Takes such an address off and says whether it was there.
    fn del_fixed_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// Makes the packet filter of a NAT gateway what is asked, or removes it.
    fn masquerade<'a>(&'a self, wanted: Option<&'a Masquerade>) -> BoxFuture<'a, Result<(), NetIfError>>;
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
