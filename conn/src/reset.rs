//! Ending connections by packets alone, for kernels that cannot destroy sockets: what `ctdb_killtcp` does.
//!
//! A RST counts only with the sequence number that its receiver expects. The client tells it: a tickle ACK makes it answer with both numbers of
//! the connection. Then the client gets its RST, and the server's socket one that looks like the client's.

use crate::packet::{self, Segment};
use crate::raw::{SendError, Sender};
use nix::libc;
use nix::sys::socket::{SockaddrStorage, recvfrom};
use recoverd::model::Connection;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Longest single wait for a packet, so that both families have their turn.
const TURN: Duration = Duration::from_millis(5);

/// Ends these connections of the local host, both ends, and waits at most `limit` for the clients' answers. Returns those whose clients did not answer.
///
/// # Errors
/// Raw sockets cannot be had (CAP_NET_RAW).
pub fn reset(
    sender: &mut Sender,
    connections: &[Connection],
    limit: Duration,
) -> Result<Vec<Connection>, SendError> {
    let deadline = Instant::now() + limit;
    let mut waiting: BTreeMap<(SocketAddr, u16), Connection> =
        connections.iter().map(|c| ((c.client, c.server.port()), *c)).collect();
    let mut ears = Vec::new();
    for v4 in [true, false] {
        let Some(first) = waiting.values().find(|c| c.client.is_ipv4() == v4) else { continue };
        let ear = listen(v4).map_err(|source| SendError::Refused { to: first.client, source })?;
        ears.push((v4, ear));
    }
    let mut unheard = Ok(());
    for connection in connections {
        // One that cannot be reached must not cost the others theirs.
        unheard = sender.tickle(connection).and(unheard);
    }
    while !waiting.is_empty() && Instant::now() < deadline {
        for (v4, ear) in &ears {
            let Some((from, segment)) = hear(ear, *v4) else { continue };
            let client = SocketAddr::new(from, segment.from_port);
            if !segment.ack || segment.rst {
                continue;
            }
            if let Some(connection) = waiting.remove(&(client, segment.to_port)) {
                end(sender, &connection, segment)?;
            }
        }
    }
    if waiting.len() == connections.len() {
        unheard?;
    }
    Ok(waiting.into_values().collect())
}

/// The client first: it is the one that must connect anew.
fn end(sender: &mut Sender, connection: &Connection, said: Segment) -> Result<(), SendError> {
    sender.rst(connection.server, connection.client, said.acknowledged)?;
    sender.rst(connection.client, connection.server, said.sequence)
}

/// A socket that hears every TCP segment that arrives.
fn listen(v4: bool) -> io::Result<Socket> {
    let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_TCP)))?;
    socket.set_read_timeout(Some(TURN))?;
    Ok(socket)
}

/// The next segment and the address it comes from.
fn hear(ear: &Socket, v4: bool) -> Option<(IpAddr, Segment)> {
    let mut buffer = [0; 128];
    let (length, from) = recvfrom::<SockaddrStorage>(ear.as_raw_fd(), &mut buffer).ok()?;
    let from = from?;
    let from = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
        (Some(v4), _) => IpAddr::V4(v4.ip()),
        (_, Some(v6)) => IpAddr::V6(v6.ip()),
        _ => return None,
    };
    Some((from, packet::read(buffer.get(..length)?, v4)?))
}
