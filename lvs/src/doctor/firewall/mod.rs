//! Would this host's packet filters let a packet pass, and if not, which rule drops it?
//!
//! Rules are read from `nft -j list ruleset` ([`nft`]) and `iptables-save` ([`iptables`]) into one model, and a packet is led through it as
//! the kernel would. A match that is not understood, or that asks for something which is not known of the packet (any client's
//! address), *may* match: such a rule decides nothing, but a drop after it is [`Outcome::Unsure`] when it could have accepted. So a
//! finding is never made of a guess.

pub mod iptables;
pub mod nft;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Chains within chains; the kernel allows 16.
const DEEPEST: usize = 16;

/// Where packets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// For this host; IPVS takes its packets behind it.
    Input,
    /// From this host.
    Output,
}

/// What conntrack says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// The first one.
    New,
    /// A later one.
    Established,
}

/// A packet; none: it could be any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Interface by which it comes or goes.
    pub iface: Option<String>,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Destination address.
    pub dest: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub dest_port: Option<u16>,
    /// State.
    pub state: Tracked,
}

/// What a match looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Incoming interface.
    InIface(Vec<String>),
    /// Outgoing interface.
    OutIface(Vec<String>),
    /// Protocol.
    Protocol(Vec<u8>),
    /// Source networks.
    Source(Vec<(IpAddr, u8)>),
    /// Destination networks.
    Dest(Vec<(IpAddr, u8)>),
    /// Source ports.
    SourcePort(Vec<(u16, u16)>),
    /// Destination ports.
    DestPort(Vec<(u16, u16)>),
    /// States of conntrack.
    State {
        /// Contains "new".
        new: bool,
        /// Contains "established".
        established: bool,
    },
    /// Not understood, in the filter's words.
    Unknown(String),
}

/// One match of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// What.
    pub field: Field,
    /// It must not be so.
    pub not: bool,
}

/// What a rule does with what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Passes this chain.
    Accept,
    /// Dropped or rejected.
    Drop,
    /// On to another chain, and back.
    Jump(String),
    /// On to another chain, not back.
    Goto(String),
    /// Back.
    Return,
    /// Counted, logged, marked.
    Nothing,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// In the filter's words, with its place.
    pub text: String,
    /// All must match.
    pub matches: Vec<Match>,
    /// Then.
    pub act: Act,
}

/// One chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Rules in their order.
    pub rules: Vec<Rule>,
    /// For a base chain: where it is called, its priority, whether its policy is to drop.
    pub base: Option<(Option<Hook>, i64, bool)>,
    /// For which family; none for both.
    pub v6: Option<bool>,
}

/// Chains by name (with their table).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The chains.
    pub chains: BTreeMap<String, Chain>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing drops it for certain.
    Passes,
    /// This rule, or policy, drops it.
    Dropped {
        /// In words.
        by: String,
    },
    /// It is dropped unless one of these rules matches, which is not known.
    Unsure {
        /// What drops it.
        by: String,
        /// Rules that may accept it before.
        unless: Vec<String>,
    },
}

/// Leads a packet through all filters.
#[must_use]
pub fn ask(rules: &[Ruleset], hook: Hook, packet: &Packet) -> Outcome {
    let mut unsure = None;
    for set in rules {
        for hook in [Some(Hook::Prerouting).filter(|_| hook == Hook::Input), Some(hook)].into_iter().flatten()
        {
            match set.ask(hook, packet) {
                Outcome::Passes => {}
                dropped @ Outcome::Dropped { .. } => return dropped,
                maybe @ Outcome::Unsure { .. } => unsure = unsure.or(Some(maybe)),
            }
        }
    }
    unsure.unwrap_or(Outcome::Passes)
}

/// How far a packet came in a chain.
enum Way {
    Accepted,
    Dropped(String),
    /// Off its end, or returned.
    On,
}

impl Ruleset {
    fn ask(&self, hook: Hook, packet: &Packet) -> Outcome {
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
            Self::State { new, established } => Some(match p.state {
                Tracked::New => *new,
                Tracked::Established => *established,
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

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, or an address alone.
fn network(text: &str) -> Option<(IpAddr, u8)> {
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
fn protocol(name: &str) -> Option<u8> {
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

/// Words for a rule of nftables, whose JSON has none.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T>(items: &[T], one: impl Fn(&T) -> String) -> String {
            items.iter().map(one).collect::<Vec<_>>().join(",")
        }
        let port = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}-{b}") };
        let net = |(a, bits): &(IpAddr, u8)| match (a, bits) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => a.to_string(),
            _ => format!("{a}/{bits}"),
        };
        let not = if self.not { "!= " } else { "" };
        match &self.field {
            Field::InIface(names) => write!(f, "iifname {not}{}", list(names, Clone::clone)),
            Field::OutIface(names) => write!(f, "oifname {not}{}", list(names, Clone::clone)),
            Field::Protocol(all) => {
                let word = |p: &u8| match p {
                    6 => "tcp".to_owned(),
                    17 => "udp".to_owned(),
                    other => other.to_string(),
                };
                write!(f, "protocol {not}{}", list(all, word))
            }
            Field::Source(nets) => write!(f, "saddr {not}{}", list(nets, net)),
            Field::Dest(nets) => write!(f, "daddr {not}{}", list(nets, net)),
            Field::SourcePort(ports) => write!(f, "sport {not}{}", list(ports, port)),
            Field::DestPort(ports) => write!(f, "dport {not}{}", list(ports, port)),
            Field::State { new, established } => {
                let words: Vec<&str> = [(*new, "new"), (*established, "established")]
                    .into_iter()
                    .filter_map(|(there, word)| there.then_some(word))
                    .collect();
                write!(
                    f,
                    "ct state {not}{}",
                    if words.is_empty() { "other".to_owned() } else { words.join(",") }
                )
            }
            Field::Unknown(text) => f.write_str(text),
        }
    }
}
