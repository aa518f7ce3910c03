//! Story d: the public interface of a node loses its link, by the cable or by an administrator.

use super::{BOUND, STAMPS, measure};
use tests::cluster::{Cluster, ClusterConfig};

#[test]
fn cable_pulled_moves_addresses_and_plugged_in_balances_them() {
    let Some(c) = Cluster::for_test("cable_pulled_moves_addresses", &ClusterConfig::default()) else {
        return;
    };
    let probe = c.probe();
    let leader = c.leader_seen_by(0);
    for node in [leader, (leader + 1) % 3] {
        let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
        let lost = c.of(node);
        let mark = probe.mark("cable pulled");
        c.lab.cut_cable(node, &c.iface).unwrap();
        c.wait_balanced(&others);
        measure(&probe, &mark, &lost, BOUND);
        for n in 0..3 {
            c.wait_flags(n, node, "UNHEALTHY");
        }
        c.wait_entry(node, "link", |t| t.contains("has lost its link"));
        let mark = probe.mark("cable plugged in");
        c.lab.plug_cable(node, &c.iface).unwrap();
        c.wait_balanced(&[0, 1, 2]);
        measure(&probe, &mark, &c.addresses, BOUND);
        c.wait_flags(leader, node, "OK");
    }
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
}

#[test]
fn interface_set_down_by_an_administrator_stays_down() {
    let Some(c) = Cluster::for_test("interface_set_down_stays_down", &ClusterConfig::default()) else {
        return;
    };
    let probe = c.probe();
    let lost = c.of(2);
    let mark = probe.mark("interface set down");
    c.lab.link_down(2, &c.iface).unwrap();
    c.wait_balanced(&[0, 1]);
    measure(&probe, &mark, &lost, BOUND);
    c.wait_flags(0, 2, "UNHEALTHY");
    // Neither a run nor a monitor sets it up again.
    c.settle(0);
    let (code, _, _) = c.try_ctdb(2, &["event", "run", "10", "legacy", "monitor"]);
    assert_eq!(code, 1, "the interface is down");
    assert!(!c.lab.node(2).link_state(&c.iface).unwrap().up, "an administrator's down is respected");
    assert!(c.of(2).is_empty());
    c.lab.link_up(2, &c.iface).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
}

#[test]
fn second_interface_carries_on_when_the_first_has_no_link() {
    let config = ClusterConfig {
        ifaces: vec!["bond0".to_owned(), "bond1".to_owned()],
        script_options: "CTDB_PARTIALLY_ONLINE_INTERFACES=yes\n".to_owned(),
        ..ClusterConfig::default()
    };
    let Some(c) = Cluster::for_test("second_interface_carries_on", &config) else { return };
    let before = c.holders();
    c.lab.cut_cable(1, "bond0").unwrap();
    c.wait_output(1, &["ifaces"], |out| out.contains("name:bond0 link:down references:0"));
    let mine = c.of(1);
    let on_second = c.lab.node(1).addresses("bond1").unwrap();
    assert!(mine.iter().all(|a| on_second.iter().any(|(b, _)| b == a)), "{mine:?} {on_second:?}");
    assert_eq!(c.holders(), before, "nothing leaves the node");
    c.wait_flags(0, 1, "PARTIALLYONLINE");
    c.lab.plug_cable(1, "bond0").unwrap();
    c.wait_output(1, &["ifaces"], |out| out.contains("name:bond0 link:up"));
    c.settle(1);
    c.wait_balanced(&[0, 1, 2]);
}
