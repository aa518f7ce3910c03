//! Checks of services: does the firewall let them in, do real servers listen, does a connection come through.

use super::Finding;
use super::facts::{Connect, Reach, Spoken, States, Through, Tracking};
use super::firewall::{Hook, Outcome, Packet, Ruleset, Tracked, ask};
use crate::model::{DestId, Protocol, ServiceId};
use std::collections::BTreeMap;

/// So many half-open connections and not one beyond: no accident.
const HALF_OPEN: u64 = 3;

const UDP: u8 = 17;

/// R2-6: the rules let the first *and* the later packets of a connection to the service in.
pub(super) fn firewall(through: &Through, rules: &[Ruleset]) -> Finding {
    let check = "firewall";
    let service = through.service;
    let ServiceId::Addr { addr, port, protocol } = service else {
        return Finding::skipped(
            check,
            format!("{service}: which packets it gets is said by the rules that mark them"),
        );
    };
    let protocol = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => UDP,
        Protocol::Sctp => 132,
    };
    let packet = |state| Packet {
        iface: None,
        source: None,
        dest: addr,
        protocol,
        source_port: None,
        dest_port: (port > 0).then_some(port),
        state,
    };
    let asked = |state| ask(rules, Hook::Input, &packet(state));
    // What follows the first packet. A director's UDP is all first packets.
    let (later, name) = match (through.tracking, protocol) {
        (Tracking::Whole, _) => (Tracked::Established, "established"),
        (_, UDP) => (Tracked::New, "new"),
        _ => (Tracked::Invalid, "invalid"),
    };
    match (asked(Tracked::New), asked(later)) {
        (Outcome::Dropped { by }, _) => Finding::failure(
            check,
            format!("{service}: clients are kept out by {by}"),
            "accept the service's port before that rule",
        ),
        (_, Outcome::Dropped { by }) => dropped_later(service, through.tracking, &by),
        (Outcome::Unsure { by, unless }, _) | (_, Outcome::Unsure { by, unless }) => Finding::skipped(
            check,
            format!("{service}: dropped by {by}, unless a rule before it matches: {}", unless.join(" | ")),
        ),
        (Outcome::Passes, Outcome::Passes) => {
            Finding::ok(check, format!("{service}: new and {name} packets pass"))
        }
    }
}

/// The first packet passes, and others do not.
fn dropped_later(service: ServiceId, tracking: Tracking, by: &str) -> Finding {
    let check = "firewall";
    let stateless = "accept the service's port on the director without a look at the state, before that rule";
    match tracking {
        Tracking::Whole => Finding::failure(
            check,
            format!(
                "{service}: the rules accept NEW packets, and drop the ESTABLISHED ones that follow: {by}"
            ),
            "accept established connections first (nft: ct state established,related accept; iptables: -m conntrack --ctstate \
             ESTABLISHED,RELATED -j ACCEPT), or do not look at the state for this port",
        ),
        Tracking::Unconfirmed => Finding::warning(
            check,
            format!(
                "{service}: IPVS takes its packets before conntrack has confirmed a connection, so that clients' FIN and RST are INVALID \
                 here, and dropped: {by}; ended connections stay in the table as established for 15 minutes"
            ),
            stateless,
        ),
        Tracking::OneSided => Finding::failure(
            check,
            format!(
                "{service}: conntrack does not see the answers of DR and TUN, so that with net.ipv4.vs.conntrack = 1 all packets but the \
                 first are INVALID here, and dropped: {by}"
            ),
            format!("{stateless}; or set net.ipv4.vs.conntrack = 0"),
        ),
    }
}

/// A real server listens where the service will send.
pub(super) fn listens(reach: &Reach) -> Finding {
    let check = "listens";
    let what = format!("{} of {}", reach.dest, reach.service);
    match &reach.connect {
        Connect::Made => Finding::ok(check, what),
        Connect::NotTried(why) => Finding::skipped(check, format!("{what}: {why}")),
        Connect::Refused => Finding::failure(
            check,
            format!("{what}: connection refused: nobody listens there"),
            "start the server there; with DR and TUN it must listen on the virtual address (or on all), at the service's port",
        ),
        Connect::Silent(ms) => Finding::failure(
            check,
            format!("{what}: no answer in {ms} ms"),
            "is the host up, and does its firewall let the director in?",
        ),
        Connect::Failed(why) => {
            Finding::failure(check, format!("{what}: {why}"), "repair the route to the real server")
        }
    }
}

/// R3-2: connections through the virtual address, as a client makes them, beside what the real servers themselves say. A connection alone
/// is not enough: where the firewall of a real server drops what follows its first packet (R2-6), it is made all the same.
pub(super) fn through(through: &Through, reach: &[Reach]) -> Finding {
    let check = "through";
    let service = through.service;
    let beside = beside(service, reach);
    let compare = "compare with the lines `listens`: when they are ok, packets get lost between director, real server and here";
    let failed = |c: &&Connect| **c != Connect::Made;
    let all = through.connects.len();
    let bad = through.connects.iter().filter(failed).count();
    let some = if bad < all { format!("{bad} of {all} connections: ") } else { String::new() };
    match (through.connects.iter().find(failed), &through.spoken) {
        (None, None) => Finding::ok(
            check,
            format!("{service}: {all} of {all} connections through the virtual address were made{beside}"),
        ),
        (None, Some(Spoken { check: by, result: Ok(said) })) => {
            Finding::ok(check, format!("{service}: {by} passes through the virtual address ({said}){beside}"))
        }
        (None, Some(Spoken { check: by, result: Err(why) })) => Finding::failure(
            check,
            format!(
                "{service}: connections through the virtual address are made, and {by} fails on them: {why}{beside}"
            ),
            format!(
                "{compare}: a firewall that accepts NEW packets only (run `ctdb lvs doctor` on the real servers), or packets that are too \
                 large for a tunnel"
            ),
        ),
        (Some(Connect::NotTried(why)), _) => Finding::skipped(check, format!("{service}: {why}")),
        (Some(Connect::Refused), _) => Finding::failure(
            check,
            format!("{service}: {some}connection refused{beside}"),
            "is a real server in the table (`ctdb lvs status`), and does it listen on the virtual address?",
        ),
        (Some(Connect::Silent(ms)), _) => Finding::failure(
            check,
            format!("{service}: {some}no answer in {ms} ms through the virtual address{beside}"),
            compare,
        ),
        (Some(Connect::Failed(why)), _) => Finding::failure(
            check,
            format!("{service}: {some}{why}{beside}"),
            "run `ctdb lvs doctor` on the director; \"No route to host\" with a working ping is a director that does not forward",
        ),
        // `find` has left those out.
        (Some(Connect::Made), _) => Finding::skipped(check, service.to_string()),
    }
}

/// How many real servers of the service listen, when that was tried.
fn beside(service: ServiceId, reach: &[Reach]) -> String {
    let tried = |r: &&Reach| r.service == service && !matches!(r.connect, Connect::NotTried(_));
    let all = reach.iter().filter(tried).count();
    let listen = reach.iter().filter(tried).filter(|r| r.connect == Connect::Made).count();
    if all > 0 { format!("; {listen} of {all} real servers listen") } else { String::new() }
}

/// R1-3: connections are scheduled and none goes on.
pub(super) fn black_hole(reach: &Reach, states: &BTreeMap<(ServiceId, DestId), States>) -> Option<Finding> {
    let check = "black-hole";
    let States { opening, beyond } = *states.get(&(reach.service, reach.dest))?;
    let what = format!("{} of {}", reach.dest, reach.service);
    let evidence = format!("{what}: {opening} half-open connections, {beyond} beyond");
    if beyond > 0 || opening < HALF_OPEN {
        return Some(Finding::ok(check, evidence));
    }
    let checked = match reach.connect {
        Connect::Made => ", though the real server itself answers",
        _ => "",
    };
    Some(Finding::failure(
        check,
        format!("{evidence}: forwarding black hole{checked}"),
        "take it out (weight 0), then look at the lines segment, arp, tunnel-source and firewall; has the real server the virtual \
         address on lo (`ctdb lvs realserver show`)?",
    ))
}
