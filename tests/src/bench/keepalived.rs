//! keepalived of Debian as a product: one VRRP instance with all addresses, priorities 100, 90, 80, as in `shared/BASELINE.md`.

use super::product::{Product, run};
use crate::lab::{Lab, LabError, Process};
use std::fs::{self, OpenOptions};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// With a period of advertisements, in tenths of a second.
pub(super) struct Keepalived {
    pub(super) tenths: u32,
    addresses: Vec<IpAddr>,
}

impl Keepalived {
    pub(super) fn new(tenths: u32) -> Self {
        Self { tenths, addresses: Vec::new() }
    }

    fn dir(lab: &Lab, node: usize) -> PathBuf {
        lab.dir().join(format!("keepalived{node}"))
    }
}

impl Product for Keepalived {
    fn prepare(&mut self, lab: &Lab, addresses: &[IpAddr], iface: &str) -> Result<(), LabError> {
        self.addresses = addresses.to_vec();
        let version = if self.tenths < 10 { 3 } else { 2 };
        let listed: String = addresses.iter().map(|a| format!("        {a}/24 dev {iface}\n")).collect();
        for node in 0..lab.nodes() {
            let dir = Self::dir(lab, node);
            let text = format!(
                "global_defs {{\n    router_id n{node}\n    vrrp_version {version}\n}}\nvrrp_instance V {{\n    state BACKUP\n    \
                 interface {iface}\n    virtual_router_id 51\n    priority {}\n    advert_int {}\n    virtual_ipaddress {{\n{listed}    }}\n}}\n",
                100 - 10 * node,
                f64::from(self.tenths) / 10.0,
            );
            let path = dir.join("keepalived.conf");
            let written = fs::create_dir_all(&dir).and_then(|()| fs::write(&path, text));
            written.map_err(|e| LabError::io(format!("write {}", path.display()), e))?;
        }
        Ok(())
    }

    fn start(&mut self, lab: &Lab, node: usize) -> Result<Process, LabError> {
        let dir = Self::dir(lab, node);
        let log = dir.join("log");
        let open = OpenOptions::new().create(true).append(true).open(&log);
        let both = open.and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = both.map_err(|e| LabError::io(format!("open {}", log.display()), e))?;
        let command = lab.node(node).command("keepalived").args(["-n", "-l", "-D", "-P"]);
        let command = command.arg("-f").arg(dir.join("keepalived.conf"));
        let command = command.arg("-p").arg(dir.join("pid")).arg("-r").arg(dir.join("vrrp.pid"));
        command.stdout(out).stderr(err).spawn()
    }

    /// The master is whoever holds the addresses.
    fn leader(&self, lab: &Lab) -> Result<usize, LabError> {
        let first = self.addresses.first().ok_or_else(|| LabError::Refused("no address".to_owned()))?;
        let holders = lab.holders(*first)?;
        holders.first().copied().ok_or_else(|| LabError::Refused("there is no master".to_owned()))
    }

    fn disable(&self, _lab: &Lab, _node: usize, _disable: bool) -> Result<bool, LabError> {
        Ok(false)
    }

    fn move_ip(&self, _lab: &Lab, _address: IpAddr, _to: usize) -> Result<bool, LabError> {
        Ok(false)
    }

    fn stop(&self, _lab: &Lab, _node: usize, process: &Process) -> Result<(), LabError> {
        process.terminate()?;
        process.wait(Duration::from_secs(30)).map(drop)
    }

    /// The nodes talk over the public network: only VRRP itself is cut.
    fn cut(&self, lab: &Lab, node: usize, cut: bool) -> Result<(), LabError> {
        for chain in ["INPUT", "OUTPUT"] {
            run(lab, node, "iptables", &[if cut { "-A" } else { "-D" }, chain, "-p", "112", "-j", "DROP"])?;
        }
        Ok(())
    }

    fn blind(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn balances(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}
