//! The second layer: daemon, guard and gate are all gone, and the addresses go away by themselves.

use super::{SOON, children, signal, trial};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Lab, LabConfig, wait_for};

/// Six addresses live for 15 s, and the kernel is up to a second late.
const LIFETIME: Duration = Duration::from_secs(15);

#[test]
fn addresses_outlive_daemon_guard_and_gate_by_seconds_only() {
    let name = "addresses_outlive_daemon_guard_and_gate_by_seconds_only";
    let Some(mut t) = trial(name, &[]) else { return };
    let (victim, _) = t.roles();
    let lost = t.c.of(victim);
    // Refreshed for longer than they live by themselves (the kernel is up to a second late), without a word in the journal.
    let all = t.c.addresses.clone();
    t.undisturbed("lifetimes are refreshed", &all, LIFETIME + Duration::from_secs(3), |_| ());
    assert_eq!(t.c.of(victim), lost);
    t.kill_everything(victim);
    let began = Instant::now();
    let flush = t.c.lab.node(victim).command("nft").args(["flush", "ruleset"]).output(SOON);
    let Ok(flush) = flush else {
        println!("skipped: the flush in {name}: needs nft");
        return;
    };
    assert!(flush.status.success(), "{flush:?}");
    let there = || t.c.lab.node(victim).all_addresses().unwrap();
    assert!(there().iter().any(|a| lost.contains(&a.address)), "they are there: nobody removed them");
    wait_for("the addresses of the dead daemon to go", LIFETIME + SOON, || {
        let left: Vec<_> = there().into_iter().filter(|a| lost.contains(&a.address)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .unwrap();
    println!("measured: {name}: they are gone after {:?}", began.elapsed());
    assert!(began.elapsed() < LIFETIME + Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn without_leases_addresses_are_for_ever() {
    let Some(t) = trial("without_leases_addresses_are_for_ever", &[("LeaseTime", 0)]) else { return };
    let output = t.c.lab.node(0).command("ip").args(["-o", "address", "show", "to", "10.0.0.0/24"]);
    let Ok(output) = output.output(SOON) else {
        println!("skipped: without_leases_addresses_are_for_ever: needs iproute2");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = |line: &&str| t.c.addresses.iter().any(|a| line.contains(&format!("{a}/")));
    assert!(text.lines().any(|l| ours(&l)), "{text}");
    assert!(text.lines().filter(ours).all(|l| l.contains("valid_lft forever")), "{text}");
}

#[test]
fn a_node_without_a_gate_says_so_and_relies_on_short_lifetimes() {
    let name = "a_node_without_a_gate_says_so";
    let config = ClusterConfig { nodes: 1, no_reclock: true, ..ClusterConfig::default() };
    let lab_config = LabConfig { nodes: 1, public_ifaces: config.ifaces.clone() };
    let Some(lab) = Lab::for_test(name, &lab_config) else { return };
    let mut c = Cluster::prepare(lab, &config).unwrap();
    // Ticks go over `lo`.
    c.lab.link_down(0, "lo").unwrap();
    c.start(0).unwrap();
    c.wait_balanced(&[0]);
    c.wait_output(0, &["lease"], |out| out.contains("Gate: degraded: no gate: "));
    let _ = c.ctdb(0, &["ipreallocate"]);
    let probe = c.probe();
    let mark = probe.mark("lifetimes of 5 s are refreshed");
    std::thread::sleep(Duration::from_secs(8));
    for (address, seen) in &probe.report_since(&mark).unwrap().addresses {
        assert_eq!(seen.lost, 0, "{address}: {:?}", seen.gaps);
    }
    // Nobody takes them off; the guard would.
    let (daemon, began) = (c.daemon(0).pid(), Instant::now());
    let mut family = vec![daemon];
    family.extend(children(daemon));
    signal(&family, Signal::SIGSTOP);
    wait_for("the addresses of the hanging daemon to go", SOON, || {
        if c.of(0).is_empty() { Ok(()) } else { Err(format!("{:?}", c.of(0))) }
    })
    .unwrap();
    println!("measured: {name}: the addresses of a daemon that hangs are gone after {:?}", began.elapsed());
    signal(&family, Signal::SIGCONT);
    c.wait_balanced(&[0]);
}
