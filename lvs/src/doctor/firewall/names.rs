//! Networks and protocols as packet filters write them.

use std::net::IpAddr;

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, or an address alone.
pub(super) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (addr, bits) = match text.split_once('/') {
        Some((addr, bits)) => (addr, Some(bits)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().ok()?;
    let whole = if addr.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => whole,
        Some(b) => match b.parse::<u8>() {
            Ok(bits) => bits,
            Err(_) => match b.parse::<IpAddr>().ok()? {
                IpAddr::V4(mask) => u8::try_from(mask.to_bits().leading_ones()).ok()?,
                IpAddr::V6(mask) => u8::try_from(mask.to_bits().leading_ones()).ok()?,
            },
        },
    };
    (bits <= whole).then_some((addr, bits))
}

/// A protocol's number.
pub(super) fn protocol(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => 1,
        "ipip" | "ipencap" => 4,
        "tcp" => 6,
        "udp" => 17,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmpv6" | "ipv6-icmp" => 58,
        "vrrp" => 112,
        "sctp" => 132,
        "udplite" => 136,
        _ => return name.parse().ok(),
    })
}
