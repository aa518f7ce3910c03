use super::*;
use crate::alloc::{Assigned, Vacancy};
use crate::control::{NodeInfo, PublicIp};
use crate::model::{Epoch, NodeFlags, RunState};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// Three nodes; `has` are (node, address, claims, holds); node 2 is disconnected.
fn snapshot(has: &[(u32, u8, bool, bool)]) -> Snapshot {
    let mut s = Snapshot::default();
    for n in 0..3 {
        let flags = if n == 2 { NodeFlags::DISCONNECTED } else { NodeFlags::NONE };
        s.nodes.push(NodeInfo { pnn: Pnn(n), flags, runstate: RunState::Running });
        let known = [1, 2, 3].map(|a| {
            let found = has.iter().find(|h| (h.0, h.1) == (n, a));
            PublicIp {
                addr: ip(a),
                owner: found.filter(|h| h.2).map(|h| Pnn(h.0)),
                held: found.is_some_and(|h| h.3),
                unavailable: None,
                ifaces: Vec::new(),
            }
        });
        if n != 2 {
            s.set_known(Pnn(n), known.to_vec());
        }
    }
    s
}

fn plan(has: &[(u32, u8, bool, bool)], to: [Option<u32>; 3]) -> Plan {
    let owners = [3, 2, 1].into_iter().zip(to).map(|(a, to)| Assigned {
        addr: ip(a),
        from: has.iter().find(|h| h.1 == a && h.2).map(|h| Pnn(h.0)),
        to: to.map(Pnn),
        reason: Reason::FewestAddresses { vacancy: Vacancy::Unassigned, count: 0 },
    });
    let allocation = Allocation { owners: owners.collect(), ..Allocation::default() };
    let id = RunId { epoch: Epoch::NONE, count: 1 };
    make_plan(id, &snapshot(has), &allocation, &[(ip(1), Pnn(1))])
}

#[test]
fn claim_and_hold_decide_who_releases_and_who_takes() {
    for (claims, holds, releases, takes) in [
        (false, false, false, true),
        (true, false, true, true),
        (false, true, true, true),
        (true, true, true, false),
    ] {
        let has = [(0, 1, claims, holds)];
        let stays = plan(&has, [None, None, Some(0)]);
        assert!(stays.releases.is_empty(), "the owner releases nothing: {claims} {holds}");
        assert_eq!(!stays.takeovers.is_empty(), takes, "{claims} {holds}");
        let leaves = plan(&has, [None, None, Some(1)]);
        assert_eq!(!leaves.releases.is_empty(), releases, "{claims} {holds}");
        assert_eq!(leaves.takeovers[&Pnn(1)], [ip(1)]);
    }
}

#[test]
fn lists_descend_and_a_release_names_the_new_owner() {
    let p = plan(&[(0, 1, true, true), (0, 3, true, true), (1, 2, true, true)], [None, Some(0), Some(1)]);
    assert_eq!(p.releases[&Pnn(0)], [(ip(3), None), (ip(1), Some(Pnn(1)))]);
    assert_eq!(p.releases[&Pnn(1)], [(ip(2), Some(Pnn(0)))]);
    assert_eq!(p.owners.iter().map(|o| o.0).collect::<Vec<_>>(), [ip(3), ip(2), ip(1)]);
    let moves: Vec<_> = p.moves.iter().map(|m| (m.from.map(|n| n.0), m.to.map(|n| n.0))).collect();
    assert_eq!(moves, [(Some(0), None), (Some(1), Some(0)), (Some(0), Some(1))]);
    assert_eq!(p.moves[2].reason, MoveReason::Asked);
    assert!(matches!(p.moves[1].reason, MoveReason::Allocated(_)));
}

#[test]
fn a_node_without_link_gets_no_orders() {
    let mut s = snapshot(&[]);
    let mut gone = s.addrs[&Pnn(0)].clone();
    gone.known.values_mut().for_each(|ip| ip.held = true);
    s.addrs.insert(Pnn(2), gone);
    let id = RunId { epoch: Epoch::NONE, count: 1 };
    let allocation = Allocation {
        owners: vec![Assigned { addr: ip(1), from: None, to: None, reason: Reason::Kept }],
        ..Allocation::default()
    };
    assert!(make_plan(id, &s, &allocation, &[]).is_empty());
}
