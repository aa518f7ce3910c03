//! Performing actions. Each is either done at once without waiting, or handed to a task that reports back with an input.

use super::connections::announced;
use super::lease::LeaseLink;
use super::{Driver, clock};
use crate::statistics::{Count, Statistics};
use crate::trace::{TARGET, variant};
use eventscripts::{GroupRun, Notice, RunResult, Runner};
use recoverd::action::{Action, Entry, Level, LockAction, RunSeen};
use recoverd::input::Input;
use recoverd::model::{Event, EventOutcome, NodeFlags};
use std::sync::Arc;
use std::time::Duration;
use tracing::{Instrument, trace_span};

/// Runs an event and counts how long it took.
pub(super) async fn counted(
    runner: &Runner,
    statistics: &Statistics,
    event: &Event,
    timeout: Duration,
) -> RunResult {
    let begin = clock::mono();
    let result = runner.run(event, timeout).await;
    if let RunResult::Done(outcome) = &result {
        statistics.took(&format!("event_{}", event.name()), clock::mono().since(begin));
        if matches!(outcome, EventOutcome::TimedOut { .. }) {
            statistics.count(Count::EventTimeouts);
        }
    }
    result
}

/// An event in a trace.
fn shown(event: &Event) -> String {
    event.addr().map_or_else(|| event.name().to_owned(), |addr| format!("{} {addr}", event.name()))
}

/// Pause before the kernel is asked again after it refused.
const OBSERVE_AGAIN: Duration = Duration::from_millis(200);

impl Driver {
    /// Performs one action; returns what the machine must hear at once.
    pub(super) fn perform(&mut self, action: Action) -> Vec<Input> {
        match action {
            Action::Send { to, msg } => {
                tracing::trace!(target: TARGET, "sent {} to {to}", variant(&msg));
                self.statistics.sent(&msg);
                return self.links.send(to, msg);
            }
            Action::DropPeer { pnn } => {
                self.links.drop_peer(pnn);
                if let Some(dialer) = self.dialers.get(&pnn) {
                    dialer.hang_up();
                }
            }
            Action::RunEvent { op, event, timeout } => {
                if let Event::ReleaseIp { addr, .. } = &event {
                    self.clients_released(*addr);
                }
                self.run_event(op, event, timeout);
            }
            Action::RunSeen(seen) => self.run_seen(seen),
            Action::Observe => self.observe(),
            Action::Announce { iface, addr, count, interval } => {
                self.statistics.count(Count::Announcements);
                self.announce(&iface, addr, count, interval);
            }
            Action::StopAnnounce { addr } => {
                if let Some(a) = &self.announcements {
                    a.stop(addr);
                }
            }
            Action::AskHolder { iface, addr } => self.ask_holder(iface, addr),
            Action::PublicAddresses { list } => self.public_addresses(list),
            Action::Lock(LockAction::Acquire) => {
                if let Some(lock) = &mut self.lock {
                    lock.ticket = Some(lock.handle.acquire());
                }
            }
            Action::Lock(LockAction::Release) => {
                if let Some(lock) = &mut self.lock {
                    lock.handle.release();
                    lock.ticket = None;
                    lock.held = false;
                    lock.recording = None;
                }
            }
            Action::Lock(LockAction::Record(epoch)) => self.record_epoch(epoch),
            Action::Lease(wish) => self.lease_wish(wish),
            Action::Reply { id, reply } => self.reply(id, reply),
            Action::Persist(state) => {
                // The thread ends only with the process.
                let _ = self.admin.send(state);
            }
            Action::Journal(entry) => self.write_journal(entry),
            Action::Log { level, text } => match level {
                Level::Error => tracing::error!("{text}"),
                Level::Warning => tracing::warn!("{text}"),
                Level::Notice => tracing::info!("{text}"),
                Level::Info => tracing::debug!("{text}"),
            },
            Action::Exit { code, why } => self.exit = Some((code, why)),
        }
        Vec::new()
    }

    fn run_event(&self, op: u64, event: Event, timeout: Duration) {
        let (runner, inputs) = (Arc::clone(&self.runner), self.inputs.clone());
        let releasing = self.clients.releasing();
        let notifier = self.notifier.clone();
        if event.addr().is_none() {
            self.cluster.send_replace(Some(Arc::new(self.node.status())));
        }
        let statistics = Arc::clone(&self.statistics);
        let passage = self.lease.as_ref().map(LeaseLink::passage);
        let whole = trace_span!(target: TARGET, "event", on = shown(&event));
        let work = async move {
            let refused = match &passage {
                Some(passage) => {
                    passage.before(&event).instrument(trace_span!(target: TARGET, "let pass")).await
                }
                None => None,
            };
            // Before any script, and while the gate is open: clients get their RST.
            let ending = trace_span!(target: TARGET, "end connections");
            let leaving = releasing.before(&event).instrument(ending).await;
            let result = match refused {
                Some(refused) => refused,
                None => {
                    let running = trace_span!(target: TARGET, "run scripts");
                    counted(&runner, &statistics, &event, timeout).instrument(running).await
                }
            };
            leaving.after().await;
            if let Some(passage) = passage {
                let stopping = trace_span!(target: TARGET, "let pass no more");
                passage.after(&event, &result).instrument(stopping).await;
            }
            if let (RunResult::Done(EventOutcome::Ok), Some(notice)) = (&result, notice_of(&event)) {
                notifier.tell(notice);
            }
            let input = match result {
                RunResult::Done(outcome) => Input::EventDone { op, outcome },
                RunResult::Cancelled => Input::EventCancelled { op },
            };
            // The driver is gone only when the daemon has ended.
            let _ = inputs.send(input);
        };
        tokio::spawn(work.instrument(whole));
    }

    /// For the built-in `91.lvs`. What it takes for this run is taken in the present life of the gate's addresses, or not at all.
    fn run_seen(&self, seen: RunSeen) {
        let status = self.node.status();
        let mut nodes = status.nodes;
        for row in &mut nodes {
            row.unknown = false;
            let said = seen.nodes.iter().find(|n| n.pnn == row.pnn);
            row.flags = said.map_or(row.flags | NodeFlags::DISCONNECTED, |n| n.flags);
        }
        let life = self.lease.as_ref().and_then(LeaseLink::held).map_or(0, |held| held.life());
        let run = GroupRun { over: seen.over, life, this_node: status.this_node, nodes };
        self.series.send_replace(announced(self.node.tunables()));
        self.run.send_replace(Some(Arc::new(run)));
    }

    /// Dumps links and addresses. While one dump is under way another is only noted: it may have begun before what it is wanted for.
    pub(super) fn observe(&mut self) {
        if std::mem::replace(&mut self.observing, true) {
            self.observe_again = true;
            return;
        }
        let (netif, inputs) = (self.netif.clone(), self.inputs.clone());
        tokio::spawn(async move {
            loop {
                let asked_at = Some(clock::mono());
                match netif.observe().instrument(trace_span!(target: TARGET, "list addresses")).await {
                    Ok(state) => {
                        let _ =
                            inputs.send(Input::Kernel { state: Arc::new(state), asked_at, culprit: None });
                        return;
                    }
                    Err(e) => {
                        tracing::error!("{e}");
                        tokio::time::sleep(OBSERVE_AGAIN).await;
                    }
                }
            }
        });
    }

    fn write_journal(&self, entry: Entry) {
        let mut data = serde_json::Map::new();
        if let Some(run) = entry.run {
            data.insert("run".into(), serde_json::json!(run));
        }
        if let Some(report) = entry.report {
            self.statistics.run(&report);
            match serde_json::to_value(&*report) {
                Ok(report) => drop(data.insert("report".into(), report)),
                Err(e) => tracing::error!("journal: the report of a run cannot be written: {e}"),
            }
        }
        self.journal.record(entry.kind.as_str(), entry.text, data.into());
    }
}

/// What `notify.sh` is told when an event has succeeded.
fn notice_of(event: &Event) -> Option<Notice> {
    match event {
        Event::Init => Some(Notice::Init),
        Event::Setup => Some(Notice::Setup),
        Event::Startup => Some(Notice::Startup),
        _ => None,
    }
}
