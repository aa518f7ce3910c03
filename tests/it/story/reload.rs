//! Changing a cluster that runs: other public addresses, other nodes. Whoever is not concerned does not notice.

use super::{BOUND, STAMPS, assert_undisturbed, measure};
use std::net::IpAddr;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Lab, LabConfig, wait_for};

const SILENT: (i32, String, String) = (0, String::new(), String::new());

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The nodes whose kernels have an address that need not be of the configuration.
fn on(c: &Cluster, address: IpAddr) -> Vec<usize> {
    let mut on: Vec<usize> = Vec::new();
    let mut events: Vec<_> =
        c.lab.address_events().unwrap().into_iter().filter(|e| e.address == address).collect();
    events.sort_by_key(|e| e.at_ns);
    for e in events {
        on.retain(|n| *n != e.host);
        if e.added {
            on.push(e.host);
        }
    }
    on
}

#[test]
fn addip_and_delip_disturb_no_other_address() {
    let Some(c) = Cluster::for_test("addip_and_delip", &ClusterConfig::default()) else { return };
    let probe = c.probe();
    let mark = probe.mark("addip, delip");
    for node in [1, 0] {
        assert_eq!(c.try_ctdb(node, &["addip", "10.0.0.99/24", "bond0"]), SILENT);
        c.wait_output(node, &["ip", "-v"], |out| {
            out.lines().any(|l| l.starts_with("10.0.0.99 node[") && !l.contains("node[-1]"))
        });
        let (code, _, err) = c.try_ctdb(node, &["addip", "10.0.0.99/24", "bond0"]);
        assert!(code == 1 && err.contains("Node already knows about IP 10.0.0.99"), "{code} {err}");
    }
    assert_eq!(on(&c, addr("10.0.0.99")).len(), 1, "{}", c.describe());
    for node in [1, 0] {
        assert_eq!(c.try_ctdb(node, &["delip", "10.0.0.99"]), SILENT);
        assert!(!c.ctdb(node, &["ip"]).contains("10.0.0.99"), "{}", c.ctdb(node, &["ip"]));
        let (code, _, err) = c.try_ctdb(node, &["delip", "10.0.0.99"]);
        assert!(code == 1 && err.contains("Node does not know about IP address 10.0.0.99"), "{code} {err}");
    }
    assert_eq!(on(&c, addr("10.0.0.99")), [] as [usize; 0]);
    assert_undisturbed(&probe, &mark, c.addresses.iter().copied());
    // One that is served goes to a node that still has it.
    let held = c.of(2)[0];
    let mark = probe.mark("delip of a served address");
    assert_eq!(c.try_ctdb(2, &["delip", &held.to_string()]), SILENT);
    assert_ne!(c.holder(held), 2);
    measure(&probe, &mark, &[held], BOUND);
    assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| *a != held));
    let (code, _, err) = c.try_ctdb(0, &["addip", "10.0.0.99", "bond0"]);
    assert!(code == 1 && err.contains("mask"), "{code} {err}");
}

#[test]
fn reloadips_reads_the_file_anew_and_keeps_what_it_had_when_the_file_is_wrong() {
    let Some(c) = Cluster::for_test("reloadips", &ClusterConfig::default()) else { return };
    let probe = c.probe();
    let file = |node: usize| c.lab.paths(node).base.join("public_addresses");
    let before = std::fs::read_to_string(file(0)).unwrap();
    // 36 goes, 41 comes, 35 gets another mask.
    let after = before.replace("10.0.0.36/24", "10.0.0.41/24").replace("10.0.0.35/24", "10.0.0.35/25");
    assert_ne!(before, after);
    let mark = probe.mark("reloadips");
    (0..3).for_each(|n| std::fs::write(file(n), &after).unwrap());
    assert_eq!(c.try_ctdb(0, &["reloadips", "all"]), SILENT);
    c.wait_output(0, &["ip"], |out| {
        !out.contains("10.0.0.36 ") && out.lines().any(|l| l.starts_with("10.0.0.41 ") && !l.ends_with("-1"))
    });
    assert_eq!(on(&c, addr("10.0.0.36")), [] as [usize; 0]);
    assert_eq!(on(&c, addr("10.0.0.41")).len(), 1);
    assert_undisturbed(&probe, &mark, c.addresses[..4].iter().copied());
    let holder = on(&c, addr("10.0.0.35"))[0];
    let shown =
        c.lab.node(holder).command("ip").args(["-o", "addr", "show", "dev", "bond0"]).output(BOUND).unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("10.0.0.35/25"), "{shown}");
    // A file that cannot be right changes nothing and names its line.
    let mark = probe.mark("reloadips of a wrong file");
    std::fs::write(file(1), format!("{after}10.0.0.300/24 bond0\n")).unwrap();
    let (code, _, err) = c.try_ctdb(1, &["reloadips"]);
    let line = after.lines().count() + 1;
    assert!(code == 1 && err.contains(&format!("public_addresses:{line}")), "{code} {err}");
    assert_eq!(c.ctdb(1, &["ip"]).lines().count(), 7, "{}", c.ctdb(1, &["ip"]));
    assert_undisturbed(&probe, &mark, c.addresses[..4].iter().copied());
}

#[test]
fn reloadnodes_adds_a_node_and_deletes_a_dead_one() {
    let test = "reloadnodes_adds_a_node_and_deletes_a_dead_one";
    let config = ClusterConfig { nodes: 4, ..ClusterConfig::default() };
    let lab = LabConfig { nodes: 4, public_ifaces: config.ifaces.clone() };
    let Some(lab) = Lab::for_test(test, &lab) else { return };
    let mut c = Cluster::prepare(lab, &config).unwrap();
    let file = |c: &Cluster, node: usize| c.lab.paths(node).base.join("nodes");
    let four = std::fs::read_to_string(file(&c, 0)).unwrap();
    let lines: Vec<&str> = four.lines().collect();
    assert_eq!(lines.len(), 4, "{four}");
    let three = lines[..3].join("\n") + "\n";
    (0..3).for_each(|n| std::fs::write(file(&c, n), &three).unwrap());
    (0..3).for_each(|n| c.start(n).unwrap());
    c.wait_balanced(&[0, 1, 2]);
    let probe = c.probe();

    let same = "No change in nodes file, skipping unnecessary reload\n";
    assert_eq!(c.try_ctdb(0, &["reloadnodes"]), (0, same.to_owned(), String::new()));
    std::fs::write(file(&c, 0), &four).unwrap();
    let (code, _, err) = c.try_ctdb(0, &["reloadnodes"]);
    assert!(
        code == 1 && err.contains("ERROR: Nodes file on node 1 differs from current node (0)"),
        "{code} {err}"
    );
    assert!(err.contains("ERROR: Nodes will not be reloaded due to previous error"), "{err}");
    (1..3).for_each(|n| std::fs::write(file(&c, n), &four).unwrap());
    let mark = probe.mark("reloadnodes: a fourth node");
    assert_eq!(c.try_ctdb(0, &["reloadnodes"]), (0, "Node 3 is NEW\n".to_owned(), String::new()));
    assert!(c.ctdb(0, &["status"]).starts_with("Number of nodes:4\n"));
    c.start(3).unwrap();
    c.wait("addresses on the fourth node", |holders| holders.values().any(|on| on.contains(&3)));
    c.wait("all addresses on one node each", |holders| holders.values().all(|on| on.len() == 1));
    (0..3).for_each(|n| c.wait_flags(n, 3, "OK"));
    let stayed: Vec<IpAddr> = c.addresses.iter().copied().filter(|a| c.holder(*a) != 3).collect();
    assert_undisturbed(&probe, &mark, stayed);

    // A node that is connected cannot be deleted; a dead one can.
    let victim = (0..3).find(|n| *n != c.leader_seen_by(0)).unwrap();
    let asked = (0..3).find(|n| *n != victim).unwrap();
    let fewer: String = lines
        .iter()
        .enumerate()
        .map(|(n, l)| if n == victim { format!("#{l}\n") } else { format!("{l}\n") })
        .collect();
    (0..4).for_each(|n| std::fs::write(file(&c, n), &fewer).unwrap());
    let (code, _, err) = c.try_ctdb(asked, &["reloadnodes"]);
    assert!(code == 1 && err.contains(&format!("ERROR: Node {victim} is still connected")), "{code} {err}");
    c.daemon(victim).kill9().unwrap();
    let left: Vec<usize> = (0..4).filter(|n| *n != victim).collect();
    c.wait("all addresses on the others", |h| h.values().all(|on| matches!(on[..], [n] if n != victim)));
    // Nothing is under way any more that moves addresses for the dead one's sake.
    c.settle(asked);
    let mark = probe.mark("reloadnodes: a dead node less");
    let answer = c.try_ctdb(asked, &["reloadnodes"]);
    assert_eq!(answer, (0, format!("Node {victim} is DELETED\n"), String::new()));
    let status = c.ctdb(asked, &["status"]);
    assert!(status.starts_with("Number of nodes:4 (including 1 deleted nodes)\n"), "{status}");
    // The cluster works on: it has a recmaster that can move addresses.
    let moved = c.of(left[0]);
    let _ = c.ctdb(left[0], &["disable"]);
    c.wait("no address on the disabled node", |h| h.values().all(|on| on.len() == 1 && on[0] != left[0]));
    assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| !moved.contains(a)));
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
}

#[test]
fn a_nodes_file_changed_while_all_are_down_works_on_the_lock_file_of_before() {
    let test = "a_nodes_file_changed_while_all_are_down";
    let config = ClusterConfig { nodes: 4, ..ClusterConfig::default() };
    let lab = LabConfig { nodes: 4, public_ifaces: config.ifaces.clone() };
    let Some(lab) = Lab::for_test(test, &lab) else { return };
    let mut c = Cluster::prepare(lab, &config).unwrap();
    let file = |c: &Cluster, node: usize| c.lab.paths(node).base.join("nodes");
    let four = std::fs::read_to_string(file(&c, 0)).unwrap();
    let three: String = four.lines().take(3).map(|l| format!("{l}\n")).collect();
    (0..3).for_each(|n| std::fs::write(file(&c, n), &three).unwrap());
    (0..3).for_each(|n| c.start(n).unwrap());
    c.wait_balanced(&[0, 1, 2]);
    let known = |c: &Cluster, node: usize| {
        std::fs::read_to_string(c.lab.paths(node).var.join("nodes.json")).unwrap_or_default()
    };
    wait_for("the nodes list of all", BOUND, || {
        let all: Vec<String> = (0..3).map(|n| known(&c, n)).collect();
        if all.iter().all(|t| t.contains("[0,1,2]")) { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .unwrap();
    (0..3).for_each(|n| c.daemon(n).terminate().unwrap());
    // One that finds nobody to take its addresses over waits for the shutdown failover timeout, 10 s.
    for node in 0..3 {
        let _ = c.daemon(node).wait_exit(SOON).unwrap();
    }
    // A node more, and one less that never comes back.
    let changed: String = four
        .lines()
        .enumerate()
        .map(|(n, l)| if n == 1 { format!("#{l}\n") } else { format!("{l}\n") })
        .collect();
    (0..4).for_each(|n| std::fs::write(file(&c, n), &changed).unwrap());
    for node in [0, 2, 3] {
        c.start(node).unwrap();
    }
    c.wait_balanced(&[0, 2, 3]);
    assert!(c.log(0).contains("the nodes file is not the one of this daemon's last life"), "{}", c.log(0));
    wait_for("the new list of all", BOUND, || {
        let all: Vec<String> = [0, 2, 3].iter().map(|n| known(&c, *n)).collect();
        if all.iter().all(|t| t.contains("[0,2,3]")) { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .unwrap();
}
