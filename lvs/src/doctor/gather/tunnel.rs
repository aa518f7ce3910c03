//! The outer source of tunnelled packets, as they leave this host.

use super::Target;
use crate::model::{Family, Forward, Tunnel};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

const IPIP: u8 = 4;
const IPV6: u8 = 41;
const UDP: u8 = 17;
const GRE: u8 = 47;

/// Outer sources by destination: how many packets of each.
pub(super) type Seen = BTreeMap<IpAddr, BTreeMap<IpAddr, u64>>;

/// Watches until every tunnel was seen, at most for the window. Without tunnels there is nothing to wait for; without the right to watch
/// (CAP_NET_RAW) nothing is seen.
pub(super) fn watch(targets: &[Target], window: Duration) -> Seen {
    let wanted: BTreeSet<(IpAddr, u8)> = targets
        .iter()
        .filter_map(|(service, dest, forward)| match forward {
            Forward::Tun(kind) => Some((
                dest.addr,
                match (kind, service.family()) {
                    // What is within decides, whatever it is sent over.
                    (Tunnel::Ipip, Family::Inet) => IPIP,
                    (Tunnel::Ipip, Family::Inet6) => IPV6,
                    (Tunnel::Gue { .. }, _) => UDP,
                    (Tunnel::Gre { .. }, _) => GRE,
                },
            )),
            _ => None,
        })
        .collect();
    let mut seen = Seen::new();
    if wanted.is_empty() {
        return seen;
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(socket) = socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll) else {
        return seen;
    };
    let until = Instant::now() + window;
    let mut bytes = [0; 64];
    while !wanted.iter().all(|(dest, _)| seen.contains_key(dest)) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => break,
        }
        match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
            Ok(len) => {
                if let Some((source, dest, protocol)) = ends(bytes.get(..len).unwrap_or_default())
                    && wanted.contains(&(dest, protocol))
                {
                    *seen.entry(dest).or_default().entry(source).or_default() += 1;
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    seen
}

/// Source, destination and protocol (next header) of an IP packet.
fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr, u8)> {
    let v4 = |at: usize| packet.get(at..)?.first_chunk::<4>().map(|a| IpAddr::V4(Ipv4Addr::from(*a)));
    let v6 = |at: usize| packet.get(at..)?.first_chunk::<16>().map(|a| IpAddr::V6(Ipv6Addr::from(*a)));
    match packet.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?, *packet.get(9)?)),
        6 => Some((v6(8)?, v6(24)?, *packet.get(6)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    #[test]
    fn ends_of_both_families() {
        let mut four = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2).write(&mut four, &[]).unwrap();
        assert_eq!(ends(&four), Some(([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), UDP)));
        let (a, b): (Ipv6Addr, Ipv6Addr) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let mut six = Vec::new();
        PacketBuilder::ipv6(a.octets(), b.octets(), 64).udp(1, 2).write(&mut six, &[]).unwrap();
        assert_eq!(ends(&six), Some((a.into(), b.into(), UDP)));
        for len in 0..20 {
            assert_eq!(ends(&four[..len]), None);
        }
        for len in 0..40 {
            assert_eq!(ends(&six[..len]), None);
        }
    }
}
