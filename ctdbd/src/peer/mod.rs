//! The links to the other daemons: gRPC over TCP, port 4379. This module owns the transport; TLS would be a change here only.
//!
//! Each daemon dials every other one and speaks on the stream that it dialled; what it hears comes on the stream that the other
//! dialled. As in CTDB a peer counts as connected while both directions are up ([`table::LinkTable`]). A process that dies closes its
//! connections, so that its peers know within milliseconds; a host that dies is noticed by silence, which `recoverd` judges.

mod accept;
mod dial;
mod host;
mod serve;
mod table;

pub use accept::listen;
pub use dial::Dialer;
pub use serve::NodeService;
pub use table::{LinkTable, Up};

use proto::v1::node_client::NodeClient;
use proto::wire::Hello;
use recoverd::host::HostSeen;
use recoverd::model::{Pnn, Session};
use recoverd::msg::PeerMsg;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::mpsc;
use tonic::transport::Channel;

/// Messages that may wait for a slow peer; more, and the link is given up.
const QUEUE: usize = 8192;

/// What every link needs to know.
#[derive(Debug)]
pub struct Identity {
    /// This node.
    pub pnn: Pnn,
    /// Our private address: the source of what we dial.
    pub addr: IpAddr,
    /// TCP port of all node services.
    pub port: u16,
    session: Session,
    list: RwLock<List>,
    /// AllowMixedVersions.
    mixed: AtomicBool,
}

/// The nodes file in force.
#[derive(Debug)]
struct List {
    /// Private addresses by node number; `None` for deleted ones.
    nodes: Vec<Option<IpAddr>>,
    hash: u64,
    /// Of the file before: nodes that have not read the new one yet are still talked to.
    before: Option<u64>,
}

/// FNV-1a over the list: equal on all nodes and in all versions, which the standard hashers do not promise.
#[must_use]
pub fn nodes_hash(nodes: &[Option<IpAddr>]) -> u64 {
    let text: String = nodes.iter().map(|n| n.map_or("#\n".to_owned(), |a| format!("{a}\n"))).collect();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Of this program; daemons of another major.minor version are other programs.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Major and minor version.
fn series(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

impl Identity {
    /// With the nodes file of the start.
    #[must_use]
    pub fn new(pnn: Pnn, addr: IpAddr, port: u16, session: Session, nodes: Vec<Option<IpAddr>>) -> Self {
        let list = RwLock::new(List { hash: nodes_hash(&nodes), nodes, before: None });
        Self { pnn, addr, port, session, list, mixed: AtomicBool::new(false) }
    }

    fn list(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Private addresses by node number; `None` for deleted ones.
    #[must_use]
    pub fn nodes(&self) -> Vec<Option<IpAddr>> {
        self.list().nodes.clone()
    }

    /// The hash of the nodes file in force.
    #[must_use]
    pub fn nodes_hash(&self) -> u64 {
        self.list().hash
    }

    /// The private address of a node that is not deleted.
    fn node(&self, pnn: Pnn) -> Option<IpAddr> {
        self.list().nodes.get(pnn.index()).copied().flatten()
    }

    /// Another nodes file is in force. Links that are up stay up; new ones may come with the file before, too.
    pub fn set_nodes(&self, nodes: Vec<Option<IpAddr>>) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let before = Some(list.hash);
        *list = List { hash: nodes_hash(&nodes), nodes, before };
    }

    /// AllowMixedVersions of this node.
    pub fn allow_mixed_versions(&self, yes: bool) {
        self.mixed.store(yes, Ordering::Relaxed);
    }

    /// What we say first.
    fn hello(&self) -> Hello {
        Hello {
            pnn: self.pnn,
            session: self.session,
            nodes_hash: self.nodes_hash(),
            version: VERSION.to_owned(),
        }
    }

    /// Checks what a peer says first.
    fn check(&self, hello: &Hello) -> Result<(), String> {
        let pnn = hello.pnn;
        if pnn == self.pnn {
            return Err(format!(
                "it calls itself node {pnn}, which is this node: is the same nodes file line used twice?"
            ));
        }
        if self.node(pnn).is_none() {
            return Err(format!("it calls itself node {pnn}, which is not in our nodes file"));
        }
        let list = self.list();
        if hello.nodes_hash != list.hash && Some(hello.nodes_hash) != list.before {
            return Err(format!(
                "node {pnn} has another nodes file: make the files equal on all nodes and run `ctdb reloadnodes`, or restart the node that is wrong"
            ));
        }
        if series(&hello.version) != series(VERSION) && !self.mixed.load(Ordering::Relaxed) {
            return Err(format!(
                "node {pnn} runs ctdbd {}, this node {VERSION}: nodes of different versions do not work together; install the same on both, \
                 or set the tunable AllowMixedVersions=1 on all nodes while you upgrade one after the other",
                hello.version
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
    /// The host of a peer that cannot be dialled was looked at.
    Host {
        /// The peer.
        pnn: Pnn,
        /// What follows.
        seen: HostSeen,
        /// By what, for people.
        evidence: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(nodes: &[&str]) -> Identity {
        let nodes = nodes.iter().map(|n| n.parse().ok()).collect();
        Identity::new(Pnn(0), "10.1.0.1".parse().unwrap(), 4379, Session(1), nodes)
    }

    fn hello(id: &Identity, pnn: u32) -> Hello {
        Hello { pnn: Pnn(pnn), ..id.hello() }
    }

    #[test]
    fn the_file_before_is_good_enough_while_it_is_being_replaced() {
        let (two, three) = (["10.1.0.1", "10.1.0.2"], ["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
        let (old, new) = (identity(&two), identity(&three));
        assert!(old.check(&hello(&new, 1)).unwrap_err().contains("another nodes file"));
        let late = hello(&old, 1);
        assert!(new.check(&late).is_err());
        old.set_nodes(new.nodes());
        assert_eq!(old.check(&hello(&new, 1)), Ok(()));
        assert_eq!(old.check(&hello(&new, 2)), Ok(()));
        assert_eq!(old.check(&late), Ok(()), "node 1 has not read it yet");
        old.set_nodes(vec![new.nodes()[0], None, new.nodes()[2]]);
        assert!(old.check(&hello(&old, 1)).unwrap_err().contains("not in our nodes file"));
    }

    #[test]
    fn other_versions_are_talked_to_only_where_that_is_allowed() {
        let id = identity(&["10.1.0.1", "10.1.0.2"]);
        let of = |version: &str| Hello { version: version.to_owned(), ..hello(&id, 1) };
        let (ours, other) = (series(VERSION).join("."), "99.0.3");
        assert_eq!(id.check(&of(&format!("{ours}.77"))), Ok(()), "a bug fix is no other version");
        let why = id.check(&of(other)).unwrap_err();
        assert!(why.contains("node 1 runs ctdbd 99.0.3") && why.contains("AllowMixedVersions=1"), "{why}");
        id.allow_mixed_versions(true);
        assert_eq!(id.check(&of(other)), Ok(()));
    }
}
