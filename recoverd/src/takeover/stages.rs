//! How a run goes from stage to stage, and what it sends in each (SEMANTICS B.2).

use super::blame::{Cause, Stage};
use super::config::Mode;
use super::decide::decide;
use super::report::PhaseName;
use super::run::{Outstanding, Run, RunAction, Step};
use super::transfer::Transfer;
use super::what_if;
use crate::alloc::can_host_anything;
use crate::check::check;
use crate::control::Control;
use crate::model::{Mono, Pnn};
use crate::plan::make_plan;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Run {
    /// Goes through all stages that are complete, and hands out what is to be done.
    pub(super) fn settle(&mut self, now: Mono) -> Vec<RunAction> {
        while self.outstanding.is_empty() && self.step != Step::Finished {
            self.complete(now);
        }
        std::mem::take(&mut self.actions)
    }

    /// The present stage has all its answers.
    fn complete(&mut self, now: Mono) {
        let timeout = self.tunables.takeover_timeout();
        let stopped = self.refused.is_some() || self.blame.failed();
        match self.step {
            Step::Query(_) | Step::StartIpreallocate if stopped => self.finish(),
            Step::Query(Stage::Tunables) => {
                self.step = Step::Query(Stage::Nodemap);
                self.deadline = now + timeout;
                self.send(Stage::Nodemap, self.config.me, Control::GetNodemap, now);
            }
            Step::Query(Stage::Nodemap) => {
                self.budget_end = now + timeout * 3;
                if self.config.failover_disabled {
                    self.jump_to_end(now);
                } else {
                    self.query(Stage::Known, self.snapshot.connected(), now);
                }
            }
            Step::Query(Stage::Known) => self.query(Stage::Available, self.snapshot.askable(), now),
            Step::Query(_) => self.allocate(now),
            Step::StartIpreallocate => self.start_transfer(now),
            Step::Transfer => {
                // After a failure the budget may be used up, and yet those who did their part must hear that it is over.
                let extra = if stopped { now + timeout } else { now };
                self.send_ipreallocated(self.budget_end.max(extra), now);
            }
            Step::Ipreallocated => self.finish(),
            Step::Finished => {}
        }
    }

    fn query(&mut self, stage: Stage, nodes: Vec<Pnn>, now: Mono) {
        self.step = Step::Query(stage);
        self.deadline = now + self.tunables.takeover_timeout();
        for pnn in nodes {
            self.send(stage, pnn, Control::GetPublicIps { available_only: stage == Stage::Available }, now);
        }
    }

    fn allocate(&mut self, now: Mono) {
        if let Mode::DryRun(question) = &self.config.mode {
            what_if::apply(question, &mut self.snapshot);
        }
        let list = self.snapshot.working_list();
        let anything = can_host_anything(&list);
        let decision = match decide(&self.snapshot, list, &self.config, &self.tunables) {
            Ok(decision) => decision,
            Err(why) => {
                self.refused = Some(why);
                return self.finish();
            }
        };
        let plan = make_plan(self.config.id, &self.snapshot, &decision.allocation, &decision.asked);
        self.phases.insert(PhaseName::Allocate, (now, now));
        self.decision = Some(decision);
        if !anything {
            self.no_host_shortcut = true;
            return self.jump_to_end(now);
        }
        let violations = check(&plan, &self.snapshot);
        self.plan = Some(plan);
        if !violations.is_empty() {
            let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
            self.refused = Some(format!(
                "the checker refused the plan, nothing was changed: {}; please report this with `ctdb timeline --json`",
                list.join("; ")
            ));
            return self.finish();
        }
        if self.config.mode != Mode::Execute {
            return self.finish();
        }
        self.begin(now);
    }

    /// Tells all that the run begins to change things. Who leads a group that another node shall lead lets go before it answers.
    fn begin(&mut self, now: Mono) {
        self.step = Step::StartIpreallocate;
        self.budget_end = now + self.tunables.takeover_timeout() * 3;
        self.deadline = self.budget_end;
        for pnn in self.snapshot.connected() {
            let control =
                Control::StartIpreallocate { run: self.config.id, nodes: self.snapshot.nodes.clone() };
            self.send(Stage::StartIpreallocate, pnn, control, now);
        }
    }

    /// Sends all releases, and the takes of addresses that nobody else has.
    fn start_transfer(&mut self, now: Mono) {
        self.step = Step::Transfer;
        let Some(plan) = self.plan.clone() else { return };
        let transfer = Transfer::new(&plan);
        let free: BTreeMap<Pnn, Vec<IpAddr>> = plan
            .takeovers
            .iter()
            .map(|(pnn, list)| (*pnn, list.iter().copied().filter(|a| transfer.is_free(*a)).collect()))
            .collect();
        self.transfer = Some(transfer);
        for (pnn, addrs) in plan.releases {
            self.send(Stage::Release, pnn, Control::ReleaseIp { run: self.config.id, addrs }, now);
        }
        for (pnn, addrs) in free.into_iter().filter(|(_, addrs)| !addrs.is_empty()) {
            self.send(Stage::Takeover, pnn, Control::TakeoverIp { run: self.config.id, addrs }, now);
        }
    }

    /// A release or take of one address has been answered, or has failed.
    pub(super) fn done(&mut self, stage: Stage, pnn: Pnn, addr: IpAddr, ok: bool, now: Mono) {
        self.touch(stage, now);
        let Some(transfer) = &mut self.transfer else { return };
        if stage == Stage::Takeover {
            if ok {
                transfer.taken(addr);
            }
        } else if let Some(taker) = transfer.released(pnn, addr, ok) {
            let control = Control::TakeoverIp { run: self.config.id, addrs: vec![addr] };
            self.send(Stage::Takeover, taker, control, now);
        }
    }

    /// With no address to place, CTDB goes to `ipreallocated` at once. Where a group has an address, its leader must have let go before.
    fn jump_to_end(&mut self, now: Mono) {
        if self.config.mode != Mode::Execute {
            self.finish();
        } else if self.config.groups {
            self.begin(now);
        } else {
            self.send_ipreallocated(self.budget_end, now);
        }
    }

    fn send_ipreallocated(&mut self, deadline: Mono, now: Mono) {
        self.step = Step::Ipreallocated;
        self.deadline = deadline;
        let owners = self.owners();
        for pnn in self.snapshot.connected() {
            let control = Control::Ipreallocated {
                run: self.config.id,
                owners: owners.clone(),
                nodes: self.snapshot.nodes.clone(),
            };
            self.send(Stage::Ipreallocated, pnn, control, now);
        }
    }

    fn finish(&mut self) {
        self.step = Step::Finished;
        let report = self.report(None);
        self.actions.push(RunAction::Finished(Box::new(report)));
    }

    pub(super) fn send(&mut self, stage: Stage, node: Pnn, control: Control, now: Mono) {
        self.touch(stage, now);
        let addrs = match &control {
            Control::ReleaseIp { addrs, .. } => addrs.iter().map(|(a, _)| *a).collect(),
            Control::TakeoverIp { addrs, .. } => addrs.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        let out = Outstanding { stage, node, kind: control.kind(), addrs };
        if self.lost.contains(&node) {
            return self.fail(&out, &lost_link(), now);
        }
        let req = self.next_req;
        self.next_req += 1;
        self.outstanding.insert(req, out);
        self.actions.push(RunAction::Send { to: node, req, control });
    }

    /// Fails all outstanding controls of a kind.
    pub(super) fn fail_where(&mut self, which: impl Fn(&Outstanding) -> bool, cause: &Cause, now: Mono) {
        let reqs: Vec<u64> = self.outstanding.iter().filter(|(_, o)| which(o)).map(|(req, _)| *req).collect();
        for req in reqs {
            if let Some(out) = self.outstanding.remove(&req) {
                self.fail(&out, cause, now);
            }
        }
    }

    /// A control has failed, with all its addresses that were not answered.
    pub(super) fn fail(&mut self, out: &Outstanding, cause: &Cause, now: Mono) {
        if out.addrs.is_empty() {
            self.touch(out.stage, now);
            self.blame.record(out.stage, out.kind, out.node, None, cause.clone(), now);
        }
        for &addr in &out.addrs {
            self.blame.record(out.stage, out.kind, out.node, Some(addr), cause.clone(), now);
            self.done(out.stage, out.node, addr, false, now);
        }
    }

    /// Stretches the phase of a stage to now.
    pub(super) fn touch(&mut self, stage: Stage, now: Mono) {
        let name = match stage {
            Stage::Tunables | Stage::Nodemap | Stage::Known | Stage::Available => PhaseName::Observe,
            Stage::StartIpreallocate => PhaseName::StartIpreallocate,
            Stage::Release => PhaseName::Release,
            Stage::Takeover => PhaseName::Takeover,
            Stage::Ipreallocated => PhaseName::Ipreallocated,
        };
        self.phases.entry(name).or_insert((now, now)).1 = now;
    }
}

/// What is recorded for controls to a node that is gone.
pub(super) fn lost_link() -> Cause {
    Cause::Refused("the link to the node is lost".to_owned())
}
