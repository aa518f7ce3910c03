//! TCP segments without a connection.

use etherparse::PacketBuilder;
use recoverd::model::Connection;
use std::net::{IpAddr, SocketAddr};

/// Hop limit of what is sent.
const HOPS: u8 = 64;
/// A window that means nothing: nobody will send.
const WINDOW: u16 = 1234;

/// CTDB's tickle ACK, from the server to the client: an ACK that cannot be right, sequence and acknowledgement 0. The client's stack answers with
/// what it believes in, and a server that knows nothing of the connection answers that with a RST. The packet begins with its IP header.
pub(crate) fn tickle_ack(connection: &Connection) -> Option<Vec<u8>> {
    segment(connection.server, connection.client, |tcp| tcp.ack(0), 0)
}

/// A RST with a sequence number that the receiver expects.
pub(crate) fn rst(from: SocketAddr, to: SocketAddr, sequence: u32) -> Option<Vec<u8>> {
    segment(from, to, |tcp| tcp.rst(), sequence)
}

/// `None` when the ends are of two families.
fn segment(
    from: SocketAddr,
    to: SocketAddr,
    flags: impl FnOnce(
        etherparse::PacketBuilderStep<etherparse::TcpHeader>,
    ) -> etherparse::PacketBuilderStep<etherparse::TcpHeader>,
    sequence: u32,
) -> Option<Vec<u8>> {
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOPS),
        _ => return None,
    };
    let tcp = flags(ip.tcp(from.port(), to.port(), sequence, WINDOW));
    let mut bytes = Vec::with_capacity(60);
    tcp.write(&mut bytes, &[]).ok()?;
    Some(bytes)
}

/// What a segment says to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) from_port: u16,
    pub(crate) to_port: u16,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    pub(crate) ack: bool,
    pub(crate) rst: bool,
}

/// Reads a TCP header; of IPv4 a raw socket delivers the IP header in front of it, of IPv6 not.
pub(crate) fn read(packet: &[u8], v4: bool) -> Option<Segment> {
    let tcp = if v4 {
        let header = usize::from(packet.first()? & 0xf) * 4;
        packet.get(header..)?
    } else {
        packet
    };
    let tcp = etherparse::TcpHeaderSlice::from_slice(tcp).ok()?;
    Some(Segment {
        from_port: tcp.source_port(),
        to_port: tcp.destination_port(),
        sequence: tcp.sequence_number(),
        acknowledged: tcp.acknowledgment_number(),
        ack: tcp.ack(),
        rst: tcp.rst(),
    })
}
