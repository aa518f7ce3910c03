//! States as operators and scripts bring them about (reference/ctdb.md 1.7, conformance B.3): how a node starts, what a hanging monitor
//! costs, who is banned, and what is dropped when nobody leads.

use std::fs;
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Lab, LabConfig};

/// A script of the operator: `monitor` hangs while there is a file `hang`, `takeip` fails while there is one `broken`.
const MOODY: &str = "#!/bin/sh
case $1 in
monitor) [ -e \"$CTDB_BASE/hang\" ] && exec sleep 600 ;;
takeip) [ -e \"$CTDB_BASE/broken\" ] && { echo 'no address today'; exit 1; } ;;
esac
exit 0
";

fn moody(tunables: &[(&str, u32)]) -> ClusterConfig {
    ClusterConfig {
        legacy: vec![("60.moody.script".to_owned(), MOODY.to_owned())],
        tunables: tunables.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
        ..ClusterConfig::default()
    }
}

fn touch(c: &Cluster, node: usize, file: &str) {
    fs::write(c.lab.paths(node).base.join(file), "").unwrap();
}

fn remove(c: &Cluster, node: usize, file: &str) {
    fs::remove_file(c.lab.paths(node).base.join(file)).unwrap();
}

/// A cluster whose daemons are not started, with more lines in the `ctdb.conf` of some nodes.
fn with_conf(name: &str, config: &ClusterConfig, more: &[(usize, &str)]) -> Option<Cluster> {
    let lab = Lab::for_test(name, &LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() })?;
    let c = Cluster::prepare(lab, config).unwrap();
    for (node, lines) in more {
        let file = c.lab.paths(*node).base.join("ctdb.conf");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}{lines}")).unwrap();
    }
    Some(c)
}

/// Waits until node `at` shows node `of` with this flag, whatever else it has.
fn wait_flag(c: &Cluster, at: usize, of: usize, flag: &str) {
    c.wait_output(at, &["status"], |out| {
        out.lines().any(|l| l.starts_with(&format!("pnn:{of} ")) && l.contains(flag))
    });
}

#[test]
fn nodes_start_as_disabled_and_as_stopped_when_ctdb_conf_says_so() {
    let name = "nodes_start_as_disabled_and_as_stopped_when_ctdb_conf_says_so";
    let more =
        [(1, "[legacy]\n\tstart as disabled = true\n"), (2, "[legacy]\n\tctdb start as stopped = true\n")];
    let Some(mut c) = with_conf(name, &ClusterConfig::default(), &more) else { return };
    (0..3).for_each(|n| c.start(n).unwrap());
    c.wait_balanced(&[0]);
    c.wait_flags(0, 1, "DISABLED");
    wait_flag(&c, 0, 2, "STOPPED|INACTIVE");
    let _ = c.ctdb(1, &["enable"]);
    c.wait_balanced(&[0, 1]);
    let _ = c.ctdb(2, &["continue"]);
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn a_monitor_that_hangs_makes_unhealthy_after_monitor_timeout_count() {
    let name = "a_monitor_that_hangs_makes_unhealthy_after_monitor_timeout_count";
    let Some(c) = Cluster::for_test(name, &moody(&[("MonitorInterval", 1), ("MonitorTimeoutCount", 2)]))
    else {
        return;
    };
    touch(&c, 1, "hang");
    let _ = c.ctdb(1, &["setvar", "EventScriptTimeout", "3"]);
    c.wait_flags(0, 1, "UNHEALTHY");
    let said: Vec<String> = c.entries(1, "event").into_iter().filter(|t| t.contains("in a row")).collect();
    assert!(said.len() >= 2, "one time-out is not enough: {said:?}");
    assert!(said[0].contains("60.moody timed out, 1 in a row"), "{said:?}");
    c.wait_balanced(&[0, 2]);
    let out = c.try_ctdb(1, &["event", "status", "legacy", "monitor"]).1;
    assert!(out.lines().any(|l| l.starts_with("60.moody") && l.contains("TIMEDOUT")), "{out}");
    remove(&c, 1, "hang");
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn a_node_that_fails_to_take_addresses_twice_is_banned() {
    let name = "a_node_that_fails_to_take_addresses_twice_is_banned";
    // Before 10.interface: an address that is on its interface is taken, whatever a later script says.
    let config =
        ClusterConfig { legacy: vec![("05.moody.script".to_owned(), MOODY.to_owned())], ..moody(&[]) };
    let Some(c) = Cluster::for_test(name, &config) else { return };
    let leader = c.leader_seen_by(0);
    let (node, other) = ((leader + 1) % 3, (leader + 2) % 3);
    touch(&c, node, "broken");
    // Its addresses must go somewhere: to the node that cannot take any, too. The command may or may not wait for all of it.
    let _ = c.try_ctdb(other, &["-T", "20", "disable"]);
    c.wait_flags(leader, node, "BANNED|INACTIVE");
    c.wait_balanced(&[leader]);
    let why = c.entries(node, "state");
    assert!(why.iter().any(|t| t.contains("BANNED")), "{why:?}");
    let out = c.ctdb(leader, &["timeline", "1000"]);
    assert!(out.contains("05.moody"), "the recmaster knows the script that failed: {out}");
    remove(&c, node, "broken");
    let _ = c.ctdb(node, &["unban"]);
    let _ = c.ctdb(other, &["enable"]);
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn without_a_recmaster_for_too_long_everything_is_dropped() {
    let name = "without_a_recmaster_for_too_long_everything_is_dropped";
    // With leases a node without a recmaster lapses by itself.
    let config = moody(&[("LeaseTime", 0), ("RecoveryDropAllIPs", 3)]);
    let follows = "[cluster]\n\tleader capability = false\n";
    let Some(mut c) = with_conf(name, &config, &[(1, follows), (2, follows)]) else { return };
    (0..3).for_each(|n| c.start(n).unwrap());
    c.wait_balanced(&[0, 1, 2]);
    c.daemon(0).kill9().unwrap();
    c.wait("no addresses anywhere", |holders| holders.values().all(Vec::is_empty));
    assert!(c.log(1).contains("no recmaster for RecoveryDropAllIPs seconds"), "{}", c.log(1));
    c.start(0).unwrap();
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn a_moved_address_stays_until_its_node_cannot_host_it() {
    let name = "a_moved_address_stays_until_its_node_cannot_host_it";
    let Some(c) = Cluster::for_test(name, &ClusterConfig::default()) else { return };
    let address = c.addresses[0];
    let from = c.holder(address);
    let to = (from + 1) % 3;
    let _ = c.ctdb(from, &["moveip", &address.to_string(), &to.to_string()]);
    for node in 0..3 {
        let _ = c.ctdb(node, &["ipreallocate"]);
        assert_eq!(c.holder(address), to);
    }
    let _ = c.ctdb(to, &["disable"]);
    c.wait("it is elsewhere", |h| h[&address].len() == 1 && h[&address] != [to]);
}
