//! A long download from a service of the lab: does a connection survive, with every byte, and how long was it silent?

use super::process::Process;
use super::{Host, Lab, LabError, daemon, wait_for};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A time without a byte, of 100 ms or more. Nanoseconds of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// The last byte before it.
    pub from_ns: u64,
    /// The first byte after it.
    pub to_ns: u64,
}

impl Silence {
    /// How long.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.to_ns.saturating_sub(self.from_ns))
    }
}

/// What has come so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The client's end of the connection; none before it is connected.
    pub local: Option<SocketAddr>,
    /// Bytes, all of them right.
    pub bytes: u64,
    /// When the last of them came (monotonic clock).
    pub last_ns: u64,
    /// Those that have ended.
    pub silences: Vec<Silence>,
    /// Over: everything that was sent has come, or why not.
    pub end: Option<Result<(), String>>,
}

/// A download that goes on until [`Download::finish`].
#[derive(Debug)]
pub struct Download {
    process: Process,
    seen: Arc<Mutex<Progress>>,
}

impl Lab {
    /// Serves downloads on a TCP port of a host.
    ///
    /// # Errors
    /// When the server cannot be started.
    pub fn serve_download(&self, host: &Host, port: u16) -> Result<Process, LabError> {
        host.command(daemon::agent()?).args(["download-serve", "--port", &port.to_string()]).spawn()
    }

    /// Begins a download by the client.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn download(&self, from: SocketAddr) -> Result<Download, LabError> {
        let command = self.client().command(daemon::agent()?).args(["download", "--from", &from.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let seen = Arc::new(Mutex::new(Progress::default()));
        let (told, out) = (Arc::clone(&seen), process.stdout.take());
        std::thread::spawn(move || {
            let lines = out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok);
            for progress in lines.filter_map(|l| serde_json::from_str(&l).ok()) {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = progress;
            }
        });
        Ok(Download { process, seen })
    }
}

impl Download {
    /// What has come so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many more bytes have come.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the progress; also when the download has ended.
    pub fn wait_more(&self, bytes: u64, timeout: Duration) -> Result<Progress, LabError> {
        let wanted = self.progress().bytes + bytes;
        self.wait(&format!("{wanted} bytes of the download"), timeout, |p| p.bytes >= wanted)
    }

    /// Ends it in order; everything that it was.
    ///
    /// # Errors
    /// [`LabError::Refused`] when a byte was wrong or missing, or the connection was lost.
    pub fn finish(mut self, timeout: Duration) -> Result<Progress, LabError> {
        drop(self.process.stdin.take());
        let seen = self.wait("the end of the download", timeout, |p| p.end.is_some())?;
        match &seen.end {
            Some(Err(why)) => Err(LabError::Refused(format!("the download: {why}"))),
            _ => Ok(seen),
        }
    }

    fn wait(
        &self,
        what: &str,
        timeout: Duration,
        good: impl Fn(&Progress) -> bool,
    ) -> Result<Progress, LabError> {
        wait_for(what, timeout, || {
            let seen = self.progress();
            if good(&seen) { Ok(seen) } else { Err(format!("{seen:?}")) }
        })
    }
}
