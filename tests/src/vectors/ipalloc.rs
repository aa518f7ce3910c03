//! `ipalloc-vector/1`: allocation cases.

use recoverd::alloc::{AddrState, Algorithm, Allocation, HomeNodes, NodeReport, Problem, Step, merge};
use recoverd::model::{AddrKey, Pnn, addr_key};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most nodes that a vector may have: far above any cluster, far below what would exhaust memory.
const MAX_NODES: u32 = 65_536;

/// What is wrong with a vector.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// It does not have the fields of an `ipalloc-vector/1`.
    #[error("not an ipalloc-vector/1 object: {0}")]
    Shape(#[from] serde_json::Error),
    /// It says that it is something else.
    #[error("schema is `{0}`; only `ipalloc-vector/1` can be read here")]
    Schema(String),
    /// A step names an algorithm that does not exist.
    #[error("algorithm is `{0}`; it can be deterministic, nondeterministic, lcp2 or minimalmove")]
    Algorithm(String),
    /// An address cannot be read.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// A node number is outside of the node list.
    #[error("{addr}: {field} names node {node}, but nodes are 0 to {last} (-1 as owner: nobody)")]
    Node {
        /// The address concerned.
        addr: String,
        /// The field.
        field: &'static str,
        /// The number found.
        node: i64,
        /// Number of nodes minus one.
        last: i64,
    },
    /// More nodes than can be meant.
    #[error("num_nodes is {0}; at most {MAX_NODES} are accepted")]
    TooManyNodes(u32),
}

/// A case.
#[derive(Debug, Deserialize)]
pub struct Vector {
    schema: Option<String>,
    /// Its name.
    pub id: String,
    /// One or more questions, each with its inputs written out.
    pub steps: Vec<VectorStep>,
}

/// One question, and the reference's answer where it is given.
#[derive(Debug, Deserialize)]
pub struct VectorStep {
    algorithm: String,
    num_nodes: u32,
    #[serde(default)]
    tunables: Switches,
    #[serde(default)]
    force_rebalance_nodes: Vec<u32>,
    #[serde(default)]
    home_nodes: BTreeMap<String, i64>,
    /// The addresses.
    pub ips: Vec<VectorIp>,
    /// The reference's answer in its own order.
    #[serde(default)]
    pub expect: Vec<Expected>,
    /// The reference's answer to "can the cluster host anything".
    pub expect_can_host: Option<bool>,
    /// What the reference's LCP2 did, in order.
    pub trace: Option<Vec<Step>>,
}

#[derive(Debug, Default, Deserialize)]
struct Switches {
    #[serde(rename = "NoIPTakeover", default)]
    no_ip_takeover: u32,
    #[serde(rename = "NoIPFailback", default)]
    no_ip_failback: u32,
}

/// One address of a step.
#[derive(Debug, Deserialize)]
pub struct VectorIp {
    /// As written in the vector.
    pub addr: String,
    /// Owner after the merge; -1 for nobody.
    pub owner: i64,
    #[serde(default)]
    known: Vec<i64>,
    available: Vec<i64>,
    /// Where nodes disagree: what each of them says.
    reports: Option<BTreeMap<u32, i64>>,
}

/// The reference's answer for one address.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// As written in the vector.
    pub addr: String,
    /// -1 for nobody.
    pub owner: i64,
}

impl Vector {
    /// Reads a vector from JSON.
    ///
    /// # Errors
    /// It is not an `ipalloc-vector/1`.
    pub fn from_json(value: Value) -> Result<Self, VectorError> {
        let vector: Self = serde_json::from_value(value)?;
        match vector.schema {
            Some(schema) if schema != "ipalloc-vector/1" => Err(VectorError::Schema(schema)),
            _ => Ok(vector),
        }
    }

    /// Whether a JSON value is meant as a whole vector.
    #[must_use]
    pub fn looks_like(value: &Value) -> bool {
        value.get("steps").is_some()
    }

    /// The line that `ipalloc-vectors` prints: the answer of the only step, or an array of answers.
    ///
    /// # Errors
    /// A step cannot be asked.
    pub fn answer(&self) -> Result<Value, VectorError> {
        let mut results = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            results.push(step.result(&recoverd::alloc::allocate(&step.problem()?)));
        }
        let result = if results.len() == 1 { results.remove(0) } else { Value::Array(results) };
        Ok(json!({ "id": self.id, "result": result }))
    }
}

impl VectorStep {
    /// The question, made as a run makes it: from the reports of all nodes, merged.
    ///
    /// # Errors
    /// An address, a node number or the algorithm cannot be meant.
    pub fn problem(&self) -> Result<Problem, VectorError> {
        if self.num_nodes > MAX_NODES {
            return Err(VectorError::TooManyNodes(self.num_nodes));
        }
        let mut home_nodes = HomeNodes::default();
        for (addr, node) in &self.home_nodes {
            // Nodes that do not exist are to be ignored.
            if let Ok(node) = u32::try_from(*node) {
                home_nodes.add(parse(addr)?, Pnn(node));
            }
        }
        let mut addrs = merge(&self.reports()?);
        for ip in self.ips.iter().filter(|ip| ip.known.is_empty() && ip.available.is_empty() && ip.owner < 0)
        {
            addrs.push(AddrState { addr: parse(&ip.addr)?, owner: None, available: Default::default() });
        }
        Ok(Problem {
            algorithm: match self.algorithm.as_str() {
                "deterministic" => Algorithm::Deterministic,
                "nondeterministic" => Algorithm::NonDeterministic,
                "lcp2" => Algorithm::Lcp2,
                "minimalmove" => Algorithm::MinimalMove,
                other => return Err(VectorError::Algorithm(other.to_owned())),
            },
            num_nodes: self.num_nodes,
            addrs,
            no_ip_takeover: self.tunables.no_ip_takeover != 0,
            no_ip_failback: self.tunables.no_ip_failback != 0,
            force_rebalance: self.force_rebalance_nodes.iter().copied().map(Pnn).collect(),
            home_nodes,
            ..Problem::default()
        })
    }

    /// What each node reports. Where the vector gives no reports, every node that knows the address reports its owner.
    fn reports(&self) -> Result<Vec<NodeReport>, VectorError> {
        let mut reports: Vec<NodeReport> = (0..self.num_nodes)
            .map(|n| NodeReport { pnn: Pnn(n), known: Vec::new(), available: Vec::new() })
            .collect();
        for ip in &self.ips {
            let addr = parse(&ip.addr)?;
            let node = |field, node: i64| {
                let last = i64::from(self.num_nodes) - 1;
                let found = usize::try_from(node).ok().filter(|n| *n < reports.len());
                found.ok_or_else(|| VectorError::Node { addr: ip.addr.clone(), field, node, last })
            };
            let mut known = BTreeMap::new();
            for n in &ip.available {
                known.insert(node("available", *n)?, None);
            }
            for n in &ip.known {
                known.insert(node("known", *n)?, None);
            }
            let claim = |field, owner: i64| match owner {
                -1 => Ok(None),
                owner => node(field, owner).map(|n| Some(Pnn(n as u32))),
            };
            let owner = claim("owner", ip.owner)?;
            if let Some(said) = &ip.reports {
                for (n, owner) in said {
                    known.insert(node("reports", i64::from(*n))?, claim("reports", *owner)?);
                }
            } else {
                if let Some(o) = owner {
                    known.insert(o.index(), None);
                }
                known.values_mut().for_each(|said| *said = owner);
            }
            let available =
                ip.available.iter().map(|n| node("available", *n)).collect::<Result<Vec<_>, _>>()?;
            available.into_iter().for_each(|n| reports[n].available.push(addr));
            known.into_iter().for_each(|(n, said)| reports[n].known.push((addr, said)));
        }
        Ok(reports)
    }

    /// `[[addr, owner]…]` in the order of the answer, addresses as the vector writes them.
    fn result(&self, answer: &Allocation) -> Value {
        let written: BTreeMap<AddrKey, &str> = self
            .ips
            .iter()
            .filter_map(|ip| Some((addr_key(ip.addr.parse().ok()?), ip.addr.as_str())))
            .collect();
        let pair = |a: &recoverd::alloc::Assigned| {
            let text = written.get(&addr_key(a.addr)).map_or_else(|| a.addr.to_string(), |t| (*t).to_owned());
            json!([text, a.to.map_or(-1, |n| i64::from(n.0))])
        };
        answer.owners.iter().map(pair).collect()
    }
}

fn parse(text: &str) -> Result<IpAddr, VectorError> {
    text.parse().map_err(|_| VectorError::Address(text.to_owned()))
}
