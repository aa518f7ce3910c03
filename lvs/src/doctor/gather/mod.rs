//! Observes what the checks are about. Judges nothing; what cannot be observed is said in words.
//!
//! Blocks for some seconds: connections are tried side by side, tunnels are watched for the window. Nothing on the host is changed, but
//! ip_vs is loaded when it was not, and the self-test makes namespaces of its own.

mod arp;
mod connect;
mod files;
mod ndp;
mod neighbour;
mod route;
mod through;
mod tunnel;

pub use neighbour::who_has;

use super::facts::{Connect, Facts, Peer, Reach, ReversePath, Route, Vip, connection_states};
use crate::config::Config;
use crate::ipvs::selftest::{self, Method};
use crate::ipvs::{Ipvs, Kernel};
use crate::model::{DestId, Forward, Protocol, ServiceId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Question {
    /// The configuration.
    pub config: Config,
    /// Only services of this address.
    pub vip: Option<IpAddr>,
    /// Private addresses of the cluster's nodes, this one's, too.
    pub nodes: Vec<IpAddr>,
    /// The daemons' port, TCP and UDP.
    pub port: u16,
    /// For how long tunnelled packets are watched.
    pub window: Duration,
    /// Whether the self-test is made.
    pub self_test: bool,
}

/// A destination with its forwarding.
type Target = (ServiceId, DestId, Forward);

/// Looks at everything.
#[must_use]
pub fn gather(question: &Question) -> Facts {
    let targets = targets(question);
    let mut kernel = Kernel::open();
    let reading = kernel.as_mut().ok().and_then(|k| k.read().ok());
    let connections = reading.as_ref().map(|r| r.connections().values().sum());
    let table = reading.map(|r| r.table).unwrap_or_default();
    let ipvs = kernel.and_then(|mut k| k.info());
    let self_test = test(question, &targets, ipvs.is_ok());
    let local = route::addresses();
    let vips = vips(question, &targets, &local);
    let routes: BTreeMap<IpAddr, Result<Route, String>> = targets
        .iter()
        .map(|(_, dest, _)| dest.addr)
        .chain(question.nodes.iter().copied())
        .map(|addr| (addr, route::to(addr).map_err(|e| e.to_string())))
        .collect();
    let watched = tunnel::watch(&targets, question.window);
    let here = |addr: IpAddr| local.iter().any(|(_, a, _)| *a == addr);
    let tried = connect::all(wanted(question, &targets, &here));
    let connect = |addr: IpAddr, port: u16| {
        let none = || Connect::NotTried("not tried".to_owned());
        tried.get(&SocketAddr::new(addr, port)).cloned().unwrap_or_else(none)
    };
    let rules = files::rulesets();
    Facts {
        ipvs,
        self_test,
        release: files::line("/proc/sys/kernel/osrelease").unwrap_or_default(),
        connections,
        conntrack: files::conntrack(),
        recycle: files::recycle(),
        reach: targets.iter().map(|t| reach(t, &routes, &connect)).collect(),
        reverse_path: reverse_path(&vips),
        vips,
        neighbours: files::neighbours(),
        tunnels: watched,
        peers: question
            .nodes
            .iter()
            .filter(|n| !here(**n))
            .map(|n| peer(*n, question.port, &local, &routes, &connect))
            .collect(),
        port: question.port,
        keepalived: std::path::Path::new("/etc/keepalived/keepalived.conf").exists(),
        rules: rules.0,
        unread_rules: rules.1,
        services: through::all(&question.config, &services(&targets), &here, &table),
        states: files::text("/proc/net/ip_vs_conn").map(|t| connection_states(&t)).unwrap_or_default(),
    }
}

fn targets(question: &Question) -> Vec<Target> {
    let mut all = Vec::new();
    for server in &question.config.virtual_servers {
        for service in server.services.keys() {
            if question.vip.is_some_and(|vip| service.vip() != Some(vip)) {
                continue;
            }
            all.extend(server.real_servers.iter().map(|r| (*service, r.dest(service), r.forward)));
        }
    }
    all
}

fn services(targets: &[Target]) -> BTreeSet<ServiceId> {
    targets.iter().map(|(service, _, _)| *service).collect()
}

fn test(question: &Question, targets: &[Target], there: bool) -> Result<selftest::SelfTest, String> {
    if !question.self_test {
        return Err("left out as asked".to_owned());
    }
    if !there {
        return Err("there is no ip_vs to test".to_owned());
    }
    let used = |method| {
        targets.iter().any(|(_, _, forward)| {
            matches!(
                (method, forward),
                (Method::Nat, Forward::Nat) | (Method::Dr, Forward::Dr) | (Method::Tun, Forward::Tun(_))
            )
        })
    };
    let mut methods: Vec<Method> = Method::ALL.into_iter().filter(|m| used(*m)).collect();
    if methods.is_empty() {
        methods = Method::ALL.to_vec();
    }
    selftest::run(&methods, &mut |_| ()).map_err(|e| e.to_string())
}

fn vips(question: &Question, targets: &[Target], local: &[route::Local]) -> Vec<Vip> {
    let all: BTreeSet<IpAddr> = targets.iter().filter_map(|(s, _, _)| s.vip()).chain(question.vip).collect();
    let one = |addr: IpAddr| {
        let here = local.iter().find(|(_, a, _)| *a == addr).map(|(iface, _, _)| iface.clone());
        let near = |iface: &&route::Local| route::in_network(addr, iface.1, iface.2) && iface.0 != "lo";
        let iface =
            here.clone().filter(|i| i != "lo").or_else(|| local.iter().find(near).map(|l| l.0.clone()));
        let answers = match iface {
            None => Err("no interface of this host is in its network".to_owned()),
            Some(iface) => neighbour::ask(&iface, addr, local)
                .map(|macs| (iface.clone(), macs))
                .map_err(|e| format!("cannot ask on {iface}: {e}")),
        };
        let of_it = |t: &&Target| t.0.vip() == Some(addr);
        let on_real_servers = targets.iter().filter(of_it).any(|t| !t.2.translates_ports());
        Vip { addr, here, answers, on_real_servers }
    };
    all.into_iter().map(one).collect()
}

/// Where connections are to be tried.
fn wanted(question: &Question, targets: &[Target], here: &dyn Fn(IpAddr) -> bool) -> BTreeSet<SocketAddr> {
    let tcp = |s: &ServiceId| matches!(s, ServiceId::Addr { protocol: Protocol::Tcp, .. });
    let real = targets
        .iter()
        .filter(|(s, d, _)| tcp(s) && d.port > 0)
        .map(|(_, d, _)| SocketAddr::new(d.addr, d.port));
    let nodes = question.nodes.iter().filter(|n| !here(**n));
    // Any port tells that a host is alive; this one is mostly let through.
    let nodes = nodes.flat_map(|n| [SocketAddr::new(*n, question.port), SocketAddr::new(*n, 22)]);
    real.chain(nodes).collect()
}

fn reach(
    (service, dest, forward): &Target,
    routes: &BTreeMap<IpAddr, Result<Route, String>>,
    connect: &dyn Fn(IpAddr, u16) -> Connect,
) -> Reach {
    let connect = match service {
        ServiceId::Addr { protocol: Protocol::Tcp, .. } if dest.port > 0 => connect(dest.addr, dest.port),
        ServiceId::Addr { protocol: Protocol::Tcp, .. } => Connect::NotTried("it has every port".to_owned()),
        ServiceId::Addr { .. } => Connect::NotTried("UDP tells nobody whether it is heard".to_owned()),
        ServiceId::Fwmark { .. } => Connect::NotTried("a firewall mark names no port".to_owned()),
    };
    let route = routes.get(&dest.addr).cloned().unwrap_or_else(|| Err("not asked for".to_owned()));
    Reach { service: *service, dest: *dest, forward: *forward, route, connect }
}

fn peer(
    addr: IpAddr,
    port: u16,
    local: &[route::Local],
    routes: &BTreeMap<IpAddr, Result<Route, String>>,
    connect: &dyn Fn(IpAddr, u16) -> Connect,
) -> Peer {
    let route = routes.get(&addr).and_then(|r| r.as_ref().ok());
    let by_arp = || {
        let route = route.filter(|r| r.gateway.is_none())?;
        let word = if addr.is_ipv4() { "it answers ARP" } else { "it answers neighbour solicitations" };
        neighbour::ask(&route.iface, addr, local)
            .ok()
            .filter(|macs| !macs.is_empty())
            .map(|_| word.to_owned())
    };
    let alive = match connect(addr, 22) {
        Connect::Made => Some("TCP port 22 answers".to_owned()),
        Connect::Refused => Some("it refuses TCP port 22".to_owned()),
        _ => by_arp(),
    };
    let from = route.and_then(|r| Some((r.source?, r.iface.clone())));
    Peer { addr, from, alive, heartbeat: connect(addr, port) }
}

fn reverse_path(vips: &[Vip]) -> ReversePath {
    let ifaces = vips.iter().filter_map(|v| v.answers.as_ref().ok().map(|(iface, _)| iface.clone()));
    let names: BTreeSet<String> = ifaces.chain(["all".to_owned()]).collect();
    let value = |name: &String| files::number(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"));
    let values = names.iter().filter_map(|name| Some((name.clone(), u32::try_from(value(name)?).ok()?)));
    ReversePath { values: values.collect(), default_routes: files::default_routes() }
}
