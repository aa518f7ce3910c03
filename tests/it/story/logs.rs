//! Whoever rotates logs sends SIGHUP, as to CTDB: the log goes on under its name, and nothing else changes.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{read_to_string, rename};
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Lab, LabConfig, children, wait_for};

#[test]
fn sighup_opens_the_log_again_and_changes_nothing_else() {
    let config = ClusterConfig { nodes: 1, ..ClusterConfig::default() };
    let lab_config = LabConfig { nodes: 1, public_ifaces: config.ifaces.clone() };
    let name = "sighup_opens_the_log_again_and_changes_nothing_else";
    let Some(lab) = Lab::for_test(name, &lab_config) else { return };
    let c = Cluster::prepare(lab, &config).unwrap();
    let log = c.lab.paths(0).log;
    let rotated = log.with_extension("1");
    let place = format!("file:{}", log.display());
    let daemon = c.lab.start_daemon_with(0, &["--logging", &place], &[]).unwrap();
    wait_for("all addresses on the node", SOON, || {
        let held = c.holders().values().filter(|nodes| !nodes.is_empty()).count();
        let ended = daemon.try_wait().map_err(|e| e.to_string())?;
        if held == c.addresses.len() { Ok(()) } else { Err(format!("{held}, ended: {ended:?}")) }
    })
    .unwrap();
    let before = c.lab.address_events().unwrap().len();
    rename(&log, &rotated).unwrap();
    // Its processes have one name: the guard hears it too, when somebody signals all of that name.
    for pid in std::iter::once(daemon.pid()).chain(guard_of(daemon.pid())) {
        kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    }
    let says = c.wait_entry(0, "operator", |t| t.starts_with("SIGHUP"));
    assert_eq!(says, format!("SIGHUP: the log {} is open again", log.display()));
    assert!(read_to_string(&log).unwrap().contains(&says));
    assert!(!read_to_string(&rotated).unwrap().contains("SIGHUP"));
    let _ = c.ctdb(0, &["ipreallocate"]);
    assert_eq!(daemon.try_wait().unwrap(), None, "{}", daemon.stderr());
    assert_eq!(guard_of(daemon.pid()).len(), 1, "the guard lives");
    assert_eq!(c.lab.address_events().unwrap().len(), before, "no address moved");
}

/// The processes that a daemon has started and that bear its name.
fn guard_of(daemon: i32) -> Vec<i32> {
    let name = |p: i32| read_to_string(format!("/proc/{p}/comm")).unwrap_or_default();
    children(daemon).into_iter().filter(|p| name(*p).trim() == "ctdbd").collect()
}
