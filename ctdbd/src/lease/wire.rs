//! Datagrams between lease threads, and of guards: JSON, each in one packet. Who sent one is told by its source address.

use recoverd::lease::LeaseMsg;
use recoverd::model::Session;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Datagram {
    /// From a lease machine.
    Msg(LeaseMsg),
    /// From the guard of a daemon that died: this session is fenced, its addresses are off.
    Fenced(Session),
}

/// The largest packet that is read. A join names all addresses of a node.
pub(super) const LARGEST: usize = 60_000;

/// A guard says it once after each of these pauses (milliseconds): a packet may be lost, and a new recmaster may only be on its way, which
/// it is for some 3 ms when the former one was killed.
const PAUSES: [u64; 12] = [0, 1, 2, 4, 8, 15, 30, 30, 30, 60, 60, 60];

/// Tells all peers that a session is fenced. For the guard; blocks for a third of a second.
pub fn fenced(session: Session, from: IpAddr, peers: &[IpAddr], port: u16) {
    let Ok(bytes) = serde_json::to_vec(&Datagram::Fenced(session)) else { return };
    for pause in PAUSES {
        std::thread::sleep(Duration::from_millis(pause));
        // The daemon's socket closes with it, which may take a moment: an address in use is tried again.
        let Ok(socket) = UdpSocket::bind(SocketAddr::new(from, port)).or_else(|_| UdpSocket::bind((from, 0)))
        else {
            continue;
        };
        for peer in peers {
            // A peer that cannot be reached now may be at the next turn.
            let _ = socket.send_to(&bytes, (*peer, port));
        }
    }
}
