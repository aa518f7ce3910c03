//! The cluster lock as a key in an etcd cluster, bound to a lease.
//!
//! Whoever makes the key has the lock; the lease is renewed every third of its length, and etcd removes the key when it ends. The
//! others watch the key, so that the lock changes hands as soon as it is gone. The key's value is the holder's [`LockRecord`]; a
//! second key, `KEY.last`, keeps it when the first is gone, which is what makes epochs monotonic.
//!
//! *Proof*: one linearizable read, begun after the question, shows our key with our lease and our record. The lock is given up by
//! ourselves ([`KEEP`]) before the lease can end at etcd, even if etcd's clock runs faster than ours.

mod client;

#[cfg(test)]
mod tests;

pub use config::{EtcdLock, EtcdTls};

use super::wishes::Desk;
use super::{LockEvent, LockRecord, Ticket};
use client::{Claim, Client};
use recoverd::model::Mono;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Pause after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// The same while the lock is held, when time is short.
const RETRY_HELD: Duration = Duration::from_millis(100);

/// Who waits looks that often whether the watch is still worth something.
const LOOK: Duration = Duration::from_secs(2);

/// Of one outage, no more errors than this are reported.
const MOST_SAID: usize = 8;

/// The part of the lease, in percent, for which we take the key to be ours after its last renewal was *sent*.
const KEEP: u32 = 80;

/// Starts the worker's task.
pub(super) fn spawn(lock: EtcdLock, desk: Arc<Desk>, events: mpsc::Sender<LockEvent>) {
    let ttl = lock.ttl;
    let worker =
        Worker { client: Client::new(lock, ttl / 6), desk, events, stale: None, said: BTreeSet::new() };
    tokio::spawn(worker.run());
}

struct Worker {
    client: Client,
    desk: Arc<Desk>,
    events: mpsc::Sender<LockEvent>,
    /// A lease of ours that may still be there and is not to count any more.
    stale: Option<i64>,
    /// The errors that were reported since etcd last answered: the members may fail in different ways by turns.
    said: BTreeSet<String>,
}

/// The lock, held.
struct Held {
    ticket: Ticket,
    lease: i64,
    ttl: Duration,
    /// When the last successful renewal was sent.
    renewed: Instant,
    /// As written.
    record: Option<Vec<u8>>,
}

impl Held {
    /// From then on the key may be another's.
    fn ends(&self) -> Instant {
        self.renewed + self.ttl * KEEP / 100
    }
}

/// What to do next while the lock is held.
enum Job {
    Record(LockRecord),
    Prove(Mono),
}

impl Worker {
    async fn run(mut self) {
        let (desk, events) = (Arc::clone(&self.desk), self.events.clone());
        loop {
            let request = tokio::select! {
                request = desk.next_request() => request,
                () = events.closed() => None,
            };
            let Some((ticket, since)) = request else { break };
            let taken = tokio::select! {
                taken = self.take(ticket) => taken,
                () = desk.unwanted(ticket) => continue,
                () = events.closed() => break,
            };
            match taken {
                Ok((held, record, latency)) => {
                    self.said.clear();
                    self.send(LockEvent::Acquired { ticket, record, latency, waited: since.elapsed() }).await;
                    self.hold(held).await;
                }
                Err(text) => {
                    self.failed(text).await;
                    tokio::select! {
                        () = desk.unwanted(ticket) => {}
                        () = sleep(RETRY) => {}
                    }
                }
            }
        }
        // What cannot be ended now ends with its time.
        if let Some(lease) = self.stale.take() {
            let _left_to_its_time = self.client.revoke(lease).await;
        }
    }

    /// Waits until the key is ours. May be dropped at any await: a lease that it was granted is in `stale` from then on.
    async fn take(&mut self, ticket: Ticket) -> Result<(Held, Option<LockRecord>, Duration), String> {
        loop {
            if let Some(lease) = self.stale {
                self.client.revoke(lease).await?;
                self.stale = None;
            }
            if let (Some(_), revision) = self.client.read().await? {
                self.said.clear();
                self.wait_deleted(revision + 1).await?;
            }
            let renewed = Instant::now();
            let (lease, ttl) = self.client.grant().await?;
            self.stale = Some(lease);
            if let Claim::Ours(last) = self.client.claim(lease).await? {
                let record = LockRecord::parse(&last).unwrap_or_else(|what| {
                    tracing::warn!("ignored the last record of the cluster lock in etcd: {what}");
                    None
                });
                let held = Held { ticket, lease, ttl, renewed, record: None };
                return Ok((held, record, renewed.elapsed()));
            }
        }
    }

    /// Waits until the key is removed. Looks itself from time to time: a member that is cut off from the others says nothing.
    async fn wait_deleted(&mut self, revision: i64) -> Result<(), String> {
        let mut watch = self.client.watch(revision).await?;
        loop {
            tokio::select! {
                message = watch.message() => match message {
                    Ok(Some(news)) if news.canceled => return Err(format!("watching the key: {}", news.cancel_reason)),
                    Ok(Some(news)) => {
                        let deleted = proto::etcd::event::EventType::Delete;
                        if news.events.iter().any(|e| e.r#type() == deleted) {
                            return Ok(());
                        }
                    }
                    // The member has ended. The next read goes to another.
                    Ok(None) | Err(_) => {
                        self.client.next_member();
                        return Ok(());
                    }
                },
                () = sleep(LOOK) => if self.client.read().await?.0.is_none() {
                    return Ok(());
                },
            }
        }
    }

    /// Until the lock is lost or not wanted any more. The lease stays `stale`, to be ended.
    async fn hold(&mut self, mut held: Held) {
        let (desk, events) = (Arc::clone(&self.desk), self.events.clone());
        let mut renew_at = held.renewed + held.ttl / 3;
        while desk.wants(held.ticket) && !events.is_closed() {
            let ends = held.ends();
            let done = if Instant::now() >= renew_at {
                renew_at = Instant::now() + RETRY_HELD;
                let renewed = timeout_at(ends, self.renew(&mut held)).await;
                if matches!(renewed, Ok(Ok(()))) {
                    renew_at = held.renewed + held.ttl / 3;
                }
                renewed
            } else if let Some(job) = self.job() {
                timeout_at(ends, self.perform(&mut held, job)).await
            } else {
                tokio::select! {
                    () = desk.rung() => {}
                    () = events.closed() => {}
                    () = sleep_until(renew_at.min(ends)) => {}
                }
                Ok(Ok(()))
            };
            let lost = match done {
                Ok(Ok(())) if Instant::now() < held.ends() => None,
                Ok(Err(Unproven::Lost(reason))) => Some(reason),
                Ok(Err(Unproven::Unknown(text))) => {
                    self.failed(text).await;
                    tokio::select! {
                        () = desk.unwanted(held.ticket) => {}
                        () = sleep(RETRY_HELD) => {}
                    }
                    None
                }
                Ok(Ok(())) | Err(_) => Some(format!(
                    "etcd has not renewed our lease for {} ms",
                    held.renewed.elapsed().as_millis()
                )),
            };
            if let Some(reason) = lost {
                return self.send(LockEvent::Lost { ticket: held.ticket, reason }).await;
            }
        }
        // Released: at once, without waiting for the next request.
        if self.client.revoke(held.lease).await.is_ok() {
            self.stale = None;
        }
    }

    /// The record first: no proof is given before it is written.
    fn job(&self) -> Option<Job> {
        let mut w = self.desk.lock();
        w.record.take().map(Job::Record).or_else(|| w.prove.take().map(Job::Prove))
    }

    async fn renew(&mut self, held: &mut Held) -> Result<(), Unproven> {
        let sent = Instant::now();
        match self.client.keep_alive(held.lease).await.map_err(Unproven::Unknown)? {
            Some(ttl) => {
                (held.renewed, held.ttl) = (sent, ttl);
                self.said.clear();
                Ok(())
            }
            None => Err(Unproven::Lost("etcd has ended our lease".to_owned())),
        }
    }

    async fn perform(&mut self, held: &mut Held, job: Job) -> Result<(), Unproven> {
        match job {
            Job::Record(record) => {
                let text = record.to_text().map_err(|e| Unproven::Unknown(format!("the record: {e}")))?;
                // To be tried again, unless there is a newer one by then; put back first, as this may be dropped when time is up.
                self.desk.lock().record.get_or_insert_with(|| record.clone());
                let written =
                    self.client.record(held.lease, text.as_bytes()).await.map_err(Unproven::Unknown)?;
                if !written {
                    return Err(Unproven::Lost("the key in etcd is not ours any more".to_owned()));
                }
                self.desk.lock().record.take_if(|waiting| *waiting == record);
                held.record = Some(text.into_bytes());
                Ok(())
            }
            Job::Prove(asked_at) => {
                let found = self.client.read().await.map_err(Unproven::Unknown)?.0;
                let lost = |reason: &str| Err(Unproven::Lost(reason.to_owned()));
                match found {
                    None => lost("the key in etcd was removed"),
                    Some(kv) if kv.lease != held.lease => lost("the key in etcd is another's"),
                    Some(kv) if held.record.as_ref().is_some_and(|mine| *mine != kv.value) => {
                        lost("the record in etcd was overwritten")
                    }
                    Some(_) => {
                        self.send(LockEvent::Proved { ticket: held.ticket, asked_at }).await;
                        Ok(())
                    }
                }
            }
        }
    }

    async fn failed(&mut self, text: String) {
        let text = format!("{text}; check the members and the network to them; tried again all the time");
        if self.said.len() < MOST_SAID && self.said.insert(text.clone()) {
            self.send(LockEvent::Error { text }).await;
        }
    }

    async fn send(&self, event: LockEvent) {
        // A closed channel ends every wait of this task.
        let _closed = self.events.send(event).await;
    }
}

/// Why there is no proof.
enum Unproven {
    /// The lock is certainly not ours any more.
    Lost(String),
    /// etcd does not answer; nothing is known.
    Unknown(String),
}
