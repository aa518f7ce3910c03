//! ctdb-ip as a product.

use super::product::Product;
use crate::lab::{Lab, LabError, NodeConfig, Process, binaries, children};
use std::fs::OpenOptions;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The file of a node's steps.
pub(super) fn trace_file(lab: &Lab, node: usize) -> PathBuf {
    lab.dir().join(format!("trace{node}"))
}

/// One of its profiles.
pub(super) struct Ours {
    pub(super) lease_time: u32,
    pub(super) quorum: bool,
    /// The daemons write the steps of what they do to [`trace_file`].
    pub(super) trace: bool,
}

impl Default for Ours {
    fn default() -> Self {
        Self { lease_time: 1000, quorum: false, trace: false }
    }
}

impl Ours {
    /// Addresses of a network of 65534.
    pub(super) fn prepare_wide(&self, lab: &Lab, addresses: &[IpAddr], iface: &str) -> Result<(), LabError> {
        self.configure(lab, addresses, 16, iface)
    }

    fn configure(&self, lab: &Lab, addresses: &[IpAddr], mask: u8, iface: &str) -> Result<(), LabError> {
        let config = NodeConfig {
            public_addresses: addresses.iter().map(|a| format!("{a}/{mask} {iface}")).collect(),
            tunables: vec![("LeaseTime".to_owned(), self.lease_time)],
            no_reclock: self.quorum,
            ..NodeConfig::default()
        };
        (0..lab.nodes()).try_for_each(|node| lab.write_node_config(node, &config).map(drop))
    }
}

impl Product for Ours {
    fn prepare(&mut self, lab: &Lab, addresses: &[IpAddr], iface: &str) -> Result<(), LabError> {
        self.configure(lab, addresses, 24, iface)
    }

    fn start(&mut self, lab: &Lab, node: usize) -> Result<Process, LabError> {
        let paths = lab.paths(node);
        let open = OpenOptions::new().create(true).append(true).open(&paths.stderr);
        let both = open.and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = both.map_err(|e| LabError::io(format!("open {}", paths.stderr.display()), e))?;
        let trace =
            self.trace.then(|| ("CTDB_TRACE".to_owned(), trace_file(lab, node).display().to_string()));
        let command = lab.node(node).command(binaries()?.ctdbd).arg("-i").envs(paths.env()).envs(trace);
        command.stdout(out).stderr(err).spawn()
    }

    fn leader(&self, lab: &Lab) -> Result<usize, LabError> {
        let text = ctdb(lab, 0, &["leader"])?;
        text.trim().parse().map_err(|e| LabError::Refused(format!("leader {text:?}: {e}")))
    }

    fn disable(&self, lab: &Lab, node: usize, disable: bool) -> Result<bool, LabError> {
        ctdb(lab, node, &[if disable { "disable" } else { "enable" }]).map(|_| true)
    }

    fn move_ip(&self, lab: &Lab, address: IpAddr, to: usize) -> Result<bool, LabError> {
        ctdb(lab, 0, &["moveip", &address.to_string(), &to.to_string()]).map(|_| true)
    }

    fn stop(&self, _lab: &Lab, _node: usize, process: &Process) -> Result<(), LabError> {
        process.terminate()?;
        process.wait(Duration::from_secs(60)).map(drop)
    }

    /// The guard, which takes the addresses off when the daemon is gone.
    fn survivors(&self, daemon: i32) -> Vec<i32> {
        children(daemon)
    }

    fn blind(&self) -> Duration {
        Duration::from_secs(6)
    }

    fn balances(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

fn ctdb(lab: &Lab, node: usize, args: &[&str]) -> Result<String, LabError> {
    let output = lab.ctdb(node, args)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(LabError::Refused(format!("`ctdb {}` on node {node}: {words}", args.join(" "))))
}
