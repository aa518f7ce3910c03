//! `ctdb lvs services`: the LVS director of a node, as plain words and numbers. What they mean is decided in the crate `lvs`.

use serde::{Deserialize, Serialize};

/// Everything about the director.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsReport {
    /// Whether it directs.
    pub state: LvsState,
    /// The configuration file.
    pub file: String,
    /// Why the file was refused when it was last read, a line for each finding; the configuration before it stays in force.
    pub refused: Vec<String>,
    /// Warnings about the configuration in force.
    pub warnings: Vec<String>,
    /// Connection sync daemons that run, such as `master on eth1`.
    pub sync: Vec<String>,
    /// What goes wrong beside single requests, such as a sync daemon that cannot be started.
    pub troubles: Vec<String>,
    /// What the self-test of the kernel found, by method.
    pub forwarding: Vec<LvsForwarding>,
    /// Virtual servers in the order of the file.
    pub services: Vec<LvsService>,
    /// Requests that the kernel refuses, with its words; each is tried again.
    pub failures: Vec<String>,
    /// Entries of the kernel's table that nobody here made.
    pub foreign: Vec<String>,
}

/// Whether a director directs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum LvsState {
    /// There is no configuration.
    #[default]
    Off,
    /// There is one that cannot be used; see `refused`.
    Refused,
    /// The kernel has not been asked yet.
    Starting,
    /// The kernel cannot be used, in words, with the remedy. Checks run all the same.
    NoKernel(String),
    /// It directs.
    On,
}

/// Whether a method really forwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsForwarding {
    /// `NAT`, `DR`, `TUN`.
    pub method: String,
    /// Whether it does; none when it could not be tried.
    pub works: Option<bool>,
    /// The line about it, with evidence and remedy.
    pub text: String,
}

/// One virtual server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsService {
    /// As it is declared: `192.0.2.1 80`, `fwmark 5`, `group web`.
    pub name: String,
    /// The self-test found that the kernel does not forward by a method of this service.
    pub does_not_forward: bool,
    /// Whether enough real servers live.
    pub quorum: bool,
    /// Whether the sorry server serves.
    pub sorry: bool,
    /// Real servers in the order of the file.
    pub servers: Vec<LvsServer>,
    /// Kernel services in order.
    pub kernel: Vec<LvsKernelService>,
}

/// One real server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsServer {
    /// Address and port.
    pub name: String,
    /// `up`, `down` or `unknown`.
    pub state: String,
    /// Whether it counts as up.
    pub up: bool,
    /// The last reason.
    pub reason: String,
    /// Configured weight.
    pub configured_weight: u32,
    /// Weight that its health gives it.
    pub weight: u32,
    /// Its checks: name, state and last reason.
    pub checks: Vec<(String, String, String)>,
}

/// One service of the kernel's table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsKernelService {
    /// `tcp 192.0.2.1:80`.
    pub service: String,
    /// `active`, `prepared` or `realserver`.
    pub place: String,
    /// Whether the kernel has it.
    pub present: bool,
    /// Scheduler, when it has.
    pub scheduler: String,
    /// What the kernel has counted.
    pub counters: LvsCounters,
    /// Destinations: those of the kernel.
    pub dests: Vec<LvsDest>,
}

/// One destination of the kernel's table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LvsDest {
    /// Address and port.
    pub dest: String,
    /// `NAT`, `DR`, `TUN …`.
    pub forward: String,
    /// Weight in the kernel.
    pub weight: u32,
    /// Established connections.
    pub active: u32,
    /// Others that are remembered.
    pub inactive: u32,
    /// What the kernel has counted.
    pub counters: LvsCounters,
    /// On its way out, for so many seconds more at most.
    pub drain_s: Option<u64>,
    /// Connections are scheduled and none becomes established although the checks pass.
    pub black_hole: bool,
}

/// Counters and rates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it; rates are per second")]
pub struct LvsCounters {
    pub connections: u64,
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub connections_rate: u64,
    pub bytes_in_rate: u64,
    pub bytes_out_rate: u64,
}
