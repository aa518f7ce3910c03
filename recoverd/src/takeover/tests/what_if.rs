//! Dry runs: `ctdb plan` and its questions.

use super::world::{World, config, ip};
use crate::alloc::Algorithm;
use crate::control::{ControlKind, Unavailable};
use crate::explain::{WhyNot, why_unable};
use crate::model::{NodeFlags, Pnn};
use crate::takeover::{Mode, Run, RunReport, WhatIf};
use std::net::IpAddr;

fn ask(w: &mut World, what_if: WhatIf) -> (Run, Box<RunReport>) {
    let mut c = config();
    c.mode = Mode::DryRun(what_if);
    let (run, report) = w.run(c, |_| 0);
    assert!(report.dry_run && report.result.is_ok(), "{}", report.result);
    let asking = [ControlKind::GetAllTunables, ControlKind::GetNodemap, ControlKind::GetPublicIps];
    assert!(w.sent.iter().all(|(_, c)| asking.contains(&c.kind())), "a dry run changes nothing");
    (run, report)
}

fn moves(report: &RunReport) -> Vec<(IpAddr, Option<u32>, Option<u32>)> {
    let plan = report.plan.as_ref().unwrap();
    plan.moves.iter().map(|m| (m.addr, m.from.map(|n| n.0), m.to.map(|n| n.0))).collect()
}

#[test]
fn nothing_asked_is_what_a_run_would_do_now() {
    let mut w = World::healthy(3, &[Some(0), Some(1), Some(2)]);
    assert!(moves(&ask(&mut w, WhatIf::default()).1).is_empty());
}

#[test]
fn a_node_that_goes_down_or_up() {
    let mut w = World::healthy(3, &[Some(0), Some(1), Some(2)]);
    let (_, report) = ask(&mut w, WhatIf { down: vec![Pnn(1)], ..WhatIf::default() });
    let found = moves(&report);
    assert_eq!((found.len(), found[0].0, found[0].1), (1, ip(2), Some(1)));
    assert_eq!((report.balance_before[&Pnn(1)], report.balance_after[&Pnn(1)]), (1, 0));

    for flags in [NodeFlags::DISCONNECTED, NodeFlags::UNHEALTHY] {
        let mut w = World::healthy(2, &[Some(0), Some(0)]);
        w.node(1).flags = flags;
        let (_, report) = ask(&mut w, WhatIf { up: vec![Pnn(1)], ..WhatIf::default() });
        assert_eq!(report.balance_after[&Pnn(1)], 1, "{flags}");
    }
    let mut w = World::healthy(2, &[Some(0)]);
    let (_, report) = ask(&mut w, WhatIf { down: vec![Pnn(0), Pnn(1)], ..WhatIf::default() });
    assert_eq!(report.unallocatable, [ip(1)]);
}

#[test]
fn a_new_address_and_a_lost_interface() {
    let mut w = World::healthy(2, &[Some(0), Some(1)]);
    w.node(1).flags = NodeFlags::DISABLED;
    let (_, report) = ask(&mut w, WhatIf { add: vec![ip(9)], ..WhatIf::default() });
    assert!(moves(&report).contains(&(ip(9), None, Some(0))));

    let mut w = World::healthy(2, &[Some(0), Some(1)]);
    let without = vec![("eth1".to_owned(), Pnn(0)), ("eth7".to_owned(), Pnn(1))];
    let (run, report) = ask(&mut w, WhatIf { without, ..WhatIf::default() });
    assert_eq!(moves(&report), [(ip(1), Some(0), Some(1))]);
    let why = why_unable(run.snapshot(), Pnn(0), ip(1));
    assert_eq!(why, Some(WhyNot::Unavailable(Unavailable::NoLink(vec!["eth1".to_owned()]))));
}

#[test]
fn another_algorithm() {
    let mut w = World::healthy(2, &[Some(1), Some(0)]);
    assert!(moves(&ask(&mut w, WhatIf::default()).1).is_empty());
    let algorithm = Some(Algorithm::Deterministic);
    let (run, report) = ask(&mut w, WhatIf { algorithm, ..WhatIf::default() });
    assert_eq!(run.decision().unwrap().algorithm, Algorithm::Deterministic);
    let n = moves(&report).len();
    assert!(n == 0 || n == 2, "place modulo nodes decides");
    assert!(report.plan.unwrap().owners == [(ip(2), Some(Pnn(0))), (ip(1), Some(Pnn(1)))]);
}

#[test]
fn with_failover_disabled_or_nothing_to_host_there_is_no_plan() {
    let mut w = World::healthy(2, &[None]);
    w.nodes.iter_mut().for_each(|n| n.flags = NodeFlags::UNHEALTHY);
    let (_, report) = ask(&mut w, WhatIf::default());
    assert!(report.no_host_shortcut && report.plan.is_none());
    let mut c = config();
    c.failover_disabled = true;
    c.mode = Mode::DryRun(WhatIf::default());
    let (_, report) = World::healthy(2, &[None]).run(c, |_| 0);
    assert!(report.failover_disabled && report.plan.is_none());
}
