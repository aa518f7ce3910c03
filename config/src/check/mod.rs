//! `ctdb config check`: everything below a configuration directory, without a daemon.
//!
//! The daemon's own files by the daemon's own loader ([`Files`]), then what only event scripts read (`scripts`), then what one file
//! says against another (`across`). A fault that keeps the daemon or a script from working is an error; what works but is hardly meant
//! is a warning, and so is what may well be different on the node that the directory is for (its address, its interfaces).

mod across;
mod scripts;

use crate::cli::Cli;
use crate::load::Files;
use crate::parsed::Parsed;
use crate::place::Place;
use crate::{ConfigError, LocalAddress, Paths, Warning, local_addresses};
use clap::Parser as _;
use scripts::Scripts;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;

/// The machine that the check runs on: for warnings only.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Its addresses.
    pub addresses: Vec<LocalAddress>,
    /// Its interfaces; empty: not known.
    pub interfaces: Vec<String>,
}

impl Host {
    /// This machine.
    ///
    /// # Errors
    /// What the system says.
    pub fn this() -> std::io::Result<Self> {
        let all = nix::ifaddrs::getifaddrs().map_err(std::io::Error::from)?;
        let interfaces: BTreeSet<String> = all.map(|interface| interface.interface_name).collect();
        Ok(Self { addresses: local_addresses()?, interfaces: interfaces.into_iter().collect() })
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The daemon would refuse it, or a script would fail.
    Error,
    /// It has no effect, or hardly the one that is meant.
    Warning,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Where; `None` when it is in no file.
    pub place: Option<Place>,
    /// All of it in one line, the place too.
    pub text: String,
}

/// What was found and what was read.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
    /// How many there are of what, such as 3 `nodes`.
    pub counts: Vec<(&'static str, usize)>,
}

impl Report {
    /// All of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.severity == severity)
    }

    fn error(&mut self, place: Place, what: impl Display) {
        let text = format!("{place}: {what}");
        self.findings.push(Finding { severity: Severity::Error, place: Some(place), text });
    }

    fn warning(&mut self, place: Place, what: impl Display) {
        let text = format!("{place}: {what}");
        self.findings.push(Finding { severity: Severity::Warning, place: Some(place), text });
    }

    fn refused(&mut self, error: &ConfigError) {
        let finding = Finding { severity: Severity::Error, place: error.place(), text: error.to_string() };
        self.findings.push(finding);
    }

    fn remark(&mut self, warning: &Warning) {
        let (place, text) = (Some(warning.place()), warning.to_string());
        self.findings.push(Finding { severity: Severity::Warning, place, text });
    }

    /// The value; its faults become errors.
    fn keep<T, F: Display>(&mut self, parsed: Parsed<T, F>) -> T {
        for (place, fault) in parsed.faults {
            self.error(place, fault);
        }
        parsed.value
    }

    fn count(&mut self, what: &'static str, number: usize) {
        self.counts.push((what, number));
    }
}

/// Checks the configuration below `base`. Blocks, for up to 30 s when the nodes list is a command.
#[must_use]
pub fn check(base: &Path, host: &Host) -> Report {
    let mut report = Report::default();
    // A daemon started without options; the environment variable of the port has no part in the files.
    let cli = match Cli::try_parse_from(["ctdbd", "--port=4379"]) {
        Ok(cli) => cli,
        Err(e) => {
            report.error(Place::Option("ctdbd"), e);
            return report;
        }
    };
    let paths = Paths::from_lookup(|name| (name == "CTDB_BASE").then(|| base.as_os_str().to_owned()));
    let files = Files::read(&paths, &cli);
    files.errors.iter().for_each(|e| report.refused(e));
    files.warnings.iter().for_each(|w| report.remark(w));

    let nodes = files.nodes.iter().flat_map(|n| &n.lines);
    report.count("nodes", nodes.clone().filter(|n| n.addr.is_some()).count());
    let deleted = nodes.filter(|n| n.addr.is_none()).count();
    if deleted > 0 && files.nodes_are_good {
        report.count("deleted nodes", deleted);
    }
    report.count("public addresses", files.addresses.len());

    let own = own_address(&files, &cli, host, &mut report);
    if let Some(network) = own.and_then(|own| host.addresses.iter().find(|l| l.addr == own)) {
        files.in_private_network(network).for_each(|w| report.remark(&w));
    }
    let scripts = Scripts::read(base, &mut report);
    across::check(base, &files, &scripts, own, host, &mut report);
    report
}

/// This node's private address. That it is not this host's may only mean that the check runs elsewhere.
fn own_address(files: &Files, cli: &Cli, host: &Host, report: &mut Report) -> Option<IpAddr> {
    let nodes = files.nodes.as_ref().filter(|_| files.nodes_are_good)?;
    let here: Vec<IpAddr> = host.addresses.iter().map(|l| l.addr).collect();
    let configured = files.configured_address(cli);
    match nodes.own(configured, &here) {
        Ok((_, addr)) => {
            if !here.contains(&addr) {
                let what = format!(
                    "this node's address {addr} (node address in ctdb.conf) is not on this host; ctdbd would not start here"
                );
                report.warning(Place::File(nodes.source.clone()), what);
            }
            Some(addr)
        }
        // A configured address that no line has is wrong wherever the check runs.
        Err((place, fault)) if configured.is_some() => {
            report.error(place, fault);
            None
        }
        Err((place, fault)) => {
            report.warning(place, fault);
            None
        }
    }
}

#[cfg(test)]
mod tests;
