//! The private network in parts, the public one and the lock file whole: the case in which CTDB has every address twice.

use super::{BOUND, Trial, trial, trial_by_quorum};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Nobody has this hardware address.
const NOWHERE: [u8; 6] = [2, 0, 0, 0, 0xde, 0xad];

fn private(node: usize) -> IpAddr {
    Ipv4Addr::new(192, 168, 20, 41 + u8::try_from(node).unwrap()).into()
}

/// What this node sends to its peers goes nowhere; what they send arrives.
pub(super) fn mute(t: &Trial, node: usize) {
    for peer in (0..3).filter(|p| *p != node) {
        t.c.lab.node(node).set_neighbour("priv0", private(peer), NOWHERE).unwrap();
    }
}

pub(super) fn unmute(t: &Trial, node: usize) {
    for peer in (0..3).filter(|p| *p != node) {
        let mac = t.c.lab.node(peer).link_state("priv0").unwrap().mac;
        t.c.lab.node(node).set_neighbour("priv0", private(peer), mac).unwrap();
    }
}

/// Cuts the recmaster and a follower off, one after the other, in this way.
fn both_roles(mut t: Trial, how: &str, cut: fn(&Trial, usize), heal: fn(&Trial, usize)) {
    for role in ["follower", "recmaster"] {
        let (follower, leader) = t.roles();
        let victim = if role == "follower" { follower } else { leader };
        let label = format!("the {role} {how}");
        t.strike(&label, &[victim], BOUND, |t| cut(t, victim));
        heal(&t, victim);
        t.whole_again(&label);
    }
}

fn cut(t: &Trial, node: usize) {
    t.c.lab.cut_private(node).unwrap();
}

fn heal(t: &Trial, node: usize) {
    t.c.lab.heal_private(node).unwrap();
}

#[test]
fn node_cut_off_from_its_peers_is_silent_and_comes_back() {
    let Some(t) = trial("node_cut_off_from_its_peers", &[]) else { return };
    both_roles(t, "is cut off", cut, heal);
}

#[test]
fn node_cut_off_from_its_peers_is_outvoted() {
    let Some(t) = trial_by_quorum("node_cut_off_is_outvoted", &[]) else { return };
    both_roles(t, "is cut off", cut, heal);
}

#[test]
fn node_that_is_not_heard_is_outvoted() {
    let Some(t) = trial_by_quorum("node_that_is_not_heard_is_outvoted", &[]) else { return };
    both_roles(t, "hears the others but is not heard", mute, unmute);
}

#[test]
fn recmaster_with_the_lock_file_that_is_not_heard_gives_way() {
    // It hears and has the lock, but nobody answers it: it offers the lock after two lease times (docs/leases.md section 6). Only its own
    // addresses move, and only they are silent meanwhile.
    let Some(mut t) = trial("recmaster_with_the_lock_file_that_is_not_heard", &[]) else { return };
    let (_, leader) = t.roles();
    let label = "the recmaster hears the others but is not heard";
    t.strike(label, &[leader], BOUND, |t| mute(t, leader));
    unmute(&t, leader);
    t.whole_again(label);
}

#[test]
fn three_parts_never_serve_twice() {
    let Some(t) = trial("three_parts_never_serve_twice", &[("LeaseTime", 500), ("LeaderlessGrace", 1500)])
    else {
        return;
    };
    (0..3).for_each(|n| t.c.lab.cut_private(n).unwrap());
    // Whoever has the lock may serve everything once the grace of the others is over: long enough to see that happen.
    std::thread::sleep(Duration::from_secs(4));
    t.nothing_twice("1|1|1");
    (0..3).for_each(|n| t.c.lab.heal_private(n).unwrap());
    t.whole_again("1|1|1 healed");
}
