//! A guard against slipping: how many allocations the pure hot paths cost, against a stored bound. Counts are exact and the same on every
//! machine, unlike times; whoever makes one of these paths dearer on purpose changes its bound here and says why in the commit.
//!
//! Bounds are the count at the time of writing and a tenth more. A path that became much cheaper fails too, so that its bound follows.

#![expect(clippy::print_stdout, reason = "figures for people")]

mod lone;

use allocation_counter::{AllocationInfo, measure};
use lone::Lone;
use recoverd::alloc::{AddrState, Algorithm, NodeSet, Problem, allocate};
use recoverd::model::Pnn;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

fn within(what: &str, used: &AllocationInfo, bound: u64) {
    let count = used.count_total;
    println!(
        "measured: {what}: {count} allocations, {} bytes, {} at most at once",
        used.bytes_total, used.bytes_max
    );
    assert!(count <= bound, "{what}: {count} allocations, the bound is {bound}");
    assert!(
        count >= bound / 3,
        "{what}: {count} allocations only: lower its bound of {bound}, so that it is guarded"
    );
}

fn problem(algorithm: Algorithm, nodes: u32, addresses: u32) -> Problem {
    let available: NodeSet = (0..nodes).map(Pnn).collect();
    let addr = |n: u32| IpAddr::V4(Ipv4Addr::new(10, 20, (n % 10) as u8, (10 + n / 10) as u8));
    let state = |n| AddrState { addr: addr(n), owner: None, available: available.clone() };
    Problem { algorithm, num_nodes: nodes, addrs: (0..addresses).map(state).collect(), ..Problem::default() }
}

#[test]
fn allocation_of_a_thousand_addresses() {
    for (algorithm, bound) in [(Algorithm::Lcp2, 1_311), (Algorithm::MinimalMove, 14_687)] {
        let problem = problem(algorithm, 32, 1000);
        let used = measure(|| drop(black_box(allocate(&problem))));
        within(&format!("{algorithm} 32 x 1000, cold"), &used, bound);
    }
}

#[test]
fn an_address_removed_by_hand_is_put_back() {
    let mut node = Lone::serving(1000);
    let removed = node.without(7);
    let used = measure(|| drop(black_box(node.tell(&removed))));
    within("local repair among 1000 addresses", &used, 12);
}

#[test]
fn a_keepalive_and_nothing_else() {
    let mut node = Lone::serving(1000);
    let used = measure(|| node.idle(100));
    within("a hundred deadlines at rest", &used, 559);
}
