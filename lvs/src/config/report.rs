//! What is wrong with a file, and where: every finding of one reading, not just the first.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Path as it was given or included.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; something in it has no effect here or is probably not meant.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where.
    pub at: Place,
    /// How bad.
    pub severity: Severity,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// `FILE:LINE: MESSAGE`, as editors and compilers have it.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}: {kind}{}", self.at, self.message)
    }
}

/// Collects findings while a file is read.
#[derive(Debug, Default)]
pub struct Report {
    found: Vec<Diagnostic>,
}

impl Report {
    /// The file cannot be taken.
    pub fn error(&mut self, at: &Place, message: impl Into<String>) {
        self.found.push(Diagnostic { at: at.clone(), severity: Severity::Error, message: message.into() });
    }

    /// The file can be taken, but its author should know.
    pub fn warn(&mut self, at: &Place, message: impl Into<String>) {
        self.found.push(Diagnostic { at: at.clone(), severity: Severity::Warning, message: message.into() });
    }

    /// Whether anything was an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.found.iter().any(|d| d.severity == Severity::Error)
    }

    /// Every finding, in the order of files and lines.
    #[must_use]
    pub fn into_findings(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| a.at.cmp(&b.at));
        self.found.dedup();
        self.found
    }
}
