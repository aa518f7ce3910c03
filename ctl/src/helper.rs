//! The names under which CTDB's event scripts call parts of CTDB: helper programs in `CTDB_HELPER_BINDIR`.
//!
//! `ctdb` is all of them. The daemon makes links to it under these names and points `CTDB_HELPER_BINDIR` at them, so that stock scripts
//! run unmodified where no helper of CTDB is installed. What each does is the business of the command that it stands for.

mod config_get;

use crate::out::Outcome;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The command that a helper stands for.
const HELPERS: [(&str, &str); 3] =
    [("ctdb_killtcp", "killtcp"), ("ctdb_lvs", "lvs"), ("ctdb_natgw", "natgw")];

/// What a helper that is no command of `ctdb` comes to; `None` if this is none.
pub(crate) fn without_command(args: &[OsString]) -> Option<Outcome> {
    let (called, rest) = args.split_first()?;
    if Path::new(called).file_name() != Some(OsStr::new("ctdb-config")) {
        return None;
    }
    let dir = |name: &str, default: &str| {
        let set = std::env::var_os(name).filter(|v| !v.is_empty());
        set.map_or_else(|| PathBuf::from(default), PathBuf::from)
    };
    let args: Vec<String> = rest.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    Some(config_get::run(&args, &dir("CTDB_BASE", "/etc/ctdb"), &dir("CTDB_VARDIR", "/var/lib/ctdb")))
}

/// The command line of `ctdb` for one that may be a helper's: `…/ctdb_natgw leader` is `ctdb natgw leader`.
pub(crate) fn command_line(mut args: Vec<OsString>) -> Vec<OsString> {
    let called = args.first().map(Path::new).and_then(Path::file_name);
    let helper = HELPERS.iter().find(|(name, _)| called.is_some_and(|called| called == *name));
    if let Some((_, command)) = helper {
        args.insert(1, (*command).into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_counts_and_only_that_of_a_helper() {
        for (asked, want) in [
            ("/run/ctdb/helper/ctdb_natgw leader", "/run/ctdb/helper/ctdb_natgw natgw leader"),
            ("ctdb-config get cluster lock", "ctdb-config get cluster lock"),
            ("/usr/libexec/ctdb_lvs/ctdb lvs list", "/usr/libexec/ctdb_lvs/ctdb lvs list"),
            ("ctdb natgw leader", "ctdb natgw leader"),
            ("ctdb_natgw", "ctdb_natgw natgw"),
        ] {
            let args = asked.split(' ').map(OsString::from).collect();
            let want: Vec<OsString> = want.split(' ').map(OsString::from).collect();
            assert_eq!(command_line(args), want, "{asked}");
        }
    }
}
