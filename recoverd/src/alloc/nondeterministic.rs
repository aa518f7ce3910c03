//! Algorithm 1: fewest addresses first, then levelling with a bounded number of retries (SEMANTICS A.5).
//!
//! The reference goes over the whole list at each retry. Whether an address asks for levelling depends only on the set of nodes
//! that can take it, so here only the first assigned address of each distinct set is looked at: same answers. Its known
//! weakness (A.8 item 4: retries used up to and fro where sets differ) is kept, because answers must be equal.

use super::board::{Board, pnn};
use super::reason::{Reason, Vacancy};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn run(board: &mut Board<'_>) {
    board.drop_unsuitable(Vacancy::OwnerCannotHost);
    board.simple_fill();
    if !board.problem.no_ip_failback {
        level(board);
    }
}

fn level(board: &mut Board<'_>) {
    let sets = distinct_sets(board);
    let mut owned: Vec<BTreeSet<usize>> =
        board.members().into_iter().map(|m| m.into_iter().collect()).collect();
    let limit = board.len() + 5;
    for _retry in 0..limit {
        // The first set, in list order, whose fullest node has two more than its emptiest.
        let counts = &board.counts;
        let uneven = sets.iter().find_map(|set| {
            let max = *set.iter().max_by_key(|n| (counts[**n], std::cmp::Reverse(**n)))?;
            let min = *set.iter().min_by_key(|n| (counts[**n], **n))?;
            (counts[max] > counts[min] + 1).then_some(max)
        });
        let Some(max) = uneven else { return };
        let Some(&x) = owned[max].first() else { return };
        // Giving it to the same node, or to none, changes nothing, and nothing would change in any further retry.
        let Some(to) = board.find_node(x).filter(|n| *n != max) else { return };
        let reason =
            Reason::Levelled { from: pnn(max), from_count: board.counts[max], to_count: board.counts[to] };
        board.give(x, to, reason);
        owned[max].remove(&x);
        owned[to].insert(x);
    }
}

/// The distinct sets of nodes that can take an assigned address, in the order in which the list meets them.
fn distinct_sets(board: &Board<'_>) -> Vec<Vec<usize>> {
    let mut first: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for i in (0..board.len()).filter(|i| board.owner[*i].is_some()) {
        first.entry(board.takers(i).collect()).or_insert(i);
    }
    let mut sets: Vec<(usize, Vec<usize>)> = first.into_iter().map(|(set, i)| (i, set)).collect();
    sets.sort_unstable();
    sets.into_iter().map(|(_, set)| set).collect()
}
