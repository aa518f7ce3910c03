//! Merge of what the nodes report into the working list (SEMANTICS A.2).
//!
//! Does not judge availability: a node reports as available only what it may host now.

use super::problem::AddrState;
use crate::model::{AddrKey, Pnn, addr_key};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What one node says about public addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node that reports.
    pub pnn: Pnn,
    /// The addresses it has configured, each with the node that it believes to be the owner.
    pub known: Vec<(IpAddr, Option<Pnn>)>,
    /// The addresses it can host now. One that it does not know is not counted.
    pub available: Vec<IpAddr>,
}

/// All addresses that any node knows, in descending key order.
///
/// Only self-claims count: the owner is the highest-numbered node that names itself. What a node believes about other nodes is
/// ignored. The order of the reports does not matter. Cost: sorting, never a comparison of every pair.
#[must_use]
pub fn merge(reports: &[NodeReport]) -> Vec<AddrState> {
    let mut list: BTreeMap<Reverse<AddrKey>, AddrState> = BTreeMap::new();
    for report in reports {
        for &(addr, believed) in &report.known {
            let addr = addr.to_canonical();
            let entry = list.entry(Reverse(addr_key(addr))).or_insert_with(|| AddrState {
                addr,
                owner: None,
                available: Default::default(),
            });
            // An IPv6 address below 2^32 has the key of an IPv4 address: as in CTDB they are one entry, here the IPv4 one.
            entry.addr = entry.addr.min(addr);
            if believed == Some(report.pnn) {
                entry.owner = entry.owner.max(believed);
            }
        }
    }
    for report in reports {
        let mut known: Vec<AddrKey> = report.known.iter().map(|k| addr_key(k.0)).collect();
        known.sort_unstable();
        for key in report.available.iter().map(|a| addr_key(*a)) {
            if known.binary_search(&key).is_ok()
                && let Some(entry) = list.get_mut(&Reverse(key))
            {
                entry.available.insert(report.pnn);
            }
        }
    }
    list.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(pnn: u32, known: &[(&str, Option<u32>)], available: &[&str]) -> NodeReport {
        NodeReport {
            pnn: Pnn(pnn),
            known: known.iter().map(|(a, o)| (a.parse().unwrap(), o.map(Pnn))).collect(),
            available: available.iter().map(|a| a.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn only_self_claims_count_and_the_highest_wins() {
        let mut reports = [
            report(
                0,
                &[("10.0.0.1", Some(0)), ("10.0.0.2", Some(2)), ("fd00::1", Some(0))],
                &["10.0.0.1", "10.0.0.9"],
            ),
            report(1, &[("10.0.0.1", Some(1)), ("::ffff:10.0.0.2", None)], &["10.0.0.2", "fd00::1"]),
            report(2, &[("10.0.0.1", Some(0)), ("10.0.0.2", Some(1))], &["10.0.0.1"]),
        ];
        let merged = merge(&reports);
        let brief: Vec<_> = merged
            .iter()
            .map(|a| {
                (
                    a.addr.to_string(),
                    a.owner.map(|o| o.0),
                    a.available.iter().map(|n| n.0).collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(
            brief,
            [
                ("fd00::1".to_owned(), Some(0), vec![]),
                ("10.0.0.2".to_owned(), None, vec![1]),
                ("10.0.0.1".to_owned(), Some(1), vec![0, 2]),
            ]
        );
        reports.reverse();
        assert_eq!(merge(&reports), merged);
        assert!(merge(&[]).is_empty());
    }

    #[test]
    fn ipv6_that_collides_with_ipv4_is_one_entry_in_any_order() {
        let mut reports =
            [report(0, &[("::10.0.0.1", None)], &[]), report(1, &[("10.0.0.1", None)], &["10.0.0.1"])];
        let merged = merge(&reports);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].addr.to_string(), "10.0.0.1");
        reports.reverse();
        assert_eq!(merge(&reports), merged);
    }
}
