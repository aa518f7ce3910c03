//! The second layer: daemon, guard and gate are all gone, and the addresses go away by themselves.

use super::{SOON, trial};
use std::time::{Duration, Instant};
use tests::lab::wait_for;

/// Six addresses live for 15 s, and the kernel is up to a second late.
const LIFETIME: Duration = Duration::from_secs(15);

#[test]
fn addresses_outlive_daemon_guard_and_gate_by_seconds_only() {
    let name = "addresses_outlive_daemon_guard_and_gate_by_seconds_only";
    let Some(mut t) = trial(name, &[]) else { return };
    let (victim, _) = t.roles();
    let lost = t.c.of(victim);
    // Refreshed for longer than they live by themselves, without a word in the journal.
    let all = t.c.addresses.clone();
    t.undisturbed("lifetimes are refreshed", &all, LIFETIME * 3 / 2, |_| ());
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
