//! Inputs and actions of the lease machine: plain values, so that what a daemon saw can be replayed.

use super::clock::Clocks;
use super::{LeaseMsg, WaitReason};
use crate::model::{Epoch, Pnn, Session};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What the lock store keeps for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Epoch of the holder that wrote it.
    pub epoch: Epoch,
    /// Hash of its nodes file.
    pub list: u64,
    /// Its session then, which is the one that leads that epoch, if it had one.
    pub session: Option<Session>,
}

/// Something happened. The clocks of that moment come beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseInput {
    /// First input. The daemon has just started.
    Start {
        /// Highest epoch that the own store remembers; [`Epoch::NONE`] if it was lost, which is harmless.
        stored: Epoch,
        /// Hash and nodes of the list that was in force when the daemon ended, if it differs from the configured one.
        before: Option<(u64, Vec<Pnn>)>,
    },
    /// The time named by [`super::Lease::due_in`] has come.
    Tick,
    /// A peer's message.
    Msg {
        /// Its sender, as the transport knows it.
        from: Pnn,
        /// What it says.
        msg: LeaseMsg,
    },
    /// All public addresses are off the kernel and the set `held` is empty: a session may begin.
    Dropped {
        /// A random number never used before.
        session: Session,
    },
    /// The lock is ours; `previous` is the record found in it.
    LockAcquired {
        /// Record of the former holder.
        previous: Option<LockRecord>,
    },
    /// Our record is in the lock.
    LockRecorded {
        /// The epoch recorded.
        epoch: Epoch,
    },
    /// A round trip to the store that began at `asked_at` showed the lock ours.
    LockProved {
        /// Start of the round trip.
        asked_at: Clocks,
    },
    /// The lock is not ours any more.
    LockLost,
    /// The guard of a node closed the gate of this session and deleted its addresses.
    GuardReport {
        /// The node.
        pnn: Pnn,
        /// The session fenced.
        session: Session,
    },
    /// This daemon stops cleanly and has dropped everything.
    Leaving,
    /// Whether this node may be recmaster (active and leader capable).
    Capable {
        /// May be.
        yes: bool,
    },
    /// A new nodes file.
    NodesList {
        /// Nodes not deleted.
        nodes: Vec<Pnn>,
        /// Its hash.
        list: u64,
    },
    /// Recmaster: give this address to that node.
    Give {
        /// Address.
        addr: IpAddr,
        /// Taker.
        to: Pnn,
    },
    /// Recmaster: ask that node to release the address.
    Reclaim {
        /// Address.
        addr: IpAddr,
        /// Holder.
        from: Pnn,
    },
    /// Recmaster: a node released an address as asked.
    Released {
        /// Who.
        from: Pnn,
        /// The release, as it was sent. An answer of an older epoch says nothing: numbers begin anew (d15).
        command: Command,
    },
    /// Holder: a command of the recmaster came.
    Command(Command),
    /// Holder: the address is off the kernel and out of the set `held`.
    LetGo {
        /// Address.
        addr: IpAddr,
    },
}

/// A take or release, as it travels from recmaster to holder inside the upper layer's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Take, or release.
    pub take: bool,
    /// Epoch of the recmaster.
    pub epoch: Epoch,
    /// Session of the holder.
    pub session: Session,
    /// Counts up in the epoch.
    pub number: u64,
    /// The address.
    pub addr: IpAddr,
}

/// Which rule extended a lease (docs/leases.md, "Hold").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldRule {
    /// The recmaster acknowledged a beat.
    Recmaster,
    /// A majority of the nodes granted.
    Peers,
    /// The recmaster's own proof of the lock.
    Own,
}

/// How a node came to hold nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutHow {
    /// It joined with a newer session.
    JoinedAnew,
    /// It stopped cleanly.
    Shutdown,
    /// Its guard fenced that session.
    Guard,
    /// The wait is over and the lock was proven after it.
    Evicted,
}

/// For the lock's own thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockOrder {
    /// Wait for the lock until it is ours.
    Queue,
    /// Let it go, or stop waiting for it.
    Leave,
    /// Write this record; answer [`LeaseInput::LockRecorded`].
    Record(LockRecord),
    /// Prove it; answer [`LeaseInput::LockProved`] or [`LeaseInput::LockLost`].
    Prove {
        /// Now; comes back in the answer.
        at: Clocks,
    },
}

/// What the driver must do, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseAction {
    /// Send a datagram.
    Send {
        /// To.
        to: Pnn,
        /// What.
        msg: LeaseMsg,
    },
    /// The gate may be open until then.
    GateUntil {
        /// D: a point in time anchored at the sending of the request, not a duration from now (D9).
        deadline: Clocks,
        /// Which rule extended it.
        rule: HoldRule,
    },
    /// The session is over: shut the gate, empty the set `held`, drop all addresses, then say [`LeaseInput::Dropped`].
    Lapsed {
        /// The session that ended; `None` at start.
        session: Option<Session>,
    },
    /// For the lock's thread.
    Lock(LockOrder),
    /// Write the epoch to the own store; nothing waits for it.
    Remember {
        /// The epoch.
        epoch: Epoch,
    },
    /// This node moved to the epoch of that recmaster.
    Leader {
        /// The epoch; its `pnn` is the recmaster.
        epoch: Epoch,
        /// The recmaster welcomed us.
        welcomed: bool,
    },
    /// This node leads now.
    Leading {
        /// In this epoch.
        epoch: Epoch,
    },
    /// This node leads no more.
    NotLeading {
        /// The epoch that it led.
        epoch: Epoch,
    },
    /// Recmaster: a session joined.
    Joined {
        /// Node.
        pnn: Pnn,
        /// Session.
        session: Session,
        /// What it holds or is taking.
        addrs: Vec<IpAddr>,
    },
    /// Recmaster: a node holds nothing.
    Out {
        /// Node.
        pnn: Pnn,
        /// Its session, if it had joined.
        session: Option<Session>,
        /// How it is known.
        how: OutHow,
    },
    /// Recmaster: every node is joined or out; giving may begin.
    AllAccounted,
    /// Recmaster: send this command to the holder.
    Command {
        /// Holder.
        to: Pnn,
        /// What.
        command: Command,
    },
    /// Recmaster: the address cannot be given now.
    Denied {
        /// Address.
        addr: IpAddr,
        /// Why.
        why: WaitReason,
    },
    /// Holder: a take is in order: put the address into the set `held`, take it.
    Take(Command),
    /// Holder: a release is in order: release, say [`LeaseInput::LetGo`], then answer the recmaster.
    Release(Command),
    /// For the log and the journal.
    Journal {
        /// One line.
        text: String,
    },
}
