//! An ARP probe (RFC 5227: from nobody, so that no cache learns of us), and replies to it.

use super::neighbour::Mac;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use std::io;
use std::net::Ipv4Addr;

/// Ethernet's broadcast address.
const EVERYBODY: Mac = [0xff; 6];
/// Of ARP over Ethernet for IPv4, after 14 bytes of Ethernet.
const LENGTH: usize = 42;

/// "Whose is this address?" `mark` is put where a request leaves room (the target's hardware address), for listeners that know it.
pub(super) fn frame(own: [u8; 6], addr: Ipv4Addr, mark: [u8; 6]) -> io::Result<Vec<u8>> {
    let (nobody, target) = (Ipv4Addr::UNSPECIFIED.octets(), addr.octets());
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &own,
        &nobody,
        &mark,
        &target,
    )
    .map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(LENGTH);
    PacketBuilder::ethernet2(own, EVERYBODY).arp(arp).write(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The sender of a reply that says "this address is mine".
pub(super) fn answer(frame: &[u8], addr: Ipv4Addr) -> Option<[u8; 6]> {
    let reply = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 2];
    let is_reply = frame.get(12..22)? == reply;
    let sender: [u8; 6] = *frame.get(22..)?.first_chunk()?;
    (is_reply && frame.get(28..32)? == addr.octets()).then_some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_no_answer_and_a_reply_is() {
        let addr = Ipv4Addr::new(192, 0, 2, 1);
        let probe = frame([2, 0, 0, 0, 0, 1], addr, [0; 6]).unwrap();
        assert_eq!(probe.len(), LENGTH);
        // From nobody, for the address.
        assert_eq!((&probe[28..32], &probe[38..42]), (&[0; 4][..], &addr.octets()[..]));
        assert_eq!(answer(&probe, addr), None);
        let mut reply = probe.clone();
        reply[21] = 2;
        reply[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        reply[28..32].copy_from_slice(&addr.octets());
        assert_eq!(answer(&reply, addr), Some([2, 0, 0, 0, 0, 9]));
        assert_eq!(answer(&reply, Ipv4Addr::new(192, 0, 2, 2)), None);
        for len in 0..32 {
            assert_eq!(answer(&reply[..len], addr), None);
        }
    }
}
