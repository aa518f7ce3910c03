//! The runner: one event, its scripts and built-in handlers in order, within its time.
//!
//! Reports what happened and keeps the record of the last run of each event. Does not decide which failures count (recoverd
//! does), when events run (recoverd), or what they change (handlers, scripts).
//!
//! - The time-out is for the whole event, as in CTDB; waiting for a turn or for a free process does not count. When it is over the caller knows at once;
//!   hook, TERM, two seconds and KILL follow behind its back, and the next event of the same address waits for them.
//! - Events of one address run in the order in which they came, those of different addresses in parallel, with at most
//!   [`RunnerConfig::max_processes`] scripts at a time; built-in handlers are not counted. Node-wide events wait only for those of the same name.
//! - `monitor` gives way, as in CTDB: any other event cancels it, and it does not begin while a node-wide event runs.
//! - An executable replaces a built-in handler of the same name; a file of that name that is not executable disables it.
//! - Dropping the future of a run ends its script like a time-out, without the hook.

use crate::catalogue::{self, Script};
use crate::handler::Handler;
use crate::process::{self, Hook, Spec};
use crate::status::{EventStatus, ScriptState, ScriptStatus};
use crate::turns::{Key, Turn, Turns};
use nix::errno::Errno;
use recoverd::model::{Event, EventOutcome};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

/// What a runner works with.
pub struct RunnerConfig {
    /// `…/events/legacy`; need not exist.
    pub events_dir: PathBuf,
    /// The installed scripts (`/usr/share/ctdb/events/legacy`), which `ctdb event script enable` links to.
    pub installed_dir: Option<PathBuf>,
    /// The whole environment of scripts: `CTDB`, `CTDB_BASE`, `CTDB_VARDIR`, `CTDB_HELPER_BINDIR`, `PATH`, …
    pub env: Vec<(String, String)>,
    /// `[event] debug script`, run before a hung script is killed, with its pid and the event's name as arguments; 5 seconds at most.
    pub debug_hung_script: Option<PathBuf>,
    /// Built-in handlers in any order.
    pub handlers: Vec<Arc<dyn Handler>>,
    /// Scripts of address events that run at a time, at least 1; CTDB has no bound, 32 is a good one.
    pub max_processes: usize,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// It ran; what came of it.
    Done(EventOutcome),
    /// `monitor` gave way to another event; says nothing about health and leaves no record.
    Cancelled,
}

/// Runs events. One for the daemon, shared by all its tasks.
pub struct Runner {
    pub(crate) config: RunnerConfig,
    env: Arc<[(String, String)]>,
    turns: Turns,
    processes: Arc<Semaphore>,
    /// Counts the events that `monitor` gives way to.
    others: watch::Sender<u64>,
    node_wide: AtomicUsize,
    records: Mutex<HashMap<&'static str, Records>>,
}

#[derive(Default)]
struct Records {
    last: Option<EventStatus>,
    last_failure: Option<EventStatus>,
}

/// What runs under a name.
enum Entry {
    Builtin(Arc<dyn Handler>),
    File(Script),
    Disabled,
}

/// How a script ended, and what it printed.
type Ended = (ScriptState, String);

/// Counts a node-wide event while it runs.
struct NodeWide<'a>(&'a AtomicUsize);

impl Drop for NodeWide<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Runner {
    /// A runner that has run nothing yet.
    #[must_use]
    pub fn new(mut config: RunnerConfig) -> Self {
        Self {
            env: std::mem::take(&mut config.env).into(),
            turns: Turns::default(),
            processes: Arc::new(Semaphore::new(config.max_processes.max(1))),
            others: watch::Sender::new(0),
            node_wide: AtomicUsize::new(0),
            records: Mutex::default(),
            config,
        }
    }

    /// Runs an event. `limit` is the time for all its scripts together.
    pub async fn run(&self, event: &Event, limit: Duration) -> RunResult {
        if *event == Event::Monitor {
            // Subscribed before looking, so that no event slips between.
            let mut others = self.others.subscribe();
            if self.node_wide.load(Ordering::Relaxed) > 0 {
                return RunResult::Cancelled;
            }
            return tokio::select! {
                biased;
                _ = others.changed() => RunResult::Cancelled,
                outcome = self.run_in_turn(event, limit) => RunResult::Done(outcome),
            };
        }
        let _node_wide = event.addr().is_none().then(|| {
            self.node_wide.fetch_add(1, Ordering::Relaxed);
            NodeWide(&self.node_wide)
        });
        self.others.send_modify(|count| *count += 1);
        RunResult::Done(self.run_in_turn(event, limit).await)
    }

    /// The last run of an event, `None` when it has never run. Of events with an address: of whichever address was last.
    #[must_use]
    pub fn status(&self, event: &str) -> Option<EventStatus> {
        self.records().get(event)?.last.clone()
    }

    /// The last run of an event that did not succeed: with many addresses, a failure is soon followed by another address' success.
    #[must_use]
    pub fn last_failure(&self, event: &str) -> Option<EventStatus> {
        self.records().get(event)?.last_failure.clone()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<&'static str, Records>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_in_turn(&self, event: &Event, limit: Duration) -> EventOutcome {
        let turn = Arc::new(self.turns.take(Key::of(event)).await);
        let (started, clock) = (SystemTime::now(), Instant::now());
        let (scripts, outcome) = self.run_scripts(event, limit, &turn).await;
        if !outcome.is_ok() {
            tracing::warn!("event {event}: {outcome}");
        }
        let (name, args) = (event.name(), event.args());
        let status = EventStatus {
            event: name.to_owned(),
            args,
            started,
            duration: clock.elapsed(),
            scripts,
            outcome: outcome.clone(),
        };
        let mut records = self.records();
        let records = records.entry(name).or_default();
        if !outcome.is_ok() {
            records.last_failure = Some(status.clone());
        }
        records.last = Some(status);
        outcome
    }

    async fn run_scripts(
        &self,
        event: &Event,
        limit: Duration,
        turn: &Arc<Turn>,
    ) -> (Vec<ScriptStatus>, EventOutcome) {
        let (entries, unreadable) = self.entries();
        let mut scripts = Vec::with_capacity(entries.len());
        let mut left = limit;
        for (name, entry) in entries {
            // Not counted as the event's time.
            let permit = match (&entry, event.addr()) {
                (Entry::File(_), Some(_)) => Arc::clone(&self.processes).acquire_owned().await.ok(),
                _ => None,
            };
            let (started, clock) = (SystemTime::now(), Instant::now());
            let (state, output) = match entry {
                Entry::Disabled => (ScriptState::Disabled, String::new()),
                Entry::Builtin(handler) => run_handler(&*handler, event, left).await,
                Entry::File(script) => self.run_file(&script.path, event, left, turn, permit).await,
            };
            left = left.saturating_sub(clock.elapsed());
            let outcome = outcome(&name, &state, &output);
            log(event, &name, &output, outcome.is_ok());
            scripts.push(ScriptStatus { name, state, started, duration: clock.elapsed(), output });
            if !outcome.is_ok() {
                return (scripts, outcome);
            }
        }
        // The built-in handlers did their work; that scripts may have been missed is a failure none the less.
        if let Some(e) = unreadable {
            let name = self.config.events_dir.display().to_string();
            let state = cannot_run(&e);
            let outcome = outcome(&name, &state, "");
            let (started, duration, output) = (SystemTime::now(), Duration::ZERO, String::new());
            scripts.push(ScriptStatus { name, state, started, duration, output });
            return (scripts, outcome);
        }
        (scripts, EventOutcome::Ok)
    }

    /// Handlers and scripts by name, that is in the order in which they run, and why the directory could not be read.
    fn entries(&self) -> (BTreeMap<String, Entry>, Option<io::Error>) {
        let builtin =
            self.config.handlers.iter().map(|h| (h.name().to_owned(), Entry::Builtin(Arc::clone(h))));
        let mut entries: BTreeMap<_, _> = builtin.collect();
        match catalogue::read(&self.config.events_dir) {
            Ok(scripts) => {
                let file = |s: Script| if s.enabled { Entry::File(s) } else { Entry::Disabled };
                entries.extend(scripts.into_iter().map(|(name, script)| (name, file(script))));
                (entries, None)
            }
            Err(e) => (entries, Some(e)),
        }
    }

    async fn run_file(
        &self,
        path: &Path,
        event: &Event,
        limit: Duration,
        turn: &Arc<Turn>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Ended {
        let mut args = event.args();
        args.insert(0, event.name().to_owned());
        let spec = Spec { path, args: &args, env: Arc::clone(&self.env) };
        let hook = self.config.debug_hung_script.clone();
        let hook = hook.map(|path| Hook { path, event: event.name().to_owned() });
        let mut running = match process::start(&spec, hook, (Arc::clone(turn), permit)).await {
            Ok(running) => running,
            Err(e) => return (cannot_run(&e), String::new()),
        };
        match timeout(limit, running.finish()).await {
            Ok(Ok(status)) => exited(status, running.output()),
            Ok(Err(e)) => (cannot_run(&e), running.output()),
            Err(_) => {
                let output = running.output();
                running.time_out();
                (ScriptState::TimedOut, output)
            }
        }
    }
}

async fn run_handler(handler: &dyn Handler, event: &Event, limit: Duration) -> Ended {
    match timeout(limit, handler.handle(event)).await {
        Ok(done) if done.failed => (ScriptState::Error { code: 1 }, done.output),
        Ok(done) => (ScriptState::Ok, done.output),
        Err(_) => (ScriptState::TimedOut, String::new()),
    }
}

fn exited(status: ExitStatus, mut output: String) -> Ended {
    let code = status.code().unwrap_or_else(|| {
        if !output.is_empty() {
            output.push('\n');
        }
        output.push_str(&format!("ended by {status}"));
        128 + status.signal().unwrap_or(0)
    });
    (if code == 0 { ScriptState::Ok } else { ScriptState::Error { code } }, output)
}

fn cannot_run(e: &io::Error) -> ScriptState {
    let errno = e.raw_os_error().unwrap_or(0);
    let reason = if errno == 0 { e.to_string() } else { Errno::from_raw(errno).desc().to_owned() };
    ScriptState::CannotRun { errno, reason }
}

fn outcome(name: &str, state: &ScriptState, output: &str) -> EventOutcome {
    let script = name.to_owned();
    match state {
        ScriptState::Ok | ScriptState::Disabled => EventOutcome::Ok,
        ScriptState::TimedOut => EventOutcome::TimedOut { script },
        ScriptState::CannotRun { reason, .. } => {
            EventOutcome::Failed { script, message: format!("cannot run: {reason}") }
        }
        ScriptState::Error { code } => {
            let last_words = output.lines().rev().map(str::trim).find(|l| !l.is_empty());
            let message = last_words.map_or_else(|| format!("exit status {code}"), str::to_owned);
            EventOutcome::Failed { script, message }
        }
    }
}

/// CTDB logs what scripts print; here it is a warning only when the script failed.
fn log(event: &Event, name: &str, output: &str, ok: bool) {
    for line in output.lines() {
        if ok {
            tracing::info!("{name} {event}: {line}");
        } else {
            tracing::warn!("{name} {event}: {line}");
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::script as test_script;
