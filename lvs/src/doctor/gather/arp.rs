//! Who answers for an IPv4 address? An ARP probe (RFC 5227: from nobody, so that no cache learns of us), and everyone who replies.

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often is asked: an answer may get lost.
const TRIES: u32 = 3;
/// How long each time is listened.
const LISTEN: Duration = Duration::from_millis(200);
/// Ethernet's broadcast address.
const EVERYBODY: [u8; 6] = [0xff; 6];
/// Of ARP over Ethernet for IPv4, after 14 bytes of Ethernet.
const LENGTH: usize = 42;

/// The hardware addresses that answer, each once.
pub(super) fn ask(iface: &str, addr: Ipv4Addr) -> io::Result<Vec<String>> {
    let link = getifaddrs()?
        .filter(|a| a.interface_name == iface)
        .find_map(|a| a.address?.as_link_addr().copied())
        .ok_or_else(|| io::Error::other("no such interface"))?;
    let own = link
        .addr()
        .filter(|mac| *mac != [0; 6])
        .ok_or_else(|| io::Error::other("it has no Ethernet address"))?;
    let socket = open(&link)?;
    let probe = frame(own, addr)?;
    let mut found = BTreeSet::new();
    for _ in 0..TRIES {
        send(socket.as_raw_fd(), &probe, MsgFlags::empty())?;
        listen(&socket, addr, &mut found)?;
    }
    Ok(found.into_iter().map(text).collect())
}

fn open(link: &LinkAddr) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // All protocols: the library's address carries none, and the socket keeps its own then. Only replies are looked at.
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    bind(socket.as_raw_fd(), link)?;
    Ok(socket)
}

fn frame(own: [u8; 6], addr: Ipv4Addr) -> io::Result<Vec<u8>> {
    let (nobody, target) = (Ipv4Addr::UNSPECIFIED.octets(), addr.octets());
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &own,
        &nobody,
        &[0; 6],
        &target,
    )
    .map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(LENGTH);
    PacketBuilder::ethernet2(own, EVERYBODY).arp(arp).write(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn listen(socket: &OwnedFd, addr: Ipv4Addr, found: &mut BTreeSet<[u8; 6]>) -> io::Result<()> {
    let until = Instant::now() + LISTEN;
    let mut bytes = [0; 128];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
            Ok(len) => found.extend(answer(bytes.get(..len).unwrap_or_default(), addr)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The sender of a reply that says "this address is mine".
fn answer(frame: &[u8], addr: Ipv4Addr) -> Option<[u8; 6]> {
    let reply = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 2];
    let is_reply = frame.get(12..22)? == reply;
    let sender: [u8; 6] = *frame.get(22..)?.first_chunk()?;
    (is_reply && frame.get(28..32)? == addr.octets()).then_some(sender)
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_no_answer_and_a_reply_is() {
        let addr = Ipv4Addr::new(192, 0, 2, 1);
        let probe = frame([2, 0, 0, 0, 0, 1], addr).unwrap();
        assert_eq!(probe.len(), LENGTH);
        // From nobody, for the address.
        assert_eq!((&probe[28..32], &probe[38..42]), (&[0; 4][..], &addr.octets()[..]));
        assert_eq!(answer(&probe, addr), None);
        let mut reply = probe.clone();
        reply[21] = 2;
        reply[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        reply[28..32].copy_from_slice(&addr.octets());
        assert_eq!(answer(&reply, addr).map(text).as_deref(), Some("02:00:00:00:00:09"));
        assert_eq!(answer(&reply, Ipv4Addr::new(192, 0, 2, 2)), None);
        for len in 0..32 {
            assert_eq!(answer(&reply[..len], addr), None);
        }
    }
}
