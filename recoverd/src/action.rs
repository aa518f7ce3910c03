//! Everything a node may ask its driver to do, as values: the one way out of the machine.
//!
//! Every action is idempotent or carries a number; its result, where there is one, comes back as an [`crate::input::Input`].

use crate::command::Reply;
use crate::control::NodeInfo;
use crate::model::{Epoch, Event, Pnn, PublicAddress, RunId};
use crate::msg::PeerMsg;
use crate::takeover::RunReport;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// An output of [`crate::node::Node::handle`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Tell a peer.
    Send {
        /// The peer.
        to: Pnn,
        /// What.
        msg: PeerMsg,
    },
    /// The peer was silent too long: close its link, so that it is dialled anew.
    DropPeer {
        /// The peer.
        pnn: Pnn,
    },
    /// Run an event; ends with `Input::EventDone` or `Input::EventCancelled`.
    RunEvent {
        /// Number of the action.
        op: u64,
        /// The event.
        event: Event,
        /// For all its scripts together.
        timeout: Duration,
    },
    /// The nodes as the recmaster sees them in a run, for the event that follows.
    RunSeen(RunSeen),
    /// Dump links and addresses; ends with `Input::Kernel`.
    Observe,
    /// Announce an address by gratuitous ARP or unsolicited neighbour advertisement, several times.
    Announce {
        /// Interface that carries it.
        iface: String,
        /// The address.
        addr: IpAddr,
        /// How often.
        count: u32,
        /// Pause between two.
        interval: Duration,
    },
    /// Stop announcing an address: it is being released.
    StopAnnounce {
        /// The address.
        addr: IpAddr,
    },
    /// An address that is assigned elsewhere was found here: ask on the wire who else has it, and write both Ethernet addresses to the
    /// journal. Nothing waits for it.
    AskHolder {
        /// The interface that carries it here.
        iface: String,
        /// The address.
        addr: IpAddr,
    },
    /// The node's public addresses are these from now on, those included that are still being let go. What holds packets of public
    /// addresses back must know a new one before anything that follows is done.
    PublicAddresses {
        /// All of them.
        list: Vec<PublicAddress>,
    },
    /// The cluster lock.
    Lock(LockAction),
    /// For the lease layer.
    Lease(LeaseWish),
    /// Answer a command.
    Reply {
        /// Number of the command.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Write the administrative state before anything that follows is done.
    Persist(Persistent),
    /// Write to the journal.
    Journal(Entry),
    /// Write to the log.
    Log {
        /// How serious.
        level: Level,
        /// One line.
        text: String,
    },
    /// End the process.
    Exit {
        /// 0 after a clean stop.
        code: u8,
        /// One line for stderr and the log.
        why: String,
    },
}

/// What a node hears of the cluster's nodes in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSeen {
    /// The run.
    pub run: RunId,
    /// It is over, this node is running and heard its begin, too: every node that leads a group no more has let go, so that this one may
    /// lead.
    pub over: bool,
    /// The nodes.
    pub nodes: Vec<NodeInfo>,
}

/// What to do with the cluster lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockAction {
    /// Queue for it until it is ours.
    Acquire,
    /// Leave the queue, or give it back.
    Release,
    /// Record our epoch in it.
    Record(Epoch),
}

/// What the node machine tells the lease layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseWish {
    /// Every public address is off the kernel: a new session may begin.
    Dropped,
    /// Whether this node may be recmaster.
    Capable {
        /// May be.
        yes: bool,
    },
    /// The daemon ends in order and holds nothing.
    Leaving,
}

/// CTDB's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something looks wrong.
    Warning,
    /// Something an operator wants to know.
    Notice,
    /// Details.
    Info,
}

/// What must survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistent {
    /// Highest epoch seen.
    pub epoch: Epoch,
    /// `ctdb disable` is in force.
    pub disabled: bool,
    /// `ctdb stop` is in force.
    pub stopped: bool,
    /// Rest of a ban, counted from now.
    pub banned_for: Option<Duration>,
}

/// Kinds of journal entries, the second column of `ctdb timeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A takeover run ended.
    Run,
    /// An address was put back after somebody removed it.
    Repair,
    /// An address that is not ours was found here and removed.
    Stray,
    /// An address was taken, released or moved between interfaces here.
    Address,
    /// Our flags or run state changed.
    State,
    /// Another recmaster, or none.
    Leader,
    /// A peer came or went.
    Peer,
    /// A link changed.
    Link,
    /// An event failed or hung.
    Event,
    /// An operator asked for something.
    Operator,
}

impl Kind {
    /// The word in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Repair => "repair",
            Self::Stray => "stray",
            Self::Address => "address",
            Self::State => "state",
            Self::Leader => "leader",
            Self::Peer => "peer",
            Self::Link => "link",
            Self::Event => "event",
            Self::Operator => "operator",
        }
    }
}

/// A journal entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// One sentence for a person.
    pub text: String,
    /// The report, for runs.
    pub report: Option<Box<RunReport>>,
}
