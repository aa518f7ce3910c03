//! Random cluster histories: whatever the nodes have, refuse or lose, a run is safe and ends.

use super::world::{Entry, Node, World, config, ip, run_id};
use crate::alloc::Algorithm;
use crate::check::{Violation, check};
use crate::control::ControlKind;
use crate::model::{Mono, NodeFlags, Pnn, RunState, Tunables};
use crate::plan::{Plan, make_plan};
use crate::takeover::{RunResult, Snapshot};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn any_flags() -> impl Strategy<Value = NodeFlags> {
    prop_oneof![
        6 => Just(NodeFlags::NONE),
        1 => Just(NodeFlags::DISCONNECTED),
        1 => Just(NodeFlags::UNHEALTHY),
        1 => Just(NodeFlags::BANNED),
        1 => Just(NodeFlags::STOPPED),
        1 => Just(NodeFlags::DISABLED),
    ]
}

fn kinds() -> impl Strategy<Value = BTreeSet<ControlKind>> {
    let one = prop_oneof![
        1 => Just(ControlKind::GetPublicIps),
        1 => Just(ControlKind::StartIpreallocate),
        4 => Just(ControlKind::ReleaseIp),
        4 => Just(ControlKind::TakeoverIp),
        1 => Just(ControlKind::Ipreallocated),
    ];
    prop_oneof![4 => Just(BTreeSet::new()), 1 => proptest::collection::btree_set(one, 1..3)]
}

/// Stale records, claims without address, addresses without claim, two claims: anything but an order of the world.
fn node(nodes: u32, addrs: u8) -> impl Strategy<Value = Node> {
    let owner = prop_oneof![1 => Just(None), 3 => (0..nodes).prop_map(|n| Some(Pnn(n)))];
    let entry = (owner, any::<bool>(), prop::bool::weighted(0.9)).prop_map(|(owner, held, link)| Entry {
        owner,
        held,
        link,
    });
    let known = proptest::collection::btree_map((1..=addrs).prop_map(ip), entry, 0..=addrs as usize);
    let runstate = prop_oneof![9 => Just(RunState::Running), 1 => Just(RunState::Startup)];
    (any_flags(), runstate, known, kinds(), kinds()).prop_map(|(flags, runstate, addrs, refuses, silent)| {
        Node { flags, runstate, addrs, refuses, silent }
    })
}

fn any_world() -> impl Strategy<Value = World> {
    let switches = (0u32..4, prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (1u32..6, 1u8..9).prop_flat_map(|(n, a)| proptest::collection::vec(node(n, a), n as usize)).prop_flat_map(
        move |nodes| {
            let nodes = Just(nodes);
            (nodes, switches.clone()).prop_map(|(mut nodes, (algorithm, takeover, failback))| {
                // The recmaster talks to itself.
                nodes[0].flags = nodes[0].flags.with(NodeFlags::DISCONNECTED, false);
                let mut tunables = Tunables::default();
                tunables.set("IPAllocAlgorithm", algorithm).unwrap();
                tunables.set("NoIPTakeover", takeover.into()).unwrap();
                tunables.set("NoIPFailback", failback.into()).unwrap();
                World {
                    nodes,
                    tunables,
                    now: Mono(5),
                    unreleased: BTreeSet::new(),
                    sent: Vec::new(),
                    broken: Vec::new(),
                }
            })
        },
    )
}

/// What a run would see, and its plan.
fn plan_of(world: &World) -> (Snapshot, Plan) {
    let mut snapshot = Snapshot::default();
    for (n, node) in (0..).map(Pnn).zip(&world.nodes) {
        let info = crate::control::NodeInfo { pnn: n, flags: node.flags, runstate: node.runstate };
        snapshot.nodes.push(info);
        if !node.flags.intersects(NodeFlags::DISCONNECTED) {
            snapshot.set_known(n, world.public_ips(n, false));
            snapshot.set_available(n, &world.public_ips(n, true));
        }
    }
    let problem = crate::alloc::Problem {
        algorithm: Algorithm::from_tunable(world.tunables.ip_alloc_algorithm()),
        num_nodes: snapshot.num_nodes(),
        addrs: snapshot.working_list(),
        ..Default::default()
    };
    let plan = make_plan(run_id(), &snapshot, &crate::alloc::allocate(&problem), &[]);
    (snapshot, plan)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No take before every release of the address, never two holders by our doing, always an end in time.
    #[test]
    fn every_run_is_safe_and_ends(mut world in any_world(), order in proptest::collection::vec(any::<u16>(), 64)) {
        // Two nodes that hold one address at the start are the world's doing; a take on top of them would be ours.
        let mut next = order.into_iter().cycle();
        let before = world.clone();
        let (_, report) = world.run(config(), |n| next.next().unwrap_or(0) as usize % n);
        prop_assert!(world.broken.is_empty(), "{:?}", world.broken);
        prop_assert!(!matches!(&report.result, RunResult::Error(e) if e.contains("checker")), "{}", report.result);
        for last in 1..9 {
            let (was, is) = (before.holders(ip(last)), world.holders(ip(last)));
            let new: Vec<_> = is.iter().filter(|n| !was.contains(n)).collect();
            prop_assert!(new.len() <= 1, "{}: {was:?} → {is:?}", ip(last));
        }
        if report.result.is_ok() && !report.no_host_shortcut {
            for (addr, owner) in &report.owners {
                let connected = |n: &u32| !world.nodes[*n as usize].flags.intersects(NodeFlags::DISCONNECTED);
                let holders: Vec<u32> = world.holders(*addr).into_iter().filter(connected).collect();
                prop_assert_eq!(holders, owner.map(|n| n.0).into_iter().collect::<Vec<_>>(), "{}", addr);
            }
        }
        prop_assert_eq!(report.result.is_ok(), report.failed_controls.is_empty());
        prop_assert_eq!(report.result.is_ok(), report.credits.is_empty());
    }

    /// A node that is lost at any moment neither stops the run nor makes it unsafe.
    #[test]
    fn lost_peers_do_not_break_a_run(mut world in any_world(), lose in 1u32..6, after in 0usize..24) {
        let lose = Pnn(lose % world.nodes.len().max(2) as u32);
        let (mut run, mut queue) = crate::takeover::Run::start(config(), world.now);
        let mut steps = 0;
        let report = loop {
            if steps == after && lose != Pnn(0) {
                queue.extend(run.peer_lost(lose, world.now));
            }
            steps += 1;
            if queue.is_empty() {
                world.now = run.deadline().unwrap();
                queue.extend(run.tick(world.now));
                continue;
            }
            match queue.remove(0) {
                crate::takeover::RunAction::Finished(report) => break report,
                crate::takeover::RunAction::Send { to, req, control } => {
                    prop_assert!(to != lose || steps <= after + 1 + queue.len() + 64);
                    world.note(to, &control);
                    if to != lose || steps <= after {
                        queue.extend(world.deliver(&mut run, to, req, control));
                    }
                }
            }
            prop_assert!(steps < 10_000, "does not end");
        };
        prop_assert!(world.broken.is_empty(), "{:?}", world.broken);
        prop_assert!(run.deadline().is_none(), "{}", report.result);
    }

    /// The checker passes every plan that is made and catches every plan that is spoilt.
    #[test]
    fn the_checker_passes_plans_and_catches_spoilt_ones(world in any_world(), pick in any::<prop::sample::Index>()) {
        let (snapshot, plan) = plan_of(&world);
        prop_assert_eq!(check(&plan, &snapshot), []);

        let releases: Vec<_> = plan.releases.iter().flat_map(|(n, l)| l.iter().map(|(a, _)| (*n, *a))).collect();
        if !releases.is_empty() {
            let (node, addr) = releases[pick.index(releases.len())];
            let mut spoilt = plan.clone();
            spoilt.releases.get_mut(&node).unwrap().retain(|(a, _)| *a != addr);
            let want = Violation::NotReleased { addr, node };
            prop_assert!(check(&spoilt, &snapshot).contains(&want), "{}", want);
        }
        let takes: Vec<_> = plan.takeovers.iter().flat_map(|(n, l)| l.iter().map(|a| (*n, *a))).collect();
        if !takes.is_empty() {
            let (node, addr) = takes[pick.index(takes.len())];
            let mut twice = plan.clone();
            let other = Pnn(node.0 + 1);
            twice.takeovers.entry(other).or_default().push(addr);
            let want = Violation::GivenTwice { addr, first: node, second: other };
            prop_assert!(check(&twice, &snapshot).contains(&want), "{}", want);

            let mut dropped = plan.clone();
            dropped.takeovers.get_mut(&node).unwrap().retain(|a| *a != addr);
            let want = Violation::NotTaken { addr, node };
            prop_assert!(check(&dropped, &snapshot).contains(&want), "{}", want);
        }
        for (addr, owner) in &plan.owners {
            let able = |n: &Pnn| snapshot.can_host(*n, *addr);
            let Some(unable) = (0..6).map(Pnn).find(|n| !able(n) && Some(*n) != *owner) else { continue };
            let mut wrong = plan.clone();
            if let Some(entry) = wrong.owners.iter_mut().find(|(a, _)| a == addr) {
                entry.1 = Some(unable);
            }
            wrong.takeovers.values_mut().for_each(|l| l.retain(|a| a != addr));
            wrong.takeovers.entry(unable).or_default().push(*addr);
            let want = Violation::CannotHost { addr: *addr, node: unable };
            prop_assert!(check(&wrong, &snapshot).contains(&want), "{}", want);
        }
    }
}
