//! A nodes list that changes on the way: a node added at the end, or one deleted that is dead, or seems to be.
//!
//! The second list comes to each node at its own time, as a word to its daemon or, if that is down, with its next start. A daemon
//! that starts on the second list is told that there was a first one. When the faults are over all have the second list.

use super::Sim;
use super::faults::{Fault, Role};
use super::node::Inbound;
use super::prng::Prng;
use super::setup::{Change, Frame, LockChoice};
use recoverd::lease::{Lease, LeaseInput};
use recoverd::model::Pnn;

/// Adds a change of the list to a schedule that has none.
pub(super) fn schedule(p: &mut Prng, f: &mut Frame, out: &mut Vec<(u64, Fault)>) {
    if f.change.is_some() || f.nodes < 2 {
        return;
    }
    let t = f.t;
    let at = p.range(3 * t, 7 * t);
    let dead = p.below(f.nodes as u64) as usize;
    // The rest of two is no majority of two.
    if p.percent(60) || f.nodes < 3 {
        f.change = Some(Change::Added);
        for _ in 0..3 {
            out.push((p.range(at - t, at + 5 * t), Fault::Newcomer));
        }
    } else {
        f.change = Some(Change::Deleted(dead));
        let when = at - p.log_range(t / 100, 2 * t);
        // Whoever is only cut off looks dead as well.
        let fault = match p.below(3) {
            0 => Fault::Isolate(Role::Node(dead)),
            k => Fault::Bury { who: Role::Node(dead), host: k == 1 },
        };
        out.push((when, fault));
    }
    let told = |i: &usize| f.change != Some(Change::Deleted(*i));
    for i in (0..f.nodes).filter(told) {
        let late = if p.percent(70) { p.range(1, t / 5) } else { p.log_range(t / 100, 5 * t) };
        out.push((at + late, Fault::File(Role::Node(i))));
    }
    f.chaos = f.chaos.max(at + 8 * t);
    out.sort_by_key(|(at, _)| *at);
}

impl Sim {
    /// Hash and nodes of the list before the one in the node's file, for a daemon that starts.
    pub(super) fn list_before(&self, i: usize) -> Option<(u64, Vec<Pnn>)> {
        let new = self.frame.change == Some(Change::Added) && i + 1 == self.nodes.len();
        let old = self.nodes[i].file == 2 && !new && self.plan.world.list_before;
        old.then(|| (1, self.frame.list(1)))
    }

    pub(super) fn second_list(&mut self, i: usize) {
        if self.frame.change.is_none() || self.nodes[i].file == 2 {
            return;
        }
        self.nodes[i].file = 2;
        let nodes = self.frame.list(2);
        self.feed(i, Inbound::Lease(LeaseInput::NodesList { nodes, list: 2 }));
    }

    /// The new node starts for the first time. A lock without a record cannot tell it that an older list still counts, so there it starts
    /// when the second list is in force, as after `ctdb reloadnodes`, or at the end.
    pub(super) fn newcomer(&mut self) {
        let in_force = |n: &super::node::Node| {
            let leading = |l: &&Lease| l.leading(n.clocks(self.now, self.plan.world));
            n.lease.as_ref().filter(leading).is_some_and(|l| l.list_in_force() == Some(2))
        };
        let soon = self.plan.lock == LockChoice::File || self.nodes.iter().any(in_force);
        if self.frame.change == Some(Change::Added) && (soon || self.calm) {
            let last = self.nodes.len() - 1;
            self.nodes[last].file = 2;
            if std::mem::take(&mut self.nodes[last].absent) {
                self.nodes[last].start_due = true;
                self.start(last);
            }
        }
    }

    /// When the faults are over: everybody has the second list, who is new is there, and who was deleted is not.
    pub(super) fn lists_agree(&mut self) {
        if let Some(Change::Deleted(i)) = self.frame.change {
            self.bury(i, true);
        }
        self.newcomer();
        for i in 0..self.nodes.len() {
            if self.frame.change != Some(Change::Deleted(i)) {
                self.second_list(i);
            }
        }
    }
}
