//! Forgetting neighbours that could not be asked while a link was down.
//!
//! While an interface has no carrier whatever its node sends to a client starts an ARP request that nobody hears (the neighbour entry is
//! INCOMPLETE), and the kernel repeats it only every `retrans_time_ms` (1 s). When the link is back and addresses are taken on it,
//! replies to that client wait for the next turn: clients of addresses that moved back were silent for up to a second (seen: 960 ms).
//! An entry that is forgotten is asked for anew with the first packet. CTDB does nothing here.

use super::{Netif, NetifError};
use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourHeader, NeighbourMessage, NeighbourState,
};
use nix::errno::Errno;

/// Deletions in one datagram; see `change.rs`.
const BATCH: usize = 128;

impl Netif {
    /// Forgets all neighbours of these interfaces (by kernel index) that are being asked for or did not answer, and says how many
    /// those were. One dump for all; neighbours that answered, and those an operator fixed, stay.
    ///
    /// # Errors
    /// The kernel refused the list or did not answer.
    pub async fn forget_unanswered(&self, ifaces: &[u32]) -> Result<usize, NetifError> {
        if ifaces.is_empty() {
            return Ok(0);
        }
        let mut deletions: Vec<_> =
            self.list_neighbours().await?.iter().filter_map(|entry| deletion(entry, ifaces)).collect();
        let mut forgotten = 0;
        while !deletions.is_empty() {
            let rest = deletions.split_off(deletions.len().min(BATCH));
            for answer in self.send(deletions).await {
                match answer {
                    None => forgotten += 1,
                    // It went by itself meanwhile.
                    Some(Errno::ENOENT) => {}
                    Some(errno) => tracing::debug!("forgetting a neighbour: {errno}"),
                }
            }
            deletions = rest;
        }
        Ok(forgotten)
    }
}

/// The request to delete this entry, if it is one of those.
fn deletion(entry: &RouteNetlinkMessage, ifaces: &[u32]) -> Option<NetlinkMessage<RouteNetlinkMessage>> {
    let RouteNetlinkMessage::NewNeighbour(entry) = entry else { return None };
    let unanswered = matches!(entry.header.state, NeighbourState::Incomplete | NeighbourState::Failed);
    if !unanswered || !ifaces.contains(&entry.header.ifindex) {
        return None;
    }
    let mut message = NeighbourMessage::default();
    message.header = NeighbourHeader {
        family: entry.header.family,
        ifindex: entry.header.ifindex,
        ..NeighbourHeader::default()
    };
    let destination = entry.attributes.iter().find(|a| matches!(a, NeighbourAttribute::Destination(_)));
    message.attributes.push(destination?.clone());
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::DelNeighbour(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    Some(request)
}
