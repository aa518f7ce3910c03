//! Story a: an address, or a whole interface, loses what it should have, although nothing else failed.

use super::{BOUND, assert_undisturbed, count, measure, one_of, record, recorded, wait_count};
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};

#[test]
fn address_removed_by_hand_is_put_back_at_once() {
    let Some(c) = Cluster::for_test("address_removed_by_hand_is_put_back_at_once", &recorded()) else {
        return;
    };
    let leader = c.leader_seen_by(0);
    c.settle(leader);
    let runs = c.runs(leader);
    let probe = c.probe();
    for node in 0..3 {
        let address = one_of(&c, node);
        let mark = probe.mark("removed by hand, LocalRepair=1");
        c.lab.node(node).del_address(&c.iface, address).unwrap();
        c.lab.node(node).wait_address(address, true, SOON).unwrap();
        probe.wait_answers_from(address, u16::try_from(node).unwrap(), SOON).unwrap();
        measure(&probe, &mark, &[address], BOUND);
        assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| *a != address));
        let removed = c.wait_entry(node, "repair", |t| t.contains(&format!("{address} was removed")));
        assert!(removed.contains("putting it back"), "{removed}");
        c.wait_entry(node, "repair", |t| t == format!("put {address} back on {}", c.iface));
    }
    assert_eq!(c.runs(leader), runs, "no takeover run is needed for a local repair");
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn address_removed_by_hand_comes_back_by_a_run_without_local_repair() {
    let mut config = recorded();
    config.tunables = vec![("LocalRepair".to_owned(), 0)];
    let Some(c) = Cluster::for_test("address_comes_back_by_a_run", &config) else { return };
    let leader = c.leader_seen_by(0);
    c.settle(leader);
    let before = c.holders();
    let released = |node| record(&c, node).iter().filter(|l| l.starts_with("releaseip")).count();
    let released_before = [0, 1, 2].map(released);
    let probe = c.probe();
    for node in [leader, (leader + 1) % 3] {
        let runs = c.runs(leader);
        let address = one_of(&c, node);
        let takeip = format!("takeip {} {address} 24", c.iface);
        let taken = count(&c, node, &takeip);
        let reallocated: Vec<usize> = (0..3).map(|n| count(&c, n, "ipreallocated")).collect();
        let mark = probe.mark("removed by hand, LocalRepair=0 (the recovery loop)");
        c.lab.node(node).del_address(&c.iface, address).unwrap();
        c.lab.node(node).wait_address(address, true, SOON).unwrap();
        measure(&probe, &mark, &[address], BOUND);
        assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| *a != address));
        let missing = format!("Public address {address} is missing and we should serve this ip");
        assert!(c.log(node).contains(&missing), "{}", c.log(node));
        c.wait_entry(leader, "run", |t| t.contains(&missing));
        assert!(c.runs(leader).len() > runs.len());
        wait_count(&c, node, &takeip, taken + 1);
        for (n, times) in reallocated.into_iter().enumerate() {
            wait_count(&c, n, "ipreallocated", times + 1);
        }
    }
    assert_eq!(c.holders(), before);
    assert_eq!([0, 1, 2].map(released), released_before, "nothing else was touched");
}

#[test]
fn interface_flushed_gets_everything_back() {
    for repair in [1, 0] {
        let mut config = recorded();
        config.tunables = vec![("LocalRepair".to_owned(), repair)];
        let Some(c) = Cluster::for_test("interface_flushed_gets_everything_back", &config) else { return };
        let before = c.holders();
        let probe = c.probe();
        for node in 0..3 {
            let lost = c.of(node);
            let mark = probe.mark(&format!("interface flushed, LocalRepair={repair}"));
            c.lab.node(node).flush_addresses(&c.iface).unwrap();
            c.wait("all addresses to be where they were", |holders| *holders == before);
            measure(&probe, &mark, &lost, BOUND);
            assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| !lost.contains(a)));
        }
    }
}

#[test]
fn network_restart_of_a_node_moves_and_rebalances() {
    let Some(c) = Cluster::for_test("network_restart_of_a_node", &recorded()) else { return };
    let probe = c.probe();
    let lost = c.of(1);
    let mark = probe.mark("network restart (flush, down, up)");
    c.lab.node(1).flush_addresses(&c.iface).unwrap();
    c.lab.link_down(1, &c.iface).unwrap();
    c.wait_balanced(&[0, 2]);
    measure(&probe, &mark, &lost, BOUND);
    c.lab.link_up(1, &c.iface).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    assert_undisturbed(&probe, &mark, []);
    probe.wait_all_answer(Duration::from_secs(20)).unwrap();
}

#[test]
fn who_removed_an_address_is_written_down() {
    let name = "who_removed_an_address_is_written_down";
    let Some(c) = Cluster::for_test(name, &ClusterConfig::default()) else { return };
    let (address, node) = (c.addresses[0], c.holder(c.addresses[0]));
    let addr = format!("{address}/24");
    let ip = c.lab.node(node).command("ip").args(["addr", "del", &addr, "dev", &c.iface]).output(SOON);
    let Ok(output) = ip else {
        println!("skipped: {name}: needs ip (iproute2)");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let entry = c.wait_entry(node, "repair", |t| t.contains(&format!("{address} was removed by ")));
    assert!(entry.contains("process "), "{entry}");
    println!("{entry}");
}
