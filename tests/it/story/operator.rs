//! Story e: an operator's commands move addresses as asked, say the right thing, and never put an address on two nodes.

use super::{BOUND, STAMPS, assert_undisturbed, measure, one_of};
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig};

fn unanimous(c: &Cluster, of: usize, flags: &str) {
    (0..3).for_each(|at| c.wait_flags(at, of, flags));
}

fn no_two_holders(c: &Cluster, probe: &tests::lab::Probe) {
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
    for (address, seen) in &probe.report_all().unwrap().addresses {
        assert_eq!(seen.dual(Duration::from_millis(10)), None, "{address}: {:?}", seen.nodes());
    }
}

#[test]
fn disable_and_enable() {
    let Some(c) = Cluster::for_test("disable_and_enable", &ClusterConfig::default()) else { return };
    let probe = c.probe();
    let leader = c.leader_seen_by(0);
    // On the node itself, and from another one.
    for (at, node) in [(1, 1), (0, 2), (leader, leader)] {
        let pnn = node.to_string();
        let args = |word| if at == node { vec![word] } else { vec!["-n", &pnn, word] };
        let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
        let moved = c.of(node);
        assert_eq!(moved.len(), 2);
        let mark = probe.mark("disable (2 addresses)");
        assert_eq!(c.try_ctdb(at, &args("disable")), (0, String::new(), String::new()));
        assert!(c.of(node).is_empty(), "the command returns when it is done");
        measure(&probe, &mark, &moved, BOUND);
        assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| !moved.contains(a)));
        c.wait_balanced(&others);
        unanimous(&c, node, "DISABLED");
        let (code, out, err) = c.try_ctdb(at, &args("disable"));
        assert_eq!((code, out.as_str()), (0, ""), "{err}");
        assert!(err.contains(&format!("Node {node} is already disabled")), "{err}");
        assert_eq!(c.try_ctdb(at, &args("enable")), (0, String::new(), String::new()));
        c.wait_balanced(&[0, 1, 2]);
        unanimous(&c, node, "OK");
        let (code, _, err) = c.try_ctdb(at, &args("enable"));
        assert!(code == 0 && err.contains(&format!("Node {node} is not disabled")), "{code} {err}");
        c.wait_entry(node, "operator", |t| t.contains("disable"));
    }
    let (code, _, err) = c.try_ctdb(0, &["-n", "7", "disable"]);
    assert!(code == 1 && err.contains("Node 7 does not exist"), "{code} {err}");
    no_two_holders(&c, &probe);
}

#[test]
fn stop_and_continue() {
    let Some(c) = Cluster::for_test("stop_and_continue", &ClusterConfig::default()) else { return };
    let probe = c.probe();
    let first = c.leader_seen_by(0);
    // A follower, then the recmaster, which somebody else must become.
    for node in [(first + 1) % 3, first] {
        let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
        let moved = c.of(node);
        let mark = probe.mark(if node == first { "stop of the recmaster" } else { "stop of a follower" });
        assert_eq!(c.try_ctdb(node, &["stop"]), (0, String::new(), String::new()));
        c.wait_balanced(&others);
        measure(&probe, &mark, &moved, BOUND);
        unanimous(&c, node, "STOPPED|INACTIVE");
        assert_ne!(c.leader_seen_by(others[0]), node, "a stopped node does not lead");
        let (code, _, err) = c.try_ctdb(node, &["stop"]);
        assert!(code == 0 && err.contains(&format!("Node {node} is already stopped")), "{code} {err}");
        assert_eq!(c.try_ctdb(node, &["continue"]), (0, String::new(), String::new()));
        c.wait_balanced(&[0, 1, 2]);
        unanimous(&c, node, "OK");
    }
    no_two_holders(&c, &probe);
}

#[test]
fn moveip_goes_where_it_was_told() {
    let Some(c) = Cluster::for_test("moveip_goes_where_it_was_told", &ClusterConfig::default()) else {
        return;
    };
    let probe = c.probe();
    for (asked, from, to) in [(0, 0, 1), (2, 1, 0), (1, 2, 0)] {
        let address = *c.of(from).last().unwrap();
        let text = address.to_string();
        let mark = probe.mark("moveip");
        let answer = c.try_ctdb(asked, &["moveip", &text, &to.to_string()]);
        assert_eq!(answer, (0, String::new(), String::new()));
        assert_eq!(c.holder(address), to, "the command returns when it is done");
        measure(&probe, &mark, &[address], BOUND);
        assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| *a != address));
    }
    for (address, to, says) in [
        ("10.0.0.31", "7", "Node 7 does not exist"),
        ("10.0.0.99", "1", "10.0.0.99"),
        ("nonsense", "1", "nonsense"),
    ] {
        let (code, out, err) = c.try_ctdb(0, &["moveip", address, to]);
        assert!(code == 1 && out.is_empty() && err.contains(says), "{address} {to}: {code} {out}{err}");
    }
    no_two_holders(&c, &probe);
}

#[test]
fn moveip_to_a_node_that_cannot_is_refused() {
    let Some(c) = Cluster::for_test("moveip_to_a_node_that_cannot", &ClusterConfig::default()) else {
        return;
    };
    let _ = c.ctdb(2, &["disable"]);
    let address = one_of(&c, 0);
    let (code, out, err) = c.try_ctdb(0, &["moveip", &address.to_string(), "2"]);
    assert!(code == 1 && err.contains(&address.to_string()), "{code} {out}{err}");
    assert_eq!(c.holder(address), 0);
}

#[test]
fn ban_and_unban() {
    let Some(c) = Cluster::for_test("ban_and_unban", &ClusterConfig::default()) else { return };
    let probe = c.probe();
    let leader = c.leader_seen_by(0);
    for (at, node) in [(1, 1), (1, 0), (leader, leader)] {
        let pnn = node.to_string();
        let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
        assert_eq!(c.try_ctdb(at, &["-n", &pnn, "ban", "300"]), (0, String::new(), String::new()));
        c.wait_balanced(&others);
        unanimous(&c, node, "BANNED|INACTIVE");
        assert_eq!(c.try_ctdb(at, &["-n", &pnn, "unban"]), (0, String::new(), String::new()));
        c.wait_balanced(&[0, 1, 2]);
        unanimous(&c, node, "OK");
    }
    let (code, _, err) = c.try_ctdb(0, &["ban", "0"]);
    // EINVAL, as of CTDB 4.17.
    assert!(code == 22 && err.contains("Ban time cannot be zero"), "{code} {err}");
    // A ban ends by itself.
    let _ = c.ctdb(2, &["ban", "1"]);
    c.wait_entry(2, "state", |t| t.contains("the ban has run out"));
    c.wait_balanced(&[0, 1, 2]);
    no_two_holders(&c, &probe);
}
