//! Addresses of this host, and the route that the kernel would choose.

use super::Route;
use crate::ipvs::rtnetlink::{Socket, ask};
use netlink_packet_core::Parseable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_indextoname;
use nix::sys::socket::SockaddrStorage;
use std::io;
use std::net::IpAddr;

/// RTM_GETROUTE.
const GET_ROUTE: u16 = 26;

/// An address of this host: interface, address, netmask.
pub(super) type Local = (String, IpAddr, IpAddr);

/// All of them.
pub(super) fn addresses() -> Vec<Local> {
    let all = getifaddrs().into_iter().flatten();
    all.filter_map(|a| {
        let iface = a.interface_name.split(':').next()?.to_owned();
        Some((iface, ip(a.address?)?, ip(a.netmask?)?))
    })
    .collect()
}

fn ip(storage: SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|s| IpAddr::V4(s.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|s| IpAddr::V6(s.ip())))
}

/// Whether an address is in the network of another.
pub(super) fn in_network(addr: IpAddr, own: IpAddr, mask: IpAddr) -> bool {
    match (addr, own, mask) {
        (IpAddr::V4(a), IpAddr::V4(o), IpAddr::V4(m)) => (a.to_bits() ^ o.to_bits()) & m.to_bits() == 0,
        (IpAddr::V6(a), IpAddr::V6(o), IpAddr::V6(m)) => (a.to_bits() ^ o.to_bits()) & m.to_bits() == 0,
        _ => false,
    }
}

/// The route to an address.
pub(super) fn to(addr: IpAddr) -> io::Result<Route> {
    let mut message = RouteMessage::default();
    let (family, bits, wanted) = match addr {
        IpAddr::V4(a) => (AddressFamily::Inet, 32, RouteAddress::Inet(a)),
        IpAddr::V6(a) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(a)),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = bits;
    message.attributes = vec![RouteAttribute::Destination(wanted)];
    let answers = ask(&mut Socket::open()?, GET_ROUTE, &message)?;
    let body = answers.first().ok_or_else(|| io::Error::other("the kernel names no route"))?;
    let answer = RouteMessage::parse(body.as_slice()).map_err(io::Error::other)?;
    let mut route = Route {
        iface: String::new(),
        gateway: None,
        source: None,
        local: answer.header.kind == RouteType::Local,
    };
    for attribute in answer.attributes {
        match attribute {
            RouteAttribute::Oif(index) => {
                let name = if_indextoname(index)?;
                route.iface = name.to_string_lossy().into_owned();
            }
            RouteAttribute::Gateway(gateway) => route.gateway = address(&gateway),
            RouteAttribute::PrefSource(source) => route.source = address(&source),
            _ => {}
        }
    }
    Ok(route)
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(a) => Some(IpAddr::V4(*a)),
        RouteAddress::Inet6(a) => Some(IpAddr::V6(*a)),
        _ => None,
    }
}
