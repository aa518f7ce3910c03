//! Machines that hang, and come back believing that nothing has happened.

use super::{BOUND, Trial, trial, trial_by_quorum};
use std::time::{Duration, Instant};

/// As long as the machine hangs.
const HANGS: Duration = Duration::from_secs(3);

/// What the journals of the victim and of the recmaster say about it.
fn hang(t: &mut Trial, victim: usize, role: &str) -> [String; 2] {
    let label = format!("the {role} hangs");
    let began = Instant::now();
    t.strike(&label, &[victim], BOUND, |t| t.freeze(victim));
    // It is still frozen: what it finds when it comes back is what counts.
    std::thread::sleep(HANGS.saturating_sub(began.elapsed()));
    t.thaw(victim);
    t.whole_again(&label);
    // Both tell it.
    let lapsed = t.c.wait_entry(victim, "state", |text| text.contains("has lapsed: the gate is shut"));
    // And why: a machine that stood still is told from a network that is broken.
    let _ = t.c.wait_entry(victim, "lease", |text| text.contains("the lease thread did not run for"));
    let recmaster = t.c.leader_seen_by((victim + 1) % 3);
    let fenced =
        t.c.wait_entry(recmaster, "peer", |text| text.contains(&format!("node {victim} holds nothing")));
    [lapsed, fenced]
}

#[test]
fn hanging_follower_is_fenced_and_comes_back() {
    let Some(mut t) = trial("hanging_follower_is_fenced", &[]) else { return };
    let (follower, _) = t.roles();
    let [lapsed, fenced] = hang(&mut t, follower, "follower");
    let session = lapsed.split_once("session ").unwrap().1.split(' ').next().unwrap();
    assert!(fenced.contains(session), "the same story with the same ids: {lapsed}\n{fenced}");
}

#[test]
fn hanging_recmaster_is_fenced_and_comes_back() {
    let Some(mut t) = trial_by_quorum("hanging_recmaster_is_fenced", &[]) else { return };
    let (_, leader) = t.roles();
    // The new recmaster never saw the session of the old one.
    let _ = hang(&mut t, leader, "recmaster");
}

#[test]
fn hanging_recmaster_that_keeps_the_lock_file_disturbs_nobody_else() {
    // Its kernel lives and keeps the lock for it: nobody can lead, but the others extend each other.
    let Some(mut t) = trial("hanging_recmaster_that_keeps_the_lock_file", &[]) else { return };
    let (follower, leader) = t.roles();
    let kept: Vec<_> = [follower, (leader + 2) % 3].iter().flat_map(|n| t.c.of(*n)).collect();
    let label = "the recmaster hangs with the lock";
    t.undisturbed(label, &kept, HANGS, |t| t.freeze(leader));
    t.thaw(leader);
    t.whole_again(label);
}
