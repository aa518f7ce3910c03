//! `ctdb.conf`: from lines to typed settings.
//!
//! Knows every section and key of reference/ctdb.md 1.6. Old names are accepted for new ones. Keys of the database and keys
//! nobody knows are accepted and collected, so that the loader can give one warning; a wrong value of a known key is refused.
//! Reads no file and looks at no system.

mod cluster_lock;
mod etcd;

pub use cluster_lock::{ClusterLock, cluster_lock};
pub use etcd::{EtcdLock, EtcdTls};

use super::level::{BadLevel, BadLocation, LogLevel, LogLocation};
use super::parsed::Parsed;
use super::place::{Place, nearest, quote};
use super::tini::{self, Entry, TiniFault};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long after a helper's `0` its lock counts as taken, unless `cluster lock loss time` in `ctdb.conf` says otherwise. Must be
/// longer than any helper in the cluster takes to notice a loss: that of CTDB looks every 5 s.
pub const LOCK_LOSS_TIME: Duration = Duration::from_secs(10);

/// Where the list of nodes comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodesSource {
    /// A file.
    File(PathBuf),
    /// The standard output of a command: its path and arguments.
    Command(Vec<String>),
}

/// The settings of `ctdb.conf`, each with CTDB's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtdbConf {
    /// `[logging] location`; `None` when not set.
    pub log_location: Option<LogLocation>,
    /// `[logging] log level`.
    pub log_level: LogLevel,
    /// `[cluster] cluster lock`; `None` when not set.
    pub cluster_lock: Option<ClusterLock>,
    /// `[cluster] cluster lock loss time` (not in CTDB): how long after a helper's "taken" its lock counts as taken.
    pub cluster_lock_loss_time: Duration,
    /// `[cluster] leader capability`.
    pub leader_capability: bool,
    /// `[cluster] leader timeout`, at least a second. Without effect: LeaseTime says when a recmaster is gone, and without leases the
    /// time after which a silent node is DISCONNECTED.
    pub leader_timeout: Duration,
    /// `[cluster] node address`; `None`: the address of the nodes list that this host has.
    pub node_address: Option<IpAddr>,
    /// `[cluster] nodes list`; `None`: the file `nodes`.
    pub nodes_list: Option<NodesSource>,
    /// `[event] debug script`, run when an event hangs; relative to the configuration directory.
    pub debug_script: Option<PathBuf>,
    /// `[failover] disabled`: serve no public addresses at all.
    pub failover_disabled: bool,
    /// `[failover] shutdown failover timeout`: how long a stopping node waits for others to take its addresses.
    pub shutdown_failover_timeout: Duration,
    /// `[failover] shutdown extra timeout`: how long it then stays.
    pub shutdown_extra_timeout: Duration,
    /// `[legacy] start as stopped`.
    pub start_as_stopped: bool,
    /// `[legacy] start as disabled`.
    pub start_as_disabled: bool,
    /// `[legacy] realtime scheduling`: for the lease thread.
    pub realtime_scheduling: bool,
    /// `[legacy] lvs self test`: whether the LVS director tries once whether the kernel forwards. Ours; CTDB has none.
    pub lvs_self_test: bool,
    /// `[legacy] lmaster capability`: shown, without effect (there is no database).
    pub lmaster_capability: bool,
    /// `[legacy] script log level`: what event scripts find as `CTDB_DEBUGLEVEL`.
    pub script_log_level: LogLevel,
}

impl Default for CtdbConf {
    fn default() -> Self {
        Self {
            log_location: None,
            log_level: LogLevel::Notice,
            cluster_lock: None,
            cluster_lock_loss_time: LOCK_LOSS_TIME,
            leader_capability: true,
            leader_timeout: Duration::from_secs(5),
            node_address: None,
            nodes_list: None,
            debug_script: None,
            failover_disabled: false,
            shutdown_failover_timeout: Duration::from_secs(10),
            shutdown_extra_timeout: Duration::ZERO,
            start_as_stopped: false,
            start_as_disabled: false,
            realtime_scheduling: true,
            lvs_self_test: true,
            lmaster_capability: true,
            script_log_level: LogLevel::Error,
        }
    }
}

/// A setting that was accepted without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Section and key.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// The known key that was perhaps meant; `None` for keys of the database.
    pub near: Option<&'static str>,
}

/// What can be wrong with `ctdb.conf`, besides the form of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfFault {
    /// Not a line of the dialect.
    #[error(transparent)]
    Tini(#[from] TiniFault),
    /// Not a boolean.
    #[error("{key} cannot be {value}; write true or false")]
    Boolean {
        /// The key.
        key: &'static str,
        /// The value, quoted.
        value: String,
    },
    /// Not a number of seconds.
    #[error("{key} cannot be {value}; write whole seconds, {least} or more, without a unit")]
    Seconds {
        /// The key.
        key: &'static str,
        /// The value, quoted.
        value: String,
        /// Least value allowed.
        least: u32,
    },
    /// Not an address.
    #[error(
        "node address cannot be {0}; write this node's private IP address as it stands in the nodes list"
    )]
    Address(String),
    /// Not a log level.
    #[error(transparent)]
    Level(#[from] BadLevel),
    /// Not a place for a log.
    #[error(transparent)]
    Location(#[from] BadLocation),
    /// A transport other than TCP.
    #[error("transport {0} is not supported; write tcp or remove the line")]
    Transport(String),
    /// `cluster lock = !` without a program.
    #[error("cluster lock names no program after the \"!\"; write !/path/to/helper ARGUMENTS")]
    NoHelper,
    /// Not the address of a key in etcd.
    #[error(
        "cluster lock cannot be {value}: {why}; write etcd:HOST:PORT[,HOST:PORT...]/KEY, with ?ttl=SECONDS if need be (docs/cluster-lock.md)"
    )]
    Etcd {
        /// The value, quoted.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// A path that is not absolute.
    #[error("{key} cannot be {value}; write an absolute path")]
    RelativePath {
        /// The key.
        key: &'static str,
        /// The value, quoted.
        value: String,
    },
    /// `nodes list = !` without a command.
    #[error("nodes list names no command after the \"!\"; write !/path/to/command ARGUMENTS")]
    NoCommand,
}

/// Keys that mean something here, by section: for hints.
const KNOWN: &[(&str, &[&str])] = &[
    ("logging", &["location", "log level"]),
    (
        "cluster",
        &[
            "cluster lock",
            "cluster lock loss time",
            "leader capability",
            "leader timeout",
            "node address",
            "nodes list",
            "transport",
            "recovery lock",
            "recmaster capability",
        ],
    ),
    ("event", &["debug script"]),
    ("failover", &["disabled", "shutdown failover timeout", "shutdown extra timeout"]),
    (
        "legacy",
        &[
            "start as stopped",
            "start as disabled",
            "realtime scheduling",
            "lvs self test",
            "lmaster capability",
            "script log level",
        ],
    ),
];

impl CtdbConf {
    /// Reads the text of a `ctdb.conf`. When a key stands twice, the last one counts.
    /// Beside it, all settings that are accepted without effect.
    pub fn parse(text: &str, file: &Path) -> Parsed<(Self, Vec<Ignored>), ConfFault> {
        let Parsed { value: entries, faults } = tini::parse(text, file);
        let mut faults: Vec<(Place, ConfFault)> =
            faults.into_iter().map(|(place, fault)| (place, fault.into())).collect();
        let mut conf = Self::default();
        let mut ignored = Vec::new();
        for entry in &entries {
            match conf.apply(entry) {
                Ok(true) => {}
                Ok(false) => ignored.push(ignore(entry)),
                Err(fault) => faults.push((Place::line(file, entry.line), fault)),
            }
        }
        faults.sort_by_key(|(place, _)| place.number());
        Parsed { value: (conf, ignored), faults }
    }

    /// Takes over one setting; `false` when it has no meaning here.
    fn apply(&mut self, entry: &Entry) -> Result<bool, ConfFault> {
        let value = entry.value.as_str();
        match (entry.section.as_str(), entry.key.as_str()) {
            ("logging", "location") => self.log_location = set(value).map(str::parse).transpose()?,
            ("logging", "log level") => self.log_level = value.parse()?,
            ("cluster", "cluster lock" | "recovery lock") => self.cluster_lock = cluster_lock(value)?,
            ("cluster", "cluster lock loss time") => {
                self.cluster_lock_loss_time = seconds("cluster lock loss time", value, 0)?;
            }
            ("cluster", "leader capability") | ("cluster" | "legacy", "recmaster capability") => {
                self.leader_capability = boolean("leader capability", value)?;
            }
            ("cluster", "leader timeout") => self.leader_timeout = seconds("leader timeout", value, 1)?,
            ("cluster", "node address") => self.node_address = set(value).map(node_address).transpose()?,
            ("cluster", "nodes list") => self.nodes_list = nodes_list(value)?,
            ("cluster", "transport") => {
                if !value.eq_ignore_ascii_case("tcp") {
                    return Err(ConfFault::Transport(quote(value)));
                }
            }
            ("event", "debug script") => self.debug_script = set(value).map(PathBuf::from),
            ("failover", "disabled") => self.failover_disabled = boolean("disabled", value)?,
            ("failover", "shutdown failover timeout") => {
                self.shutdown_failover_timeout = seconds("shutdown failover timeout", value, 0)?;
            }
            ("failover", "shutdown extra timeout") => {
                self.shutdown_extra_timeout = seconds("shutdown extra timeout", value, 0)?;
            }
            ("legacy", "start as stopped" | "ctdb start as stopped") => {
                self.start_as_stopped = boolean("start as stopped", value)?;
            }
            ("legacy", "start as disabled" | "ctdb start as disabled") => {
                self.start_as_disabled = boolean("start as disabled", value)?;
            }
            ("legacy", "realtime scheduling") => {
                self.realtime_scheduling = boolean("realtime scheduling", value)?;
            }
            ("legacy", "lvs self test") => self.lvs_self_test = boolean("lvs self test", value)?,
            ("legacy", "lmaster capability") => {
                self.lmaster_capability = boolean("lmaster capability", value)?;
            }
            ("legacy", "script log level") => self.script_log_level = value.parse()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A setting without effect, with what was perhaps meant.
fn ignore(entry: &Entry) -> Ignored {
    let near = if entry.section == "database" {
        None
    } else {
        let of_section = KNOWN.iter().find(|(section, _)| *section == entry.section).map(|(_, keys)| *keys);
        match of_section {
            Some(keys) => nearest(&entry.key, keys.iter().copied()),
            None => nearest(&entry.section, KNOWN.iter().map(|(section, _)| *section)),
        }
    };
    let name = format!("[{}] {}", entry.section, entry.key);
    Ignored { name: name.escape_debug().take(80).collect(), line: entry.line, near }
}

fn set(value: &str) -> Option<&str> {
    Some(value).filter(|v| !v.is_empty())
}

fn boolean(key: &'static str, value: &str) -> Result<bool, ConfFault> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err(ConfFault::Boolean { key, value: quote(value) }),
    }
}

fn seconds(key: &'static str, value: &str, least: u32) -> Result<Duration, ConfFault> {
    match value.parse::<u32>() {
        Ok(number) if number >= least => Ok(Duration::from_secs(number.into())),
        _ => Err(ConfFault::Seconds { key, value: quote(value), least }),
    }
}

fn node_address(value: &str) -> Result<IpAddr, ConfFault> {
    value.parse::<IpAddr>().map(|a| a.to_canonical()).map_err(|_| ConfFault::Address(quote(value)))
}

fn nodes_list(value: &str) -> Result<Option<NodesSource>, ConfFault> {
    if let Some(command) = value.strip_prefix('!') {
        let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if argv.is_empty() {
            return Err(ConfFault::NoCommand);
        }
        return Ok(Some(NodesSource::Command(argv)));
    }
    if !value.is_empty() && !value.starts_with('/') {
        return Err(ConfFault::RelativePath { key: "nodes list", value: quote(value) });
    }
    Ok(set(value).map(|path| NodesSource::File(PathBuf::from(path))))
}

#[cfg(test)]
mod tests;
