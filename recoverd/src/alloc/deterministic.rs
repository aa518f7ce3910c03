//! Algorithm 0: by position in the list or by the `home_nodes` file (SEMANTICS A.4).
//!
//! Present owners do not matter, nothing is rebalanced, NoIPFailback has no effect. With NoIPTakeover an address still *moves* to
//! its turn or home if that node can host it, but what that node cannot host stays unassigned: CTDB's behaviour.

use super::board::{Board, pnn};
use super::reason::{Reason, Vacancy};

pub(super) fn run(board: &mut Board<'_>) {
    let nodes = board.nodes;
    for i in 0..board.len() {
        let home = board.problem.home_nodes.get(board.addr(i)).filter(|h| h.index() < nodes);
        let (n, reason, vacancy) = match home {
            Some(h) => (h.index(), Reason::Home, Vacancy::HomeCannotHost(h)),
            None if nodes == 0 => return,
            None => {
                let n = i % nodes;
                let turn = Reason::Turn { index: i as u32, nodes: nodes as u32 };
                (n, turn, Vacancy::TurnCannotHost(pnn(n)))
            }
        };
        if board.can_host(i, n) {
            board.give(i, n, reason);
        } else {
            board.take(i);
            board.vacancy[i] = vacancy;
        }
    }
    board.simple_fill();
}
