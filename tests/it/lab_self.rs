//! Tests of the lab itself: what it builds, what its probe sees, and that nothing is left of it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::lab::{Lab, LabConfig, NodeConfig, wait_for};

const SOON: Duration = Duration::from_secs(10);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The living processes in a pid namespace. A dead one that nobody has waited for yet has no command line any more.
fn processes_in(pid_namespace: &Path) -> BTreeSet<i32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == pid_namespace)
            && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
    })
    .collect()
}

fn pid_namespace_of(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap()
}

/// Waits until nobody is in the namespace any more.
fn wait_empty(pid_namespace: &Path) {
    wait_for("the lab's processes to be gone", SOON, || {
        let left = processes_in(pid_namespace);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .unwrap();
}

#[test]
fn lab_client_reaches_every_node_over_both_families() {
    let Some(lab) = Lab::for_test("lab_client_reaches_every_node", &LabConfig::default()) else { return };
    let addresses = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "fd00:a::11", "fd00:a::12", "fd00:a::13"].map(ip);
    let probe = lab.probe(&addresses).unwrap();
    probe.wait_all_answer(SOON).unwrap();
    for (index, address) in addresses.into_iter().enumerate() {
        assert_eq!(usize::from(probe.wait_answers(address, SOON).unwrap()), index % 3, "{address}");
    }
    assert_eq!(lab.node(1).addresses("priv0").unwrap(), [(ip("192.168.20.42"), 24), (ip("fd00:20::42"), 64)]);
    assert!(lab.client().link_state("eth0").unwrap().carrier);
}

#[test]
fn lab_private_network_connects_nodes_and_only_nodes() {
    let Some(lab) = Lab::for_test("lab_private_network", &LabConfig::default()) else { return };
    let other = ip("192.168.20.42");
    let from_node = lab.probe_from(lab.node(0), &[other]).unwrap();
    let from_client = lab.probe(&[other, ip("10.0.0.12")]).unwrap();
    assert_eq!(from_node.wait_answers(other, SOON).unwrap(), 1);
    assert_eq!(from_client.wait_answers(ip("10.0.0.12"), SOON).unwrap(), 1);
    lab.cut_private(1).unwrap();
    let mark = from_node.mark("cut");
    wait_for("silence", SOON, || {
        let report = from_node.report_since(&mark).unwrap();
        let open = report.get(other).unwrap().gaps.iter().any(|g| g.open && g.length_ns > 50_000_000);
        if open { Ok(()) } else { Err(format!("{report:?}")) }
    })
    .unwrap();
    lab.heal_private(1).unwrap();
    from_node.wait_answers_from(other, 1, SOON).unwrap();
    let report = from_client.finish().unwrap();
    assert_eq!(report.get(other).unwrap().received, 0, "the client is not in the private network");
}

#[test]
fn lab_probe_sees_an_address_move() {
    let config = LabConfig { public_ifaces: vec!["bond0".to_owned()], ..LabConfig::default() };
    let Some(lab) = Lab::for_test("lab_probe_sees_an_address_move", &config) else { return };
    for (address, prefix) in [(ip("10.0.0.31"), 24), (ip("fd00:a::31"), 64)] {
        lab.node(0).add_address("bond0", address, prefix).unwrap();
        let probe = lab.probe(&[address]).unwrap();
        probe.wait_answers_from(address, 0, SOON).unwrap();
        let mark = probe.mark("moved");
        lab.node(0).del_address("bond0", address).unwrap();
        lab.node(0).wait_address(address, false, SOON).unwrap();
        // Silence that the probe has to find: at least as long as the address was nowhere.
        wait_for("an open gap", SOON, || {
            let report = probe.report_since(&mark).unwrap();
            let seen = report.get(address).unwrap().clone();
            if seen.gaps.iter().any(|g| g.open && g.length_ns > 20_000_000) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        })
        .unwrap();
        lab.node(2).add_address("bond0", address, prefix).unwrap();
        // No daemon here that would announce the move; the client is made to ask anew.
        lab.client().flush_neighbours("eth0").unwrap();
        probe.wait_answers_from(address, 2, SOON).unwrap();
        let report = probe.report_since(&mark).unwrap();
        let seen = report.get(address).unwrap();
        let gap = seen.gaps.iter().max_by_key(|g| g.length_ns).unwrap();
        assert_eq!((gap.before, gap.after, gap.open), (Some(0), Some(2), false), "{seen:?}");
        assert!(gap.from_ns + gap.length_ns > mark.at_ns && seen.longest_gap() > Duration::from_millis(20));
        assert_eq!(seen.dual(Duration::from_secs(5)), None);
        assert_eq!(lab.holders(address).unwrap(), [2]);
    }
    let moved: Vec<(usize, bool)> = lab
        .address_events()
        .unwrap()
        .into_iter()
        .filter(|e| e.address == ip("10.0.0.31"))
        .map(|e| (e.host, e.added))
        .collect();
    assert_eq!(moved, [(0, true), (0, false), (2, true)]);
}

#[test]
fn lab_probe_reports_two_holders_as_dual() {
    let Some(lab) = Lab::for_test("lab_probe_reports_two_holders", &LabConfig::default()) else { return };
    let address = ip("10.0.0.32");
    let macs = [0, 1].map(|n| lab.node(n).link_state("pub0").unwrap().mac);
    for node in [0, 1] {
        lab.node(node).add_address("pub0", address, 24).unwrap();
    }
    assert_eq!(lab.holders(address).unwrap(), [0, 1]);
    // A client with a stale neighbour entry talks to one holder, one with a fresh entry to the other.
    lab.client().set_neighbour("eth0", address, macs[0]).unwrap();
    let probe = lab.probe(&[address]).unwrap();
    for (node, mac) in [(0, macs[0]), (1, macs[1]), (0, macs[0])] {
        lab.client().set_neighbour("eth0", address, mac).unwrap();
        probe.wait_answers_from(address, node, SOON).unwrap();
    }
    let report = probe.finish().unwrap();
    let seen = report.get(address).unwrap();
    assert_eq!(seen.dual(SOON).map(|t| t.node), Some(0), "{seen:?}");
}

/// What a client does not see, which takes the first answer.
#[test]
fn lab_arp_witness_reports_two_that_answer() {
    let Some(lab) = Lab::for_test("lab_arp_witness_reports_two_that_answer", &LabConfig::default()) else {
        return;
    };
    let address = std::net::Ipv4Addr::new(10, 0, 0, 31);
    let witness = lab.arp_witness("pub0", address, Duration::from_millis(2)).unwrap();
    let heard = |more: u64| {
        let before = witness.report().unwrap().answers;
        wait_for("answers to ARP", SOON, || {
            let report = witness.report().map_err(|e| e.to_string())?;
            if report.answers > before + more { Ok(report) } else { Err(format!("{report:?}")) }
        })
        .unwrap()
    };
    lab.node(1).add_address("pub0", address.into(), 24).unwrap();
    assert!(heard(50).duals.is_empty());
    lab.node(2).add_address("pub0", address.into(), 24).unwrap();
    let duals = heard(100).duals;
    let nodes: Vec<(u16, u16)> = duals.iter().map(|(_, d)| (d.node, d.other)).collect();
    assert_eq!(nodes, [(1, 2), (2, 1)], "{duals:?}");
}

#[test]
fn lab_link_loses_carrier_and_gets_it_back() {
    let Some(lab) = Lab::for_test("lab_link_loses_carrier", &LabConfig::default()) else { return };
    let carrier = |wanted: bool| {
        wait_for("carrier", SOON, || {
            let state = lab.node(0).link_state("pub0").unwrap();
            if state.carrier == wanted { Ok(state) } else { Err(format!("{state:?}")) }
        })
        .unwrap()
    };
    carrier(true);
    lab.cut_cable(0, "pub0").unwrap();
    assert!(carrier(false).up);
    lab.plug_cable(0, "pub0").unwrap();
    carrier(true);
    lab.link_down(0, "pub0").unwrap();
    assert!(!carrier(false).up);
    lab.link_up(0, "pub0").unwrap();
    carrier(true);
    assert_eq!(lab.node(0).flush_addresses("pub0").unwrap()[0], (ip("10.0.0.11"), 24));
    assert_eq!(lab.node(0).addresses("pub0").unwrap(), []);
}

#[test]
fn lab_two_at_once_do_not_meet() {
    let Some(first) = Lab::for_test("lab_two_at_once", &LabConfig::default()) else { return };
    let second = Lab::new(&LabConfig::default()).unwrap();
    let address = ip("10.0.0.33");
    first.node(0).add_address("pub0", address, 24).unwrap();
    second.node(1).add_address("pub0", address, 24).unwrap();
    let (one, two) = (first.probe(&[address]).unwrap(), second.probe(&[address]).unwrap());
    one.wait_answers_from(address, 0, SOON).unwrap();
    two.wait_answers_from(address, 1, SOON).unwrap();
    drop((one, first));
    two.wait_answers_from(address, 1, SOON).unwrap();
    assert_eq!(two.finish().unwrap().get(address).unwrap().nodes(), [1]);
}

#[test]
fn lab_processes_report_output_exit_and_signals() {
    let Some(lab) = Lab::for_test("lab_processes_report", &LabConfig::default()) else { return };
    let run = lab.node(0).command("sh").args(["-c", "echo out; echo err >&2; exit 7"]).output(SOON).unwrap();
    assert_eq!(
        (run.status.code(), &run.stdout[..], &run.stderr[..]),
        (Some(7), &b"out\n"[..], &b"err\n"[..])
    );
    let missing = lab.node(0).command("/no/such/program").spawn().unwrap_err();
    assert!(missing.to_string().contains("/no/such/program"), "{missing}");
    let sleeper = lab.node(0).command("sleep").arg("1000").spawn().unwrap();
    sleeper.freeze().unwrap();
    sleeper.thaw().unwrap();
    assert!(sleeper.try_wait().unwrap().is_none());
    let ended = sleeper.kill9().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9));
    let slow = lab.node(0).command("sleep").arg("1000").output(Duration::from_millis(50)).unwrap_err();
    assert!(slow.to_string().contains("still running"), "{slow}");
}

#[test]
fn lab_config_tree_is_ctdbs() {
    let Some(lab) = Lab::for_test("lab_config_tree", &LabConfig::default()) else { return };
    let config = NodeConfig {
        public_addresses: vec!["10.0.0.31/24 pub0".to_owned()],
        tunables: vec![("MonitorInterval".to_owned(), 1)],
        legacy: vec![("50.own".to_owned(), "#!/bin/sh\necho \"$@\"\n".to_owned())],
        ..NodeConfig::default()
    };
    let paths = lab.write_node_config(1, &config).unwrap();
    let read = |name: &str| fs::read_to_string(paths.base.join(name)).unwrap();
    assert_eq!(read("nodes"), "192.168.20.41\n192.168.20.42\n192.168.20.43\n");
    assert_eq!(read("public_addresses"), "10.0.0.31/24 pub0\n");
    assert_eq!(read("ctdb.tunables"), "MonitorInterval=1\n");
    assert!(read("ctdb.conf").contains(&format!("cluster lock = {}", lab.reclock().display())));
    let script = paths.base.join("events/legacy/50.own");
    let run = lab.node(1).command(script).args(["takeip", "pub0"]).output(SOON).unwrap();
    assert_eq!(run.stdout, b"takeip pub0\n");
}

#[test]
fn lab_drop_leaves_nothing() {
    let Some(lab) = Lab::for_test("lab_drop_leaves_nothing", &LabConfig::default()) else { return };
    // One that ignores all it may, with a child that has left its process group.
    let stubborn = "trap '' TERM INT HUP; setsid sleep 1000 & while :; do sleep 1; done";
    let process = lab.node(2).command("sh").args(["-c", stubborn]).spawn().unwrap();
    let namespace = pid_namespace_of(process.pid());
    assert_ne!(namespace, pid_namespace_of(std::process::id().cast_signed()));
    wait_for("the grandchild", SOON, || {
        let all = processes_in(&namespace);
        // Process 1, three answer services, the shell, the sleepers.
        if all.len() >= 7 { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .unwrap();
    let dir = lab.dir().to_owned();
    drop(lab);
    assert_eq!(processes_in(&namespace), BTreeSet::new());
    assert!(!dir.exists());
}

#[test]
fn lab_panic_leaves_nothing() {
    let mut seen = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Some(lab) = Lab::for_test("lab_panic_leaves_nothing", &LabConfig::default()) else { return };
        let process = lab.client().command("sleep").arg("1000").spawn().unwrap();
        seen = Some((pid_namespace_of(process.pid()), lab.dir().to_owned()));
        // Not a fault: resume_unwind does not print a message.
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    let Some((namespace, dir)) = seen else { return };
    assert!(outcome.is_err());
    assert_eq!(processes_in(&namespace), BTreeSet::new());
    assert!(!dir.exists());
}

/// A whole test process is killed: this test runs itself again with `LAB_VICTIM` set, and kills that. (Ctrl-C ends a process as
/// SIGTERM does; but a shell starts its background jobs with SIGINT ignored, so that it would prove nothing there.)
#[test]
fn lab_killed_test_leaves_nothing() {
    if std::env::var_os("LAB_VICTIM").is_some() {
        let Some(lab) = Lab::for_test("lab_killed_test", &LabConfig::default()) else { return };
        let process = lab.node(0).command("sleep").arg("1000").spawn().unwrap();
        let told = format!("{}\n{}", pid_namespace_of(process.pid()).display(), lab.dir().display());
        let file = PathBuf::from(std::env::var_os("LAB_VICTIM").unwrap());
        fs::write(file.with_extension("new"), told).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let file = dir.path().join(format!("victim-{signal}"));
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lab_self::lab_killed_test_leaves_nothing", "--nocapture"])
            .env("LAB_VICTIM", &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let told =
            wait_for("the victim's lab", SOON, || match (fs::read_to_string(&file), victim.try_wait()) {
                (Ok(told), _) => Ok(Some(told)),
                (_, Ok(Some(_))) => Ok(None),
                (Err(error), _) => Err(error.to_string()),
            })
            .unwrap();
        // The victim was skipped for want of rights, and has said so.
        let Some(told) = told else { return };
        let (namespace, lab_dir) = told.split_once('\n').unwrap();
        assert!(!processes_in(Path::new(namespace)).is_empty());
        kill(Pid::from_raw(victim.id().cast_signed()), signal).unwrap();
        wait_for("the victim's end", SOON, || victim.try_wait().unwrap().ok_or("running".to_owned()))
            .unwrap();
        wait_empty(Path::new(namespace));
        wait_for("the lab's directory to be gone", SOON, || {
            if Path::new(lab_dir).exists() { Err(lab_dir.to_owned()) } else { Ok(()) }
        })
        .unwrap();
    }
}
