//! Checks of services: does the firewall let them in, do real servers listen, does a connection come through.

use super::Finding;
use super::facts::{Connect, Reach, States, Through};
use super::firewall::{Hook, Outcome, Packet, Ruleset, Tracked, ask};
use crate::model::{DestId, Protocol, ServiceId};
use std::collections::BTreeMap;

/// So many half-open connections and not one beyond: no accident.
const HALF_OPEN: u64 = 3;

/// R2-6: the rules let new *and* established packets to the service in.
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
        Protocol::Udp => 17,
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
    let new = ask(rules, Hook::Input, &packet(Tracked::New));
    let established = ask(rules, Hook::Input, &packet(Tracked::Established));
    match (new, established) {
        (Outcome::Dropped { by }, _) => Finding::failure(
            check,
            format!("{service}: clients are kept out by {by}"),
            "accept the service's port before that rule",
        ),
        (_, Outcome::Dropped { by }) => Finding::failure(
            check,
            format!(
                "{service}: the rules accept NEW packets, and drop the ESTABLISHED ones that follow: {by}"
            ),
            "accept established connections first (nft: ct state established,related accept; iptables: -m conntrack --ctstate \
             ESTABLISHED,RELATED -j ACCEPT), or do not look at the state for this port",
        ),
        (Outcome::Unsure { by, unless }, _) | (_, Outcome::Unsure { by, unless }) => Finding::skipped(
            check,
            format!("{service}: dropped by {by}, unless a rule before it matches: {}", unless.join(" | ")),
        ),
        (Outcome::Passes, Outcome::Passes) => {
            Finding::ok(check, format!("{service}: new and established packets pass"))
        }
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

/// R3-2: a connection through the virtual address, as a client makes it.
pub(super) fn through(through: &Through) -> Finding {
    let check = "through";
    let service = through.service;
    match &through.connect {
        Connect::Made => {
            Finding::ok(check, format!("{service}: a connection through the virtual address was made"))
        }
        Connect::NotTried(why) => Finding::skipped(check, format!("{service}: {why}")),
        Connect::Refused => Finding::failure(
            check,
            format!("{service}: connection refused"),
            "is a real server in the table (`ctdb lvs status`), and does it listen on the virtual address?",
        ),
        Connect::Silent(ms) => Finding::failure(
            check,
            format!("{service}: no answer in {ms} ms through the virtual address"),
            "compare with the lines `listens`: when they are ok, packets get lost between director, real server and here",
        ),
        Connect::Failed(why) => Finding::failure(
            check,
            format!("{service}: {why}"),
            "run `ctdb lvs doctor` on the director; \"No route to host\" with a working ping is a director that does not forward",
        ),
    }
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
