//! Checks of the network around the director: segment, ARP, reverse path, tunnels.

use super::Finding;
use super::facts::{Reach, ReversePath, Vip};
use crate::model::Forward;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The upstream commit that repaired the outer source of tunnels (field report R1), and the first release with it.
const TUNNEL_FIX: (&str, (u32, u32)) = ("4754957f04f5", (4, 1));

/// Direct routing changes the hardware address only, so no router can be between director and real server.
pub(super) fn segment(reach: &Reach) -> Finding {
    let check = "segment";
    let dest = reach.dest;
    match (&reach.route, reach.forward) {
        (Err(why), _) => Finding::failure(
            check,
            format!("{dest} of {}: no route: {why}", reach.service),
            "give the director an address in the real server's network, or a route to it",
        ),
        (Ok(route), Forward::Dr) => match route.gateway {
            Some(gateway) => Finding::failure(
                check,
                format!(
                    "{dest} of {}: direct routing, but it is behind the router {gateway} on {}",
                    reach.service, route.iface
                ),
                "put director and real server into one segment, or use TUN",
            ),
            None if route.local => Finding::ok(check, format!("{dest} is this host")),
            None => Finding::ok(check, format!("{dest} is on the link {}", route.iface)),
        },
        (Ok(route), method) => Finding::ok(
            check,
            match route.gateway {
                Some(gateway) => {
                    format!("{dest} through {gateway} on {}; {method} needs no common segment", route.iface)
                }
                None => format!("{dest} is on the link {}", route.iface),
            },
        ),
    }
}

/// R2-3: how many answer for the virtual address. Real servers of DR and TUN must not.
pub(super) fn arp(vip: &Vip, neighbours: &BTreeMap<String, IpAddr>) -> Finding {
    let check = "arp";
    let addr = vip.addr;
    let (iface, answers) = match &vip.answers {
        Ok(answers) => answers,
        Err(why) => return Finding::skipped(check, format!("{addr}: {why}")),
    };
    let named = |mac: &String| match neighbours.get(mac) {
        Some(ip) => format!("{mac} ({ip})"),
        None => mac.clone(),
    };
    let who = answers.iter().map(named).collect::<Vec<_>>().join(", ");
    let remedy = if vip.on_real_servers && addr.is_ipv6() {
        "have the address on lo of the real servers only (`ctdb lvs realserver up VIP`), never on an interface to the network"
    } else if vip.on_real_servers {
        "`ctdb lvs realserver up VIP` on each of them (arp_ignore = 1 and arp_announce = 2 on all and lo), then let routers forget it"
    } else {
        "take the address off the other hosts"
    };
    match (&vip.here, answers.len()) {
        (Some(here), 0) => {
            Finding::ok(check, format!("{addr} is on {here}, and nobody else answers for it on {iface}"))
        }
        (Some(here), _) => Finding::failure(
            check,
            format!("{addr} is on {here} of this host, and {who} also answers for it on {iface}"),
            remedy,
        ),
        (None, 0) => Finding::warning(
            check,
            format!("nobody answers for {addr} on {iface}"),
            "see `ctdb ip` for who should have it",
        ),
        (None, 1) => Finding::ok(check, format!("{who} alone answers for {addr} on {iface}")),
        (None, n) => {
            Finding::failure(check, format!("{n} hosts answer for {addr} on {iface}: {who}"), remedy)
        }
    }
}

/// A strict filter drops requests whose answers would leave by another interface.
pub(super) fn rp_filter(seen: &ReversePath) -> Finding {
    let check = "rp_filter";
    let of = |name: &str| seen.values.get(name).copied().unwrap_or_default();
    // The kernel takes the greater one; 1 is strict, 2 is loose.
    let strict: Vec<&str> = seen
        .values
        .keys()
        .filter(|name| *name != "all")
        .filter(|name| of("all").max(of(name)) == 1)
        .map(String::as_str)
        .collect();
    let aside: Vec<&str> = strict
        .iter()
        .copied()
        .filter(|name| !seen.default_routes.is_empty() && !seen.default_routes.iter().any(|d| d == name))
        .collect();
    if !aside.is_empty() {
        return Finding::warning(
            check,
            format!(
                "strict on {}, while the default route leaves by {}: requests of distant clients that come in there are dropped",
                aside.join(", "),
                seen.default_routes.join(", ")
            ),
            format!("net.ipv4.conf.{}.rp_filter = 2", aside.first().copied().unwrap_or("all")),
        );
    }
    if strict.is_empty() {
        Finding::ok(check, "not strict on the interfaces of virtual addresses")
    } else {
        Finding::ok(check, format!("strict on {}, by which the answers leave, too", strict.join(", ")))
    }
}

/// R1-1: tunnels on a kernel whose version has the defect. Distributions port repairs back, so what was seen outweighs the version.
pub(super) fn tunnel_kernel(
    release: &str,
    reach: &[Reach],
    seen: &BTreeMap<IpAddr, BTreeMap<IpAddr, u64>>,
) -> Option<Finding> {
    let check = "tunnel-kernel";
    let tunnels: Vec<&Reach> = reach.iter().filter(|r| matches!(r.forward, Forward::Tun(_))).collect();
    if tunnels.is_empty() {
        return None;
    }
    let (commit, (major, minor)) = TUNNEL_FIX;
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version >= (major, minor) {
        return Some(Finding::ok(check, format!("Linux {release} has commit {commit}")));
    }
    let right = tunnels.iter().all(|r| judge(r, seen) == Some(Source::Right));
    Some(if right {
        Finding::ok(
            check,
            format!(
                "Linux {release} is older than commit {commit}, but every tunnel was seen with its right source"
            ),
        )
    } else {
        Finding::warning(
            check,
            format!(
                "tunnels are in use and Linux {release} is older than {major}.{minor}, which has commit {commit} (\"ipvs: do not use random \
                 local source address for tunnels\"): after a change packets may get a foreign outer source"
            ),
            "see whether the distribution has it ported back (its kernel's changelog), else update the kernel",
        )
    })
}

/// What the packets of a tunnel had as outer source.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Right,
    Foreign(IpAddr, IpAddr),
}

fn judge(reach: &Reach, seen: &BTreeMap<IpAddr, BTreeMap<IpAddr, u64>>) -> Option<Source> {
    let wanted = reach.route.as_ref().ok()?.source?;
    let sources = seen.get(&reach.dest.addr).filter(|s| !s.is_empty())?;
    Some(sources.keys().find(|s| **s != wanted).map_or(Source::Right, |s| Source::Foreign(*s, wanted)))
}

/// R1-2: the outer source of sampled packets is the one that the route prefers.
pub(super) fn tunnel_source(
    reach: &Reach,
    seen: &BTreeMap<IpAddr, BTreeMap<IpAddr, u64>>,
) -> Option<Finding> {
    let check = "tunnel-source";
    if !matches!(reach.forward, Forward::Tun(_)) {
        return None;
    }
    let dest = reach.dest;
    Some(match judge(reach, seen) {
        None => Finding::skipped(check, format!("{dest}: no tunnelled packet was seen")),
        Some(Source::Right) => Finding::ok(check, format!("{dest}: the outer source is the route's")),
        Some(Source::Foreign(foreign, wanted)) => Finding::failure(
            check,
            format!("{dest}: packets have the outer source {foreign}, the route prefers {wanted}"),
            format!(
                "delete the destination and add it again (ipvsadm -d … -r {dest}; the director adds it within one pass); when it comes \
                 back, a rule of this host translates it (nft list ruleset)"
            ),
        ),
    })
}
