//! The cluster lock in a cluster of real daemons: whatever becomes of it, another recmaster follows and the addresses stay.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Lab, LabConfig, Mark, NodeConfig, Probe, wait_for};

/// For a helper that is slow to let go of the lock of a dead daemon.
const LONG: Duration = Duration::from_secs(40);

/// A mutex helper in shell: an `flock` on `$1`, and a watch on its parent. Where it is says `$1.pid`.
const HELPER: &str = r#"#!/bin/sh
exec 9>>"$1"
flock -n 9 || { printf 1; exit 0; }
echo $$ >"$1.pid"
printf 0
while kill -0 "$PPID"; do sleep 0.2 9>&-; done
"#;

/// Three daemons with this text as `cluster lock`, with all addresses served. `LOCK` in it is a file in the lab's directory.
fn cluster(test: &str, lock: impl FnOnce(&Path) -> String) -> Option<Cluster> {
    let config = ClusterConfig::default();
    let lab_config = LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() };
    let lab = Lab::for_test(test, &lab_config)?;
    let mut c = Cluster::prepare(lab, &config).unwrap();
    let lock = lock(c.lab.dir());
    for node in 0..config.nodes {
        let node_config = NodeConfig {
            public_addresses: config.addresses.iter().map(|a| format!("{a} {}", c.iface)).collect(),
            reclock: Some(PathBuf::from(&lock)),
            extra_conf: "[cluster]\n\tcluster lock loss time = 2\n".to_owned(),
            ..NodeConfig::default()
        };
        c.lab.write_node_config(node, &node_config).unwrap();
        c.start(node).unwrap();
    }
    c.wait_balanced(&[0, 1, 2]);
    assert_eq!(c.ctdb(0, &["getreclock"]).trim(), lock);
    Some(c)
}

/// The shell helper's file, its lock and the text for `ctdb.conf`.
fn shell_helper(dir: &Path) -> String {
    let helper = dir.join("helper");
    fs::write(&helper, HELPER).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    format!("!{} {}", helper.display(), dir.join("hlock").display())
}

/// The epoch's number as a node sees it.
fn generation(c: &Cluster, node: usize) -> u64 {
    let status = c.ctdb(node, &["status"]);
    let line = status.lines().find_map(|l| l.strip_prefix("Generation:"));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// Waits until `nodes` agree on a recmaster of an epoch above `old`, and its recovery is over.
fn wait_new_leader(c: &Cluster, nodes: &[usize], old: u64) -> usize {
    let waited = wait_for(&format!("a recmaster above epoch {old}"), LONG, || {
        let seen: Vec<_> = nodes
            .iter()
            .map(|n| (generation(c, *n), c.try_ctdb(*n, &["leader"]).1.trim().parse::<usize>().ok()))
            .collect();
        match seen[0] {
            (epoch, Some(leader)) if epoch > old && seen.iter().all(|s| *s == seen[0]) => Ok(leader),
            _ => Err(format!("{seen:?}")),
        }
    });
    waited.unwrap_or_else(|e| panic!("{e}\n{}\n{}", c.describe(), c.lab.log_tails(30)))
}

/// No address has left its node since the mark, or come to another, and all are answered by whom they were before.
fn assert_stayed(c: &Cluster, probe: &Probe, mark: &Mark) {
    let moved: Vec<_> =
        c.lab.address_events().unwrap().into_iter().filter(|e| e.at_ns > mark.at_ns).collect();
    assert!(moved.is_empty(), "{moved:?}");
    let report = probe.report_since(mark).unwrap();
    for address in &c.addresses {
        let seen = report.get(*address).unwrap();
        let holder = u16::try_from(c.holder(*address)).unwrap();
        assert_eq!(seen.nodes(), [holder], "{address}: {seen:?}");
        assert!(seen.longest_gap() < SOON / 10, "{address}: {seen:?}");
    }
}

#[test]
fn a_killed_helper_makes_another_recmaster_and_nothing_else() {
    let Some(c) = cluster("a_killed_helper_makes_another_recmaster", shell_helper) else { return };
    let (leader, epoch) = (c.leader_seen_by(0), generation(&c, 0));
    let probe = c.probe();
    let mark = probe.mark("helper killed");
    let pid = fs::read_to_string(c.lab.dir().join("hlock.pid")).unwrap();
    let start = Instant::now();
    let killed = c.lab.node(leader).command("kill").args(["-9", pid.trim()]).output(SOON).unwrap();
    assert!(killed.status.success(), "{killed:?}");
    let next = wait_new_leader(&c, &[0, 1, 2], epoch);
    println!(
        "measured: next recmaster {:?} after kill -9 of a helper, with a loss time of 2 s",
        start.elapsed()
    );
    assert_ne!(next, leader, "{}", c.lab.log_tails(30));
    assert_stayed(&c, &probe, &mark);
    // And it works: the cluster has a recmaster that can move addresses.
    c.settle(next);
    let _ = c.ctdb(next, &["disable"]);
    let others: Vec<usize> = (0..3).filter(|n| *n != next).collect();
    c.wait_balanced(&others);
}

#[test]
fn ctdbs_own_helper_lets_go_when_its_daemon_dies() {
    let test = "ctdbs_own_helper_lets_go_when_its_daemon_dies";
    let helper = Path::new("/usr/libexec/ctdb/ctdb_mutex_fcntl_helper");
    if !helper.exists() {
        println!("skipped: {test}: needs {} (package ctdb)", helper.display());
        return;
    }
    let lock = |dir: &Path| format!("!{} {}", helper.display(), dir.join("lock").display());
    let Some(c) = cluster(test, lock) else { return };
    let (leader, epoch) = (c.leader_seen_by(0), generation(&c, 0));
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    let start = Instant::now();
    c.daemon(leader).kill9().unwrap();
    let next = wait_new_leader(&c, &others, epoch);
    assert_ne!(next, leader);
    println!(
        "measured: next recmaster {:?} after kill -9 of a daemon with CTDB's fcntl helper, with a loss time of 2 s",
        start.elapsed()
    );
    c.wait("all addresses on the others", |holders| {
        holders.values().all(|on| on.iter().filter(|n| others.contains(n)).count() == 1)
    });
}

#[test]
fn a_removed_or_replaced_lock_file_moves_no_address() {
    let Some(c) = cluster("a_removed_or_replaced_lock_file", |dir| dir.join("lock").display().to_string())
    else {
        return;
    };
    let file = c.lab.dir().join("lock");
    let probe = c.probe();
    for what in ["removed", "replaced", "moved away"] {
        let epoch = generation(&c, 0);
        let mark = probe.mark(what);
        let start = Instant::now();
        match what {
            "removed" => fs::remove_file(&file).unwrap(),
            "replaced" => {
                let other = file.with_extension("new");
                fs::write(&other, "").unwrap();
                fs::rename(&other, &file).unwrap();
            }
            _ => fs::rename(&file, file.with_extension("old")).unwrap(),
        }
        wait_new_leader(&c, &[0, 1, 2], epoch);
        println!("measured: recmaster again {:?} after its lock file was {what}", start.elapsed());
        assert_stayed(&c, &probe, &mark);
    }
}
