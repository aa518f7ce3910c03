//! What happened in a takeover run, in the shape of a vector's `expect`: the reference's record, and ours.

use super::takeover_nodes::Sent;
use recoverd::control::ControlKind;
use recoverd::model::addr_key;
use recoverd::takeover::{RunReport, RunResult};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::net::IpAddr;

/// What happened, in the shape of `expect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `ok`, `error` or `timeout`.
    pub result: String,
    /// 0, -1 or 110.
    pub reference_status: i32,
    /// "Nothing can be hosted yet".
    pub no_host_shortcut: bool,
    /// Addresses that nobody can host.
    pub unallocatable: Vec<IpAddr>,
    /// What is attributed to nodes.
    pub failed_controls: Vec<FailedEntry>,
    /// The node that is blamed.
    pub ban_credits_to: Option<u32>,
    /// What a listing says afterwards; missing where the listing itself cannot work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners_after: Option<Vec<OwnerEntry>>,
    /// Controls sent.
    pub stages: Vec<StageEntry>,
}

/// A failed control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedEntry {
    /// What.
    pub control: ControlKind,
    /// Where.
    pub node: u32,
    /// -1 or 110.
    pub status: i32,
    /// For releases and takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<IpAddr>,
}

/// An address and who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerEntry {
    /// The address.
    pub addr: IpAddr,
    /// -1 for nobody.
    pub owner: i64,
}

/// Controls of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEntry {
    /// What.
    pub control: ControlKind,
    /// One entry per message; per address for releases and takes.
    pub nodes: Vec<u32>,
    /// `known` or `available`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

impl Outcome {
    /// Writes down a run.
    #[must_use]
    pub fn new(report: &RunReport, sent: &[Sent], owners_after: Option<Vec<OwnerEntry>>) -> Self {
        let (result, reference_status) = match &report.result {
            RunResult::Ok => ("ok", 0),
            RunResult::Error(_) | RunResult::Aborted(_) => ("error", -1),
            RunResult::Timeout => ("timeout", 110),
        };
        let attributed = report.failed_controls.iter().filter(|f| f.attributed).map(|f| FailedEntry {
            control: f.control,
            node: f.node.0,
            status: f.status,
            addr: f.addr,
        });
        Self {
            result: result.to_owned(),
            reference_status,
            no_host_shortcut: report.no_host_shortcut,
            unallocatable: report.unallocatable.clone(),
            failed_controls: attributed.collect(),
            ban_credits_to: report.ban_credits_to.map(|n| n.0),
            owners_after,
            stages: stages(sent),
        }
    }
}

/// Groups messages by stage; releases and takes of one run overlap, here they stand apart, addresses descending.
fn stages(sent: &[Sent]) -> Vec<StageEntry> {
    let mut sorted: Vec<&Sent> = sent.iter().collect();
    sorted.sort_by_key(|s| (s.stage, s.addr.map(|a| Reverse(addr_key(a))), s.node));
    let mut stages: Vec<(u32, StageEntry)> = Vec::new();
    for s in sorted {
        match stages.last_mut().filter(|(stage, _)| *stage == s.stage) {
            Some((_, entry)) => entry.nodes.push(s.node.0),
            None => {
                let what = s.what.map(str::to_owned);
                stages.push((s.stage, StageEntry { control: s.control, nodes: vec![s.node.0], what }));
            }
        }
    }
    stages.into_iter().map(|(_, entry)| entry).collect()
}
