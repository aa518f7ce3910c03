//! The client's eye: a prober process on the client and what a test asks it.

use super::process::Process;
use super::record::{AddressReport, ProbeReport};
use super::{LabError, clock, wait_for};
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A moment that a test wants to look back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub at_ns: u64,
    /// What happened.
    pub label: String,
}

/// A running prober; made by [`super::Lab::probe`]. It ends when dropped.
#[derive(Debug)]
pub struct Probe {
    process: Process,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    started_ns: u64,
}

impl Probe {
    pub(crate) fn new(mut process: Process) -> Result<Self, LabError> {
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(LabError::Refused("the prober has no pipes".to_owned()));
        };
        let pipes = Mutex::new((stdin, BufReader::new(stdout)));
        Ok(Self { process, pipes, started_ns: clock::now_ns() })
    }

    /// Remembers this moment.
    #[must_use]
    pub fn mark(&self, label: &str) -> Mark {
        Mark { at_ns: clock::now_ns(), label: label.to_owned() }
    }

    /// What the client has seen since `mark`.
    ///
    /// # Errors
    /// When the prober is gone.
    pub fn report_since(&self, mark: &Mark) -> Result<ProbeReport, LabError> {
        self.report(mark.at_ns)
    }

    /// What the client has seen since its first request.
    ///
    /// # Errors
    /// When the prober is gone.
    pub fn report_all(&self) -> Result<ProbeReport, LabError> {
        self.report(self.started_ns)
    }

    /// The last report; ends the prober.
    ///
    /// # Errors
    /// When the prober is gone.
    pub fn finish(self) -> Result<ProbeReport, LabError> {
        self.report_all()
    }

    fn report(&self, since_ns: u64) -> Result<ProbeReport, LabError> {
        let failed = |error| LabError::io("ask the prober", error);
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "report {since_ns}").map_err(failed)?;
        let mut line = String::new();
        pipes.1.read_line(&mut line).map_err(failed)?;
        serde_json::from_str(&line).map_err(|e| failed(e.into()))
    }

    /// Waits until the address answers a request made from now on; the node that did.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what was seen last.
    pub fn wait_answers(&self, address: IpAddr, timeout: Duration) -> Result<u16, LabError> {
        self.wait_answer(address, timeout, |_| true)
    }

    /// Waits until `node` answers for the address.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what was seen last.
    pub fn wait_answers_from(&self, address: IpAddr, node: u16, timeout: Duration) -> Result<(), LabError> {
        self.wait_answer(address, timeout, |seen| seen == node).map(drop)
    }

    fn wait_answer(
        &self,
        address: IpAddr,
        timeout: Duration,
        wanted: impl Fn(u16) -> bool,
    ) -> Result<u16, LabError> {
        let since = clock::now_ns();
        let what = format!("an answer from {address}");
        wait_for(&what, timeout, || {
            let report = self.report(since).map_err(|e| e.to_string())?;
            let seen = report.get(address).cloned().unwrap_or_default();
            match seen.last {
                Some(last) if wanted(last.node) => Ok(last.node),
                _ => Err(describe(address, &seen)),
            }
        })
    }

    /// Waits until every address answers requests made from now on.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what was seen last.
    pub fn wait_all_answer(&self, timeout: Duration) -> Result<(), LabError> {
        let since = clock::now_ns();
        wait_for("answers from all addresses", timeout, || {
            let report = self.report(since).map_err(|e| e.to_string())?;
            let silent: Vec<String> = report
                .addresses
                .iter()
                .filter(|(_, seen)| seen.received == 0)
                .map(|(address, seen)| describe(*address, seen))
                .collect();
            if silent.is_empty() && !report.addresses.is_empty() { Ok(()) } else { Err(silent.join("; ")) }
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended with its lab already.
        self.process.kill9().ok();
    }
}

fn describe(address: IpAddr, seen: &AddressReport) -> String {
    let AddressReport { sent, received, .. } = seen;
    format!("{address}: {received} of {sent} requests answered, by nodes {:?}", seen.nodes())
}
