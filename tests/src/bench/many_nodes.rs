//! Many real daemons of ctdb-ip on one machine: start, loss of the recmaster, loss of ten nodes at once, packets at rest.

use super::bed::{IFACE, millis};
use super::idle::sent;
use super::ours::Ours;
use super::product::Product;
use crate::lab::{Lab, LabConfig, LabError, Process, now_ns, wait_for};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);
/// How long packets are counted.
const REST: Duration = Duration::from_secs(10);

/// What a number of nodes needs. Times in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Crowd {
    /// Daemons.
    pub nodes: usize,
    /// Public addresses.
    pub addresses: usize,
    /// From the first start until all addresses are held by one node each.
    pub cold_start: f64,
    /// Packets that all nodes together send to each other per second at rest.
    pub packets_at_rest: f64,
    /// From the death of the recmaster (kill -9) until the others hold all.
    pub recmaster_killed: f64,
    /// From the death of ten nodes at once until the others hold all; nothing with fewer than 21 nodes.
    pub ten_killed: Option<f64>,
}

/// Plays with `nodes` daemons (3 to 64) and that many addresses.
///
/// # Errors
/// The lab or a daemon fails, or a step does not end within four minutes.
pub fn many_nodes(nodes: usize, addresses: usize, mut told: impl FnMut(&str)) -> Result<Crowd, LabError> {
    let lab = Lab::new(&LabConfig { nodes, public_ifaces: vec![IFACE.to_owned()] })?;
    let first = u32::from(Ipv4Addr::new(10, 1, 0, 1));
    let all: Vec<IpAddr> = (first..).take(addresses).map(|n| Ipv4Addr::from(n).into()).collect();
    let mut product = Ours::default();
    product.prepare_wide(&lab, &all, IFACE)?;
    let began = now_ns();
    let processes = (0..nodes).map(|n| product.start(&lab, n)).collect::<Result<Vec<_>, _>>()?;
    let everybody: BTreeSet<usize> = (0..nodes).collect();
    let cold_start = held(&lab, &all, &everybody, began)?;
    told(&format!("{nodes} nodes, {addresses} addresses: all held after {cold_start:.0} ms"));
    // What follows a start is not rest.
    std::thread::sleep(REST);
    let count = |processes: &[Process]| processes.iter().map(|p| sent(p.pid())).sum::<u64>();
    let before = count(&processes);
    std::thread::sleep(REST);
    let packets_at_rest = (count(&processes) - before) as f64 / REST.as_secs_f64();
    told(&format!("{nodes} nodes: {packets_at_rest:.0} packets per second at rest"));
    let leader = product.leader(&lab)?;
    let began = now_ns();
    processes[leader].kill9()?;
    let mut left = everybody;
    left.remove(&leader);
    let recmaster_killed = held(&lab, &all, &left, began)?;
    told(&format!("{nodes} nodes: recmaster killed: all held after {recmaster_killed:.0} ms"));
    let mut ten_killed = None;
    if nodes >= 21 {
        let victims: Vec<usize> = left.iter().rev().take(10).copied().collect();
        let began = now_ns();
        for victim in &victims {
            processes[*victim].kill9()?;
            left.remove(victim);
        }
        let took = held(&lab, &all, &left, began)?;
        told(&format!("{nodes} nodes: ten killed: all held after {took:.0} ms"));
        ten_killed = Some(took);
    }
    Ok(Crowd { nodes, addresses, cold_start, packets_at_rest, recmaster_killed, ten_killed })
}

/// Waits until exactly these nodes hold all; when the last address appeared, since `began`.
fn held(lab: &Lab, all: &[IpAddr], nodes: &BTreeSet<usize>, began: u64) -> Result<f64, LabError> {
    let ours: BTreeSet<IpAddr> = all.iter().copied().collect();
    wait_for("all addresses on living nodes", LIMIT, || {
        let mut seen = 0;
        let mut distinct = BTreeSet::new();
        for node in 0..lab.nodes() {
            let here = lab.node(node).all_addresses().map_err(|e| e.to_string())?;
            let here: Vec<IpAddr> =
                here.into_iter().map(|a| a.address).filter(|a| ours.contains(a)).collect();
            if !nodes.contains(&node) && !here.is_empty() {
                return Err(format!("{} addresses still on node {node}", here.len()));
            }
            seen += here.len();
            distinct.extend(here);
        }
        let good = distinct.len() == ours.len() && seen == distinct.len();
        if good { Ok(()) } else { Err(format!("{} of {} addresses held", distinct.len(), ours.len())) }
    })?;
    let events = lab.address_events()?;
    let last = events.iter().filter(|e| e.added && e.at_ns >= began && ours.contains(&e.address));
    Ok(millis(last.map(|e| e.at_ns).max().unwrap_or(began) - began))
}
