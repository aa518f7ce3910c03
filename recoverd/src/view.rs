//! What a node can tell about itself: the answers to the questions of the command line.
//!
//! Plain values, built from the machine's state by `node::views` and printed by `ctl`. Nothing here decides.

pub mod lvs;

use crate::host::HostSeen;
use crate::model::{Epoch, NodeFlags, Pnn, RunId, RunState, Session};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A row of `ctdb status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Number.
    pub pnn: Pnn,
    /// Private address.
    pub addr: IpAddr,
    /// Flags as the asked node sees them.
    pub flags: NodeFlags,
    /// Not known yet: the asked node is still starting.
    pub unknown: bool,
    /// No flag is set, and some but not all interfaces are down.
    pub partially_online: bool,
    /// What the asked node sees of its host while it is not connected; none before it has looked.
    pub host: Option<HostSeen>,
}

/// `ctdb status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The node that answers.
    pub this_node: Pnn,
    /// All nodes of the nodes file, deleted ones included.
    pub nodes: Vec<NodeRow>,
    /// Current epoch; `Epoch::NONE` prints as INVALID.
    pub epoch: Epoch,
    /// The recmaster, if one is known.
    pub leader: Option<Pnn>,
    /// True while there is no recmaster or its first run has not ended.
    pub in_recovery: bool,
    /// Run state of the answering node.
    pub runstate: RunState,
}

/// A row of `ctdb ip -v`, as the answering node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpRow {
    /// The address.
    pub addr: IpAddr,
    /// Mask bits.
    pub prefix: u8,
    /// Owner in the record of the answering node.
    pub owner: Option<Pnn>,
    /// Interface that carries it here now.
    pub active: Option<String>,
    /// Interfaces with link, in configuration order.
    pub available: Vec<String>,
    /// All configured interfaces.
    pub configured: Vec<String>,
    /// Whether the answering node could host it now.
    pub can_host: bool,
}

/// A row of `ctdb ifaces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IfaceRow {
    /// Name.
    pub name: String,
    /// Exists and has link.
    pub up: bool,
    /// Public addresses of this node on it.
    pub references: u32,
}

/// `ctdb uptime`. Wall-clock times are microseconds since 1970 and come from the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UptimeView {
    /// Now on the answering node.
    pub now_us: i64,
    /// Start of its daemon.
    pub started_us: i64,
    /// End of the last recovery or takeover run, if there was one.
    pub last_recovery_us: Option<i64>,
    /// How long that took, in microseconds.
    pub last_recovery_duration_us: u64,
}

/// State of one script in the last run of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ScriptState {
    /// Exit status 0.
    Ok,
    /// Another exit status; negative for a signal.
    Error {
        /// The status.
        code: i32,
    },
    /// Killed because the event's time was up.
    TimedOut,
    /// Not enabled.
    Disabled,
    /// Could not be started.
    CannotRun {
        /// The system's text for the error, e.g. `Permission denied`.
        reason: String,
    },
}

/// One script in the last run of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRow {
    /// Name without `.script`.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub state: ScriptState,
    /// How long it ran, in microseconds.
    pub duration_us: u64,
    /// Wall-clock start, microseconds since 1970.
    pub started_us: i64,
    /// What it printed, bounded.
    pub output: String,
}

/// `ctdb event status`: the last run of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Name of the event.
    pub event: String,
    /// Its scripts in order.
    pub scripts: Vec<ScriptRow>,
    /// Summary as an exit status: 0 or the first failing script's, 62 (ETIME) after a time-out.
    pub summary: i32,
}

/// A row of `ctdb event script list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptInfo {
    /// Name without `.script`.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Part of the daemon.
    pub builtin: bool,
    /// Comes from the shipped directory (CTDB lists these first, the local ones after a blank line).
    pub shipped: bool,
}

/// A line of the journal: what was seen, decided or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRow {
    /// Position in this node's journal, from 1.
    pub id: u64,
    /// Wall-clock time, microseconds since 1970.
    pub wall_us: i64,
    /// `run`, `repair`, `stray`, `flags`, `leader`, `peer`, `event`, `operator`, `start`, `stop`.
    pub kind: String,
    /// The takeover run it belongs to.
    pub run: Option<RunId>,
    /// One sentence for a person.
    pub text: String,
    /// Everything, for a program: a JSON document as text (`recoverd` has no JSON library).
    pub data: String,
}

/// A node in the eyes of the lease protocol's recmaster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// Not heard in this epoch: it may hold anything.
    Unheard,
    /// Joined with this session: it holds what it says.
    Joined(Session),
    /// It holds nothing, by these words.
    Out(String),
}

/// What the lease layer says, as a whole, whenever something of it changes; also `ctdb lease`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// The epoch this node is in.
    pub epoch: Epoch,
    /// Whether this node leads it now.
    pub leading: bool,
    /// The present session; none between a lapse and its end.
    pub session: Option<Session>,
    /// Whether the present session was ever extended: without that it cannot lapse, and must take nothing (docs/leases.md d13b).
    pub extended: bool,
    /// Counts the lapses of this life; each means: drop everything, then say so.
    pub lapses: u64,
    /// Only on the recmaster: all other nodes.
    pub seats: Vec<(Pnn, Seat)>,
}

/// `ctdb lease`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseReport {
    /// LeaseTime in microseconds.
    pub lease_time_us: u64,
    /// How much longer the node may serve if nothing extends it, in microseconds; none after a lapse.
    pub left_us: Option<u64>,
    /// What extended it last, for people.
    pub rule: String,
    /// State of the kernel gate, for people.
    pub gate: String,
    /// Whether the lease thread is a real-time thread, and why not, for people.
    pub scheduling: String,
    /// How much later than it wanted the lease thread went on, at worst since it started, in microseconds.
    pub late_max_us: u64,
    /// The lease layer's state.
    pub view: LeaseView,
}

/// Counters of one daemon over an interval: `ctdb statistics`, `ctdb stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsView {
    /// Begin of the interval, microseconds since 1970.
    pub since_us: i64,
    /// Its end, microseconds since 1970.
    pub now_us: i64,
    /// Counters in the order in which they are printed, with CTDB's names where CTDB has them.
    pub counters: Vec<CounterRow>,
    /// How long things took.
    pub latencies: Vec<LatencyRow>,
}

/// One counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRow {
    /// The heading that it stands under (`node`, `client`, `timeouts`), or nothing.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// One latency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyRow {
    /// Its name.
    pub name: String,
    /// How many were measured.
    pub count: u64,
    /// The shortest, in microseconds.
    pub min_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
    /// All together, in microseconds.
    pub total_us: u64,
}
