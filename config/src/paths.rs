//! Where things are: CTDB's paths, moved as a whole by CTDB's environment variables, so that many nodes fit on one host.

use std::ffi::OsString;
use std::path::PathBuf;

/// Directories and the socket of one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `CTDB_BASE`, `/etc/ctdb`: configuration and event scripts.
    pub base: PathBuf,
    /// `CTDB_RUNDIR`, `/run/ctdb`: what a reboot may take away.
    pub rundir: PathBuf,
    /// `CTDB_VARDIR`, `/var/lib/ctdb`: what it may not.
    pub vardir: PathBuf,
    /// `CTDB_SOCKET`, `ctdbd.socket` in the run directory: the local service.
    pub socket: PathBuf,
}

impl Paths {
    /// The paths that the environment asks for.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// The paths that these variables ask for; an empty one counts as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let rundir = path("CTDB_RUNDIR").unwrap_or_else(|| "/run/ctdb".into());
        Self {
            base: path("CTDB_BASE").unwrap_or_else(|| "/etc/ctdb".into()),
            vardir: path("CTDB_VARDIR").unwrap_or_else(|| "/var/lib/ctdb".into()),
            socket: path("CTDB_SOCKET").unwrap_or_else(|| rundir.join("ctdbd.socket")),
            rundir,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_ctdb() {
        let paths = Paths::from_lookup(|name| (name == "CTDB_BASE").then(OsString::new));
        assert_eq!(paths.base, PathBuf::from("/etc/ctdb"));
        assert_eq!(paths.socket, PathBuf::from("/run/ctdb/ctdbd.socket"));
        assert_eq!(paths.vardir, PathBuf::from("/var/lib/ctdb"));
    }

    #[test]
    fn variables_move_them() {
        let paths = Paths::from_lookup(|name| Some(format!("/x/{name}").into()));
        assert_eq!(paths.socket, PathBuf::from("/x/CTDB_SOCKET"));
        let paths = Paths::from_lookup(|name| (name == "CTDB_RUNDIR").then(|| "/x/run".into()));
        assert_eq!(paths.socket, PathBuf::from("/x/run/ctdbd.socket"));
    }
}
