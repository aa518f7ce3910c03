//! Man pages: ctdb(1), one for each of its commands as ctdb-COMMAND(1), ctdbd(1).

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::generate_to;
use std::path::Path;

/// Writes all pages into `dir` and says how many.
pub(crate) fn write(dir: &Path) -> Result<usize> {
    super::fresh(dir)?;
    for command in [ctl::cli::command().disable_help_subcommand(true), config::cli::Cli::command()] {
        let name = command.get_name().to_owned();
        generate_to(command, dir)
            .with_context(|| format!("cannot write the pages of {name} in {}", dir.display()))?;
    }
    super::count(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_the_pages_say_what_they_are_about() {
        let dir = tempfile::tempdir().unwrap();
        let made = write(dir.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let ctdb = ctl::cli::command();
        let shown: Vec<_> = ctdb.get_subcommands().filter(|c| !c.is_hide_set()).collect();
        assert!(shown.len() > 40 && made > shown.len(), "{made}");
        for command in shown {
            let page = read(&format!("ctdb-{}.1", command.get_name()));
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let words = about.split_whitespace().next().unwrap_or_default();
            assert!(!words.is_empty() && page.contains(words), "{page}");
        }
        let sub = read("ctdb-natgw-leader.1");
        assert!(sub.contains(".TH ctdb-natgw-leader 1") && sub.contains("exit status 2"), "{sub}");
        let main = read("ctdb.1");
        assert!(main.contains("ctdb\\-natgw(1)") && main.contains("machinereadable"), "{main}");
        let daemon = read("ctdbd.1");
        assert!(daemon.contains(".TH ctdbd 1") && daemon.contains("start\\-as\\-disabled"), "{daemon}");
        assert!(!dir.path().join("ctdb-natgwlist.1").exists(), "an old name has no page of its own");
        assert!(!dir.path().join("ctdb-help.1").exists());
    }
}
