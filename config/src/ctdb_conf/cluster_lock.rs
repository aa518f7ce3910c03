//! The text of `cluster lock`: which kind of lock, and where. Looks at no file and asks no server.

use super::{ConfFault, EtcdLock};
use crate::place::quote;
use std::fmt;
use std::path::PathBuf;

/// The store that decides who is recmaster (CTDB: cluster lock, reclock).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterLock {
    /// A lock on this file in a shared file system.
    File(PathBuf),
    /// `!path arguments`: a program that holds the lock, by CTDB's mutex-helper protocol.
    Helper(Vec<String>),
    /// `etcd:…`: a key in an etcd cluster.
    Etcd(EtcdLock),
    /// `quorum`: votes of the nodes themselves, by the lease protocol. Also what three or more nodes do when nothing is configured.
    Quorum,
}

/// As `ctdb getreclock` shows it.
impl fmt::Display for ClusterLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Helper(argv) => write!(f, "!{}", argv.join(" ")),
            Self::Etcd(lock) => lock.fmt(f),
            Self::Quorum => f.write_str("quorum"),
        }
    }
}

/// Reads the text of a cluster lock setting, from `ctdb.conf` or `--reclock`; empty text is none.
///
/// # Errors
/// A kind that this version does not have, a path that is not absolute, or what is wrong with an etcd address.
pub fn cluster_lock(value: &str) -> Result<Option<ClusterLock>, ConfFault> {
    let relative = || ConfFault::RelativePath { key: "cluster lock", value: quote(value) };
    if value.is_empty() {
        Ok(None)
    } else if let Some(command) = value.strip_prefix('!') {
        let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        match argv.first() {
            None => Err(ConfFault::NoHelper),
            Some(program) if !program.starts_with('/') => Err(relative()),
            Some(_) => Ok(Some(ClusterLock::Helper(argv))),
        }
    } else if value.starts_with("etcd:") || value.starts_with("etcd+tls:") {
        let lock = value.parse().map_err(|why| ConfFault::Etcd { value: quote(value), why })?;
        Ok(Some(ClusterLock::Etcd(lock)))
    } else if value.eq_ignore_ascii_case("quorum") {
        Ok(Some(ClusterLock::Quorum))
    } else if value.starts_with('/') {
        Ok(Some(ClusterLock::File(PathBuf::from(value))))
    } else {
        Err(relative())
    }
}
