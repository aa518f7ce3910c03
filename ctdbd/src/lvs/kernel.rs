//! The thread that talks to the kernel about IPVS: netlink waits, and loading a module takes seconds.
//!
//! One job after the other, each with one piece of news. The socket is opened with the first job and again after an error, so that a module
//! that is loaded later is found. Refusals of single requests are [`lvs::reconcile`]'s; their memory lives here with the socket.

use super::conns;
use super::drained::{self, Kept};
use super::memory::{Memory, Ours};
use lvs::config::{SyncDaemon, Timeouts};
use lvs::ipvs::{Answer, Ipvs, Kernel, Reading, Role, pass};
use lvs::model::{DestId, ServiceId, Table};
use lvs::reconcile::{Failure, Reconciler};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What the kernel is to be beside its table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Setup {
    /// Time-outs; what is not set stays.
    pub(super) timeouts: Timeouts,
    /// Sync daemons with their settings; none: those that we started are stopped.
    pub(super) sync: Option<(Vec<Role>, SyncDaemon)>,
}

/// The kernel, or a test's stand-in.
pub(super) trait Backend: Ipvs + Send {
    /// Sets time-outs.
    fn set_timeouts(&mut self, wanted: &Timeouts) -> Result<(), String>;
    /// Brings the sync daemons to what is wanted; says in words what it did.
    fn set_sync(&mut self, wanted: Option<&(Vec<Role>, SyncDaemon)>) -> Result<Vec<String>, String>;
    /// Real servers that have answered somebody.
    fn answered(&mut self) -> BTreeSet<DestId>;
}

impl Backend for Kernel {
    fn set_timeouts(&mut self, wanted: &Timeouts) -> Result<(), String> {
        Self::set_timeouts(self, wanted).map(drop).map_err(|e| e.to_string())
    }

    fn set_sync(&mut self, wanted: Option<&(Vec<Role>, SyncDaemon)>) -> Result<Vec<String>, String> {
        let done = match wanted {
            Some((roles, with)) => self.set_sync_daemons(roles, with),
            None => self.stop_sync_daemons(),
        };
        done.map_err(|e| e.to_string())
    }

    fn answered(&mut self) -> BTreeSet<DestId> {
        conns::answered().unwrap_or_else(|e| {
            tracing::debug!("lvs: the list of connections cannot be read: {e}");
            BTreeSet::new()
        })
    }
}

/// Opens the kernel, or says why it cannot be opened.
pub(super) type Opener = Arc<dyn Fn() -> Result<Box<dyn Backend>, String> + Send + Sync>;

/// What is to be done.
pub(super) enum Job {
    /// Read the table; also the list of connections, when wanted.
    Read { connections: bool },
    /// Make the table what is wanted.
    Pass { desired: Table, actual: Table, owned: BTreeSet<ServiceId>, setup: Option<Setup> },
    /// Write down what is drained, for the next life.
    Remember { file: PathBuf, drains: Vec<Kept> },
    /// Take away what is ours.
    Clear { owned: BTreeSet<ServiceId>, done: tokio::sync::oneshot::Sender<()> },
}

/// What came of it.
pub(super) enum News {
    /// The table, and who has answered somebody, when that was asked.
    Read { reading: Reading, answered: Option<BTreeSet<DestId>> },
    /// The kernel cannot be used, in words.
    Unusable(String),
    /// A pass has ended.
    Passed(Passed),
}

/// What came of a pass.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) answers: Vec<Answer>,
    pub(super) failures: Vec<Failure>,
    /// When a refused request may be tried again.
    pub(super) retry_at: Option<Duration>,
    /// What was done about time-outs and sync daemons, or why not; none when nothing was asked.
    pub(super) setup: Option<Result<Vec<String>, String>>,
}

/// The other end of the thread. It ends when this is dropped.
pub(super) struct KernelLink {
    jobs: std_mpsc::Sender<Job>,
    pub(super) news: mpsc::UnboundedReceiver<News>,
}

impl KernelLink {
    /// Starts the thread. `synced`: sync daemons of ours may run already. `begin` is zero of the director's clock.
    pub(super) fn start(
        opener: Opener,
        memory: PathBuf,
        synced: bool,
        begin: Instant,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = std_mpsc::channel();
        let (tell, news) = mpsc::unbounded_channel();
        let mut worker = Worker {
            opener,
            kernel: None,
            reconciler: Reconciler::default(),
            memory: Memory::new(memory),
            begin,
            synced,
        };
        std::thread::Builder::new().name("lvs-netlink".into()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                if let Some(news) = worker.perform(job)
                    && tell.send(news).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, news })
    }

    /// Hands a job over. The thread ends only with this end, so that it is always there.
    pub(super) fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("lvs: the netlink thread has ended");
        }
    }
}

struct Worker {
    opener: Opener,
    kernel: Option<Box<dyn Backend>>,
    reconciler: Reconciler,
    memory: Memory,
    begin: Instant,
    /// We have started sync daemons, or a director before us has.
    synced: bool,
}

impl Worker {
    fn perform(&mut self, job: Job) -> Option<News> {
        match job {
            Job::Read { connections } => Some(match self.read(connections) {
                Ok(news) => news,
                Err(why) => {
                    self.kernel = None;
                    News::Unusable(why)
                }
            }),
            Job::Pass { desired, actual, owned, setup } => {
                Some(News::Passed(self.pass(&desired, &actual, &owned, setup)))
            }
            Job::Remember { file, drains } => {
                drained::write(&file, &drains);
                None
            }
            Job::Clear { owned, done } => {
                self.clear(&owned);
                // Who waits may have given up.
                let _ = done.send(());
                None
            }
        }
    }

    fn opened(&mut self) -> Result<&mut Box<dyn Backend>, String> {
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => (self.opener)()?,
        };
        Ok(self.kernel.insert(kernel))
    }

    fn read(&mut self, connections: bool) -> Result<News, String> {
        let kernel = self.opened()?;
        let reading = kernel.read().map_err(|e| e.to_string())?;
        let answered = connections.then(|| kernel.answered());
        Ok(News::Read { reading, answered })
    }

    fn pass(
        &mut self,
        desired: &Table,
        actual: &Table,
        owned: &BTreeSet<ServiceId>,
        setup: Option<Setup>,
    ) -> Passed {
        let sync = self.synced || setup.as_ref().is_some_and(|s| s.sync.is_some());
        self.memory.write(Ours { services: owned.clone(), sync });
        let now = self.begin.elapsed();
        let Some(kernel) = &mut self.kernel else { return Passed::default() };
        let answers = pass(&mut **kernel, &mut self.reconciler, desired, actual, owned, now);
        let setup = setup.and_then(|setup| {
            let wanted = setup.sync.is_some();
            if !wanted && !self.synced && setup.timeouts == Timeouts::default() {
                return None;
            }
            let done = kernel.set_timeouts(&setup.timeouts).and_then(|()| {
                if wanted || self.synced { kernel.set_sync(setup.sync.as_ref()) } else { Ok(Vec::new()) }
            });
            self.synced = wanted || (self.synced && done.is_err());
            Some(done)
        });
        Passed {
            answers,
            failures: self.reconciler.failures().values().cloned().collect(),
            retry_at: self.reconciler.next_deadline(),
            setup,
        }
    }

    /// What cannot be cleared is remembered still.
    fn clear(&mut self, owned: &BTreeSet<ServiceId>) {
        // Else the kernel is not asked: it may have to load a module for that.
        if owned.is_empty() && !self.synced {
            return self.memory.write(Ours::default());
        }
        let (now, synced) = (self.begin.elapsed(), self.synced);
        let kernel = match self.opened() {
            Ok(kernel) => kernel,
            Err(why) => return tracing::warn!("lvs: the table cannot be cleared: {why}"),
        };
        match kernel.read() {
            Ok(reading) => {
                let mut fresh = Reconciler::default();
                for answer in pass(&mut **kernel, &mut fresh, &Table::new(), &reading.table, owned, now) {
                    if answer.is_news() {
                        tracing::warn!("lvs: {answer}");
                    }
                }
            }
            Err(e) => return tracing::warn!("lvs: the table cannot be cleared: {e}"),
        }
        if synced && let Err(why) = kernel.set_sync(None) {
            tracing::warn!("lvs: {why}");
        }
        self.synced = false;
        self.memory.write(Ours::default());
    }
}
