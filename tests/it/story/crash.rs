//! Story c: a daemon dies without a word, and comes back. Its kernel keeps the addresses meanwhile; the others serve them.

use super::{BOUND, measure};
use tests::cluster::{Cluster, ClusterConfig};

/// `kill -9` of one node's daemon, then a new start.
fn dies_and_comes_back(c: &mut Cluster, node: usize, label: &str) {
    let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
    let probe = c.probe();
    let lost = c.of(node);
    assert_eq!(lost.len(), 2);
    let mark = probe.mark(label);
    c.daemon(node).kill9().unwrap();
    c.wait("the dead node's addresses on the others", |holders| {
        holders.values().all(|on| on.iter().filter(|n| others.contains(n)).count() == 1)
    });
    for address in &lost {
        // The client follows the announcement although the dead node's kernel still has the address.
        let taker = c.holders()[address].iter().copied().find(|n| *n != node).unwrap();
        probe.wait_answers_from(*address, u16::try_from(taker).unwrap(), BOUND).unwrap();
    }
    measure(&probe, &mark, &lost, BOUND);
    for other in &others {
        c.wait_flags(*other, node, "DISCONNECTED|INACTIVE");
    }
    let leader = c.leader_seen_by(others[0]);
    assert_ne!(leader, node);
    c.wait_entry(leader, "run", |t| t.contains(&format!("node {node} disconnected")) || t.contains("begins"));
    let mark = probe.mark(&format!("{label}: the node comes back"));
    c.start(node).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    measure(&probe, &mark, &c.addresses, BOUND);
    for n in 0..3 {
        c.wait_flags(n, node, "OK");
    }
}

#[test]
fn follower_killed_is_replaced_and_comes_back() {
    let Some(mut c) = Cluster::for_test("follower_killed_is_replaced", &ClusterConfig::default()) else {
        return;
    };
    let follower = (c.leader_seen_by(0) + 1) % 3;
    dies_and_comes_back(&mut c, follower, "kill -9 of a follower");
}

#[test]
fn recmaster_killed_is_replaced_and_comes_back() {
    let Some(mut c) = Cluster::for_test("recmaster_killed_is_replaced", &ClusterConfig::default()) else {
        return;
    };
    let leader = c.leader_seen_by(0);
    dies_and_comes_back(&mut c, leader, "kill -9 of the recmaster");
    // And the next one.
    let next = c.leader_seen_by(leader);
    assert_ne!(next, leader);
    dies_and_comes_back(&mut c, next, "kill -9 of the second recmaster");
}
