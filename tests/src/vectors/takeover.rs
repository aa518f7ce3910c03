//! `takeover-run-vector/1`: takeover-run cases. Reads them, and runs recoverd's machine against fake nodes.

use super::takeover_nodes::FakeNodes;
use super::takeover_outcome::Outcome;
use recoverd::control::ControlKind;
use recoverd::model::tunables::UnknownTunable;
use recoverd::model::{Epoch, Mono, NodeFlags, Pnn, RunId, RunState, Tunables};
use recoverd::takeover::{Run, RunAction, RunConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Most nodes that a vector may have.
const MAX_NODES: u32 = 65_536;

/// What is wrong with a vector.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// It does not have the fields of a `takeover-run-vector/1`.
    #[error("not a takeover-run-vector/1 object: {0}")]
    Shape(#[from] serde_json::Error),
    /// It says that it is something else.
    #[error("schema is `{0}`; only `takeover-run-vector/1` can be read here")]
    Schema(String),
    /// A node has a flag that does not exist.
    #[error(
        "node {pnn} has flag `{flag}`; known are DISCONNECTED, UNHEALTHY, DISABLED, BANNED, DELETED and STOPPED"
    )]
    Flag {
        /// The node.
        pnn: u32,
        /// The flag.
        flag: String,
    },
    /// A node number is used that the vector does not describe.
    #[error("node {0} is named, but not described under `nodes`")]
    Node(i64),
    /// A tunable does not exist.
    #[error(transparent)]
    Tunable(#[from] UnknownTunable),
}

/// A case.
#[derive(Debug, Clone, Deserialize)]
pub struct Vector {
    schema: Option<String>,
    /// Its name.
    pub id: String,
    /// Name of the algorithm; where the number means another one here than in the reference, the name counts.
    #[serde(default)]
    algorithm: Option<String>,
    /// The node that performs the run.
    pub run_on: u32,
    /// The nodes.
    pub nodes: Vec<VectorNode>,
    /// The addresses.
    pub ips: Vec<VectorIp>,
    #[serde(default)]
    tunables: BTreeMap<String, u32>,
    #[serde(default)]
    failover_disabled: bool,
    #[serde(default)]
    force_rebalance_nodes: Vec<u32>,
    /// What the nodes refuse, or do not answer.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The reference's record.
    pub expect: Option<Outcome>,
}

/// One node.
#[derive(Debug, Clone, Deserialize)]
pub struct VectorNode {
    /// Number.
    pub pnn: u32,
    flags: Vec<String>,
    runstate: RunState,
}

/// One address.
#[derive(Debug, Clone, Deserialize)]
pub struct VectorIp {
    /// The address.
    pub addr: IpAddr,
    /// Owner on entry; -1 for nobody.
    pub owner: i64,
    /// Nodes that have it in their configuration.
    pub configured: Vec<u32>,
}

/// A control that goes wrong at a node.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// Which.
    pub control: ControlKind,
    /// Where.
    pub node: u32,
    /// How.
    pub kind: FaultKind,
}

/// How a control goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// The node refuses at once.
    Error,
    /// The node does not answer.
    Timeout,
}

/// The line that `takeover-vectors` prints.
#[derive(Debug, Serialize)]
pub struct Line {
    id: String,
    #[serde(flatten)]
    outcome: Outcome,
}

impl VectorNode {
    /// Its flags.
    ///
    /// # Errors
    /// One that does not exist.
    pub fn flags(&self) -> Result<NodeFlags, VectorError> {
        self.flags.iter().try_fold(NodeFlags::NONE, |all, flag| {
            let bit = match flag.as_str() {
                "DISCONNECTED" => NodeFlags::DISCONNECTED,
                "UNHEALTHY" => NodeFlags::UNHEALTHY,
                "DISABLED" => NodeFlags::DISABLED,
                "BANNED" => NodeFlags::BANNED,
                "DELETED" => NodeFlags::DELETED,
                "STOPPED" => NodeFlags::STOPPED,
                _ => return Err(VectorError::Flag { pnn: self.pnn, flag: flag.clone() }),
            };
            Ok(all | bit)
        })
    }

    /// Its run state.
    #[must_use]
    pub fn runstate(&self) -> RunState {
        self.runstate
    }
}

impl Vector {
    /// Reads a vector from JSON.
    ///
    /// # Errors
    /// It is not a `takeover-run-vector/1`, or names what it does not describe.
    pub fn from_json(value: Value) -> Result<Self, VectorError> {
        let vector: Self = serde_json::from_value(value)?;
        if let Some(schema) = vector.schema.as_ref().filter(|s| *s != "takeover-run-vector/1") {
            return Err(VectorError::Schema(schema.clone()));
        }
        let described = |n: u32| vector.nodes.iter().any(|node| node.pnn == n && n < MAX_NODES);
        let owners = vector.ips.iter().map(|ip| ip.owner).filter(|o| *o != -1);
        let named = vector
            .ips
            .iter()
            .flat_map(|ip| &ip.configured)
            .chain(vector.faults.iter().map(|f| &f.node))
            .chain(vector.nodes.iter().map(|n| &n.pnn))
            .chain([&vector.run_on]);
        for n in owners.chain(named.map(|n| i64::from(*n))) {
            u32::try_from(n).ok().filter(|n| described(*n)).ok_or(VectorError::Node(n))?;
        }
        Ok(vector)
    }

    /// Whether a JSON value is meant as a whole vector.
    #[must_use]
    pub fn looks_like(value: &Value) -> bool {
        value.get("run_on").is_some()
    }

    /// The line that `takeover-vectors` prints.
    ///
    /// # Errors
    /// A flag or tunable does not exist.
    pub fn answer(&self) -> Result<Line, VectorError> {
        Ok(Line { id: self.id.clone(), outcome: self.outcome()? })
    }

    /// Whether EnableBans is on.
    #[must_use]
    pub fn bans(&self) -> bool {
        self.tunables.get("EnableBans").is_none_or(|v| *v != 0)
    }

    /// The tunables of the recmaster.
    fn tunables(&self) -> Result<Tunables, VectorError> {
        let mut tunables = Tunables::default();
        for (name, value) in &self.tunables {
            tunables.set(name, *value)?;
        }
        let number = match self.algorithm.as_deref() {
            Some("deterministic") => 0,
            Some("nondeterministic") => 1,
            Some("lcp2") => 2,
            _ => return Ok(tunables),
        };
        tunables.set("IPAllocAlgorithm", number)?;
        Ok(tunables)
    }

    /// Runs the machine against fake nodes. Time is virtual: when nobody answers any more it jumps to the deadline.
    ///
    /// # Errors
    /// A flag or tunable does not exist.
    pub fn outcome(&self) -> Result<Outcome, VectorError> {
        let mut nodes = FakeNodes::new(self, self.tunables()?)?;
        let id = RunId { epoch: Epoch { number: 1, pnn: Pnn(self.run_on) }, count: 1 };
        let mut config = RunConfig::new(id, Pnn(self.run_on), 1);
        config.failover_disabled = self.failover_disabled;
        config.force_rebalance = self.force_rebalance_nodes.iter().copied().map(Pnn).collect();
        let mut now = Mono(0);
        let (mut run, actions) = Run::start(config, now);
        let mut queue = VecDeque::from(actions);
        loop {
            match queue.pop_front() {
                Some(RunAction::Finished(report)) => {
                    return Ok(Outcome::new(&report, nodes.sent(), nodes.listing()));
                }
                Some(RunAction::Send { to, req, control }) => {
                    queue.extend(nodes.receive(&mut run, to, req, control, now));
                }
                None => {
                    now = run.deadline().unwrap_or(now);
                    queue.extend(run.tick(now));
                }
            }
        }
    }
}
