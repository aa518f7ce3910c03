//! The stories of "first light" on the pure machine; the lab tells them again on real interfaces.

use super::world::{IFACE, World};
use crate::command::{Command, Reply};
use crate::model::EventOutcome;
use std::time::Duration;

const SIX: [&str; 6] = ["10.0.0.31", "10.0.0.32", "10.0.0.33", "10.0.0.34", "fd00:a::31", "fd00:a::32"];
const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn a_fresh_cluster_serves_all_addresses_with_one_allocation() {
    let w = World::serving(3, &SIX, |_| {});
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    let takes = w.hosts.iter().flat_map(|h| &h.events).filter(|e| e.starts_with("takeip")).count();
    assert_eq!(takes, 6, "no address was moved after it was placed\n{}", w.describe());
}

#[test]
fn a_node_alone_serves_everything_and_shares_when_others_come() {
    let mut w = World::new(3, &SIX, |_| {});
    w.start(1);
    w.run(MS(600));
    assert_eq!(w.counts(), [0, 6, 0], "{}", w.describe());
    w.start(0);
    w.start(2);
    w.run(MS(600));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
}

#[test]
fn a_node_that_joins_recovers_after_its_setup_and_complains_of_nothing() {
    let mut w = World::new(3, &SIX, |_| {});
    w.start(1);
    w.start(2);
    w.run(MS(600));
    w.start(0);
    w.run(MS(3000));
    // Runs of the others that end meanwhile are told to it too.
    let own = w.hosts[0].events.iter().filter(|e| *e != "ipreallocated");
    assert_eq!(
        own.take(5).collect::<Vec<_>>(),
        ["init", "setup", "startrecovery", "recovered", "startup"],
        "{}",
        w.describe()
    );
    for n in 0..3 {
        assert!(!w.journal_has(n, "is not assigned and we could serve"), "{}", w.describe());
    }
}

#[test]
fn what_happens_right_after_the_first_run_of_an_epoch_is_acted_on_at_once() {
    let mut w = World::new(3, &SIX, |_| {});
    (0..3).for_each(|n| w.start(n));
    w.run(MS(80));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    w.command(1, Command::Disable);
    w.run(MS(50));
    assert_eq!(w.counts(), [3, 0, 3], "{}", w.describe());
}

#[test]
fn a_node_that_dies_during_a_run_is_replaced_at_once() {
    for when in [300, 700, 1000, 1500, 2500, 4000, 6000] {
        let mut w = World::serving(3, &SIX, |_| {});
        let leader = w.hosts[0].node.as_ref().unwrap().status().leader.unwrap().0;
        let (asks, dies) = ((leader + 1) % 3, (leader + 2) % 3);
        w.command(asks, Command::IpReallocate);
        w.run(Duration::from_micros(when));
        w.kill(dies);
        w.run(MS(60));
        let mut want = vec![3, 3, 3];
        want[dies as usize] = 0;
        assert_eq!(w.counts(), want, "killed after {when} us\n{}", w.describe());
    }
}

#[test]
fn without_a_lock_the_longest_running_node_leads() {
    let mut w = World::new(3, &SIX, |c| c.has_lock = false);
    w.start(2);
    w.run(MS(100));
    w.start(0);
    w.start(1);
    w.run(MS(1000));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    let leader = w.hosts[0].node.as_ref().unwrap().status().leader;
    assert_eq!(leader.map(|p| p.0), Some(2));
    w.kill(2);
    w.run(MS(100));
    assert_eq!(w.counts(), [3, 3, 0], "{}", w.describe());
}

#[test]
fn a_removed_address_is_put_back_at_once_by_local_repair() {
    let mut w = World::serving(3, &SIX, |_| {});
    let (addr, n) = (w.cfg.public_addresses[0].addr, w.holders()[0].unwrap());
    w.set_addr(n, addr, None);
    w.run(MS(5));
    assert_eq!(w.holders()[0], Some(n), "{}", w.describe());
    assert!(w.journal_has(n, "was removed: putting it back"), "{}", w.describe());
    assert!(w.controls.is_empty(), "no run was needed: {:?}", w.controls);
}

#[test]
fn without_local_repair_the_recovery_loop_asks_for_a_run_that_takes_it_again() {
    let mut w = World::serving(3, &SIX, |c| drop(c.tunables.set("LocalRepair", 0)));
    let (addr, n) = (w.cfg.public_addresses[0].addr, w.holders()[0].unwrap());
    let before = w.holders();
    w.hosts.iter_mut().for_each(|h| h.events.clear());
    w.set_addr(n, addr, None);
    w.run(MS(1300));
    w.hosts[n as usize].events.retain(|e| e != "monitor");
    assert_eq!(w.holders(), before, "{}", w.describe());
    let took: Vec<_> = w.controls.iter().filter(|c| c.2 == "TAKEOVER_IP").collect();
    assert_eq!(
        w.hosts[n as usize].events,
        ["startipreallocate", &format!("takeip {IFACE} {addr} 24"), "ipreallocated"]
    );
    assert!(took.len() <= 1, "{took:?}");
    assert!(w.controls.iter().all(|c| c.2 != "RELEASE_IP"), "nothing else was touched: {:?}", w.controls);
    assert!(w.hosts.iter().all(|h| h.events.iter().any(|e| e == "ipreallocated")));
}

#[test]
fn a_stray_address_is_removed() {
    let mut w = World::serving(3, &SIX, |_| {});
    let (addr, n) = (w.cfg.public_addresses[0].addr, w.holders()[0].unwrap());
    let other = (n + 1) % 3;
    w.hosts[0].events.push("by hand".into());
    w.set_addr(other, addr, Some(IFACE));
    w.run(MS(20));
    assert!(!w.hosts[other as usize].kernel.addrs.contains_key(&addr), "{}", w.describe());
    assert_eq!(w.holders()[0], Some(n));
    assert!(w.journal_has(other, "removing it"), "{}", w.describe());
}

#[test]
fn a_killed_node_is_replaced_and_gets_its_share_again() {
    for victim in 0..3u32 {
        let mut w = World::serving(3, &SIX, |_| {});
        w.kill(victim);
        w.run(MS(50));
        let mut want = vec![3, 3, 3];
        want[victim as usize] = 0;
        assert_eq!(w.counts(), want, "victim {victim}\n{}", w.describe());
        w.start(victim);
        w.run(MS(500));
        assert_eq!(w.counts(), [2, 2, 2], "victim {victim}\n{}", w.describe());
    }
}

#[test]
fn a_lost_link_moves_addresses_and_its_return_balances() {
    let mut w = World::serving(3, &SIX, |_| {});
    w.hosts[1]
        .fail
        .insert("monitor", EventOutcome::Failed { script: "10.interface".into(), message: "no link".into() });
    w.set_link(1, false);
    w.run(MS(50));
    assert_eq!(w.counts(), [3, 0, 3], "{}", w.describe());
    w.hosts[1].fail.clear();
    w.set_link(1, true);
    w.run(MS(50));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
}

#[test]
fn operators_move_addresses() {
    let mut w = World::serving(3, &SIX, |_| {});
    assert_eq!(w.ask(1, Command::Disable), Reply::Ok);
    assert_eq!(w.counts(), [3, 0, 3], "{}", w.describe());
    assert_eq!(w.ask(1, Command::Disable), Reply::Note("Node 1 is already disabled".into()));
    assert_eq!(w.ask(1, Command::Enable), Reply::Ok);
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    assert_eq!(w.ask(1, Command::Enable), Reply::Note("Node 1 is not disabled".into()));
    for n in [0, 2] {
        assert_eq!(w.ask(n, Command::Stop), Reply::Ok);
        assert_eq!(w.counts()[n as usize], 0, "{}", w.describe());
        assert_eq!(w.counts().iter().sum::<usize>(), 6, "{}", w.describe());
        assert_eq!(w.ask(n, Command::Stop), Reply::Note(format!("Node {n} is already stopped")));
        assert_eq!(w.ask(n, Command::Continue), Reply::Ok);
        assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    }
    let addr = w.cfg.public_addresses[0].addr;
    let to = crate::model::Pnn((w.holders()[0].unwrap() + 1) % 3);
    assert_eq!(w.ask(0, Command::MoveIp { addr, to }), Reply::Ok);
    assert_eq!(w.holders()[0], Some(to.0), "{}", w.describe());
    w.run(Duration::from_secs(5));
    assert_eq!(w.holders()[0], Some(to.0), "it stays\n{}", w.describe());
}

#[test]
fn a_stopping_daemon_hands_over_first() {
    for victim in 0..3u32 {
        let mut w = World::serving(3, &SIX, |_| {});
        w.command(victim, Command::Shutdown);
        w.run(MS(60));
        assert_eq!(w.hosts[victim as usize].exited, Some(0), "{}", w.describe());
        let mut want = vec![3, 3, 3];
        want[victim as usize] = 0;
        assert_eq!(w.counts(), want, "victim {victim}\n{}", w.describe());
        assert_eq!(w.hosts[victim as usize].events.last().map(String::as_str), Some("shutdown"));
    }
}

#[test]
fn a_stopping_daemon_stays_for_the_extra_time() {
    let mut w = World::serving(3, &SIX, |c| c.shutdown_extra = Duration::from_secs(3));
    w.command(1, Command::Shutdown);
    w.run(MS(2900));
    assert_eq!((w.hosts[1].exited, w.counts()), (None, vec![3, 0, 3]), "{}", w.describe());
    w.run(MS(300));
    assert_eq!(w.hosts[1].exited, Some(0), "{}", w.describe());
}

#[test]
fn the_last_node_releases_everything_when_it_stops() {
    let mut w = World::serving(1, &SIX, |_| {});
    assert_eq!(w.counts(), [6]);
    w.command(0, Command::Shutdown);
    w.run(MS(60));
    assert_eq!((w.hosts[0].exited, w.counts()), (Some(0), vec![0]), "{}", w.describe());
}

#[test]
fn a_ban_drops_everything_and_runs_out() {
    let mut w = World::serving(3, &SIX, |_| {});
    assert_eq!(w.ask(1, Command::Ban { seconds: 30 }), Reply::Ok);
    assert_eq!(w.counts(), [3, 0, 3], "{}", w.describe());
    w.run(Duration::from_secs(31));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
}

#[test]
fn a_node_that_fails_twice_is_banned() {
    let mut w = World::serving(3, &SIX, |_| {});
    w.hosts[1].fail.insert("takeip", EventOutcome::Failed { script: "50.mine".into(), message: "no".into() });
    w.command(0, Command::Disable);
    w.run(Duration::from_secs(4));
    assert!(w.journal_has(1, "banned for 300 s"), "{}", w.describe());
    assert_eq!(w.counts(), [0, 0, 6], "{}", w.describe());
}

#[test]
fn unhealthy_after_a_failed_monitor_at_once_after_timeouts_late() {
    let mut w = World::serving(3, &SIX, |c| drop(c.tunables.set("MonitorTimeoutCount", 3)));
    w.hosts[2].fail.insert("monitor", EventOutcome::TimedOut { script: "50.slow".into() });
    w.run(Duration::from_secs(10));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    w.run(Duration::from_secs(40));
    assert_eq!(w.counts(), [3, 3, 0], "{}", w.describe());
}

#[test]
fn startup_is_retried() {
    let mut w = World::new(1, &SIX, |_| {});
    w.hosts[0]
        .fail
        .insert("startup", EventOutcome::Failed { script: "60.nfs".into(), message: "not yet".into() });
    w.start(0);
    w.run(Duration::from_secs(3));
    assert_eq!(w.counts(), [0]);
    w.hosts[0].fail.clear();
    w.run(Duration::from_secs(3));
    assert_eq!(w.counts(), [6], "{}", w.describe());
}

#[test]
fn plan_and_why_answer_on_the_recmaster_only() {
    let mut w = World::serving(3, &SIX, |_| {});
    let leader = w.hosts[0].node.as_ref().unwrap().status().leader.unwrap();
    let other = (leader.0 + 1) % 3;
    let what_if = crate::takeover::WhatIf { down: vec![crate::model::Pnn(other)], ..Default::default() };
    assert_eq!(w.ask(other, Command::Plan { what_if: what_if.clone() }), Reply::AskLeader(Some(leader)));
    let Reply::Plan(plan) = w.ask(leader.0, Command::Plan { what_if }) else { panic!("no plan") };
    assert_eq!(plan.report.plan.as_ref().unwrap().moves.len(), 2);
    assert_eq!(w.counts(), [2, 2, 2], "a plan moves nothing");
    let addr = w.cfg.public_addresses[0].addr;
    let Reply::Why(why) = w.ask(leader.0, Command::Why { addr }) else { panic!("no why") };
    assert_eq!(why.explanation.owner.map(|p| p.0), w.holders()[0]);
    assert!(why.decided_by.is_some());
    assert_eq!(why.explanation.others.len(), 2);
    let sentence = why.explanation.one_sentence();
    assert!(!sentence.contains("kept"), "it says why the address was put there: {sentence}");
}

#[test]
fn the_last_active_node_can_be_stopped() {
    let mut w = World::serving(1, &SIX, |_| {});
    assert_eq!(w.ask(0, Command::Stop), Reply::Ok);
    w.run(MS(50));
    assert_eq!(w.counts(), [0], "{}", w.describe());
    assert_eq!(w.ask(0, Command::Continue), Reply::Ok);
    assert_eq!(w.counts(), [6], "{}", w.describe());
}
