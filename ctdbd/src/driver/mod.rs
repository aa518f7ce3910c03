//! The driver: the one task that owns the machine (`recoverd::node::Node`). It feeds everything that happens and performs every action.
//!
//! It decides nothing. Whatever may take time (events, netlink, disk, peers) is done in tasks and threads of its own, and comes back as
//! an input; the loop itself never waits for any of it, so that a hung script or disk does not stop the node from answering.

mod answers;
mod connections;
mod events;
mod held;
mod holders;
mod lease;
mod perform;
mod reload;
mod setup;

pub(crate) use held::Held;
pub use setup::{Fatal, run};

use crate::calls::Asked;
use crate::clock;
use crate::guard::Guard;
use crate::journal::JournalHandle;
use crate::lease::LeaseNews;
use crate::lock::{LockEvent, LockHandle, LockRecord, Ticket};
use crate::logging::LogHandle;
use crate::lvs::{Guarding, Lvs};
use crate::netif::Netif;
use crate::packet::{Announcements, Claim, Series};
use crate::peer::{Dialer, LinkEvent, LinkTable, PeerClient, Up};
use crate::statistics::{Count, Now, Statistics};
use crate::trace::{TARGET, variant};
use eventscripts::{GroupRun, Notice, Notifier, Runner};
use recoverd::action::{Kind, Persistent};
use recoverd::command::{AnyCommand, AnyReply, Reply};
use recoverd::input::{Input, LockInput};
use recoverd::model::{Epoch, Mono, NodeFlags, Pnn, Session};
use recoverd::node::Node;
use recoverd::view::StatusView;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::field;

/// How often the holder of the cluster lock proves that it is still its own.
const PROVE: Duration = Duration::from_secs(1);

/// What arrives from outside.
struct Inboxes {
    inputs: mpsc::UnboundedReceiver<Input>,
    /// Changes of links and addresses, and until when each tells.
    kernel: mpsc::Receiver<(Mono, Input)>,
    links: mpsc::Receiver<LinkEvent>,
    lock: mpsc::Receiver<LockEvent>,
    lease: mpsc::UnboundedReceiver<LeaseNews>,
    calls: mpsc::Receiver<Asked>,
    finds: mpsc::Receiver<(Pnn, oneshot::Sender<Option<PeerClient>>)>,
    clients: mpsc::UnboundedReceiver<connections::Seen>,
    claims: mpsc::UnboundedReceiver<Claim>,
    nodes_read: mpsc::UnboundedReceiver<reload::NodesRead>,
    /// Changes of the LVS group's address.
    guarding: mpsc::UnboundedReceiver<Guarding>,
    term: Signal,
    int: Signal,
    hup: Signal,
}

/// The cluster lock as the driver sees it.
struct Lock {
    handle: LockHandle,
    /// The request that holds or queues.
    ticket: Option<Ticket>,
    held: bool,
    /// What is being recorded; the next proof says that it is written.
    recording: Option<Epoch>,
    prove_at: Mono,
}

/// See the module.
struct Driver {
    node: Node,
    inputs: mpsc::UnboundedSender<Input>,
    session: Session,
    host: String,
    started_wall_us: i64,
    links: LinkTable,
    dialers: BTreeMap<Pnn, Dialer>,
    lock: Option<Lock>,
    lease: Option<lease::LeaseLink>,
    guard: Guard,
    lock_text: Option<String>,
    netif: Netif,
    reload: reload::Reload,
    /// The LVS director, in a task of its own.
    lvs: Lvs,
    announcements: Option<Arc<Announcements>>,
    /// Connections of clients.
    clients: connections::ClientLink,
    runner: Arc<Runner>,
    notifier: Notifier,
    /// What built-in handlers may know of the nodes; set before an event.
    cluster: watch::Sender<Option<Arc<StatusView>>>,
    /// What the recmaster said of them in the last run.
    run: watch::Sender<Option<Arc<GroupRun>>>,
    /// How addresses are announced, for the LVS group's.
    series: watch::Sender<Series>,
    /// The address of the LVS group.
    lvs_vip: Option<IpAddr>,
    /// What `notify.sh` was told last; every node begins as UNHEALTHY.
    unhealthy: bool,
    journal: JournalHandle,
    admin: std::sync::mpsc::Sender<Persistent>,
    log: LogHandle,
    statistics: Arc<Statistics>,
    /// When the present interval of `ctdb stats` ends.
    interval_ends: Mono,
    /// The last epoch that was seen, to count recoveries.
    epoch: Epoch,
    lmaster: bool,
    /// Commands whose reply the machine still owes.
    asked: BTreeMap<u64, oneshot::Sender<AnyReply>>,
    next_command: u64,
    /// A dump of the kernel is under way; another is wanted after it.
    observing: bool,
    observe_again: bool,
    /// When the last dump that was heard of was asked for.
    dumped: Mono,
    exit: Option<(u8, String)>,
}

impl Driver {
    async fn run(mut self, mut boxes: Inboxes) -> (u8, String) {
        self.feed(Input::Start);
        while self.exit.is_none() {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                // First: what the recmaster asks means the lease session that our lease thread has just joined with.
                Some(news) = boxes.lease.recv() => self.on_lease(news),
                Some(event) = boxes.links.recv() => self.on_link(event),
                Some(input) = boxes.inputs.recv() => self.on_input(input),
                // News that waited until after a later dump would take the machine back to before it.
                Some((as_of, change)) = boxes.kernel.recv() => if as_of >= self.dumped { self.on_input(change) },
                Some(event) = boxes.lock.recv() => self.on_lock(event),
                Some(asked) = boxes.calls.recv() => self.on_call(asked),
                Some((pnn, answer)) = boxes.finds.recv() => {
                    // Who asked may have gone; then nobody needs the client.
                    let _ = answer.send(self.links.client(pnn));
                }
                Some(seen) = boxes.clients.recv() => self.on_clients_seen(seen),
                Some(claim) = boxes.claims.recv() => self.on_claim(claim),
                Some(read) = boxes.nodes_read.recv() => self.on_nodes_read(read),
                Some((address, done)) = boxes.guarding.recv() => {
                    self.group_address(address);
                    // Who asked may have been given up.
                    let _ = done.send(());
                }
                _ = boxes.term.recv() => self.feed(Input::Terminate),
                _ = boxes.int.recv() => self.feed(Input::Terminate),
                _ = boxes.hup.recv() => self.reopen_log(),
                () = sleep_until(deadline) => self.on_time(),
            }
        }
        self.finish().await
    }

    fn deadline(&self) -> Option<Mono> {
        let prove = self.lock.as_ref().filter(|l| l.held).map(|l| l.prove_at);
        [self.node.next_deadline(), prove, self.clients_deadline(), Some(self.interval_ends)]
            .into_iter()
            .flatten()
            .min()
    }

    fn on_time(&mut self) {
        let now = clock::mono();
        self.clients_on_time(now);
        if let Some(lock) = self.lock.as_mut().filter(|l| l.held && l.prove_at <= now) {
            lock.prove_at = now + PROVE;
            lock.handle.prove(now);
        }
        if self.interval_ends <= now {
            self.interval_ends = now + self.node.tunables().stat_history_interval();
            self.statistics.end_interval(self.now());
        }
        self.feed(Input::Tick);
    }

    /// SIGHUP, from whoever rotates logs: as in CTDB the log is opened again, and nothing is read anew.
    fn reopen_log(&self) {
        let text = match self.log.reopen() {
            Ok(Some(path)) => format!("SIGHUP: the log {} is open again", path.display()),
            Ok(None) => "SIGHUP: the log is no file, nothing to open again".to_owned(),
            Err(e) => {
                tracing::error!("SIGHUP: {e}; lines go on into the old file");
                return;
            }
        };
        tracing::info!("{text}");
        self.journal.record(Kind::Operator.as_str(), text, serde_json::Value::Null);
    }

    /// What statistics show beside counters.
    fn now(&self) -> Now {
        Now { wall_us: clock::wall_us(), recovering: self.node.status().in_recovery }
    }

    fn on_input(&mut self, input: Input) {
        if let (Input::Kernel { state, .. }, Some(lease)) = (&input, &mut self.lease) {
            lease.interfaces_seen(state);
        }
        if let Input::Kernel { state, asked_at, .. } = &input {
            self.lvs.kernel_seen(state);
            self.statistics.count(if asked_at.is_some() { Count::Dumps } else { Count::Notifications });
        }
        if let Input::Kernel { asked_at: Some(asked_at), .. } = input {
            self.dumped = asked_at;
            self.observing = false;
            if std::mem::take(&mut self.observe_again) {
                self.observe();
            }
        }
        self.feed(input);
    }

    fn on_link(&mut self, event: LinkEvent) {
        if let LinkEvent::Message { pnn, msg, .. } = &event {
            tracing::trace!(target: TARGET, "heard {} of {pnn}", variant(msg));
            self.statistics.received(msg);
        }
        let (inputs, hint) = self.links.on_event(event);
        if let Up::DialNow(pnn) = hint
            && let Some(dialer) = self.dialers.get(&pnn)
        {
            dialer.dial_now();
        }
        inputs.into_iter().for_each(|i| self.hear(i));
    }

    fn on_lock(&mut self, event: LockEvent) {
        if let LockEvent::Acquired { latency, .. } = &event {
            self.statistics.took("reclock_ctdbd", *latency);
            if let Some(text) = slow_lock(*latency, self.node.tunables().reclock_latency()) {
                tracing::warn!("{text}");
            }
        }
        if self.lease.is_some() {
            return self.lock_news(event);
        }
        let Some(lock) = &mut self.lock else { return };
        let input = match event {
            LockEvent::Acquired { ticket, record, latency, .. } if lock.ticket == Some(ticket) => {
                lock.held = true;
                lock.prove_at = clock::mono() + PROVE;
                tracing::info!("cluster lock taken ({} ms)", latency.as_millis());
                LockInput::Acquired { previous: record.map(|r| r.epoch) }
            }
            LockEvent::Lost { ticket, reason } if lock.ticket == Some(ticket) => {
                lock.held = false;
                lock.recording = None;
                LockInput::Lost { why: reason }
            }
            LockEvent::Proved { ticket, .. } if lock.ticket == Some(ticket) => match lock.recording.take() {
                Some(epoch) => LockInput::Recorded { epoch },
                None => return,
            },
            LockEvent::Error { text } => {
                tracing::error!("cluster lock: {text}");
                return;
            }
            // News of a request that was taken back.
            _ => return,
        };
        self.feed(Input::Lock(input));
    }

    fn record_epoch(&mut self, epoch: Epoch) {
        let record =
            LockRecord { epoch, list: 0, session: self.session, lease: None, host: self.host.clone() };
        if let Some(lock) = &mut self.lock {
            lock.recording = Some(epoch);
            lock.handle.record(record);
            lock.handle.prove(clock::mono());
        }
    }

    fn on_call(&mut self, asked: Asked) {
        tracing::trace!(target: TARGET, "asked {}", variant(&asked.command));
        match asked.command {
            AnyCommand::Node(command) => {
                let id = self.next_command;
                self.next_command += 1;
                self.asked.retain(|_, reply| !reply.is_closed());
                self.asked.insert(id, asked.reply);
                self.feed(Input::Command { id, command });
                self.reload.id.allow_mixed_versions(self.node.tunables().allow_mixed_versions());
            }
            AnyCommand::Daemon(command) => self.answer(command, asked.limit, asked.reply),
        }
    }

    fn reply(&mut self, id: u64, reply: Reply) {
        if let Some(asked) = self.asked.remove(&id) {
            // Who asked may have given up waiting.
            let _ = asked.send(AnyReply::Node(reply));
        }
    }

    /// Feeds the machine and performs what it wants, until it wants no more.
    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let step =
                tracing::trace_span!(target: TARGET, "decided", on = variant(&input), actions = field::Empty);
            let actions = self.node.handle(input, clock::mono());
            step.record("actions", actions.len());
            drop(step);
            for action in actions {
                inputs.extend(self.perform(action));
            }
        }
        let unhealthy = self.node.flags().intersects(NodeFlags::UNHEALTHY);
        if std::mem::replace(&mut self.unhealthy, unhealthy) != unhealthy {
            self.notifier.tell(if unhealthy { Notice::Unhealthy } else { Notice::Healthy });
        }
        if std::mem::replace(&mut self.epoch, self.node.epoch()) != self.epoch {
            self.statistics.count(Count::Recoveries);
        }
    }

    /// The last acts of a daemon that ends.
    async fn finish(self) -> (u8, String) {
        if let Some(announcements) = &self.announcements {
            announcements.stop_all();
        }
        drop(self.dialers);
        let (code, why) = self.exit.unwrap_or((0, String::new()));
        if code == 0 {
            self.lvs.stop().await;
            // Everything is released: the gate may go, and the guard need not do anything.
            if let Some(gate) = self.lease.and_then(|l| l.gate)
                && let Ok(Err(e)) = tokio::task::spawn_blocking(move || gate.uninstall()).await
            {
                tracing::warn!("removing the gate: {e}");
            }
            self.guard.goodbye().await;
        }
        // Replies that were just sent need a moment to leave; then the sockets close.
        tokio::time::sleep(Duration::from_millis(5)).await;
        if let Err(e) = self.journal.close(Duration::from_secs(1)).await {
            tracing::warn!("closing the journal: {e}");
        }
        (code, why)
    }
}

/// What CTDB, too, says of a cluster lock that took longer than RecLockLatencyMs.
fn slow_lock(took: Duration, limit: Option<Duration>) -> Option<String> {
    let limit = limit.filter(|limit| took > *limit)?;
    Some(format!(
        "taking the cluster lock took {} ms, more than RecLockLatencyMs ({} ms): its store is slow",
        took.as_millis(),
        limit.as_millis()
    ))
}

async fn sleep_until(deadline: Option<Mono>) {
    match deadline {
        Some(at) => tokio::time::sleep(at.since(clock::mono())).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_cluster_lock_is_told() {
        let told = |took, limit| slow_lock(Duration::from_millis(took), limit);
        let limit = Some(Duration::from_millis(1000));
        assert_eq!((told(1000, limit), told(5000, None)), (None, None));
        assert!(
            told(1001, limit)
                .unwrap()
                .starts_with("taking the cluster lock took 1001 ms, more than RecLockLatencyMs (1000 ms)")
        );
    }
}
