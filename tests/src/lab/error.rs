//! What can go wrong with the lab itself. A machine that does not allow namespaces is told apart: tests are skipped there.

use super::protocol::Reply;
use std::io;
use std::time::Duration;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Neither root nor user namespaces.
    #[error(
        "needs root or user namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces): {0}"
    )]
    NoNamespaces(String),
    /// The kernel or the lab's own init said no.
    #[error("the lab: {0}")]
    Refused(String),
    /// An operation on a file, a socket or a process.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program needed is missing or could not be built.
    #[error("{0}")]
    Build(String),
    /// A bounded wait ran out.
    #[error("waited {after:?} for {what}; last state: {state}")]
    Timeout {
        /// For what.
        what: String,
        /// How long.
        after: Duration,
        /// The state seen last.
        state: String,
    },
}

impl LabError {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    pub(crate) fn unexpected(reply: &Reply) -> Self {
        Self::Refused(format!("unexpected answer of the init: {reply:?}"))
    }
}

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
