//! Checks of what nodes must hear of each other.

use super::Finding;
use super::facts::{Connect, Peer};
use super::firewall::{Hook, Outcome, Packet, Ruleset, Tracked, ask};
use std::net::{IpAddr, Ipv4Addr};

const TCP: u8 = 6;
const UDP: u8 = 17;
const VRRP: u8 = 112;
/// Where VRRP is sent to.
const VRRP_GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

/// R2-1: a node that is alive is heard. When it is not, the rule that keeps it away is named.
pub(super) fn peer(peer: &Peer, port: u16, rules: &[Ruleset]) -> Finding {
    let check = "heartbeat";
    let addr = peer.addr;
    let filtered = blocked(peer, port, rules);
    let alive = peer.alive.clone().or_else(|| match peer.heartbeat {
        Connect::Made => Some("it answers on the port".to_owned()),
        Connect::Refused => Some("it refuses on the port".to_owned()),
        _ => None,
    });
    let accept = format!("accept TCP and UDP port {port} between the nodes, in both directions");
    match (&peer.heartbeat, filtered, alive) {
        (_, Some(rule), Some(alive)) => Finding::failure(
            check,
            format!("{addr}: peer alive ({alive}), heartbeat filtered by {rule}"),
            accept,
        ),
        (_, Some(rule), None) => {
            Finding::failure(check, format!("{addr}: heartbeat filtered by {rule}"), accept)
        }
        (Connect::Made, None, _) => Finding::ok(check, format!("{addr}: port {port} answers")),
        (Connect::Refused, None, _) => Finding::warning(
            check,
            format!("{addr}: the host is alive, and no daemon listens on port {port}"),
            "start ctdbd there",
        ),
        (Connect::NotTried(why), None, _) => Finding::skipped(check, format!("{addr}: {why}")),
        (_, None, Some(alive)) => Finding::failure(
            check,
            format!(
                "{addr}: peer alive ({alive}), heartbeat filtered: no answer on port {port}, and no rule of this host does it for certain"
            ),
            "run `ctdb lvs doctor` there, and look at what is between the two",
        ),
        (seen, None, None) => Finding::warning(
            check,
            format!("{addr}: nothing is heard of it ({})", word(seen)),
            "is the host up, and its private network plugged in?",
        ),
    }
}

fn word(connect: &Connect) -> String {
    match connect {
        Connect::Silent(ms) => format!("no answer in {ms} ms"),
        Connect::Failed(why) | Connect::NotTried(why) => why.clone(),
        Connect::Made => "connected".to_owned(),
        Connect::Refused => "refused".to_owned(),
    }
}

/// The rule that drops one of the heartbeat's packets, and which one.
fn blocked(peer: &Peer, number: u16, rules: &[Ruleset]) -> Option<String> {
    let (own, iface) = peer.from.as_ref()?;
    let packet = |protocol, state, outward: bool, from_port: Option<u16>, to_port: Option<u16>| Packet {
        iface: Some(iface.clone()),
        source: Some(if outward { *own } else { peer.addr }),
        dest: if outward { peer.addr } else { *own },
        protocol,
        source_port: from_port,
        dest_port: to_port,
        state,
    };
    let port = Some(number);
    let mut tries = Vec::new();
    for (outward, hook, way) in [(false, Hook::Input, "in"), (true, Hook::Output, "out")] {
        tries.push((hook, packet(UDP, Tracked::New, outward, port, port), format!("UDP {number} {way}")));
        for (state, from, to) in [
            (Tracked::New, None, port),
            (Tracked::Established, None, port),
            (Tracked::Established, port, None),
        ] {
            tries.push((hook, packet(TCP, state, outward, from, to), format!("TCP {number} {way}")));
        }
    }
    tries.iter().find_map(|(hook, packet, what)| match ask(rules, *hook, packet) {
        Outcome::Dropped { by } => Some(format!("{by} ({what})")),
        _ => None,
    })
}

/// Where keepalived runs beside us, its advertisements must be heard, too: both directors held the address in R2.
pub(super) fn vrrp(keepalived: bool, rules: &[Ruleset]) -> Option<Finding> {
    if !keepalived {
        return None;
    }
    let check = "vrrp";
    let packet = Packet {
        iface: None,
        source: None,
        dest: VRRP_GROUP,
        protocol: VRRP,
        source_port: None,
        dest_port: None,
        state: Tracked::New,
    };
    Some(match ask(rules, Hook::Input, &packet) {
        Outcome::Passes => Finding::ok(check, "advertisements to 224.0.0.18 pass"),
        Outcome::Unsure { by, unless } => Finding::skipped(
            check,
            format!(
                "advertisements are dropped by {by}, unless a rule before it matches: {}",
                unless.join(" | ")
            ),
        ),
        Outcome::Dropped { by } => Finding::failure(
            check,
            format!(
                "keepalived is configured, and its advertisements to 224.0.0.18 are dropped by {by}: two directors would hold an address"
            ),
            "accept protocol 112, or remove keepalived once ctdbd has its addresses",
        ),
    })
}
