//! What is wrong with a configuration whose every line is right.

use super::report::{Place, Report};
use super::types::{Config, VirtualServer, port_of};
use crate::model::{Family, Forward, Protocol, ServiceId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Checks a whole configuration and completes the ports of checks.
pub(super) fn verify(config: &mut Config, report: &mut Report) {
    let mut seen: BTreeMap<ServiceId, (String, Place)> = BTreeMap::new();
    for vs in &mut config.virtual_servers {
        for id in vs.services.keys() {
            if let Some((name, at)) = seen.insert(*id, (vs.name.clone(), vs.at.clone())) {
                let said = format!("{id} is served by virtual_server {name} already ({at})");
                report.error(&vs.at, said);
            }
        }
        services(vs, report);
        quorum(vs, report);
        for r in &vs.real_servers {
            let what = format!("real_server {}", r.name());
            forwarding(vs, &r.at, &what, r.addr, r.port, r.forward, report);
            if r.lower > r.upper && r.upper > 0 {
                report.error(&r.at, format!("lthreshold {} is more than uthreshold {}", r.lower, r.upper));
            }
        }
        if let Some(s) = &vs.sorry {
            forwarding(vs, &s.at, "sorry_server", s.addr, s.port, s.forward, report);
        }
        twins(vs, report);
        check_ports(vs, report);
    }
}

/// What the kernel would refuse of the service itself.
fn services(vs: &VirtualServer, report: &mut Report) {
    for (id, settings) in &vs.services {
        if let ServiceId::Addr { port: 0, addr, .. } = id
            && settings.persistence.is_none()
        {
            let said = format!(
                "{addr} has no port: name one, or make it persistent (persistence_timeout) to serve every port"
            );
            report.error(&vs.at, said);
        }
        if let ServiceId::Addr { protocol, .. } = id
            && settings.one_packet
            && *protocol != Protocol::Udp
        {
            report.error(&vs.at, "ops is for UDP: write protocol UDP, or leave ops out");
        }
    }
    if vs.real_servers.is_empty() && vs.sorry.is_none() {
        report.warn(&vs.at, format!("virtual_server {} has no real_server: it serves nobody", vs.name));
    }
}

fn quorum(vs: &VirtualServer, report: &mut Report) {
    if vs.hysteresis >= vs.quorum {
        let said = format!(
            "hysteresis {} must be less than quorum {}, or it is never lost",
            vs.hysteresis, vs.quorum
        );
        report.error(&vs.at, said);
    }
    let most: u64 = vs.real_servers.iter().map(|r| u64::from(r.weight)).sum();
    let need = u64::from(vs.quorum) + u64::from(vs.hysteresis);
    if most < need && !vs.real_servers.is_empty() {
        let said = format!(
            "the quorum is never gained: it needs a weight of {need}, all real servers together have {most}"
        );
        report.warn(&vs.at, said);
    }
}

/// Field report R0: a method that does not translate cannot reach another port, and the kernel and its tools do not say so.
fn forwarding(
    vs: &VirtualServer,
    at: &Place,
    what: &str,
    addr: IpAddr,
    port: Option<u16>,
    forward: Forward,
    report: &mut Report,
) {
    let method = match forward {
        Forward::Tun(_) => "tunnelling",
        _ => "direct routing",
    };
    for id in vs.services.keys() {
        let vport = port_of(id);
        let marked = matches!(id, ServiceId::Fwmark { .. });
        if let Some(port) = port.filter(|p| !marked && !forward.translates_ports() && *p != vport) {
            let said = if vport == 0 {
                format!(
                    "{method} cannot change the port: {what} serves every port of {id}, not {port}; leave its port out, or use nat"
                )
            } else {
                format!("{method} cannot change the port: the real server must listen on {vport}, or use nat")
            };
            report.error(at, said);
            return;
        }
        if Family::of(addr) != id.family() && !matches!(forward, Forward::Tun(_)) {
            let said = format!(
                "{what} and {id} have different address families: only tunnelling (lvs_method TUN) can do that"
            );
            report.error(at, said);
            return;
        }
    }
}

/// Two lines that are one destination for the kernel: a server with the service's port, said and not said.
fn twins(vs: &VirtualServer, report: &mut Report) {
    for id in vs.services.keys() {
        let mut seen = BTreeMap::new();
        for r in &vs.real_servers {
            if let Some(at) = seen.insert(r.dest(id), &r.at) {
                report.error(
                    &r.at,
                    format!("real_server {} is the same destination of {id} as that of {at}", r.name()),
                );
                return;
            }
        }
    }
}

/// A check connects to the real server's port, or to the service's; which must be one.
fn check_ports(vs: &mut VirtualServer, report: &mut Report) {
    let ports: Vec<u16> = vs.services.keys().map(port_of).collect();
    let one = ports.first().copied().filter(|p| *p > 0 && ports.iter().all(|q| q == p));
    for server in &mut vs.real_servers {
        for check in &mut server.checks {
            if check.target.port > 0 || !check.kind.needs_port() {
                continue;
            }
            match one {
                Some(port) => check.target.port = port,
                None => {
                    let said = format!("{} does not know a port: write connect_port", check.kind.name());
                    report.error(&check.at, said);
                }
            }
        }
    }
}
