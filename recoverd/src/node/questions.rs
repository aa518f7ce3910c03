//! `ctdb plan` and `ctdb why`: dry runs of the recmaster, and what it remembers of its decisions to explain them.

use super::runs::Purpose;
use super::{Cx, Node};
use crate::action::Action;
use crate::alloc::Reason;
use crate::command::{PlanReply, Reply, WhyReply};
use crate::explain::explain;
use crate::model::{Pnn, RunId};
use crate::plan::MoveReason;
use crate::takeover::{Mode, Run, RunConfig, RunReport, WhatIf};
use std::net::IpAddr;

/// The run that gave an address to its present owner, and its reason.
#[derive(Debug)]
pub(super) struct Decided {
    owner: Pnn,
    run: RunId,
    reason: MoveReason,
}

/// Answers `ctdb plan` with the report of its dry run.
pub(super) fn answer_plan(command: u64, report: RunReport, cx: &mut Cx) {
    let reply = Reply::Plan(Box::new(PlanReply { report }));
    cx.actions.push(Action::Reply { id: command, reply });
}

impl Node {
    /// Begins the dry run for `ctdb plan`.
    pub(super) fn start_plan(&mut self, command: u64, what_if: WhatIf, cx: &mut Cx) {
        let config = RunConfig { mode: Mode::DryRun(what_if), ..self.run_config() };
        self.start_run(config, Purpose::Plan(command), cx);
    }

    /// Begins the dry run for `ctdb why`.
    pub(super) fn start_why(&mut self, command: u64, addr: IpAddr, cx: &mut Cx) {
        let config = RunConfig { mode: Mode::DryRun(WhatIf::default()), ..self.run_config() };
        self.start_run(config, Purpose::Why(command, addr), cx);
    }

    /// Answers `ctdb why`: by the dry run, and where that only says "kept", by the run that put the address there.
    pub(super) fn answer_why(&self, command: u64, addr: IpAddr, run: &Run, report: &RunReport, cx: &mut Cx) {
        let known = report.owners.iter().any(|(a, _)| *a == addr);
        let explained = run.decision().filter(|_| known).map(|d| explain(run.snapshot(), d, addr));
        let reply = match explained {
            Some(mut explanation) => {
                let decided = self.runs.decided.get(&addr).filter(|d| explanation.owner == Some(d.owner));
                if let (Some(d), Some(MoveReason::Allocated(Reason::Kept))) = (decided, &explanation.why) {
                    explanation.why = Some(d.reason);
                }
                Reply::Why(Box::new(WhyReply { explanation, decided_by: decided.map(|d| d.run) }))
            }
            None if report.result.is_ok() => Reply::Error(format!(
                "no connected node knows {addr}; `ctdb ip all` lists all public addresses"
            )),
            None => Reply::Error(format!("the cluster could not be asked about {addr}: {}", report.result)),
        };
        cx.actions.push(Action::Reply { id: command, reply });
    }

    /// Remembers why each address went where it went.
    pub(super) fn remember_decisions(&mut self, report: &RunReport) {
        for m in report.plan.iter().flat_map(|p| &p.moves) {
            let there = report.owners.iter().find(|(a, _)| *a == m.addr).and_then(|(_, owner)| *owner);
            self.runs.decided.remove(&m.addr);
            if let Some(owner) = there.filter(|owner| m.to == Some(*owner)) {
                self.runs.decided.insert(m.addr, Decided { owner, run: report.id, reason: m.reason });
            }
        }
    }
}
