//! The machine of one run: its inputs, and what each answer means. How it goes on from there stands in [`super::stages`].

use super::blame::{Blame, Cause, Stage};
use super::config::RunConfig;
use super::decide::Decision;
use super::report::{PhaseName, RunReport};
use super::snapshot::Snapshot;
use super::stages::lost_link;
use super::transfer::Transfer;
use crate::control::{Answer, Control, ControlKind};
use crate::model::{Mono, Pnn, Tunables};
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// CTDB's built-in time-out for the very first query, before the tunables are known.
const FIRST_TIMEOUT: Duration = Duration::from_secs(9);

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAction {
    /// Send a control. Its answer comes back as [`Run::answer`], for releases and takes address by address as [`Run::ip_answer`].
    Send {
        /// To this node; it may be this one.
        to: Pnn,
        /// Number of the control.
        req: u64,
        /// What is asked.
        control: Control,
    },
    /// The run is over; it does nothing more.
    Finished(Box<RunReport>),
}

/// A control without a full answer.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) stage: Stage,
    pub(super) node: Pnn,
    pub(super) kind: ControlKind,
    /// Addresses not answered yet; empty for controls that are answered as a whole.
    pub(super) addrs: BTreeSet<IpAddr>,
}

/// Where the run is. `Transfer` is releases and takes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Query(Stage),
    StartIpreallocate,
    Transfer,
    Ipreallocated,
    Finished,
}

/// One takeover run.
#[derive(Debug)]
pub struct Run {
    pub(super) config: RunConfig,
    pub(super) step: Step,
    pub(super) deadline: Mono,
    /// End of the cumulative budget of the stages from `startipreallocate` on (SEMANTICS B.2).
    pub(super) budget_end: Mono,
    pub(super) next_req: u64,
    pub(super) outstanding: BTreeMap<u64, Outstanding>,
    pub(super) lost: BTreeSet<Pnn>,
    pub(super) tunables: Tunables,
    pub(super) snapshot: Snapshot,
    pub(super) decision: Option<Decision>,
    pub(super) plan: Option<Plan>,
    /// Set once the plan is being executed.
    pub(super) transfer: Option<Transfer>,
    pub(super) blame: Blame,
    /// The run cannot go on, although no control failed.
    pub(super) refused: Option<String>,
    pub(super) no_host_shortcut: bool,
    pub(super) phases: BTreeMap<PhaseName, (Mono, Mono)>,
    pub(super) actions: Vec<RunAction>,
}

impl Run {
    /// Begins a run.
    #[must_use]
    pub fn start(config: RunConfig, now: Mono) -> (Self, Vec<RunAction>) {
        let mut run = Self {
            step: Step::Query(Stage::Tunables),
            deadline: now + FIRST_TIMEOUT,
            budget_end: now + FIRST_TIMEOUT,
            next_req: config.first_req,
            config,
            outstanding: BTreeMap::new(),
            lost: BTreeSet::new(),
            tunables: Tunables::default(),
            snapshot: Snapshot::default(),
            decision: None,
            plan: None,
            transfer: None,
            blame: Blame::default(),
            refused: None,
            no_host_shortcut: false,
            phases: BTreeMap::new(),
            actions: Vec::new(),
        };
        run.send(Stage::Tunables, run.config.me, Control::GetAllTunables, now);
        let actions = run.settle(now);
        (run, actions)
    }

    /// The answer to a whole control. Answers that nobody waits for (any more) are ignored.
    #[must_use]
    pub fn answer(&mut self, req: u64, from: Pnn, answer: Answer, now: Mono) -> Vec<RunAction> {
        let Some(out) = self.outstanding.remove(&req) else { return Vec::new() };
        if out.node != from {
            self.outstanding.insert(req, out);
            return Vec::new();
        }
        self.touch(out.stage, now);
        match (out.stage, answer) {
            (_, Answer::Failed(why)) => self.fail(&out, &Cause::Refused(why), now),
            (Stage::Tunables, Answer::Tunables(t)) => self.tunables = t,
            (Stage::Nodemap, Answer::Nodemap(nodes)) => self.snapshot.nodes = nodes,
            (Stage::Known, Answer::PublicIps(ips)) => self.snapshot.set_known(from, ips),
            (Stage::Available, Answer::PublicIps(ips)) => self.snapshot.set_available(from, &ips),
            (Stage::StartIpreallocate | Stage::Ipreallocated, Answer::Ok) => {}
            // Addresses are answered one by one: whatever has no answer of its own by now was not done.
            (Stage::Release | Stage::Takeover, Answer::Ok) => {
                self.fail(&out, &Cause::Refused("ended without an answer for this address".to_owned()), now);
            }
            (_, _) => {
                self.fail(&out, &Cause::Refused("an answer that does not fit the question".to_owned()), now)
            }
        }
        self.settle(now)
    }

    /// The answer for one address of a release or take.
    #[must_use]
    pub fn ip_answer(
        &mut self,
        req: u64,
        from: Pnn,
        addr: IpAddr,
        result: Result<(), String>,
        now: Mono,
    ) -> Vec<RunAction> {
        let addr = addr.to_canonical();
        let Some(out) = self.outstanding.get_mut(&req).filter(|o| o.node == from) else { return Vec::new() };
        if !out.addrs.remove(&addr) {
            return Vec::new();
        }
        let (stage, kind) = (out.stage, out.kind);
        if out.addrs.is_empty() {
            self.outstanding.remove(&req);
        }
        let ok = result.is_ok();
        if let Err(why) = result {
            self.blame.record(stage, kind, from, Some(addr), Cause::Refused(why), now);
        }
        self.done(stage, from, addr, ok, now);
        self.settle(now)
    }

    /// The link to a node is gone: what it has not answered has failed, and nothing more can be asked of it.
    #[must_use]
    pub fn peer_lost(&mut self, pnn: Pnn, now: Mono) -> Vec<RunAction> {
        if self.step == Step::Finished || !self.lost.insert(pnn) {
            return Vec::new();
        }
        self.fail_where(|o| o.node == pnn, &lost_link(), now);
        self.settle(now)
    }

    /// Calls the run off. Orders that were sent stay sent; nobody is blamed.
    #[must_use]
    pub fn abort(&mut self, reason: &str) -> Vec<RunAction> {
        if self.step == Step::Finished {
            return Vec::new();
        }
        self.outstanding.clear();
        self.step = Step::Finished;
        vec![RunAction::Finished(Box::new(self.report(Some(reason))))]
    }

    /// Time passes. To be called at [`Run::deadline`] at the latest.
    #[must_use]
    pub fn tick(&mut self, now: Mono) -> Vec<RunAction> {
        if self.step == Step::Finished || now < self.deadline {
            return Vec::new();
        }
        self.fail_where(|_| true, &Cause::Silent, now);
        self.settle(now)
    }

    /// When [`Run::tick`] must be called; none when the run is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        (self.step != Step::Finished).then_some(self.deadline)
    }

    /// The first number that this run has not used for a control.
    #[must_use]
    pub fn next_req(&self) -> u64 {
        self.next_req
    }

    /// What the run saw, as far as it came.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What the run decided, if it came so far.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }
}
