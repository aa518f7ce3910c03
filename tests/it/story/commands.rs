//! Commands on several nodes at once, and commands that only look or steer a little: against real daemons.

use super::one_of;
use std::net::IpAddr;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::wait_for;

/// The value of a counter in `ctdb statistics`.
fn counter(c: &Cluster, node: usize, name: &str) -> u64 {
    let out = c.ctdb(node, &["statistics"]);
    let line = out.lines().find(|l| l.trim_start().starts_with(&format!("{name} ")));
    line.and_then(|l| l.split_whitespace().last()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in\n{out}"))
}

#[test]
fn several_nodes_are_asked_and_steered_at_once() {
    let name = "several_nodes_are_asked_and_steered_at_once";
    let Some(mut c) = Cluster::for_test(name, &ClusterConfig::default()) else { return };
    assert_eq!(c.ctdb(1, &["-X", "-n", "2,0-1", "pnn"]), "|2|2|\n|0|0|\n|1|1|\n");
    let pids = c.ctdb(0, &["-n", "all", "getpid"]);
    assert_eq!(pids.matches(">> NODE: ").count(), 3, "{pids}");
    let (code, out, err) = c.try_ctdb(0, &["-n", "1,2", "disable"]);
    assert!(
        code == 0 && err.is_empty() && out.lines().all(|l| l.is_empty() || l.starts_with(">> NODE: ")),
        "{out}{err}"
    );
    c.wait_balanced(&[0]);
    assert_eq!(c.ctdb(2, &["-X", "-n", "ok", "pnn"]), "|0|0|\n");
    let (code, _, err) = c.try_ctdb(0, &["-n", "all", "enable"]);
    assert!(code == 0 && err.contains("): Node 0 is not disabled"), "{code} {err}");
    c.wait_balanced(&[0, 1, 2]);
    let _ = c.ctdb(2, &["shutdown"]);
    c.wait_flags(0, 2, "DISCONNECTED|INACTIVE");
    let (code, out, err) = c.try_ctdb(0, &["-X", "-n", "all", "pnn"]);
    assert_eq!((code, out.as_str()), (1, "|0|0|\n|1|1|\n"), "{err}");
    assert!(err.contains("Node 2 has status DISCONNECTED"), "{err}");
    assert_eq!(c.ctdb(0, &["-X", "-n", "con", "pnn"]), "|0|0|\n|1|1|\n");
    c.start(2).unwrap();
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn daemons_count_what_they_do() {
    let Some(c) = Cluster::for_test("daemons_count_what_they_do", &ClusterConfig::default()) else { return };
    let leader = c.leader_seen_by(0);
    for name in
        ["node_packets_sent", "node_packets_recv", "keepalive_packets_recv", "client_packets_recv", "dumps"]
    {
        assert!(counter(&c, 0, name) > 0, "{name}");
    }
    assert!(counter(&c, leader, "runs") > 0);
    let out = c.ctdb(leader, &["statistics"]);
    for name in ["event_monitor", "event_takeip", "takeover_run"] {
        let line = out
            .lines()
            .find(|l| l.starts_with(&format!(" {name} ")))
            .unwrap_or_else(|| panic!("{name}: {out}"));
        assert!(line.contains(" MIN/AVG/MAX ") && !line.ends_with("out of 0"), "{line}");
    }
    let _ = c.ctdb(leader, &["statisticsreset"]);
    assert_eq!(counter(&c, leader, "runs"), 0);
    let _ = c.ctdb(0, &["ipreallocate"]);
    assert!(counter(&c, leader, "runs") > 0, "counting goes on");
    // The run is in one of the intervals of a second, once they have ended.
    wait_for("the run in the history", SOON, || {
        let out = c.ctdb(leader, &["--json", "stats"]);
        let history: serde_json::Value = serde_json::from_str(&out).map_err(|e| e.to_string())?;
        let runs = history.as_array().into_iter().flatten();
        let runs: u64 = runs.filter_map(|i| i["counters"]["takeover"]["runs"].as_u64()).sum();
        if runs > 0 { Ok(()) } else { Err(out) }
    })
    .unwrap();
    assert_eq!(c.ctdb(leader, &["stats", "1"]).matches("CTDB version 1").count(), 1);
}

#[test]
fn an_interface_that_is_set_down_is_not_used_until_it_is_set_up() {
    let name = "an_interface_that_is_set_down_is_not_used_until_it_is_set_up";
    let Some(c) = Cluster::for_test(name, &ClusterConfig::default()) else { return };
    let out = c.ctdb(1, &["-X", "ifaces"]);
    let iface = out.lines().nth(1).and_then(|l| l.split('|').nth(1)).unwrap().to_owned();
    let _ = c.ctdb(1, &["setifacelink", &iface, "down"]);
    c.wait_output(1, &["ifaces"], |o| o.contains(&format!("name:{iface} link:down")));
    c.wait_balanced(&[0, 2]);
    let _ = c.ctdb(1, &["setifacelink", &iface, "up"]);
    c.wait_balanced(&[0, 1, 2]);
    let (code, _, err) = c.try_ctdb(1, &["setifacelink", "eth77", "up"]);
    assert_eq!((code, err.as_str()), (1, "Interface eth77 not configured on node 1\n"));
    let held: IpAddr = one_of(&c, 1);
    assert_eq!(c.try_ctdb(1, &["gratarp", &held.to_string(), &iface]), (0, String::new(), String::new()));
}

#[test]
fn a_leader_without_the_role_makes_room_for_another() {
    let name = "a_leader_without_the_role_makes_room_for_another";
    let Some(c) = Cluster::for_test(name, &ClusterConfig::default()) else { return };
    let leader = c.leader_seen_by(0);
    let _ = c.ctdb(leader, &["setleaderrole", "off"]);
    assert!(c.ctdb(leader, &["getcapabilities"]).starts_with("LEADER: NO\n"));
    let other = (leader + 1) % 3;
    c.wait_output(other, &["leader"], |o| o.trim().parse().is_ok_and(|l: usize| l != leader));
    c.wait_balanced(&[0, 1, 2]);
    let _ = c.ctdb(leader, &["setrecmasterrole", "on"]);
    assert!(c.ctdb(leader, &["getcapabilities"]).starts_with("LEADER: YES\n"));
}
