//! Groups of nodes of which one leads: the NAT gateway and LVS (reference/ctdb.md 1.3).
//!
//! Which nodes of a group can be used follows from their states as the asked node sees them, in the order of their numbers (that of the
//! cluster's nodes list; tried out with CTDB's helper programs). A group takes what it can get: when no node is well, unhealthy ones lead,
//! unlike public addresses, which then nobody serves. Who belongs to a group is not decided here: that is a file of the operator.

use crate::model::NodeFlags;
use crate::view::NodeRow;
use std::net::IpAddr;

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

    /// The leader and the usable nodes of a group. `follows` says of a node's private address whether it never leads; none for nodes that are
    /// not of the group.
    #[must_use]
    pub fn standing(
        self,
        nodes: &[NodeRow],
        follows: impl Fn(IpAddr) -> Option<bool>,
    ) -> (Option<&NodeRow>, Vec<&NodeRow>) {
        let of = |n: &&NodeRow| follows(n.addr.to_canonical()).is_some();
        let may = |n: &&NodeRow| follows(n.addr.to_canonical()) == Some(false);
        (self.best(nodes.iter().filter(may)).first().copied(), self.best(nodes.iter().filter(of)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pnn;

    const OK: NodeFlags = NodeFlags::NONE;
    const SICK: NodeFlags = NodeFlags::UNHEALTHY;
    const OFF: NodeFlags = NodeFlags::DISABLED;
    const GONE: NodeFlags = NodeFlags::DISCONNECTED;

    fn addr(n: u8) -> IpAddr {
        IpAddr::from([192, 168, 20, 41 + n])
    }

    /// Lines of `lvs_nodes` (F: follower-only), flags of nodes 0 to 3, leader, usable nodes.
    #[test]
    fn an_lvs_group_leads_and_serves_as_ctdbs() {
        type Row = (&'static [(u8, bool)], [NodeFlags; 4], Option<u32>, &'static [u32]);
        const ALL: &[(u8, bool)] = &[(0, false), (1, false), (2, false), (3, true)];
        let table: [Row; 9] = [
            (ALL, [OK; 4], Some(0), &[0, 1, 2, 3]),
            (ALL, [SICK, OK, OK, OK], Some(1), &[1, 2, 3]),
            (ALL, [OFF, GONE, OK, SICK], Some(2), &[2]),
            // Nobody is well: unhealthy ones do, and a follower that is well serves alone beside one that leads.
            (ALL, [SICK, SICK, OFF, SICK], Some(0), &[0, 1, 3]),
            (ALL, [SICK, SICK, OFF, OK], Some(0), &[3]),
            (ALL, [OFF, GONE, NodeFlags::BANNED, OK], None, &[3]),
            (ALL, [NodeFlags::STOPPED, OFF, GONE, OFF], None, &[]),
            (&[(1, false), (2, false)], [OK; 4], Some(1), &[1, 2]),
            (&[(0, true), (2, false)], [OK; 4], Some(2), &[0, 2]),
        ];
        for (lines, flags, leads, serve) in table {
            let row = |(n, flags): (u8, NodeFlags)| NodeRow {
                pnn: Pnn(n.into()),
                addr: addr(n),
                flags,
                unknown: false,
                partially_online: false,
                host: None,
            };
            let nodes: Vec<NodeRow> = (0..).zip(flags).map(row).collect();
            let follows = |a: IpAddr| lines.iter().find(|(n, _)| addr(*n) == a).map(|(_, f)| *f);
            let (leader, usable) = Kind::Lvs.standing(&nodes, follows);
            let usable: Vec<u32> = usable.iter().map(|n| n.pnn.0).collect();
            assert_eq!((leader.map(|n| n.pnn.0), usable.as_slice()), (leads, serve), "{lines:?} {flags:?}");
        }
    }
}
