//! What the nodes of a group hear of each other in runs, and that a node that goes hands a group's address over.

use super::bench::{Bench, begun};
use super::world::World;
use crate::action::Action;
use crate::command::Command;
use crate::control::{Control, ControlKind, NodeInfo};
use crate::input::Input;
use crate::model::*;
use std::time::Duration;

/// What a handler hears of the nodes: that a run is over only when its begin was heard, too, and the node is up.
#[test]
fn a_run_is_over_for_those_who_heard_its_begin() {
    let over = |actions: &[Action]| {
        let seen = actions.iter().find_map(|a| if let Action::RunSeen(seen) = a { Some(seen) } else { None });
        seen.map(|seen| seen.over)
    };
    let mut b = Bench::serving();
    let run = |b: &Bench, count| RunId { epoch: b.epoch, count };
    let (five, six) = (run(&b, 5), run(&b, 6));
    let start = |run| Control::StartIpreallocate { run, nodes: vec![] };
    let end = |run| Control::Ipreallocated { run, owners: vec![], nodes: vec![] };
    assert_eq!(over(&b.control(end(five))), Some(false));
    assert_eq!(over(&b.control(start(five))), Some(false));
    assert_eq!(over(&b.control(end(six))), Some(false), "of another run");
    assert_eq!(over(&b.control(start(six))), Some(false));
    assert_eq!(over(&b.control(end(six))), Some(true));
}

/// Who leaves is of no use to a group, for everybody who hears of it in a run, itself included; and it lets go when the run begins.
#[test]
fn who_shuts_down_counts_as_stopped_in_a_group_and_hears_runs_begin() {
    let nodes = |runstate: [RunState; 2]| -> Vec<NodeInfo> {
        let info = |(n, runstate)| NodeInfo { pnn: Pnn(n), flags: NodeFlags::NONE, runstate };
        (0..).zip(runstate).map(info).collect()
    };
    let flags = |actions: &[Action]| -> Vec<NodeFlags> {
        let seen = actions.iter().find_map(|a| if let Action::RunSeen(seen) = a { Some(seen) } else { None });
        seen.unwrap().nodes.iter().map(|n| n.flags).collect()
    };
    let mut b = Bench::serving();
    let run = |b: &Bench, count| RunId { epoch: b.epoch, count };
    let (two, three) = (run(&b, 2), run(&b, 3));
    let leaves = nodes([RunState::Shutdown, RunState::Running]);
    let seen = b.control(Control::StartIpreallocate { run: two, nodes: leaves });
    assert_eq!(flags(&seen), [NodeFlags::STOPPED, NodeFlags::NONE]);
    b.end("startipreallocate", EventOutcome::Ok);
    b.feed(Input::Command { id: 1, command: Command::Shutdown });
    let leaves = nodes([RunState::Running, RunState::Shutdown]);
    let seen = b.control(Control::StartIpreallocate { run: three, nodes: leaves });
    assert_eq!(flags(&seen), [NodeFlags::NONE, NodeFlags::STOPPED]);
    assert_eq!(begun(&seen), ["startipreallocate"]);
}

/// A node that owns no public address may lead a group all the same: it waits for the run that takes that over.
#[test]
fn where_there_is_a_group_a_shutdown_waits_for_a_run() {
    let mut w = World::serving(3, &[], |c| c.groups = true);
    let before = w.hosts[1].events.len();
    w.command(1, Command::Shutdown);
    w.run(Duration::from_millis(60));
    assert_eq!(w.hosts[1].exited, Some(0), "{}", w.describe());
    let events = &w.hosts[1].events[before..];
    assert_eq!(events[..2], ["startipreallocate", "ipreallocated"], "{}", w.describe());
    assert_eq!(events.last().map(String::as_str), Some("shutdown"), "{}", w.describe());
}

/// The recmaster that is to be stopped hands a group's address over while it is recmaster.
#[test]
fn a_recmaster_that_stops_hands_a_group_over_first() {
    let mut w = World::serving(3, &[], |c| c.groups = true);
    let leader = w.hosts[0].node.as_ref().unwrap().status().leader.unwrap();
    w.controls.clear();
    w.command(leader.0, Command::Stop);
    w.run(Duration::from_secs(1));
    let begins = w.controls.iter().find(|c| c.2 == ControlKind::StartIpreallocate.as_str());
    assert_eq!(begins.map(|c| c.0), Some(leader.0), "{}", w.describe());
    assert!(
        w.hosts[leader.0 as usize].node.as_ref().unwrap().status().nodes[leader.0 as usize]
            .flags
            .intersects(NodeFlags::STOPPED)
    );
}
