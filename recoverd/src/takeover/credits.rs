//! Blame over several runs: who has failed often enough to be banned (SEMANTICS B.3).
//!
//! Counts only. The recovery loop asks [`BanCredits::due`] and bans.

use crate::model::{Mono, NodeFlags, Pnn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The recmaster's count for each node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanCredits {
    nodes: BTreeMap<Pnn, Count>,
}

/// Count of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    credits: u32,
    last: Mono,
}

impl BanCredits {
    /// A failed run was blamed on a node: its count grows by the number of nodes. A count whose last report is older than `grace`
    /// (RecoveryGracePeriod) is forgotten first. A recmaster that is itself inactive blames nobody.
    pub fn blame(&mut self, node: Pnn, num_nodes: u32, recmaster: NodeFlags, grace: Duration, now: Mono) {
        if recmaster.is_inactive() {
            return;
        }
        let count = self.nodes.entry(node).or_insert(Count { credits: 0, last: now });
        if now.since(count.last) > grace {
            count.credits = 0;
        }
        count.credits = count.credits.saturating_add(num_nodes);
        count.last = now;
    }

    /// The nodes to ban now: those at twice the number of nodes, which is the second failed run.
    #[must_use]
    pub fn due(&self, num_nodes: u32) -> Vec<Pnn> {
        let limit = num_nodes.saturating_mul(2);
        self.nodes.iter().filter(|(_, c)| c.credits >= limit && c.credits > 0).map(|(n, _)| *n).collect()
    }

    /// A node was banned: it starts anew.
    pub fn forget(&mut self, node: Pnn) {
        self.nodes.remove(&node);
    }

    /// A recovery was completed: all is forgiven.
    pub fn forget_all(&mut self) {
        self.nodes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);

    fn at(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    #[test]
    fn the_second_failed_run_within_the_grace_period_bans() {
        let mut c = BanCredits::default();
        c.blame(Pnn(1), 3, NodeFlags::UNHEALTHY, GRACE, at(0));
        c.blame(Pnn(2), 3, NodeFlags::NONE, GRACE, at(1));
        assert!(c.due(3).is_empty());
        c.blame(Pnn(1), 3, NodeFlags::NONE, GRACE, at(120));
        assert_eq!(c.due(3), [Pnn(1)]);
        c.forget(Pnn(1));
        assert!(c.due(3).is_empty());
    }

    #[test]
    fn old_reports_and_recoveries_are_forgiven() {
        let mut c = BanCredits::default();
        c.blame(Pnn(1), 3, NodeFlags::NONE, GRACE, at(0));
        c.blame(Pnn(1), 3, NodeFlags::NONE, GRACE, at(121));
        assert!(c.due(3).is_empty(), "121 s is longer than the grace period");
        c.blame(Pnn(1), 3, NodeFlags::NONE, GRACE, at(122));
        assert_eq!(c.due(3), [Pnn(1)]);
        c.forget_all();
        assert!(c.due(3).is_empty());
    }

    #[test]
    fn an_inactive_recmaster_blames_nobody() {
        let mut c = BanCredits::default();
        for s in 0..5 {
            c.blame(Pnn(0), 3, NodeFlags::BANNED, GRACE, at(s));
        }
        assert_eq!(c, BanCredits::default());
    }
}
