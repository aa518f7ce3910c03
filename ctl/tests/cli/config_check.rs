//! `ctdb config check`: streams, exit statuses, styles. What it finds has its tests in the crate `config`.

use super::{ctdb, told};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn check(files: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let place = dir.path().display().to_string();
    let mut command = ctdb(Path::new("/no/daemon"), &["config", "check", &place]);
    let (code, out, err) = told(command.args(args).output().unwrap());
    (code, out.replace(&place, "DIR"), err.replace(&place, "DIR"))
}

const GOOD: &[(&str, &str)] = &[
    ("nodes", "127.0.0.1\n"),
    ("ctdb.conf", "[cluster]\n  leader  timeout = \\\n 3\n"),
    ("public_addresses", "10.1.0.5/24 lo\n10.1.0.6/24 lo\n"),
];
const BAD: &[(&str, &str)] = &[
    ("nodes", "127.0.0.1\n203.0.113.9\n"),
    ("ctdb.conf", "[cluster]\ncluster lock = quorum\nleader timeout = soon\n[database]\ntdb mutexes = no\n"),
    ("public_addresses", "10.1.0.5 lo\n203.0.113.9/24 lo\n"),
];

#[test]
fn a_good_directory_is_ok_with_a_summary() {
    let (code, out, err) = check(GOOD, &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "OK: 1 node, 2 public addresses, 0 script variables, 0 event scripts\n");
}

#[test]
fn faults_go_to_stderr_and_remarks_to_stdout() {
    let (code, out, err) = check(BAD, &[]);
    assert_eq!(code, 1);
    let expected = [
        "DIR/ctdb.conf:3: leader timeout cannot be \"soon\"; write whole seconds",
        "DIR/public_addresses:1: \"10.1.0.5\" has no mask; write",
        "DIR/public_addresses:2: 203.0.113.9 is the private address of node 1;",
        "3 errors in DIR; ctdbd or its scripts would fail",
    ];
    assert_eq!(err.lines().count(), expected.len(), "{err}");
    for (line, expected) in err.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    let warnings: Vec<&str> = out.lines().collect();
    assert_eq!(warnings.len(), 2, "{out}");
    assert!(
        warnings[0].starts_with("warning: DIR/ctdb.conf: accepted without effect: [database] tdb mutexes")
    );
    assert!(warnings[1].starts_with("warning: DIR/ctdb.conf: cluster lock quorum with two nodes"));
}

#[test]
fn json_and_tables_have_file_and_line_apart() {
    let (code, out, err) = check(BAD, &["--json"]);
    assert_eq!((code, err.as_str()), (1, ""));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["ok"], false);
    assert_eq!(value["read"]["public_addresses"], 1, "{out}");
    assert_eq!(value["errors"][1]["file"], "DIR/public_addresses");
    assert_eq!(value["errors"][1]["line"], 1);
    assert!(value["errors"][1]["message"].as_str().unwrap().starts_with("\"10.1.0.5\" has no mask"));
    assert_eq!(value["warnings"].as_array().unwrap().len(), 2);
    let (code, out, _) = check(BAD, &["-X"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("|Severity|File|Line|Message|\n|error|DIR/ctdb.conf|3|leader timeout"), "{out}");
    let (code, out, _) = check(GOOD, &["-j"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["ok"].as_bool()), (0, Some(true)));
}

#[test]
fn the_directory_of_the_environment_is_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = ctdb(Path::new("/no/daemon"), args);
        told(command.env("CTDB_BASE", dir.path()).output().unwrap())
    };
    let (code, _, err) = run(&["config", "check"]);
    assert!(code == 1 && err.contains(&format!("{}/nodes: cannot read it", dir.path().display())), "{err}");
    fs::write(dir.path().join("nodes"), "127.0.0.1\n").unwrap();
    assert_eq!(run(&["config", "check"]).0, 0);
    let (code, _, err) = run(&["config", "check", "/no/such"]);
    assert_eq!(
        (code, err.as_str()),
        (1, "there is no directory /no/such; name the one that holds ctdb.conf and nodes\n")
    );
}
