//! A cluster of real daemons in a lab: what the stories and the demo have in common.

mod told;

use crate::lab::{Daemon, Lab, LabConfig, LabError, NodeConfig, Probe, wait_for};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Long enough for anything that works, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// How to build a cluster.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Number of nodes.
    pub nodes: usize,
    /// Public interfaces of every node; all of them may carry every address.
    pub ifaces: Vec<String>,
    /// The public addresses with mask, e.g. `10.0.0.31/24`.
    pub addresses: Vec<String>,
    /// Lines of `ctdb.tunables`.
    pub tunables: Vec<(String, u32)>,
    /// Executables in `events/legacy` of every node: name and text.
    pub legacy: Vec<(String, String)>,
    /// Text of `script.options`; no file if empty.
    pub script_options: String,
    /// No cluster lock: the nodes vote.
    pub no_reclock: bool,
}

impl Default for ClusterConfig {
    /// Three nodes, six addresses, one bond-like interface.
    fn default() -> Self {
        Self {
            nodes: 3,
            ifaces: vec!["bond0".to_owned()],
            addresses: (31..=36).map(|n| format!("10.0.0.{n}/24")).collect(),
            tunables: Vec::new(),
            legacy: Vec::new(),
            script_options: String::new(),
            no_reclock: false,
        }
    }
}

/// Daemons in a lab. Ends with it.
#[derive(Debug)]
pub struct Cluster {
    /// Declared before the lab: they end first.
    daemons: Vec<Option<Daemon>>,
    /// The network.
    pub lab: Lab,
    /// The public addresses, in the order of the configuration.
    pub addresses: Vec<IpAddr>,
    /// The first public interface.
    pub iface: String,
}

impl Cluster {
    /// Writes the configuration of all nodes into a lab; no daemon is started yet.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn prepare(lab: Lab, config: &ClusterConfig) -> Result<Self, LabError> {
        let addresses = config
            .addresses
            .iter()
            .map(|a| {
                let addr = a.split('/').next().unwrap_or_default();
                addr.parse().map_err(|e| LabError::Refused(format!("public address {a}: {e}")))
            })
            .collect::<Result<Vec<IpAddr>, _>>()?;
        let node_config = NodeConfig {
            public_addresses: config
                .addresses
                .iter()
                .map(|a| format!("{a} {}", config.ifaces.join(",")))
                .collect(),
            tunables: config.tunables.clone(),
            legacy: config.legacy.clone(),
            no_reclock: config.no_reclock,
            ..NodeConfig::default()
        };
        for node in 0..config.nodes {
            let paths = lab.write_node_config(node, &node_config)?;
            if !config.script_options.is_empty() {
                let path = paths.base.join("script.options");
                std::fs::write(&path, &config.script_options)
                    .map_err(|e| LabError::io(format!("write {}", path.display()), e))?;
            }
        }
        let daemons = (0..config.nodes).map(|_| None).collect();
        let iface = config.ifaces.first().cloned().unwrap_or_default();
        Ok(Self { daemons, lab, addresses, iface })
    }

    /// For tests: a lab with all daemons started and all addresses served in a balanced way, or nothing where no lab can be had.
    ///
    /// # Panics
    /// When the cluster does not come up.
    #[must_use]
    pub fn for_test(test: &str, config: &ClusterConfig) -> Option<Self> {
        let lab_config = LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() };
        let lab = Lab::for_test(test, &lab_config)?;
        let mut cluster = Self::prepare(lab, config).unwrap_or_else(|e| panic!("{test}: {e}"));
        for node in 0..config.nodes {
            cluster.start(node).unwrap_or_else(|e| panic!("{test}: {e}"));
        }
        cluster.wait_balanced(&(0..config.nodes).collect::<Vec<_>>());
        Some(cluster)
    }

    /// Starts the daemon of a node.
    ///
    /// # Errors
    /// It cannot be executed.
    pub fn start(&mut self, node: usize) -> Result<(), LabError> {
        let daemon = self.lab.start_daemon(node)?;
        self.daemons[node] = Some(daemon);
        Ok(())
    }

    /// The daemon of a node.
    ///
    /// # Panics
    /// When it was never started.
    #[must_use]
    pub fn daemon(&self, node: usize) -> &Daemon {
        self.daemons[node].as_ref().unwrap_or_else(|| panic!("the daemon of node {node} was not started"))
    }

    /// Runs `ctdb` on a node; its standard output.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn ctdb(&self, node: usize, args: &[&str]) -> String {
        let (code, out, err) = self.try_ctdb(node, args);
        assert!(code == 0, "`ctdb {}` on node {node} exited with {code}\n{out}{err}", args.join(" "));
        out
    }

    /// Runs `ctdb` on a node: exit status, standard output, standard error.
    ///
    /// # Panics
    /// When it cannot be executed.
    #[must_use]
    pub fn try_ctdb(&self, node: usize, args: &[&str]) -> (i32, String, String) {
        let output = self.lab.ctdb(node, args).unwrap_or_else(|e| panic!("`ctdb {}`: {e}", args.join(" ")));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Which nodes have each address in their kernel.
    ///
    /// # Panics
    /// When the lab does not answer.
    #[must_use]
    pub fn holders(&self) -> BTreeMap<IpAddr, Vec<usize>> {
        let mut holders: BTreeMap<IpAddr, Vec<usize>> =
            self.addresses.iter().map(|a| (*a, Vec::new())).collect();
        for node in 0..self.daemons.len() {
            let held = self
                .lab
                .node(node)
                .all_addresses()
                .unwrap_or_else(|e| panic!("addresses of node {node}: {e}"));
            for a in held {
                if let Some(nodes) = holders.get_mut(&a.address) {
                    nodes.push(node);
                }
            }
        }
        holders
    }

    /// The one node that has an address.
    ///
    /// # Panics
    /// When it is on none or on several.
    #[must_use]
    pub fn holder(&self, addr: IpAddr) -> usize {
        match self.holders().get(&addr).map(Vec::as_slice) {
            Some([node]) => *node,
            other => panic!("{addr} is on {other:?}\n{}", self.describe()),
        }
    }

    /// The addresses of a node.
    #[must_use]
    pub fn of(&self, node: usize) -> Vec<IpAddr> {
        self.holders().into_iter().filter(|(_, n)| n.contains(&node)).map(|(a, _)| a).collect()
    }

    /// Waits until every address is on exactly one of `nodes` and these have as many as each other, give or take one.
    ///
    /// # Panics
    /// When that does not come about.
    pub fn wait_balanced(&self, nodes: &[usize]) {
        self.wait(&format!("all addresses, balanced, on {nodes:?}"), |holders| {
            let mut counts: BTreeMap<usize, usize> = nodes.iter().map(|n| (*n, 0)).collect();
            for held in holders.values() {
                let [node] = held.as_slice() else { return false };
                let Some(count) = counts.get_mut(node) else { return false };
                *count += 1;
            }
            counts.values().max().zip(counts.values().min()).is_some_and(|(max, min)| max - min <= 1)
        });
    }

    /// Waits for a distribution of addresses.
    ///
    /// # Panics
    /// When it does not come about.
    pub fn wait(&self, what: &str, good: impl Fn(&BTreeMap<IpAddr, Vec<usize>>) -> bool) {
        let waited = wait_for(what, SOON, || {
            let holders = self.holders();
            if good(&holders) { Ok(()) } else { Err(format!("{holders:?}")) }
        });
        if let Err(e) = waited {
            panic!("{e}\n{}", self.describe());
        }
    }

    /// Waits until a node's `ctdb` prints something.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_output(&self, node: usize, args: &[&str], good: impl Fn(&str) -> bool) -> String {
        let waited =
            wait_for(&format!("the right output of `ctdb {}` on node {node}", args.join(" ")), SOON, || {
                let (_, out, err) = self.try_ctdb(node, args);
                if good(&out) { Ok(out) } else { Err(format!("{out}{err}")) }
            });
        waited.unwrap_or_else(|e| panic!("{e}\n{}", self.describe()))
    }

    /// A probe of all addresses from the client, all of them answering.
    ///
    /// # Panics
    /// When they do not answer.
    #[must_use]
    pub fn probe(&self) -> Probe {
        let probe = self.lab.probe(&self.addresses).unwrap_or_else(|e| panic!("probe: {e}"));
        if let Err(e) = probe.wait_all_answer(SOON) {
            panic!("{e}\n{}", self.describe());
        }
        probe
    }

    /// Everything worth knowing when a test fails.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut out = format!("holders: {:?}\n", self.holders());
        for node in 0..self.daemons.len() {
            let (_, status, err) = self.try_ctdb(node, &["status"]);
            out.push_str(&format!("--- node {node}: ctdb status\n{status}{err}"));
        }
        out
    }
}
