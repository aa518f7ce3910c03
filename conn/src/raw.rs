//! Sending packets that are complete from their IP header on.

use crate::packet;
use recoverd::model::Connection;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// A packet that could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The ends are of two families.
    #[error("{0}: one end is IPv4, the other IPv6")]
    Families(Connection),
    /// The kernel refuses: the privilege (CAP_NET_RAW) is missing, or there is no route.
    #[error("cannot send to {to}: {source}")]
    Refused {
        /// The other end.
        to: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Raw sockets, each opened when its family is first needed.
#[derive(Debug, Default)]
pub struct Sender {
    v4: Option<Socket>,
    v6: Option<Socket>,
}

impl Sender {
    /// Sends CTDB's tickle ACK to the client of a connection.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn tickle(&mut self, connection: &Connection) -> Result<(), SendError> {
        let bytes = packet::tickle_ack(connection).ok_or(SendError::Families(*connection))?;
        self.send(&bytes, connection.client)
    }

    /// Sends a RST.
    pub(crate) fn rst(&mut self, from: SocketAddr, to: SocketAddr, sequence: u32) -> Result<(), SendError> {
        let bytes = packet::rst(from, to, sequence)
            .ok_or(SendError::Families(Connection { client: to, server: from }))?;
        self.send(&bytes, to)
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> Result<(), SendError> {
        let refused = |source| SendError::Refused { to, source };
        let slot = if to.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let socket = match slot {
            Some(socket) => socket,
            None => slot.insert(open(to.ip()).map_err(refused)?),
        };
        // A raw socket has no ports.
        let address = SockAddr::from(SocketAddr::new(to.ip(), 0));
        socket.send_to(bytes, &address).map(|_| ()).map_err(refused)
    }
}

/// A socket that sends what it is given, IP header included: the kernel implies that for this protocol.
fn open(family: IpAddr) -> io::Result<Socket> {
    let domain = if family.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let raw = Protocol::from(nix::libc::IPPROTO_RAW);
    let socket = Socket::new(domain, Type::RAW, Some(raw))?;
    // A full queue loses the packet, as any queue on the way would.
    socket.set_nonblocking(true)?;
    Ok(socket)
}
