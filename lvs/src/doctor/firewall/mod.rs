//! Would this host's packet filters let a packet pass, and if not, which rule drops it?
//!
//! Rules are read from `nft -j list ruleset` ([`nft`]) and `iptables-save` ([`iptables`]) into one model ([`model`]), and a packet is led
//! through it as the kernel would ([`walk`]). A match that is not understood, or that asks for something which is not known of the packet
//! (any client's address), *may* match: such a rule decides nothing, but a drop after it is [`Outcome::Unsure`] when it could have
//! accepted. So a finding is never made of a guess.

pub mod iptables;
pub mod model;
mod names;
pub mod nft;
mod walk;

pub use model::{Act, Chain, Field, Match, Rule, Ruleset};
use names::{network, protocol};

use std::net::IpAddr;

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
    /// One that belongs to no connection that conntrack knows.
    Invalid,
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
