//! Samba CTDB of Debian as a product: its own defaults and event scripts, three nodes, a lock file that all share, as in
//! `shared/BASELINE.md`. Needs root: its paths are compiled in, so each node gets them by bind mounts in its own mount namespace.

use super::product::{Product, run};
use crate::lab::{Lab, LabError, Process};
use std::fs::{self, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where Debian's package has what we need.
const DAEMON: &str = "/usr/sbin/ctdbd";
const COMMAND: &str = "/usr/bin/ctdb";

pub(super) struct Ctdb;

impl Ctdb {
    fn dir(lab: &Lab, node: usize) -> PathBuf {
        lab.dir().join(format!("ctdb{node}"))
    }

    fn helper() -> Result<PathBuf, LabError> {
        let places =
            ["/usr/lib/x86_64-linux-gnu/ctdb", "/usr/lib/aarch64-linux-gnu/ctdb", "/usr/libexec/ctdb"];
        let found = places.iter().map(|p| Path::new(p).join("ctdb_mutex_fcntl_helper")).find(|p| p.exists());
        found.ok_or_else(|| {
            LabError::Refused("ctdb_mutex_fcntl_helper of Debian's package ctdb is missing".to_owned())
        })
    }

    fn write(lab: &Lab, node: usize, addresses: &[IpAddr], iface: &str, lock: &str) -> io::Result<()> {
        let dir = Self::dir(lab, node);
        let etc = dir.join("etc");
        for database in ["volatile", "persistent", "state"] {
            fs::create_dir_all(dir.join("var").join(database))?;
        }
        copy(Path::new("/etc/ctdb"), &etc)?;
        let conf = format!(
            "[logging]\n\tlocation = file:{}\n\tlog level = NOTICE\n[cluster]\n\tcluster lock = {lock}\n",
            dir.join("log").display()
        );
        fs::write(etc.join("ctdb.conf"), conf)?;
        let nodes: String = (0..lab.nodes()).map(|n| format!("192.168.20.{}\n", 41 + n)).collect();
        fs::write(etc.join("nodes"), nodes)?;
        let public: String = addresses.iter().map(|a| format!("{a}/24 {iface}\n")).collect();
        fs::write(etc.join("public_addresses"), public)
    }
}

impl Product for Ctdb {
    fn prepare(&mut self, lab: &Lab, addresses: &[IpAddr], iface: &str) -> Result<(), LabError> {
        let lock = format!("!{} {}", Self::helper()?.display(), lab.dir().join("ctdb.lock").display());
        for node in 0..lab.nodes() {
            let failed = |e| LabError::io(format!("write CTDB's configuration of node {node}"), e);
            Self::write(lab, node, addresses, iface, &lock).map_err(failed)?;
            let dir = Self::dir(lab, node);
            let mounts = [("etc", "/etc/ctdb"), ("var", "/var/lib/ctdb")];
            for (from, to) in mounts {
                run(lab, node, "mount", &["--bind", &dir.join(from).to_string_lossy(), to])?;
            }
            run(lab, node, "mkdir", &["-p", "/run/ctdb"])?;
        }
        Ok(())
    }

    fn start(&mut self, lab: &Lab, node: usize) -> Result<Process, LabError> {
        let path = Self::dir(lab, node).join("stderr");
        let open = OpenOptions::new().create(true).append(true).open(&path);
        let both = open.and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = both.map_err(|e| LabError::io(format!("open {}", path.display()), e))?;
        lab.node(node).command(DAEMON).arg("-i").stdout(out).stderr(err).spawn()
    }

    fn leader(&self, lab: &Lab) -> Result<usize, LabError> {
        let text = run(lab, 0, COMMAND, &["leader"])?;
        text.trim().parse().map_err(|e| LabError::Refused(format!("leader {text:?}: {e}")))
    }

    fn disable(&self, lab: &Lab, node: usize, disable: bool) -> Result<bool, LabError> {
        run(lab, node, COMMAND, &[if disable { "disable" } else { "enable" }]).map(|_| true)
    }

    fn move_ip(&self, lab: &Lab, address: IpAddr, to: usize) -> Result<bool, LabError> {
        run(lab, 0, COMMAND, &["moveip", &address.to_string(), &to.to_string()]).map(|_| true)
    }

    fn stop(&self, lab: &Lab, node: usize, process: &Process) -> Result<(), LabError> {
        run(lab, node, COMMAND, &["shutdown"])?;
        process.wait(Duration::from_secs(60)).map(drop)
    }

    /// It gives up a silent node after 30 s.
    fn blind(&self) -> Duration {
        Duration::from_secs(40)
    }

    fn balances(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

/// A directory with everything below it; links stay links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
