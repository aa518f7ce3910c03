//! What the daemon counts for `ctdb statistics` and `ctdb stats`.
//!
//! Mirrors CTDB's counters by name where ctdb-ip has the thing (packets, controls, clients, time-outs, the cluster lock's latency) and
//! leaves out those of its database; groups of our own (`takeover`, `netlink`) and latencies of events and takeover runs come with it.
//! Packets are messages of the links between daemons and calls on the local socket; commands that are forwarded to another node
//! count as a client's control only. Nothing here decides anything. Counting is one atomic addition, so that it may be done anywhere.

use recoverd::msg::PeerMsg;
use recoverd::takeover::RunReport;
use recoverd::view::{CounterRow, LatencyRow, StatisticsView};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Intervals that are kept for `ctdb stats`.
const HISTORY: usize = 100;

/// CTDB's status of a control that was not answered (`ETIMEDOUT`).
const SILENCE: i32 = 110;

/// What is counted; the order is that of [`ROWS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Another recmaster than before was seen to lead.
    Recoveries,
    /// Replies to local clients.
    ClientSent,
    /// Calls of local clients.
    ClientReceived,
    /// Messages to other daemons.
    NodeSent,
    /// Messages of other daemons.
    NodeReceived,
    /// Of those sent: signs of life.
    KeepaliveSent,
    /// Of those received: signs of life.
    KeepaliveReceived,
    /// Requests and announcements of other daemons.
    Messages,
    /// Controls of the recmaster.
    Controls,
    /// Answers to our controls.
    ControlReplies,
    /// Commands of local clients.
    ClientControls,
    /// Commands of local clients that took longer than they would wait.
    CallTimeouts,
    /// Controls of our takeover runs that a node did not answer in time.
    ControlTimeouts,
    /// Events that were killed because their time was up.
    EventTimeouts,
    /// Takeover runs that this node led to an end.
    Runs,
    /// Of those: the ones that failed or were called off.
    RunsFailed,
    /// Addresses ordered to be released.
    Releases,
    /// Addresses ordered to be taken.
    Takeovers,
    /// Changes that the kernel told of.
    Notifications,
    /// Times that the kernel was asked for everything.
    Dumps,
    /// Addresses announced by gratuitous ARP or neighbour advertisement.
    Announcements,
}

/// Heading and name of every counter, in the order in which they are printed.
const ROWS: [(Count, &str, &str); 21] = [
    (Count::Recoveries, "", "num_recoveries"),
    (Count::ClientSent, "", "client_packets_sent"),
    (Count::ClientReceived, "", "client_packets_recv"),
    (Count::NodeSent, "", "node_packets_sent"),
    (Count::NodeReceived, "", "node_packets_recv"),
    (Count::KeepaliveSent, "", "keepalive_packets_sent"),
    (Count::KeepaliveReceived, "", "keepalive_packets_recv"),
    (Count::Messages, "node", "req_message"),
    (Count::Controls, "node", "req_control"),
    (Count::ControlReplies, "node", "reply_control"),
    (Count::ClientControls, "client", "req_control"),
    (Count::CallTimeouts, "timeouts", "call"),
    (Count::ControlTimeouts, "timeouts", "control"),
    (Count::EventTimeouts, "timeouts", "event"),
    (Count::Runs, "takeover", "runs"),
    (Count::RunsFailed, "takeover", "runs_failed"),
    (Count::Releases, "takeover", "releases"),
    (Count::Takeovers, "takeover", "takeovers"),
    (Count::Notifications, "netlink", "notifications"),
    (Count::Dumps, "netlink", "dumps"),
    (Count::Announcements, "netlink", "announcements"),
];

/// State that is shown beside the counters and is not added up.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The wall clock, microseconds since 1970.
    pub wall_us: i64,
    /// Whether there is no recmaster, or its first run has not ended.
    pub recovering: bool,
}

type Latencies = BTreeMap<String, LatencyRow>;

/// Everything since some time, and what of it is new since the last interval ended.
#[derive(Debug, Default)]
struct Book {
    since_us: i64,
    interval_since_us: i64,
    /// The counters when the present interval began.
    interval_base: [u64; ROWS.len()],
    total: Latencies,
    interval: Latencies,
    /// Newest first.
    history: VecDeque<StatisticsView>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Statistics {
    counts: [AtomicU64; ROWS.len()],
    clients: AtomicU32,
    book: Mutex<Book>,
}

impl Statistics {
    /// All zero, collected since `wall_us` (microseconds since 1970).
    #[must_use]
    pub fn new(wall_us: i64) -> Self {
        let new = Self::default();
        new.restart(wall_us);
        new
    }

    /// One more.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    fn add(&self, what: Count, n: usize) {
        self.counts[what as usize].fetch_add(n as u64, Ordering::Relaxed);
    }

    /// A local client came.
    pub fn client_came(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// A local client went.
    pub fn client_went(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// Local clients that are connected now.
    #[must_use]
    pub fn clients(&self) -> u32 {
        self.clients.load(Ordering::Relaxed)
    }

    /// A message to another daemon.
    pub fn sent(&self, msg: &PeerMsg) {
        self.count(Count::NodeSent);
        if matches!(msg, PeerMsg::State(_)) {
            self.count(Count::KeepaliveSent);
        }
    }

    /// A message of another daemon.
    pub fn received(&self, msg: &PeerMsg) {
        self.count(Count::NodeReceived);
        self.count(match msg {
            PeerMsg::State(_) => Count::KeepaliveReceived,
            PeerMsg::Control { .. } => Count::Controls,
            PeerMsg::Answer { .. } | PeerMsg::IpAnswer { .. } => Count::ControlReplies,
            _ => Count::Messages,
        });
    }

    /// A takeover run of this node ended.
    pub fn run(&self, report: &RunReport) {
        if report.dry_run {
            return;
        }
        self.count(Count::Runs);
        if !report.result.is_ok() {
            self.count(Count::RunsFailed);
        }
        if let Some(plan) = &report.plan {
            self.add(Count::Releases, plan.releases.values().map(Vec::len).sum());
            self.add(Count::Takeovers, plan.takeovers.values().map(Vec::len).sum());
        }
        let silent = report.failed_controls.iter().filter(|f| f.status == SILENCE).count();
        self.add(Count::ControlTimeouts, silent);
        let begin = report.phases.iter().map(|p| p.start).min();
        let end = report.phases.iter().map(|p| p.end).max();
        if let (Some(begin), Some(end)) = (begin, end) {
            self.took("takeover_run", end.since(begin));
        }
        for phase in &report.phases {
            self.took(&format!("run_{}", phase.name), phase.end.since(phase.start));
        }
    }

    /// Something with this name took so long.
    pub fn took(&self, name: &str, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut book = self.book();
        let book = &mut *book;
        note(&mut book.total, name, us);
        note(&mut book.interval, name, us);
    }

    /// Since the start or the last reset: `ctdb statistics`.
    #[must_use]
    pub fn view(&self, now: Now) -> StatisticsView {
        let counts = self.counts();
        let book = self.book();
        self.compose(book.since_us, now, &counts, &book.total)
    }

    /// Ends an interval of `StatHistoryInterval`: its numbers go to the history.
    pub fn end_interval(&self, now: Now) {
        let counts = self.counts();
        let mut book = self.book();
        let mut news = counts;
        for (new, old) in news.iter_mut().zip(book.interval_base) {
            *new = new.saturating_sub(old);
        }
        let interval = std::mem::take(&mut book.interval);
        let view = self.compose(book.interval_since_us, now, &news, &interval);
        book.history.push_front(view);
        book.history.truncate(HISTORY);
        book.interval_base = counts;
        book.interval_since_us = now.wall_us;
    }

    /// The last intervals, newest first: `ctdb stats`.
    #[must_use]
    pub fn history(&self, count: u32) -> Vec<StatisticsView> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.book().history.iter().take(count).cloned().collect()
    }

    /// Everything is zero from now (microseconds since 1970) on: `ctdb statisticsreset`.
    pub fn restart(&self, wall_us: i64) {
        let mut book = self.book();
        self.counts.iter().for_each(|c| c.store(0, Ordering::Relaxed));
        *book = Book { since_us: wall_us, interval_since_us: wall_us, ..Book::default() };
    }

    fn counts(&self) -> [u64; ROWS.len()] {
        std::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed))
    }

    /// Numbers stay true when a thread died while it added one.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compose(
        &self,
        since_us: i64,
        now: Now,
        counts: &[u64; ROWS.len()],
        latencies: &Latencies,
    ) -> StatisticsView {
        let row =
            |group: &str, name: &str, value| CounterRow { group: group.into(), name: name.into(), value };
        let state =
            [row("", "num_clients", self.clients().into()), row("", "recovering", u64::from(now.recovering))];
        let counters = ROWS.iter().zip(counts).map(|((_, group, name), n)| row(group, name, *n));
        StatisticsView {
            since_us,
            now_us: now.wall_us,
            counters: state.into_iter().chain(counters).collect(),
            latencies: latencies.values().cloned().collect(),
        }
    }
}

fn note(latencies: &mut Latencies, name: &str, us: u64) {
    if let Some(row) = latencies.get_mut(name) {
        row.count += 1;
        row.min_us = row.min_us.min(us);
        row.max_us = row.max_us.max(us);
        row.total_us = row.total_us.saturating_add(us);
    } else {
        let row = LatencyRow { name: name.to_owned(), count: 1, min_us: us, max_us: us, total_us: us };
        latencies.insert(row.name.clone(), row);
    }
}

#[cfg(test)]
mod tests;
