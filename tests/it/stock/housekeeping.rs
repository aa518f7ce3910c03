//! `00.ctdb`, `01.reclock` and `05.system`: a node's own state, lock directory and resources.

use super::{on, prepare, start, wait_script, write};
use std::fs;
use tests::cluster::ClusterConfig;

fn one_node() -> ClusterConfig {
    ClusterConfig { nodes: 1, tunables: vec![("MonitorInterval".to_owned(), 1)], ..ClusterConfig::default() }
}

#[test]
fn stock_00_ctdb_begins_with_an_empty_state_directory() {
    let test = "stock_00_ctdb_begins_with_an_empty_state_directory";
    let Some(mut c) = prepare(test, &["00.ctdb"], &one_node()) else { return };
    let state = c.lab.paths(0).var.join("scripts");
    fs::create_dir_all(state.join("failover")).unwrap();
    fs::write(state.join("failover/stale"), "of an earlier life").unwrap();
    start(&mut c);
    wait_script(&c, 0, "init", "00.ctdb", "OK");
    wait_script(&c, 0, "startup", "00.ctdb", "OK");
    assert!(state.is_dir() && !state.join("failover").exists(), "{}", state.display());
    // What the script asked `ctdb-config` for.
    let cache = fs::read_to_string(state.join("db_options.cache")).unwrap();
    assert!(cache.contains("CTDB_DBDIR_PERSISTENT=\"/var/lib/ctdb/persistent\"\n"), "{cache}");
}

#[test]
fn stock_01_reclock_makes_the_directory_of_the_lock() {
    let test = "stock_01_reclock_makes_the_directory_of_the_lock";
    let Some(mut c) = prepare(test, &["01.reclock"], &one_node()) else { return };
    let conf = c.lab.paths(0).base.join("ctdb.conf");
    let dir = c.lab.dir().join("cluster/locks");
    let text = fs::read_to_string(&conf).unwrap();
    let old = c.lab.reclock().display().to_string();
    // The name of before 4.20, which a configuration in the field may still have.
    let text =
        text.replace(&old, &format!("{}/reclock", dir.display())).replace("cluster lock", "recovery lock");
    fs::write(&conf, text).unwrap();
    start(&mut c);
    wait_script(&c, 0, "init", "01.reclock", "OK");
    assert!(dir.is_dir(), "{} was not made", dir.display());
}

#[test]
fn stock_05_system_makes_a_full_node_unhealthy() {
    let test = "stock_05_system_makes_a_full_node_unhealthy";
    let config = ClusterConfig { nodes: 2, ..one_node() };
    let Some(mut c) = prepare(test, &["05.system"], &config) else { return };
    let disk = c.lab.dir().join("disk");
    fs::create_dir(&disk).unwrap();
    let at = disk.display().to_string();
    assert_eq!(on(&c, 1, "mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs", &at]), "");
    let options = format!("CTDB_MONITOR_FILESYSTEM_USAGE=\"{at}:50:80\"\n");
    write(&c, 1, "events/legacy/05.system.options", &options);
    start(&mut c);
    wait_script(&c, 1, "monitor", "05.system", "OK");
    let fill = format!("head -c 900k /dev/zero >{at}/full");
    assert_eq!(on(&c, 1, "sh", &["-c", &fill]), "");
    c.wait_balanced(&[0]);
    c.wait_flags(0, 1, "UNHEALTHY");
    let (_, out, _) = c.try_ctdb(1, &["event", "status", "legacy", "monitor"]);
    assert!(out.contains(&format!("ERROR: Filesystem {at} utilization")), "{out}");
    assert_eq!(on(&c, 1, "rm", &[&format!("{at}/full")]), "");
    c.wait_balanced(&[0, 1]);
}
