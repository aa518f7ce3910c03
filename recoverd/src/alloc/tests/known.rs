//! Single cases with known answers, among them the reference's defects that are not copied.

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

/// SCALE.md: moves are minimal when a node joins or leaves, and imbalance as measured on the reference's layout.
#[test]
fn lcp2_cold_16_by_256_is_as_even_as_the_reference() {
    let mut p = open(Algorithm::Lcp2, 16, &[]);
    p.addrs = (0..256_u32)
        .map(|i| AddrState {
            addr: IpAddr::V4(Ipv4Addr::from(0x0a14_0000 + (i % 4) * 256 + i / 4 + 1)),
            owner: None,
            available: (0..16).map(Pnn).collect(),
        })
        .collect();
    let answer = allocate(&p);
    assert_eq!(loads(16, &answer), [16; 16]);
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
