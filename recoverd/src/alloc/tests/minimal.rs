//! Minimal move against brute force, and its promises.

use super::super::{Reason, allocate};
use super::*;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Score in the order of importance: addresses on nodes of weight 0 and their squares, squares by weight (as a fraction over the
/// product of all weights), addresses away from home, moves.
type Score = (u64, u64, u128, usize, usize);

fn score(p: &Problem, owner: &BTreeMap<IpAddr, Pnn>) -> Score {
    let mut load = vec![0_u64; p.num_nodes as usize];
    owner.values().for_each(|n| load[n.index()] += 1);
    let weight = |n: usize| u128::from(p.weights.get(Pnn(n as u32)));
    let product: u128 = (0..load.len()).map(weight).filter(|w| *w > 0).product();
    let (mut drained, mut drained_squares, mut squares) = (0, 0, 0);
    for (n, l) in load.iter().enumerate() {
        if weight(n) == 0 {
            drained += l;
            drained_squares += l * l;
        } else {
            squares += u128::from(l * l) * (product / weight(n));
        }
    }
    let (mut away, mut moves) = (0, 0);
    for a in &p.addrs {
        let Some(at) = owner.get(&a.addr) else { continue };
        let hostable = |n: &Pnn| n.0 < p.num_nodes && a.available.contains(*n);
        away += usize::from(p.home_nodes.get(a.addr).filter(hostable).is_some_and(|h| h != *at));
        moves += usize::from(a.owner.filter(hostable).is_some_and(|o| o != *at));
    }
    (drained, drained_squares, squares, away, moves)
}

/// The best score of all allocations that serve everything (and, under NoIPFailback, move nothing).
fn brute_force(p: &Problem) -> Score {
    fn go(p: &Problem, i: usize, owner: &mut BTreeMap<IpAddr, Pnn>, best: &mut Option<Score>) {
        let Some(a) = p.addrs.get(i) else {
            let s = score(p, owner);
            if best.is_none_or(|b| s < b) {
                *best = Some(s);
            }
            return;
        };
        let fixed = a.owner.filter(|o| p.no_ip_failback && a.available.contains(*o));
        for n in a.available.iter().filter(|n| fixed.is_none_or(|f| f == *n)) {
            owner.insert(a.addr, n);
            go(p, i + 1, owner, best);
        }
        owner.remove(&a.addr);
        if a.available.is_empty() {
            go(p, i + 1, owner, best);
        }
    }
    let mut best = None;
    go(p, 0, &mut BTreeMap::new(), &mut best);
    best.unwrap()
}

fn answer_score(p: &Problem) -> Score {
    score(p, &allocate(p).owners.iter().filter_map(|a| Some((a.addr, a.to?))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_allocation_is_better(
        mut p in problems(4, 6),
        weights in proptest::collection::vec(0..4_u32, 4),
        homes in any::<bool>(),
        weighted in any::<bool>(),
    ) {
        p.algorithm = Algorithm::MinimalMove;
        p.no_ip_takeover = false;
        if !homes {
            p.home_nodes = HomeNodes::default();
        }
        if weighted {
            p.weights = Weights((0..4).map(Pnn).zip(weights).collect());
        }
        prop_assert_eq!(answer_score(&p), brute_force(&p));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_less_even_than_lcp2_and_even_within_each_group(mut p in problems(8, 60)) {
        p.no_ip_takeover = false;
        p.no_ip_failback = false;
        let lcp2 = loads(p.num_nodes, &allocate(&p));
        p.algorithm = Algorithm::MinimalMove;
        let answer = allocate(&p);
        let ours = loads(p.num_nodes, &answer);
        let squares = |l: &[u64]| l.iter().map(|x| x * x).sum::<u64>();
        prop_assert!(squares(&ours) <= squares(&lcp2), "{ours:?} lcp2 {lcp2:?}");
        prop_assert!(ours.iter().max() <= lcp2.iter().max());
        for n in (0..p.num_nodes).map(Pnn) {
            for m in (0..p.num_nodes).map(Pnn) {
                if p.addrs.iter().all(|a| a.available.contains(n) == a.available.contains(m)) {
                    prop_assert!(ours[n.index()].abs_diff(ours[m.index()]) <= 1, "{ours:?}");
                }
            }
        }
    }

    #[test]
    fn a_second_run_moves_nothing(mut p in problems(8, 40)) {
        p.algorithm = Algorithm::MinimalMove;
        let first = allocate(&p);
        for a in &mut p.addrs {
            a.owner = first.owners.iter().find(|x| x.addr == a.addr).unwrap().to;
        }
        let second = allocate(&p);
        prop_assert_eq!(owners(&second), owners(&first));
        prop_assert!(second.owners.iter().all(|a| a.to.is_none() || a.reason == Reason::Kept));
    }
}

#[test]
fn refills_a_node_that_holds_one_address_and_moves_no_more_than_needed() {
    let held: Vec<(String, Option<u32>)> =
        (1..=12).map(|i| (format!("10.0.{}.{i}", i % 2), Some(u32::from(i == 1)))).collect();
    let held: Vec<(&str, Option<u32>)> = held.iter().map(|(a, o)| (a.as_str(), *o)).collect();
    let mut p = open(Algorithm::Lcp2, 2, &held);
    assert_eq!(loads(2, &allocate(&p)), [11, 1], "the reference never refills it");
    p.algorithm = Algorithm::MinimalMove;
    let answer = allocate(&p);
    assert_eq!(loads(2, &answer), [6, 6]);
    assert_eq!(answer.owners.iter().filter(|a| a.from != a.to).count(), 5);
    // Spread: three of each /24 on each node.
    let in_first = |n| {
        answer
            .owners
            .iter()
            .filter(|a| a.to == Some(Pnn(n)) && a.addr.to_string().starts_with("10.0.0."))
            .count()
    };
    assert_eq!((in_first(0), in_first(1)), (3, 3));
}

#[test]
fn a_chain_over_a_full_node_reaches_an_empty_one() {
    // Node 0 and 1 share two addresses, 1 and 2 share two; node 2 is empty: 1 hands on, 0 need not.
    let mut p = open(
        Algorithm::MinimalMove,
        3,
        &[("10.0.0.4", Some(0)), ("10.0.0.3", Some(0)), ("10.0.0.2", Some(1)), ("10.0.0.1", None)],
    );
    p.addrs[0].available = set(&[0, 1]);
    p.addrs[1].available = set(&[0]);
    p.addrs[2].available = set(&[1, 2]);
    p.addrs[3].available = set(&[0]);
    let answer = allocate(&p);
    assert_eq!(owners(&answer), [Some(1), Some(0), Some(2), Some(0)]);
    assert!(
        matches!(answer.owners[2].reason, Reason::Evened { from_count: 1, to_count: 0 }),
        "{:?}",
        answer.owners[2]
    );
}

#[test]
fn weights_divide_in_proportion_and_weight_zero_drains() {
    let held: Vec<String> = (1..=9).map(|i| format!("10.0.0.{i}")).collect();
    let held: Vec<(&str, Option<u32>)> = held.iter().map(|a| (a.as_str(), Some(2))).collect();
    let mut p = open(Algorithm::MinimalMove, 3, &held);
    p.weights = Weights([(Pnn(0), 2), (Pnn(2), 0)].into());
    assert_eq!(loads(3, &allocate(&p)), [6, 3, 0]);
    p.addrs[0].available = set(&[2]);
    assert_eq!(loads(3, &allocate(&p))[2], 1, "only what nobody else can host");
}

#[test]
fn homes_are_kept_as_far_as_shares_stay_even() {
    let mut p = open(
        Algorithm::MinimalMove,
        2,
        &[("10.0.0.1", Some(0)), ("10.0.0.2", Some(1)), ("10.0.0.3", None), ("10.0.0.4", None)],
    );
    for a in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        p.home_nodes.add(a.parse().unwrap(), Pnn(0));
    }
    let answer = allocate(&p);
    assert_eq!(loads(2, &answer), [2, 2]);
    assert_eq!(answer.owners.iter().filter(|a| a.to == Some(Pnn(0)) && a.addr != p.addrs[0].addr).count(), 2);
    assert_eq!(
        score(&p, &answer.owners.iter().map(|a| (a.addr, a.to.unwrap())).collect()).cmp(&brute_force(&p)),
        Ordering::Equal
    );
}

#[test]
fn of_two_full_nodes_the_one_that_gives_more_cheaply_gives() {
    // Nodes 0 and 1 hold three each, node 2 one. Node 0 is asked first, but its addresses are at home.
    let held: Vec<(String, Option<u32>)> =
        (1..=7).map(|i| (format!("10.0.0.{i}"), Some((i - 1) / 3))).collect();
    let held: Vec<(&str, Option<u32>)> = held.iter().map(|(a, o)| (a.as_str(), *o)).collect();
    let mut p = open(Algorithm::MinimalMove, 3, &held);
    for a in &mut p.addrs {
        let owner = a.owner.unwrap();
        a.available = [owner, Pnn(2)].into_iter().collect();
        if owner == Pnn(0) {
            p.home_nodes.add(a.addr, owner);
        }
    }
    assert_eq!(loads(3, &allocate(&p)), [3, 2, 2]);
    assert_eq!(answer_score(&p), brute_force(&p));
}
