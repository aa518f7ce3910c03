//! The answer service of a node: every datagram to port 7007 comes back with the node's number, from the address it was sent to.
//!
//! It stands for any service of the node. It does not know the cluster daemon and goes on when that one is frozen or dead.

use super::ECHO_PORT;
use anyhow::Context;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_pktinfo};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

/// Answers for ever.
pub(super) fn run(node: u16) -> anyhow::Result<()> {
    crate::lab::sys::more_important();
    let v4 = socket((Ipv4Addr::UNSPECIFIED, ECHO_PORT).into())?;
    setsockopt(&v4, sockopt::Ipv4PacketInfo, &true)?;
    let v6 = socket((Ipv6Addr::UNSPECIFIED, ECHO_PORT).into()).ok();
    if let Some(v6) = &v6 {
        setsockopt(v6, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    let sockets: Vec<&Socket> = std::iter::once(&v4).chain(&v6).collect();
    loop {
        let mut wait: Vec<PollFd<'_>> =
            sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)).collect();
        match poll(&mut wait, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        for socket in &sockets {
            while answer(socket, node) {}
        }
    }
}

fn socket(address: SocketAddr) -> anyhow::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("listen on {address}"))?;
    Ok(socket)
}

enum To {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

/// Answers one datagram; false when there is none left.
fn answer(socket: &Socket, node: u16) -> bool {
    let mut data = [0_u8; 64];
    let mut control = nix::cmsg_space!(in_pktinfo, in6_pktinfo);
    let mut parts = [IoSliceMut::new(&mut data)];
    let received =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
    let (length, from, to) = match received {
        Ok(message) => {
            let to = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|c| match c {
                    ControlMessageOwned::Ipv4PacketInfo(info) => Some(To::V4(info)),
                    ControlMessageOwned::Ipv6PacketInfo(info) => Some(To::V6(info)),
                    _ => None,
                })
            });
            (message.bytes, message.address, to)
        }
        Err(Errno::EINTR) => return true,
        Err(_) => return false,
    };
    let (Some(from), Some(to)) = (from, to) else { return true };
    let number = node.to_be_bytes();
    let reply = [IoSlice::new(&data[..length]), IoSlice::new(&number)];
    match to {
        To::V4(asked) => {
            // The address asked is the sender of the answer; the routing table chooses the interface.
            let own =
                in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: asked.ipi_addr, ipi_addr: in_addr { s_addr: 0 } };
            send(socket, &reply, &ControlMessage::Ipv4PacketInfo(&own), &from);
        }
        To::V6(asked) => {
            let own = in6_pktinfo { ipi6_addr: asked.ipi6_addr, ipi6_ifindex: 0 };
            send(socket, &reply, &ControlMessage::Ipv6PacketInfo(&own), &from);
        }
    }
    true
}

/// The address may have gone since the datagram came in: then there is no answer, as from any service.
fn send<S: SockaddrLike>(socket: &Socket, reply: &[IoSlice<'_>], source: &ControlMessage<'_>, to: &S) {
    sendmsg(socket.as_raw_fd(), reply, std::slice::from_ref(source), MsgFlags::empty(), Some(to)).ok();
}
