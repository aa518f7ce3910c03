//! Which node serves which public address: the allocation engine.
//!
//! Pure: from what every node reports ([`merge`]) and a [`Problem`], [`allocate`] answers with an owner and a [`Reason`] for each
//! address. It does not decide *when* a run happens, sends nothing and knows no health flags: a node that may not host simply has
//! nothing available.
//!
//! Mirrors CTDB's `IPAllocAlgorithm`: 0 deterministic, 1 non-deterministic, 2 LCP2 (the default, and what any unknown number
//! means), exactly as `SEMANTICS.md` part A describes, ties included, but with 64-bit sums (its A.8 item 1). Algorithm 3,
//! [minimal move](Algorithm::MinimalMove), is ours.
//!
//! Order: addresses descending by [`AddrKey`](crate::model::AddrKey), nodes ascending; the first met wins a tie. The order of the
//! input never matters.

mod board;
mod deterministic;
mod distance;
mod home_nodes;
mod lcp2;
mod merge;
mod minimal;
mod nodeset;
mod nondeterministic;
mod placer;
mod problem;
mod reason;
#[cfg(test)]
mod tests;

pub use home_nodes::{HomeNodes, HomeNodesError};
pub use merge::{NodeReport, merge};
pub use nodeset::NodeSet;
pub use problem::{AddrState, Algorithm, Allocation, Assigned, Problem, Step, Weights};
pub use reason::{Reason, Vacancy};

use board::Board;

/// Decides an owner for every address of the problem.
///
/// Never fails: an address that nobody can host (or, under NoIPTakeover, may take) ends without an owner.
#[must_use]
pub fn allocate(problem: &Problem) -> Allocation {
    let mut board = Board::new(problem);
    match problem.algorithm {
        Algorithm::Deterministic => deterministic::run(&mut board),
        Algorithm::NonDeterministic => nondeterministic::run(&mut board),
        Algorithm::Lcp2 => lcp2::run(&mut board),
        Algorithm::MinimalMove => minimal::run(&mut board),
    }
    board.finish()
}

/// Whether a takeover run has anything to allocate: some address is claimed by a node, or available on one (SEMANTICS B.2).
///
/// When this is false the run goes straight to `ipreallocated`. If something is hosted now, the run goes on even if nothing
/// is available, so that it is released.
#[must_use]
pub fn can_host_anything(addrs: &[AddrState]) -> bool {
    addrs.iter().any(|a| a.owner.is_some() || !a.available.is_empty())
}
