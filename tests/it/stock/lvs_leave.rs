//! `91.lvs`: a leader of the group that leaves in order hands its address over first, while clients ask for it all the time. What answers on
//! port 7007 is the leader itself, since the kernel of a build machine has no IPVS.

use super::lvs::{VIP, answers, config, configure, leads};
use super::{bare, has, on, wait_on};
use crate::story::{BOUND, measure};
use std::net::IpAddr;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Probe, Witness, wait_for};

/// A last event that lasts until the test lets it end, for 20 s at most.
const LINGERS: &str = "#!/bin/sh
[ \"$1\" = shutdown ] || exit 0
touch \"$CTDB_BASE/leaving\"
for _ in $(seq 200); do [ -e \"$CTDB_BASE/go\" ] && exit 0; sleep 0.1; done
";

/// A group that node 0 leads, with a client that asks the address, and one that asks who has it. Node `recmaster` is that.
fn group(test: &str, recmaster: usize, addresses: &[String]) -> Option<(Cluster, Probe, Witness)> {
    if !has(test, "curl", "curl") {
        return None;
    }
    let legacy = vec![("10.lingers.script".to_owned(), LINGERS.to_owned())];
    let mut c = bare(test, &ClusterConfig { addresses: addresses.to_vec(), legacy, ..config() })?;
    configure(&c);
    // The first one gets the cluster lock.
    c.start(recmaster).unwrap();
    c.wait_output(recmaster, &["leader"], |o| o.trim() == recmaster.to_string());
    (0..3).filter(|n| *n != recmaster).for_each(|n| c.start(n).unwrap());
    (0..3).for_each(|n| c.wait_flags(2, n, "OK"));
    leads(&c, 0);
    answers(&c, 0);
    let vip = VIP.parse().unwrap();
    let probe = c.lab.probe(&[IpAddr::V4(vip)]).unwrap();
    probe.wait_answers_from(vip.into(), 0, SOON).unwrap_or_else(|e| panic!("{e}\n{}", c.describe()));
    let witness = c.lab.arp_witness("bond0", vip, Duration::from_millis(2)).unwrap();
    Some((c, probe, witness))
}

/// The witness has heard answers, and never two nodes at once.
fn heard_one_at_a_time(witness: &Witness, what: &str) {
    let report = witness.report().unwrap();
    assert!(report.answers > 0, "{what}: nobody was heard");
    assert!(report.duals.is_empty(), "{what}: two nodes answered for {VIP}: {:?}", report.duals);
}

/// Waits until it has been heard for longer than within what a witness takes an address that comes back for one that never left (60 ms,
/// `tests::lab`): on a quiet machine two moves take less.
fn heard_for_a_while(witness: &Witness, c: &Cluster) {
    let answers = || witness.report().unwrap().answers;
    let before = answers();
    let enough =
        || if answers() > before + 60 { Ok(()) } else { Err(format!("{} answers", answers() - before)) };
    wait_for("60 answers, one in 2 ms", SOON, enough).unwrap_or_else(|e| panic!("{e}\n{}", c.describe()));
}

/// What a node has of the group's address on `lo`.
fn lo(c: &Cluster, node: usize) -> String {
    on(c, node, "ip", &["-4", "-o", "address", "show", "dev", "lo", "to", VIP])
}

/// `ctdb shutdown` and SIGTERM of the leader: another node has the address before the last event of the old one has ended.
fn shuts_down(test: &str, recmaster: usize) {
    let Some((mut c, probe, witness)) = group(test, recmaster, &["10.0.0.31/24".to_owned()]) else { return };
    let vip: IpAddr = VIP.parse().unwrap();
    let mark = probe.mark(&format!("a leader of the group that shuts down; node {recmaster} is recmaster"));
    c.daemon(0).terminate().unwrap();
    let base = c.lab.paths(0).base;
    wait_for("the last event", SOON, || base.join("leaving").exists().then_some(()).ok_or_else(String::new))
        .unwrap_or_else(|e| panic!("{e}\n{}", c.describe()));
    assert!(lo(&c, 1).contains("scope global"), "node 1 does not lead yet: {}", c.describe());
    assert!(lo(&c, 0).contains("scope host"), "the old leader is still heard: {}", lo(&c, 0));
    answers(&c, 1);
    std::fs::write(base.join("go"), "").unwrap();
    c.daemon(0).wait_exit(SOON).unwrap();
    assert_eq!(lo(&c, 0), "", "what it did to its host is undone");
    measure(&probe, &mark, &[vip], BOUND);
    heard_one_at_a_time(&witness, &mark.label);
    let mark = probe.mark("it comes back");
    std::fs::remove_file(base.join("leaving")).unwrap();
    c.start(0).unwrap();
    leads(&c, 0);
    measure(&probe, &mark, &[vip], BOUND);
    heard_one_at_a_time(&witness, &mark.label);
}

#[test]
fn own_91_lvs_a_leader_that_shuts_down_hands_over_first() {
    shuts_down("own_91_lvs_a_leader_that_shuts_down_hands_over_first", 2);
}

#[test]
fn own_91_lvs_a_recmaster_that_shuts_down_hands_the_group_over_first() {
    shuts_down("own_91_lvs_a_recmaster_that_shuts_down_hands_the_group_over_first", 0);
}

/// Without any public address a node has nothing else to hand over.
#[test]
fn own_91_lvs_an_operator_moves_a_group_without_public_addresses() {
    let test = "own_91_lvs_an_operator_moves_a_group_without_public_addresses";
    let Some((mut c, probe, witness)) = group(test, 0, &[]) else { return };
    std::fs::write(c.lab.paths(0).base.join("go"), "").unwrap();
    for (word, back) in [("disable", Some("enable")), ("stop", Some("continue")), ("shutdown", None)] {
        let mark = probe.mark(&format!("ctdb {word} of recmaster and leader, no public addresses"));
        let (code, out, err) = c.try_ctdb(0, &[word]);
        assert_eq!(code, 0, "{word}: {out}{err}");
        wait_on(&c, 1, &["ip", "-4", "-o", "address", "show", "dev", "lo", "to", VIP], |o| {
            o.contains("scope global")
        });
        measure(&probe, &mark, &[VIP.parse().unwrap()], BOUND);
        heard_one_at_a_time(&witness, &mark.label);
        heard_for_a_while(&witness, &c);
        match back {
            Some(back) => drop(c.ctdb(0, &[back])),
            None => {
                c.daemon(0).wait_exit(SOON).unwrap();
                c.start(0).unwrap();
            }
        }
        leads(&c, 0);
        heard_for_a_while(&witness, &c);
    }
}
