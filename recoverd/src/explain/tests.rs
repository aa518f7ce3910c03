use super::*;
use crate::alloc::{Algorithm, Problem, allocate};
use crate::control::{NodeInfo, PublicIp};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// Nodes 0 to 5: two healthy ones, one unhealthy, one without link, one that does not know the addresses, one disconnected.
fn snapshot(owners: &[(u8, u32)]) -> Snapshot {
    let mut s = Snapshot::default();
    for n in 0..6 {
        let flags = match n {
            2 => NodeFlags::UNHEALTHY,
            5 => NodeFlags::DISCONNECTED,
            _ => NodeFlags::NONE,
        };
        s.nodes.push(NodeInfo { pnn: Pnn(n), flags, runstate: RunState::Running });
        if n >= 4 {
            continue;
        }
        let known = owners.iter().map(|(a, o)| PublicIp {
            addr: ip(*a),
            owner: Some(Pnn(*o)),
            held: *o == n,
            unavailable: (n == 3).then(|| Unavailable::NoLink(vec!["eth1".to_owned()])),
            ifaces: Vec::new(),
        });
        let known: Vec<_> = known.collect();
        if n < 2 {
            s.set_available(Pnn(n), &known);
        }
        s.set_known(Pnn(n), known);
    }
    s
}

fn decision(s: &Snapshot, algorithm: Algorithm, no_ip_takeover: bool, no_ip_failback: bool) -> Decision {
    let problem = Problem {
        algorithm,
        num_nodes: s.num_nodes(),
        addrs: s.working_list(),
        no_ip_takeover,
        no_ip_failback,
        ..Problem::default()
    };
    Decision { algorithm, no_ip_takeover, no_ip_failback, asked: Vec::new(), allocation: allocate(&problem) }
}

fn of(e: &Explanation, pnn: u32) -> WhyNot {
    e.others.iter().find(|(n, _)| *n == Pnn(pnn)).map(|(_, w)| w.clone()).unwrap()
}

#[test]
fn a_kept_address_and_every_other_node() {
    let s = snapshot(&[(1, 0), (2, 1)]);
    let e = explain(&s, &decision(&s, Algorithm::Lcp2, false, false), ip(1));
    assert_eq!((e.owner, e.before, e.others.len()), (Some(Pnn(0)), Some(Pnn(0)), 5));
    assert_eq!(of(&e, 1), WhyNot::Balanced { count: 1, owner_count: 1 });
    assert_eq!(of(&e, 2), WhyNot::Unavailable(Unavailable::Flags(NodeFlags::UNHEALTHY)));
    assert_eq!(of(&e, 3), WhyNot::Unavailable(Unavailable::NoLink(vec!["eth1".to_owned()])));
    assert_eq!((of(&e, 4), of(&e, 5)), (WhyNot::NotConfigured, WhyNot::Disconnected));
    assert_eq!(
        e.to_string(),
        "10.0.0.1 was kept by node 0: its owner can host it and nothing asks for a move.\n  \
         node 1 could host it, but has 1 address already and the owner has 1\n  \
         node 2 cannot host it: the node is UNHEALTHY\n  \
         node 3 cannot host it: no link on eth1\n  \
         node 4 does not have it in its public addresses\n  \
         node 5 is not connected"
    );
}

#[test]
fn the_tunables_are_named_when_they_are_the_reason() {
    let s = snapshot(&[(1, 0), (2, 0), (3, 0), (4, 0)]);
    let why = |algorithm, takeover, failback| {
        of(&explain(&s, &decision(&s, algorithm, takeover, failback), ip(1)), 1)
    };
    assert_eq!(why(Algorithm::Lcp2, true, false), WhyNot::NoIpTakeover);
    assert_eq!(why(Algorithm::Lcp2, false, true), WhyNot::NoIpFailback);
    assert_eq!(why(Algorithm::NonDeterministic, false, true), WhyNot::NoIpFailback);
    let s = snapshot(&[(1, 0), (2, 0), (3, 0), (4, 0), (5, 1)]);
    let e = explain(&s, &decision(&s, Algorithm::Lcp2, false, false), ip(1));
    assert_eq!(of(&e, 1), WhyNot::OnlyEmptyNodesGain { count: 1 });
    // Place 4 of 5 in descending order, 6 nodes: node 4's turn, which cannot host it.
    let e = explain(&s, &decision(&s, Algorithm::Deterministic, false, false), ip(1));
    let other = if e.owner == Some(Pnn(0)) { 1 } else { 0 };
    assert_eq!(of(&e, other), WhyNot::NotItsTurn);
}

#[test]
fn moved_lost_and_unknown_addresses() {
    let s = snapshot(&[(1, 2), (2, 0)]);
    let e = explain(&s, &decision(&s, Algorithm::Lcp2, false, false), ip(1));
    assert_eq!((e.before, e.owner), (Some(Pnn(2)), Some(Pnn(1))));
    assert!(e.one_sentence().contains("on node 1") && e.one_sentence().contains("node 2, cannot host"));
    let e = explain(&s, &decision(&s, Algorithm::Lcp2, true, false), ip(1));
    assert!(
        e.one_sentence().starts_with("10.0.0.1 is unserved: ") && e.one_sentence().contains("NoIPTakeover")
    );
    let e = explain(&s, &decision(&s, Algorithm::Lcp2, false, false), ip(77));
    assert_eq!(e.one_sentence(), "10.0.0.77 is not a public address of any connected node.");

    let mut d = decision(&s, Algorithm::Lcp2, false, false);
    d.asked = vec![(ip(2), Pnn(0))];
    let e = explain(&s, &d, ip(2));
    assert_eq!((e.why, of(&e, 1)), (Some(MoveReason::Asked), WhyNot::MovedByHand(Pnn(0))));
}
