//! Applies the questions of `ctdb plan` to a snapshot. Changes nothing but the snapshot it is given.

use super::config::WhatIf;
use super::snapshot::Snapshot;
use crate::control::{PublicIp, Unavailable};
use crate::model::{NodeFlags, Pnn, RunState};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Changes the snapshot to what it would be.
pub(super) fn apply(what_if: &WhatIf, snapshot: &mut Snapshot) {
    what_if.down.iter().for_each(|pnn| down(snapshot, *pnn));
    what_if.up.iter().for_each(|pnn| up(snapshot, *pnn));
    what_if.add.iter().for_each(|addr| add(snapshot, addr.to_canonical()));
    what_if.without.iter().for_each(|(iface, pnn)| without(snapshot, iface, *pnn));
}

/// The node keeps its claims, so that moves name it as the owner before.
fn down(snapshot: &mut Snapshot, pnn: Pnn) {
    for node in snapshot.nodes.iter_mut().filter(|n| n.pnn == pnn) {
        node.flags |= NodeFlags::DISCONNECTED;
    }
    if let Some(report) = snapshot.addrs.get_mut(&pnn) {
        report.available.clear();
    }
}

fn up(snapshot: &mut Snapshot, pnn: Pnn) {
    let all: BTreeSet<IpAddr> = snapshot.addrs.values().flat_map(|r| r.known.keys().copied()).collect();
    let Some(node) = snapshot.nodes.iter_mut().find(|n| n.pnn == pnn) else { return };
    node.flags = NodeFlags::NONE;
    node.runstate = RunState::Running;
    let report = snapshot.addrs.entry(pnn).or_insert_with(|| super::NodeAddrs {
        known: all.into_iter().map(|addr| (addr, unowned(addr))).collect(),
        available: BTreeSet::new(),
    });
    for ip in report.known.values_mut() {
        let linkless = !ip.ifaces.is_empty() && ip.ifaces.iter().all(|i| !i.up);
        if linkless {
            ip.unavailable = Some(Unavailable::NoLink(ip.ifaces.iter().map(|i| i.name.clone()).collect()));
        } else if !matches!(ip.unavailable, Some(Unavailable::NoLink(_))) {
            ip.unavailable = None;
        }
        if ip.unavailable.is_none() {
            report.available.insert(ip.addr);
        }
    }
}

fn add(snapshot: &mut Snapshot, addr: IpAddr) {
    for pnn in snapshot.connected() {
        let Some(node) = snapshot.node(pnn).cloned() else { continue };
        let report = snapshot.addrs.entry(pnn).or_default();
        if report.known.contains_key(&addr) {
            continue;
        }
        let mut ip = unowned(addr);
        if node.flags.is_out_of_service() {
            ip.unavailable = Some(Unavailable::Flags(node.flags));
        } else if node.runstate != RunState::Running {
            ip.unavailable = Some(Unavailable::RunState(node.runstate));
        } else {
            report.available.insert(addr);
        }
        report.known.insert(addr, ip);
    }
}

fn without(snapshot: &mut Snapshot, iface: &str, pnn: Pnn) {
    let Some(report) = snapshot.addrs.get_mut(&pnn) else { return };
    for ip in report.known.values_mut().filter(|ip| ip.ifaces.iter().any(|i| i.name == iface)) {
        ip.ifaces.iter_mut().filter(|i| i.name == iface).for_each(|i| i.up = false);
        if ip.ifaces.iter().all(|i| !i.up) {
            report.available.remove(&ip.addr);
            ip.unavailable.get_or_insert_with(|| {
                Unavailable::NoLink(ip.ifaces.iter().map(|i| i.name.clone()).collect())
            });
        }
    }
}

/// An address that the node knows and nobody has.
fn unowned(addr: IpAddr) -> PublicIp {
    PublicIp { addr, owner: None, held: false, unavailable: None, ifaces: Vec::new() }
}
