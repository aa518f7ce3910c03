//! Algorithm 2, LCP2: spreads the addresses of each subnet over the nodes (SEMANTICS A.6).
//!
//! Same order, same ties, so the same answers as CTDB, up to the node loads at which CTDB's 32-bit sums overflow: sums here have
//! 64 bits. CTDB recomputes every sum at every step; here they are kept and updated (see [`super::placer`] and [`Rebalance`]).

use super::board::{Board, pnn};
use super::distance::lcp2_weight;
use super::placer::Placer;
use super::problem::Step;
use super::reason::{Reason, Vacancy};
use std::cmp::Reverse;

pub(super) fn run(board: &mut Board<'_>) {
    board.drop_unsuitable(Vacancy::OwnerCannotHost);
    let forced = &board.problem.force_rebalance;
    let candidates: Vec<usize> =
        (0..board.nodes).filter(|n| board.counts[*n] == 0 || forced.contains(&pnn(*n))).collect();
    place_unassigned(board);
    if !board.problem.no_ip_failback && !board.problem.no_ip_takeover && !candidates.is_empty() {
        Rebalance::new(board, candidates).run(board);
    }
}

fn place_unassigned(board: &mut Board<'_>) {
    let placed = (0..board.len()).filter_map(|i| Some((board.keys[i], board.owner[i]?))).collect();
    let mut placer = Placer::new(lcp2_weight, board.nodes, placed);
    for i in board.unassigned() {
        placer.add(i, board.keys[i], board.takers(i));
    }
    while let Some((i, n, cost)) = placer.next(|_, _| true) {
        let reason = Reason::LeastAlike { vacancy: board.vacancy[i], cost };
        board.give(i, n, reason);
        board.trace.push(Step::Assign { addr: board.addr(i), to: pnn(n), cost });
    }
}

/// The table of step 5. S(address, node) is kept only where it is asked for: for the address's own node and for candidates.
struct Rebalance {
    /// Nodes that may receive, ascending.
    candidates: Vec<usize>,
    /// Position of a node in `candidates`.
    column: Vec<Option<usize>>,
    /// S(address, its owner).
    own: Vec<u64>,
    /// S(address, candidate), one row for each address; [`Self::NEVER`] where the candidate cannot take it.
    table: Vec<u64>,
    /// The addresses of each node, in list order.
    members: Vec<Vec<usize>>,
    imbalance: Vec<u64>,
    /// The imbalance of each candidate, in their order: read for every pair, so kept together.
    receiving: Vec<u64>,
}

/// A possible move: address, column of the destination.
struct Best {
    total: u64,
    index: usize,
    column: usize,
}

impl Rebalance {
    /// Above all sums, and far enough from the largest number to be added to.
    const NEVER: u64 = 1 << 62;

    fn new(board: &Board<'_>, candidates: Vec<usize>) -> Self {
        let members = board.members();
        let sum = |i: usize, n: usize| -> u64 {
            members[n].iter().filter(|j| **j != i).map(|j| lcp2_weight(board.keys[i], board.keys[*j])).sum()
        };
        let own: Vec<u64> = (0..board.len()).map(|i| board.owner[i].map_or(0, |n| sum(i, n))).collect();
        let mut column = vec![None; board.nodes];
        candidates.iter().enumerate().for_each(|(c, n)| column[*n] = Some(c));
        let mut table = vec![Self::NEVER; board.len() * candidates.len()];
        for i in 0..board.len() {
            for n in board.takers(i) {
                if let Some(c) = column[n] {
                    table[i * candidates.len() + c] = sum(i, n);
                }
            }
        }
        // Each pair is counted from both sides.
        let imbalance: Vec<u64> =
            members.iter().map(|m| m.iter().map(|i| own[*i]).sum::<u64>() / 2).collect();
        let receiving = candidates.iter().map(|n| imbalance[*n]).collect();
        Self { candidates, column, own, table, members, imbalance, receiving }
    }

    fn run(mut self, board: &mut Board<'_>) {
        let mut order: Vec<usize> = (0..board.nodes).collect();
        loop {
            order.sort_unstable_by_key(|n| (Reverse(self.imbalance[*n]), *n));
            let found = order
                .iter()
                .take_while(|src| self.imbalance[**src] > 0)
                .find_map(|src| self.best_move(*src).map(|best| (*src, best)));
            let Some((src, best)) = found else { return };
            self.perform(board, src, &best);
        }
    }

    /// The move from `src` with the least sum of both imbalances afterwards.
    fn best_move(&self, src: usize) -> Option<Best> {
        let width = self.candidates.len();
        let mut best: Option<Best> = None;
        for &index in &self.members[src] {
            let left = self.imbalance[src] - self.own[index];
            let row = &self.table[index * width..][..width];
            // Most addresses are out of question without looking at the conditions pair by pair.
            let bound = row.iter().zip(&self.receiving).map(|(cost, there)| cost + there).min();
            let least = best.as_ref().map_or(u64::MAX, |b| b.total);
            if bound.is_none_or(|b| b >= self.imbalance[src] || left + b >= least) {
                continue;
            }
            for (column, (&cost, &there)) in row.iter().zip(&self.receiving).enumerate() {
                let (joined, total) = (there + cost, left + there + cost);
                if cost < self.own[index]
                    && joined < self.imbalance[src]
                    && best.as_ref().is_none_or(|b| total < b.total)
                {
                    best = Some(Best { total, index, column });
                }
            }
        }
        best
    }

    fn perform(&mut self, board: &mut Board<'_>, src: usize, best: &Best) {
        let (x, width) = (best.index, self.candidates.len());
        let dst = self.candidates[best.column];
        let (gain, cost) = (self.own[x], self.table[x * width + best.column]);
        self.imbalance[src] -= gain;
        self.imbalance[dst] += cost;
        self.receiving[best.column] += cost;
        if let Some(c) = self.column[src] {
            self.receiving[c] -= gain;
        }
        self.own[x] = cost;
        for y in (0..board.len()).filter(|y| *y != x) {
            let weight = lcp2_weight(board.keys[x], board.keys[y]);
            let row = &mut self.table[y * width..][..width];
            if row[best.column] != Self::NEVER {
                row[best.column] += weight;
            }
            if let Some(c) = self.column[src]
                && row[c] != Self::NEVER
            {
                row[c] -= weight;
            }
            if board.owner[y] == Some(src) {
                self.own[y] -= weight;
            } else if board.owner[y] == Some(dst) {
                self.own[y] += weight;
            }
        }
        self.members[src].retain(|y| *y != x);
        let place = self.members[dst].partition_point(|y| *y < x);
        self.members[dst].insert(place, x);
        board.give(x, dst, Reason::Rebalanced { from: pnn(src), gain, cost });
        board.trace.push(Step::Move { addr: board.addr(x), from: pnn(src), gain, to: pnn(dst), cost });
    }
}
