//! Which destinations have a connection that got further than its first packet: `/proc/net/ip_vs_conn`, the kernel's list of connections.
//!
//! Counters alone cannot tell a connection that was short from one that never came to be (`lvs::blackhole`). The list can be long, so
//! it is read only while a destination is under suspicion.

use lvs::model::DestId;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};

const FILE: &str = "/proc/net/ip_vs_conn";
/// States in which the real server has not been seen to answer, and those that say nothing of TCP.
const OPENING: [&str; 5] = ["NONE", "SYN_SENT", "SYN_RECV", "LISTEN", "SYNACK"];

/// Real servers that have answered somebody, by address and port.
pub(super) fn answered() -> io::Result<BTreeSet<DestId>> {
    let mut found = BTreeSet::new();
    for line in BufReader::new(std::fs::File::open(FILE)?).lines() {
        found.extend(answered_in(&line?));
    }
    Ok(found)
}

/// `TCP C0A80001 D3F1 C0000201 0050 0A000001 0050 ESTABLISHED 899`: protocol, client, virtual address, real server, state, seconds.
fn answered_in(line: &str) -> Option<DestId> {
    let mut words = line.split_whitespace();
    let protocol = words.next()?;
    let (addr, port, state) = (words.nth(4)?, words.next()?, words.next()?);
    if protocol != "TCP" || OPENING.contains(&state) {
        return None;
    }
    let addr = if addr.contains(':') {
        addr.trim_matches(['[', ']']).parse().ok()?
    } else {
        IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(addr, 16).ok()?))
    };
    Some(DestId::new(addr, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answered_connections_are_those_past_the_handshake() {
        let head = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData";
        assert_eq!(answered_in(head), None);
        let line = |state: &str| format!("TCP C0A80001 D3F1 C0000201 0050 0A000001 1F90 {state:<11} 120");
        let dest = DestId::new([10, 0, 0, 1].into(), 8080);
        assert_eq!(answered_in(&line("ESTABLISHED")), Some(dest));
        assert_eq!(answered_in(&line("FIN_WAIT")), Some(dest));
        assert_eq!(answered_in(&line("SYN_RECV")), None);
        let six = "TCP 2001:0db8:0000:0000:0000:0000:0000:0001 D3F1 2001:0db8:0000:0000:0000:0000:0000:0002 0050 \
                   2001:0db8:0000:0000:0000:0000:0000:0003 0050 ESTABLISHED 899";
        assert_eq!(answered_in(six), Some(DestId::new("2001:db8::3".parse().unwrap(), 80)));
        assert_eq!(answered_in(&line("ESTABLISHED").replace("TCP", "UDP")), None);
    }
}
