//! Algorithm 3, minimal move: the most even shares, reached with the fewest moves, then subnet spread. Not CTDB's; opt-in.
//!
//! Of all allocations in which every address that anybody can host is served, it answers with one that has, in this order,
//! 1. the least sum over nodes of addresses² / weight: the most even shares. Nodes that can host the same addresses then differ by
//!    one address at most (at equal weights), whether or not one of them is empty; LCP2 is never more even;
//! 2. the fewest addresses away from a home that could host them (only with a `home_nodes` file);
//! 3. the fewest moves of addresses whose present owner can host them;
//! 4. few addresses of one subnet on one node, by true common prefix: this one is a heuristic, LCP2's greedy choice ([`spread`]).
//!
//! # Why 1 to 3 are exact
//!
//! Giving addresses to nodes is a flow of one unit from each address to a node that can host it, with a cost for each node that is
//! convex in its load (1) and a cost for each pair of address and node (2 and 3, as one number: a step away from home costs more than
//! all moves together). Costs are compared lexicographically, which is an order of sums like any other, so the theorem of
//! minimum-cost flows holds: **a flow is optimal if and only if its residual graph has no cycle of negative cost.** Residual
//! cycles are of two kinds: rounds, in which nodes hand addresses on in a circle and no load changes; and chains from a node to
//! another, which make one load smaller and one larger.
//! - *No negative rounds, ever.* The start holds exactly those addresses that cost nothing where they are: cost 0, and costs are never
//!   negative, so no round can gain. Every later change goes along a *shortest* chain by cost, and a change along a shortest
//!   chain creates no negative round (the lemma behind successive shortest paths).
//! - *No negative chains at the end.* The other addresses enter one by one along such chains; then chains that gain are applied until
//!   there is none left from any node. Each of them makes the total strictly smaller, so this ends.
//!
//! Addresses that can go to the same nodes and cost the same are one class, chains run over nodes, and a node from which no chain gains
//! is asked again only after a chain has touched a node in its reach. Memory: classes × nodes, at most addresses × nodes. Equal candidates: lowest node, earliest address.
//!
//! NoIPFailback: suitable owners keep what they have, unassigned addresses are placed as above around them. NoIPTakeover: nobody gains.

mod flow;
mod spread;

use super::board::{Board, pnn};
use super::reason::{Reason, Vacancy};
use flow::{Class, Flow};
use std::collections::BTreeMap;

pub(super) fn run(board: &mut Board<'_>) {
    board.drop_unsuitable(Vacancy::OwnerCannotHost);
    if board.problem.no_ip_takeover {
        return;
    }
    let before = board.counts.clone();
    let present = board.owner.clone();
    let (classes, class_of) = classify(board);
    let mut fixed = vec![0; board.nodes];
    for i in (0..board.len()).filter(|i| class_of[*i].is_none()) {
        if let Some(n) = board.owner[i] {
            fixed[n] += 1;
        }
    }
    let weights = (0..board.nodes).map(|n| board.problem.weights.get(pnn(n))).collect();
    let mut members = vec![Vec::new(); classes.len()];
    for (i, class) in class_of.iter().enumerate() {
        if let Some(c) = class {
            members[*c].push(i);
        }
    }
    let mut flow = Flow::new(&classes, fixed, weights);
    for (c, m) in members.iter().enumerate() {
        flow.seat(c, m.len() as u32);
    }
    for (c, m) in members.iter().enumerate() {
        flow.enter(c, m.len() as u32);
    }
    flow.level();
    spread::distribute(board, &classes, &members, flow.placement());
    explain(board, &present, &before);
}

/// Groups the addresses that are free to go. None: it stays with its owner (NoIPFailback), or nobody can host it.
fn classify(board: &Board<'_>) -> (Vec<Class>, Vec<Option<usize>>) {
    let mut classes: Vec<Class> = Vec::new();
    let mut known: BTreeMap<Class, usize> = BTreeMap::new();
    let class_of = (0..board.len())
        .map(|i| {
            let takers: Vec<usize> = board.takers(i).collect();
            if takers.is_empty() || (board.problem.no_ip_failback && board.owner[i].is_some()) {
                return None;
            }
            let home = board.problem.home_nodes.get(board.addr(i)).map(|h| h.index());
            let home = home.filter(|h| takers.binary_search(h).is_ok());
            let class = Class { takers, home, owner: board.owner[i] };
            Some(*known.entry(class).or_insert_with_key(|class| {
                classes.push(class.clone());
                classes.len() - 1
            }))
        })
        .collect();
    (classes, class_of)
}

fn explain(board: &mut Board<'_>, present: &[Option<usize>], before: &[u32]) {
    for (i, from) in present.iter().enumerate() {
        let Some(to) = board.owner[i] else { continue };
        let home = board.problem.home_nodes.get(board.addr(i)) == Some(pnn(to));
        let reason = match *from {
            Some(from) if from == to => Reason::Kept,
            _ if home => Reason::Home,
            Some(from) => Reason::Evened { from_count: before[from], to_count: before[to] },
            None => Reason::EvenShare { vacancy: board.vacancy[i], share: board.counts[to] },
        };
        board.give(i, to, reason);
    }
}
