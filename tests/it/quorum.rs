//! Lock `quorum`, which is also what three nodes do when nothing is configured: the majority goes on, also without the recmaster.

use std::time::{Duration, Instant};
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Lab, LabConfig};

/// A cluster whose `ctdb.conf` names no lock.
fn without_lock(test: &str) -> Option<Cluster> {
    let config = ClusterConfig::default();
    let lab = Lab::for_test(test, &LabConfig { nodes: 3, public_ifaces: config.ifaces.clone() })?;
    let mut cluster = Cluster::prepare(lab, &config).unwrap();
    for node in 0..3 {
        let conf = cluster.lab.paths(node).base.join("ctdb.conf");
        let text = std::fs::read_to_string(&conf).unwrap();
        let text: String =
            text.lines().filter(|l| !l.contains("cluster lock")).map(|l| format!("{l}\n")).collect();
        std::fs::write(&conf, text).unwrap();
        cluster.start(node).unwrap();
    }
    cluster.wait_balanced(&[0, 1, 2]);
    Some(cluster)
}

#[test]
fn three_nodes_without_a_lock_vote() {
    let Some(c) = without_lock("three_nodes_without_a_lock_vote") else { return };
    let leader: usize = c.ctdb(0, &["leader"]).trim().parse().unwrap();
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    let probe = c.probe();
    let mark = probe.mark("the recmaster is cut off");
    let began = Instant::now();
    c.lab.cut_private(leader).unwrap();
    c.wait_balanced(&others);
    println!("quorum: recmaster cut off, others hold all after {:?}", began.elapsed());
    let lease = c.ctdb(leader, &["lease"]);
    assert!(lease.contains("Gate: shut"), "{lease}");
    let why = c.wait_entry(leader, "lease", |text| text.contains("was not extended in time"));
    assert!(others.iter().all(|n| why.contains(&format!("no word from node {n} for "))), "{why}");
    let report = probe.report_since(&mark).unwrap();
    for addr in &c.addresses {
        assert_eq!(
            report.get(*addr).unwrap().dual(Duration::from_secs(60)),
            None,
            "{addr} was answered by two nodes in turns"
        );
    }
    c.lab.heal_private(leader).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    probe.wait_all_answer(SOON).unwrap();
}
