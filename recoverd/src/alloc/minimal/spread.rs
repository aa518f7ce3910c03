//! Which address of a class goes where: subnet spread within what the flow decided. A heuristic that changes neither loads nor moves.
//!
//! First every node lets go, one by one, of the addresses that are most like the others on it; then all that have no place are placed one
//! by one where they are least like what is there (LCP2's choice, with the true common prefix). Addresses that can go to the
//! same nodes and have the same home may exchange their places freely: if that could bring one back to its owner, the exchange
//! would save a move, and the flow would not have been optimal.

use super::flow::Class;
use crate::alloc::board::Board;
use crate::alloc::distance::prefix_weight;
use crate::alloc::placer::Placer;
use crate::alloc::reason::Reason;
use std::collections::BTreeMap;

/// Gives every address of `members` (by class, in list order) an owner so that `placement` (node, class, count) is met.
pub(super) fn distribute(
    board: &mut Board<'_>,
    classes: &[Class],
    members: &[Vec<usize>],
    placement: &[BTreeMap<usize, u32>],
) {
    let stays = |class: usize| {
        let on = classes[class].owner.and_then(|o| placement[o].get(&class));
        on.copied().unwrap_or(0) as usize
    };
    let mut leaving: Vec<usize> = (0..classes.len()).map(|c| members[c].len() - stays(c)).collect();
    let mut class_of = vec![None; board.len()];
    for (class, m) in members.iter().enumerate() {
        m.iter().for_each(|i| class_of[*i] = Some(class));
    }
    for on_node in board.members() {
        let_go(board, on_node, &class_of, &mut leaving);
    }

    let mut groups: BTreeMap<(&[usize], Option<usize>), usize> = BTreeMap::new();
    let group_of: Vec<usize> = classes
        .iter()
        .map(|c| {
            let next = groups.len();
            *groups.entry((&c.takers, c.home)).or_insert(next)
        })
        .collect();
    let mut room = vec![0_usize; groups.len() * board.nodes];
    for (n, on) in placement.iter().enumerate() {
        for (&class, &count) in on.iter().filter(|(c, _)| classes[**c].owner != Some(n)) {
            room[group_of[class] * board.nodes + n] += count as usize;
        }
    }
    let nodes = board.nodes;
    let slot = |i: usize, n: usize| class_of[i].map(|c| group_of[c] * nodes + n);
    let placed = (0..board.len()).filter_map(|i| Some((board.keys[i], board.owner[i]?))).collect();
    let mut placer = Placer::new(prefix_weight, nodes, placed);
    for i in board.unassigned() {
        let open = board.takers(i).filter(|n| slot(i, *n).is_some_and(|s| room[s] > 0));
        placer.add(i, board.keys[i], open);
    }
    while let Some((i, n, _)) = placer.next(|i, n| slot(i, n).is_some_and(|s| room[s] > 0)) {
        if let Some(s) = slot(i, n) {
            room[s] -= 1;
        }
        board.give(i, n, Reason::Kept);
    }
}

/// Of the addresses on one node, takes away as many of each class as are to leave.
fn let_go(board: &mut Board<'_>, mut on_node: Vec<usize>, class_of: &[Option<usize>], leaving: &mut [usize]) {
    let may_go = |i: usize, leaving: &[usize]| class_of[i].is_some_and(|c| leaving[c] > 0);
    if !on_node.iter().any(|i| may_go(*i, leaving)) {
        return;
    }
    let weight = |a: usize, b: usize| prefix_weight(board.keys[a], board.keys[b]);
    let mut sums: Vec<u64> =
        on_node.iter().map(|i| on_node.iter().filter(|j| *j != i).map(|j| weight(*i, *j)).sum()).collect();
    let mut gone = Vec::new();
    while let Some(at) = (0..on_node.len())
        .filter(|at| may_go(on_node[*at], leaving))
        .max_by_key(|at| (sums[*at], std::cmp::Reverse(on_node[*at])))
    {
        let i = on_node.remove(at);
        sums.remove(at);
        for (sum, j) in sums.iter_mut().zip(&on_node) {
            *sum -= weight(i, *j);
        }
        if let Some(c) = class_of[i] {
            leaving[c] -= 1;
        }
        gone.push(i);
    }
    gone.into_iter().for_each(|i| board.take(i));
}
