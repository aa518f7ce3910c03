//! Every output shape: what each command prints plain, with `-X`, with `-x :` and with `--json`, with its exit status, against the scripted
//! daemon. The expected texts are the files below `snapshots/`; `INSTA_UPDATE=always cargo test -p ctl --test cli golden` writes them anew,
//! and then they are to be read.

use super::fake::Fake;
use super::{ctdb, told};
use std::path::Path;

/// The ways to print.
const STYLES: [&[&str]; 4] = [&[], &["-X"], &["-x", ":"], &["--json"]];

/// What is printed for these commands, each in every style.
fn transcript(fake: &Fake, base: &Path, commands: &[&str]) -> String {
    let mut text = String::new();
    for command in commands {
        for style in STYLES {
            let args: Vec<&str> = style.iter().copied().chain(command.split(' ')).collect();
            let run = ctdb(&fake.socket, &args).env("CTDB_BASE", base).output().unwrap();
            let (code, out, err) = told(run);
            text += &format!("$ ctdb {}\n{}", args.join(" "), without_time(&out));
            text += &err.lines().map(|l| format!("[stderr] {l}\n")).collect::<String>();
            if code != 0 {
                text += &format!("[exit status {code}]\n");
            }
        }
    }
    text.replace(&base.display().to_string(), "$CTDB_BASE")
}

/// How long a ping took is the only thing that changes from run to run.
fn without_time(text: &str) -> String {
    let hide = |line: &str| {
        let begin = ["time=", "\"time\": "].iter().find_map(|key| Some(line.find(key)? + key.len()));
        begin.map_or_else(
            || line.to_owned(),
            |begin| {
                let rest =
                    line[begin..].trim_start_matches(|c: char| c.is_ascii_digit() || "e.-".contains(c));
                format!("{}TIME{rest}", &line[..begin])
            },
        )
    };
    text.lines().map(|l| hide(l) + "\n").collect()
}

macro_rules! shapes {
    ($($name:ident: $commands:expr;)*) => {$(
        #[test]
        fn $name() {
            let fake = Fake::start();
            let base = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| std::fs::write(base.path().join(name), text).unwrap();
            write("nodes", "192.168.20.41\n192.168.20.42\n192.168.20.43\n");
            write("natgw_nodes", "192.168.20.43\n192.168.20.42\n192.168.20.41 follower-only\n");
            write("lvs_nodes", "192.168.20.43\n192.168.20.42\n");
            insta::assert_snapshot!(stringify!($name), transcript(&fake, base.path(), &$commands));
        }
    )*};
}

shapes! {
    nodes: ["status", "nodestatus", "nodestatus all", "nodestatus 1,2", "nodestatus 7", "listnodes", "pnn", "leader"];
    addresses: ["ip", "ip all", "ip -v", "ipinfo 10.0.0.31", "ipinfo 10.0.0.77", "ipinfo x", "ifaces"];
    daemon: ["ping", "uptime", "runstate", "runstate RUNNING", "runstate FOO", "version", "-n 1 version", "getdebug",
        "setdebug INFO", "getreclock", "getcapabilities", "lease", "timeline 1"];
    changes: ["disable", "enable", "ban 0", "moveip 10.0.0.31 1", "moveip x 1", "ipreallocate", "recover",
        "setifacelink eth1 down", "setifacelink eth7 up", "gratarp 10.0.0.31 eth1", "gratarp x eth1",
        "setleaderrole off", "setlmasterrole off", "shutdown"];
    tunables: ["getvar MonitorInterval", "getvar foo", "setvar MonitorInterval 20", "setvar DeterministicIPs 1",
        "setvar foo 1"];
    events: ["event status legacy startup", "event status legacy monitor", "event status foo monitor", "-v scriptstatus startup",
        "event run 5 legacy setup", "event run 5 legacy monitor", "event script list legacy",
        "event script enable legacy 31.clamd", "event script disable legacy foo"];
    statistics: ["statistics", "stats", "stats 1", "statisticsreset"];
    groups: ["natgw leader", "natgw list", "natgw status", "lvs leader", "lvs list", "lvs status", "lvs", "-n 1 lvs list"];
    questions_for_the_leader: ["plan", "why 10.0.0.31"];
    refusals: ["frobnicate", "getdbmap", "-n 7 pnn", "-n 2 pnn", "-n x pnn", "-n 0 listnodes"];
}

#[test]
fn every_json_output_is_a_document() {
    let fake = Fake::start();
    let base = tempfile::tempdir().unwrap();
    for command in [
        "status",
        "ip",
        "ifaces",
        "pnn",
        "ping",
        "leader",
        "nodestatus",
        "uptime",
        "runstate",
        "getvar MonitorInterval",
        "setvar MonitorInterval 1",
        "listvars",
        "disable",
        "enable",
        "ipreallocate",
        "event script list legacy",
        "event run 5 legacy setup",
        "shutdown",
        "version",
        "timeline",
        "why 10.0.0.31",
        "getdebug",
        "setdebug INFO",
        "lease",
        "getreclock",
        "getcapabilities",
        "setleaderrole on",
        "setlmasterrole on",
        "statistics",
        "stats",
        "statisticsreset",
        "gratarp 10.0.0.1 eth1",
        "setifacelink eth1 up",
        "-n all pnn",
    ] {
        let args: Vec<&str> = ["--json"].into_iter().chain(command.split(' ')).collect();
        let (_, out, err) = told(ctdb(&fake.socket, &args).env("CTDB_BASE", base.path()).output().unwrap());
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&out);
        assert!(parsed.is_ok(), "{command}: {out}{err}");
    }
}
