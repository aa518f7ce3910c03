//! Many addresses on three nodes of ctdb-ip: how long until all are where they belong, and how long the unluckiest was nowhere.
//!
//! All addresses are followed by the kernels' address events; twenty of them are asked by the client as well.

use super::bed::{IFACE, millis};
use super::idle::{Usage, usage};
use super::ours::Ours;
use super::product::Product;
use crate::lab::{Lab, LabConfig, LabError, Probe, Process, now_ns, wait_for};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);
const NODES: usize = 3;

/// One step with many addresses. Times in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was done.
    pub what: &'static str,
    /// How many addresses there are.
    pub addresses: usize,
    /// How many of them moved.
    pub moved: usize,
    /// Until every address was on a node where it should be.
    pub all_held: f64,
    /// The longest time that one of them was on no node.
    pub worst_unheld: f64,
    /// The longest silence of the twenty that the client asks.
    pub gap: f64,
}

/// What a size needs.
#[derive(Debug, Clone, Serialize)]
pub struct ScaleReport {
    /// Step by step.
    pub steps: Vec<Step>,
    /// Memory of the daemon of each node.
    pub usage: Vec<Usage>,
}

struct Field {
    processes: Vec<Process>,
    probe: Probe,
    lab: Lab,
    product: Ours,
    addresses: Vec<IpAddr>,
}

/// Plays cold start, disable, enable, death and return of a node with `count` addresses (1 to 60000).
///
/// # Errors
/// The lab or a daemon fails, or a step does not end within three minutes.
pub fn scale(count: usize, mut told: impl FnMut(&str)) -> Result<ScaleReport, LabError> {
    let lab = Lab::new(&LabConfig { nodes: NODES, public_ifaces: vec![IFACE.to_owned()] })?;
    let addresses = many(count);
    lab.client().add_address("eth0", Ipv4Addr::new(10, 1, 255, 9).into(), 16)?;
    let mut product = Ours::default();
    product.prepare_wide(&lab, &addresses, IFACE)?;
    let asked: Vec<IpAddr> = addresses.iter().step_by((count / 20).max(1)).copied().collect();
    let probe = lab.probe(&asked)?;
    let began = now_ns();
    let processes = (0..NODES).map(|n| product.start(&lab, n)).collect::<Result<Vec<_>, _>>()?;
    let mut field = Field { processes, probe, lab, product, addresses };
    let mut steps = Vec::new();
    let mut add = |told: &mut dyn FnMut(&str), step: Step| {
        told(&format!("{count} addresses: {step:?}"));
        steps.push(step);
    };
    add(&mut told, field.step("cold start", began, &[0, 1, 2])?);
    let leader = field.product.leader(&field.lab)?;
    let victim = (leader + 1) % NODES;
    let rest: Vec<usize> = (0..NODES).filter(|n| *n != victim).collect();
    let began = now_ns();
    field.product.disable(&field.lab, victim, true)?;
    add(&mut told, field.step("disable of a node", began, &rest)?);
    let began = now_ns();
    field.product.disable(&field.lab, victim, false)?;
    add(&mut told, field.step("enable of it", began, &[0, 1, 2])?);
    let began = now_ns();
    field.processes[victim].kill9()?;
    add(&mut told, field.step("daemon killed (-9)", began, &rest)?);
    let began = now_ns();
    field.processes[victim] = field.product.start(&field.lab, victim)?;
    add(&mut told, field.step("started again", began, &[0, 1, 2])?);
    let usage = field.processes.iter().map(|p| usage(&[p.pid()])).collect();
    Ok(ScaleReport { steps, usage })
}

fn many(count: usize) -> Vec<IpAddr> {
    let at = |n: usize| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 1, 0, 1)) + u32::try_from(n).unwrap_or(0));
    (0..count).map(|n| at(n).into()).collect()
}

impl Field {
    /// Waits until these nodes share all addresses; what it took since `began`.
    fn step(&self, what: &'static str, began: u64, nodes: &[usize]) -> Result<Step, LabError> {
        wait_for(what, LIMIT, || {
            let held = self.counts().map_err(|e| e.to_string())?;
            let (shares, others): (Vec<_>, Vec<_>) = held.iter().partition(|(n, _)| nodes.contains(n));
            let total: usize = shares.iter().map(|(_, c)| **c).sum();
            let spread = shares.iter().map(|(_, c)| **c).max().zip(shares.iter().map(|(_, c)| **c).min());
            let even = spread.is_some_and(|(max, min)| max - min <= 1 + self.addresses.len() / 50);
            if total == self.addresses.len() && others.iter().all(|(_, c)| **c == 0) && even {
                Ok(())
            } else {
                Err(format!("{held:?}"))
            }
        })?;
        self.probe.wait_all_answer(LIMIT)?;
        let (moved, all_held, worst) = self.history(began)?;
        let report = self.probe.report_since(&crate::lab::Mark { at_ns: began, label: what.to_owned() })?;
        // Nothing answered before the cold start.
        let gap = if what == "cold start" { 0.0 } else { report.longest_gap().as_secs_f64() * 1e3 };
        Ok(Step { what, addresses: self.addresses.len(), moved, all_held, worst_unheld: worst, gap })
    }

    fn counts(&self) -> Result<BTreeMap<usize, usize>, LabError> {
        let ours: BTreeSet<IpAddr> = self.addresses.iter().copied().collect();
        let count = |n: usize| -> Result<(usize, usize), LabError> {
            Ok((n, self.lab.node(n).all_addresses()?.iter().filter(|a| ours.contains(&a.address)).count()))
        };
        (0..NODES).map(count).collect()
    }

    /// Since `began`: how many addresses appeared somewhere, when the last one did, and how long the unluckiest was on no node.
    fn history(&self, began: u64) -> Result<(usize, f64, f64), LabError> {
        let ours: BTreeSet<IpAddr> = self.addresses.iter().copied().collect();
        let mut events = self.lab.address_events()?;
        events.sort_by_key(|e| e.at_ns);
        let (mut on, mut empty) = (BTreeMap::<IpAddr, BTreeSet<usize>>::new(), BTreeMap::new());
        let (mut moved, mut last, mut worst) = (BTreeSet::new(), began, 0);
        for e in events.iter().filter(|e| e.host < NODES && ours.contains(&e.address)) {
            let nodes = on.entry(e.address).or_default();
            if !e.added {
                nodes.remove(&e.host);
                if nodes.is_empty() {
                    empty.insert(e.address, e.at_ns);
                }
                continue;
            }
            nodes.insert(e.host);
            let since = empty.remove(&e.address);
            if e.at_ns >= began {
                moved.insert(e.address);
                last = last.max(e.at_ns);
                worst = worst.max(since.map_or(0, |s| e.at_ns.saturating_sub(s)));
            }
        }
        Ok((moved.len(), millis(last - began), millis(worst)))
    }
}
