//! The demo, as `cargo demo -- --stay` runs it, with commands on its standard input.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tests::lab::{Lab, LabConfig, binaries};

#[test]
fn demo_plays_its_story_and_takes_commands() {
    let test = "demo_plays_its_story_and_takes_commands";
    let Some(lab) = Lab::for_test(test, &LabConfig { nodes: 1, ..LabConfig::default() }) else { return };
    drop(lab);
    // Beside the daemon: the path that cargo knows may not be reachable where the tests run.
    let demo = binaries().unwrap().ctdbd.with_file_name("demo");
    let mut child = Command::new(demo)
        .args(["--", "--stay"])
        .env("LAB_BUILD", "never")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script =
        "node 1\nctdb status\nnode 7\nholders\nno-such-command\n!echo CTDB_BASE is $CTDB_BASE\nexit\n";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    for line in [
        "Summary",
        "longest silence",
        "pnn:1 192.168.20.42    OK (THIS NODE)",
        "there is no node 7",
        "node 2: 10.0.0.",
    ] {
        assert!(out.contains(line), "{line:?} is not in\n{out}{err}");
    }
    let dual = "times two nodes answered the client in turns for one address: 0";
    assert!(out.contains(dual), "{out}");
    assert!(!out.contains('\x1b'), "colours without a terminal");
    // Nothing is left of it.
    let base = out.lines().find_map(|l| l.trim().strip_prefix("CTDB_BASE is ")).unwrap();
    assert!(!Path::new(base).exists(), "{base} is still there");
}
