//! The others' hand on the lease thread: what starts it, feeds it and reads what it shows.

use super::cause::Diary;
use super::mailbox::Mailbox;
use super::thread::{Outbox, Thread};
use super::{LeaseNews, clocks};
use crate::gate::Gate;
use crate::nodes_state::NodesList;
use nix::sys::eventfd::{EfdFlags, EventFd};
use recoverd::lease::{Lease, LeaseConfig, LeaseInput};
use recoverd::model::{Epoch, Pnn};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::UnboundedSender;

/// What the thread needs.
pub struct LeaseSetup {
    /// For the machine.
    pub config: LeaseConfig,
    /// Highest epoch that the state file remembers.
    pub stored: Epoch,
    /// The nodes list of the daemon's last life, if it was another one than now.
    pub before: Option<NodesList>,
    /// Our private address.
    pub addr: IpAddr,
    /// Private addresses by node number; `None` for deleted ones.
    pub nodes: Vec<Option<IpAddr>>,
    /// UDP port, the same on all nodes.
    pub port: u16,
    /// The gate; `None` where the kernel has none.
    pub gate: Option<Arc<Gate>>,
    /// To the driver.
    pub news: UnboundedSender<LeaseNews>,
}

/// What the thread shows of itself, for people: written by it, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Until when this node may serve, CLOCK_BOOTTIME in microseconds; 0 after a lapse.
    pub(super) deadline: AtomicU64,
    /// By which rule.
    pub(super) rule: AtomicU8,
    /// Its longest delay, in microseconds.
    pub(super) late: AtomicU64,
    /// Whether it is a real-time thread, and why not.
    pub(super) scheduling: OnceLock<String>,
}

/// An input on its way to the thread.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) input: LeaseInput,
    /// Addresses of nodes that a new nodes file brings; those of nodes that it deletes count until the lease layer has settled it.
    pub(super) peers: Vec<(Pnn, SocketAddr)>,
    /// News of the cluster lock: the wish that they answer.
    pub(super) wish: Option<u64>,
}

/// The driver's hand on the thread. Nothing here blocks.
#[derive(Debug, Clone)]
pub struct LeaseHandle {
    inputs: Arc<Mailbox<Fed>>,
    wake: Arc<EventFd>,
    shown: Arc<Shown>,
}

impl LeaseHandle {
    /// How much longer this node may serve if nothing extends its lease, and what extended it last.
    #[must_use]
    pub fn left(&self) -> (Option<Duration>, &'static str) {
        let deadline = self.shown.deadline.load(Ordering::Relaxed);
        let left = deadline.saturating_sub(clocks::now().boot.0);
        let rule = match self.shown.rule.load(Ordering::Relaxed) {
            1 => "the recmaster acknowledged its beat",
            2 => "a majority of the nodes granted it",
            3 => "it is recmaster and proved the cluster lock",
            _ => "not yet",
        };
        ((left > 0).then(|| Duration::from_micros(left)), rule)
    }

    /// The longest delay of the lease thread in its life: how much later than it wanted it went on.
    #[must_use]
    pub fn late_max(&self) -> Duration {
        Duration::from_micros(self.shown.late.load(Ordering::Relaxed))
    }

    /// Whether the lease thread is a real-time thread, and why not.
    #[must_use]
    pub fn scheduling(&self) -> String {
        self.shown.scheduling.get().cloned().unwrap_or_default()
    }

    /// Feeds the machine.
    pub fn feed(&self, input: LeaseInput) {
        self.send(Fed { input, peers: Vec::new(), wish: None });
    }

    /// Another nodes file: nodes that are not deleted with their addresses, and its hash. It takes force with a new epoch (d22).
    pub fn nodes_list(&self, peers: Vec<(Pnn, SocketAddr)>, list: u64) {
        let nodes = peers.iter().map(|(pnn, _)| *pnn).collect();
        self.send(Fed { input: LeaseInput::NodesList { nodes, list }, peers, wish: None });
    }

    /// Feeds news of the cluster lock, which answer that wish. They are passed over if the machine has another wish by now: the lock
    /// that was had may have been let go meanwhile.
    pub fn feed_lock(&self, wish: u64, input: LeaseInput) {
        self.send(Fed { input, peers: Vec::new(), wish: Some(wish) });
    }

    fn send(&self, fed: Fed) {
        self.inputs.put(fed);
        self.wake();
    }

    /// Makes the thread look at the gate: its tables were put back.
    pub fn wake(&self) {
        let _ = self.wake.write(1);
    }
}

/// A handle for a thread that is not running yet: the gate wants to wake it, and the thread wants the gate.
pub struct Waiting {
    handle: LeaseHandle,
}

impl Waiting {
    /// Makes the means of waking.
    ///
    /// # Errors
    /// No event descriptor can be had.
    pub fn new() -> io::Result<Self> {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        Ok(Self { handle: LeaseHandle { inputs: Arc::default(), wake, shown: Arc::default() } })
    }

    /// The handle, which works once the thread runs.
    #[must_use]
    pub fn handle(&self) -> LeaseHandle {
        self.handle.clone()
    }

    /// Starts the thread. In a runtime, which carries its news to the driver.
    ///
    /// # Errors
    /// The UDP port is not to be had, or the system refuses a thread or a pair of sockets.
    pub fn start(self, setup: LeaseSetup) -> io::Result<LeaseHandle> {
        let socket = UdpSocket::bind(SocketAddr::new(setup.addr, setup.port))?;
        socket.set_nonblocking(true)?;
        let outbox = outbox(setup.news)?;
        let LeaseHandle { inputs, wake, shown } = self.handle.clone();
        let lease_time = u64::try_from(setup.config.lease_time.as_micros()).unwrap_or(u64::MAX);
        let thread = Thread {
            me: setup.config.me,
            lease: Lease::new(&setup.config),
            peers: setup
                .nodes
                .iter()
                .enumerate()
                .filter_map(|(n, a)| Some((Pnn(u32::try_from(n).ok()?), SocketAddr::new((*a)?, setup.port))))
                .collect(),
            socket,
            gate: setup.gate,
            outbox,
            deadline: None,
            shown,
            diary: Diary::new(lease_time),
            lapses: 0,
            lock_wish: 0,
            told: None,
            list: None,
        };
        let before = setup.before.map(|l| (l.hash, l.nodes));
        let start = LeaseInput::Start { stored: setup.stored, before };
        std::thread::Builder::new().name("lease".into()).spawn(move || {
            let _ended = EndsTheDaemon;
            thread.run(&inputs, &wake, start);
        })?;
        Ok(self.handle)
    }
}

/// A daemon without its lease thread would go on as if nothing had happened, serving nothing: it ends, and its guard cleans up.
struct EndsTheDaemon;

impl Drop for EndsTheDaemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Where the thread puts its news, and the task that carries them on.
fn outbox(news: UnboundedSender<LeaseNews>) -> io::Result<Outbox> {
    let words = Arc::<Mailbox<LeaseNews>>::default();
    let (bell, rings) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rings.set_nonblocking(true)?;
    let mut rings = tokio::net::UnixStream::from_std(rings)?;
    let carried = Arc::clone(&words);
    tokio::spawn(async move {
        let mut some = [0; 64];
        loop {
            // The thread has ended when there is nothing more to read: what it put in before is carried on all the same.
            let ended = !matches!(rings.read(&mut some).await, Ok(n) if n > 0);
            for word in carried.take() {
                // The driver is gone only when the daemon has ended.
                let _ = news.send(word);
            }
            if ended {
                return;
            }
        }
    });
    Ok(Outbox::new(words, bell))
}
