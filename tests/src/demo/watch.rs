//! What happened between two moments, from the address events of all kernels. Pure.

use crate::lab::AddressEvent;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Which nodes have each address.
pub(super) type Holders = BTreeMap<IpAddr, Vec<usize>>;

/// Who holds what after these events, for the addresses and the nodes asked about.
pub(super) fn replay(events: &[AddressEvent], addresses: &[IpAddr], nodes: usize) -> Holders {
    let mut holders: BTreeMap<IpAddr, BTreeSet<usize>> =
        addresses.iter().map(|a| (*a, BTreeSet::new())).collect();
    for e in events.iter().filter(|e| e.host < nodes) {
        let Some(held) = holders.get_mut(&e.address) else { continue };
        if e.added {
            held.insert(e.host)
        } else {
            held.remove(&e.host)
        };
    }
    holders.into_iter().map(|(a, nodes)| (a, nodes.into_iter().collect())).collect()
}

/// For how long each address was on two nodes or more since a moment; those that never were are not listed.
pub(super) fn doubled(
    events: &[AddressEvent],
    addresses: &[IpAddr],
    nodes: usize,
    since_ns: u64,
    now_ns: u64,
) -> BTreeMap<IpAddr, Duration> {
    let mut held: BTreeMap<IpAddr, (BTreeSet<usize>, u64)> = BTreeMap::new();
    let mut times: BTreeMap<IpAddr, u64> = BTreeMap::new();
    let mut account = |addr: IpAddr, holders: usize, from: u64, to: u64| {
        if holders > 1 && to > from.max(since_ns) {
            *times.entry(addr).or_default() += to - from.max(since_ns);
        }
    };
    for e in events.iter().filter(|e| e.host < nodes && addresses.contains(&e.address)) {
        let (set, last) = held.entry(e.address).or_default();
        account(e.address, set.len(), *last, e.at_ns);
        if e.added {
            set.insert(e.host)
        } else {
            set.remove(&e.host)
        };
        *last = e.at_ns;
    }
    for (addr, (set, last)) in &held {
        account(*addr, set.len(), *last, now_ns);
    }
    times.into_iter().map(|(a, ns)| (a, Duration::from_nanos(ns))).collect()
}

/// Events that say the same of several addresses within 5 ms, as one line each: when the first one was, and what.
pub(super) fn told(events: &[AddressEvent], nodes: usize, since_ns: u64) -> Vec<(Duration, String)> {
    let mut groups: Vec<(u64, usize, bool, Vec<IpAddr>)> = Vec::new();
    for e in events.iter().filter(|e| e.host < nodes && e.at_ns >= since_ns) {
        let same = |(at, host, added, _): &&mut (u64, usize, bool, Vec<IpAddr>)| {
            *host == e.host && *added == e.added && e.at_ns - *at < 5_000_000
        };
        match groups.iter_mut().rev().take(4).find(same) {
            Some((_, _, _, addresses)) => addresses.push(e.address),
            None => groups.push((e.at_ns, e.host, e.added, vec![e.address])),
        }
    }
    let text = |host: usize, added: bool, mut addresses: Vec<IpAddr>| {
        addresses.sort();
        let verb = if added { "up on" } else { "gone from" };
        format!("{} {verb} node {host}", list(&addresses))
    };
    groups
        .into_iter()
        .map(|(at, host, added, a)| (Duration::from_nanos(at - since_ns), text(host, added, a)))
        .collect()
}

/// Addresses in a row.
pub(super) fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether each address is on exactly one node, all of these `nodes`, as evenly as can be.
pub(super) fn balanced(holders: &Holders, nodes: &[usize]) -> bool {
    let mut counts: BTreeMap<usize, usize> = nodes.iter().map(|n| (*n, 0)).collect();
    for held in holders.values() {
        let [node] = held.as_slice() else { return false };
        let Some(count) = counts.get_mut(node) else { return false };
        *count += 1;
    }
    counts.values().max().zip(counts.values().min()).is_some_and(|(max, min)| max - min <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn event(at_ms: u64, host: usize, last: u8, added: bool) -> AddressEvent {
        AddressEvent { at_ns: at_ms * MS, host, address: ip(last), added }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_clean_move_is_never_doubled() {
        let events = [event(1, 0, 31, true), event(10, 0, 31, false), event(12, 1, 31, true)];
        assert_eq!(replay(&events, &[ip(31)], 3)[&ip(31)], [1]);
        assert!(doubled(&events, &[ip(31)], 3, 0, 100 * MS).is_empty());
        assert_eq!(told(&events, 3, 10 * MS).len(), 2);
    }

    #[test]
    fn time_on_two_nodes_counts_from_the_moment_asked_about() {
        let events = [event(1, 0, 31, true), event(10, 1, 31, true), event(30, 0, 31, false)];
        let all = |since| doubled(&events, &[ip(31)], 3, since, 100 * MS);
        assert_eq!(all(0)[&ip(31)], Duration::from_millis(20));
        assert_eq!(all(25 * MS)[&ip(31)], Duration::from_millis(5));
        assert!(all(40 * MS).is_empty());
        let open = doubled(&events[..2], &[ip(31)], 3, 0, 100 * MS);
        assert_eq!(open[&ip(31)], Duration::from_millis(90));
    }

    #[test]
    fn addresses_that_go_together_are_told_together() {
        let events = [event(5, 0, 36, true), event(6, 1, 32, true), event(7, 0, 31, true)];
        let lines = told(&events, 3, 0);
        assert_eq!(lines[0], (Duration::from_millis(5), "10.0.0.31, 10.0.0.36 up on node 0".to_owned()));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn other_hosts_and_addresses_do_not_count() {
        let events = [event(1, 3, 31, true), event(1, 0, 99, true)];
        assert!(replay(&events, &[ip(31)], 3)[&ip(31)].is_empty());
    }

    #[test]
    fn balance() {
        let holders: Holders = [(ip(31), vec![0]), (ip(32), vec![1]), (ip(33), vec![1])].into();
        assert!(balanced(&holders, &[0, 1]));
        assert!(!balanced(&holders, &[0, 1, 2].map(|n| n + 1)));
        let twice: Holders = [(ip(31), vec![0, 1])].into();
        assert!(!balanced(&twice, &[0, 1]));
    }
}
