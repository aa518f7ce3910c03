//! Random histories: whatever was done to a cluster, the rules hold, and when it ends the cluster is soon in order.
//!
//! `HISTORY=SEED cargo test -p recoverd one_history` replays one, and shows all of it when it fails.

use super::cluster::{Cluster, MS};
use super::faults::build;
use super::rules::Rules;
use crate::command::Command;
use crate::model::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SETTLED: Duration = Duration::from_secs(30);

fn live_through(c: &mut Cluster) {
    for n in 0..c.hosts.len() as u32 {
        c.start(n);
        let d = c.rng.time(MS(0), MS(500));
        pass(c, d);
    }
    for _ in 0..5 + c.rng.below(30) {
        let d = c.rng.pick(&[MS(3), MS(50), MS(1000), MS(3000)]);
        let d = c.rng.time(MS(0), d);
        pass(c, d);
        c.fault();
    }
    pass(c, Duration::from_secs(5));
    c.heal();
    pass(c, SETTLED);
    c.command(0, Command::IpReallocate);
    pass(c, Duration::from_secs(2));
    let rested = c.now;
    pass(c, Duration::from_secs(6));
    in_order(c, rested);
}

/// Time passes; the transport dials, and the rules are looked at.
fn pass(c: &mut Cluster, d: Duration) {
    let mut left = d;
    while !left.is_zero() {
        let step = left.min(MS(500));
        left -= step;
        c.run(step);
        c.redial();
        let mut rules = std::mem::take(&mut c.rules);
        rules.look(c);
        c.rules = rules;
    }
}

fn in_order(c: &Cluster, rested: Mono) {
    let nodes: Vec<_> = c.hosts.iter().map(|h| h.node.as_ref().expect("all run")).collect();
    let first = nodes[0].status();
    for node in &nodes {
        let s = node.status();
        assert_eq!(s.runstate, RunState::Running, "node {}", node.pnn());
        assert!(s.leader.is_some(), "node {} knows no recmaster", node.pnn());
        assert_eq!((s.leader, s.epoch), (first.leader, first.epoch), "node {}", node.pnn());
        assert!(!s.in_recovery, "node {} is in recovery", node.pnn());
        assert!(s.nodes.iter().all(|r| r.flags == NodeFlags::NONE), "node {} sees {:?}", node.pnn(), s.nodes);
    }
    for addr in c.hosts.iter().flat_map(|h| &h.cfg.public_addresses).map(|p| p.addr) {
        let holders: Vec<u32> =
            (0u32..).zip(&c.hosts).filter(|(_, h)| h.kernel.addrs.contains_key(&addr)).map(|(n, _)| n).collect();
        assert_eq!(holders.len(), 1, "{addr} is on {holders:?}");
        for node in &nodes {
            for row in node.ip_rows().iter().filter(|r| r.addr == addr) {
                assert_eq!(row.owner, Some(Pnn(holders[0])), "{addr} in the record of node {}", node.pnn());
            }
        }
    }
    for (n, host) in c.hosts.iter().enumerate() {
        for (addr, places) in &host.kernel.addrs {
            let public = host.cfg.public_addresses.iter().find(|p| p.addr == *addr).expect("known");
            assert_eq!(places.len(), 1, "{addr} on node {n}: {places:?}");
            assert!(public.ifaces.contains(&places[0].iface), "{addr} on node {n}: {places:?}");
        }
    }
    assert!(c.rules.moved < rested, "runs still move addresses");
    assert!(c.rules.commands.is_empty() || c.rules.commands.iter().all(|(_, (n, life, _))| c.hosts[*n as usize].life != *life),
        "commands without reply: {:?}", c.rules.commands);
    balanced(c);
}

/// When every node knows every address: minimal move and the simple fill level the shares, LCP2 leaves no node empty.
fn balanced(c: &Cluster) {
    let all = c.hosts[0].cfg.public_addresses.len();
    if c.hosts.iter().any(|h| h.cfg.public_addresses.len() != all) {
        return;
    }
    let counts: Vec<usize> = c.hosts.iter().map(|h| h.kernel.addrs.len()).collect();
    let (min, max) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let leader = c.hosts[0].node.as_ref().and_then(|n| n.status().leader).map_or(0, Pnn::index);
    let algorithm = c.hosts[leader].node.as_ref().map(crate::node::Node::tunables).map(|t| t.get("IPAllocAlgorithm"));
    match algorithm {
        Some(Ok(2)) => assert!(min > 0 || max < 2, "{counts:?} with LCP2"),
        other => assert!(max - min <= 1, "{counts:?} with {other:?}"),
    }
}

fn history(seed: u64, trace: bool) -> Result<Rules, String> {
    let mut c = build(seed, trace);
    let ended = catch_unwind(AssertUnwindSafe(|| live_through(&mut c)));
    match ended {
        Ok(()) => Ok(c.rules),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            let trace = c.trace.unwrap_or_default().join("\n");
            Err(format!("{trace}\nhistory {seed} fails: {}", text.unwrap_or_default()))
        }
    }
}

fn histories(seeds: std::ops::Range<u64>) {
    let mut bad = Vec::new();
    for seed in seeds {
        if let Err(text) = history(seed, false) {
            bad.push(text);
        }
    }
    assert!(bad.is_empty(), "{} histories fail:{}", bad.len(), bad.concat());
}

#[test]
fn histories_1() {
    histories(0..250);
}

#[test]
fn histories_2() {
    histories(250..500);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "which history to show is a question of the person at the keyboard")]
fn one_history() {
    let Ok(seed) = std::env::var("HISTORY") else { return };
    if let Some((a, b)) = seed.split_once("..") {
        return histories(a.parse().unwrap()..b.parse().unwrap());
    }
    if let Err(text) = history(seed.parse().unwrap(), true) {
        panic!("{text}");
    }
}
