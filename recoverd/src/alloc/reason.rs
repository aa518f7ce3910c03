//! Why an address is where it is: a value for programs, a clause for people.

use crate::model::Pnn;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How an address came to need a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vacancy {
    /// Nobody held it.
    Unassigned,
    /// The node that held it cannot host it now.
    OwnerCannotHost(Pnn),
    /// Its node by the `home_nodes` file cannot host it now (deterministic).
    HomeCannotHost(Pnn),
    /// Its node by list position cannot host it now (deterministic).
    TurnCannotHost(Pnn),
}

impl fmt::Display for Vacancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unassigned => f.write_str("it was unassigned"),
            Self::OwnerCannotHost(n) => write!(f, "its owner, node {n}, cannot host it now"),
            Self::HomeCannotHost(n) => write!(f, "its home, node {n}, cannot host it now"),
            Self::TurnCannotHost(n) => write!(f, "node {n}, whose turn it is, cannot host it now"),
        }
    }
}

/// Why an address ended where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its owner can host it and nothing asked for a move.
    Kept,
    /// Unserved: no node can host it.
    NobodyCanHost {
        /// Why it needed a place.
        vacancy: Vacancy,
    },
    /// Unserved: a node could host it, but NoIPTakeover forbids that anybody takes.
    NoIpTakeover {
        /// Why it needed a place.
        vacancy: Vacancy,
    },
    /// The `home_nodes` file names this node.
    Home,
    /// Deterministic: place `index` of the list modulo the number of nodes.
    Turn {
        /// Position in the list, from 0, descending addresses.
        index: u32,
        /// Number of nodes.
        nodes: u32,
    },
    /// Placed on the node with the fewest addresses of those that can host it.
    FewestAddresses {
        /// Why it needed a place.
        vacancy: Vacancy,
        /// Addresses on the node before.
        count: u32,
    },
    /// Non-deterministic: taken from a node with more addresses.
    Levelled {
        /// The node it was taken from last.
        from: Pnn,
        /// Addresses on that node before.
        from_count: u32,
        /// Addresses on the new node before.
        to_count: u32,
    },
    /// LCP2: placed where it is least like the addresses that are there.
    LeastAlike {
        /// Why it needed a place.
        vacancy: Vacancy,
        /// Sum of squared distances to the addresses there.
        cost: u64,
    },
    /// LCP2: moved to a node that was empty or forced to rebalance.
    Rebalanced {
        /// The node it was taken from last.
        from: Pnn,
        /// Sum of squared distances to the addresses on the old node.
        gain: u64,
        /// Sum of squared distances to the addresses on the new node.
        cost: u64,
    },
    /// Minimal move: placed so that shares are even.
    EvenShare {
        /// Why it needed a place.
        vacancy: Vacancy,
        /// Addresses on the node after the run.
        share: u32,
    },
    /// Minimal move: moved because shares cannot be even without a move.
    Evened {
        /// Addresses on the old node before the run.
        from_count: u32,
        /// Addresses on the new node before the run.
        to_count: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("its owner can host it and nothing asks for a move"),
            Self::NobodyCanHost { vacancy } => write!(f, "{vacancy}, and no node can host it"),
            Self::NoIpTakeover { vacancy } => {
                write!(f, "{vacancy}, and NoIPTakeover forbids that another node takes it")
            }
            Self::Home => f.write_str("the home_nodes file names this node"),
            Self::Turn { index, nodes } => {
                write!(f, "it is this node's turn (place {index} of the list modulo {nodes} nodes)")
            }
            Self::FewestAddresses { vacancy, count } => {
                write!(
                    f,
                    "{vacancy}, and of the nodes that can host it this one had the fewest addresses ({count})"
                )
            }
            Self::Levelled { from, from_count, to_count } => {
                write!(f, "node {from} had {from_count} addresses and this node had {to_count}")
            }
            Self::LeastAlike { vacancy, cost } => {
                write!(f, "{vacancy}, and it is least like the addresses on this node (cost {cost})")
            }
            Self::Rebalanced { from, gain, cost } => {
                write!(
                    f,
                    "this node had no addresses or asked for more, and leaving node {from} spreads its subnet better (gain {gain}, cost {cost})"
                )
            }
            Self::EvenShare { vacancy, share } => {
                write!(f, "{vacancy}, and this node's even share ({share} addresses) has room for it")
            }
            Self::Evened { from_count, to_count } => {
                write!(
                    f,
                    "shares were uneven (its old node had {from_count} addresses, this node {to_count}), and no smaller number of moves makes them even"
                )
            }
        }
    }
}
