//! The question and the answer of the allocation engine, as plain values.

use super::{HomeNodes, NodeSet, Reason};
use crate::model::Pnn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// How addresses are given to nodes: the tunable `IPAllocAlgorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// 0: by position in the list, or by the `home_nodes` file (SEMANTICS A.4).
    Deterministic,
    /// 1: fewest addresses first, then levelling (SEMANTICS A.5).
    NonDeterministic,
    /// 2, and any number that is not known: spreads each subnet over the nodes (SEMANTICS A.6).
    #[default]
    Lcp2,
    /// 3: the most even shares with the fewest moves, then subnet spread.
    MinimalMove,
}

impl Algorithm {
    /// The algorithm that a value of `IPAllocAlgorithm` means. Anything unknown is LCP2, as in CTDB.
    #[must_use]
    pub fn from_tunable(value: u32) -> Self {
        match value {
            0 => Self::Deterministic,
            1 => Self::NonDeterministic,
            3 => Self::MinimalMove,
            _ => Self::Lcp2,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deterministic => "deterministic",
            Self::NonDeterministic => "nondeterministic",
            Self::Lcp2 => "lcp2",
            Self::MinimalMove => "minimalmove",
        })
    }
}

/// One address of the working list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddrState {
    /// The address.
    pub addr: IpAddr,
    /// The node that holds it now; none when unassigned.
    pub owner: Option<Pnn>,
    /// The nodes that can host it now.
    pub available: NodeSet,
}

/// Relative capacity of nodes for algorithm 3: a node of weight 2 gets twice the share of a node of weight 1, one of weight 0
/// only what nobody else can host. Nodes that are not named have weight 1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weights(pub BTreeMap<Pnn, u32>);

impl Weights {
    /// The weight of a node.
    #[must_use]
    pub fn get(&self, pnn: Pnn) -> u32 {
        self.0.get(&pnn).copied().unwrap_or(1)
    }
}

/// Everything that an allocation depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Problem {
    /// The algorithm to use.
    pub algorithm: Algorithm,
    /// Number of nodes of the node list, disconnected and deleted ones included; nodes are 0 to this minus one.
    pub num_nodes: u32,
    /// The addresses, each once, in any order.
    pub addrs: Vec<AddrState>,
    /// NoIPTakeover: nodes keep what they can host, nobody gains.
    pub no_ip_takeover: bool,
    /// NoIPFailback: unassigned addresses are placed, nothing is rebalanced.
    pub no_ip_failback: bool,
    /// Nodes that LCP2 may give more to although they own something. Numbers out of range are ignored.
    pub force_rebalance: Vec<Pnn>,
    /// The `home_nodes` file (algorithms 0 and 3).
    pub home_nodes: HomeNodes,
    /// Weights of nodes (algorithm 3).
    pub weights: Weights,
}

/// The decision for one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The address.
    pub addr: IpAddr,
    /// The owner before.
    pub from: Option<Pnn>,
    /// The owner decided; none when the address stays unserved.
    pub to: Option<Pnn>,
    /// Why.
    pub reason: Reason,
}

/// One act of LCP2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// An unassigned address was placed.
    Assign {
        /// The address.
        #[serde(rename = "assign")]
        addr: IpAddr,
        /// Its new owner.
        to: Pnn,
        /// What it adds to the imbalance there.
        cost: u64,
    },
    /// An address was moved by rebalancing.
    Move {
        /// The address.
        #[serde(rename = "move")]
        addr: IpAddr,
        /// The owner before.
        from: Pnn,
        /// What its leaving takes off the imbalance there.
        gain: u64,
        /// Its new owner.
        to: Pnn,
        /// What it adds to the imbalance there.
        cost: u64,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Allocation {
    /// One entry for each address, in descending key order.
    pub owners: Vec<Assigned>,
    /// The addresses left without an owner, in descending key order.
    pub unallocatable: Vec<IpAddr>,
    /// What LCP2 did, in order; empty for other algorithms.
    pub trace: Vec<Step>,
}
