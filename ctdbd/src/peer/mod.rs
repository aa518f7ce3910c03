//! The links to the other daemons: gRPC over TCP, port 4379. This module owns the transport; TLS would be a change here only.
//!
//! Each daemon dials every other one and speaks on the stream that it dialled; what it hears comes on the stream that the other
//! dialled. As in CTDB a peer counts as connected while both directions are up ([`table::LinkTable`]). A process that dies closes its
//! connections, so that its peers know within milliseconds; a host that dies is noticed by silence, which `recoverd` judges.

mod accept;
mod dial;
mod serve;
mod table;

pub use accept::listen;
pub use dial::Dialer;
pub use serve::NodeService;
pub use table::{LinkTable, Up};

use proto::v1::node_client::NodeClient;
use proto::wire::Hello;
use recoverd::model::{Pnn, Session};
use recoverd::msg::PeerMsg;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::transport::Channel;

/// Messages that may wait for a slow peer; more, and the link is given up.
const QUEUE: usize = 8192;

/// What every link needs to know.
#[derive(Debug)]
pub struct Identity {
    /// What we say first.
    pub hello: Hello,
    /// Our private address: the source of what we dial.
    pub addr: IpAddr,
    /// Private addresses by node number; `None` for deleted ones.
    pub nodes: Vec<Option<IpAddr>>,
    /// TCP port of all node services.
    pub port: u16,
}

impl Identity {
    /// Checks what a peer says first.
    fn check(&self, hello: &Hello) -> Result<(), String> {
        let pnn = hello.pnn;
        if pnn == self.hello.pnn {
            return Err(format!(
                "it calls itself node {pnn}, which is this node: is the same nodes file line used twice?"
            ));
        }
        if self.nodes.get(pnn.index()).copied().flatten().is_none() {
            return Err(format!("it calls itself node {pnn}, which is not in our nodes file"));
        }
        if hello.nodes_hash != self.hello.nodes_hash {
            return Err(format!(
                "node {pnn} has another nodes file: make the files equal and restart the node that is wrong"
            ));
        }
        Ok(())
    }
}

/// The client with which calls are forwarded to a peer.
pub type PeerClient = NodeClient<Channel>;

/// News of one direction of a link.
#[derive(Debug)]
pub enum LinkEvent {
    /// We reached the peer.
    OutUp {
        /// The peer.
        pnn: Pnn,
        /// This life of it.
        session: Session,
        /// Number of the dialled link.
        link: u64,
        /// Where to put what it shall hear.
        outbox: mpsc::Sender<PeerMsg>,
        /// For forwarded calls.
        client: PeerClient,
    },
    /// What we dialled is gone.
    OutDown {
        /// The peer.
        pnn: Pnn,
        /// Number of the dialled link.
        link: u64,
        /// What was seen.
        why: String,
    },
    /// The peer reached us.
    InUp {
        /// The peer.
        pnn: Pnn,
        /// This life of it.
        session: Session,
        /// Number of the accepted link.
        link: u64,
        /// Dropping it closes the link.
        close: CloseHandle,
    },
    /// What the peer dialled is gone.
    InDown {
        /// The peer.
        pnn: Pnn,
        /// Number of the accepted link.
        link: u64,
        /// What was seen.
        why: String,
    },
    /// The peer said something.
    Message {
        /// The peer.
        pnn: Pnn,
        /// Number of the accepted link.
        link: u64,
        /// What it said.
        msg: PeerMsg,
    },
}

/// Closes the accepted link when the last one is dropped.
#[derive(Debug, Clone)]
pub struct CloseHandle(
    #[expect(dead_code, reason = "held for its drop")] Arc<tokio::sync::oneshot::Sender<()>>,
);
