//! Groups of nodes of which one leads: the NAT gateway and LVS (reference/ctdb.md 1.3).
//!
//! Which nodes of a group can be used follows from their states as the asked node sees them, in the order of their numbers (that of the
//! cluster's nodes list; tried out with CTDB's helper programs). A group takes what it can get: when no node is well, unhealthy ones lead,
//! unlike public addresses, which then nobody serves. Who belongs to a group is not decided here: that is a file of the operator.

use crate::model::NodeFlags;
use crate::view::NodeRow;

/// Which group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The NAT gateway: even a banned or stopped node can be it.
    Natgw,
    /// The LVS group: an inactive node cannot be used.
    Lvs,
}

const INACTIVE: NodeFlags =
    NodeFlags(NodeFlags::DELETED.0 | NodeFlags::DISCONNECTED.0 | NodeFlags::BANNED.0 | NodeFlags::STOPPED.0);

impl Kind {
    /// What a node must not be, from the best nodes to the worst that will do. UNKNOWN counts in the first only.
    fn passes(self) -> &'static [NodeFlags] {
        const WELL: NodeFlags = NodeFlags(NodeFlags::DISABLED.0 | NodeFlags::UNHEALTHY.0 | INACTIVE.0);
        const ACTIVE: NodeFlags = NodeFlags(NodeFlags::DISABLED.0 | INACTIVE.0);
        const THERE: NodeFlags = NodeFlags(NodeFlags::DISABLED.0 | NodeFlags::DISCONNECTED.0);
        const RUNNING: NodeFlags = NodeFlags(THERE.0 | NodeFlags::STOPPED.0);
        match self {
            Self::Natgw => &[WELL, RUNNING, THERE],
            Self::Lvs => &[WELL, ACTIVE],
        }
    }

    /// The best of these nodes: all of the first pass in which there is any, in the order in which they are given. The first one of those
    /// that may lead is the leader. Deleted nodes are never among them.
    #[must_use]
    pub fn best<'a>(self, nodes: impl Iterator<Item = &'a NodeRow> + Clone) -> Vec<&'a NodeRow> {
        let nodes = nodes.filter(|n| !n.flags.intersects(NodeFlags::DELETED));
        let of_pass = |(pass, not): (usize, &NodeFlags)| -> Vec<&NodeRow> {
            nodes.clone().filter(|n| !n.flags.intersects(*not) && (pass > 0 || !n.unknown)).collect()
        };
        self.passes().iter().enumerate().map(of_pass).find(|nodes| !nodes.is_empty()).unwrap_or_default()
    }
}
