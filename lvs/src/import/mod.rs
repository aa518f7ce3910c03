//! From what operators have to `virtual_servers.conf`: a whole keepalived.conf, or piranha's lvs.cf.
//!
//! Both are read as statements ([`crate::config::tree`]); the part about virtual servers becomes statements of ours, which keep the
//! line that they come from. These are verified as any configuration is, so that a mistake that the old programs never named is
//! reported at its line of the old file (field report R0: direct routing with other ports). Everything else is reported as what it
//! becomes here, or as not carried over. Nothing is dropped in silence.

mod keepalived;
mod piranha;
mod print;

use crate::config::report::{Diagnostic, Place, Report, Severity};
use crate::config::tree::{self, Statement};
use crate::config::{Surroundings, config_of};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use print::print;

#[cfg(test)]
mod tests;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// keepalived.conf(5).
    Keepalived,
    /// `lvs.cf` of piranha.
    Piranha,
}

/// What is said about a line of the old file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was wrong there already, or cannot be taken as it is.
    Wrong,
    /// It is not carried over.
    Lost,
    /// It is carried over as something else.
    Becomes,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Line of the old file.
    pub at: Place,
    /// Kind.
    pub kind: Kind,
    /// In words.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Wrong => "wrong",
            Kind::Lost => "not carried over",
            Kind::Becomes => "becomes",
        };
        write!(f, "{}: {kind}: {}", self.at, self.text)
    }
}

/// What an import gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Whose file it was.
    pub format: Format,
    /// Text of a `virtual_servers.conf`. It passes `ctdb lvs check` when no note is [`Kind::Wrong`].
    pub virtual_servers: String,
    /// Lines for `public_addresses`.
    pub public_addresses: Vec<String>,
    /// Lines for `nodes`, when the old file names its peers.
    pub nodes: Vec<String>,
    /// Remarks in the order of the old file's lines.
    pub notes: Vec<Note>,
}

/// What both readers fill.
#[derive(Debug, Default)]
struct Found {
    statements: Vec<Statement>,
    public_addresses: Vec<String>,
    nodes: Vec<String>,
    notes: Vec<Note>,
}

impl Found {
    fn note(&mut self, at: &Place, kind: Kind, text: impl Into<String>) {
        self.notes.push(Note { at: at.clone(), kind, text: text.into() });
    }

    /// A line for `public_addresses`, once.
    fn public(&mut self, line: String) {
        if !self.public_addresses.contains(&line) {
            self.public_addresses.push(line);
        }
    }
}

/// Reads an old file; whose it is shows in its words (`KEY = VALUE` is piranha's).
///
/// # Errors
/// What cannot be read of it as statements and blocks at all; nothing is converted then.
pub fn import(file: &str, around: &dyn Surroundings) -> Result<Imported, Vec<Diagnostic>> {
    let mut report = Report::default();
    let statements = tree::read(file, around, &mut report);
    if report.failed() {
        return Err(report.into_findings());
    }
    let piranha =
        statements.iter().any(|s| s.args.first().is_some_and(|w| w.text == "=") || s.name() == "virtual");
    let (format, mut found) = if piranha {
        (Format::Piranha, piranha::read(&statements))
    } else {
        (Format::Keepalived, keepalived::read(&statements))
    };
    let mut checked = report;
    config_of(&found.statements, around, &mut checked);
    for d in checked.into_findings() {
        let kind = match d.severity {
            Severity::Error => Kind::Wrong,
            Severity::Warning => Kind::Lost,
        };
        found.note(&d.at, kind, d.message);
    }
    found.notes.sort_by(|a, b| a.at.cmp(&b.at));
    found.notes.dedup();
    Ok(Imported {
        format,
        virtual_servers: print(&found.statements),
        public_addresses: found.public_addresses,
        nodes: found.nodes,
        notes: found.notes,
    })
}
