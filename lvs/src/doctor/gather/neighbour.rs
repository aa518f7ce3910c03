//! Who answers for an address on a link? A question on the wire ([`arp`], [`ndp`]), and everyone who replies.

use super::{arp, ndp, route};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often is asked: an answer may get lost.
const TRIES: u32 = 3;
/// How long each time is listened.
const LISTEN: Duration = Duration::from_millis(200);

/// An Ethernet address.
pub(super) type Mac = [u8; 6];

/// The hardware addresses of others that answer on an interface, each once.
pub(super) fn ask(iface: &str, addr: IpAddr, local: &[route::Local]) -> io::Result<Vec<String>> {
    let (link, own) = ethernet(iface)?;
    let question = match addr {
        IpAddr::V4(addr) => arp::frame(own, addr, [0; 6])?,
        IpAddr::V6(addr) => {
            let from = local.iter().find_map(|(name, ip, _)| match ip {
                IpAddr::V6(v6) if name == iface && v6.is_unicast_link_local() => Some(*v6),
                _ => None,
            });
            ndp::frame(own, from.ok_or_else(|| io::Error::other("it has no link-local address"))?, addr)?
        }
    };
    exchange(&link, own, &question, addr)
}

/// Asks on an interface who has an IPv4 address: the hardware addresses of others that answer, each once. Blocks for 0.6 s. `mark` is put into
/// the question for listeners that know it.
///
/// # Errors
/// No such interface, none of Ethernet, or no right to packet sockets (CAP_NET_RAW).
pub fn who_has(iface: &str, addr: Ipv4Addr, mark: [u8; 6]) -> io::Result<Vec<String>> {
    let (link, own) = ethernet(iface)?;
    exchange(&link, own, &arp::frame(own, addr, mark)?, addr.into())
}

fn ethernet(iface: &str) -> io::Result<(LinkAddr, Mac)> {
    let link = getifaddrs()?
        .filter(|a| a.interface_name == iface)
        .find_map(|a| a.address?.as_link_addr().copied())
        .ok_or_else(|| io::Error::other("no such interface"))?;
    let own = link
        .addr()
        .filter(|mac| *mac != [0; 6])
        .ok_or_else(|| io::Error::other("it has no Ethernet address"))?;
    Ok((link, own))
}

fn exchange(link: &LinkAddr, own: Mac, question: &[u8], addr: IpAddr) -> io::Result<Vec<String>> {
    let socket = open(link)?;
    let mut found = BTreeSet::new();
    for _ in 0..TRIES {
        send(socket.as_raw_fd(), question, MsgFlags::empty())?;
        listen(&socket, addr, &mut found)?;
    }
    // The socket hears what this host sends, too, such as the gratuitous ARP replies after an address was taken.
    found.remove(&own);
    Ok(found.into_iter().map(text).collect())
}

fn open(link: &LinkAddr) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // All protocols: the library's address carries none, and the socket keeps its own then. Only replies are looked at.
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    bind(socket.as_raw_fd(), link)?;
    Ok(socket)
}

fn listen(socket: &OwnedFd, addr: IpAddr, found: &mut BTreeSet<Mac>) -> io::Result<()> {
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
            Ok(len) => {
                let frame = bytes.get(..len).unwrap_or_default();
                found.extend(match addr {
                    IpAddr::V4(addr) => arp::answer(frame, addr),
                    IpAddr::V6(addr) => ndp::answer(frame, addr),
                });
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn text(mac: Mac) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}
