//! The guard: what a killed daemon leaves behind, and what it does not.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::wait_for;

/// Whether a guard lives that watches over this run directory.
fn guarded(run: &Path) -> bool {
    let file = File::options().write(true).open(run.join("guard.lock")).unwrap();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()
}

#[test]
fn the_guard_of_a_killed_daemon_takes_its_addresses_off() {
    let Some(mut c) =
        Cluster::for_test("the_guard_of_a_killed_daemon_takes_its_addresses_off", &ClusterConfig::default())
    else {
        return;
    };
    let run = c.daemon(1).paths().run.clone();
    assert!(guarded(&run));
    let probe = c.probe();
    let mark = probe.mark("kill -9");
    c.daemon(1).kill9().unwrap();
    c.wait_balanced(&[0, 2]);
    wait_for("the guard's end", SOON, || if guarded(&run) { Err("it lives".to_owned()) } else { Ok(()) })
        .unwrap();
    probe.wait_all_answer(SOON).unwrap();
    let report = probe.report_since(&mark).unwrap();
    println!("kill -9 of a daemon: longest gap {:?}", report.longest_gap());
    for addr in &c.addresses {
        let dual = report.get(*addr).unwrap().dual(Duration::from_secs(60));
        assert_eq!(dual, None, "{addr} was answered by two nodes in turns");
    }
    c.start(1).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    let timeline = c.ctdb(1, &["timeline", "100"]);
    assert!(timeline.contains("its guard took 2 public address(es) off"), "{timeline}");
}

#[test]
fn a_clean_stop_ends_the_guard_without_a_word() {
    let Some(mut c) =
        Cluster::for_test("a_clean_stop_ends_the_guard_without_a_word", &ClusterConfig::default())
    else {
        return;
    };
    let run = c.daemon(2).paths().run.clone();
    c.daemon(2).terminate().unwrap();
    assert_eq!(c.daemon(2).wait_exit(SOON).unwrap().code(), Some(0), "{}", c.daemon(2).stderr());
    assert!(!guarded(&run));
    assert!(!run.join("guard.report").exists());
    c.start(2).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    assert!(!c.ctdb(2, &["timeline", "100"]).contains("guard"));
}
