//! The configuration of `91.lvs`: the group's file, its address, its interface.

use crate::options::{Setting, Settings};
use ::config::node_group::{self, Member};
use std::net::Ipv4Addr;
use std::path::Path;

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) nodes: Vec<Member>,
    pub(super) address: LvsAddress,
}

/// The address of the group, which gate and guard must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LvsAddress {
    /// `CTDB_LVS_PUBLIC_IP`.
    pub vip: Ipv4Addr,
    /// `CTDB_LVS_PUBLIC_IFACE`: where clients are.
    pub iface: String,
    /// File and line of the address.
    pub place: (String, u32),
}

const NODES: &str = "CTDB_LVS_NODES";
const PUBLIC_IP: &str = "CTDB_LVS_PUBLIC_IP";
const PUBLIC_IFACE: &str = "CTDB_LVS_PUBLIC_IFACE";

impl Config {
    /// `None` when `CTDB_LVS_NODES` is not set; else what is set, or what is wrong with it and where.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(address) = LvsAddress::read(settings)? else { return Ok(None) };
        let nodes = settings.get(NODES).map_or(Ok(Vec::new()), nodes)?;
        Ok(Some(Self { nodes, address }))
    }
}

impl LvsAddress {
    /// The same address on the same interface, wherever that is written.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.vip == other.vip && self.iface == other.iface
    }

    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(file) = settings.get(NODES) else { return Ok(None) };
        let get = |name: &str| {
            let missing = || {
                format!("Invalid configuration: {name} not set, although {NODES} is ({}); set it", file.place)
            };
            settings.get(name).ok_or_else(missing)
        };
        let (ip, iface) = (get(PUBLIC_IP)?, get(PUBLIC_IFACE)?);
        let vip: Ipv4Addr = ip.value.parse().map_err(|_| {
            format!(
                "{}: {PUBLIC_IP}={} is not an IPv4 address without a mask, as 10.0.0.228",
                ip.place, ip.value
            )
        })?;
        let (file, line) = ip.place.rsplit_once(':').unwrap_or((&ip.place, "0"));
        let place = (file.to_owned(), line.parse().unwrap_or_default());
        Ok(Some(Self { vip, iface: iface.value.clone(), place }))
    }
}

fn nodes(file: &Setting) -> Result<Vec<Member>, String> {
    let text = std::fs::read_to_string(&file.value)
        .map_err(|e| format!("error: {NODES}={} unreadable: {e} ({})", file.value, file.place))?;
    let good = node_group::parse(&text, Path::new(&file.value)).good();
    good.map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|(place, fault)| format!("{place}: {fault}")).collect();
        lines.join("\n")
    })
}
