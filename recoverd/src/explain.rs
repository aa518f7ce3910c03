//! Why an address is where it is, and why it is nowhere else: `ctdb why`.
//!
//! Explains decisions that were made; makes none. It needs what the run saw and what it decided, nothing else.

use crate::alloc::{Algorithm, Reason};
use crate::control::Unavailable;
use crate::model::{NodeFlags, Pnn, RunState};
use crate::plan::MoveReason;
use crate::takeover::{Decision, Snapshot};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Why a node does not have an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// The recmaster has no link to it.
    Disconnected,
    /// The address is not among its public addresses.
    NotConfigured,
    /// It said why it cannot host the address.
    Unavailable(Unavailable),
    /// It did not offer the address, without a reason.
    NotOffered,
    /// An operator put the address elsewhere.
    MovedByHand(Pnn),
    /// NoIPTakeover is on.
    NoIpTakeover,
    /// NoIPFailback is on: the address stays where it is.
    NoIpFailback,
    /// The deterministic algorithm names another node, or that node could not host it and the owner had fewer addresses.
    NotItsTurn,
    /// It has as many addresses as the owner, or nearly.
    Balanced {
        /// Addresses of this node.
        count: u32,
        /// Addresses of the owner.
        owner_count: u32,
    },
    /// LCP2 moves addresses only to nodes that had none, or that were asked to be rebalanced.
    OnlyEmptyNodesGain {
        /// Addresses of this node.
        count: u32,
    },
    /// The algorithm found another node better.
    OwnerFitsBetter {
        /// Addresses of this node.
        count: u32,
        /// Addresses of the owner.
        owner_count: u32,
    },
}

impl WhyNot {
    /// One clause about the node.
    #[must_use]
    pub fn sentence(&self, pnn: Pnn) -> String {
        format!("node {pnn} {self}")
    }
}

/// Continues "node N …".
impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("is not connected"),
            Self::NotConfigured => f.write_str("does not have it in its public addresses"),
            Self::Unavailable(why) => write!(f, "cannot host it: {why}"),
            Self::NotOffered => f.write_str("did not offer to host it"),
            Self::MovedByHand(to) => write!(f, "could host it, but an operator moved it to node {to}"),
            Self::NoIpTakeover => {
                f.write_str("could host it, but NoIPTakeover forbids that nodes take addresses")
            }
            Self::NoIpFailback => {
                f.write_str("could host it, but NoIPFailback keeps addresses where they are")
            }
            Self::NotItsTurn => {
                f.write_str("could host it, but the deterministic algorithm does not name it")
            }
            Self::Balanced { count, owner_count } => {
                write!(
                    f,
                    "could host it, but has {} already and the owner has {owner_count}",
                    addresses(*count)
                )
            }
            Self::OnlyEmptyNodesGain { count } => write!(
                f,
                "could host it, but has {} already, and LCP2 moves addresses only to nodes without any",
                addresses(*count)
            ),
            Self::OwnerFitsBetter { count, owner_count } => write!(
                f,
                "could host it and has {} where the owner has {owner_count}, but the algorithm found the owner better",
                addresses(*count)
            ),
        }
    }
}

fn addresses(count: u32) -> String {
    if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") }
}

/// Why an address is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The address.
    pub addr: IpAddr,
    /// The node that has it by the decision; none when it is unserved.
    pub owner: Option<Pnn>,
    /// The owner before that decision.
    pub before: Option<Pnn>,
    /// Why; none when the run decided nothing about the address.
    pub why: Option<MoveReason>,
    /// Every other node, ascending, with the reason why it does not have it.
    pub others: Vec<(Pnn, WhyNot)>,
}

impl Explanation {
    /// The answer in one sentence, without the other nodes.
    #[must_use]
    pub fn one_sentence(&self) -> String {
        let addr = self.addr;
        match (self.owner, &self.why) {
            (None, None) => format!("{addr} is not a public address of any connected node."),
            (Some(n), None) => format!("{addr} is on node {n}."),
            (None, Some(why)) => format!("{addr} is unserved: {why}."),
            (Some(n), Some(MoveReason::Allocated(Reason::Kept))) => {
                format!("{addr} was kept by node {n}: {}.", Reason::Kept)
            }
            (Some(n), Some(why)) => format!("{addr} is on node {n}: {why}."),
        }
    }
}

/// The sentence, then a line for each other node.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.one_sentence())?;
        self.others.iter().try_for_each(|(pnn, why)| write!(f, "\n  {}", why.sentence(*pnn)))
    }
}

/// Explains one address by what a run saw and decided.
#[must_use]
pub fn explain(snapshot: &Snapshot, decision: &Decision, addr: IpAddr) -> Explanation {
    let addr = addr.to_canonical();
    let list = &decision.allocation.owners;
    let decided = list.iter().find(|a| a.addr == addr);
    let owner = decided.and_then(|a| a.to);
    let by_hand = decision.asked.iter().any(|(a, n)| *a == addr && owner == Some(*n));
    let why = decided.map(|a| if by_hand { MoveReason::Asked } else { MoveReason::Allocated(a.reason) });
    let count = |pnn| list.iter().filter(|a| a.to == Some(pnn)).count() as u32;
    let owner_count = owner.map_or(0, count);
    let mut nodes: Vec<Pnn> = snapshot.nodes.iter().map(|n| n.pnn).filter(|n| owner != Some(*n)).collect();
    nodes.sort_unstable();
    let others = nodes.into_iter().map(|pnn| {
        let why_not = why_unable(snapshot, pnn, addr)
            .unwrap_or_else(|| why_not_chosen(decision, why, owner, count(pnn), owner_count));
        (pnn, why_not)
    });
    let before = decided.and_then(|a| a.from);
    Explanation { addr, owner, before, why, others: others.collect() }
}

/// Why a node cannot host an address; none if it can.
#[must_use]
pub fn why_unable(snapshot: &Snapshot, pnn: Pnn, addr: IpAddr) -> Option<WhyNot> {
    if snapshot.can_host(pnn, addr) {
        return None;
    }
    let Some(node) = snapshot.node(pnn) else { return Some(WhyNot::Disconnected) };
    if node.flags.intersects(NodeFlags::DISCONNECTED) {
        return Some(WhyNot::Disconnected);
    }
    Some(match snapshot.entry(pnn, addr) {
        None => WhyNot::NotConfigured,
        _ if node.flags.is_out_of_service() => WhyNot::Unavailable(Unavailable::Flags(node.flags)),
        Some(ip) => match &ip.unavailable {
            Some(why) => WhyNot::Unavailable(why.clone()),
            None if node.runstate != RunState::Running => {
                WhyNot::Unavailable(Unavailable::RunState(node.runstate))
            }
            None => WhyNot::NotOffered,
        },
    })
}

/// Why a node that could host an address did not get it.
fn why_not_chosen(
    decision: &Decision,
    why: Option<MoveReason>,
    owner: Option<Pnn>,
    count: u32,
    owner_count: u32,
) -> WhyNot {
    let kept = why == Some(MoveReason::Allocated(Reason::Kept));
    match (why, owner) {
        (Some(MoveReason::Asked), Some(to)) => WhyNot::MovedByHand(to),
        _ if decision.no_ip_takeover => WhyNot::NoIpTakeover,
        _ if decision.algorithm == Algorithm::Deterministic => WhyNot::NotItsTurn,
        _ if kept && decision.no_ip_failback => WhyNot::NoIpFailback,
        _ if count + 1 >= owner_count => WhyNot::Balanced { count, owner_count },
        _ if kept && decision.algorithm == Algorithm::Lcp2 && count > 0 => {
            WhyNot::OnlyEmptyNodesGain { count }
        }
        _ => WhyNot::OwnerFitsBetter { count, owner_count },
    }
}

#[cfg(test)]
mod tests;
