//! What must hold in every history, after every step.

use super::cluster::{Cluster, pair};
use crate::action::{Entry, Kind};
use crate::model::*;
use crate::node::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// After links or processes were disturbed, two nodes may not know of each other for so long.
const CALM: Duration = Duration::from_millis(500);
/// An address may be in two places, or on an inactive node, for so long after the last trouble.
const BOUND: Duration = Duration::from_secs(12);

#[derive(Default)]
pub(super) struct Rules {
    disturbed: Mono,
    troubled: Mono,
    ops: BTreeMap<u32, BTreeSet<u64>>,
    inputs: BTreeMap<u32, (Mono, u32)>,
    leaders: BTreeMap<Epoch, (u32, u64)>,
    pub(super) commands: BTreeMap<u64, (u32, u64, String)>,
    /// Since when something is where it should not be.
    wrong: BTreeMap<(IpAddr, u32, u32), Mono>,
    /// The last run that moved something.
    pub(super) moved: Mono,
    /// How often things happened that histories exist for, to see that they do.
    pub(super) seen: BTreeMap<&'static str, u64>,
}

impl Rules {
    /// Links, processes or kernels were disturbed.
    pub(super) fn disturbed(&mut self, now: Mono) {
        self.disturbed = self.disturbed.max(now);
    }

    /// Until `at` an event of an address is or was in trouble.
    pub(super) fn trouble(&mut self, at: Mono) {
        self.troubled = self.troubled.max(at);
    }

    pub(super) fn started(&mut self, n: u32) {
        self.ops.remove(&n);
    }

    pub(super) fn event(&mut self, n: u32, c: &Cluster, op: u64, event: &Event) {
        assert!(self.ops.entry(n).or_default().insert(op), "node {n} used number {op} twice");
        let host = &c.hosts[n as usize];
        if let Some(addr) = event.addr() {
            let others = host.events.values().filter(|e| e.addr() == Some(addr)).count();
            assert_eq!(others, 0, "node {n} works twice on {addr}: {event}");
            assert!(
                host.cfg.public_addresses.iter().any(|p| p.addr == addr),
                "node {n} does not know {addr}"
            );
        }
        if let Event::TakeIp { addr, .. } = event {
            self.taken(n, *addr, c);
            let flags = host.node.as_ref().map(flags_of);
            assert!(!flags.unwrap_or_default().is_inactive(), "node {n} is inactive and begins {event}");
        }
        *self.seen.entry(event.name()).or_default() += 1;
    }

    pub(super) fn fed(&mut self, n: u32, deadline: Option<Mono>, now: Mono) {
        assert!(
            deadline.is_none_or(|t| t > now),
            "node {n} wants to be called at {deadline:?}, it is {now:?}"
        );
        let count = self.inputs.entry(n).or_default();
        *count = if count.0 == now { (now, count.1 + 1) } else { (now, 1) };
        assert!(count.1 < 3000, "node {n} does not come to rest");
    }

    pub(super) fn leaders(&mut self, n: u32, node: Option<&Node>, life: u64) {
        let Some(node) = node.filter(|x| x.leader.pnn() == Some(Pnn(n))) else { return };
        assert!(!node.flags.is_inactive(), "node {n} is inactive and leads");
        let who = self.leaders.entry(node.epoch()).or_insert((n, life));
        assert_eq!(*who, (n, life), "epoch {} had another recmaster", node.epoch());
    }

    pub(super) fn replied(&mut self, id: u64) {
        assert!(self.commands.remove(&id).is_some(), "command {id} was not given or is answered twice");
    }

    pub(super) fn journal(&mut self, _n: u32, entry: &Entry, now: Mono) {
        match entry.kind {
            Kind::Repair => *self.seen.entry("repair").or_default() += 1,
            Kind::Stray => *self.seen.entry("stray").or_default() += 1,
            Kind::Leader if entry.text.contains("is recmaster") => {
                let epochs = self.seen.entry("epoch").or_default();
                *epochs += 1;
                assert!(*epochs < 400, "the recmaster changes without end");
            }
            _ => {}
        }
        if let (Kind::Run, Some(report)) = (entry.kind, &entry.report) {
            *self.seen.entry(if report.result.is_ok() { "run" } else { "bad run" }).or_default() += 1;
            if report.plan.as_ref().is_some_and(|p| !p.is_empty()) {
                self.moved = now;
            }
        }
    }

    /// An address is put on a node. If the run began when all knew each other, it must be nowhere else.
    fn taken(&self, n: u32, addr: IpAddr, c: &Cluster) {
        let run = c.hosts[n as usize].node.as_ref().map(|x| x.controls.run_started).unwrap_or_default();
        if run < self.disturbed + CALM || !whole(c) {
            return;
        }
        for p in c.live().into_iter().filter(|p| *p != n) {
            let other = &c.hosts[p as usize];
            let there = other.kernel.addrs.contains_key(&addr) && !other.by_hand.contains(&addr);
            assert!(!there, "{addr} is taken by node {n} while it is on node {p}");
        }
    }

    /// Looked at now and then: nothing stays wrong.
    pub(super) fn look(&mut self, c: &Cluster) {
        let mut wrong = Vec::new();
        for (i, a) in c.hosts.iter().enumerate().filter(|(_, h)| h.node.is_some()) {
            let flags = a.node.as_ref().map(flags_of).unwrap_or_default();
            for addr in a.cfg.public_addresses.iter().map(|p| p.addr) {
                if !a.kernel.addrs.contains_key(&addr) || a.by_hand.contains(&addr) {
                    continue;
                }
                let i = i as u32;
                if flags.is_inactive() {
                    wrong.push((addr, i, i));
                }
                for (j, b) in (0u32..).zip(&c.hosts).skip(i as usize + 1) {
                    if b.node.is_some()
                        && b.kernel.addrs.contains_key(&addr)
                        && !b.by_hand.contains(&addr)
                        && a.links.contains_key(&j)
                        && b.links.contains_key(&i)
                        && !c.cut.contains(&pair(i, j))
                    {
                        wrong.push((addr, i, j));
                    }
                }
            }
        }
        let last = self.disturbed.max(self.troubled);
        self.wrong.retain(|k, _| wrong.contains(k));
        for key in wrong {
            let since = *self.wrong.entry(key).or_insert(c.now);
            let (addr, a, b) = key;
            assert!(
                c.now.since(since.max(last)) < BOUND,
                "{addr} has been on nodes {a} and {b} (inactive if the same) since {since:?}"
            );
        }
    }
}

/// Everybody that lives is connected with everybody, and nobody is frozen.
pub(super) fn whole(c: &Cluster) -> bool {
    let live = c.live();
    live.iter().all(|a| {
        let host = &c.hosts[*a as usize];
        host.frozen <= c.now && live.iter().all(|b| a == b || host.links.contains_key(b))
    }) && c.cut.is_empty()
}

pub(super) fn flags_of(node: &Node) -> NodeFlags {
    node.flags
}
