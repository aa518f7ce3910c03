//! What a run is started with.

use crate::alloc::{Algorithm, HomeNodes, Weights};
use crate::model::{Pnn, RunId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What a run is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The run.
    pub id: RunId,
    /// The recmaster that performs it.
    pub me: Pnn,
    /// Number of the first control; the next run must start at [`Run::next_req`](super::Run::next_req), so that a late answer to one run
    /// is never taken for an answer to another.
    pub first_req: u64,
    /// Why the run happens, for the journal.
    pub causes: Vec<String>,
    /// Nodes that may gain addresses although they hold some (LCP2).
    pub force_rebalance: Vec<Pnn>,
    /// Addresses that an operator sends to a node (`ctdb moveip`). With any of these, all other addresses stay where they can.
    pub moves: Vec<(IpAddr, Pnn)>,
    /// The whole-cluster switch: nothing is assigned or released, only `ipreallocated` runs.
    pub failover_disabled: bool,
    /// Some group of nodes has an address that its leader has (LVS): every run begins with `startipreallocate`, so that it is let go.
    pub groups: bool,
    /// The `home_nodes` file.
    pub home_nodes: HomeNodes,
    /// Weights of nodes (algorithm 3).
    pub weights: Weights,
    /// Do it, or only say what would be done.
    pub mode: Mode,
}

impl RunConfig {
    /// An ordinary run of node `me`.
    #[must_use]
    pub fn new(id: RunId, me: Pnn, first_req: u64) -> Self {
        Self {
            id,
            me,
            first_req,
            causes: Vec::new(),
            force_rebalance: Vec::new(),
            moves: Vec::new(),
            failover_disabled: false,
            groups: false,
            home_nodes: HomeNodes::default(),
            weights: Weights::default(),
            mode: Mode::Execute,
        }
    }
}

/// Do it, or only say what would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A real run.
    Execute,
    /// Ends after allocation with the plan in the report: `ctdb plan`.
    DryRun(WhatIf),
}

/// Changes to what the nodes reported, before a dry run allocates. Applied in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WhatIf {
    /// These nodes are gone.
    pub down: Vec<Pnn>,
    /// These nodes are healthy. One that is not connected counts as knowing every address that another node knows.
    pub up: Vec<Pnn>,
    /// These addresses exist on every node.
    pub add: Vec<IpAddr>,
    /// These interfaces have no link on that node.
    pub without: Vec<(String, Pnn)>,
    /// Another `IPAllocAlgorithm`.
    pub algorithm: Option<Algorithm>,
}
