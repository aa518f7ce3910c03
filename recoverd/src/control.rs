//! Controls: what a recmaster asks of a node during a takeover run, and the answers.
//!
//! Mirrors CTDB's controls of the same names (SEMANTICS B.2). One control carries all addresses of a node, and addresses are
//! answered one by one as they are done. Nothing here decides or sends.

use crate::model::{NodeFlags, Pnn, RunId, RunState, Tunables};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What is asked of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Control {
    /// The tunables of the node (the recmaster asks itself).
    GetAllTunables,
    /// The nodes as this node sees them (the recmaster asks itself).
    GetNodemap,
    /// The public addresses that the node knows, or only those it can host right now.
    GetPublicIps {
        /// Only those it could host now.
        available_only: bool,
    },
    /// Run `startipreallocate`: nothing has been released yet.
    StartIpreallocate {
        /// The run.
        run: RunId,
        /// The nodes as the recmaster sees them in this run.
        nodes: Vec<NodeInfo>,
    },
    /// Let go of addresses. Answered address by address.
    ReleaseIp {
        /// The run.
        run: RunId,
        /// Each address with the node that will have it, if any.
        addrs: Vec<(IpAddr, Option<Pnn>)>,
    },
    /// Take addresses. Answered address by address.
    TakeoverIp {
        /// The run.
        run: RunId,
        /// The addresses.
        addrs: Vec<IpAddr>,
    },
    /// Run `ipreallocated`: the run is over.
    Ipreallocated {
        /// The run.
        run: RunId,
        /// The owner of every address that the run knows, for the node's own record.
        owners: Vec<(IpAddr, Option<Pnn>)>,
        /// The nodes as the recmaster saw them in this run; the same as at its start.
        nodes: Vec<NodeInfo>,
    },
}

/// The kind of a [`Control`], for records and faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ControlKind {
    /// See [`Control::GetAllTunables`].
    GetAllTunables,
    /// See [`Control::GetNodemap`].
    GetNodemap,
    /// See [`Control::GetPublicIps`].
    GetPublicIps,
    /// See [`Control::StartIpreallocate`].
    StartIpreallocate,
    /// See [`Control::ReleaseIp`].
    ReleaseIp,
    /// See [`Control::TakeoverIp`].
    TakeoverIp,
    /// See [`Control::Ipreallocated`].
    Ipreallocated,
}

impl ControlKind {
    /// CTDB's name of the control.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetAllTunables => "GET_ALL_TUNABLES",
            Self::GetNodemap => "GET_NODEMAP",
            Self::GetPublicIps => "GET_PUBLIC_IPS",
            Self::StartIpreallocate => "START_IPREALLOCATE",
            Self::ReleaseIp => "RELEASE_IP",
            Self::TakeoverIp => "TAKEOVER_IP",
            Self::Ipreallocated => "IPREALLOCATED",
        }
    }
}

impl fmt::Display for ControlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Control {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ControlKind {
        match self {
            Self::GetAllTunables => ControlKind::GetAllTunables,
            Self::GetNodemap => ControlKind::GetNodemap,
            Self::GetPublicIps { .. } => ControlKind::GetPublicIps,
            Self::StartIpreallocate { .. } => ControlKind::StartIpreallocate,
            Self::ReleaseIp { .. } => ControlKind::ReleaseIp,
            Self::TakeoverIp { .. } => ControlKind::TakeoverIp,
            Self::Ipreallocated { .. } => ControlKind::Ipreallocated,
        }
    }
}

/// A node in the recmaster's node map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Number.
    pub pnn: Pnn,
    /// Flags as the recmaster sees them: the node's own, and DISCONNECTED.
    pub flags: NodeFlags,
    /// Run state as last heard.
    pub runstate: RunState,
}

/// What a node says about one of its public addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIp {
    /// The address.
    pub addr: IpAddr,
    /// The owner in this node's record. Only a claim of the node itself counts (SEMANTICS A.2).
    pub owner: Option<Pnn>,
    /// Whether the address is on an interface of this node now. A node that claims an address without holding it is asked to
    /// take it again; one that holds it without being meant to is asked to release it.
    pub held: bool,
    /// Why the node cannot host it now; `None` if it can.
    pub unavailable: Option<Unavailable>,
    /// The interfaces that may carry it on this node, in configuration order, each with its link (for `ctdb plan --without`).
    #[serde(default)]
    pub ifaces: Vec<IfaceLink>,
}

/// An interface of a public address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfaceLink {
    /// Name.
    pub name: String,
    /// Exists and has link.
    pub up: bool,
}

/// Why a node cannot host an address that it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// The node's flags forbid it.
    Flags(NodeFlags),
    /// The node is not (or no longer) RUNNING.
    RunState(RunState),
    /// None of the interfaces has link; those that do not exist are named too.
    NoLink(Vec<String>),
    /// An operator took it out of the node's configuration; it is being let go.
    Removed,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(flags) => write!(f, "the node is {flags}"),
            Self::RunState(r) => write!(f, "the node is in run state {r}"),
            Self::NoLink(ifaces) => write!(f, "no link on {}", ifaces.join(",")),
            Self::Removed => f.write_str("it is no public address of the node any more"),
        }
    }
}

/// The answer to a whole control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Ok,
    /// To [`Control::GetAllTunables`].
    Tunables(Tunables),
    /// To [`Control::GetNodemap`].
    Nodemap(Vec<NodeInfo>),
    /// To [`Control::GetPublicIps`].
    PublicIps(Vec<PublicIp>),
    /// Refused or failed, with the reason in words.
    Failed(String),
}
