//! Release before take, per address: which takes are allowed now.
//!
//! CTDB takes nothing before every release of every address is answered. Here an address waits for its own releases only, on every
//! node that has it. A failed release keeps its address from being taken, nothing else.

use crate::model::Pnn;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Progress of the plan's orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Transfer {
    /// Releases not answered yet.
    waiting: BTreeMap<IpAddr, BTreeSet<Pnn>>,
    /// Who is to take the address.
    taker: BTreeMap<IpAddr, Pnn>,
    /// Addresses of which a release failed.
    unreleased: BTreeSet<IpAddr>,
    /// Addresses that are to be taken and are not (yet).
    untaken: BTreeSet<IpAddr>,
}

impl Transfer {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut t = Self::default();
        for (&pnn, list) in &plan.releases {
            for (addr, _) in list {
                t.waiting.entry(*addr).or_default().insert(pnn);
            }
        }
        for (&pnn, list) in &plan.takeovers {
            t.taker.extend(list.iter().map(|addr| (*addr, pnn)));
            t.untaken.extend(list);
        }
        t
    }

    /// Whether nobody else has to let go of the address first.
    pub(super) fn is_free(&self, addr: IpAddr) -> bool {
        !self.waiting.contains_key(&addr) && !self.unreleased.contains(&addr)
    }

    /// A node has answered a release. Returns who may take the address now.
    pub(super) fn released(&mut self, pnn: Pnn, addr: IpAddr, ok: bool) -> Option<Pnn> {
        if !ok {
            self.unreleased.insert(addr);
        }
        let left = self.waiting.get_mut(&addr)?;
        left.remove(&pnn);
        if left.is_empty() {
            self.waiting.remove(&addr);
        }
        self.taker.get(&addr).copied().filter(|_| self.is_free(addr))
    }

    /// The new owner has taken the address.
    pub(super) fn taken(&mut self, addr: IpAddr) {
        self.untaken.remove(&addr);
    }

    /// The plan's owners, without those that could not take their address.
    pub(super) fn owners(&self, plan: &Plan) -> Vec<(IpAddr, Option<Pnn>)> {
        plan.owners.iter().map(|(a, o)| (*a, o.filter(|_| !self.untaken.contains(a)))).collect()
    }
}
