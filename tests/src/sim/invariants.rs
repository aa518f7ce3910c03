//! What must hold after every event. One function each; a broken one ends the history.

use super::node::{ADDRESSES, Node, index};
use super::setup::World;
use recoverd::lease::Command;

/// Never two nodes answer for one address.
pub(super) fn one_holder(nodes: &[Node], now: u64, world: World) -> Result<(), String> {
    let mut seen = 0_u8;
    for n in nodes {
        let s = n.serving(now, world);
        if seen & s != 0 {
            let a = (seen & s).trailing_zeros();
            let who: Vec<usize> =
                (0..nodes.len()).filter(|i| nodes[*i].serving(now, world) & 1 << a != 0).collect();
            return Err(format!("two holders: address {a} is answered by nodes {who:?}"));
        }
        seen |= s;
    }
    Ok(())
}

/// An older epoch never wins: a daemon's epoch only rises.
pub(super) fn epoch_rises(node: &mut Node, i: usize) -> Result<(), String> {
    let Some(lease) = &node.lease else { return Ok(()) };
    if lease.epoch() < node.epoch_seen {
        return Err(format!("node {i} went back from epoch {} to {}", node.epoch_seen, lease.epoch()));
    }
    node.epoch_seen = lease.epoch();
    Ok(())
}

/// No take before release: when a take leaves, nobody else answers for the address.
pub(super) fn released_before(
    nodes: &[Node],
    to: usize,
    c: &Command,
    now: u64,
    world: World,
) -> Result<(), String> {
    let bit = 1 << index(c.addr);
    match nodes.iter().enumerate().find(|(i, n)| *i != to && n.serving(now, world) & bit != 0) {
        Some((i, _)) if c.take => Err(format!(
            "take before release: address {} goes to node {to} while node {i} answers",
            index(c.addr)
        )),
        _ => Ok(()),
    }
}

/// After the faults: every address is answered by one node.
pub(super) fn all_served(nodes: &[Node], now: u64, world: World) -> bool {
    let served = nodes.iter().fold(0, |a, n| a | n.serving(now, world));
    served == (1 << ADDRESSES) - 1
}
