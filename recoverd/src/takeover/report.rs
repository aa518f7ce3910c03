//! What a run leaves behind, for the journal, `ctdb plan` and the count of ban credits.

use super::snapshot::NodeSummary;
use crate::control::ControlKind;
use crate::model::{Mono, Pnn, RunId};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// Everything was done.
    Ok,
    /// Something failed; the first or last failure in words.
    Error(String),
    /// A node did not answer in time.
    Timeout,
    /// Called off, because leadership was lost. Nobody is to blame.
    Aborted(String),
}

impl RunResult {
    /// Whether everything was done.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        *self == Self::Ok
    }
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Error(e) => write!(f, "failed: {e}"),
            Self::Timeout => f.write_str("timed out"),
            Self::Aborted(why) => write!(f, "aborted: {why}"),
        }
    }
}

/// A control that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedControl {
    /// What was asked.
    pub control: ControlKind,
    /// Of whom.
    pub node: Pnn,
    /// About which address, for releases and takes.
    pub addr: Option<IpAddr>,
    /// CTDB's status: -1 for a refusal, 110 (ETIMEDOUT) for silence.
    pub status: i32,
    /// Why, in words.
    pub message: String,
    /// CTDB would attribute this one: the first of its group, in the first stage that failed (SEMANTICS B.3).
    pub attributed: bool,
}

impl fmt::Display for FailedControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.control)?;
        if let Some(addr) = self.addr {
            write!(f, " {addr}")?;
        }
        write!(f, " failed on node {}: {}", self.node, self.message)
    }
}

/// The phases of a run, for the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseName {
    /// Tunables, node map, addresses.
    Observe,
    /// Allocation, plan, checker. Takes no time on the machine's own clock: time is an argument.
    Allocate,
    /// `startipreallocate` everywhere.
    StartIpreallocate,
    /// First release sent to last release answered.
    Release,
    /// First take sent to last take answered; overlaps with releases of other addresses.
    Takeover,
    /// `ipreallocated` everywhere.
    Ipreallocated,
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Allocate => "allocate",
            Self::StartIpreallocate => "startipreallocate",
            Self::Release => "release",
            Self::Takeover => "takeover",
            Self::Ipreallocated => "ipreallocated",
        })
    }
}

/// When a phase began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// First control sent.
    pub start: Mono,
    /// Last answer in.
    pub end: Mono,
}

/// What a run leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub id: RunId,
    /// Why it happened.
    pub causes: Vec<String>,
    /// Only asked what would happen (`ctdb plan`).
    pub dry_run: bool,
    /// Ended by the whole-cluster switch: nothing was allocated.
    pub failover_disabled: bool,
    /// How it ended.
    pub result: RunResult,
    /// Failures attributed to each node.
    pub credits: BTreeMap<Pnn, u32>,
    /// The node to blame: most credits, ties to the lowest number; nobody when EnableBans is off.
    pub ban_credits_to: Option<Pnn>,
    /// Everything that failed, in the order of stages.
    pub failed_controls: Vec<FailedControl>,
    /// Nothing can be hosted yet: only `ipreallocated` was run.
    pub no_host_shortcut: bool,
    /// Addresses that nobody can (or may) host.
    pub unallocatable: Vec<IpAddr>,
    /// The orders, if the run came so far. Executed unless this is a dry run or the checker refused them.
    pub plan: Option<Plan>,
    /// Owner of every address that the run knows, as it ended; none where a release or take failed.
    pub owners: Vec<(IpAddr, Option<Pnn>)>,
    /// How long it took.
    pub phases: Vec<Phase>,
    /// Addresses of each node before the run.
    pub balance_before: BTreeMap<Pnn, u32>,
    /// Addresses of each node at its end.
    pub balance_after: BTreeMap<Pnn, u32>,
    /// What was seen, in numbers.
    pub nodes: Vec<NodeSummary>,
}
