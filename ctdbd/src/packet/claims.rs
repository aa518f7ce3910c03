//! What others say on the wire about our public addresses: ARP frames that claim one, and the filter that lets only these through.
//!
//! Pure. Two kinds count: a frame whose sender has the address (RFC 5227 calls it a conflict when we have it, too), and the probe with
//! which a node of the cluster asks who holds an address that it found on itself and is removing. Such a probe is one from nobody, as
//! any host sends it that looks whether an address is free; it bears the asker's number where ARP leaves room (the target's hardware
//! address of a request means nothing). IPv6 neighbours are not listened to.

use recoverd::model::Pnn;
use socket2::SockFilter;
use std::net::{IpAddr, Ipv4Addr};

/// What a marked probe begins with in the target's hardware address; the node number follows.
const MARK: [u8; 4] = *b"CTDB";
/// ARP over Ethernet for IPv4: hardware, protocol, lengths.
const HEAD: [u8; 8] = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4];
/// Where things are in an Ethernet frame.
const SENDER: usize = 28;
const TARGET_MAC: usize = 32;
/// A filter has at most 4096 instructions, two for each address.
const MOST: usize = 2000;
/// As much of a frame as there is.
const WHOLE: u32 = 0xffff;

/// Somebody else has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The address.
    pub addr: Ipv4Addr,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// The node of the cluster that says it is removing it; none for anybody else.
    pub node: Option<Pnn>,
}

/// The mark of this node's probes.
#[must_use]
pub fn mark(pnn: Pnn) -> [u8; 6] {
    let [.., high, low] = pnn.0.to_be_bytes();
    let [c, t, d, b] = MARK;
    [c, t, d, b, high, low]
}

/// What a frame claims.
pub(super) fn claim(frame: &[u8]) -> Option<Claim> {
    if frame.get(12..20)? != HEAD {
        return None;
    }
    let mac: [u8; 6] = *frame.get(22..)?.first_chunk()?;
    let sender = Ipv4Addr::from(*frame.get(SENDER..)?.first_chunk::<4>()?);
    let [c, t, d, b, high, low] = *frame.get(TARGET_MAC..)?.first_chunk::<6>()?;
    let target = Ipv4Addr::from(*frame.get(38..)?.first_chunk::<4>()?);
    match (sender.is_unspecified(), [c, t, d, b] == MARK) {
        (false, _) => Some(Claim { addr: sender, mac, node: None }),
        (true, true) => {
            Some(Claim { addr: target, mac, node: Some(Pnn(u32::from(u16::from_be_bytes([high, low])))) })
        }
        (true, false) => None,
    }
}

/// Lets through what claims one of these addresses, and marked probes: in a quiet cluster nothing at all. With more addresses than a filter
/// can have all of ARP comes through.
pub(super) fn filter(public: impl Iterator<Item = IpAddr>) -> Vec<SockFilter> {
    // linux/filter.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K.
    let load = |at: usize| SockFilter::new(0x20, 0, 0, at as u32);
    let unless_equal_skip_one = |value: u32| SockFilter::new(0x15, 0, 1, value);
    let end = |take: u32| SockFilter::new(0x06, 0, 0, take);
    let v4 = public.filter_map(|addr| match addr {
        IpAddr::V4(v4) => Some(u32::from(v4)),
        IpAddr::V6(_) => None,
    });
    let v4: Vec<u32> = v4.collect();
    if v4.len() > MOST {
        return vec![end(WHOLE)];
    }
    let mut program = vec![load(SENDER)];
    for addr in v4 {
        program.extend([unless_equal_skip_one(addr), end(WHOLE)]);
    }
    program.extend([load(TARGET_MAC), unless_equal_skip_one(u32::from_be_bytes(MARK)), end(WHOLE), end(0)]);
    program
}

/// As people write it.
#[must_use]
pub fn text(mac: [u8; 6]) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const ADDR: [u8; 4] = [10, 0, 0, 31];

    fn frame(sender: [u8; 4], target_mac: [u8; 6], target: [u8; 4]) -> Vec<u8> {
        [&[0xff; 6][..], &MAC, &HEAD, &[0, 1], &MAC, &sender, &target_mac, &target].concat()
    }

    #[test]
    fn who_has_an_address_and_who_removes_it_is_told_apart() {
        let other = Claim { addr: ADDR.into(), mac: MAC, node: None };
        assert_eq!(claim(&frame(ADDR, [0; 6], [10, 0, 0, 1])), Some(other));
        assert_eq!(claim(&frame(ADDR, mark(Pnn(3)), [10, 0, 0, 1])), Some(other), "whoever has it has it");
        let node = |n| Some(Claim { node: Some(Pnn(n)), ..other });
        assert_eq!(claim(&frame([0; 4], mark(Pnn(1)), ADDR)), node(1));
        assert_eq!(claim(&frame([0; 4], mark(Pnn(258)), ADDR)), node(258));
        assert_eq!(claim(&frame([0; 4], [0; 6], ADDR)), None, "anybody's probe: an address is looked for");
        let whole = frame(ADDR, [0; 6], ADDR);
        (0..42).for_each(|len| assert_eq!(claim(&whole[..len]), None));
        let mut ip = whole;
        ip[13] = 0;
        assert_eq!(claim(&ip), None);
    }
}
