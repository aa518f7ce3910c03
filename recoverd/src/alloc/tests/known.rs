//! Single cases with known answers, among them the reference's defects that are not copied.

use super::super::distance::lcp2_weight;
use super::super::{Reason, Step, Vacancy, allocate, can_host_anything};
use super::*;

fn many(nodes: u32, count: u32, owner: impl Fn(u32) -> Option<u32>) -> Problem {
    let mut p = open(Algorithm::Lcp2, nodes, &[]);
    p.addrs = (0..count)
        .map(|i| AddrState {
            addr: IpAddr::V4(Ipv4Addr::from(0x0a14_0000 + (i % 10) * 256 + i / 10 + 1)),
            owner: owner(i).map(Pnn),
            available: (0..nodes).map(Pnn).collect(),
        })
        .collect();
    p
}

/// SCALE.md, "Overflow": with 64-bit sums the joining node gets its share.
#[test]
fn lcp2_sums_do_not_overflow() {
    assert_eq!(loads(2, &allocate(&many(2, 1000, |_| Some(0)))), [500, 500]);
    assert_eq!(loads(2, &allocate(&many(2, 1600, |_| Some(0)))), [800, 800]);
    // The reference ends with 1135 / 1135 / 130; the exact split depends on the layout.
    let three = loads(3, &allocate(&many(3, 2400, |i| Some(i % 2))));
    assert!(three.iter().all(|l| l.abs_diff(800) <= 1), "{three:?}");
}

/// The layout of SCALE.md: round robin over max(4, n/100) subnets from 1, hosts from .10 and ::10.
fn layout(count: u32, v6: bool) -> Vec<IpAddr> {
    let subnets = (count / 100).max(4);
    let addr = |i: u32| match (i % subnets + 1, i / subnets) {
        (net, host) if v6 => {
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, net as u16, 0, 0, 0, 0x10 + host as u16))
        }
        (net, host) => IpAddr::V4(Ipv4Addr::new(10, 20, net as u8, 10 + host as u8)),
    };
    (0..count).map(addr).collect()
}

/// The problem with node `unhealthy` out of service; owners from `before`.
fn with(before: Option<&Allocation>, addrs: &[IpAddr], nodes: u32, unhealthy: Option<u32>) -> Problem {
    let held = |addr: &IpAddr| before?.owners.iter().find(|a| a.addr == *addr)?.to;
    let mut p = open(Algorithm::Lcp2, nodes, &[]);
    let available: NodeSet = (0..nodes).filter(|n| Some(*n) != unhealthy).map(Pnn).collect();
    p.addrs =
        addrs.iter().map(|a| AddrState { addr: *a, owner: held(a), available: available.clone() }).collect();
    p
}

/// Sum of all nodes' imbalances, and the number of moves.
fn measure(nodes: u32, answer: &Allocation) -> (u64, usize) {
    let on = |n| answer.owners.iter().filter(move |a| a.to == Some(Pnn(n))).map(|a| addr_key(a.addr));
    let pairs = |n| on(n).enumerate().flat_map(move |(i, a)| on(n).take(i).map(move |b| lcp2_weight(a, b)));
    let moved = answer.owners.iter().filter(|a| a.from.is_some() && a.to != a.from).count();
    ((0..nodes).flat_map(pairs).sum(), moved)
}

/// SCALE.md's table of the reference: imbalance sums and moves, cold, one node down, one node joined.
#[test]
fn lcp2_reaches_the_references_figures_at_scale() {
    let figures = [
        (4, 100, false, 16_975_619, (22_902_628, 25), (16_974_878, 25)),
        (4, 100, true, 17_768_654, (23_969_842, 25), (17_766_398, 25)),
        (16, 256, false, 26_975_312, (28_919_808, 16), (26_977_951, 16)),
        (16, 256, true, 27_806_464, (29_814_686, 16), (27_816_890, 16)),
        (32, 1000, false, 207_859_258, (214_818_945, 31), (207_869_521, 31)),
        (32, 1000, true, 214_398_396, (221_577_148, 31), (214_409_689, 31)),
    ];
    for (nodes, count, v6, cold_sum, down, join) in figures {
        let addrs = layout(count, v6);
        let cold = allocate(&with(None, &addrs, nodes, None));
        assert_eq!(measure(nodes, &cold), (cold_sum, 0), "cold {nodes}x{count} v6 {v6}");
        let after = allocate(&with(Some(&cold), &addrs, nodes, Some(nodes / 2)));
        assert_eq!(measure(nodes, &after), down, "down {nodes}x{count} v6 {v6}");
        let without = allocate(&with(None, &addrs, nodes, Some(nodes - 1)));
        let after = allocate(&with(Some(&without), &addrs, nodes, None));
        assert_eq!(measure(nodes, &after), join, "join {nodes}x{count} v6 {v6}");
    }
}

#[test]
fn lcp2_trace_and_reasons_tell_what_happened() {
    let mut p =
        open(Algorithm::Lcp2, 3, &[("10.0.0.3", Some(1)), ("10.0.0.2", Some(1)), ("10.0.0.1", Some(0))]);
    p.addrs[2].available = set(&[1]);
    let answer = allocate(&p);
    // Node 0 loses .1 and so is empty, as is node 2; .1 can only go to node 1, then both others may leave.
    let first = Step::Assign { addr: "10.0.0.1".parse().unwrap(), to: Pnn(1), cost: 126 * 126 + 126 * 126 };
    assert_eq!(answer.trace[0], first);
    assert_eq!(serde_json::to_string(&first).unwrap(), r#"{"assign":"10.0.0.1","to":1,"cost":31752}"#);
    assert_eq!(
        answer.owners[2].reason,
        Reason::LeastAlike { vacancy: Vacancy::OwnerCannotHost(Pnn(0)), cost: 31752 }
    );
    assert_eq!(owners(&answer), [Some(0), Some(2), Some(1)]);
    assert!(
        matches!(answer.owners[0].reason, Reason::Rebalanced { from: Pnn(1), .. }),
        "{:?}",
        answer.owners[0].reason
    );
}

#[test]
fn deterministic_moves_to_its_turn_even_under_no_ip_takeover() {
    let mut p = open(Algorithm::Deterministic, 2, &[("10.0.0.2", Some(1)), ("10.0.0.1", Some(1))]);
    p.no_ip_takeover = true;
    p.addrs[1].available = set(&[0]);
    let answer = allocate(&p);
    assert_eq!(owners(&answer), [Some(0), None]);
    assert_eq!(answer.owners[0].reason, Reason::Turn { index: 0, nodes: 2 });
    assert_eq!(answer.owners[1].reason, Reason::NoIpTakeover { vacancy: Vacancy::TurnCannotHost(Pnn(1)) });
    assert_eq!(answer.unallocatable, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn algorithms_by_number() {
    let names: Vec<String> = [0, 1, 2, 3, 4, u32::MAX].map(|v| Algorithm::from_tunable(v).to_string()).into();
    assert_eq!(names, ["deterministic", "nondeterministic", "lcp2", "minimalmove", "lcp2", "lcp2"]);
}

#[test]
fn nothing_can_be_hosted() {
    let mut p = open(Algorithm::Lcp2, 2, &[("10.0.0.1", None)]);
    assert!(can_host_anything(&p.addrs));
    p.addrs[0].available = set(&[]);
    assert!(!can_host_anything(&p.addrs));
    p.addrs[0].owner = Some(Pnn(0));
    assert!(can_host_anything(&p.addrs), "what is hosted must be released");
    assert!(!can_host_anything(&[]));
}

#[test]
fn no_nodes_or_no_addresses_are_no_panic() {
    for algorithm in (0..4).map(Algorithm::from_tunable) {
        assert_eq!(allocate(&Problem { algorithm, ..Problem::default() }), Allocation::default());
        let mut p = open(algorithm, 0, &[("10.0.0.1", Some(7)), ("fd00::1", None)]);
        p.addrs[1].available = set(&[3]);
        let answer = allocate(&p);
        assert_eq!(owners(&answer), [None, None]);
        assert_eq!(
            answer.owners[1].reason,
            Reason::NobodyCanHost { vacancy: Vacancy::OwnerCannotHost(Pnn(7)) }
        );
    }
}

#[test]
fn an_address_that_stands_twice_is_decided_the_same_in_any_order() {
    let mut p =
        open(Algorithm::Lcp2, 2, &[("10.0.0.1", Some(0)), ("10.0.0.1", Some(1)), ("::ffff:10.0.0.1", None)]);
    let answer = allocate(&p);
    p.addrs.reverse();
    assert_eq!(allocate(&p), answer);
}
