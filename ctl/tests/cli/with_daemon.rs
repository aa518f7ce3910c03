//! Against a scripted daemon on a real socket.

use super::fake::Fake;
use super::{ctdb, told};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn run(args: &[&str]) -> (i32, String, String) {
    let fake = Fake::start();
    told(ctdb(&fake.socket, args).output().unwrap())
}

fn stdout(args: &[&str]) -> String {
    let (code, out, err) = run(args);
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}: {out}");
    out
}

#[test]
fn status_is_printed() {
    let out = stdout(&["status"]);
    assert!(out.starts_with("Number of nodes:3\npnn:0 192.168.20.41    OK (THIS NODE)\n"), "{out}");
    assert!(
        out.ends_with(
            "Generation:7\nSize:2\nhash:0 lmaster:0\nhash:1 lmaster:1\nRecovery mode:NORMAL (0)\nLeader:1\nLease:OFF\n"
        ),
        "{out}"
    );
    let json = stdout(&["status", "--json"]);
    assert!(json.starts_with("{\n  \"node_status\": {\n    \"node_count\": 3,\n"), "{json}");
}

#[test]
fn another_node_is_asked_with_n() {
    assert_eq!(stdout(&["pnn"]), "0\n");
    assert_eq!(stdout(&["-n", "1", "pnn"]), "1\n");
    assert_eq!(stdout(&["-n", "1", "-X", "ifaces"]), "|Name|LinkStatus|References|\n|eth1|1|2|\n");
    assert_eq!(stdout(&["-n", "1", "version"]), "9.9\n");
    assert_eq!(run(&["-n", "5", "pnn"]), (1, String::new(), "Node 5 does not exist\n".into()));
    assert_eq!(
        run(&["-n", "2", "ip"]),
        (1, String::new(), "Node 2 has status DISCONNECTED|INACTIVE\n".into())
    );
}

#[test]
fn addresses_are_sorted_by_number_and_merged_for_all() {
    assert_eq!(stdout(&["ip"]), "Public IPs on node 0\n10.0.0.9 -1\n10.0.0.31 0\n");
    assert_eq!(stdout(&["ip", "all"]), "Public IPs on ALL nodes\n10.0.0.9 1\n10.0.0.31 0\n");
    assert_eq!(
        run(&["ipinfo", "10.0.0.77"]),
        (1, String::new(), "Node 0 does not know about IP 10.0.0.77\n".into())
    );
}

#[test]
fn nodestatus_exits_with_the_flags() {
    assert_eq!(run(&["nodestatus"]).0, 0);
    let (code, out, _) = run(&["nodestatus", "1,2"]);
    assert_eq!(
        (code, out.as_str()),
        (3, "pnn:1 192.168.20.42    UNHEALTHY\npnn:2 192.168.20.43    DISCONNECTED|INACTIVE\n")
    );
    assert_eq!(run(&["nodestatus", "7"]), (255, String::new(), "Node 7 does not exist\n".into()));
}

#[test]
fn changes_are_silent_notes_and_refusals_on_stderr() {
    assert_eq!(run(&["disable"]), (0, String::new(), String::new()));
    assert_eq!(run(&["enable"]), (0, String::new(), "Node 0 is not disabled\n".into()));
    assert_eq!(run(&["ban", "0"]), (22, String::new(), "Ban time cannot be zero\n".into()));
    assert_eq!(
        run(&["moveip", "10.0.0.31", "1"]),
        (1, String::new(), "Node 1 CANNOT host IP address 10.0.0.31\n".into())
    );
    assert_eq!(run(&["moveip", "10.0.0.31", "9"]).2, "Node 9 does not exist\n");
    assert_eq!(run(&["moveip", "10.0.0", "1"]).2, "Invalid IP address 10.0.0\n");
}

#[test]
fn tunables_run_state_and_events() {
    assert_eq!(stdout(&["getvar", "monitorinterval"]), "MonitorInterval            = 15\n");
    assert_eq!(run(&["getvar", "Foo"]), (1, String::new(), "No such tunable Foo\n".into()));
    assert_eq!(stdout(&["runstate", "running", "startup"]), "STARTUP\n");
    assert_eq!(
        run(&["runstate", "RUNNING"]),
        (1, String::new(), "CTDB not in required run state (got STARTUP)\n".into())
    );
    assert_eq!(
        run(&["scriptstatus"]),
        (22, "Event monitor has never run in legacy\n".into(), String::new()),
        "the exit status of CTDB"
    );
    assert!(stdout(&["ping"]).starts_with("response from 0 time=0."));
}

#[test]
fn the_leader_is_asked_what_only_it_knows() {
    let out = stdout(&["why", "10.0.0.31"]);
    assert!(out.starts_with("10.0.0.31 is on node 1: an operator moved it here (ctdb moveip).\n"), "{out}");
    let (code, _, err) = run(&["plan"]);
    assert!(code == 1 && err.starts_with("there is no leader now"), "{code} {err}");
}

#[test]
fn a_daemon_that_does_not_answer_costs_the_time_limit_only() {
    let start = Instant::now();
    let (code, _, err) = run(&["-t", "1", "getpid"]);
    assert!(code == 1 && err.starts_with("the daemon did not answer 'getpid' within 1 s"), "{code} {err}");
    assert_eq!(
        run(&["-T", "1", "getpid"]),
        (1, String::new(), "Maximum runtime exceeded - exiting\n".into())
    );
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn debug_names_the_questions() {
    assert_eq!(run(&["-d", "debug", "disable"]).2, "asking this node: Node(Disable)\n");
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let fake = Fake::start();
    let mut child =
        ctdb(&fake.socket, &["listvars"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reading end is closed before anything can be printed, since the daemon is asked first.
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
