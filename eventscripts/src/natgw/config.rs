//! The configuration of `11.natgw`: who may be the gateway, and what it is.

use crate::options::{Setting, Settings};
use crate::routing::Net;
use ::config::node_group::{self, Member};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    /// The group in the order of its file.
    pub(super) nodes: Vec<Member>,
    /// Interface and address of the gateway; a node that never leads needs none.
    pub(super) public: Option<(String, Net)>,
    /// The gateway's own gateway.
    pub(super) gateway: Option<IpAddr>,
    /// Whose packets are forwarded.
    pub(super) private: (Ipv4Addr, u8),
    /// Where to: everywhere, unless networks are listed; each perhaps through a gateway of its own.
    pub(super) routes: Vec<(Net, Option<IpAddr>)>,
}

const NODES: &str = "CTDB_NATGW_NODES";
const PUBLIC_IP: &str = "CTDB_NATGW_PUBLIC_IP";
const PUBLIC_IFACE: &str = "CTDB_NATGW_PUBLIC_IFACE";
const PRIVATE: &str = "CTDB_NATGW_PRIVATE_NETWORK";
const GATEWAY: &str = "CTDB_NATGW_DEFAULT_GATEWAY";
const ROUTES: &str = "CTDB_NATGW_STATIC_ROUTES";

impl Config {
    /// `None` when `CTDB_NATGW_NODES` is not set; else what is set, or what is wrong with it and where. `me` is this node's private
    /// address, once it is known.
    pub(super) fn read(settings: &Settings, me: Option<IpAddr>) -> Result<Option<Self>, String> {
        let Some(file) = settings.get(NODES) else { return Ok(None) };
        let nodes = nodes(file)?;
        let leads = |m: &Member| Some(m.addr) == me && m.follower_only;
        let follows = me.is_some() && nodes.iter().any(leads);
        let missing = |name: &str| {
            Err(format!(
                "Invalid configuration: {name} not set, although {NODES} is ({}); set it",
                file.place
            ))
        };
        let public = match (settings.get(PUBLIC_IFACE), settings.get(PUBLIC_IP)) {
            (Some(iface), Some(ip)) => {
                let net = Net::parse(&ip.value).filter(|n| ip.value.contains('/') && n.addr.is_ipv4());
                let net =
                    net.ok_or_else(|| wrong(ip, PUBLIC_IP, "an IPv4 ADDRESS/MASK, as 10.0.0.227/24"))?;
                Some((iface.value.clone(), net))
            }
            _ if follows => None,
            (None, _) => return missing(PUBLIC_IFACE),
            (_, None) => return missing(PUBLIC_IP),
        };
        let Some(private) = settings.get(PRIVATE) else { return missing(PRIVATE) };
        let net = Net::parse(&private.value).filter(|_| private.value.contains('/'));
        let Some((IpAddr::V4(net), bits)) = net.map(|n| (n.network().addr, n.prefix)) else {
            return Err(wrong(private, PRIVATE, "an IPv4 NETWORK/MASK, as 192.168.1.0/24"));
        };
        let gateway = settings.get(GATEWAY);
        let gateway = gateway
            .map(|g| g.value.parse().map_err(|_| wrong(g, GATEWAY, "an address, as 10.0.0.1")))
            .transpose()?;
        let routes = settings.get(ROUTES).map_or(Ok(Vec::new()), routes)?;
        Ok(Some(Self { nodes, public, gateway, private: (net, bits), routes: or_default(routes) }))
    }
}

fn wrong(setting: &Setting, name: &str, want: &str) -> String {
    format!("{}: {name}={} is not {want}", setting.place, setting.value)
}

/// A single default route, unless there are others.
fn or_default(routes: Vec<(Net, Option<IpAddr>)>) -> Vec<(Net, Option<IpAddr>)> {
    let default = Net { addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 };
    if routes.is_empty() { vec![(default, None)] } else { routes }
}

fn routes(setting: &Setting) -> Result<Vec<(Net, Option<IpAddr>)>, String> {
    let route = |word: &str| {
        let (net, gateway) = word.split_once('@').map_or((word, None), |(net, gw)| (net, Some(gw)));
        let net = Net::parse(net)?.network();
        let gateway = gateway.map(|g| g.parse().ok()).map_or(Some(None), |g: Option<IpAddr>| g.map(Some))?;
        Some((net, gateway))
    };
    let want = "a list of NETWORK/MASK or NETWORK/MASK@GATEWAY";
    setting.value.split_whitespace().map(|w| route(w).ok_or_else(|| wrong(setting, ROUTES, want))).collect()
}

/// The file of the group; the first thing that is wrong with it.
fn nodes(file: &Setting) -> Result<Vec<Member>, String> {
    let text = std::fs::read_to_string(&file.value)
        .map_err(|e| format!("error: {NODES}={} unreadable: {e} ({})", file.value, file.place))?;
    let good = node_group::parse(&text, Path::new(&file.value)).good();
    good.map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|(place, fault)| format!("{place}: {fault}")).collect();
        lines.join("\n")
    })
}
