//! The LVS director in the daemon: performs what `lvs::director` decides, beside the driver and never in its way.
//!
//! `$CTDB_BASE/virtual_servers.conf` switches it on, or an LVS group of cluster members ([`group`]). One task ([`task`]) owns the director; every probe is a task of its own, whose
//! death is a fact for the director and nothing else (field report R0); the kernel's table is read and changed by a thread ([`kernel`]).
//! The driver says what addresses the kernel has and passes commands on; it never waits. Without either there is a task that waits for
//! commands, and nothing more. Whatever happens here, public addresses matter more: a bad file, a kernel without IPVS, or a panic leave
//! the daemon as it is.

mod conns;
mod drained;
mod forwards;
mod group;
mod kernel;
mod load;
mod memory;
mod probes;
mod report;
mod running;
mod task;

use crate::journal::JournalHandle;
use ::lvs::members::Members;
use forwards::Tester;
use kernel::{Backend, Opener};
use probes::Prober;
use recoverd::command::{AnyReply, DaemonCommand, DaemonReply};
use recoverd::model::{KernelState, PublicAddress};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

pub(crate) use group::{Drivers, Guarding};

#[cfg(test)]
mod tests;

/// The configuration file, within CTDB_BASE.
pub const FILE: &str = "virtual_servers.conf";
/// How long the end of the daemon waits for the kernel's table to be cleared.
const STOP: Duration = Duration::from_secs(3);
/// Pause before a director that panicked is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the task is asked.
enum Ask {
    /// One of the commands `ctdb lvs …`.
    Command(DaemonCommand, oneshot::Sender<AnyReply>),
    /// The LVS group of cluster members, none when there is none; answered when the director knows, with what is wrong about it.
    Members(Option<Members>, oneshot::Sender<Result<(), String>>),
    /// Take everything of ours out of the kernel; answered when that is done.
    Stop(oneshot::Sender<()>),
}

/// Where things are, and how to get at the kernel and the real servers.
struct Setting {
    file: PathBuf,
    memory: PathBuf,
    drains: PathBuf,
    kernel: watch::Receiver<Option<Arc<KernelState>>>,
    public: watch::Receiver<Arc<[PublicAddress]>>,
    opener: Opener,
    prober: Prober,
    /// None: the self-test is switched off.
    tester: Option<Tester>,
    journal: Option<JournalHandle>,
    /// Why virtual services are not served.
    trouble: watch::Sender<Option<String>>,
    /// The LVS group, for a director that is started again.
    members: watch::Sender<Option<Members>>,
}

/// The driver's end of the director.
pub struct Lvs {
    asks: mpsc::UnboundedSender<Ask>,
    kernel: watch::Sender<Option<Arc<KernelState>>>,
    trouble: watch::Receiver<Option<String>>,
}

impl Lvs {
    /// Starts the task, which reads the file. `self_test`: whether the kernel is tried once.
    #[must_use]
    pub fn spawn(
        base: &Path,
        vardir: &Path,
        public: watch::Receiver<Arc<[PublicAddress]>>,
        journal: JournalHandle,
        self_test: bool,
    ) -> Self {
        let opener: Opener = Arc::new(|| {
            let kernel = lvs::ipvs::Kernel::open().map_err(|e| e.to_string())?;
            Ok(Box::new(kernel) as Box<dyn Backend>)
        });
        let tester = self_test.then(forwards::real);
        Self::spawn_with((base, vardir), public, Some(journal), opener, probes::real(), tester)
    }

    fn spawn_with(
        (base, vardir): (&Path, &Path),
        public: watch::Receiver<Arc<[PublicAddress]>>,
        journal: Option<JournalHandle>,
        opener: Opener,
        prober: Prober,
        tester: Option<Tester>,
    ) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (kernel, seen) = watch::channel(None);
        let (trouble, troubled) = watch::channel(None);
        let setting = Arc::new(Setting {
            file: base.join(FILE),
            memory: vardir.join("lvs_services.json"),
            drains: vardir.join("lvs_drains.json"),
            kernel: seen,
            public,
            opener,
            prober,
            tester,
            journal,
            trouble,
            members: watch::Sender::new(None),
        });
        tokio::spawn(supervise(setting, Arc::new(Mutex::new(asked))));
        Self { asks, kernel, trouble: troubled }
    }

    /// The addresses of this host are these now.
    pub fn kernel_seen(&self, state: &Arc<KernelState>) {
        self.kernel.send_replace(Some(Arc::clone(state)));
    }

    /// Passes a command on; the answer comes when there is one.
    pub fn ask(&self, command: DaemonCommand, reply: oneshot::Sender<AnyReply>) {
        if let Err(mpsc::error::SendError(Ask::Command(_, reply))) =
            self.asks.send(Ask::Command(command, reply))
        {
            let ended = DaemonReply::Error("the LVS director has ended".to_owned());
            // Who asked may have given up waiting.
            let _ = reply.send(AnyReply::Daemon(ended));
        }
    }

    /// Clears the kernel's table of what is ours, as far as that can be done soon.
    pub async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        if self.asks.send(Ask::Stop(done)).is_ok() && tokio::time::timeout(STOP, stopped).await.is_err() {
            tracing::warn!("lvs: the kernel's table was not cleared within {} s", STOP.as_secs());
        }
    }
}

/// Runs the director; one that panicked is started again, with the kernel's table as it left it.
async fn supervise(setting: Arc<Setting>, asked: Arc<Mutex<mpsc::UnboundedReceiver<Ask>>>) {
    loop {
        let (setting, asked) = (Arc::clone(&setting), Arc::clone(&asked));
        let task = tokio::spawn(async move { task::run(&setting, &mut *asked.lock().await).await });
        match task.await {
            Ok(()) => return,
            Err(e) => {
                tracing::error!(
                    "lvs: the director has died ({e}) and is started again; services stay as they are"
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
