//! One node of the cluster as a pure machine: `handle(Input, now) -> Vec<Action>`, and `next_deadline()`.
//!
//! It joins what CTDB splits between its main daemon and its recovery daemon: run states, flags and health (`lifecycle`,
//! `health`), the peers (`peers`, `silence`), who is recmaster (`leader`), the node's own addresses (`ips`, `verify`, `controls`), takeover
//! requests (`requests`) and, on the recmaster, the runs (`runs`). It does no IO and knows no clock; the driver feeds
//! everything that happens and performs every action in order.

mod addresses;
mod commands;
mod controls;
mod cx;
mod health;
mod ips;
mod leader;
mod lifecycle;
mod links;
mod membership;
mod nodes;
mod peers;
mod questions;
mod requests;
mod runs;
mod silence;
#[cfg(test)]
mod tests;
mod verify;
mod views;

use crate::action::{Action, Kind, Level, Persistent};
use crate::alloc::HomeNodes;
use crate::input::Input;
use crate::model::{Epoch, Mono, NodeFlags, Pnn, PublicAddress, RunState, Session, Tunables};
use cx::Cx;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// A node of the nodes file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfig {
    /// Private address; `0.0.0.0` for a deleted placeholder.
    pub addr: IpAddr,
    /// A placeholder line.
    pub deleted: bool,
}

impl NodeConfig {
    /// A number that no line of the file has.
    fn absent() -> Self {
        Self { addr: IpAddr::from([0, 0, 0, 0]), deleted: true }
    }
}

/// Everything a node must know before its first input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Which of `nodes` this is.
    pub me: Pnn,
    /// The nodes file.
    pub nodes: Vec<NodeConfig>,
    /// The public addresses file.
    pub public_addresses: Vec<PublicAddress>,
    /// The tunables file.
    pub tunables: Tunables,
    /// This life of the daemon.
    pub session: Session,
    /// Whether a cluster lock is configured; without one the recmaster is elected by uptime.
    pub has_lock: bool,
    /// Whether the lease layer is there: it then says who leads, and `has_lock` is its business.
    pub leases: bool,
    /// May become recmaster.
    pub leader_capable: bool,
    /// `[failover] disabled`.
    pub failover_disabled: bool,
    /// A group of nodes has an address (`CTDB_LVS_NODES`): see [`crate::takeover::RunConfig::groups`].
    pub groups: bool,
    /// How long a stopping node waits for its addresses to be taken over (`[failover] shutdown failover timeout`).
    pub shutdown_timeout: Duration,
    /// How much longer it stays then (`[failover] shutdown extra timeout`).
    pub shutdown_extra: Duration,
    /// What the last life left behind, with `start as disabled/stopped` applied.
    pub persistent: Persistent,
    /// The home nodes file.
    pub home_nodes: HomeNodes,
}

/// The machine.
#[derive(Debug)]
pub struct Node {
    cfg: Config,
    tunables: Tunables,
    flags: NodeFlags,
    runstate: RunState,
    started: Mono,
    /// Time of the last input.
    handled: Mono,
    next_id: u64,
    state_seq: u64,
    silence: silence::Silence,
    banned_until: Option<Mono>,
    peers: peers::Peers,
    leader: leader::Leader,
    membership: membership::Membership,
    health: health::Health,
    life: lifecycle::Life,
    ips: ips::LocalIps,
    verify: verify::Verify,
    requests: requests::Requests,
    runs: runs::Runs,
    controls: controls::Controls,
}

impl Node {
    /// A node that has not started; feed [`Input::Start`] first.
    #[must_use]
    pub fn new(cfg: Config, now: Mono) -> Self {
        let flags = NodeFlags::UNHEALTHY
            .with(NodeFlags::DISABLED, cfg.persistent.disabled)
            .with(NodeFlags::STOPPED, cfg.persistent.stopped)
            .with(NodeFlags::BANNED, cfg.persistent.banned_for.is_some());
        Self {
            tunables: cfg.tunables.clone(),
            flags,
            runstate: RunState::Init,
            started: now,
            handled: now,
            next_id: 1,
            state_seq: 0,
            silence: silence::Silence::new(now),
            banned_until: cfg.persistent.banned_for.map(|d| now + d),
            peers: peers::Peers::new(&cfg.nodes, cfg.me),
            leader: leader::Leader::new(cfg.persistent.epoch, now),
            membership: membership::Membership::default(),
            health: health::Health::default(),
            life: lifecycle::Life::default(),
            ips: ips::LocalIps::new(&cfg.public_addresses),
            verify: verify::Verify::new(now),
            requests: requests::Requests::default(),
            runs: runs::Runs::default(),
            controls: controls::Controls::default(),
            cfg,
        }
    }

    /// Feeds one input. The actions are to be performed in order.
    pub fn handle(&mut self, input: Input, now: Mono) -> Vec<Action> {
        let mut cx = Cx::new(now, self.cfg.me, self.next_id);
        self.dispatch(input, &mut cx);
        loop {
            // What this node asks of itself comes first: a change and the request that goes with it make one run.
            while let Some(msg) = cx.pop_loopback() {
                self.on_peer_msg(self.cfg.me, msg, &mut cx);
            }
            self.due(&mut cx);
            if !cx.talks_to_itself() {
                break;
            }
        }
        self.next_id = cx.next_id;
        self.handled = now;
        cx.actions
    }

    fn dispatch(&mut self, input: Input, cx: &mut Cx) {
        match input {
            Input::Start => self.on_start(cx),
            Input::Tick => {}
            Input::PeerUp { pnn, session } => self.on_peer_up(pnn, session, cx),
            Input::PeerDown { pnn, why } => self.on_peer_down(pnn, &why, cx),
            Input::Host { pnn, seen, evidence } => self.on_host(pnn, seen, &evidence, cx),
            Input::Peer { from, msg } => {
                // What arrives behind the end of a link is as lost as what does not arrive.
                if self.peers.heard(from, cx.now) {
                    self.on_peer_msg(from, msg, cx);
                }
            }
            Input::Kernel { state, asked_at, culprit } => {
                self.on_kernel(state, asked_at, culprit.as_deref(), cx)
            }
            Input::EventDone { op, outcome } => self.on_event_done(op, &outcome, cx),
            Input::EventCancelled { op } => self.health.cancelled(op, cx.now),
            Input::Lock(lock) => self.on_lock(lock, cx),
            Input::Lease(view) => self.on_lease(view, cx),
            Input::Nodes(nodes) => self.on_nodes(nodes, cx),
            Input::Group(has) => self.cfg.groups = has,
            Input::Command { id, command } => self.on_command(id, command, cx),
            Input::Terminate => self.begin_shutdown(None, cx),
        }
    }

    /// Everything whose time has come.
    fn due(&mut self, cx: &mut Cx) {
        self.due_silence(cx);
        self.due_ban(cx);
        self.due_lifecycle(cx);
        self.due_leader(cx);
        self.due_health(cx);
        self.due_verify(cx);
        self.due_runs(cx);
    }

    /// When `handle` wants to be called again with [`Input::Tick`] if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        [
            self.banned_until,
            self.silence_deadline(),
            self.life.next_deadline(),
            self.leader_deadline(),
            self.health.next_deadline(self.runstate),
            self.verify_deadline(),
            self.runs.next_deadline(),
        ]
        .into_iter()
        .flatten()
        // What was due at the last input has been looked at; if nothing came of it, it waits for another input.
        .filter(|at| *at > self.handled)
        .min()
    }

    /// This node's number.
    #[must_use]
    pub fn pnn(&self) -> Pnn {
        self.cfg.me
    }

    /// The highest epoch seen.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.leader.epoch
    }

    /// This node's own flags.
    #[must_use]
    pub fn flags(&self) -> NodeFlags {
        self.flags
    }

    /// Run state.
    #[must_use]
    pub fn runstate(&self) -> RunState {
        self.runstate
    }

    fn persist(&self, cx: &mut Cx) {
        cx.actions.push(Action::Persist(Persistent {
            epoch: self.leader.epoch,
            disabled: self.flags.intersects(NodeFlags::DISABLED),
            stopped: self.flags.intersects(NodeFlags::STOPPED),
            banned_for: self.banned_until.map(|t| t.since(cx.now)).filter(|d| !d.is_zero()),
        }));
    }

    /// Something changed that bears on what this node may host: everybody must know, the recmaster must look anew.
    fn hosting_changed(&mut self, cause: String, cx: &mut Cx) {
        self.availability_changed();
        self.announce_state(cx);
        if self.leader.leading() {
            self.request_run_here(cause);
        }
    }

    /// Sets or clears flags of this node and does everything that follows from it.
    fn change_flags(&mut self, flag: NodeFlags, on: bool, why: &str, cx: &mut Cx) {
        let new = self.flags.with(flag, on);
        if new == self.flags {
            return;
        }
        let (old, became_inactive) = (self.flags, new.is_inactive() && !self.flags.is_inactive());
        self.flags = new;
        cx.journal(Kind::State, None, format!("node {}: {old} -> {new}: {why}", self.cfg.me));
        cx.log(Level::Notice, format!("node flags changed from {old} to {new}: {why}"));
        if flag != NodeFlags::UNHEALTHY {
            self.persist(cx);
        }
        if became_inactive {
            self.drop_all_ips("the node became inactive", cx);
            self.give_up_leadership("the node became inactive", cx);
        }
        self.health.flags_changed(cx.now);
        self.hosting_changed(format!("node {}: {old} -> {new}", self.cfg.me), cx);
    }
}
