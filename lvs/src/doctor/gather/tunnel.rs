//! The outer source of tunnelled packets, as they leave this host.

use super::Target;
use crate::model::{Forward, Tunnel};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

const IPIP: u8 = 4;
const UDP: u8 = 17;
const GRE: u8 = 47;

/// Outer sources by destination: how many packets of each.
pub(super) type Seen = BTreeMap<IpAddr, BTreeMap<IpAddr, u64>>;

/// Watches until every tunnel was seen, at most for the window. Without tunnels there is nothing to wait for; without the right to watch
/// (CAP_NET_RAW) nothing is seen.
pub(super) fn watch(targets: &[Target], window: Duration) -> Seen {
    let wanted: BTreeSet<(Ipv4Addr, u8)> = targets
        .iter()
        .filter_map(|(_, dest, forward)| match (dest.addr, forward) {
            (IpAddr::V4(addr), Forward::Tun(kind)) => Some((
                addr,
                match kind {
                    Tunnel::Ipip => IPIP,
                    Tunnel::Gue { .. } => UDP,
                    Tunnel::Gre { .. } => GRE,
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
    while seen.len() < wanted.len() {
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
                    *seen.entry(dest.into()).or_default().entry(source.into()).or_default() += 1;
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    seen
}

/// Source, destination and protocol of an IPv4 packet.
fn ends(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8)> {
    let address = |at: usize| packet.get(at..)?.first_chunk::<4>().map(|a| Ipv4Addr::from(*a));
    let v4 = packet.first().is_some_and(|b| b >> 4 == 4);
    v4.then_some(())?;
    Some((address(12)?, address(16)?, *packet.get(9)?))
}
