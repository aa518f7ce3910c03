//! Tests of the algorithms together: against a naive reading of the semantics, by properties, and against brute force.

mod known;
mod minimal;
mod naive;
mod properties;

use super::{AddrState, Algorithm, Allocation, HomeNodes, NodeSet, Problem, Weights};
use crate::model::{AddrKey, Pnn, addr_key};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses in few subnets of both families, so that ties and near misses are common; each key once.
fn addresses(max: usize) -> impl Strategy<Value = Vec<IpAddr>> {
    let v4 = (0..3_u8, 1..40_u8).prop_map(|(net, host)| IpAddr::V4(Ipv4Addr::new(10, 20, net, host)));
    let v6 = (0..3_u16, 0..2_u16, 1..40_u16)
        .prop_map(|(net, mid, host)| IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, net, mid, 0, 0, host)));
    let family = prop_oneof![Just(0), Just(1), Just(2)];
    let one = (family, v4, v6);
    proptest::collection::vec(one, 0..=max).prop_flat_map(|all| {
        let kind = all.first().map_or(0, |a| a.0);
        let mut list: Vec<IpAddr> = all
            .iter()
            .enumerate()
            .map(|(i, (_, v4, v6))| if kind == 0 || (kind == 2 && i % 2 == 0) { *v4 } else { *v6 })
            .collect();
        list.sort();
        list.dedup();
        Just(list).prop_shuffle()
    })
}

/// Any problem of a size; the algorithm is set by the test.
fn problems(nodes: u32, addrs: usize) -> impl Strategy<Value = Problem> {
    (1..=nodes, addresses(addrs), any::<bool>()).prop_flat_map(|(n, addrs, uniform)| {
        let len = addrs.len();
        let shared = proptest::collection::vec(proptest::bool::weighted(0.75), n as usize);
        let own = proptest::collection::vec(
            proptest::collection::vec(proptest::bool::weighted(0.6), n as usize),
            len,
        );
        let owners = proptest::collection::vec(proptest::option::weighted(0.6, 0..=n), len);
        let homes = proptest::collection::vec(proptest::option::weighted(0.2, 0..=n), len);
        let flags = (proptest::bool::weighted(0.1), proptest::bool::weighted(0.2));
        let forced = proptest::collection::vec(0..n + 2, 0..2);
        (Just(addrs), shared, own, owners, homes, flags, forced).prop_map(
            move |(addrs, shared, own, owners, homes, flags, forced)| {
                let mut home_nodes = HomeNodes::default();
                for (addr, home) in addrs.iter().zip(&homes) {
                    home.iter().for_each(|h| home_nodes.add(*addr, Pnn(*h)));
                }
                let state = |i: usize, addr: &IpAddr| AddrState {
                    addr: *addr,
                    owner: owners[i].map(Pnn),
                    available: (0..n)
                        .filter(|k| if uniform { &shared } else { &own[i] }[*k as usize])
                        .map(Pnn)
                        .collect(),
                };
                Problem {
                    algorithm: Algorithm::Lcp2,
                    num_nodes: n,
                    addrs: addrs.iter().enumerate().map(|(i, a)| state(i, a)).collect(),
                    no_ip_takeover: flags.0,
                    no_ip_failback: flags.1,
                    force_rebalance: forced.into_iter().map(Pnn).collect(),
                    home_nodes,
                    weights: Weights::default(),
                }
            },
        )
    })
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    (0..4_u32).prop_map(Algorithm::from_tunable)
}

/// A problem in which every node can host every address.
fn open(algorithm: Algorithm, nodes: u32, addrs: &[(&str, Option<u32>)]) -> Problem {
    Problem {
        algorithm,
        num_nodes: nodes,
        addrs: addrs
            .iter()
            .map(|(a, o)| AddrState {
                addr: a.parse().unwrap(),
                owner: o.map(Pnn),
                available: (0..nodes).map(Pnn).collect(),
            })
            .collect(),
        ..Problem::default()
    }
}

/// Owners as plain numbers, in the order of the answer.
fn owners(answer: &Allocation) -> Vec<Option<u32>> {
    answer.owners.iter().map(|a| a.to.map(|n| n.0)).collect()
}

/// Addresses of each node in the answer.
fn loads(nodes: u32, answer: &Allocation) -> Vec<u64> {
    let mut loads = vec![0; nodes as usize];
    answer.owners.iter().filter_map(|a| a.to).for_each(|n| loads[n.index()] += 1);
    loads
}

fn key(a: &AddrState) -> AddrKey {
    addr_key(a.addr)
}

fn set(nodes: &[u32]) -> NodeSet {
    nodes.iter().copied().map(Pnn).collect()
}
