//! The stories of first light, on real interfaces: what an operator would see, letter by letter (issue "First light").

mod commands;
mod crash;
mod filtered;
mod ipv6;
mod link;
mod logs;
mod operator;
mod reload;
mod repair;
mod scripts;
mod shutdown;
mod states;
mod stray;

use std::net::IpAddr;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Mark, Probe, wait_for};

/// A script that notes every event with its arguments, and the variables it was given, below `CTDB_BASE`.
const RECORD: &str = "#!/bin/sh
echo \"$*\" >>\"$CTDB_BASE/record\"
[ \"$1\" = setup ] && env | grep ^CTDB >\"$CTDB_BASE/env\"
exit 0
";

/// The default cluster, with [`RECORD`] as a script of the operator.
fn recorded() -> ClusterConfig {
    ClusterConfig {
        legacy: vec![("50.record.script".to_owned(), RECORD.to_owned())],
        ..ClusterConfig::default()
    }
}

/// What [`RECORD`] has noted on a node.
fn record(c: &Cluster, node: usize) -> Vec<String> {
    let text = std::fs::read_to_string(c.lab.paths(node).base.join("record")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// How often [`RECORD`] has seen this.
fn count(c: &Cluster, node: usize, line: &str) -> usize {
    record(c, node).iter().filter(|l| *l == line).count()
}

/// Waits until [`RECORD`] has noted a line at least `times` times.
fn wait_count(c: &Cluster, node: usize, line: &str, times: usize) {
    wait_for(&format!("{times} x '{line}' on node {node}"), SOON, || {
        if count(c, node, line) >= times { Ok(()) } else { Err(record(c, node).join("; ")) }
    })
    .unwrap();
}

/// An address of the node.
fn one_of(c: &Cluster, node: usize) -> IpAddr {
    c.of(node)[0]
}

/// The client has lost no request to these since the mark.
fn assert_undisturbed(probe: &Probe, mark: &Mark, addresses: impl IntoIterator<Item = IpAddr>) {
    let report = probe.report_since(mark).unwrap();
    for address in addresses {
        let seen = report.get(address).unwrap();
        assert_eq!(seen.lost, 0, "after '{}' {address} was silent: {:?}", mark.label, seen.gaps);
    }
}

/// Waits until these answer again, then prints the longest silence that the client saw since the mark, and bounds it generously.
pub(crate) fn measure(probe: &Probe, mark: &Mark, addresses: &[IpAddr], bound: Duration) -> Duration {
    let answered = |report: &tests::lab::ProbeReport, a: &IpAddr| {
        report.get(*a).is_some_and(|seen| seen.received > 0 && !seen.gaps.iter().any(|g| g.open))
    };
    let report = wait_for("answers from all that moved", SOON, || {
        let report = probe.report_since(mark).map_err(|e| e.to_string())?;
        if addresses.iter().all(|a| answered(&report, a)) { Ok(report) } else { Err(format!("{report:?}")) }
    })
    .unwrap();
    let gaps = addresses.iter().filter_map(|a| report.get(*a)).map(|seen| seen.longest_gap());
    let gap = gaps.max().unwrap_or_default();
    let noise = Duration::from_nanos(report.worst_pace_ns);
    println!(
        "measured: {}: longest silence {:.1} ms (below 3 ms: 0), the last was taken over {} ms after; the prober itself was up to {:.1} ms late",
        mark.label,
        gap.as_secs_f64() * 1e3,
        last_new(&report, mark, addresses).map_or("-".to_owned(), |ns| format!("{:.1}", ns as f64 / 1e6)),
        noise.as_secs_f64() * 1e3,
    );
    assert!(gap < bound, "{}: {gap:?}, which is far more than it should be ({bound:?})", mark.label);
    gap
}

/// How long after the mark the last of these addresses was answered for by another node than before, if any was.
fn last_new(report: &tests::lab::ProbeReport, mark: &Mark, addresses: &[IpAddr]) -> Option<u64> {
    let seen = addresses.iter().filter_map(|a| report.get(*a));
    seen.filter_map(|s| s.transitions.get(1)).map(|t| t.at_ns.saturating_sub(mark.at_ns)).max()
}

/// Long silences are faults, but a busy machine is none.
pub(crate) const BOUND: Duration = Duration::from_secs(5);

/// Kernel notifications of two nodes are stamped when they are read.
const STAMPS: Duration = Duration::from_millis(20);

#[test]
fn a_cluster_comes_up_and_shows_itself() {
    let Some(c) = Cluster::for_test("a_cluster_comes_up_and_shows_itself", &ClusterConfig::default()) else {
        return;
    };
    for node in 0..3 {
        for of in 0..3 {
            c.wait_flags(node, of, "OK");
        }
        let ips = c.ctdb(node, &["ip"]);
        assert!(ips.starts_with(&format!("Public IPs on node {node}\n")), "{ips}");
        for (address, holders) in c.holders() {
            assert!(ips.contains(&format!("{address} {}\n", holders[0])), "{ips}");
        }
    }
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
}
