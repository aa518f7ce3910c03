//! Everything that can happen to a node, as values: the one way into the machine.

use crate::command::Command;
use crate::host::HostSeen;
use crate::model::{Epoch, EventOutcome, KernelState, Mono, Pnn, Session};
use crate::msg::PeerMsg;
use crate::node::NodeConfig;
use crate::view::LeaseView;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An input of [`crate::node::Node::handle`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The first input: sockets are bound, the kernel is watched.
    Start,
    /// A deadline has passed; [`crate::node::Node::next_deadline`] said when.
    Tick,
    /// Both directions of the link to a peer are up.
    PeerUp {
        /// The peer.
        pnn: Pnn,
        /// This life of it.
        session: Session,
    },
    /// The link to a peer broke.
    PeerDown {
        /// The peer.
        pnn: Pnn,
        /// What the transport saw.
        why: String,
    },
    /// The host of a peer that is not connected was looked at.
    Host {
        /// The peer.
        pnn: Pnn,
        /// What was found.
        seen: HostSeen,
        /// By what, for people.
        evidence: String,
    },
    /// A peer said something.
    Peer {
        /// The peer.
        from: Pnn,
        /// What it said.
        msg: PeerMsg,
    },
    /// The kernel's links and addresses: a dump, or a mirror kept by notifications.
    Kernel {
        /// The whole state.
        state: Arc<KernelState>,
        /// When the dump was asked for; `None` for a notification, which may be older than what has been done since.
        asked_at: Option<Mono>,
        /// Who changed it, if the notification told (program and pid).
        culprit: Option<String>,
    },
    /// An event that an action asked for has ended.
    EventDone {
        /// Number of the action.
        op: u64,
        /// How it ended.
        outcome: EventOutcome,
    },
    /// An event was cancelled in favour of a more urgent one (only `monitor` is).
    EventCancelled {
        /// Number of the action.
        op: u64,
    },
    /// The cluster lock, where there are no leases.
    Lock(LockInput),
    /// The lease layer's state has changed.
    Lease(LeaseView),
    /// The nodes file has changed: these are the nodes from now on. Numbers stay; the driver has seen to it that nodes which are deleted are
    /// disconnected, and that no address of another has changed (`ctdb reloadnodes`).
    Nodes(Vec<NodeConfig>),
    /// Whether a group of nodes has an address here (`CTDB_LVS_NODES`): [`crate::node::Config::groups`] from now on.
    Group(bool),
    /// An operator asks something; the reply carries the number.
    Command {
        /// Number of the command.
        id: u64,
        /// The wish.
        command: Command,
    },
    /// The process was told to end (SIGTERM, SIGINT).
    Terminate,
}

/// News of the cluster lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockInput {
    /// It is ours; `previous` is the epoch that the last holder recorded in it.
    Acquired {
        /// Epoch found in the lock.
        previous: Option<Epoch>,
    },
    /// Our epoch is recorded in the lock.
    Recorded {
        /// The epoch.
        epoch: Epoch,
    },
    /// It is not ours any more.
    Lost {
        /// What was seen.
        why: String,
    },
}
