//! The independent checker: no plan is executed before it has passed here (DESIGN §4).
//!
//! It verifies a plan against what the nodes reported, with rules of its own and none of [`crate::plan`]'s code: nobody gets an address
//! that another node keeps, everybody who has one and is not its owner lets it go first, nobody gets what it cannot host. It does not
//! judge whether a plan is good (balanced, few moves), only whether it is safe and complete.

use crate::model::{NodeFlags, Pnn};
use crate::plan::Plan;
use crate::takeover::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// Two nodes would have the address.
    #[error("{addr} is given to node {first} and to node {second}")]
    GivenTwice {
        /// The address.
        addr: IpAddr,
        /// One node.
        first: Pnn,
        /// The other.
        second: Pnn,
    },
    /// Its new owner has not said that it can host it.
    #[error("{addr} is given to node {node}, which cannot host it")]
    CannotHost {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// A node has it, is not its new owner, and is not told to let it go.
    #[error("node {node} has {addr}, is not to have it, and is not told to release it")]
    NotReleased {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// The node that is to have it is told to let it go.
    #[error("node {node} is to have {addr} and is told to release it")]
    ReleasedByOwner {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// A release names another new owner than the plan.
    #[error("node {node} is told a wrong new owner of {addr}")]
    WrongNewOwner {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// Taken by another node than the plan's owner.
    #[error("node {node} is to take {addr}, but the plan names another owner")]
    TakenByOther {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// Its owner does not have it and is not told to take it.
    #[error("node {node} is to have {addr}, does not, and is not told to take it")]
    NotTaken {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// An order for a node without a link.
    #[error("node {node} is not connected and cannot be told anything about {addr}")]
    NotConnected {
        /// The address.
        addr: IpAddr,
        /// The node.
        node: Pnn,
    },
    /// A node knows the address, the plan does not.
    #[error("the plan says nothing about {addr}")]
    Forgotten {
        /// The address.
        addr: IpAddr,
    },
}

/// Everything that is wrong with a plan; empty when it may be executed.
#[must_use]
pub fn check(plan: &Plan, snapshot: &Snapshot) -> Vec<Violation> {
    let mut found = Vec::new();
    let owners = owners(plan, &mut found);
    let takers = takers(plan, &mut found);
    let released: BTreeSet<(Pnn, IpAddr)> =
        plan.releases.iter().flat_map(|(n, list)| list.iter().map(|(addr, _)| (*n, *addr))).collect();

    for (&addr, &owner) in &owners {
        let Some(node) = owner else { continue };
        let report = snapshot.addrs.get(&node);
        let entry = report.and_then(|r| r.known.get(&addr));
        if entry.is_none() || !report.is_some_and(|r| r.available.contains(&addr)) {
            found.push(Violation::CannotHost { addr, node });
        }
        let has_it = entry.is_some_and(|ip| ip.held && ip.owner == Some(node));
        if !has_it && takers.get(&addr) != Some(&node) {
            found.push(Violation::NotTaken { addr, node });
        }
    }
    for (&addr, &node) in &takers {
        if owners.get(&addr) != Some(&Some(node)) {
            found.push(Violation::TakenByOther { addr, node });
        }
    }
    for (&node, list) in &plan.releases {
        for &(addr, to) in list {
            let owner = owners.get(&addr).copied().flatten();
            if owner == Some(node) {
                found.push(Violation::ReleasedByOwner { addr, node });
            } else if owner != to {
                found.push(Violation::WrongNewOwner { addr, node });
            }
        }
    }
    let gone: BTreeSet<Pnn> = snapshot
        .nodes
        .iter()
        .filter(|n| n.flags.intersects(NodeFlags::DISCONNECTED))
        .map(|n| n.pnn)
        .collect();
    for (&node, report) in &snapshot.addrs {
        for (&addr, ip) in &report.known {
            let Some(&owner) = owners.get(&addr) else {
                found.push(Violation::Forgotten { addr });
                continue;
            };
            let has_it = ip.held || ip.owner == Some(node);
            if has_it && owner != Some(node) && !gone.contains(&node) && !released.contains(&(node, addr)) {
                found.push(Violation::NotReleased { addr, node });
            }
        }
    }
    let ordered = released.iter().map(|(n, a)| (*n, *a)).chain(takers.iter().map(|(a, n)| (*n, *a)));
    found.extend(
        ordered.filter(|(n, _)| gone.contains(n)).map(|(node, addr)| Violation::NotConnected { addr, node }),
    );
    found
}

/// The plan's owner of each address.
fn owners(plan: &Plan, found: &mut Vec<Violation>) -> BTreeMap<IpAddr, Option<Pnn>> {
    let mut owners = BTreeMap::new();
    for &(addr, owner) in &plan.owners {
        if let (Some(Some(first)), Some(second)) = (owners.insert(addr, owner), owner)
            && first != second
        {
            found.push(Violation::GivenTwice { addr, first, second });
        }
    }
    owners
}

/// Who is told to take each address.
fn takers(plan: &Plan, found: &mut Vec<Violation>) -> BTreeMap<IpAddr, Pnn> {
    let mut takers = BTreeMap::new();
    for (&second, list) in &plan.takeovers {
        for &addr in list {
            if let Some(first) = takers.insert(addr, second)
                && first != second
            {
                found.push(Violation::GivenTwice { addr, first, second });
            }
        }
    }
    takers
}

#[cfg(test)]
mod tests;
