//! The cluster lock that a helper program holds, by CTDB's mutex-helper protocol (reference/ctdb.md 1.8).
//!
//! The helper prints one character: `0` it holds the lock and keeps running, `1` somebody else has it, `2` it took too long, `3` or
//! end of file it failed. Its end, or the end of its output, after `0` means that the lock is lost. SIGTERM lets the lock go. The
//! helper watches that its parent lives; that is its own affair. What it writes to standard error goes to the log.
//!
//! Unlike in the other kinds no proof is possible: that the helper is alive counts as one. A helper notices a loss late (CTDB's looks
//! every 5 s), so a new holder regards the lock as taken only [`LOCK_LOSS_TIME`] after the `0`, when the helper of the former holder
//! has noticed, too. There is no place for a record: [`LockEvent::Acquired`] brings none, and `recoverd` makes an epoch above all
//! that it or a connected node has seen and stored.

mod process;

#[cfg(test)]
mod tests;

use super::wishes::Desk;
use super::{LockEvent, Ticket};
use process::Helper;
use recoverd::model::Mono;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

pub use config::LOCK_LOSS_TIME;

/// Pause between two tries: a helper cannot wait in a queue.
const RETRY: Duration = Duration::from_secs(1);

/// Pause after the lock was lost: it goes to a node whose helper works, if there is one.
const AFTER_LOSS: Duration = Duration::from_millis(2500);

/// A helper that has said nothing for so long is ended, and tried anew.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Starts the worker's task.
pub(super) fn spawn(
    argv: Vec<String>,
    loss_time: Duration,
    desk: Arc<Desk>,
    events: mpsc::Sender<LockEvent>,
) {
    let name = argv.first().cloned().unwrap_or_default();
    let worker = Worker { name, argv, loss_time, desk, events, said: None };
    tokio::spawn(worker.run());
}

struct Worker {
    /// The helper's path, for messages.
    name: String,
    argv: Vec<String>,
    loss_time: Duration,
    desk: Arc<Desk>,
    events: mpsc::Sender<LockEvent>,
    /// The error that was reported last.
    said: Option<String>,
}

/// How a try to get the lock ended before we had it.
enum Ended {
    /// The request was taken back.
    Unwanted,
    /// Somebody else has the lock.
    Contention,
    Failed(String),
}

impl Worker {
    async fn run(mut self) {
        loop {
            let request = tokio::select! {
                request = self.desk.next_request() => request,
                () = self.events.closed() => None,
            };
            let Some((ticket, since)) = request else { return };
            let had_it = self.pursue(ticket, since).await;
            tokio::select! {
                () = self.desk.unwanted(ticket) => {}
                () = sleep(if had_it { AFTER_LOSS } else { RETRY }) => {}
            }
        }
    }

    /// One helper, from its start to its end. Whether it has held the lock.
    async fn pursue(&mut self, ticket: Ticket, since: Instant) -> bool {
        let mut helper = match Helper::start(&self.argv) {
            Ok(helper) => helper,
            Err(e) => {
                let text = format!(
                    "cannot run cluster lock helper {}: {e}; put an executable there or correct `cluster lock` in ctdb.conf",
                    self.name
                );
                self.failed(text).await;
                return false;
            }
        };
        let started = Instant::now();
        let taken = self.wait_taken(&mut helper, ticket, started).await;
        let had_it = taken.is_ok();
        match taken {
            Ok(latency) => {
                self.said = None;
                self.send(LockEvent::Acquired { ticket, record: None, latency, waited: since.elapsed() })
                    .await;
                self.hold(&mut helper, ticket).await;
            }
            Err(Ended::Unwanted) => {}
            Err(Ended::Contention) => self.said = None,
            Err(Ended::Failed(text)) => self.failed(text).await,
        }
        helper.end().await;
        had_it
    }

    /// Waits for the helper's `0`, and until the lock counts as taken. How long the `0` took.
    async fn wait_taken(
        &self,
        helper: &mut Helper,
        ticket: Ticket,
        started: Instant,
    ) -> Result<Duration, Ended> {
        let answer = tokio::select! {
            () = self.desk.unwanted(ticket) => return Err(Ended::Unwanted),
            () = self.events.closed() => return Err(Ended::Unwanted),
            answer = timeout(ANSWER_LIMIT, helper.answer()) => answer,
        };
        let failed = |what: &str| Err(Ended::Failed(format!("cluster lock helper {} {what}", self.name)));
        match answer {
            Ok(Some(b'0')) => {}
            Ok(Some(b'1')) => return Err(Ended::Contention),
            Ok(Some(b'2')) => {
                return failed(
                    "says that it took too long (2): check its lock store; tried again every second",
                );
            }
            Ok(Some(b'3')) => {
                return failed(
                    "failed (3): its reason stands in the log, if it gave one; tried again every second",
                );
            }
            Ok(Some(other)) => {
                let shown = other.escape_ascii();
                return failed(&format!(
                    "printed \"{shown}\", which is none of 0, 1, 2 and 3: is it a mutex helper of CTDB?"
                ));
            }
            Ok(None) => {
                return failed(
                    "ended without an answer: run it by hand to see why; tried again every second",
                );
            }
            Err(_) => {
                return failed(&format!(
                    "has not answered for {ANSWER_LIMIT:?}: check its lock store; it is ended and tried again"
                ));
            }
        }
        let latency = started.elapsed();
        tokio::select! {
            () = self.desk.unwanted(ticket) => Err(Ended::Unwanted),
            () = self.events.closed() => Err(Ended::Unwanted),
            () = helper.gone() => failed("lost the lock before it counted as taken; tried again every second"),
            () = sleep(self.loss_time) => Ok(latency),
        }
    }

    /// Until the lock is lost or not wanted any more.
    async fn hold(&self, helper: &mut Helper, ticket: Ticket) {
        loop {
            let lost = tokio::select! {
                biased;
                () = helper.gone() => true,
                () = self.events.closed() => return,
                () = self.desk.rung() => false,
            };
            if lost {
                let reason = format!("cluster lock helper {} has ended", self.name);
                return self.send(LockEvent::Lost { ticket, reason }).await;
            }
            if !self.desk.wants(ticket) {
                return;
            }
            if let Some(asked_at) = self.wish() {
                // Looked at after the question: `gone` above may have been before it.
                if helper.alive() {
                    self.send(LockEvent::Proved { ticket, asked_at }).await;
                }
            }
        }
    }

    /// Takes the wish for a proof. A record has no place in a helper's lock.
    fn wish(&self) -> Option<Mono> {
        let mut w = self.desk.lock();
        w.record = None;
        w.prove.take()
    }

    async fn failed(&mut self, text: String) {
        if self.said.as_ref() != Some(&text) {
            self.said = Some(text.clone());
            self.send(LockEvent::Error { text }).await;
        }
    }

    async fn send(&self, event: LockEvent) {
        // A closed channel ends every wait of this task.
        let _closed = self.events.send(event).await;
    }
}
