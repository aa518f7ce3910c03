//! The lab: a small network on this machine, made of namespaces, in which real daemons serve real addresses.
//!
//! Per lab: nodes `n0`, `n1`, … with a private interface `priv0` (192.168.20.41, .42, …; fd00:20::41, …) and public interfaces
//! (`pub0` unless named otherwise; own static addresses 10.0.0.11, …; fd00:a::11, …), a `client` with `eth0` (10.0.0.9, fd00:a::9) and a
//! `switch` with one bridge for each network. Every node answers on UDP port 7007 with its number; [`Lab::probe`] lets the client
//! ask addresses every millisecond.
//!
//! Works as root, and as an ordinary user where user namespaces are allowed. Everything of a lab lives in namespaces owned by
//! one process (`agent`): when the test ends in whatever way (return, panic, Ctrl-C, kill -9), the kernel removes processes
//! and interfaces of the lab, and only those. Any number of labs can be up at once.

pub mod agent;
mod clock;
mod config;
mod daemon;
mod download;
mod error;
mod etcd;
mod host;
mod observer;
mod probe;
mod process;
mod protocol;
mod record;
mod setup;
mod sys;
mod testimony;
mod wait;
mod witness;

pub use clock::now_ns;
pub use config::{NodeConfig, NodePaths};
pub use daemon::{Binaries, Daemon, binaries};
pub use download::{Download, Progress, Silence};
pub use error::{LabError, chain};
pub use etcd::Etcd;
pub use host::Host;
pub use observer::{Observer, Stall};
pub use probe::{Mark, Probe};
pub use process::{HostCommand, Process, children};
pub use protocol::{AddressEvent, HeldAddress, LinkState};
pub use record::{AddressReport, Gap, ProbeReport, Transition};
pub use testimony::{Dual, WitnessReport};
pub use wait::wait_for;
pub use witness::Witness;

use host::Control;
use process::Family;
use protocol::{InitConfig, Reply, Request, switch_port};
use setup::{host_name, new_directory, receive_hello};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a lab consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabConfig {
    /// How many nodes (1 to 64).
    pub nodes: usize,
    /// Names of each node's public interfaces, for example `bond0`. The first one has the node's static address.
    pub public_ifaces: Vec<String>,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self { nodes: 3, public_ifaces: vec!["pub0".to_owned()] }
    }
}

/// A running lab. It ends when dropped.
#[derive(Debug)]
pub struct Lab {
    hosts: Vec<Host>,
    control: Arc<Control>,
    family: Family,
    init: Child,
    dir: PathBuf,
    nodes: usize,
    /// The answer service of each node.
    services: Mutex<BTreeMap<usize, i32>>,
}

impl Lab {
    /// Makes the network and starts the answer service on every node.
    ///
    /// # Errors
    /// [`LabError::NoNamespaces`] where this machine does not allow it (a test skips then); others mean a fault.
    pub fn new(config: &LabConfig) -> Result<Self, LabError> {
        let agent = daemon::agent()?;
        let dir = new_directory()?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| LabError::io("make a socket pair", e))?;
        let keep = std::env::var_os("LAB_KEEP").is_some_and(|v| v == "1");
        let init_config = InitConfig {
            nodes: config.nodes.clamp(1, 64),
            public_ifaces: config.public_ifaces.clone(),
            remove_dir: (!keep).then(|| dir.clone()),
        };
        let text =
            serde_json::to_string(&init_config).map_err(|e| LabError::io("encode the config", e.into()))?;
        let guard = process::no_forks();
        let init = Command::new(&agent)
            .args(["init", &text])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| LabError::io(format!("run {}", agent.display()), e))?;
        drop(guard);
        let hello = receive_hello(&ours);
        let control = Arc::new(Control::new(ours));
        let family = Family::default();
        let services = Mutex::default();
        let mut lab =
            Self { hosts: Vec::new(), control, family, init, dir, nodes: init_config.nodes, services };
        // From here on an error drops the lab, which cleans up.
        let namespaces = hello?;
        for (number, namespaces) in namespaces.into_iter().enumerate() {
            lab.hosts.push(Host {
                number,
                name: host_name(number, lab.nodes),
                namespaces: Arc::new(namespaces),
                control: Arc::clone(&lab.control),
                family: Arc::clone(&lab.family),
                dir: lab.dir.clone(),
            });
        }
        for node in 0..lab.nodes {
            lab.serve(node)?;
        }
        Ok(lab)
    }

    /// Starts the answer service of a node; again, after it was killed.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn serve(&self, node: usize) -> Result<(), LabError> {
        let command = self.node(node).command(daemon::agent()?);
        let process = command.args(["echo", "--node", &node.to_string()]).spawn()?;
        self.services.lock().unwrap_or_else(PoisonError::into_inner).insert(node, process.pid());
        Ok(())
    }

    /// The number of the process that answers on a node, as seen by the test.
    #[must_use]
    pub fn service(&self, node: usize) -> Option<i32> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).get(&node).copied()
    }

    /// For tests: the lab, or nothing and a line that says why the test is skipped.
    ///
    /// # Panics
    /// When the lab fails for another reason than missing rights.
    #[must_use]
    pub fn for_test(test: &str, config: &LabConfig) -> Option<Self> {
        match Self::new(config) {
            Ok(lab) => Some(lab),
            Err(error @ LabError::NoNamespaces(_)) => {
                say(&format!("skipped: {test}: {error}"));
                None
            }
            Err(error) => panic!("{test}: no lab: {}", chain(&error)),
        }
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// A node, by its number.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, node: usize) -> &Host {
        assert!(node < self.nodes, "the lab has {} nodes, there is no node {node}", self.nodes);
        &self.hosts[node]
    }

    /// The client in the public network.
    #[must_use]
    pub fn client(&self) -> &Host {
        &self.hosts[self.nodes]
    }

    /// The switch.
    #[must_use]
    pub fn switch(&self) -> &Host {
        &self.hosts[self.nodes + 1]
    }

    /// The directory for config trees and logs; removed at the end unless `LAB_KEEP=1` is set.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Pulls the cable of a node's interface: it loses its carrier.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn cut_cable(&self, node: usize, iface: &str) -> Result<(), LabError> {
        self.switch().set_link(&switch_port(node, iface), false)
    }

    /// Plugs the cable in again.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn plug_cable(&self, node: usize, iface: &str) -> Result<(), LabError> {
        self.switch().set_link(&switch_port(node, iface), true)
    }

    /// Sets an interface down on the node itself.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn link_down(&self, node: usize, iface: &str) -> Result<(), LabError> {
        self.node(node).set_link(iface, false)
    }

    /// Sets it up again.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn link_up(&self, node: usize, iface: &str) -> Result<(), LabError> {
        self.node(node).set_link(iface, true)
    }

    /// Separates a node from the other nodes' private network.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut_private(&self, node: usize) -> Result<(), LabError> {
        self.cut_cable(node, "priv0")
    }

    /// Joins it again.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn heal_private(&self, node: usize) -> Result<(), LabError> {
        self.plug_cable(node, "priv0")
    }

    /// The nodes that have the address on an interface right now.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn holders(&self, address: IpAddr) -> Result<Vec<usize>, LabError> {
        let mut holders = Vec::new();
        for node in 0..self.nodes {
            if self.node(node).holds(address)? {
                holders.push(node);
            }
        }
        Ok(holders)
    }

    /// Every appearance and disappearance of an address on any host since the lab began, as the kernel told it.
    ///
    /// # Errors
    /// When the lab's init is gone.
    pub fn address_events(&self) -> Result<Vec<AddressEvent>, LabError> {
        match self.control.ask(&Request::AddressEvents)? {
            Reply::Events(events) => Ok(events),
            other => Err(LabError::unexpected(&other)),
        }
    }

    /// Starts asking `addresses` from the client: each one every millisecond (every two from the 17th address on).
    ///
    /// # Errors
    /// When the prober cannot be started.
    pub fn probe(&self, addresses: &[IpAddr]) -> Result<Probe, LabError> {
        self.probe_from(self.client(), addresses)
    }

    /// The same from another host, for example from node to node over the private network.
    ///
    /// # Errors
    /// When the prober cannot be started.
    pub fn probe_from(&self, host: &Host, addresses: &[IpAddr]) -> Result<Probe, LabError> {
        let interval = if addresses.len() > 16 { "2000" } else { "1000" };
        let mut command = host.command(daemon::agent()?).args(["probe", "--interval-us", interval]);
        for address in addresses {
            command = command.arg("--addr").arg(address.to_string());
        }
        Probe::new(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    }

    /// The last lines of all logs below the lab's directory.
    #[must_use]
    pub fn log_tails(&self, lines: usize) -> String {
        let mut text = String::new();
        for node in 0..self.nodes {
            let paths = self.paths(node);
            for path in [paths.stderr, paths.log] {
                let all = fs::read_to_string(&path).unwrap_or_default();
                let all: Vec<&str> = all.lines().collect();
                if all.is_empty() {
                    continue;
                }
                let tail = all[all.len().saturating_sub(lines)..].join("\n");
                text.push_str(&format!("--- {}\n{tail}\n", path.display()));
            }
        }
        text
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("the lab was in {}\n{}", self.dir.display(), self.log_tails(40)));
        }
        // Process 1 ends at this, and the kernel kills the others. They are our children: the pid namespace is gone only when
        // they have been waited for.
        self.control.close();
        let mut killed = Ok(());
        for member in self.family.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            killed = killed.and(member.wait(Duration::from_secs(10)).map(drop));
        }
        if let Err(error) = killed {
            say(&format!("the lab does not end by itself: {error}"));
            self.init.kill().ok();
        }
        self.init.wait().ok();
    }
}

/// For people: on standard error, whether or not the test harness captures output.
pub(crate) fn say(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}
