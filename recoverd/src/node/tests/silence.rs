//! Who is DISCONNECTED because nothing is heard of it, and how many messages that takes. KeepaliveInterval 5 s, KeepaliveLimit 5.

use super::bench::{Bench, PEER};
use super::world::World;
use crate::action::Action;
use crate::model::*;
use crate::msg::{NodeState, PeerMsg};
use std::time::Duration;

const S: fn(u64) -> Duration = Duration::from_secs;

fn leader(w: &World) -> u32 {
    let mut known = w.hosts.iter().filter_map(|h| h.node.as_ref()?.status().leader);
    known.next_back().unwrap_or_else(|| panic!("no recmaster\n{}", w.describe())).0
}

/// Who sees this node as DISCONNECTED.
fn missed_by(w: &World, node: u32) -> Vec<u32> {
    let sees = |n: u32| {
        let Some(seer) = w.hosts[n as usize].node.as_ref().filter(|_| n != node) else { return false };
        seer.status().nodes[node as usize].flags.intersects(NodeFlags::DISCONNECTED)
    };
    (0..w.hosts.len() as u32).filter(|n| sees(*n)).collect()
}

fn others(w: &World, node: u32) -> Vec<u32> {
    (0..w.hosts.len() as u32).filter(|n| *n != node && w.hosts[*n as usize].node.is_some()).collect()
}

/// Nothing reaches it, nothing comes from it, and no link breaks: as when its host has lost power.
fn silence(w: &mut World, node: u32) {
    for n in others(w, node) {
        cut(w, n, node);
    }
}

fn cut(w: &mut World, a: u32, b: u32) {
    w.mute.extend([(a, b), (b, a)]);
}

/// A world at rest, with its recmaster and two of its followers. It has no addresses: without leases a cut gives one to two nodes.
fn at_rest(nodes: u32) -> (World, u32, u32, u32) {
    let mut w = World::serving(nodes, &[], |_| {});
    // Not a multiple of anything.
    w.run(Duration::from_millis(61_700));
    let recmaster = leader(&w);
    let followers = others(&w, recmaster);
    (w, recmaster, followers[0], followers[1])
}

fn nobody_is_missed(w: &World) {
    for n in 0..w.hosts.len() as u32 {
        if w.hosts[n as usize].node.is_some() {
            assert_eq!(missed_by(w, n), [0u32; 0], "node {n}\n{}", w.describe());
        }
    }
}

#[test]
fn messages_at_rest_grow_linearly_with_the_nodes() {
    for nodes in [4, 16, 64] {
        let (mut w, ..) = at_rest(nodes);
        w.sent = 0;
        w.run(S(50));
        nobody_is_missed(&w);
        // In each interval a follower is asked by the recmaster, and asks one other.
        let most = 4 * (nodes as usize - 1) * 10;
        assert!(w.sent > 0 && w.sent <= most + most / 10, "{nodes} nodes: {} messages in 50 s", w.sent);
    }
}

#[test]
fn a_silent_follower_is_disconnected_everywhere_when_keepalive_interval_times_limit_have_passed() {
    for nodes in [3, 4, 9] {
        let (mut w, _, follower, _) = at_rest(nodes);
        silence(&mut w, follower);
        w.run(S(9));
        assert_eq!(missed_by(&w, follower), [0u32; 0], "too early\n{}", w.describe());
        w.run(S(16) + Duration::from_millis(1));
        assert_eq!(missed_by(&w, follower), others(&w, follower), "{}", w.describe());
        // It is alone and sees that, too: first the recmaster is missed, then everybody. And nobody else is missed.
        w.run(S(30));
        for n in others(&w, follower) {
            assert_eq!(missed_by(&w, n), [follower], "node {n}\n{}", w.describe());
        }
    }
}

#[test]
fn a_silent_recmaster_is_disconnected_everywhere_and_the_followers_keep_each_other() {
    let (mut w, recmaster, ..) = at_rest(5);
    silence(&mut w, recmaster);
    w.run(S(25) + Duration::from_millis(1));
    assert_eq!(missed_by(&w, recmaster), others(&w, recmaster), "{}", w.describe());
    // The lock stays with it: there is no recmaster for long.
    w.run(S(100));
    for n in others(&w, recmaster) {
        assert_eq!(missed_by(&w, n), [recmaster], "node {n}\n{}", w.describe());
    }
}

#[test]
fn after_a_change_of_the_recmaster_nobody_is_missed_who_lives_and_everybody_who_does_not() {
    let (mut w, recmaster, ..) = at_rest(5);
    w.kill(recmaster);
    w.run(S(1));
    let second = leader(&w);
    assert_ne!(second, recmaster);
    let follower = others(&w, second)[1];
    silence(&mut w, follower);
    w.run(S(30));
    for n in others(&w, follower) {
        assert_eq!(missed_by(&w, n), [follower], "node {n}\n{}", w.describe());
    }
    assert_eq!(missed_by(&w, follower), others(&w, follower), "{}", w.describe());
}

#[test]
fn no_message_is_sent_only_because_the_recmaster_is_lost() {
    let (mut w, recmaster, ..) = at_rest(16);
    silence(&mut w, recmaster);
    let known = |w: &World| {
        let left = others(w, recmaster);
        left.iter().filter_map(|n| w.hosts[*n as usize].node.as_ref()?.recmaster()).count()
    };
    let mut most = 0;
    for _ in 0..300 {
        w.sent = 0;
        w.run(Duration::from_millis(100));
        most = most.max(w.sent);
        if known(&w) == 0 {
            break;
        }
    }
    assert_eq!(known(&w), 0, "{}", w.describe());
    // Their turns come at the same moment; each asking each would be fifteen times that.
    assert!(most <= 4 * 16, "{most} messages in 0.1 s");
}

#[test]
fn a_node_that_only_the_recmaster_does_not_reach_stays_connected_with_the_others() {
    for both in [true, false] {
        let (mut w, recmaster, follower, other) = at_rest(4);
        w.mute.insert((follower, recmaster));
        if both {
            w.mute.insert((recmaster, follower));
        }
        w.run(S(26));
        assert_eq!(missed_by(&w, follower), [recmaster], "{}", w.describe());
        w.run(S(100));
        assert_eq!(missed_by(&w, follower), [recmaster], "{}", w.describe());
        assert_eq!(missed_by(&w, recmaster), [follower], "{}", w.describe());
        // It is asked because the recmaster calls it silent: when it dies, too, that is seen.
        silence(&mut w, follower);
        w.run(S(26));
        assert!(missed_by(&w, follower).contains(&other), "{}", w.describe());
        // It comes back.
        w.mute.clear();
        others(&w, follower).into_iter().for_each(|n| w.connect(n, follower));
        w.run(S(60));
        nobody_is_missed(&w);
    }
}

#[test]
fn a_link_of_two_followers_that_looks_well_and_is_dead_is_found_in_turn() {
    let (mut w, recmaster, a, b) = at_rest(5);
    cut(&mut w, a, b);
    // Three others in turn, and the patience of the one that is asked last.
    w.run(S(3 * 5 + 20));
    assert_eq!((missed_by(&w, a), missed_by(&w, b)), (vec![b], vec![a]), "{}", w.describe());
    assert_eq!(missed_by(&w, recmaster), [0u32; 0], "{}", w.describe());
}

fn states(actions: &[Action]) -> Vec<&NodeState> {
    let state = |a| match a {
        &Action::Send { to: PEER, msg: PeerMsg::State(ref s) } => Some(s),
        _ => None,
    };
    actions.iter().filter_map(state).collect()
}

#[test]
fn who_is_asked_answers_once_and_wants_no_answer() {
    let mut b = Bench::serving();
    assert!(states(&b.state(true)).is_empty(), "nobody asked");
    let told = |actions: &[Action]| states(actions).iter().map(|s| s.answer_wanted).collect::<Vec<_>>();
    b.asking.1 = true;
    assert_eq!(told(&b.state(true)), [false]);
    b.asking.1 = false;
    // The recmaster asks; only when it is late is it asked, and once.
    assert!(states(&b.later(S(5))).is_empty());
    assert_eq!(told(&b.later(S(3))), [true]);
    assert!(states(&b.later(S(5))).is_empty());
}

#[test]
fn a_version_that_asks_nobody_is_told_every_interval_and_missed_like_any_other() {
    let mut b = Bench::serving();
    b.asking.0 = false;
    b.state(true);
    for _ in 0..12 {
        assert_eq!(states(&b.later(S(5))).len(), 1, "it is told");
        b.state(true);
    }
    assert_eq!(b.node.status().leader, Some(PEER));
    b.later(S(8));
    let dropped = b.later(S(18));
    assert!(dropped.iter().any(|a| matches!(a, Action::DropPeer { pnn: PEER })), "{dropped:?}");
}
