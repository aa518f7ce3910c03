//! Which node of a group is the NAT gateway: CTDB's rule (reference/ctdb.md 1.3).

use super::config::Member;
use recoverd::model::NodeFlags;
use recoverd::view::NodeRow;

/// The first node in the order of the group's file that may lead and is well; if none is, the first that is at least connected, neither
/// disabled nor stopped; if none is, the first that is connected and not disabled.
pub(super) fn choose<'a>(group: &[Member], cluster: &'a [NodeRow]) -> Option<&'a NodeRow> {
    let candidates: Vec<&NodeRow> = group
        .iter()
        .filter(|m| !m.follower_only)
        .filter_map(|m| cluster.iter().find(|n| n.addr == m.addr && !n.flags.intersects(NodeFlags::DELETED)))
        .collect();
    let out = |bits: &[NodeFlags]| bits.iter().fold(NodeFlags::DISCONNECTED, |all, bit| all | *bit);
    let well = |n: &&&NodeRow| !n.unknown && !n.flags.is_out_of_service();
    let without = |bits: NodeFlags| candidates.iter().find(|n| !n.flags.intersects(bits));
    candidates
        .iter()
        .find(well)
        .or_else(|| without(out(&[NodeFlags::DISABLED, NodeFlags::STOPPED])))
        .or_else(|| without(out(&[NodeFlags::DISABLED])))
        .copied()
}
