//! Story f: an operator's own scripts see what CTDB's would; one that fails or hangs is reported and costs only what it must.

use super::{BOUND, assert_undisturbed, count, measure, one_of, record, recorded, wait_count};
use std::fs;
use std::net::IpAddr;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::Mark;

#[test]
fn own_script_sees_events_arguments_and_environment() {
    let Some(c) = Cluster::for_test("own_script_sees_events", &recorded()) else { return };
    for node in 0..3 {
        // The last of the events of a start.
        wait_count(&c, node, "ipreallocated", 1);
        let seen = record(&c, node);
        let start: Vec<&str> = seen.iter().map(String::as_str).filter(|l| !l.contains(' ')).collect();
        let position = |what: &str| start.iter().position(|l| *l == what);
        assert_eq!((position("init"), position("setup")), (Some(0), Some(1)), "{seen:?}");
        for event in
            ["startrecovery", "recovered", "startup", "monitor", "startipreallocate", "ipreallocated"]
        {
            assert!(position(event).is_some(), "no {event}: {seen:?}");
        }
        for address in c.of(node) {
            assert!(seen.contains(&format!("takeip {} {address} 24", c.iface)), "{seen:?}");
        }
        let paths = c.lab.paths(node);
        let env = fs::read_to_string(paths.base.join("env")).unwrap();
        assert!(env.lines().any(|l| l == format!("CTDB_BASE={}", paths.base.display())), "{env}");
        for name in ["CTDB=", "CTDB_VARDIR=", "CTDB_HELPER_BINDIR="] {
            assert!(env.lines().any(|l| l.starts_with(name)), "{name}: {env}");
        }
    }
    let address = one_of(&c, 0);
    let (iface, text) = (c.iface.clone(), address.to_string());
    let releases = format!("releaseip {iface} {address} 24");
    let takes = format!("takeip {iface} {address} 24");
    // At the start an address may have been with another node for a moment.
    let before = (count(&c, 0, &releases), count(&c, 1, &takes));
    let reallocated: Vec<usize> = (0..3).map(|n| count(&c, n, "ipreallocated")).collect();
    let _ = c.ctdb(2, &["moveip", &text, "1"]);
    assert_eq!((count(&c, 0, &releases), count(&c, 1, &takes)), (before.0 + 1, before.1 + 1));
    for (node, times) in reallocated.into_iter().enumerate() {
        assert!(count(&c, node, "ipreallocated") > times, "node {node}: {:?}", record(&c, node));
    }
    assert!(c.ctdb(0, &["event", "status", "legacy", "releaseip"]).contains("50.record            OK"));
}

#[test]
fn failing_monitor_makes_unhealthy_until_it_succeeds() {
    let sick = "#!/bin/sh
if [ \"$1\" = monitor ] && [ -e \"$CTDB_BASE/sick\" ]; then echo 'the service is sick'; exit 3; fi
exit 0
";
    let config = ClusterConfig {
        tunables: vec![("MonitorInterval".to_owned(), 1)],
        legacy: vec![("60.service.script".to_owned(), sick.to_owned())],
        ..ClusterConfig::default()
    };
    let Some(c) = Cluster::for_test("failing_monitor_makes_unhealthy", &config) else { return };
    let flag = c.lab.paths(1).base.join("sick");
    let probe = c.probe();
    let moved = c.of(1);
    let mark = probe.mark("monitor script fails");
    fs::write(&flag, "").unwrap();
    c.wait_balanced(&[0, 2]);
    measure(&probe, &mark, &moved, BOUND);
    (0..3).for_each(|at| c.wait_flags(at, 1, "UNHEALTHY"));
    let (code, out, _) = c.try_ctdb(1, &["event", "status", "legacy", "monitor"]);
    assert_ne!(code, 0, "{out}");
    assert!(out.contains("10.interface         OK") && out.contains("60.service           ERROR"), "{out}");
    assert!(out.contains("  OUTPUT: the service is sick\n"), "{out}");
    fs::remove_file(&flag).unwrap();
    c.wait_balanced(&[0, 1, 2]);
    c.wait_flags(0, 1, "OK");
}

/// A script that hangs in the event and for the address that the file `hang` names.
const HANGING: &str = "#!/bin/sh
[ -e \"$CTDB_BASE/hang\" ] && [ \"$1 $3\" = \"$(cat \"$CTDB_BASE/hang\")\" ] && sleep 1000
exit 0
";

fn hang(c: &Cluster, event: &str, address: IpAddr) {
    for node in 0..3 {
        fs::write(c.lab.paths(node).base.join("hang"), format!("{event} {address}")).unwrap();
    }
}

#[test]
fn hung_script_is_reported_and_costs_only_its_address() {
    let config = ClusterConfig {
        tunables: vec![("EventScriptTimeout".to_owned(), 2)],
        legacy: vec![("60.hang.script".to_owned(), HANGING.to_owned())],
        ..ClusterConfig::default()
    };
    let Some(c) = Cluster::for_test("hung_script_is_reported", &config) else { return };
    let probe = c.probe();
    for (node, event) in [(1, "takeip"), (2, "releaseip")] {
        let [hanging, free] = c.of(node)[..] else { panic!("two addresses: {:?}", c.of(node)) };
        hang(&c, event, hanging);
        let mark = probe.mark(&format!("disable with a hung {event}: the other address"));
        let _ = c.ctdb(node, &["disable"]);
        measure(&probe, &mark, &[free], Duration::from_millis(1500));
        assert_undisturbed(
            &probe,
            &mark,
            c.addresses.iter().copied().filter(|a| ![hanging, free].contains(a)),
        );
        c.wait_balanced(&(0..3).filter(|n| *n != node).collect::<Vec<_>>());
        let mark = Mark { label: format!("disable with a hung {event}: its address"), ..mark };
        measure(&probe, &mark, &[hanging], Duration::from_secs(15));
        let reporter = if event == "takeip" { c.holder(hanging) } else { node };
        c.wait_entry(reporter, "event", |t| t.contains(&hanging.to_string()) && t.contains("60.hang"));
        // Other addresses have had their turn since; what is shown is the last failure.
        let (_, out, _) = c.try_ctdb(reporter, &["event", "status", "legacy", event]);
        assert!(
            out.contains("60.hang              TIMEDOUT") || out.contains("60.hang              OK"),
            "{out}"
        );
        hang(&c, "nothing", hanging);
        let _ = c.ctdb(node, &["enable"]);
        c.wait_balanced(&[0, 1, 2]);
        (0..3).for_each(|n| c.wait_flags(0, n, "OK"));
    }
}

#[test]
fn scripts_are_listed_switched_and_run_by_hand() {
    let Some(c) = Cluster::for_test("scripts_are_listed_switched_and_run", &recorded()) else { return };
    let list = |node| c.ctdb(node, &["event", "script", "list", "legacy"]);
    assert!(list(1).contains("* 10.interface\n") && list(1).contains("* 50.record\n"), "{}", list(1));
    let before = count(&c, 1, "ipreallocated");
    let run = ["event", "run", "10", "legacy", "ipreallocated"];
    assert_eq!(c.try_ctdb(1, &run), (0, String::new(), String::new()));
    wait_count(&c, 1, "ipreallocated", before + 1);
    let switch = |word| c.try_ctdb(1, &["event", "script", word, "legacy", "50.record"]);
    assert_eq!(switch("disable"), (0, String::new(), String::new()));
    assert!(list(1).contains("  50.record\n"), "{}", list(1));
    let before = count(&c, 1, "ipreallocated");
    let _ = c.ctdb(1, &run);
    assert_eq!(count(&c, 1, "ipreallocated"), before, "a disabled script does not run");
    let status = c.ctdb(1, &["event", "status", "legacy", "ipreallocated"]);
    assert!(status.contains("50.record            DISABLED"), "{status}");
    assert_eq!(switch("enable"), (0, String::new(), String::new()));
    let _ = c.ctdb(1, &run);
    assert_eq!(count(&c, 1, "ipreallocated"), before + 1);
    let (code, _, err) = c.try_ctdb(1, &["event", "script", "enable", "legacy", "99.none"]);
    assert!(code == 2 && err.contains("Script 99.none does not exist in legacy"), "{code} {err}");
    let (code, _, err) = c.try_ctdb(1, &["event", "run", "10", "legacy", "nonsense"]);
    assert!(code != 0 && err.contains("nonsense"), "{code} {err}");
}
