//! From a snapshot to owners: the question that a run asks the allocator, and the answer it keeps for `ctdb why`.

use super::config::{Mode, RunConfig};
use super::snapshot::Snapshot;
use crate::alloc::{AddrState, Algorithm, Allocation, Problem, allocate};
use crate::model::{Pnn, Tunables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What was decided, and under which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The algorithm used.
    pub algorithm: Algorithm,
    /// NoIPTakeover was on.
    pub no_ip_takeover: bool,
    /// NoIPFailback was on, or an operator moved single addresses.
    pub no_ip_failback: bool,
    /// Addresses that an operator placed by hand in this run.
    pub asked: Vec<(IpAddr, Pnn)>,
    /// The owners.
    pub allocation: Allocation,
}

/// Decides the owner of each address of the snapshot's working list.
///
/// # Errors
/// A sentence for the operator when an address cannot go where it was asked to go.
pub(super) fn decide(
    snapshot: &Snapshot,
    mut addrs: Vec<AddrState>,
    config: &RunConfig,
    tunables: &Tunables,
) -> Result<Decision, String> {
    let mut algorithm = Algorithm::from_tunable(tunables.ip_alloc_algorithm());
    if let Mode::DryRun(what_if) = &config.mode {
        algorithm = what_if.algorithm.unwrap_or(algorithm);
    }
    let mut asked = Vec::with_capacity(config.moves.len());
    let mut real_owners = BTreeMap::new();
    for (addr, to) in &config.moves {
        let addr = addr.to_canonical();
        let Some(state) = addrs.iter_mut().find(|a| a.addr == addr) else {
            return Err(format!(
                "{addr} cannot move to node {to}: no connected node has it in its public addresses; see `ctdb ip all`"
            ));
        };
        if !state.available.contains(*to) {
            let why = crate::explain::why_unable(snapshot, *to, addr)
                .map_or_else(|| format!("node {to} cannot host it"), |w| w.sentence(*to));
            return Err(format!("{addr} cannot move to node {to}: {why}"));
        }
        real_owners.entry(addr).or_insert(state.owner);
        state.owner = Some(*to);
        asked.push((addr, *to));
    }
    // Everything else stays where it can: the deterministic algorithm would not, so the simple fill stands in for it.
    let by_hand = !asked.is_empty();
    if by_hand && algorithm == Algorithm::Deterministic {
        algorithm = Algorithm::NonDeterministic;
    }
    let problem = Problem {
        algorithm,
        num_nodes: snapshot.num_nodes(),
        addrs,
        no_ip_takeover: tunables.no_ip_takeover(),
        no_ip_failback: tunables.no_ip_failback() || by_hand,
        force_rebalance: config.force_rebalance.clone(),
        home_nodes: config.home_nodes.clone(),
        weights: config.weights.clone(),
    };
    let mut allocation = allocate(&problem);
    for a in allocation.owners.iter_mut().filter(|_| by_hand) {
        a.from = real_owners.get(&a.addr).copied().unwrap_or(a.from);
    }
    Ok(Decision {
        algorithm,
        no_ip_takeover: problem.no_ip_takeover,
        no_ip_failback: problem.no_ip_failback,
        asked,
        allocation,
    })
}
