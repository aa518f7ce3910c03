//! What lease machines say to each other. Datagrams: any may be lost, doubled, late or overtaken.
//!
//! Every message carries the epoch or session it belongs to, every answer the number of its question (d14).

use super::clock::Micros;
use crate::model::{Epoch, Pnn, Session};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A message of the lease protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "fields are named by the terms of docs/leases.md")]
pub enum LeaseMsg {
    /// Recmaster to nodes that have not joined: this epoch exists.
    Announce { epoch: Epoch },
    /// To one who speaks in an older epoch: there is a higher one.
    Hint { epoch: Epoch },
    /// To the recmaster of a higher epoch: I am here, challenge me.
    Knock { session: Session, list: u64, heard: Epoch },
    /// The recmaster's answer: join with this nonce.
    Challenge { epoch: Epoch, nonce: u64, list: u64 },
    /// I move to your epoch with this session and what it holds.
    Join {
        epoch: Epoch,
        session: Session,
        nonce: u64,
        /// Addresses held or being taken.
        addrs: Vec<IpAddr>,
        /// The last grant to each node, this one included: to which session, and its age; for nodes not named, `uptime`.
        grants: Vec<(Pnn, Session, Micros)>,
        /// Age of this daemon.
        uptime: Micros,
        /// Highest epoch whose recmaster acknowledged this node or got a grant from it.
        supported: Epoch,
    },
    /// The session is joined.
    Welcome { epoch: Epoch, session: Session, settled: bool },
    /// A follower lives, and asks for its lease; `answered` is its last beat that was acknowledged in this epoch, 0 if none.
    Beat { epoch: Epoch, session: Session, seq: u64, answered: u64 },
    /// The lease is extended, counted from the sending of that beat.
    Ack { epoch: Epoch, session: Session, seq: u64, age: Micros, settled: bool },
    /// This session was ended: drop, and join anew.
    Refused { epoch: Epoch, session: Session },
    /// Grant me my lease (rule P; with lock `quorum` also the recmaster's proof).
    Ask { epoch: Epoch, session: Session, round: u64, welcomed: bool },
    /// Granted. `hushed`: this grantor is young, it counts only when all nodes granted.
    Grant { epoch: Epoch, session: Session, round: u64, hushed: bool },
    /// Recmaster: grant no more to this session in this epoch.
    Forbid { epoch: Epoch, id: u64, pnn: Pnn, session: Session },
    /// Promised; `age` of the last grant to any session of that node.
    Promise { epoch: Epoch, id: u64, pnn: Pnn, session: Session, age: Micros },
    /// A clean stop: this session holds nothing and ends.
    Bye { epoch: Epoch, session: Session },
    /// Lock `quorum`: would you vote for me?
    Canvass { id: u64, list: u64 },
    /// I would.
    Would { id: u64, hushed: bool, heard: Epoch },
}
