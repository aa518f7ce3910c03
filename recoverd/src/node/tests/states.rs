//! States and health as CTDB has them (reference/ctdb.md 1.7): how a node starts, when it is monitored, what it hosts in which state.

use super::bench::{Bench, begun};
use super::world::World;
use crate::action::Action;
use crate::command::{Command, Reply};
use crate::input::Input;
use crate::model::*;
use std::time::Duration;

const SIX: [&str; 6] = ["10.0.0.31", "10.0.0.32", "10.0.0.33", "10.0.0.34", "10.0.0.35", "10.0.0.36"];
const S: fn(u64) -> Duration = Duration::from_secs;

fn flags(w: &World, node: usize) -> NodeFlags {
    w.hosts[node].node.as_ref().unwrap().flags
}

#[test]
fn a_node_that_starts_as_disabled_is_healthy_takes_part_and_hosts_nothing_until_it_is_enabled() {
    let mut w = World::new(3, &SIX, |_| {});
    (0..2).for_each(|n| w.start(n));
    w.cfg.persistent.disabled = true;
    w.start(2);
    w.run(S(2));
    assert_eq!((flags(&w, 2), w.counts()), (NodeFlags::DISABLED, vec![3, 3, 0]), "{}", w.describe());
    assert!(w.hosts[2].events.contains(&"recovered".to_owned()), "it takes part: {:?}", w.hosts[2].events);
    assert_eq!(w.ask(2, Command::Enable), Reply::Ok);
    w.run(S(1));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
}

#[test]
fn a_node_that_starts_as_stopped_runs_and_stays_out_until_it_is_continued() {
    let mut w = World::new(3, &SIX, |_| {});
    (0..2).for_each(|n| w.start(n));
    w.cfg.persistent.stopped = true;
    w.start(2);
    w.run(S(20));
    assert!(flags(&w, 2).intersects(NodeFlags::STOPPED));
    assert_eq!(w.counts(), [3, 3, 0], "{}", w.describe());
    assert!(!w.hosts[2].events.contains(&"monitor".to_owned()), "a stopped node is not monitored");
    assert_eq!(w.ask(2, Command::Continue), Reply::Ok);
    w.run(S(20));
    assert_eq!((flags(&w, 2), w.counts()), (NodeFlags::NONE, vec![2, 2, 2]), "{}", w.describe());
}

#[test]
fn where_nobody_is_healthy_nobody_hosts() {
    let mut w = World::serving(3, &SIX, |_| {});
    let bad = EventOutcome::Failed { script: "50.test".into(), message: "down".into() };
    w.hosts.iter_mut().for_each(|h| drop(h.fail.insert("monitor", bad.clone())));
    w.run(S(20));
    assert_eq!(w.counts(), [0, 0, 0], "{}", w.describe());
    w.hosts[1].fail.clear();
    w.run(S(20));
    assert_eq!(w.counts(), [0, 6, 0], "{}", w.describe());
}

/// How long after the present one the next monitor begins, to a quarter of a second.
fn next_monitor(b: &mut Bench) -> u64 {
    for quarter in 1..100 {
        if begun(&b.later(Duration::from_millis(250))).contains(&"monitor".to_owned()) {
            return quarter;
        }
        // The local check asks for dumps all the time.
        if begun(&b.dump()).contains(&"monitor".to_owned()) {
            return quarter;
        }
    }
    panic!("no monitor in 25 s");
}

#[test]
fn monitor_runs_seldom_when_it_is_well_and_soon_after_a_change_of_flags() {
    let mut b = Bench::serving();
    // The first one of the start has ended well; from there 2, 4, 8 and 15 s.
    for seconds in [2, 4, 8, 15, 15] {
        let quarters = next_monitor(&mut b);
        assert!((seconds * 4 - 4..=seconds * 4 + 1).contains(&quarters), "{seconds} s: {quarters} quarters");
        b.end("monitor", EventOutcome::Ok);
    }
    b.feed(Input::Command { id: 1, command: Command::Disable });
    let quarters = next_monitor(&mut b);
    assert!((16..=21).contains(&quarters), "5 s after the flags changed: {quarters} quarters");
}

#[test]
fn other_nodes_are_unknown_until_the_first_recovery_is_over() {
    let mut b = Bench::new(|_| {});
    b.peer_up();
    b.state(true);
    let unknown = |b: &Bench| b.node.status().nodes.iter().map(|n| n.unknown).collect::<Vec<_>>();
    assert_eq!(unknown(&b), [true, false], "of the other, not of itself");
    for event in ["init", "setup"] {
        b.end(event, EventOutcome::Ok);
    }
    assert_eq!((b.node.runstate(), unknown(&b)), (RunState::FirstRecovery, vec![true, false]));
    for event in ["startrecovery", "recovered"] {
        b.end(event, EventOutcome::Ok);
    }
    assert_eq!((b.node.runstate(), unknown(&b)), (RunState::Startup, vec![false, false]));
}

#[test]
fn a_node_that_is_too_long_without_recmaster_drops_its_addresses() {
    let mut b = Bench::new(|c| {
        c.leader_capable = false;
        c.tunables.set("RecoveryDropAllIPs", 30).unwrap();
    });
    b.peer_up();
    b.state(true);
    for event in ["init", "setup", "startrecovery", "recovered", "startup", "monitor"] {
        b.end(event, EventOutcome::Ok);
    }
    b.take();
    b.put(&[super::world::IFACE]);
    b.end("takeip", EventOutcome::Ok);
    b.dump();
    b.feed(Input::PeerDown { pnn: super::bench::PEER, why: "reset".into() });
    let released = |events: Vec<String>| events.iter().any(|e| e.starts_with("releaseip"));
    assert!(!released(begun(&b.later(S(29)))), "not yet");
    assert!(released(begun(&b.later(S(2)))));
}

#[test]
fn an_address_that_an_operator_moved_stays_there_in_the_runs_that_follow() {
    for algorithm in 1..=3 {
        let mut w = World::serving(3, &SIX, |c| {
            c.tunables.set("IPAllocAlgorithm", algorithm).unwrap();
        });
        let addr = SIX[0].parse().unwrap();
        let from = w.holders()[0].unwrap();
        let to = (from + 1) % 3;
        assert_eq!(w.ask(from, Command::MoveIp { addr, to: Pnn(to) }), Reply::Ok);
        for n in 0..3 {
            assert_eq!(w.ask(n, Command::IpReallocate), Reply::Ok);
            assert_eq!(w.holders()[0], Some(to), "unlike in CTDB, algorithm {algorithm}\n{}", w.describe());
        }
    }
}

/// The place of an address is its turn, whatever was asked before: that is what algorithm 0 is chosen for.
#[test]
fn with_the_deterministic_algorithm_the_next_run_moves_an_address_back() {
    let mut w = World::serving(3, &SIX, |c| {
        c.tunables.set("IPAllocAlgorithm", 0).unwrap();
    });
    let addr = SIX[0].parse().unwrap();
    let home = w.holders()[0].unwrap();
    let to = (home + 1) % 3;
    assert_eq!(w.ask(0, Command::MoveIp { addr, to: Pnn(to) }), Reply::Ok);
    assert_eq!(w.holders()[0], Some(to));
    assert_eq!(w.ask(0, Command::IpReallocate), Reply::Ok);
    assert_eq!(w.holders()[0], Some(home), "{}", w.describe());
}

#[test]
fn init_or_setup_that_fails_ends_the_daemon() {
    let bad: fn() -> EventOutcome =
        || EventOutcome::Failed { script: "05.system".into(), message: "no".into() };
    let hung: fn() -> EventOutcome = || EventOutcome::TimedOut { script: "05.system".into() };
    for outcome in [bad, hung] {
        for fails in ["init", "setup"] {
            let mut b = Bench::new(|_| {});
            if fails == "setup" {
                b.end("init", EventOutcome::Ok);
            }
            let exit = b.end(fails, outcome()).into_iter().find_map(|a| match a {
                Action::Exit { code, why } => Some((code, why)),
                _ => None,
            });
            let (code, why) = exit.unwrap_or_default();
            assert!(code == 1 && why.starts_with(&format!("event {fails}: ")), "{code} {why}");
        }
    }
}
