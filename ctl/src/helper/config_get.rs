//! `ctdb-config get SECTION KEY`: a setting of `ctdb.conf` with CTDB's default, for event scripts.
//!
//! As CTDB: what is known and not set prints its default, empty where there is none; what is not known is exit status 2. Old and new
//! names of a setting answer alike, whichever of them the file uses. Directories of databases are told too, although nothing is kept
//! there: scripts look at their file systems. A line that cannot be read is the daemon's to refuse.

use crate::out::{Failure, Outcome, Output};
use config::tini::{self, Entry};
use std::path::Path;

/// Names of one setting, each with its section, and its default.
type Setting = (&'static [(&'static str, &'static str)], &'static str);

/// What scripts may ask for: the settings of CTDB 4.17 to 4.23 and what they are when nothing is set.
const SETTINGS: [Setting; 23] = [
    (&[("logging", "location")], "syslog"),
    (&[("logging", "log level")], "NOTICE"),
    (&[("cluster", "cluster lock"), ("cluster", "recovery lock")], ""),
    (
        &[
            ("cluster", "leader capability"),
            ("cluster", "recmaster capability"),
            ("legacy", "recmaster capability"),
        ],
        "true",
    ),
    (&[("cluster", "leader timeout")], "5"),
    (&[("cluster", "node address")], ""),
    (&[("cluster", "nodes list")], ""),
    (&[("cluster", "transport")], "tcp"),
    (&[("database", "volatile database directory")], "VARDIR/volatile"),
    (&[("database", "persistent database directory")], "VARDIR/persistent"),
    (&[("database", "state database directory")], "VARDIR/state"),
    (&[("database", "lock debug script")], ""),
    (&[("database", "tdb mutexes")], "true"),
    (&[("event", "debug script")], ""),
    (&[("failover", "disabled")], "false"),
    (&[("failover", "shutdown failover timeout")], "10"),
    (&[("failover", "shutdown extra timeout")], "0"),
    (&[("legacy", "start as stopped"), ("legacy", "ctdb start as stopped")], "false"),
    (&[("legacy", "start as disabled"), ("legacy", "ctdb start as disabled")], "false"),
    (&[("legacy", "realtime scheduling")], "true"),
    (&[("legacy", "lmaster capability")], "true"),
    (&[("legacy", "script log level")], "ERROR"),
    (&[("cluster", "cluster lock loss time")], "10"),
];

/// What `ctdb-config` does with its arguments. The directories are `CTDB_BASE` and `CTDB_VARDIR`.
pub(super) fn run(args: &[String], base: &Path, vardir: &Path) -> Outcome {
    let [get, section, key] = args else { return Err(usage()) };
    if get != "get" {
        return Err(usage());
    }
    let path = base.join("ctdb.conf");
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(Failure::new(format!("reading {}: {e}", path.display()))),
        Ok(text) => text,
    };
    let entries = tini::parse(&text, &path).value;
    match value(&entries, section, key, vardir) {
        Some(value) => Ok(Output::text(format!("{value}\n"))),
        None => {
            let message = format!("Configuration option [{section}] -> \"{key}\" not defined");
            Err(Failure { message, code: 2 })
        }
    }
}

/// The last assignment under any name of the setting.
fn value(entries: &[Entry], section: &str, key: &str, vardir: &Path) -> Option<String> {
    let asked = (section.to_lowercase(), key.to_lowercase());
    let is = |(s, k): &(&str, &str)| *s == asked.0 && *k == asked.1;
    let (names, default) = SETTINGS.iter().find(|(names, _)| names.iter().any(is))?;
    let set = entries.iter().rev().find(|e| names.contains(&(e.section.as_str(), e.key.as_str())));
    let default = || default.replace("VARDIR", &vardir.display().to_string());
    Some(set.map(|e| e.value.clone()).filter(|v| !v.is_empty()).unwrap_or_else(default))
}

fn usage() -> Failure {
    Failure { message: "Usage: ctdb-config get SECTION KEY".to_owned(), code: 22 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str, words: &str) -> Result<String, (u8, String)> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ctdb.conf"), text).unwrap();
        let args: Vec<String> = words.split('/').map(str::to_owned).collect();
        run(&args, dir.path(), Path::new("/v")).map(|o| o.text).map_err(|f| (f.code, f.message))
    }

    #[test]
    fn settings_defaults_and_old_names() {
        for (text, words, want) in [
            ("", "get/cluster/recovery lock", "\n"),
            ("[cluster]\n recovery lock = /x/y z", "get/cluster/recovery lock", "/x/y z\n"),
            ("[cluster]\n cluster lock = /x", "get/cluster/recovery lock", "/x\n"),
            ("[cluster]\n recovery lock = /x", "get/cluster/cluster lock", "/x\n"),
            ("[cluster]\n cluster lock =", "get/cluster/cluster lock", "\n"),
            ("", "get/database/volatile database directory", "/v/volatile\n"),
            ("[database]\nstate database directory=/s", "get/database/state database directory", "/s\n"),
            ("rubbish\n[cluster]\nleader timeout = 7", "get/Cluster/leader timeout", "7\n"),
        ] {
            assert_eq!(ask(text, words).as_deref(), Ok(want), "{text:?} {words}");
        }
    }

    #[test]
    fn what_is_not_known_is_status_2() {
        let message = "Configuration option [cluster] -> \"x\" not defined".to_owned();
        assert_eq!(ask("[cluster]\nx = 1", "get/cluster/x"), Err((2, message)));
        for words in ["get", "get/cluster", "set/cluster/x"] {
            assert_eq!(ask("", words).unwrap_err().0, 22, "{words}");
        }
    }
}
