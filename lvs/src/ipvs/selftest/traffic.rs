//! One connection through IPVS, for each method in its own way.

use super::super::{Ipvs, Kernel};
use super::net::{CLIENT, CLIENT_DIRECT, DIRECTOR, Net, REAL, VIP};
use super::{Method, Tried};
use crate::diff::Change;
use crate::model::{DestId, DestSettings, Forward, Protocol, Scheduler, ServiceId, ServiceSettings, Tunnel};
use socket2::{Domain, Protocol as SocketProtocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::time::Duration;

/// Where the virtual service is.
const PORT: u16 = 80;
/// Where the real server listens for NAT.
const OTHER_PORT: u16 = 8080;
/// How long a packet may take. The client sends its SYN again after one second.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the real server says.
const WORD: &[u8] = b"lvs";
/// IP in IP.
const IPIP: i32 = 4;

/// Tries a method: service, connection, and away with it.
pub(super) fn attempt(net: &Net, method: Method) -> Tried {
    let (forward, port) = match method {
        Method::Nat => (Forward::Nat, OTHER_PORT),
        Method::Dr => (Forward::Dr, PORT),
        Method::Tun => (Forward::Tun(Tunnel::Ipip), PORT),
    };
    let service = ServiceId::addr(VIP.into(), PORT, Protocol::Tcp);
    let made = net.director.run(move || {
        let mut kernel = Kernel::open().map_err(io::Error::other)?;
        let scheduler = Scheduler::new("rr").map_err(io::Error::other)?;
        let settings = ServiceSettings { scheduler, ..ServiceSettings::default() };
        let mut perform = |change: Change| {
            kernel.perform(&change).map(drop).map_err(|e| io::Error::other(format!("{change}: {e}")))
        };
        perform(Change::AddService { service, settings })?;
        let dest = DestId::new(REAL.into(), port);
        perform(Change::AddDest {
            service,
            dest,
            settings: DestSettings { forward, ..DestSettings::default() },
        })
    });
    let tried = match made {
        Err(e) => Tried::NotTried(e.to_string()),
        Ok(()) => match method {
            Method::Nat => connect(net, CLIENT, SocketAddrV4::new(REAL, port)),
            Method::Dr => connect(net, CLIENT_DIRECT, SocketAddrV4::new(VIP, port)),
            Method::Tun => wrapped(net),
        },
    };
    let gone = net.director.run(move || {
        let mut kernel = Kernel::open().map_err(io::Error::other)?;
        kernel.perform(&Change::DelService { service }).map(drop).map_err(io::Error::other)
    });
    match (tried, gone) {
        (Tried::Forwards(_), Err(e)) => Tried::NotTried(format!("cannot delete the throw-away service: {e}")),
        (tried, _) => tried,
    }
}

/// A TCP connection from `source` to the virtual address, which the real server must see at `listen`.
fn connect(net: &Net, source: Ipv4Addr, listen: SocketAddrV4) -> Tried {
    let listener = match net.real.run(move || TcpListener::bind(listen)) {
        Ok(listener) => listener,
        Err(e) => return Tried::NotTried(format!("cannot listen on {listen}: {e}")),
    };
    let connected = net.client.run(move || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SockAddr::from(SocketAddrV4::new(source, 0)))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect_timeout(&SockAddr::from(SocketAddrV4::new(VIP, PORT)), PATIENCE)?;
        Ok(socket)
    });
    let mut client = match connected {
        Ok(client) => client,
        Err(e) => return Tried::DoesNotForward(format!("{source} connects to {VIP}:{PORT}: {e}")),
    };
    match exchange(&listener, &mut client) {
        Ok(peer) => Tried::Forwards(format!("a connection to {VIP}:{PORT} arrived at {listen} from {peer}")),
        Err(e) => Tried::DoesNotForward(format!("connected to {VIP}:{PORT}, but no data came through: {e}")),
    }
}

/// The client is connected, so the real server has its connection: it says its word, and the client hears it.
fn exchange(listener: &TcpListener, client: &mut Socket) -> io::Result<String> {
    listener.set_nonblocking(true)?;
    let (mut server, peer) = listener.accept()?;
    server.write_all(WORD)?;
    let mut heard = [0; WORD.len()];
    client.read_exact(&mut heard)?;
    if heard == WORD { Ok(peer.to_string()) } else { Err(io::Error::other("something else was heard")) }
}

/// The client's SYN, wrapped, where the real server would unwrap it.
fn wrapped(net: &Net) -> Tried {
    let caught = net.real.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(SocketProtocol::from(IPIP)))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    });
    let mut caught = match caught {
        Ok(socket) => socket,
        Err(e) => return Tried::NotTried(format!("cannot open a raw socket: {e}")),
    };
    let asked = net.client.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&SockAddr::from(SocketAddrV4::new(VIP, PORT))) {
            Err(e) if e.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(e),
            _ => Ok(socket),
        }
    });
    if let Err(e) = asked {
        return Tried::DoesNotForward(format!("a connection to {VIP}:{PORT}: {e}"));
    }
    let mut packet = [0; 256];
    match caught.read(&mut packet) {
        Ok(len) => judge(packet.get(..len).unwrap_or_default()),
        Err(e) => Tried::DoesNotForward(format!("no wrapped packet arrived at {REAL}: {e}")),
    }
}

/// An IP in IP packet: from the director to the real server, and in it one from the client to the virtual address.
fn judge(packet: &[u8]) -> Tried {
    let ends = |header: &[u8]| -> Option<(Ipv4Addr, Ipv4Addr)> {
        let address = |at: usize| header.get(at..)?.first_chunk::<4>().map(|a| Ipv4Addr::from(*a));
        Some((address(12)?, address(16)?))
    };
    let header = packet.first().map_or(0, |b| usize::from(b & 0xf) * 4);
    let outer = ends(packet);
    let inner = packet.get(header..).and_then(ends);
    let Some(((from, to), (source, target))) = outer.zip(inner) else {
        return Tried::DoesNotForward(format!(
            "a packet of {} bytes arrived that is no wrapped one",
            packet.len()
        ));
    };
    let seen = format!("{source} -> {target} arrived wrapped in {from} -> {to}");
    if (source, target) != (CLIENT, VIP) {
        Tried::DoesNotForward(format!("{seen}: not what the client sent"))
    } else if from != DIRECTOR {
        Tried::DoesNotForward(format!(
            "{seen}: the outer source is not {DIRECTOR}, the director's (the defect that Linux commit 4754957f04f5 repairs)"
        ))
    } else {
        Tried::Forwards(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: Ipv4Addr, source: Ipv4Addr) -> Vec<u8> {
        let header = |s: Ipv4Addr, d: Ipv4Addr| [&[0x45; 1][..], &[0; 11], &s.octets(), &d.octets()].concat();
        [header(from, REAL), header(source, VIP)].concat()
    }

    #[test]
    fn a_wrapped_packet_is_judged_by_its_addresses() {
        assert!(matches!(judge(&packet(DIRECTOR, CLIENT)), Tried::Forwards(_)));
        let foreign = judge(&packet(Ipv4Addr::new(12, 10, 91, 5), CLIENT));
        assert!(
            matches!(&foreign, Tried::DoesNotForward(s) if s.contains("12.10.91.5") && s.contains("4754957f04f5"))
        );
        assert!(matches!(judge(&packet(DIRECTOR, REAL)), Tried::DoesNotForward(_)));
        let whole = packet(DIRECTOR, CLIENT);
        for len in 0..whole.len() {
            assert!(matches!(judge(&whole[..len]), Tried::DoesNotForward(_)), "{len}");
        }
    }
}
