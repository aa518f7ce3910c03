//! What works, and how it fails, when no daemon runs.

use super::{ctdb, told};
use std::path::Path;

fn run(args: &[&str]) -> (i32, String, String) {
    told(ctdb(Path::new("/nonexistent/ctdbd.socket"), args).output().unwrap())
}

#[test]
fn an_unknown_command_is_named() {
    assert_eq!(run(&["frobnicate"]), (1, String::new(), "Unknown command 'frobnicate'\n".into()));
}

#[test]
fn a_database_command_says_where_it_went() {
    let (code, out, err) = run(&["getdbmap"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("not part of ctdb-ip: 'getdbmap'") && err.lines().count() == 1, "{err}");
}

#[test]
fn no_daemon_is_told_with_the_socket() {
    let (code, out, err) = run(&["status"]);
    assert_eq!((code, out.as_str()), (1, ""));
    let mut lines = err.lines();
    assert_eq!(lines.next(), Some("Failed to connect to CTDB daemon (/nonexistent/ctdbd.socket)"));
    assert!(lines.next().is_some_and(|l| l.starts_with("Is this node part of CTDB cluster?")), "{err}");
    assert_eq!(run(&["nodestatus"]).0, 255);
}

#[test]
fn the_version_needs_no_daemon() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(run(&["version"]), (0, format!("{version}\n"), String::new()));
    assert_eq!(run(&["--json", "version"]).1, format!("{{\n  \"version\": \"{version}\"\n}}\n"));
}

#[test]
fn listnodes_reads_the_nodes_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("nodes"), "192.168.20.41\n#192.168.20.42\n192.168.20.43\n").unwrap();
    let list =
        |args: &[&str]| told(ctdb(Path::new("/none"), args).env("CTDB_BASE", dir.path()).output().unwrap());
    assert_eq!(list(&["listnodes"]), (0, "192.168.20.41\n192.168.20.43\n".into(), String::new()));
    assert_eq!(list(&["-X", "listnodes"]).1, "|0|192.168.20.41|\n|2|192.168.20.43|\n");
    assert_eq!(
        list(&["-n", "1", "listnodes"]),
        (1, String::new(), "Cannot specify node for command listnodes\n".into())
    );
    std::fs::remove_file(dir.path().join("nodes")).unwrap();
    let (code, _, err) = list(&["listnodes"]);
    assert!(code == 1 && err.contains("/nodes: cannot read it: "), "{err}");
}

#[test]
fn bad_arguments_are_exit_status_1() {
    for args in [
        &["-n", "everything", "status"] as &[&str],
        &["setvar", "MonitorInterval", "many"],
        &["moveip", "10.0.0.1"],
        &["event", "frobnicate"],
        &["plan", "--algorithm", "4"],
        &["ip", "none"],
        &["-d", "LOUD", "status"],
        &["-j", "-X", "status"],
        &["-x", "ab", "status"],
        &[],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
        assert!(!err.is_empty(), "{args:?}");
    }
    assert_eq!(run(&["-j", "-Y", "ip"]).2, "--json and -Y options are mutually exclusive\n");
}

#[test]
fn the_time_limit_may_come_from_the_environment() {
    let with = |value: &str| {
        let mut command = ctdb(Path::new("/none"), &["version"]);
        told(command.env("CTDB_TIMEOUT", value).output().unwrap()).0
    };
    assert_eq!([with("30"), with(""), with("soon")], [0, 0, 1]);
}

#[test]
fn help_is_for_newcomers() {
    for args in [&["--help"] as &[&str], &["-?"], &["help"]] {
        let (code, out, _) = run(args);
        assert_eq!(code, 0);
        for word in ["status", "Nodes and their states", "timeline", "CTDB_SOCKET", "--node <NODES>"] {
            assert!(out.contains(word), "{args:?} lacks {word}: {out}");
        }
    }
    assert!(run(&["help", "plan"]).1.contains("--without <IFACE@PNN>"));
}
