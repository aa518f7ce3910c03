//! The throw-away network: client, director and real server, each joined with the others by a veth pair.
//!
//! ```text
//!   client 198.18.0.1 ---- 198.18.0.2 director 198.18.1.1 ---- 198.18.1.2 real server
//!   client 198.18.2.1 ---------------------------------------- 198.18.2.2 real server
//! ```
//!
//! The addresses are those reserved for measurements (RFC 2544). The virtual address is on the director's and the real server's loopback.
//! With DR the real server answers the client over the third pair, which needs no routing.

use super::super::socket::{Failure, Socket};
use super::super::wire::message;
use super::place::Place;
use netlink_packet_core::Emitable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::net::if_::if_nametoindex;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

/// The virtual address.
pub(super) const VIP: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 9);
/// The client where the director is.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The client where the real server is.
pub(super) const CLIENT_DIRECT: Ipv4Addr = Ipv4Addr::new(198, 18, 2, 1);
/// The director where the client is.
const DIRECTOR_OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The director where the real server is: what its routes to there prefer as source.
pub(super) const DIRECTOR: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 1);
/// The real server where the director is.
pub(super) const REAL: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 2);
const REAL_DIRECT: Ipv4Addr = Ipv4Addr::new(198, 18, 2, 2);

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const CREATE_EXCLUSIVELY: u16 = 0x600;

/// The three places, ready.
pub(super) struct Net {
    pub(super) client: Place,
    pub(super) director: Place,
    pub(super) real: Place,
}

impl Net {
    /// Builds it. The error says what could not be done, and the remedy where there is one.
    pub(super) fn new() -> Result<Self, String> {
        let place = |name| {
            Place::new(name).map_err(|e| match e.raw_os_error() {
                Some(nix::libc::EPERM) => {
                    format!("making a network namespace needs root (CAP_SYS_ADMIN): {e}")
                }
                _ => format!("cannot make a network namespace: {e}"),
            })
        };
        let net = Self { client: place("client")?, director: place("director")?, real: place("real")? };
        net.build().map_err(|e| format!("cannot build the throw-away network: {e}"))?;
        Ok(net)
    }

    fn build(&self) -> io::Result<()> {
        for place in [&self.client, &self.director, &self.real] {
            place.run(|| {
                // A new namespace has the host's settings, which may be strict; interfaces that come later inherit `default`.
                ["rp_filter", "arp_ignore", "arp_filter"].iter().try_for_each(|name| {
                    sysctl(&format!("all/{name}"), "0")?;
                    sysctl(&format!("default/{name}"), "0")
                })
            })?;
        }
        let director = self.director.namespace.as_raw_fd();
        let real = self.real.namespace.as_raw_fd();
        self.client.run(move || {
            let mut s = open()?;
            veth(&mut s, "director", "client", director)?;
            veth(&mut s, "real", "client", real)
        })?;
        self.director.run(move || veth(&mut open()?, "real", "director", real))?;
        self.real.run(|| {
            let mut s = open()?;
            up(&mut s, "lo")?;
            address(&mut s, "lo", VIP, 32)?;
            address(&mut s, "director", REAL, 24)?;
            address(&mut s, "client", REAL_DIRECT, 24)?;
            up(&mut s, "director")?;
            up(&mut s, "client")?;
            route(&mut s, Ipv4Addr::new(198, 18, 0, 0), 24, DIRECTOR)
        })?;
        self.director.run(|| {
            let mut s = open()?;
            up(&mut s, "lo")?;
            address(&mut s, "lo", VIP, 32)?;
            address(&mut s, "client", DIRECTOR_OUTSIDE, 24)?;
            address(&mut s, "real", DIRECTOR, 24)?;
            up(&mut s, "client")?;
            up(&mut s, "real")?;
            route(&mut s, Ipv4Addr::new(198, 18, 2, 0), 24, CLIENT)?;
            // NAT: answers pass through.
            write("/proc/sys/net/ipv4/ip_forward", "1")
        })?;
        self.client.run(|| {
            let mut s = open()?;
            up(&mut s, "lo")?;
            address(&mut s, "director", CLIENT, 24)?;
            address(&mut s, "real", CLIENT_DIRECT, 24)?;
            up(&mut s, "director")?;
            up(&mut s, "real")?;
            route(&mut s, VIP, 32, DIRECTOR_OUTSIDE)
        })
    }
}

fn open() -> io::Result<Socket> {
    Socket::open(NETLINK_ROUTE)
}

fn sysctl(name: &str, value: &str) -> io::Result<()> {
    write(&format!("/proc/sys/net/ipv4/conf/{name}"), value)
}

/// `/proc/sys/net` shows the namespace of the thread that looks.
fn write(path: &str, value: &str) -> io::Result<()> {
    std::fs::write(path, value).map_err(|e| io::Error::other(format!("{path}: {e}")))
}

fn ask(socket: &mut Socket, what: &str, kind: u16, body: &impl Emitable) -> io::Result<()> {
    let mut bytes = vec![0; body.buffer_len()];
    body.emit(&mut bytes);
    match socket.request(false, |flags, seq| message(kind, flags | CREATE_EXCLUSIVELY, seq, &[&bytes])) {
        Ok(_) => Ok(()),
        Err(Failure::Refused { errno, text }) => {
            let error = io::Error::from_raw_os_error(errno);
            Err(io::Error::other(
                format!("{what}: {error} {}", text.unwrap_or_default()).trim_end().to_owned(),
            ))
        }
        Err(Failure::Malformed(malformed)) => Err(io::Error::other(format!("{what}: {malformed}"))),
    }
}

/// A pair of links: one here, its peer in another namespace.
fn veth(socket: &mut Socket, name: &str, peer: &str, namespace: i32) -> io::Result<()> {
    let mut other = LinkMessage::default();
    other.attributes = vec![LinkAttribute::IfName(peer.to_owned()), LinkAttribute::NetNsFd(namespace)];
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other))),
        ]),
    ];
    ask(socket, &format!("make the veth pair {name}"), NEW_LINK, &link)
}

fn up(socket: &mut Socket, name: &str) -> io::Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = if_nametoindex(name)?;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    let mut bytes = vec![0; link.buffer_len()];
    link.emit(&mut bytes);
    // It is there, so it must not be created.
    match socket.request(false, |flags, seq| message(NEW_LINK, flags, seq, &[&bytes])) {
        Ok(_) => Ok(()),
        Err(failure) => Err(io::Error::other(format!("set {name} up: {failure:?}"))),
    }
}

fn address(socket: &mut Socket, link: &str, addr: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = prefix;
    message.header.index = if_nametoindex(link)?;
    message.attributes = vec![AddressAttribute::Local(addr.into()), AddressAttribute::Address(addr.into())];
    ask(socket, &format!("add {addr}/{prefix} to {link}"), NEW_ADDRESS, &message)
}

fn route(socket: &mut Socket, to: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> io::Result<()> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = prefix;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet(to)),
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)),
    ];
    ask(socket, &format!("route {to}/{prefix} through {gateway}"), NEW_ROUTE, &message)
}
