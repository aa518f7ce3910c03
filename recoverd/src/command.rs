//! What an operator may ask of a node (`ctdb COMMAND`), and what comes back.
//!
//! A command is an input like any other; its reply is an action with the same number. Commands that change something answer when
//! the change is in force: flags are announced and the addresses are reallocated.

use crate::control::PublicIp;
use crate::model::{Connection, Pnn, PublicAddress, RunId, Tunables};
use crate::takeover::WhatIf;
use crate::view::{IfaceRow, IpRow, StatusView};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An operator's wish, for the node that receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Node map, epoch, leader, run state.
    Status,
    /// Public addresses as this node knows them.
    Ips,
    /// Public addresses in the form that takeover runs use.
    PublicIps,
    /// Interfaces of the public addresses.
    Ifaces,
    /// All tunables.
    ListVars,
    /// Change a tunable of this node until it restarts.
    SetVar {
        /// Name; case does not matter.
        name: String,
        /// New value.
        value: u32,
    },
    /// No public addresses here until `Enable`.
    Disable,
    /// Takes `Disable` back.
    Enable,
    /// Leave the cluster's work, keep the daemon.
    Stop,
    /// Takes `Stop` back.
    Continue,
    /// Be banned for some time.
    Ban {
        /// For how long, at least 1.
        seconds: u32,
    },
    /// Takes a ban back.
    Unban,
    /// Let the recmaster run a takeover and wait for its end.
    IpReallocate,
    /// Move one address to a node.
    MoveIp {
        /// The address.
        addr: IpAddr,
        /// Where to.
        to: Pnn,
    },
    /// A public address more on this node, until it restarts or reads its file again (`ctdb addip`).
    AddIp {
        /// The address with its interfaces.
        public: PublicAddress,
    },
    /// A public address less on this node, until it restarts or reads its file again (`ctdb delip`).
    DelIp {
        /// The address.
        addr: IpAddr,
    },
    /// The public addresses of this node are these from now on (`ctdb reloadips`: the daemon has read its file).
    SetPublicAddresses {
        /// The whole file.
        list: Vec<PublicAddress>,
    },
    /// Treat an interface as having link or not, whatever the kernel says, until the next change of its link
    /// (`ctdb setifacelink`).
    SetIfaceLink {
        /// An interface of a public address.
        iface: String,
        /// With link.
        up: bool,
    },
    /// Announce an address once on an interface (`ctdb gratarp`).
    GratArp {
        /// The address.
        addr: IpAddr,
        /// The interface.
        iface: String,
    },
    /// May this node be recmaster, until it restarts (`ctdb setleaderrole`).
    SetLeaderRole {
        /// It may.
        on: bool,
    },
    /// Hand over, stop, exit.
    Shutdown,
    /// What would a run change? Answered by the recmaster only.
    Plan {
        /// The question.
        what_if: WhatIf,
    },
    /// Why is an address where it is? Answered by the recmaster only.
    Why {
        /// The address.
        addr: IpAddr,
    },
}

/// The answer to a [`Command`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done.
    Ok,
    /// Done, with something to tell on stderr, such as `Node 1 is already disabled`.
    Note(String),
    /// To [`Command::Status`].
    Status(StatusView),
    /// To [`Command::Ips`].
    Ips(Vec<IpRow>),
    /// To [`Command::PublicIps`].
    PublicIps(Vec<PublicIp>),
    /// To [`Command::Ifaces`].
    Ifaces(Vec<IfaceRow>),
    /// To [`Command::ListVars`].
    Tunables(Tunables),
    /// To [`Command::Plan`]: the dry run.
    Plan(Box<PlanReply>),
    /// To [`Command::Why`].
    Why(Box<WhyReply>),
    /// Not the recmaster: ask this node instead.
    AskLeader(Option<Pnn>),
    /// Refused or failed: what, why, and what to do.
    Error(String),
}

/// The answer to `ctdb plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanReply {
    /// The report of the dry run.
    pub report: crate::takeover::RunReport,
}

/// The answer to `ctdb why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReply {
    /// Why it is where it is, and why not elsewhere.
    pub explanation: crate::explain::Explanation,
    /// The run that put it there, if this recmaster ran it.
    pub decided_by: Option<RunId>,
}

/// What the daemon answers without asking its machine: processes, events, journal, logging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonCommand {
    /// `ctdb version`, also the version of the peer.
    Version,
    /// `ctdb getpid`.
    GetPid,
    /// `ctdb ping`.
    Ping,
    /// `ctdb uptime`.
    Uptime,
    /// `ctdb runstate`.
    RunState,
    /// `ctdb getreclock`.
    GetReclock,
    /// `ctdb getcapabilities`.
    GetCapabilities,
    /// `ctdb lease`.
    Lease,
    /// `ctdb getdebug`.
    GetDebug,
    /// `ctdb setdebug LEVEL`.
    SetDebug {
        /// One of ERROR WARNING NOTICE INFO DEBUG.
        level: String,
    },
    /// `ctdb event status legacy EVENT`.
    EventStatus {
        /// Name of the event.
        event: String,
    },
    /// `ctdb event run TIMEOUT legacy EVENT ARGS…`.
    EventRun {
        /// Seconds for the whole event.
        timeout_s: u32,
        /// Name of the event.
        event: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// `ctdb event script list legacy`.
    ScriptList,
    /// `ctdb event script enable|disable legacy NAME`.
    ScriptEnable {
        /// Name without `.script`.
        name: String,
        /// Enable or disable.
        on: bool,
    },
    /// `ctdb timeline [N]`.
    Timeline {
        /// How many of the last entries.
        count: u32,
    },
    /// `ctdb reloadips`: read the public addresses anew; answered when the run that follows has ended.
    ReloadIps,
    /// The nodes file as this node reads it now, for `ctdb reloadnodes`.
    NodesFile,
    /// `ctdb reloadnodes`: read the nodes file anew and go on with it.
    ReloadNodes,
    /// `ctdb gettickles IP [PORT]`: the connections to an address that the cluster knows.
    Tickles {
        /// The public address.
        addr: IpAddr,
        /// Only this port of it.
        port: Option<u16>,
    },
    /// `ctdb addtickle`.
    AddTickles {
        /// The connections.
        connections: Vec<Connection>,
    },
    /// `ctdb deltickle`.
    DelTickles {
        /// The connections.
        connections: Vec<Connection>,
    },
    /// `ctdb statistics`.
    Statistics,
    /// `ctdb statisticsreset`.
    StatisticsReset,
    /// `ctdb stats [COUNT]`: the last intervals of StatHistoryInterval, newest first.
    Stats {
        /// How many of them.
        count: u32,
    },
    /// `ctdb lvs services`.
    LvsServices,
    /// `ctdb lvs reload`: read `virtual_servers.conf` anew.
    LvsReload,
    /// `ctdb lvs drain`.
    LvsDrain {
        /// `tcp 192.0.2.1:80`, as the director names it.
        service: String,
        /// Address and port of the real server.
        real: String,
        /// Seconds until it goes, with connections or without.
        deadline_s: u32,
    },
    /// `ctdb lvs undrain`.
    LvsUndrain {
        /// As for `LvsDrain`.
        service: String,
        /// As for `LvsDrain`.
        real: String,
    },
}

/// The answer to a [`DaemonCommand`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonReply {
    /// Done.
    Ok,
    /// To `Version`.
    Version(String),
    /// To `GetPid`.
    Pid(u32),
    /// To `Ping`: connected clients of the local socket.
    Pong {
        /// How many.
        clients: u32,
    },
    /// To `Uptime`.
    Uptime(crate::view::UptimeView),
    /// To `RunState`.
    RunState(crate::model::RunState),
    /// To `GetReclock`: path or helper; `None` when there is no cluster lock.
    Reclock(Option<String>),
    /// To `GetCapabilities`.
    Capabilities {
        /// May be recmaster.
        leader: bool,
        /// Would be a location master of the database: kept for scripts, always as configured.
        lmaster: bool,
    },
    /// To `GetDebug`.
    Debug(String),
    /// To `Lease`; none where there are no leases.
    Lease(Option<Box<crate::view::LeaseReport>>),
    /// To `EventStatus`; `None` when the event has never run.
    Event(Option<crate::view::EventView>),
    /// To `EventRun`.
    EventRun(crate::model::EventOutcome),
    /// To `ScriptList`.
    Scripts(Vec<crate::view::ScriptInfo>),
    /// To `Timeline`, oldest first.
    Timeline(Vec<crate::view::JournalRow>),
    /// To `NodesFile`, in the order of the file.
    NodesFile(Vec<crate::node::NodeConfig>),
    /// To `Tickles`.
    Connections(Vec<Connection>),
    /// To `Statistics` (one) and `Stats` (newest first).
    Statistics(Vec<crate::view::StatisticsView>),
    /// To `LvsServices`.
    Lvs(Box<crate::view::lvs::LvsReport>),
    /// Done, with something to tell on stderr.
    Note(String),
    /// Refused or failed: what, why, and what to do.
    Error(String),
}

/// Anything that can be asked over the local socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnyCommand {
    /// For the machine.
    Node(Command),
    /// For the daemon around it.
    Daemon(DaemonCommand),
}

/// The answer to an [`AnyCommand`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnyReply {
    /// From the machine.
    Node(Reply),
    /// From the daemon.
    Daemon(DaemonReply),
}
