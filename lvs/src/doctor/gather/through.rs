//! Connections through virtual addresses, and what can be said on them.
//!
//! The director cannot be its own client: its packets to a virtual address of its own do not pass IPVS as clients' do. So a service is
//! tried where its address is *not*: on another node, or from another namespace.

use super::super::facts::{Connect, Spoken, Through, Tracking};
use super::{connect, files, route};
use crate::config::check_types::{Check, CheckKind};
use crate::config::{Config, VirtualServer};
use crate::model::{Forward, Protocol, ServiceId, Table};
use crate::probe::probe;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// Connections for one service: most schedulers give each to another real server.
const TRIES: usize = 4;
/// With more services than this, each gets one connection: they would take too long.
const MANY: usize = 64;

/// Tries every service.
pub(super) fn all(
    config: &Config,
    services: &BTreeSet<ServiceId>,
    here: &dyn Fn(IpAddr) -> bool,
    table: &Table,
) -> Vec<Through> {
    let tries = if services.len() > MANY { 1 } else { TRIES };
    let plans: Vec<Plan> = services.iter().map(|s| plan(config, *s, tries, here)).collect();
    let targets = plans.iter().flat_map(|p| std::iter::repeat_n(p.target, p.connects)).flatten().collect();
    let mut connected: BTreeMap<SocketAddr, Vec<Connect>> = BTreeMap::new();
    for (to, seen) in connect::each(targets) {
        connected.entry(to).or_default().push(seen);
    }
    let answers = speak(config, &plans);
    let conntrack = files::number("/proc/sys/net/ipv4/vs/conntrack") == Some(1);
    plans
        .into_iter()
        .zip(answers)
        .map(|(plan, spoken)| Through {
            service: plan.service,
            tracking: tracking(table, plan.service, conntrack),
            connects: match (plan.why_not, plan.target) {
                (Some(why), _) => vec![Connect::NotTried(why.to_owned())],
                (None, Some(target)) if plan.connects > 0 => {
                    connected.get(&target).cloned().unwrap_or_default()
                }
                _ => Vec::new(),
            },
            spoken,
        })
        .collect()
}

/// What is to be tried of one service.
struct Plan {
    service: ServiceId,
    target: Option<SocketAddr>,
    connects: usize,
    check: Option<Check>,
    why_not: Option<&'static str>,
}

fn plan(config: &Config, service: ServiceId, tries: usize, here: &dyn Fn(IpAddr) -> bool) -> Plan {
    let none = |why| Plan { service, target: None, connects: 0, check: None, why_not: Some(why) };
    let (addr, port, protocol) = match service {
        ServiceId::Fwmark { .. } => return none("a firewall mark names no address"),
        ServiceId::Addr { addr, .. } if here(addr) => {
            return none(
                "the virtual address is on this host; run `ctdb lvs doctor` on another node, too, to connect through it",
            );
        }
        ServiceId::Addr { port: 0, .. } => return none("it has every port"),
        ServiceId::Addr { addr, port, protocol } => (addr, port, protocol),
    };
    let target = SocketAddr::new(addr, port);
    let server = config.virtual_servers.iter().find(|vs| vs.services.contains_key(&service));
    let check = server.and_then(|vs| spoken(vs, service, target));
    if protocol != Protocol::Tcp {
        return match check {
            None => none("UDP tells nobody whether it is heard"),
            some => Plan { service, target: None, connects: 0, check: some, why_not: None },
        };
    }
    let servers = server.map_or(1, |vs| vs.real_servers.len());
    Plan { service, target: Some(target), connects: tries.min(servers.max(1)), check, why_not: None }
}

/// A check of the first real server that says something where the service is, made of the virtual address.
fn spoken(vs: &VirtualServer, service: ServiceId, target: SocketAddr) -> Option<Check> {
    let real = vs.real_servers.first()?;
    let ServiceId::Addr { protocol, .. } = service else { return None };
    let port = real.dest(&service).port;
    let mut check = real
        .checks
        .iter()
        .find(|c| {
            let speaks = match &c.kind {
                // By its address the server has no name that a certificate could have.
                CheckKind::Http(http) => {
                    http.tls.as_ref().is_none_or(|tls| tls.ca.is_none() || tls.sni_name.is_some())
                }
                CheckKind::Smtp { .. } => true,
                CheckKind::Udp(udp) => udp.reply.is_some(),
                CheckKind::Dns { .. } => true,
                CheckKind::Tcp | CheckKind::Ping | CheckKind::Misc { .. } => false,
            };
            let over = match &c.kind {
                CheckKind::Dns { .. } | CheckKind::Udp(_) => Protocol::Udp,
                _ => Protocol::Tcp,
            };
            speaks && over == protocol && (c.target.addr, c.target.port) == (real.addr, port)
        })?
        .clone();
    check.target.addr = target.ip();
    check.target.port = target.port();
    (check.target.bind_ip, check.target.bind_port, check.target.bind_if) = (None, None, None);
    Some(check)
}

/// Makes the checks side by side; an answer for each plan.
fn speak(config: &Config, plans: &[Plan]) -> Vec<Option<Spoken>> {
    let mut answers: Vec<Option<Spoken>> = plans.iter().map(|_| None).collect();
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return answers };
    for (first, some) in plans.chunks(MANY).enumerate().map(|(n, some)| (n * MANY, some)) {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (n, check) in some.iter().enumerate().filter_map(|(n, p)| Some((n, p.check.clone()?))) {
                let files = config.tls.clone();
                tasks.spawn(async move { (n, check.kind.name(), probe(&check, &files).await) });
            }
            while let Some(done) = tasks.join_next().await {
                let Ok((n, check, found)) = done else { continue };
                let result = if found.pass { Ok(found.reason) } else { Err(found.reason) };
                if let Some(answer) = answers.get_mut(first + n) {
                    *answer = Some(Spoken { check, result });
                }
            }
        });
    }
    answers
}

/// Whether this host is the director of a service, and how its packets look to conntrack then.
fn tracking(table: &Table, service: ServiceId, conntrack: bool) -> Tracking {
    let local = route::addresses();
    let remote = |addr: IpAddr| !local.iter().any(|(_, a, _)| *a == addr);
    let dests = table.services.get(&service).map(|s| &s.dests);
    let forwards: Vec<Forward> =
        dests.into_iter().flatten().filter(|(d, _)| remote(d.addr)).map(|(_, s)| s.forward).collect();
    match (forwards.is_empty(), conntrack) {
        (true, _) => Tracking::Whole,
        (false, false) => Tracking::Unconfirmed,
        (false, true) if forwards.iter().all(|f| *f == Forward::Nat) => Tracking::Whole,
        (false, true) => Tracking::OneSided,
    }
}
