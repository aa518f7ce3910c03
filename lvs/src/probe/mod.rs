//! Probes: what a checker does on the wire, once. When to probe, and what the result means, is decided in [`crate::checker`].
//!
//! One function for each kind of check, all on tokio, none of which outlives its time-outs: dropping the future ends the probe, with its
//! sockets and, for a program, its whole process group. A probe says why it passed or failed in words that name the peer's answer. It
//! shares nothing with other probes, so that whatever happens to it (field report R0: a dead `nanny`) happens to one check.

mod dns;
mod http;
mod judge;
mod ping;
mod script;
mod smtp;
mod socket;
mod tcp;
mod tls;
mod udp;

pub use script::run as run_script;

use crate::checker::ProbeResult;
use crate::config::check_types::{Check, CheckKind, Target};
use crate::config::types::TlsFiles;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// What a probe found: a reason either way.
type Verdict = Result<Passed, String>;

/// A probe that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Passed {
    reason: String,
    status: Option<u8>,
}

impl Passed {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), status: None }
    }
}

/// Probes once. Takes no longer than the time-outs of the check.
pub async fn probe(check: &Check, files: &TlsFiles) -> ProbeResult {
    let limit = check.timing.connect_timeout;
    let verdict = match &check.kind {
        CheckKind::Tcp => tcp::probe(&check.target, limit).await,
        CheckKind::Ping => ping::probe(&check.target, limit).await,
        CheckKind::Http(http) => http::probe(http, &check.target, limit, files).await,
        CheckKind::Udp(udp) => udp::probe(udp, &check.target, limit).await,
        CheckKind::Smtp { helo } => smtp::probe(helo.as_deref(), &check.target, limit).await,
        CheckKind::Dns { query, name } => dns::probe(*query, name, &check.target, limit).await,
        CheckKind::Misc { script, timeout, dynamic } => {
            script::probe(script, timeout.unwrap_or(check.timing.delay_loop), *dynamic).await
        }
    };
    match verdict {
        Ok(Passed { reason, status }) => ProbeResult { pass: true, reason, status },
        Err(reason) => ProbeResult { pass: false, reason, status: None },
    }
}

/// Asks a host for an echo, from this source where that matters. Says in words why there is none.
///
/// # Errors
/// Nothing came within the limit, a router said that there is no way, or no ICMP socket is to be had.
pub async fn echo(addr: IpAddr, from: Option<IpAddr>, limit: Duration) -> Result<(), String> {
    let target = Target { addr, port: 0, bind_ip: from, bind_port: None, bind_if: None, fwmark: None };
    ping::probe(&target, limit).await.map(drop)
}

/// Waits for one step of a probe; `what` is what did not come in time.
async fn within<T>(
    limit: Duration,
    what: &str,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, String> {
    match timeout(limit, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(format!("{what}: {}", words(&e))),
        Err(_) => Err(format!("{what}: nothing within {} s", limit.as_secs_f64())),
    }
}

/// An error of the system without its number: "connection refused".
fn words(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}
