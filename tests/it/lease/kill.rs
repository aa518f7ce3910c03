//! Daemons that die, with their guards and without.

use super::{BOUND, Trial, trial, trial_by_quorum};
use std::time::Duration;
use tests::cluster::SOON;
use tests::lab::wait_for;

/// Kills daemons in turn, and starts each one again.
fn one_after_the_other(t: &mut Trial, rounds: usize, bound: Duration, guard: bool) {
    for round in 0..rounds {
        for recmaster in [false, true] {
            let (follower, leader) = t.roles();
            let (victim, role) = if recmaster { (leader, "recmaster") } else { (follower, "follower") };
            let what = if guard { "daemon alone" } else { "daemon and guard" };
            let label = format!("kill -9 of the {role}'s {what}, round {round}");
            t.strike(&label, &[victim], bound, |t| {
                if guard {
                    t.c.daemon(victim).kill9().unwrap();
                } else {
                    t.kill_everything(victim);
                }
            });
            t.start(victim);
            t.whole_again(&label);
        }
    }
}

#[test]
fn killed_daemon_is_replaced_at_once() {
    let Some(mut t) = trial("killed_daemon_is_replaced_at_once", &[]) else { return };
    one_after_the_other(&mut t, 2, BOUND, true);
}

#[test]
fn with_quorum_the_guard_of_the_recmaster_is_believed_too() {
    // Its lease would last for 4 s at least.
    let name = "with_quorum_the_guard_of_the_recmaster_is_believed_too";
    let Some(mut t) = trial_by_quorum(name, &[("LeaseTime", 5000)]) else { return };
    let (_, leader) = t.roles();
    let label = "kill -9 of the recmaster's daemon alone, lock quorum";
    t.strike(label, &[leader], Duration::from_secs(3), |t| {
        t.c.daemon(leader).kill9().unwrap();
    });
    t.start(leader);
    t.whole_again(label);
}

#[test]
fn killed_daemon_and_guard_are_replaced_when_the_lease_is_over() {
    let Some(mut t) = trial("killed_daemon_and_guard_are_replaced", &[]) else { return };
    one_after_the_other(&mut t, 1, BOUND, false);
}

#[test]
fn fast_profile_is_fast() {
    let Some(mut t) = trial("fast_profile_is_fast", &[("LeaseTime", 200)]) else { return };
    one_after_the_other(&mut t, 2, Duration::from_secs(5), false);
}

#[test]
fn the_last_of_three_serves_everything() {
    // Alone it has no majority: it waits until the grace of the others is over too.
    let tunables = [("LeaseTime", 500), ("LeaderlessGrace", 1500)];
    let Some(mut t) = trial("the_last_of_three_serves_everything", &tunables) else { return };
    let (follower, leader) = t.roles();
    t.strike("two of three lost, the recmaster among them", &[follower, leader], BOUND, |t| {
        t.kill_everything(leader);
        t.kill_everything(follower);
    });
    t.start(leader);
    t.start(follower);
    t.whole_again("the two come back");
}

#[test]
fn without_leases_the_witness_sees_two() {
    // What all of this is for; and the witness can see it.
    let Some(t) = trial("without_leases_the_witness_sees_two", &[("LeaseTime", 0)]) else { return };
    let (follower, _) = t.roles();
    let lost = t.c.of(follower);
    let mark = t.probe.mark("kill -9 of daemon and guard without leases");
    t.kill_everything(follower);
    t.wait_served(&mark, &lost, &[follower]);
    wait_for("two nodes that answer for one address", SOON, || {
        let report = t.witness.report().map_err(|e| e.to_string())?;
        if report.duals.is_empty() { Err(format!("{} answers", report.answers)) } else { Ok(()) }
    })
    .unwrap();
}
