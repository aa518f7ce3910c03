//! `PING_CHECK`: an ICMP echo is answered. An unprivileged ICMP socket where `net.ipv4.ping_group_range` allows it, else a raw one.

use super::{Passed, Verdict, socket, words};
use crate::config::check_types::Target;
use socket2::{Protocol, Socket, Type};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const ECHO_REPLY: [u8; 2] = [0, 129];
const ECHO_REQUEST: [u8; 2] = [8, 128];
const HEADER: usize = 8;

pub(super) async fn probe(target: &Target, limit: Duration) -> Verdict {
    let (socket, raw) = open(target).map_err(|e| {
        format!("own ICMP socket: {}; allow it with net.ipv4.ping_group_range, or CAP_NET_RAW", words(&e))
    })?;
    let peer = target.addr;
    // tokio's datagram socket does what any connected datagram socket needs.
    let socket = UdpSocket::from_std(socket.into()).map_err(socket::own_end)?;
    let failed = |e: io::Error| format!("echo to {peer}: {}", words(&e));
    // The kernel overwrites the identifier on unprivileged sockets; the token tells our answers from others'.
    let token = RandomState::new().hash_one(peer).to_be_bytes();
    let request = request(peer, token);
    let answered = timeout(limit, async {
        socket.send(&request).await?;
        let mut buffer = [0; 2048];
        loop {
            let n = socket.recv(&mut buffer).await?;
            if is_answer(&buffer[..n], peer, raw, token) {
                return Ok(());
            }
        }
    });
    match answered.await {
        Ok(Ok(())) => Ok(Passed::new(format!("{peer} answers echo requests"))),
        Ok(Err(e)) => Err(failed(e)),
        Err(_) => Err(format!("echo to {peer}: nothing within {} s", limit.as_secs_f64())),
    }
}

/// A connected socket, and whether it is a raw one.
fn open(target: &Target) -> io::Result<(Socket, bool)> {
    let protocol = if target.addr.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    let target = Target { port: 0, bind_port: None, ..target.clone() };
    let (socket, raw) = match socket::make(&target, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, false),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            (socket::make(&target, Type::RAW, Some(protocol))?, true)
        }
        Err(e) => return Err(e),
    };
    socket.connect(&SocketAddr::new(target.addr, 0).into())?;
    Ok((socket, raw))
}

/// An echo request with a token. The kernel computes the checksum for IPv6 and for unprivileged sockets.
fn request(peer: IpAddr, token: [u8; 8]) -> Vec<u8> {
    let kind = ECHO_REQUEST[usize::from(peer.is_ipv6())];
    let mut out = vec![kind, 0, 0, 0, token[0], token[1], 0, 1];
    out.extend(token);
    let sum = checksum(&out).to_be_bytes();
    out[2..4].copy_from_slice(&sum);
    out
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Whether a packet is the answer to the request with this token. A raw IPv4 socket gives the IP header, too.
fn is_answer(packet: &[u8], peer: IpAddr, raw: bool, token: [u8; 8]) -> bool {
    let skip = match (raw, peer, packet.first()) {
        (true, IpAddr::V4(_), Some(first)) => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    let reply = ECHO_REPLY[usize::from(peer.is_ipv6())];
    packet
        .get(skip..)
        .is_some_and(|icmp| icmp.first() == Some(&reply) && icmp.get(HEADER..) == Some(&token[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_sum_to_nothing_and_answers_are_known_by_their_token() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let token = *b"12345678";
        let mut packet = request(v4, token);
        assert_eq!(checksum(&packet), 0);
        assert!(!is_answer(&packet, v4, false, token), "our own request");
        packet[0] = 0;
        assert!(is_answer(&packet, v4, false, token));
        assert!(!is_answer(&packet, v4, false, *b"87654321"), "another's");
        let with_header = [&[0x46][..], &[0; 23], &packet].concat();
        assert!(is_answer(&with_header, v4, true, token), "a header with options");
        assert!(!is_answer(&[0x4f], v4, true, token));
    }
}
