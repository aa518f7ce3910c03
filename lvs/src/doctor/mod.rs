//! `ctdb lvs doctor`: what keeps virtual services from working, each finding with its evidence and a remedy.
//!
//! The field reports R1 to R3 are weeks of people looking for one of these by hand. Every check is a pure function from what was
//! observed to [`Finding`]s ([`kernel`], [`network`], [`service`], [`heartbeat`], with [`firewall`] for the rules of packet filters);
//! [`gather`] observes and judges nothing. [`examine`] is the whole list.

pub mod facts;
pub mod firewall;
pub mod gather;
mod heartbeat;
mod kernel;
mod network;
mod service;

pub use facts::Facts;
pub use gather::who_has;

use serde::{Deserialize, Serialize};
use std::fmt;

#[cfg(test)]
mod tests;

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// In order.
    Ok,
    /// It could not be looked at, or there is nothing to look at; the evidence says why. No fault by itself.
    NotLookedAt,
    /// It may be a fault, or become one.
    Warning,
    /// It is a fault.
    Failure,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::NotLookedAt => "not looked at",
            Self::Warning => "WARNING",
            Self::Failure => "FAILURE",
        })
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name, as in docs/lvs.md.
    pub check: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What to do about it; none when nothing is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, evidence: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, evidence: evidence.into(), remedy: None }
    }

    fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::NotLookedAt, evidence: why.into(), remedy: None }
    }

    fn warning(check: &'static str, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    fn failure(check: &'static str, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Failure, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Whether something is to be done.
    #[must_use]
    pub fn bad(&self) -> bool {
        self.verdict >= Verdict::Warning
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.check, self.verdict, self.evidence)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; remedy: {remedy}"))
    }
}

/// Every check, in the order in which one would look.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    all.push(kernel::module(&facts.ipvs));
    all.extend(kernel::forwarding(&facts.self_test));
    all.push(kernel::connection_table(facts.ipvs.as_ref().ok().map(|i| i.table_size), facts.connections));
    all.push(kernel::conntrack(facts.conntrack));
    all.extend(kernel::tcp_tw_recycle(&facts.recycle));
    all.extend(facts.reach.iter().map(network::segment));
    all.extend(facts.vips.iter().map(|v| network::arp(v, &facts.neighbours)));
    all.push(network::rp_filter(&facts.reverse_path));
    all.extend(network::tunnel_kernel(&facts.release, &facts.reach, &facts.tunnels));
    all.extend(facts.reach.iter().filter_map(|r| network::tunnel_source(r, &facts.tunnels)));
    all.extend(facts.peers.iter().map(|p| heartbeat::peer(p, facts.port, &facts.rules)));
    all.extend(heartbeat::vrrp(facts.keepalived, &facts.rules));
    all.extend(facts.services.iter().map(|s| service::firewall(s, &facts.rules)));
    all.extend(facts.unread_rules.iter().map(|why| Finding::skipped("firewall", why.clone())));
    all.extend(facts.reach.iter().map(service::listens));
    all.extend(facts.services.iter().map(|s| service::through(s, &facts.reach)));
    all.extend(facts.reach.iter().filter_map(|r| service::black_hole(r, &facts.states)));
    all
}
