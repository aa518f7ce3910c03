//! Runs without failures: what is sent and what is not.

use super::world::{World, config, ip};
use crate::control::{Answer, Control, ControlKind};
use crate::model::{Mono, NodeFlags, Pnn, RunState};
use crate::plan::MoveReason;
use crate::takeover::{PhaseName, Run, RunAction, RunReport, RunResult};
use std::net::IpAddr;

fn first(world: &mut World) -> Box<RunReport> {
    let (_, report) = world.run(config(), |_| 0);
    assert!(world.broken.is_empty(), "{:?}", world.broken);
    report
}

#[test]
fn nothing_to_change_sends_no_release_and_no_take() {
    let mut w = World::healthy(3, &[Some(0), Some(1), Some(2)]);
    let report = first(&mut w);
    assert_eq!(report.result, RunResult::Ok);
    assert!(report.plan.unwrap().is_empty());
    assert!(w.sent_of(ControlKind::ReleaseIp).is_empty() && w.sent_of(ControlKind::TakeoverIp).is_empty());
    assert_eq!(w.sent_of(ControlKind::StartIpreallocate).len(), 3);
    let last = w.sent.last().unwrap().1.clone();
    let owners = vec![(ip(3), Some(Pnn(2))), (ip(2), Some(Pnn(1))), (ip(1), Some(Pnn(0)))];
    let Control::Ipreallocated { run, owners: told, nodes } = last else { panic!("{last:?}") };
    assert_eq!((run, told), (config().id, owners));
    assert_eq!(nodes.len(), 3);
}

/// Story a of the first issue: somebody restarts the network of a node.
#[test]
fn an_address_that_vanished_is_taken_again_by_the_same_node() {
    let mut w = World::healthy(3, &[Some(0), Some(1), Some(2)]);
    w.entry(1, ip(2)).held = false;
    let report = first(&mut w);
    assert!(report.result.is_ok() && report.plan.unwrap().moves.is_empty());
    assert!(w.sent_of(ControlKind::ReleaseIp).is_empty());
    assert_eq!(w.sent_of(ControlKind::TakeoverIp), [(1, vec![ip(2)])]);
    assert_eq!(w.holders(ip(2)), [1]);
}

#[test]
fn an_address_found_where_it_does_not_belong_is_released_there_only() {
    let mut w = World::healthy(3, &[Some(0), Some(1), Some(2)]);
    w.entry(2, ip(1)).held = true;
    let report = first(&mut w);
    assert!(report.result.is_ok());
    assert_eq!(w.sent_of(ControlKind::ReleaseIp), [(2, vec![ip(1)])]);
    assert!(w.sent_of(ControlKind::TakeoverIp).is_empty());
    assert_eq!(w.holders(ip(1)), [0]);
}

#[test]
fn of_two_claimants_the_higher_keeps_the_address() {
    let mut w = World::healthy(3, &[Some(0), Some(1), Some(2)]);
    let e = w.entry(2, ip(1));
    (e.held, e.owner) = (true, Some(Pnn(2)));
    first(&mut w);
    assert_eq!(w.sent_of(ControlKind::ReleaseIp)[0], (0, vec![ip(1)]));
}

#[test]
fn an_unhealthy_node_hands_over_and_a_node_in_shutdown_too() {
    for (flags, runstate) in
        [(NodeFlags::UNHEALTHY, RunState::Running), (NodeFlags::NONE, RunState::Shutdown)]
    {
        let mut w = World::healthy(3, &[Some(0), Some(1), Some(1)]);
        w.node(1).flags = flags;
        w.node(1).runstate = runstate;
        let report = first(&mut w);
        assert!(report.result.is_ok());
        assert_eq!(w.sent_of(ControlKind::ReleaseIp), [(1, vec![ip(3), ip(2)])]);
        assert!(w.holders(ip(2)) != [1] && w.holders(ip(3)) != [1]);
        assert_eq!(report.balance_before[&Pnn(1)], 2);
        assert_eq!(report.balance_after[&Pnn(1)], 0);
        assert_eq!(report.plan.unwrap().moves.len(), 2);
    }
}

#[test]
fn all_unhealthy_releases_everything_and_succeeds() {
    let mut w = World::healthy(2, &[Some(0), Some(1)]);
    w.nodes.iter_mut().for_each(|n| n.flags = NodeFlags::UNHEALTHY);
    let report = first(&mut w);
    assert!(report.result.is_ok() && !report.no_host_shortcut);
    assert_eq!(report.unallocatable, [ip(2), ip(1)]);
    assert!(w.holders(ip(1)).is_empty() && w.holders(ip(2)).is_empty());
}

#[test]
fn failover_disabled_only_runs_ipreallocated() {
    let mut w = World::healthy(3, &[Some(0), None]);
    w.node(0).flags = NodeFlags::UNHEALTHY;
    let mut c = config();
    c.failover_disabled = true;
    let (_, report) = w.run(c, |_| 0);
    assert!(report.result.is_ok() && report.owners.is_empty());
    let kinds: Vec<ControlKind> = w.sent.iter().map(|(_, c)| c.kind()).collect();
    assert_eq!(
        kinds[..3],
        [ControlKind::GetAllTunables, ControlKind::GetNodemap, ControlKind::Ipreallocated]
    );
    assert_eq!(kinds.len(), 5);
}

/// Whoever leads a group and shall not must let go before another begins, also where there is no address to place.
#[test]
fn with_groups_every_run_has_a_begin() {
    for disabled in [true, false] {
        let mut w = World::healthy(3, &[]);
        let mut c = config();
        (c.failover_disabled, c.groups) = (disabled, true);
        let (_, report) = w.run(c, |_| 0);
        assert!(report.result.is_ok());
        let kinds: Vec<ControlKind> = w.sent.iter().map(|(_, c)| c.kind()).collect();
        let end = [[ControlKind::StartIpreallocate; 3], [ControlKind::Ipreallocated; 3]].concat();
        assert!(kinds.ends_with(&end), "{kinds:?}");
    }
    let mut w = World::healthy(3, &[]);
    w.node(1).refuses.insert(ControlKind::StartIpreallocate);
    let mut c = config();
    c.groups = true;
    let (_, report) = w.run(c, |_| 0);
    assert!(!report.result.is_ok() && w.sent_of(ControlKind::Ipreallocated).is_empty());
}

#[test]
fn a_take_waits_for_its_own_releases_only() {
    let mut w = World::healthy(3, &[Some(1), Some(2), None]);
    w.node(1).flags = NodeFlags::UNHEALTHY;
    w.node(2).flags = NodeFlags::UNHEALTHY;
    let (mut run, mut actions) = Run::start(config(), w.now);
    let mut releases = Vec::new();
    while releases.len() < 2 {
        for action in std::mem::take(&mut actions) {
            let RunAction::Send { to, req, control } = action else { panic!("too early") };
            if matches!(control, Control::ReleaseIp { .. }) {
                releases.push((to, req, control));
            } else if matches!(control, Control::TakeoverIp { .. }) {
                // Nobody has the third address: it does not wait for anybody.
                assert_eq!(super::world::addrs_of(&control), [ip(3)]);
            } else {
                actions.extend(w.deliver(&mut run, to, req, control));
            }
        }
    }
    let (to, req, _) = &releases[1];
    let sent = run.ip_answer(*req, *to, ip(2), Ok(()), w.now);
    assert_eq!(
        sent,
        [RunAction::Send {
            to: Pnn(0),
            req: run.next_req() - 1,
            control: Control::TakeoverIp { run: config().id, addrs: vec![ip(2)] }
        }]
    );
    assert!(run.ip_answer(*req, *to, ip(2), Ok(()), w.now).is_empty(), "a second answer changes nothing");
    assert!(
        run.ip_answer(releases[0].1, Pnn(2), ip(1), Ok(()), w.now).is_empty(),
        "not the one that was asked"
    );
    assert!(run.answer(999, Pnn(0), Answer::Ok, w.now).is_empty(), "a question that nobody asked");
}

#[test]
fn phases_are_timed() {
    let mut w = World::healthy(3, &[Some(1), None]);
    w.node(1).flags = NodeFlags::DISABLED;
    let report = first(&mut w);
    let names: Vec<PhaseName> = report.phases.iter().map(|p| p.name).collect();
    assert_eq!(
        names,
        [
            PhaseName::Observe,
            PhaseName::Allocate,
            PhaseName::StartIpreallocate,
            PhaseName::Release,
            PhaseName::Takeover,
            PhaseName::Ipreallocated
        ]
    );
    assert!(report.phases.iter().all(|p| p.start <= p.end));
    assert_eq!(report.duration_us(), w.now.0 - 1_000);
}

#[test]
fn moveip_moves_one_address_and_no_other() {
    for algorithm in [0, 1, 2, 3] {
        // Node 3 is empty: an ordinary run would give it something.
        let mut w = World::healthy(4, &[Some(0), Some(0), Some(0), Some(1)]);
        w.tunables.set("IPAllocAlgorithm", algorithm).unwrap();
        let mut c = config();
        c.moves = vec![(ip(2), Pnn(2))];
        let (run, report) = w.run(c, |_| 0);
        assert!(report.result.is_ok(), "{}", report.result);
        let plan = report.plan.unwrap();
        assert_eq!(plan.moves.len(), 1, "algorithm {algorithm}: {:?}", plan.moves);
        assert_eq!(
            (plan.moves[0].addr, plan.moves[0].to, plan.moves[0].reason),
            (ip(2), Some(Pnn(2)), MoveReason::Asked)
        );
        assert_eq!(w.holders(ip(2)), [2]);
        let why = crate::explain::explain(run.snapshot(), run.decision().unwrap(), ip(2));
        assert!(why.one_sentence().contains("operator"), "{why}");
    }
}

#[test]
fn moveip_to_a_node_that_cannot_host_is_refused_with_the_reason() {
    let ask = |prepare: fn(&mut World), addr: IpAddr| {
        let mut w = World::healthy(3, &[Some(0), Some(1)]);
        prepare(&mut w);
        let mut c = config();
        c.moves = vec![(addr, Pnn(2))];
        let (_, report) = w.run(c, |_| 0);
        assert!(w.sent_of(ControlKind::StartIpreallocate).is_empty() && report.ban_credits_to.is_none());
        report.result.to_string()
    };
    let unhealthy = ask(|w| w.node(2).flags = NodeFlags::UNHEALTHY, ip(1));
    assert!(unhealthy.contains("10.0.0.1") && unhealthy.contains("UNHEALTHY"), "{unhealthy}");
    let unknown = ask(|w| w.node(2).addrs.retain(|a, _| *a != ip(1)), ip(1));
    assert!(unknown.contains("does not have it in its public addresses"), "{unknown}");
    let nowhere = ask(|_| {}, ip(99));
    assert!(nowhere.contains("10.0.0.99") && nowhere.contains("no connected node"), "{nowhere}");
    let gone = ask(|w| w.node(2).flags = NodeFlags::DISCONNECTED, ip(1));
    assert!(gone.contains("not connected"), "{gone}");
}

#[test]
fn a_report_serializes_and_reads_back() {
    let mut w = World::healthy(3, &[Some(1), None, Some(1)]);
    w.node(1).flags = NodeFlags::BANNED;
    let report = first(&mut w);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<RunReport>(&text).unwrap(), *report);
}

#[test]
fn an_aborted_run_ends_at_once_and_blames_nobody() {
    let mut w = World::healthy(2, &[Some(0)]);
    w.node(1).refuses.insert(ControlKind::GetPublicIps);
    let (mut run, _) = Run::start(config(), Mono(0));
    let actions = run.abort("node 1 is recmaster now");
    let [RunAction::Finished(report)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!(report.result, RunResult::Aborted("node 1 is recmaster now".to_owned()));
    assert_eq!((report.ban_credits_to, run.deadline()), (None, None));
    assert!(run.tick(Mono(u64::MAX)).is_empty() && run.abort("again").is_empty());
    assert!(run.answer(1, Pnn(0), Answer::Failed(String::new()), Mono(1)).is_empty());
}

/// An IPv6 address below 2^32 has the key of an IPv4 address, so allocation takes both for one (SEMANTICS A.2), and would give the
/// IPv4 address to a node that does not have it. The checker is what stops this.
#[test]
fn a_plan_that_the_checker_refuses_is_not_executed() {
    let mut w = World::healthy(2, &[Some(0)]);
    let entry = w.node(1).addrs.remove(&ip(1)).unwrap();
    w.node(1).addrs.insert("::10.0.0.1".parse().unwrap(), entry);
    w.node(0).flags = NodeFlags::UNHEALTHY;
    let report = first(&mut w);
    assert!(matches!(&report.result, RunResult::Error(e) if e.contains("checker") && e.contains("node 1")));
    assert!(w.sent_of(ControlKind::StartIpreallocate).is_empty());
    assert_eq!((w.holders(ip(1)), report.ban_credits_to), (vec![0], None));
    assert!(report.plan.is_some(), "kept for the report");
}
