//! A test bed: a lab with one product on three nodes, and the eyes of a client and of a witness.

use super::ctdb::Ctdb;
use super::keepalived::Keepalived;
use super::ours::Ours;
use super::product::{Peer, Product};
use crate::lab::{Lab, LabConfig, LabError, Probe, Process, Witness, now_ns, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long nothing may change before a bed counts as settled.
const CALM: Duration = Duration::from_millis(1500);

pub(super) struct Bed {
    /// Before the lab: they end first.
    processes: Vec<Option<Process>>,
    pub(super) probe: Probe,
    witness: Witness,
    pub(super) lab: Lab,
    pub(super) product: Box<dyn Product>,
    pub(super) addresses: Vec<IpAddr>,
    /// From the first daemon's start until all addresses answered the client, milliseconds.
    pub(super) cold_start_ms: f64,
}

pub(super) const IFACE: &str = "bond0";

impl Bed {
    /// Three nodes, six addresses, the product running and settled.
    pub(super) fn new(peer: Peer) -> Result<Self, LabError> {
        let product: Box<dyn Product> = match peer {
            Peer::Ours => Box::new(Ours::default()),
            Peer::OursFast => Box::new(Ours { lease_time: 200, ..Ours::default() }),
            Peer::OursQuorum => Box::new(Ours { quorum: true, ..Ours::default() }),
            Peer::Ctdb => Box::new(Ctdb),
            Peer::Keepalived => Box::new(Keepalived::new(10)),
            Peer::KeepalivedFast => Box::new(Keepalived::new(1)),
        };
        Self::of(product)
    }

    /// The same with a product as it is given.
    pub(super) fn of(mut product: Box<dyn Product>) -> Result<Self, LabError> {
        let lab = Lab::new(&LabConfig { nodes: 3, public_ifaces: vec![IFACE.to_owned()] })?;
        let addresses: Vec<IpAddr> = (31..=36).map(|n| Ipv4Addr::new(10, 0, 0, n).into()).collect();
        product.prepare(&lab, &addresses, IFACE)?;
        let probe = lab.probe(&addresses)?;
        let witness = lab.witness(IFACE, &addresses)?;
        let began = probe.mark("start");
        let processes =
            (0..3).map(|n| product.start(&lab, n).map(Some)).collect::<Result<Vec<_>, LabError>>()?;
        let mut bed = Self { processes, probe, witness, lab, product, addresses, cold_start_ms: 0.0 };
        bed.probe.wait_all_answer(bed.product.patience())?;
        let report = bed.probe.report_since(&began)?;
        let first = report.addresses.iter().filter_map(|(_, r)| Some(r.transitions.first()?.at_ns)).max();
        bed.cold_start_ms = millis(first.unwrap_or(report.now_ns).saturating_sub(began.at_ns));
        bed.settle()?;
        Ok(bed)
    }

    /// Waits until every address is on one node, balanced where the product balances, answers, and nothing changes any more.
    pub(super) fn settle(&self) -> Result<(), LabError> {
        let mut since = now_ns();
        let mut before = BTreeMap::new();
        wait_for("the product to settle", self.product.patience(), || {
            let holders = self.holders().map_err(|e| e.to_string())?;
            let good = holders.values().all(|on| on.len() == 1)
                && (!self.product.balances() || self.balanced(&holders))
                && self.product.leader(&self.lab).is_ok();
            if !good || holders != before {
                since = now_ns();
                before.clone_from(&holders);
            }
            let calm = u128::from(now_ns() - since) >= CALM.as_nanos();
            if good && calm { Ok(()) } else { Err(format!("{holders:?}")) }
        })?;
        self.probe.wait_all_answer(self.product.patience())
    }

    fn balanced(&self, holders: &BTreeMap<IpAddr, Vec<usize>>) -> bool {
        let count = |n| holders.values().filter(|on| on.contains(&n)).count();
        (0..self.lab.nodes()).all(|n| count(n) == self.addresses.len() / self.lab.nodes())
    }

    pub(super) fn holders(&self) -> Result<BTreeMap<IpAddr, Vec<usize>>, LabError> {
        self.addresses.iter().map(|a| Ok((*a, self.lab.holders(*a)?))).collect()
    }

    pub(super) fn process(&self, node: usize) -> Result<&Process, LabError> {
        self.processes[node].as_ref().ok_or_else(|| LabError::Refused(format!("node {node} was not started")))
    }

    pub(super) fn start(&mut self, node: usize) -> Result<(), LabError> {
        self.processes[node] = Some(self.product.start(&self.lab, node)?);
        Ok(())
    }

    /// Starts the service of a node again, and the daemon.
    pub(super) fn revive(&mut self, node: usize) -> Result<(), LabError> {
        self.lab.serve(node)?;
        self.start(node)
    }

    /// Kills the service and what the product says is its daemon.
    pub(super) fn kill_daemon_and_service(&self, node: usize) -> Result<(), LabError> {
        let all = self.lab.node(node).processes()?;
        let spared = self.product.survivors(self.process(node)?.pid());
        let victims: Vec<i32> = all.into_iter().filter(|p| !spared.contains(p)).collect();
        // Stopped first, so that none sees another one's end.
        signal(&victims, Signal::SIGSTOP);
        signal(&victims, Signal::SIGKILL);
        self.process(node)?.wait(Duration::from_secs(10)).map(drop)
    }

    /// Stops or continues every process of the product on a node; the service too only if `service`.
    pub(super) fn hang(&self, node: usize, stop: bool) -> Result<(), LabError> {
        let service = self.lab.service(node);
        let all = self.lab.node(node).processes()?;
        let all: Vec<i32> = all.into_iter().filter(|p| Some(*p) != service).collect();
        signal(&all, if stop { Signal::SIGSTOP } else { Signal::SIGCONT });
        Ok(())
    }

    /// The longest time that two nodes answered for one address so far: answers to the witness's rounds, one a millisecond.
    pub(super) fn dual_rounds(&self) -> Result<usize, LabError> {
        let report = self.witness.report()?;
        Ok(report.duals.iter().map(|(_, d)| d.answers).max().unwrap_or(0))
    }

    /// The longest time since `since_ns` in which an address was on no interface of a node, milliseconds.
    pub(super) fn unserved_ms(&self, since_ns: u64, affected: &[IpAddr]) -> Result<f64, LabError> {
        let mut events = self.lab.address_events()?;
        events.sort_by_key(|e| e.at_ns);
        let mut worst = 0;
        for address in affected {
            let (mut on, mut empty) = (std::collections::BTreeSet::new(), None);
            for e in events.iter().filter(|e| e.address == *address && e.host < self.lab.nodes()) {
                let changed = if e.added { on.insert(e.host) } else { on.remove(&e.host) };
                match (changed, on.is_empty(), empty) {
                    (true, true, _) => empty = Some(e.at_ns),
                    (true, false, Some(from)) => {
                        empty = None;
                        if e.at_ns >= since_ns {
                            worst = worst.max(e.at_ns - from);
                        }
                    }
                    _ => {}
                }
            }
            if let Some(from) = empty {
                worst = worst.max(now_ns().saturating_sub(from));
            }
        }
        Ok(millis(worst))
    }
}

pub(super) fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

pub(super) fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        // One may have ended meanwhile.
        kill(Pid::from_raw(*pid), signal).ok();
    }
}
