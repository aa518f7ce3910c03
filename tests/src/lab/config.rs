//! The config tree of a node: CTDB's own files, below the lab's directory.
//!
//! `DIR/n0/etc/ctdb/{ctdb.conf,nodes,public_addresses,ctdb.tunables,events/legacy/}`, `DIR/n0/run`, `DIR/n0/var`. The daemon and
//! the commands find them through `CTDB_BASE`, `CTDB_SOCKET`, `CTDB_RUNDIR` and `CTDB_VARDIR`.

use super::process::no_forks;
use super::protocol::private_v4;
use super::{Lab, LabError};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What to write for a node.
#[derive(Debug, Clone, Default)]
pub struct NodeConfig {
    /// Lines of `nodes`; all nodes' private IPv4 addresses if `None`.
    pub nodes: Option<Vec<String>>,
    /// Lines of `public_addresses`; no file if empty.
    pub public_addresses: Vec<String>,
    /// Lines of `ctdb.tunables`; no file if empty.
    pub tunables: Vec<(String, u32)>,
    /// The cluster lock; a file that all nodes of the lab share if `None`.
    pub reclock: Option<PathBuf>,
    /// No cluster lock at all: the nodes vote.
    pub no_reclock: bool,
    /// Log level in `ctdb.conf`; `NOTICE` if `None`.
    pub log_level: Option<String>,
    /// More text for `ctdb.conf`, after the sections `[cluster]` and `[logging]`.
    pub extra_conf: String,
    /// Executables in `events/legacy`: name and text (with its `#!` line).
    pub legacy: Vec<(String, String)>,
}

/// The directories and files of a node.
#[derive(Debug, Clone)]
pub struct NodePaths {
    /// `CTDB_BASE`.
    pub base: PathBuf,
    /// `CTDB_RUNDIR`.
    pub run: PathBuf,
    /// `CTDB_VARDIR`.
    pub var: PathBuf,
    /// `CTDB_SOCKET`.
    pub socket: PathBuf,
    /// The daemon's log.
    pub log: PathBuf,
    /// What the daemon says on standard output and standard error.
    pub stderr: PathBuf,
}

impl NodePaths {
    pub(crate) fn new(dir: &Path, node: usize) -> Self {
        let root = dir.join(format!("n{node}"));
        Self {
            base: root.join("etc/ctdb"),
            run: root.join("run"),
            var: root.join("var"),
            socket: root.join("run/ctdbd.socket"),
            log: root.join("log"),
            stderr: root.join("stderr.log"),
        }
    }

    /// The environment that points daemon and commands here.
    #[must_use]
    pub fn env(&self) -> [(&'static str, &Path); 4] {
        [
            ("CTDB_BASE", &self.base),
            ("CTDB_SOCKET", &self.socket),
            ("CTDB_RUNDIR", &self.run),
            ("CTDB_VARDIR", &self.var),
        ]
    }
}

impl Lab {
    /// Where a node's files are.
    #[must_use]
    pub fn paths(&self, node: usize) -> NodePaths {
        NodePaths::new(self.dir(), node)
    }

    /// The cluster lock that all nodes of this lab share.
    #[must_use]
    pub fn reclock(&self) -> PathBuf {
        self.dir().join("reclock")
    }

    /// Writes the config tree of a node, in place of what was there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_node_config(&self, node: usize, config: &NodeConfig) -> Result<NodePaths, LabError> {
        let paths = self.paths(node);
        let legacy = paths.base.join("events/legacy");
        if paths.base.exists() {
            fs::remove_dir_all(&paths.base)
                .map_err(|e| LabError::io(format!("clear {}", paths.base.display()), e))?;
        }
        for dir in [&legacy, &paths.run, &paths.var] {
            fs::create_dir_all(dir).map_err(|e| LabError::io(format!("make {}", dir.display()), e))?;
        }
        let reclock = config.reclock.clone().unwrap_or_else(|| self.reclock());
        let level = config.log_level.as_deref().unwrap_or("NOTICE");
        let lock = if config.no_reclock {
            String::new()
        } else {
            format!("\tcluster lock = {}\n", reclock.display())
        };
        let conf = format!(
            "[cluster]\n{lock}\n[logging]\n\tlocation = file:{}\n\tlog level = {level}\n{}",
            paths.log.display(),
            config.extra_conf,
        );
        write(&paths.base.join("ctdb.conf"), &conf)?;
        let all = || (0..self.nodes()).map(|n| private_v4(n).to_string()).collect();
        write(&paths.base.join("nodes"), &lines(&config.nodes.clone().unwrap_or_else(all)))?;
        if !config.public_addresses.is_empty() {
            write(&paths.base.join("public_addresses"), &lines(&config.public_addresses))?;
        }
        if !config.tunables.is_empty() {
            let tunables = config.tunables.iter().fold(String::new(), |mut text, (name, value)| {
                // Writing to a String cannot fail.
                writeln!(text, "{name}={value}").ok();
                text
            });
            write(&paths.base.join("ctdb.tunables"), &tunables)?;
        }
        for (name, text) in &config.legacy {
            let path = legacy.join(name);
            let _guard = no_forks();
            write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .map_err(|e| LabError::io(format!("make {} executable", path.display()), e))?;
        }
        Ok(paths)
    }
}

fn lines(all: &[String]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(|e| LabError::io(format!("write {}", path.display()), e))
}
