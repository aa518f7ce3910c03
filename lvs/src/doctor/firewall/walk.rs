//! The way of a packet through the chains of one ruleset.

use super::{Act, Chain, Field, Hook, Outcome, Packet, Rule, Ruleset, Tracked};
use std::net::IpAddr;

/// Chains within chains; the kernel allows 16.
const DEEPEST: usize = 16;

/// How far a packet came in a chain.
enum Way {
    Accepted,
    Dropped(String),
    /// Off its end, or returned.
    On,
}

impl Ruleset {
    pub(super) fn ask(&self, hook: Hook, packet: &Packet) -> Outcome {
        let fits = |chain: &Chain| {
            matches!(chain.base, Some((Some(h), _, _)) if h == hook)
                && chain.v6.is_none_or(|v6| v6 == packet.dest.is_ipv6())
        };
        let mut bases: Vec<(&String, &Chain)> = self.chains.iter().filter(|(_, c)| fits(c)).collect();
        bases.sort_by_key(|(_, c)| c.base.map(|(_, priority, _)| priority));
        let mut unsure = None;
        for (name, chain) in bases {
            let mut unless = Vec::new();
            let by = match self.walk(chain, packet, &mut unless, 0) {
                Way::Accepted => continue,
                Way::Dropped(by) => by,
                Way::On if chain.base.is_some_and(|(_, _, drop)| drop) => {
                    format!("the policy drop of {name}")
                }
                Way::On => continue,
            };
            if unless.is_empty() {
                return Outcome::Dropped { by };
            }
            unsure = unsure.or(Some(Outcome::Unsure { by, unless }));
        }
        unsure.unwrap_or(Outcome::Passes)
    }

    fn walk(&self, chain: &Chain, packet: &Packet, unless: &mut Vec<String>, depth: usize) -> Way {
        if depth > DEEPEST {
            return Way::On;
        }
        for rule in &chain.rules {
            let sure = match rule.fits(packet) {
                Some(false) => continue,
                Some(true) => true,
                None => false,
            };
            match &rule.act {
                Act::Nothing => {}
                Act::Accept if sure => return Way::Accepted,
                Act::Drop if sure => return Way::Dropped(rule.text.clone()),
                Act::Return if sure => return Way::On,
                // It may leave the chain here; what comes later is not certain any more.
                Act::Accept | Act::Return => unless.push(rule.text.clone()),
                Act::Drop => {}
                Act::Jump(name) | Act::Goto(name) => {
                    let Some(next) = self.chains.get(name) else { continue };
                    let mut inner = Vec::new();
                    let way = self.walk(next, packet, &mut inner, depth + 1);
                    if !sure {
                        if !matches!(way, Way::Dropped(_)) || !inner.is_empty() {
                            unless.push(rule.text.clone());
                        }
                        continue;
                    }
                    unless.append(&mut inner);
                    match (way, &rule.act) {
                        (Way::On, Act::Jump(_)) => {}
                        (way, _) => return way,
                    }
                }
            }
        }
        Way::On
    }
}

impl Rule {
    /// Whether every match holds; none when that is not known.
    fn fits(&self, packet: &Packet) -> Option<bool> {
        let mut all = Some(true);
        for m in &self.matches {
            match m.field.holds(packet).map(|holds| holds != m.not) {
                Some(false) => return Some(false),
                None => all = None,
                Some(true) => {}
            }
        }
        all
    }
}

impl Field {
    fn holds(&self, p: &Packet) -> Option<bool> {
        let port = |ranges: &[(u16, u16)], port: Option<u16>| {
            let port = port?;
            Some(ranges.iter().any(|(a, b)| (*a..=*b).contains(&port)))
        };
        let iface = |names: &[String]| {
            let Some(iface) = p.iface.as_ref() else {
                // A client's packet comes by some interface, but never by the loopback.
                return names.iter().all(|n| n == "lo").then_some(false);
            };
            Some(names.iter().any(|n| match n.strip_suffix(['+', '*']) {
                Some(prefix) => iface.starts_with(prefix),
                None => n == iface,
            }))
        };
        match self {
            Self::InIface(names) | Self::OutIface(names) => iface(names),
            Self::Protocol(all) => Some(all.contains(&p.protocol)),
            Self::Source(nets) => p.source.map(|a| nets.iter().any(|net| within(a, *net))),
            Self::Dest(nets) => Some(nets.iter().any(|net| within(p.dest, *net))),
            Self::SourcePort(ranges) => port(ranges, p.source_port),
            Self::DestPort(ranges) => port(ranges, p.dest_port),
            Self::State { new, established, invalid } => Some(match p.state {
                Tracked::New => *new,
                Tracked::Established => *established,
                Tracked::Invalid => *invalid,
            }),
            Self::Unknown(_) => None,
        }
    }
}

/// Whether a network has an address.
fn within(addr: IpAddr, (net, bits): (IpAddr, u8)) -> bool {
    let shift = |width: u8| u32::from(width.saturating_sub(bits));
    match (addr, net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let diff = a.to_bits() ^ n.to_bits();
            diff.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let diff = a.to_bits() ^ n.to_bits();
            diff.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}
