//! The bytes of announcements.

use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv6Type, PacketBuilder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const BROADCAST: [u8; 6] = [0xff; 6];
/// Ethernet address of the IPv6 group of all nodes.
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// `ff02::1`.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A complete Ethernet frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) ethertype: u16,
    pub(super) bytes: Vec<u8>,
}

/// The frames that announce `addr` at `mac`: for IPv4 a gratuitous ARP as request and as reply, since some neighbours believe only
/// one kind; for IPv6 an unsolicited neighbour advertisement.
pub(super) fn announcement(mac: [u8; 6], addr: IpAddr) -> Vec<Frame> {
    match addr {
        IpAddr::V4(addr) => vec![
            gratuitous_arp(mac, ArpOperation::REQUEST, [0; 6], addr),
            gratuitous_arp(mac, ArpOperation::REPLY, mac, addr),
        ],
        IpAddr::V6(addr) => vec![unsolicited_advertisement(mac, addr)],
    }
}

fn gratuitous_arp(mac: [u8; 6], operation: ArpOperation, target_mac: [u8; 6], addr: Ipv4Addr) -> Frame {
    let ip = addr.octets();
    let mut bytes = Vec::with_capacity(42);
    ArpPacket::new(ArpHardwareId::ETHERNET, EtherType::IPV4, operation, &mac, &ip, &target_mac, &ip)
        .map_err(|e| e.to_string())
        .and_then(|arp| {
            PacketBuilder::ethernet2(mac, BROADCAST).arp(arp).write(&mut bytes).map_err(|e| e.to_string())
        })
        .unwrap_or_else(|e| unreachable!("addresses of fixed length, written to memory: {e}"));
    Frame { ethertype: EtherType::ARP.0, bytes }
}

fn unsolicited_advertisement(mac: [u8; 6], addr: Ipv6Addr) -> Frame {
    // Override: neighbours replace what they have. Not solicited, hence the group of all nodes (RFC 4861 7.2.6).
    let flags = NeighborAdvertisementHeader { router: false, solicited: false, r#override: true };
    let mut body = addr.octets().to_vec();
    // Option "target link-layer address", length 1 (in units of 8 bytes).
    body.extend_from_slice(&[2, 1]);
    body.extend_from_slice(&mac);
    let mut bytes = Vec::with_capacity(86);
    // Receivers drop neighbour discovery with a hop limit other than 255.
    PacketBuilder::ethernet2(mac, ALL_NODES_MAC)
        .ipv6(addr.octets(), ALL_NODES.octets(), 255)
        .icmpv6(Icmpv6Type::NeighborAdvertisement(flags))
        .write(&mut bytes, &body)
        .unwrap_or_else(|e| unreachable!("a short packet, written to memory: {e}"));
    Frame { ethertype: EtherType::IPV6.0, bytes }
}
