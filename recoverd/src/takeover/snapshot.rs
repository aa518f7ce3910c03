//! What a takeover run saw: node map, known and available addresses.
//!
//! A value that only answers questions about what was reported. It does not judge who should have an address: that is
//! [`crate::alloc`], and [`crate::plan`] makes orders of it. Addresses are kept in canonical form (SEMANTICS A.2).

use crate::alloc::{AddrState, NodeReport, merge};
use crate::control::{NodeInfo, PublicIp};
use crate::model::{NodeFlags, Pnn};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The answers of one node to both rounds of GET_PUBLIC_IPS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddrs {
    /// Every address that the node knows.
    pub known: BTreeMap<IpAddr, PublicIp>,
    /// Those that it can host now; empty for nodes that were not asked.
    pub available: BTreeSet<IpAddr>,
}

/// What the run saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The recmaster's node map, in its order.
    pub nodes: Vec<NodeInfo>,
    /// What the connected nodes reported.
    pub addrs: BTreeMap<Pnn, NodeAddrs>,
}

/// One node in the summary of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// Node.
    pub pnn: Pnn,
    /// Its flags.
    pub flags: NodeFlags,
    /// Its run state.
    pub runstate: crate::model::RunState,
    /// Number of addresses that it knows.
    pub known: u32,
    /// Number of those that it can host now.
    pub available: u32,
    /// Number of addresses that it claims.
    pub claimed: u32,
    /// Number of public addresses on its interfaces.
    pub held: u32,
}

impl Snapshot {
    /// Nodes of the node list; nodes are 0 to this minus one.
    #[must_use]
    pub fn num_nodes(&self) -> u32 {
        self.nodes.iter().map(|n| n.pnn.0.saturating_add(1)).max().unwrap_or(0)
    }

    /// Nodes with a link: all but DISCONNECTED ones, ascending (SEMANTICS B.2).
    #[must_use]
    pub fn connected(&self) -> Vec<Pnn> {
        self.having(|n| !n.flags.intersects(NodeFlags::DISCONNECTED))
    }

    /// Nodes that are asked what they can host: active ones that know an address, ascending (SEMANTICS B.2).
    #[must_use]
    pub fn askable(&self) -> Vec<Pnn> {
        self.having(|n| !n.flags.is_inactive() && self.addrs.get(&n.pnn).is_some_and(|a| !a.known.is_empty()))
    }

    fn having(&self, test: impl Fn(&NodeInfo) -> bool) -> Vec<Pnn> {
        let mut found: Vec<Pnn> = self.nodes.iter().filter(|n| test(n)).map(|n| n.pnn).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The node map's entry of a node.
    #[must_use]
    pub fn node(&self, pnn: Pnn) -> Option<&NodeInfo> {
        self.nodes.iter().find(|n| n.pnn == pnn)
    }

    /// Records which addresses a node knows.
    pub fn set_known(&mut self, pnn: Pnn, ips: Vec<PublicIp>) {
        let known = ips.into_iter().map(|mut ip| {
            ip.addr = ip.addr.to_canonical();
            (ip.addr, ip)
        });
        self.addrs.entry(pnn).or_default().known = known.collect();
    }

    /// Records which addresses a node can host now.
    pub fn set_available(&mut self, pnn: Pnn, ips: &[PublicIp]) {
        self.addrs.entry(pnn).or_default().available = ips.iter().map(|ip| ip.addr.to_canonical()).collect();
    }

    /// What a node says about an address.
    #[must_use]
    pub fn entry(&self, pnn: Pnn, addr: IpAddr) -> Option<&PublicIp> {
        self.addrs.get(&pnn)?.known.get(&addr)
    }

    /// Whether the node says that it owns the address.
    #[must_use]
    pub fn claims(&self, pnn: Pnn, addr: IpAddr) -> bool {
        self.entry(pnn, addr).is_some_and(|ip| ip.owner == Some(pnn))
    }

    /// Whether the address is on an interface of the node.
    #[must_use]
    pub fn holds(&self, pnn: Pnn, addr: IpAddr) -> bool {
        self.entry(pnn, addr).is_some_and(|ip| ip.held)
    }

    /// Whether the node can host the address now.
    #[must_use]
    pub fn can_host(&self, pnn: Pnn, addr: IpAddr) -> bool {
        self.addrs.get(&pnn).is_some_and(|a| a.available.contains(&addr) && a.known.contains_key(&addr))
    }

    /// The working list of the allocation (SEMANTICS A.2): all known addresses with owner and availability, descending.
    #[must_use]
    pub fn working_list(&self) -> Vec<AddrState> {
        let reports: Vec<NodeReport> = self
            .addrs
            .iter()
            .map(|(pnn, a)| NodeReport {
                pnn: *pnn,
                known: a.known.values().map(|ip| (ip.addr, ip.owner)).collect(),
                available: a.available.iter().copied().collect(),
            })
            .collect();
        merge(&reports)
    }

    /// A few numbers for each node, for the journal.
    #[must_use]
    pub fn summary(&self) -> Vec<NodeSummary> {
        let none = NodeAddrs::default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.nodes
            .iter()
            .map(|n| {
                let a = self.addrs.get(&n.pnn).unwrap_or(&none);
                NodeSummary {
                    pnn: n.pnn,
                    flags: n.flags,
                    runstate: n.runstate,
                    known: count(a.known.len()),
                    available: count(a.available.len()),
                    claimed: count(a.known.values().filter(|ip| ip.owner == Some(n.pnn)).count()),
                    held: count(a.known.values().filter(|ip| ip.held).count()),
                }
            })
            .collect()
    }
}
