//! Sockets with what a check says of their own end: `bindto`, `bind_port`, `bind_if`, `fwmark`.

use super::{within, words};
use crate::config::check_types::Target;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// Where the check goes.
pub(super) fn peer(target: &Target) -> SocketAddr {
    SocketAddr::new(target.addr, target.port)
}

/// A socket of a kind with its own end set; not connected, does not block.
pub(super) fn make(target: &Target, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(peer(target)), kind, protocol)?;
    socket.set_nonblocking(true)?;
    if let Some(iface) = &target.bind_if {
        socket.bind_device(Some(iface.as_bytes()))?;
    }
    if let Some(mark) = target.fwmark {
        socket.set_mark(mark)?;
    }
    if target.bind_ip.is_some() || target.bind_port.is_some() {
        let any = match target.addr {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let own = SocketAddr::new(target.bind_ip.unwrap_or(any), target.bind_port.unwrap_or(0));
        // Checks come again sooner than TIME_WAIT ends.
        socket.set_reuse_address(true)?;
        socket.bind(&own.into())?;
    }
    Ok(socket)
}

/// A TCP connection.
pub(super) async fn connect(target: &Target, limit: Duration) -> Result<TcpStream, String> {
    let socket = make(target, Type::STREAM, Some(Protocol::TCP)).map_err(own_end)?;
    let socket = TcpSocket::from_std_stream(socket.into());
    let peer = peer(target);
    within(limit, &format!("connection to {peer}"), socket.connect(peer)).await
}

/// A UDP socket that takes answers, and ICMP errors, of the peer only.
pub(super) async fn udp(target: &Target) -> Result<UdpSocket, String> {
    let socket = make(target, Type::DGRAM, Some(Protocol::UDP)).map_err(own_end)?;
    let socket = UdpSocket::from_std(socket.into()).map_err(own_end)?;
    let peer = peer(target);
    socket.connect(peer).await.map_err(|e| format!("datagram to {peer}: {}", words(&e)))?;
    Ok(socket)
}

/// The check's own end cannot be made.
pub(super) fn own_end(e: io::Error) -> String {
    format!("own socket (see bindto, bind_if, bind_port, fwmark): {}", words(&e))
}
