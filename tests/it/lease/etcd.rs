//! Leases with the cluster lock in a real etcd.

use super::{BOUND, Trial, trial_in};
use std::time::{Duration, Instant};
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Etcd, Lab, LabConfig};

/// Seconds that etcd keeps the key of a daemon that is silent.
const TTL: u32 = 2;

/// The server, which must end before its lab does, and the cluster that locks in it.
fn trial_by_etcd(name: &'static str) -> Option<(Etcd, Trial)> {
    let config = ClusterConfig::default();
    let lab = Lab::for_test(name, &LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() })?;
    let Some(etcd) = Etcd::start(&lab).unwrap() else {
        println!("skipped: {name}: needs etcd-server");
        return None;
    };
    let mut c = Cluster::prepare(lab, &config).unwrap();
    for node in 0..config.nodes {
        let conf = c.lab.paths(node).base.join("ctdb.conf");
        let text = std::fs::read_to_string(&conf).unwrap();
        let line = |l: &str| {
            if l.contains("cluster lock") {
                format!("\tcluster lock = {}\n", Etcd::lock_text(TTL))
            } else {
                format!("{l}\n")
            }
        };
        std::fs::write(&conf, text.lines().map(line).collect::<String>()).unwrap();
        c.start(node).unwrap();
    }
    c.wait_balanced(&[0, 1, 2]);
    Some((etcd, trial_in(c, name, Duration::from_secs(1))))
}

#[test]
fn a_killed_recmaster_is_followed_by_whom_etcd_gives_the_lock() {
    let Some((_etcd, mut t)) = trial_by_etcd("a_killed_recmaster_is_followed_in_etcd") else { return };
    for round in 0..2 {
        let (_, leader) = t.roles();
        // All three want the lock; all know the same one.
        assert!((0..3).all(|n| t.c.leader_seen_by(n) == leader), "{}", t.c.describe());
        let label = format!("kill -9 of the recmaster's daemon and guard, lock in etcd, round {round}");
        t.strike(&label, &[leader], BOUND, |t| t.kill_everything(leader));
        t.start(leader);
        t.whole_again(&label);
    }
}

#[test]
fn a_frozen_recmaster_loses_the_lock_in_etcd() {
    // A lock file would stay with it for as long as it is frozen.
    let Some((_etcd, mut t)) = trial_by_etcd("a_frozen_recmaster_loses_the_lock_in_etcd") else { return };
    let (_, leader) = t.roles();
    let label = "the recmaster hangs, lock in etcd";
    t.strike(label, &[leader], BOUND, |t| t.freeze(leader));
    let next = t.c.leader_seen_by((leader + 1) % 3);
    assert_ne!(next, leader, "{}", t.c.describe());
    t.thaw(leader);
    t.whole_again(label);
    assert_eq!(t.c.leader_seen_by(leader), t.c.leader_seen_by((leader + 1) % 3));
}

#[test]
fn an_etcd_that_hangs_takes_nobody_down() {
    let Some((etcd, mut t)) = trial_by_etcd("an_etcd_that_hangs_takes_nobody_down") else { return };
    let (all, label) = (t.c.addresses.clone(), "etcd hangs for longer than its leases last");
    let holders = t.c.holders();
    t.undisturbed(label, &all, Duration::from_secs(5), |_| etcd.freeze().unwrap());
    let began = Instant::now();
    etcd.thaw().unwrap();
    t.whole_again(label);
    // And it works again: the cluster has a recmaster, and moves addresses.
    let leader = t.c.leader_seen_by(0);
    t.c.settle(leader);
    println!("measured: {}: a run {:?} after etcd went on", t.name, began.elapsed());
    assert_eq!(t.c.holders(), holders, "nothing has moved");
    let _ = t.c.ctdb(leader, &["disable"]);
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    t.c.wait_balanced(&others);
    t.nothing_twice(label);
}
