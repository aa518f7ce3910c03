//! From an allocation to orders: what must change, and nothing else.
//!
//! CTDB sends a release and a take for every address at every run. Here only differences are sent: a release to each connected node
//! that claims or holds an address and is not its new owner, a take to the new owner unless it claims *and* holds it (so an address
//! that vanished from the interface of its owner is taken again). It does not decide owners and does not send: [`crate::alloc`] and
//! [`crate::takeover`] do. [`crate::check`] verifies each plan with rules of its own.

use crate::alloc::{Allocation, Reason};
use crate::model::{Pnn, RunId};
use crate::takeover::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An address that changes its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The address.
    pub addr: IpAddr,
    /// The owner before.
    pub from: Option<Pnn>,
    /// The owner afterwards; none when it stays unserved.
    pub to: Option<Pnn>,
    /// Why.
    pub reason: MoveReason,
}

/// Why an address changes its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveReason {
    /// The allocation decided so.
    Allocated(Reason),
    /// An operator asked for it (`ctdb moveip`).
    Asked,
}

impl std::fmt::Display for MoveReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Allocated(reason) => reason.fmt(f),
            Self::Asked => f.write_str("an operator moved it here (ctdb moveip)"),
        }
    }
}

/// The orders of one run. All lists are in descending order of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The run.
    pub id: RunId,
    /// For each node the addresses that it must let go, each with the node that will have it.
    pub releases: BTreeMap<Pnn, Vec<(IpAddr, Option<Pnn>)>>,
    /// For each node the addresses that it must take.
    pub takeovers: BTreeMap<Pnn, Vec<IpAddr>>,
    /// What changes its owner, with the reason.
    pub moves: Vec<Move>,
    /// The owner of every address when the plan has been executed.
    pub owners: Vec<(IpAddr, Option<Pnn>)>,
    /// Addresses that will have no owner.
    pub unallocatable: Vec<IpAddr>,
}

impl Plan {
    /// Whether nothing is to be released or taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty() && self.takeovers.is_empty()
    }
}

/// Makes the plan of a run. `asked` are the addresses that an operator placed by hand.
#[must_use]
pub fn make_plan(id: RunId, snapshot: &Snapshot, allocation: &Allocation, asked: &[(IpAddr, Pnn)]) -> Plan {
    let involved = involved(snapshot);
    let mut plan = Plan {
        id,
        releases: BTreeMap::new(),
        takeovers: BTreeMap::new(),
        moves: Vec::new(),
        owners: Vec::with_capacity(allocation.owners.len()),
        unallocatable: allocation.unallocatable.clone(),
    };
    for a in &allocation.owners {
        let (addr, to) = (a.addr, a.to);
        for &pnn in involved.get(&addr).into_iter().flatten() {
            if to != Some(pnn) {
                plan.releases.entry(pnn).or_default().push((addr, to));
            }
        }
        if let Some(pnn) = to
            && !(snapshot.claims(pnn, addr) && snapshot.holds(pnn, addr))
        {
            plan.takeovers.entry(pnn).or_default().push(addr);
        }
        if a.from != to {
            let by_hand = asked.iter().any(|(x, n)| *x == addr && to == Some(*n));
            let reason = if by_hand { MoveReason::Asked } else { MoveReason::Allocated(a.reason) };
            plan.moves.push(Move { addr, from: a.from, to, reason });
        }
        plan.owners.push((addr, to));
    }
    plan
}

/// For each address the connected nodes that claim or hold it.
fn involved(snapshot: &Snapshot) -> BTreeMap<IpAddr, Vec<Pnn>> {
    let mut found: BTreeMap<IpAddr, Vec<Pnn>> = BTreeMap::new();
    for pnn in snapshot.connected() {
        let known = snapshot.addrs.get(&pnn).into_iter().flat_map(|a| a.known.values());
        for ip in known.filter(|ip| ip.held || ip.owner == Some(pnn)) {
            found.entry(ip.addr).or_default().push(pnn);
        }
    }
    found
}

#[cfg(test)]
mod tests;
