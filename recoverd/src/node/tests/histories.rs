//! Random histories: whatever was done to a cluster, the rules hold, and when it ends the cluster is soon in order.
//!
//! `HISTORY=SEED cargo test -p recoverd one_history` replays one, and shows all of it when it fails.

use super::cluster::{Cluster, MS};
use super::faults::build;
use super::rules::{Rules, flags_of};
use crate::command::Command;
use crate::model::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What histories must be seen to contain.
const KINDS: [&str; 16] = [
    "init",
    "setup",
    "startup",
    "shutdown",
    "monitor",
    "startrecovery",
    "recovered",
    "startipreallocate",
    "ipreallocated",
    "takeip",
    "releaseip",
    "updateip",
    "run",
    "bad run",
    "repair",
    "stray",
];
const CALM: Duration = Duration::from_secs(2);
const LAST_TROUBLE: Duration = Duration::from_secs(15);
const SETTLED: Duration = Duration::from_secs(30);

fn live_through(c: &mut Cluster) {
    for n in 0..c.hosts.len() as u32 {
        c.start(n);
        let d = c.rng.time(MS(0), MS(500));
        pass(c, d);
    }
    for _ in 0..5 + c.rng.below(40) {
        let d = c.rng.pick(&[MS(3), MS(10), MS(50), MS(200), MS(1000), MS(3000)]);
        let d = c.rng.time(MS(0), d);
        pass(c, d);
        c.fault();
    }
    pass(c, Duration::from_secs(2));
    let thaw = c.hosts.iter().map(|h| h.frozen).max().unwrap_or_default();
    pass(c, thaw.since(c.now));
    c.heal();
    let healed = c.now;
    // Who was still on his way out is started again.
    while c.now.since(healed) < SETTLED {
        pass(c, Duration::from_secs(1));
        for n in 0..c.hosts.len() as u32 {
            c.start(n);
            // The last events in trouble may still end badly.
            if c.now.since(healed) < LAST_TROUBLE && flags(c, n).intersects(NodeFlags::BANNED) {
                c.command(n, Command::Unban);
            }
        }
        if c.now.since(healed) > CALM && in_order(c).is_ok() {
            break;
        }
    }
    c.command(0, Command::IpReallocate);
    let asked = c.now;
    pass(c, Duration::from_secs(1));
    // A run that began before may still wait for the last event in trouble: the request waits for it.
    let waits = |c: &Cluster| c.rules.commands.values().any(|(n, _, what)| *n == 0 && what == "IpReallocate");
    while waits(c) && c.now.since(asked) < LAST_TROUBLE {
        pass(c, Duration::from_secs(1));
    }
    let rested = c.now;
    pass(c, Duration::from_secs(3));
    in_order(c).unwrap_or_else(|why| panic!("{why}"));
    balanced(c);
    assert!(c.rules.moved < rested, "runs still move addresses");
    let unanswered: Vec<_> =
        c.rules.commands.values().filter(|(n, life, _)| c.hosts[*n as usize].life == *life).collect();
    assert!(unanswered.is_empty(), "commands without reply: {unanswered:?}");
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

fn flags(c: &Cluster, n: u32) -> NodeFlags {
    c.hosts[n as usize].node.as_ref().map(flags_of).unwrap_or_default()
}

fn in_order(c: &Cluster) -> Result<(), String> {
    fn need(yes: bool, else_: impl FnOnce() -> String) -> Result<(), String> {
        if yes { Ok(()) } else { Err(else_()) }
    }
    let nodes: Vec<_> = c.hosts.iter().filter_map(|h| h.node.as_ref()).collect();
    need(nodes.len() == c.hosts.len(), || "not all nodes run".into())?;
    let first = nodes[0].status();
    for node in &nodes {
        let (s, n) = (node.status(), node.pnn());
        need(s.runstate == RunState::Running, || format!("node {n} is {}", s.runstate))?;
        need(s.leader.is_some(), || format!("node {n} knows no recmaster"))?;
        need((s.leader, s.epoch) == (first.leader, first.epoch), || format!("node {n}: {s:?}"))?;
        need(!s.in_recovery, || format!("node {n} is in recovery"))?;
        need(s.nodes.iter().all(|r| r.flags == NodeFlags::NONE), || format!("node {n}: {:?}", s.nodes))?;
    }
    for addr in c.hosts.iter().flat_map(|h| &h.cfg.public_addresses).map(|p| p.addr) {
        let holders: Vec<u32> = (0u32..)
            .zip(&c.hosts)
            .filter(|(_, h)| h.kernel.addrs.contains_key(&addr))
            .map(|(n, _)| n)
            .collect();
        need(holders.len() == 1, || format!("{addr} is on {holders:?}"))?;
        for node in &nodes {
            for row in node.ip_rows().iter().filter(|r| r.addr == addr) {
                need(row.owner == Some(Pnn(holders[0])), || {
                    format!("{addr} is on node {holders:?}, node {} thinks {:?}", node.pnn(), row.owner)
                })?;
            }
        }
    }
    for (n, host) in c.hosts.iter().enumerate() {
        for p in &host.cfg.public_addresses {
            let places = host.kernel.places(p.addr);
            let good = places.len() <= 1 && places.iter().all(|at| p.ifaces.contains(&at.iface));
            need(good, || format!("{} on node {n}: {places:?}", p.addr))?;
        }
    }
    Ok(())
}

/// When every node knows every address: minimal move and the simple fill level the shares, LCP2 leaves no node empty.
fn balanced(c: &Cluster) {
    if c.hosts.iter().any(|h| h.cfg.public_addresses != c.hosts[0].cfg.public_addresses) {
        return;
    }
    let counts: Vec<usize> = c.hosts.iter().map(|h| h.kernel.addrs.len()).collect();
    let (min, max) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    let leader = c.hosts[0].node.as_ref().and_then(|n| n.status().leader).map_or(0, Pnn::index);
    let algorithm = c.hosts[leader].node.as_ref().map(|n| n.tunables.get("IPAllocAlgorithm"));
    match algorithm {
        // Two of different families do not disturb each other.
        Some(Ok(2)) => assert!(min > 0 || max < 3, "{counts:?} with LCP2"),
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
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds {
        match history(seed, false) {
            Ok(rules) => rules.seen.into_iter().for_each(|(k, n)| *seen.entry(k).or_default() += n),
            Err(text) => bad.push(text),
        }
    }
    let never: Vec<_> = KINDS.iter().filter(|k| !seen.contains_key(**k)).collect();
    assert!(never.is_empty(), "these never happen: {never:?}");
    if std::option_env!("STATS").is_some() {
        panic!("{seen:?}")
    }
    assert!(bad.is_empty(), "{} histories fail:{}", bad.len(), bad.concat());
}

#[test]
fn histories_1() {
    histories(0..500);
}

#[test]
fn histories_2() {
    histories(500..1000);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "which history to show is a question of the person at the keyboard"
)]
fn one_history() {
    let Ok(seed) = std::env::var("HISTORY") else { return };
    if let Some((a, b)) = seed.split_once("..") {
        return histories(a.parse().unwrap()..b.parse().unwrap());
    }
    if let Err(text) = history(seed.parse().unwrap(), true) {
        panic!("{text}");
    }
}
