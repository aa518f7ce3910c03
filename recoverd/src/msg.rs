//! What nodes say to each other.
//!
//! Every message is a value; the transport (gRPC streams in `ctdbd`, a queue in the simulation) may lose it with its link, so
//! requests carry a number that the answer repeats, and who asked decides how long to wait. Each node is the authority on its
//! own flags: it announces them, nobody sets them from outside.

use crate::connections::ConnectionUpdate;
use crate::control::{Answer, Control};
use crate::model::{Epoch, NodeFlags, Pnn, RunId, RunState, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What a node says about itself: at every change to everybody, and to whoever asks for a sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Counts up in a session; an older state than one already seen is ignored.
    pub seq: u64,
    /// This life of the daemon.
    pub session: Session,
    /// Its own flags; never DISCONNECTED or DELETED.
    pub flags: NodeFlags,
    /// Its run state.
    pub runstate: RunState,
    /// The highest epoch it has seen.
    pub epoch: Epoch,
    /// Whether it is the recmaster of that epoch and leads now.
    pub leads: bool,
    /// Whether it may become recmaster.
    pub leader_capable: bool,
    /// Milliseconds since its daemon started: without a cluster lock the longest-running node becomes recmaster.
    pub uptime_ms: u64,
    /// Some interface of its public addresses is down, some other is up.
    pub partially_online: bool,
    /// Counts up whenever the set of addresses that it could host changes, so that the recmaster looks anew.
    pub availability: u64,
    /// It asks for signs of life, and answers who asks. False: its version does neither; it announces itself to everybody every
    /// `KeepaliveInterval` and expects the same.
    pub asks: bool,
    /// The receiver shall say at once how it is; that answer wants none.
    pub answer_wanted: bool,
    /// From the recmaster: whom it does not reach, or has long waited for. Others find out for themselves whether they do.
    pub silent: BTreeSet<Pnn>,
}

/// What is wanted of the recmaster besides a fresh look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Why, for the journal; never empty.
    pub cause: String,
    /// Nodes that may gain addresses although they hold some (LCP2).
    pub force_rebalance: Vec<Pnn>,
    /// Addresses that shall go to a certain node (`ctdb moveip`).
    pub moves: Vec<(IpAddr, Pnn)>,
    /// How the sender is now, when the request comes of a change of it: one run serves both.
    pub state: Option<NodeState>,
}

/// A message from one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerMsg {
    /// See [`NodeState`].
    State(NodeState),
    /// From the recmaster of `epoch`; refused when a higher epoch has been seen.
    Control {
        /// Number of the request, chosen by the sender.
        req: u64,
        /// Epoch of the recmaster that asks.
        epoch: Epoch,
        /// The lease session that is asked, where there are leases: another one refuses.
        session: Option<Session>,
        /// What is asked.
        control: Control,
    },
    /// The end of a control.
    Answer {
        /// Number of the request.
        req: u64,
        /// The answer.
        answer: Answer,
    },
    /// One address of a `ReleaseIp` or `TakeoverIp` is done, or has failed with the reason in words.
    IpAnswer {
        /// Number of the request.
        req: u64,
        /// The address.
        addr: IpAddr,
        /// How it ended.
        result: Result<(), String>,
    },
    /// To the recmaster: run a takeover.
    RunRequest {
        /// Number of the request.
        req: u64,
        /// What is wanted.
        request: RunRequest,
    },
    /// From the recmaster: a run that began after the request has ended.
    RunAnswer {
        /// Number of the request.
        req: u64,
        /// The run, or why it failed.
        result: Result<RunId, String>,
    },
    /// From the recmaster: ban yourself (SEMANTICS B.3).
    Ban {
        /// Epoch of the recmaster.
        epoch: Epoch,
        /// For how long.
        seconds: u32,
        /// Why, for the log of the banned node.
        reason: String,
    },
    /// Connections of clients. Not for the machine: the driver keeps them in [`crate::connections::Connections`].
    Connections(Vec<ConnectionUpdate>),
}
