//! Rules of packet filters, whatever program printed them.

use super::Hook;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

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
        /// Contains "invalid".
        invalid: bool,
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
            Field::State { new, established, invalid } => {
                let words: Vec<&str> = [(*new, "new"), (*established, "established"), (*invalid, "invalid")]
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
