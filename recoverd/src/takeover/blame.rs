//! Who failed, who is blamed for it, and how the run ends (SEMANTICS B.3).
//!
//! Controls sent at once form a group: a stage, or in the release stage one address. Only the first failure of a group is attributed; each
//! failed take is. Because our run goes on where CTDB's stops, only the first stage that failed counts: the same node is credited.

use super::report::{FailedControl, RunResult};
use crate::control::ControlKind;
use crate::model::{Mono, Pnn, addr_key};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The stages that send controls, in CTDB's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Tunables,
    Nodemap,
    Known,
    Available,
    StartIpreallocate,
    Release,
    Takeover,
    Ipreallocated,
}

/// Why a control failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    Refused(String),
    Silent,
}

const ETIMEDOUT: i32 = 110;

#[derive(Debug, Clone)]
struct Failure {
    stage: Stage,
    at: Mono,
    control: ControlKind,
    node: Pnn,
    addr: Option<IpAddr>,
    cause: Cause,
}

/// All failures of a run, in the order in which they became known.
#[derive(Debug, Clone, Default)]
pub(super) struct Blame {
    failures: Vec<Failure>,
}

impl Blame {
    pub(super) fn record(
        &mut self,
        stage: Stage,
        control: ControlKind,
        node: Pnn,
        addr: Option<IpAddr>,
        cause: Cause,
        at: Mono,
    ) {
        self.failures.push(Failure { stage, at, control, node, addr, cause });
    }

    pub(super) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// All failures: by stage, then time, then address (descending).
    pub(super) fn controls(&self) -> Vec<FailedControl> {
        let mut sorted: Vec<&Failure> = self.failures.iter().collect();
        sorted.sort_by_key(|f| (f.stage, f.at, f.addr.map(|a| Reverse(addr_key(a)))));
        let first_stage = sorted.first().map(|f| f.stage);
        let mut groups: BTreeSet<Option<IpAddr>> = BTreeSet::new();
        sorted
            .into_iter()
            .map(|f| FailedControl {
                control: f.control,
                node: f.node,
                addr: f.addr,
                status: if f.cause == Cause::Silent { ETIMEDOUT } else { -1 },
                message: match &f.cause {
                    Cause::Refused(why) => why.clone(),
                    Cause::Silent => "no answer in time".to_owned(),
                },
                attributed: Some(f.stage) == first_stage && groups.insert(f.addr),
            })
            .collect()
    }

    /// Credits of each node. A recmaster that cannot even ask itself credits nobody.
    pub(super) fn credits(controls: &[FailedControl]) -> BTreeMap<Pnn, u32> {
        let mut credits = BTreeMap::new();
        for c in controls.iter().filter(|c| c.attributed) {
            if !matches!(c.control, ControlKind::GetAllTunables | ControlKind::GetNodemap) {
                *credits.entry(c.node).or_insert(0) += 1;
            }
        }
        credits
    }

    /// The node with most credits; ties to the lowest number.
    pub(super) fn worst(credits: &BTreeMap<Pnn, u32>) -> Option<Pnn> {
        credits.iter().max_by_key(|(n, c)| (**c, Reverse(**n))).map(|(n, _)| *n)
    }

    /// How the run ended: with several failing addresses the last one seen decides.
    pub(super) fn result(controls: &[FailedControl]) -> RunResult {
        match controls.iter().rfind(|c| c.attributed) {
            None => RunResult::Ok,
            Some(c) if c.status == ETIMEDOUT => RunResult::Timeout,
            Some(c) => RunResult::Error(c.to_string()),
        }
    }
}
