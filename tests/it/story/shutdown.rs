//! Story h: a daemon that is stopped hands over first and ends second, and leaves nothing behind.

use super::{BOUND, STAMPS, assert_undisturbed, count, measure, recorded};
use tests::cluster::{Cluster, ClusterConfig, SOON};

/// Ends the daemon of `node` by `end` and starts it again.
fn stops_and_starts(c: &mut Cluster, node: usize, label: &str, end: impl Fn(&Cluster)) {
    let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
    let probe = c.probe();
    let moved = c.of(node);
    assert_eq!(moved.len(), 2);
    let mark = probe.mark(label);
    end(c);
    let status = c.daemon(node).wait_exit(SOON).unwrap();
    assert_eq!(status.code(), Some(0), "{}", c.daemon(node).stderr());
    // When the process is gone, everything is handed over already.
    let held: Vec<usize> = c.holders().values().map(Vec::len).collect();
    assert_eq!(held, [1; 6], "{:?}", c.holders());
    assert!(c.of(node).is_empty());
    measure(&probe, &mark, &moved, BOUND);
    assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| !moved.contains(a)));
    let paths = c.lab.paths(node);
    let left: Vec<_> = std::fs::read_dir(&paths.run).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!left.iter().any(|f| f == "ctdbd.socket" || f == "ctdbd.pid"), "left behind: {left:?}");
    assert_eq!(count(c, node, "shutdown"), 1, "the last event");
    c.wait_balanced(&others);
    for other in &others {
        c.wait_flags(*other, node, "DISCONNECTED|INACTIVE");
    }
    let mark = probe.mark(&format!("{label}: started again"));
    c.start(node).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    measure(&probe, &mark, &c.addresses, BOUND);
    (0..3).for_each(|at| c.wait_flags(at, node, "OK"));
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
}

#[test]
fn shutdown_command_hands_over_first() {
    let Some(mut c) = Cluster::for_test("shutdown_command_hands_over_first", &recorded()) else { return };
    let leader = c.leader_seen_by(0);
    let follower = (leader + 1) % 3;
    stops_and_starts(&mut c, follower, "ctdb shutdown of a follower", |c| {
        assert_eq!(c.try_ctdb(follower, &["shutdown"]), (0, String::new(), String::new()));
    });
    stops_and_starts(&mut c, leader, "ctdb shutdown of the recmaster", |c| {
        assert_eq!(c.try_ctdb(leader, &["shutdown"]), (0, String::new(), String::new()));
    });
}

#[test]
fn sigterm_hands_over_first() {
    let Some(mut c) = Cluster::for_test("sigterm_hands_over_first", &recorded()) else { return };
    let leader = c.leader_seen_by(0);
    let follower = (leader + 1) % 3;
    stops_and_starts(&mut c, follower, "SIGTERM to a follower", |c| c.daemon(follower).terminate().unwrap());
    stops_and_starts(&mut c, leader, "SIGTERM to the recmaster", |c| c.daemon(leader).terminate().unwrap());
}

/// A node that starts says whether it may lead before and after it knows; the cluster lock must follow, in whatever order news of it come.
#[test]
fn a_lone_node_serves_after_every_start() {
    let config = ClusterConfig { nodes: 1, ..ClusterConfig::default() };
    let Some(mut c) = Cluster::for_test("a_lone_node_serves_after_every_start", &config) else { return };
    for _ in 0..12 {
        c.daemon(0).terminate().unwrap();
        assert_eq!(c.daemon(0).wait_exit(SOON).unwrap().code(), Some(0), "{}", c.daemon(0).stderr());
        c.start(0).unwrap();
        c.wait_balanced(&[0]);
    }
}
