//! A neighbour solicitation (RFC 4861) for an IPv6 address, and advertisements that answer it.
//!
//! From the interface's own link-local address: from nobody it would be a probe of duplicate address detection, and a host whose address
//! is still tentative would give it up (RFC 4862, 5.4.3).

use super::neighbour::Mac;
use etherparse::PacketBuilder;
use std::io;
use std::net::Ipv6Addr;

/// Types of ICMPv6.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Next header of ICMPv6.
const ICMPV6: u8 = 58;
/// No router has passed it on (RFC 4861, 7.1.1).
const HOPS: u8 = 255;
/// Ethernet and IPv6, and then ICMPv6.
const HEADERS: usize = 14 + 40;

/// "Whose is this address?"
pub(super) fn frame(own: Mac, from: Ipv6Addr, addr: Ipv6Addr) -> io::Result<Vec<u8>> {
    let [.., a, b, c] = addr.octets();
    // The solicited-node group (RFC 4291, 2.7.1), and the Ethernet address of the group (RFC 2464, 7).
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(&[a, b, c]);
    let to = [0x33, 0x33, 0xff, a, b, c];
    // The target, and the option with our Ethernet address.
    let body: Vec<u8> = addr.octets().into_iter().chain([1, 1]).chain(own).collect();
    let mut bytes = Vec::with_capacity(HEADERS + 32);
    PacketBuilder::ethernet2(own, to)
        .ipv6(from.octets(), group, HOPS)
        .icmpv6_raw(SOLICITATION, 0, [0; 4])
        .write(&mut bytes, &body)
        .map_err(io::Error::other)?;
    Ok(bytes)
}

/// The sender of an advertisement that says "this address is mine".
pub(super) fn answer(frame: &[u8], addr: Ipv6Addr) -> Option<Mac> {
    let is_icmp = frame.get(12..14)? == [0x86, 0xdd] && *frame.get(20)? == ICMPV6;
    let is_it =
        *frame.get(HEADERS)? == ADVERTISEMENT && frame.get(HEADERS + 8..HEADERS + 24)? == addr.octets();
    (is_icmp && is_it).then_some(*frame.get(6..)?.first_chunk()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solicitation_is_no_answer_and_an_advertisement_is() {
        let addr: Ipv6Addr = "fd00::aa:bbcc".parse().unwrap();
        let own = [2, 0, 0, 0, 0, 1];
        let asked = frame(own, "fe80::1".parse().unwrap(), addr).unwrap();
        assert_eq!(asked.len(), HEADERS + 32);
        assert_eq!(asked[..6], [0x33, 0x33, 0xff, 0xaa, 0xbb, 0xcc]);
        assert_eq!((asked[21], &asked[HEADERS + 8..HEADERS + 24]), (HOPS, &addr.octets()[..]));
        assert_eq!(asked[HEADERS + 24..], [&[1, 1][..], &own].concat());
        assert_eq!(answer(&asked, addr), None);
        let mut reply = asked.clone();
        reply[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        assert_eq!(reply[HEADERS], 135);
        reply[HEADERS] = 136;
        assert_eq!(answer(&reply, addr), Some([2, 0, 0, 0, 0, 9]));
        assert_eq!(answer(&reply, "fd00::1".parse().unwrap()), None);
        for len in 0..HEADERS + 24 {
            assert_eq!(answer(&reply[..len], addr), None);
        }
    }
}
