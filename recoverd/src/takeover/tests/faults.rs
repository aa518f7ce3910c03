//! Runs in which something fails: what still happens, who is blamed, how long it takes.

use super::world::{World, config, ip};
use crate::control::{Answer, Control, ControlKind};
use crate::model::{NodeFlags, Pnn};
use crate::takeover::{Run, RunAction, RunReport, RunResult};
use std::time::Duration;

/// Node 1 has two addresses and becomes unhealthy; node 0 has one, node 2 holds a stray one of node 0.
fn handover() -> World {
    let mut w = World::healthy(3, &[Some(1), Some(1), Some(0)]);
    w.node(1).flags = NodeFlags::UNHEALTHY;
    w.entry(2, ip(3)).held = true;
    w
}

fn done(world: &mut World) -> Box<RunReport> {
    let (_, report) = world.run(config(), |_| 0);
    assert!(world.broken.is_empty(), "{:?}", world.broken);
    report
}

fn named(report: &RunReport, attributed: bool) -> Vec<(ControlKind, u32)> {
    let which = report.failed_controls.iter().filter(|f| f.attributed == attributed);
    which.map(|f| (f.control, f.node.0)).collect()
}

#[test]
fn a_failed_release_keeps_only_its_own_address() {
    let mut w = handover();
    w.node(2).refuses.insert(ControlKind::ReleaseIp);
    let report = done(&mut w);
    assert!(matches!(&report.result, RunResult::Error(e) if e.contains("10.0.0.3") && e.contains("node 2")));
    assert_eq!(report.ban_credits_to, Some(Pnn(2)));
    assert!(w.holders(ip(1)) != [1] && !w.holders(ip(1)).is_empty(), "the others are taken");
    assert_eq!(w.sent_of(ControlKind::Ipreallocated).len(), 3);
    let mut w = handover();
    w.node(1).refuses.insert(ControlKind::ReleaseIp);
    let report = done(&mut w);
    assert_eq!(w.holders(ip(1)), [1]);
    assert!(w.sent_of(ControlKind::TakeoverIp).is_empty());
    let none: Vec<_> = report.owners.iter().filter(|(_, o)| o.is_none()).map(|(a, _)| *a).collect();
    assert_eq!(none, [ip(2), ip(1)], "their new owners do not have them");
    assert_eq!((report.credits[&Pnn(1)], w.holders(ip(3))), (2, vec![0]));
}

#[test]
fn silence_in_a_release_costs_the_budget_and_ipreallocated_still_runs() {
    let mut w = handover();
    w.node(2).silent.insert(ControlKind::ReleaseIp);
    let begin = w.now;
    let report = done(&mut w);
    assert_eq!((&report.result, report.ban_credits_to), (&RunResult::Timeout, Some(Pnn(2))));
    assert!(w.holders(ip(1)) != [1], "taken long before");
    let budget = w.tunables.takeover_timeout() * 3;
    assert!(w.now.since(begin) >= budget && w.now.since(begin) < budget + Duration::from_secs(1));
    assert_eq!(w.sent_of(ControlKind::Ipreallocated).len(), 3);
}

#[test]
fn failures_after_the_first_failed_stage_are_shown_but_not_blamed() {
    let mut w = handover();
    w.node(2).refuses.insert(ControlKind::ReleaseIp);
    w.nodes.iter_mut().for_each(|n| n.refuses.extend([ControlKind::TakeoverIp]));
    w.node(0).refuses.insert(ControlKind::Ipreallocated);
    let report = done(&mut w);
    assert_eq!(named(&report, true), [(ControlKind::ReleaseIp, 2)]);
    let rest = named(&report, false);
    assert_eq!(rest.iter().filter(|(c, _)| *c == ControlKind::TakeoverIp).count(), 2, "{rest:?}");
    assert_eq!(rest.last(), Some(&(ControlKind::Ipreallocated, 0)));
    assert_eq!(report.ban_credits_to, Some(Pnn(2)));
}

#[test]
fn only_the_first_of_a_group_is_blamed() {
    for (kind, stops) in [
        (ControlKind::GetPublicIps, true),
        (ControlKind::StartIpreallocate, true),
        (ControlKind::Ipreallocated, false),
    ] {
        let mut w = handover();
        w.node(1).refuses.insert(kind);
        w.node(2).refuses.insert(kind);
        let report = done(&mut w);
        assert_eq!((named(&report, true), named(&report, false)), (vec![(kind, 1)], vec![(kind, 2)]));
        assert_eq!(report.ban_credits_to, Some(Pnn(1)));
        assert_eq!(w.sent_of(ControlKind::ReleaseIp).is_empty(), stops);
        assert_eq!(report.plan.is_none(), kind == ControlKind::GetPublicIps);
        w.tunables.set("EnableBans", 0).unwrap();
        let mut again = handover();
        (again.nodes, again.tunables) = (w.nodes.clone(), w.tunables.clone());
        assert_eq!(done(&mut again).ban_credits_to, None);
    }
}

#[test]
fn a_recmaster_that_cannot_ask_itself_blames_nobody() {
    for (kind, wait) in [(ControlKind::GetAllTunables, 9), (ControlKind::GetNodemap, 9)] {
        let mut w = handover();
        w.node(0).silent.insert(kind);
        let begin = w.now;
        let report = done(&mut w);
        assert_eq!(
            (report.result, report.ban_credits_to, report.credits.len()),
            (RunResult::Timeout, None, 0)
        );
        assert_eq!(report.failed_controls.len(), 1);
        assert_eq!(w.now.since(begin).as_secs(), wait);
    }
}

#[test]
fn a_run_that_jumps_to_the_end_has_the_whole_budget_for_it() {
    for disabled in [true, false] {
        let mut w = World::healthy(2, &[None]);
        w.nodes.iter_mut().for_each(|n| n.flags = NodeFlags::UNHEALTHY);
        w.node(1).silent.insert(ControlKind::Ipreallocated);
        let mut c = config();
        c.failover_disabled = disabled;
        let begin = w.now;
        let (_, report) = w.run(c, |_| 0);
        assert_eq!((&report.result, report.ban_credits_to), (&RunResult::Timeout, Some(Pnn(1))));
        // From the answer to GET_NODEMAP, the second message of 100 µs.
        assert_eq!(w.now.since(begin), w.tunables.takeover_timeout() * 3 + Duration::from_micros(200));
    }
}

/// Starts a run and goes on until something of a kind is to be sent; gives back what was held back.
fn until(w: &mut World, kind: ControlKind) -> (Run, Vec<(Pnn, u64, Control)>) {
    let (mut run, mut actions) = Run::start(config(), w.now);
    let mut kept = Vec::new();
    while kept.is_empty() {
        for action in std::mem::take(&mut actions) {
            let RunAction::Send { to, req, control } = action else { panic!("finished") };
            w.note(to, &control);
            if control.kind() == kind {
                kept.push((to, req, control));
            } else {
                actions.extend(w.deliver(&mut run, to, req, control));
            }
        }
    }
    (run, kept)
}

#[test]
fn a_lost_peer_fails_what_it_has_not_answered() {
    let mut w = handover();
    let (mut run, held) = until(&mut w, ControlKind::ReleaseIp);
    let actions = run.peer_lost(Pnn(1), w.now);
    assert!(actions.is_empty(), "node 2 has not answered its release yet: {actions:?}");
    let (to, req, control) = held.into_iter().find(|(to, ..)| *to == Pnn(2)).unwrap();
    let mut queue = w.deliver(&mut run, to, req, control);
    let mut report = None;
    while let Some(action) = queue.pop() {
        match action {
            RunAction::Send { to, req, control } => {
                assert_ne!(to, Pnn(1), "nothing is sent to a node that is gone");
                queue.extend(w.deliver(&mut run, to, req, control));
            }
            RunAction::Finished(r) => report = Some(r),
        }
    }
    let report = report.expect("finished without waiting for the deadline");
    assert!(w.sent_of(ControlKind::TakeoverIp).is_empty(), "a dead node has released nothing");
    assert_eq!(report.ban_credits_to, Some(Pnn(1)));
    assert!(report.failed_controls[0].message.contains("link"));
}

#[test]
fn an_ok_for_a_whole_release_does_not_stand_for_its_addresses() {
    let mut w = handover();
    let (mut run, held) = until(&mut w, ControlKind::ReleaseIp);
    let (to, req, _) = held.iter().find(|(to, ..)| *to == Pnn(1)).unwrap();
    let sent = run.ip_answer(*req, *to, ip(2), Ok(()), w.now);
    assert_eq!(sent.len(), 1, "answered: taken");
    assert!(run.answer(*req, *to, Answer::Ok, w.now).is_empty(), "not answered: not taken");
}

#[test]
fn an_answer_to_another_question_is_a_failure() {
    let mut w = handover();
    let (mut run, held) = until(&mut w, ControlKind::GetPublicIps);
    let (to, req, _) = held[0].clone();
    assert!(run.answer(req, to, Answer::Ok, w.now).is_empty());
    for (to, req, control) in held.into_iter().skip(1) {
        let actions = w.deliver(&mut run, to, req, control);
        if let [RunAction::Finished(report)] = actions.as_slice() {
            assert_eq!(report.ban_credits_to, Some(Pnn(0)));
            return;
        }
    }
    panic!("not finished");
}
