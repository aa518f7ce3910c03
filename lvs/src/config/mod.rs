//! `virtual_servers.conf`: virtual servers in keepalived's own block syntax.
//!
//! Read by a tokenizer ([`token`]), into statements and blocks ([`tree`]), and from those into typed values ([`types`]); written from
//! keepalived.conf(5). Every finding is reported with file and line, not just the first. What keepalived would guess, drop or turn into
//! a zero is an error here: service names that nobody knows, ports that direct routing cannot change, programs that do not exist; and
//! what would fail at every probe: expressions that do not compile, certificates that cannot be read. So `ctdb lvs check` and the daemon
//! say the same of a file.
//! Nothing here touches the host: what must be known of it is asked through [`Surroundings`].

pub mod check_types;
mod checks;
mod group;
mod http;
mod inherit;
mod real_server;
pub mod report;
pub(crate) mod tls;
pub mod token;
mod top;
pub mod tree;
pub mod types;
mod value;
mod verify;
mod virtual_server;
mod words;

pub use report::{Diagnostic, Place, Report, Severity};
pub(crate) use top::config as config_of;
pub use top::{check, load};
pub use types::{Config, RealServer, Script, SorryServer, SyncDaemon, Timeouts, VirtualServer};
pub use value::split;

use crate::model::Protocol;

#[cfg(test)]
mod tests;

/// What the parser must know of the host.
pub trait Surroundings {
    /// The text of a file.
    ///
    /// # Errors
    /// Why it cannot be read, as the system says it.
    fn read(&self, path: &str) -> Result<String, String>;

    /// Files that match a pattern (`*`, `?`, `[…]`, `{…}`), sorted; none is no error.
    ///
    /// # Errors
    /// Why it cannot be looked for.
    fn expand(&self, pattern: &str) -> Result<Vec<String>, String>;

    /// Whether there is a program that can be executed.
    ///
    /// # Errors
    /// Why not: "no such file", "is a directory", "is not executable".
    fn executable(&self, path: &str) -> Result<(), String>;

    /// The port of a service's name (`/etc/services`).
    fn service_port(&self, name: &str, protocol: Protocol) -> Option<u16>;

    /// Whether there are a user and a group to run a program as.
    ///
    /// # Errors
    /// Which is not there.
    fn account(&self, user: Option<&str>, group: Option<&str>) -> Result<(), String>;
}
