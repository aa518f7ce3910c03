//! `notify.sh` as CTDB ships it: an operator's scripts are told what becomes of a node.

use super::prepare;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use tests::cluster::{ClusterConfig, SOON};
use tests::lab::wait_for;

const SICK: &str = "#!/bin/sh
[ \"$1\" = monitor ] && [ -e \"$CTDB_BASE/sick\" ] && exit 1
exit 0
";

#[test]
fn stock_notify_tells_what_becomes_of_a_node() {
    let config = ClusterConfig {
        nodes: 1,
        tunables: vec![("MonitorInterval".to_owned(), 1)],
        legacy: vec![("50.sick.script".to_owned(), SICK.to_owned())],
        ..ClusterConfig::default()
    };
    let Some(mut c) = prepare("stock_notify_tells_what_becomes_of_a_node", &[], &config) else { return };
    let base = c.lab.paths(0).base;
    symlink("/etc/ctdb/notify.sh", base.join("notify.sh")).unwrap();
    let dir = base.join("events/notification");
    fs::create_dir_all(&dir).unwrap();
    let record = dir.join("10.record.script");
    fs::write(&record, "#!/bin/sh\necho \"$@\" >>\"$CTDB_BASE/notified\"\n").unwrap();
    fs::set_permissions(&record, fs::Permissions::from_mode(0o755)).unwrap();
    let told = |want: &[&str]| {
        let read = || fs::read_to_string(base.join("notified")).unwrap_or_default();
        let good = || {
            let now = read();
            if now.split_whitespace().eq(want.iter().copied()) { Ok(()) } else { Err(now) }
        };
        wait_for(&format!("notices {want:?}"), SOON, good).unwrap();
    };
    super::start(&mut c);
    told(&["init", "setup", "startup", "healthy"]);
    fs::write(base.join("sick"), "").unwrap();
    told(&["init", "setup", "startup", "healthy", "unhealthy"]);
    fs::remove_file(base.join("sick")).unwrap();
    told(&["init", "setup", "startup", "healthy", "unhealthy", "healthy"]);
}
