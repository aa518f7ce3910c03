//! The recmaster's queue of takeover requests, and the runs that serve them.
//!
//! Requests are collected and served by one run; those that arrive during a run wait for the next; a failed run is retried after
//! RecoverInterval (SEMANTICS B.1). How a run goes is the business of [`crate::takeover`]. Dry runs for `ctdb plan` and `ctdb why` go
//! on beside the real one.

use super::questions::{Decided, answer_plan};
use super::{Cx, Node};
use crate::action::{Action, Entry, Kind, Level};
use crate::alloc::Weights;
use crate::control::Answer;
use crate::model::{Mono, NodeFlags, Pnn, RunId};
use crate::msg::{PeerMsg, RunRequest};
use crate::takeover::{BanCredits, Run, RunAction, RunConfig, RunReport, RunResult};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A fresh recmaster waits at most so long for nodes that it has never heard of before its first run, so that a cluster that is
/// started at once is not allocated three times.
const SETTLE: Duration = Duration::from_millis(250);

/// Numbers of controls that one run may use.
const REQS_PER_RUN: u64 = 1 << 20;

/// What a run is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A real one, with the requests that it serves.
    Takeover(Queue),
    /// `ctdb plan`: number of the command.
    Plan(u64),
    /// `ctdb why`: number of the command, address.
    Why(u64, IpAddr),
}

/// Requests that one run will serve together.
#[derive(Debug, Default)]
pub(super) struct Queue {
    causes: Vec<String>,
    force_rebalance: Vec<Pnn>,
    moves: Vec<(IpAddr, Pnn)>,
    waiters: Vec<(Pnn, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Runs {
    count: u64,
    next_slot: u64,
    queue: Queue,
    /// Runs in flight by slot; the numbers of a run's controls divided by [`REQS_PER_RUN`] are its slot.
    active: BTreeMap<u64, (Run, Purpose)>,
    /// Not before this: the cluster settles, or a failed run waits for its retry.
    not_before: Mono,
    settling: bool,
    /// A peer was lost during the present run: what that breaks is mended at once, without it.
    disturbed: bool,
    credits: BanCredits,
    /// The run that gave each address to its present owner.
    pub(super) decided: BTreeMap<IpAddr, Decided>,
}

impl Runs {
    pub(super) fn new_epoch(&mut self, now: Mono) {
        self.count = 0;
        self.not_before = now + SETTLE;
        self.settling = true;
        self.credits.forget_all();
    }

    fn takeover_active(&self) -> bool {
        self.active.values().any(|(_, p)| matches!(p, Purpose::Takeover(_)))
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let start = (!self.queue.causes.is_empty() && !self.takeover_active()).then_some(self.not_before);
        self.active.values().filter_map(|(run, _)| run.deadline()).chain(start).min()
    }
}

impl Node {
    /// A request of a node, which waits for the answer.
    pub(super) fn on_run_request(&mut self, from: Pnn, req: u64, request: RunRequest, cx: &mut Cx) {
        if let Some(state) = request.state {
            self.on_state(from, state, cx);
        }
        if !self.leader.leading() {
            // It will ask the new recmaster as soon as it knows it.
            return;
        }
        let q = &mut self.runs.queue;
        if !q.causes.contains(&request.cause) {
            q.causes.push(request.cause);
        }
        q.force_rebalance.extend(request.force_rebalance);
        q.moves.extend(request.moves);
        q.waiters.push((from, req));
    }

    /// A request of the recmaster's own eyes: nobody waits for it.
    pub(super) fn request_run_here(&mut self, cause: String) {
        if !self.runs.queue.causes.contains(&cause) {
            self.runs.queue.causes.push(cause);
        }
    }

    pub(super) fn due_runs(&mut self, cx: &mut Cx) {
        let due: Vec<u64> = self
            .runs
            .active
            .iter()
            .filter(|(_, (run, _))| run.deadline().is_some_and(|at| at <= cx.now))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in due {
            self.feed_run(slot, Run::tick, cx);
        }
        if !self.leader.leading() || self.runs.queue.causes.is_empty() || self.runs.takeover_active() {
            return;
        }
        if !self.accounted() {
            return;
        }
        if cx.now < self.runs.not_before && !(self.runs.settling && self.everybody_is_here()) {
            return;
        }
        if std::mem::take(&mut self.runs.settling) {
            // Everybody is here: what comes next waits for nobody.
            self.runs.not_before = cx.now;
        }
        let queue = std::mem::take(&mut self.runs.queue);
        self.start_takeover(queue, cx);
    }

    /// Every node is up and healthy, or was seen to leave: nothing to wait for.
    fn everybody_is_here(&self) -> bool {
        let healthy = |flags: NodeFlags| !flags.intersects(NodeFlags::UNHEALTHY);
        healthy(self.flags)
            && self.peers.iter().all(|(_, p)| if p.connected() { healthy(p.flags()) } else { p.known_before })
    }

    /// Dry runs bear the number of the run before them: they leave no trace.
    pub(super) fn run_config(&self) -> RunConfig {
        let id = RunId { epoch: self.leader.epoch, count: self.runs.count };
        RunConfig {
            failover_disabled: self.cfg.failover_disabled,
            groups: self.cfg.groups,
            home_nodes: self.cfg.home_nodes.clone(),
            weights: Weights::default(),
            ..RunConfig::new(id, self.cfg.me, self.runs.next_slot * REQS_PER_RUN)
        }
    }

    fn start_takeover(&mut self, queue: Queue, cx: &mut Cx) {
        self.runs.disturbed = false;
        self.runs.count += 1;
        let mut config = self.run_config();
        config.causes.clone_from(&queue.causes);
        config.force_rebalance.clone_from(&queue.force_rebalance);
        config.moves.clone_from(&queue.moves);
        cx.log(Level::Notice, format!("takeover run {} begins: {}", config.id, queue.causes.join("; ")));
        self.start_run(config, Purpose::Takeover(queue), cx);
    }

    pub(super) fn start_run(&mut self, config: RunConfig, purpose: Purpose, cx: &mut Cx) {
        let slot = self.runs.next_slot;
        self.runs.next_slot += 1;
        let (run, actions) = Run::start(config, cx.now);
        self.runs.active.insert(slot, (run, purpose));
        self.run_actions(slot, actions, cx);
    }

    fn feed_run(&mut self, slot: u64, feed: impl FnOnce(&mut Run, Mono) -> Vec<RunAction>, cx: &mut Cx) {
        let Some((run, _)) = self.runs.active.get_mut(&slot) else { return };
        let actions = feed(run, cx.now);
        self.run_actions(slot, actions, cx);
    }

    fn run_actions(&mut self, slot: u64, actions: Vec<RunAction>, cx: &mut Cx) {
        for action in actions {
            match action {
                RunAction::Send { to, req, control } => {
                    let session = self.session_of(to);
                    cx.send(to, PeerMsg::Control { req, epoch: self.leader.epoch, session, control });
                }
                RunAction::Finished(report) => self.run_finished(slot, report, cx),
            }
        }
    }

    pub(super) fn on_answer(&mut self, from: Pnn, req: u64, answer: Answer, cx: &mut Cx) {
        self.feed_run(req / REQS_PER_RUN, |run, now| run.answer(req, from, answer, now), cx);
    }

    pub(super) fn on_ip_answer(
        &mut self,
        from: Pnn,
        req: u64,
        addr: IpAddr,
        result: Result<(), String>,
        cx: &mut Cx,
    ) {
        self.feed_run(req / REQS_PER_RUN, |run, now| run.ip_answer(req, from, addr, result, now), cx);
    }

    /// The link to a peer broke: what it was asked will not be answered, and it waits for nothing.
    pub(super) fn runs_lost_peer(&mut self, pnn: Pnn, cx: &mut Cx) {
        self.runs.queue.waiters.retain(|(w, _)| *w != pnn);
        for (_, purpose) in self.runs.active.values_mut() {
            if let Purpose::Takeover(queue) = purpose {
                queue.waiters.retain(|(w, _)| *w != pnn);
            }
        }
        self.runs.disturbed = true;
        let slots: Vec<u64> = self.runs.active.keys().copied().collect();
        for slot in slots {
            self.feed_run(slot, |run, now| run.peer_lost(pnn, now), cx);
        }
    }

    /// Leadership is lost: runs end, requests go to the next recmaster (their senders keep them).
    pub(super) fn abort_runs(&mut self, why: &str, cx: &mut Cx) {
        let slots: Vec<u64> = self.runs.active.keys().copied().collect();
        for slot in slots {
            self.feed_run(slot, |run, _| run.abort(why), cx);
        }
        self.runs.queue = Queue::default();
    }

    fn run_finished(&mut self, slot: u64, report: Box<RunReport>, cx: &mut Cx) {
        let Some((run, purpose)) = self.runs.active.remove(&slot) else { return };
        match purpose {
            Purpose::Plan(id) => answer_plan(id, *report, cx),
            Purpose::Why(id, addr) => self.answer_why(id, addr, &run, &report, cx),
            Purpose::Takeover(queue) => self.takeover_finished(queue, report, cx),
        }
    }

    fn takeover_finished(&mut self, queue: Queue, report: Box<RunReport>, cx: &mut Cx) {
        let (id, result) = (report.id, report.result.clone());
        self.remember_decisions(&report);
        let level = if result.is_ok() { Level::Notice } else { Level::Error };
        cx.log(level, format!("takeover run {id} {result}"));
        for failed in &report.failed_controls {
            cx.log(Level::Error, failed.to_string());
        }
        let text = run_sentence(&report);
        let blamed = report.ban_credits_to;
        cx.actions.push(Action::Journal(Entry {
            kind: Kind::Run,
            run: Some(id),
            text,
            report: Some(report),
        }));
        // A run that was called off answers nobody: the next recmaster will, this node perhaps among them.
        let called_off = matches!(result, RunResult::Aborted(_));
        for (to, req) in queue.waiters.into_iter().filter(|_| !called_off) {
            let result = if result.is_ok() { Ok(id) } else { Err(format!("takeover run {id} {result}")) };
            cx.send(to, PeerMsg::RunAnswer { req, result });
        }
        if let Some(node) = blamed {
            self.blame(node, cx);
        }
        if !matches!(result, RunResult::Ok | RunResult::Aborted(_)) {
            let pause = if self.runs.disturbed { Duration::ZERO } else { self.tunables.recover_interval() };
            self.runs.not_before = cx.now + pause;
            self.request_run_here(format!("run {id} failed"));
            self.runs.queue.force_rebalance.extend(queue.force_rebalance);
        }
    }

    fn blame(&mut self, node: Pnn, cx: &mut Cx) {
        let num_nodes = u32::try_from(self.cfg.nodes.len()).unwrap_or(u32::MAX);
        let grace = self.tunables.recovery_grace_period();
        self.runs.credits.blame(node, num_nodes, self.flags, grace, cx.now);
        for node in self.runs.credits.due(num_nodes) {
            self.runs.credits.forget(node);
            let seconds = u32::try_from(self.tunables.recovery_ban_period().as_secs()).unwrap_or(u32::MAX);
            let reason = "takeover runs failed on it twice".to_owned();
            cx.log(Level::Error, format!("banning node {node} for {seconds} s: {reason}"));
            cx.send(node, PeerMsg::Ban { epoch: self.leader.epoch, seconds, reason });
        }
    }
}

/// One line for `ctdb timeline`.
fn run_sentence(report: &RunReport) -> String {
    let moved = report.plan.as_ref().map_or(0, |p| p.moves.len());
    let mut text = format!("{}: {}", report.causes.join("; "), report.result);
    match moved {
        0 => text.push_str(", nothing moved"),
        1 => text.push_str(", 1 address moved"),
        n => text.push_str(&format!(", {n} addresses moved")),
    }
    text
}
