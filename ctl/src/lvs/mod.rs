//! `ctdb lvs check|import|realserver|doctor`: what needs no daemon. The group of `lvs_nodes` is in [`crate::group`].

mod check;
mod cluster_port;
mod doctor;
mod import;
mod realserver;

use crate::cli::LvsCmd;
use crate::nodes_file;
use crate::out::{Outcome, Style};
use std::path::{Path, PathBuf};

/// Runs a command that needs no daemon; `None` for those of the group and of the director.
pub(crate) fn run(command: &LvsCmd, style: Style) -> Option<Outcome> {
    Some(match command {
        LvsCmd::Check { file } => check::run(&configuration(file.as_deref()), style),
        LvsCmd::Import { file, output } => import::run(file, output.as_deref(), style),
        LvsCmd::Realserver(what) => realserver::run(what, style),
        LvsCmd::Doctor(args) => doctor::run(args, style),
        LvsCmd::Leader
        | LvsCmd::List
        | LvsCmd::Status
        | LvsCmd::Services
        | LvsCmd::Reload
        | LvsCmd::Drain { .. }
        | LvsCmd::Undrain { .. } => return None,
    })
}

/// The file that the director reads.
fn configuration(named: Option<&Path>) -> PathBuf {
    named.map_or_else(|| nodes_file::base().join("virtual_servers.conf"), Path::to_path_buf)
}

/// A number of things whose plural ends with s.
fn number(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
