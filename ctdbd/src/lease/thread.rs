//! The thread's loop: wait for a packet, a word of the driver or a deadline; feed the machine; perform what it wants.

use super::wire::{Datagram, LARGEST};
use super::{LeaseNews, clocks};
use crate::gate::{Gate, Renewal};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use recoverd::lease::{Clocks, HoldRule, Lease, LeaseAction, LeaseConfig, LeaseInput, LockOrder};
use recoverd::model::{Epoch, Pnn};
use recoverd::view::LeaseView;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Longest sleep, so that a lost wake-up costs little.
const LONGEST: Duration = Duration::from_millis(500);

/// What the thread needs.
pub struct LeaseSetup {
    /// For the machine.
    pub config: LeaseConfig,
    /// Highest epoch that the state file remembers.
    pub stored: Epoch,
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

/// Until when this node may serve and by which rule, for people: written at every beat, read by anybody.
#[derive(Debug, Default)]
struct Shown {
    /// CLOCK_BOOTTIME in microseconds; 0 after a lapse.
    deadline: AtomicU64,
    rule: AtomicU8,
}

/// An input on its way to the thread.
struct Fed {
    input: LeaseInput,
    /// Addresses of nodes that a new nodes file brings; those of nodes that it deletes count until the lease layer has settled it.
    peers: Vec<(Pnn, SocketAddr)>,
    /// News of the cluster lock: the wish that they answer.
    wish: Option<u64>,
}

/// The driver's hand on the thread. Nothing here blocks.
#[derive(Debug, Clone)]
pub struct LeaseHandle {
    inputs: Sender<Fed>,
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
        // The thread ends only with the process, or after `Leaving`.
        let _ = self.inputs.send(fed);
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
    inputs: Receiver<Fed>,
}

impl Waiting {
    /// Makes the means of waking.
    ///
    /// # Errors
    /// No event descriptor can be had.
    pub fn new() -> io::Result<Self> {
        let (sender, inputs) = channel();
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        Ok(Self { handle: LeaseHandle { inputs: sender, wake, shown: Arc::default() }, inputs })
    }

    /// The handle, which works once the thread runs.
    #[must_use]
    pub fn handle(&self) -> LeaseHandle {
        self.handle.clone()
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The UDP port is not to be had, or the system refuses a thread.
    pub fn start(self, setup: LeaseSetup) -> io::Result<LeaseHandle> {
        let socket = UdpSocket::bind(SocketAddr::new(setup.addr, setup.port))?;
        socket.set_nonblocking(true)?;
        let handle = self.handle.clone();
        let thread = Thread {
            lease: Lease::new(&setup.config),
            peers: setup
                .nodes
                .iter()
                .enumerate()
                .filter_map(|(n, a)| Some((Pnn(u32::try_from(n).ok()?), SocketAddr::new((*a)?, setup.port))))
                .collect(),
            socket,
            gate: setup.gate,
            news: setup.news,
            deadline: None,
            shown: Arc::clone(&self.handle.shown),
            lapses: 0,
            lock_wish: 0,
            told: None,
        };
        let (inputs, wake, stored) = (self.inputs, Arc::clone(&self.handle.wake), setup.stored);
        std::thread::Builder::new().name("lease".into()).spawn(move || thread.run(&inputs, &wake, stored))?;
        Ok(handle)
    }
}

struct Thread {
    lease: Lease,
    peers: BTreeMap<Pnn, SocketAddr>,
    socket: UdpSocket,
    gate: Option<Arc<Gate>>,
    news: UnboundedSender<LeaseNews>,
    deadline: Option<Clocks>,
    shown: Arc<Shown>,
    lapses: u64,
    /// Counts wishes for the cluster lock, and their ends.
    lock_wish: u64,
    told: Option<LeaseView>,
}

impl Thread {
    fn run(mut self, inputs: &Receiver<Fed>, wake: &EventFd, stored: Epoch) {
        if let Err(e) = crate::sys::real_time() {
            tracing::info!(
                "the lease thread runs without real-time priority ({e}): a busy machine may cost it its lease"
            );
        }
        self.feed(LeaseInput::Start { stored, before: None });
        let mut buffer = vec![0; LARGEST];
        loop {
            let sleep = Duration::from_micros(self.lease.due_in(clocks::now())).min(LONGEST);
            self.wait(wake, sleep);
            let mut idle = true;
            while let Ok(Fed { input, peers, wish }) = inputs.try_recv() {
                idle = false;
                self.peers.extend(peers);
                if wish.is_some_and(|w| w != self.lock_wish) {
                    continue;
                }
                let last = input == LeaseInput::Leaving;
                self.feed(input);
                if last {
                    return;
                }
            }
            while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                idle = false;
                self.packet(&buffer[..len], from);
            }
            if idle {
                self.feed(LeaseInput::Tick);
            }
            self.reopen();
        }
    }

    fn wait(&self, wake: &EventFd, sleep: Duration) {
        // Rounded up: waking early would only mean sleeping again.
        let millis = u16::try_from(sleep.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let mut fds = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(wake.as_fd(), PollFlags::POLLIN),
        ];
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, PollTimeout::from(millis));
        let _ = wake.read();
    }

    fn packet(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some(pnn) = self.peers.iter().find(|(_, a)| a.ip() == from.ip()).map(|(pnn, _)| *pnn) else {
            return;
        };
        match serde_json::from_slice(bytes) {
            Ok(Datagram::Msg(msg)) => self.feed(LeaseInput::Msg { from: pnn, msg }),
            Ok(Datagram::Fenced(session)) => self.feed(LeaseInput::GuardReport { pnn, session }),
            Err(e) => tracing::debug!("lease datagram from {from} not understood: {e}"),
        }
    }

    fn feed(&mut self, input: LeaseInput) {
        for action in self.lease.handle(input, clocks::now()) {
            self.perform(action);
        }
        let view = self.view();
        if self.told.as_ref() != Some(&view) {
            self.told = Some(view.clone());
            self.tell(LeaseNews::View(view));
        }
    }

    fn view(&self) -> LeaseView {
        LeaseView { lapses: self.lapses, ..self.lease.view(clocks::now()) }
    }

    fn perform(&mut self, action: LeaseAction) {
        match action {
            LeaseAction::Send { to, msg } => {
                let Some(to) = self.peers.get(&to) else { return };
                match serde_json::to_vec(&Datagram::Msg(msg)) {
                    // A packet that cannot be sent is a lost packet.
                    Ok(bytes) => drop(self.socket.send_to(&bytes, to)),
                    Err(e) => tracing::error!("lease datagram: {e}"),
                }
            }
            LeaseAction::GateUntil { deadline, rule } => {
                self.deadline = Some(deadline);
                self.shown.deadline.store(deadline.boot.0, Ordering::Relaxed);
                let rule = match rule {
                    HoldRule::Recmaster => 1,
                    HoldRule::Peers => 2,
                    HoldRule::Own => 3,
                };
                self.shown.rule.store(rule, Ordering::Relaxed);
                self.renew(deadline);
            }
            LeaseAction::Lapsed { .. } => {
                self.deadline = None;
                self.shown.deadline.store(0, Ordering::Relaxed);
                self.lapses += 1;
                if let Some(gate) = &self.gate {
                    gate.close();
                }
            }
            LeaseAction::Lock(order) => {
                if matches!(order, LockOrder::Queue | LockOrder::Leave) {
                    self.lock_wish += 1;
                }
                self.tell(LeaseNews::Lock { order, wish: self.lock_wish });
            }
            LeaseAction::Journal { text } => self.tell(LeaseNews::Journal(text)),
            // The view says all of this; commands of the protocol's own giver are not used: runs give addresses here.
            LeaseAction::Remember { .. }
            | LeaseAction::Leader { .. }
            | LeaseAction::Leading { .. }
            | LeaseAction::NotLeading { .. }
            | LeaseAction::Joined { .. }
            | LeaseAction::Out { .. }
            | LeaseAction::AllAccounted
            | LeaseAction::Command { .. }
            | LeaseAction::Denied { .. }
            | LeaseAction::Take(_)
            | LeaseAction::Release(_) => {}
        }
    }

    fn renew(&self, deadline: Clocks) {
        let Some(gate) = &self.gate else { return };
        let left = || clocks::left(deadline);
        if matches!(gate.renew(&left), Renewal::NoLease | Renewal::TablesGone) {
            gate.open(&left);
        }
    }

    /// The tables were put back shut: open them again for what is left of the lease.
    fn reopen(&self) {
        if let (Some(gate), Some(deadline)) = (&self.gate, self.deadline)
            && gate.state() == crate::gate::GateState::Shut
            && self.lease.may_serve(clocks::now())
        {
            let left = || clocks::left(deadline);
            gate.open(&left);
        }
    }

    fn tell(&self, news: LeaseNews) {
        // The driver is gone only when the daemon has ended.
        let _ = self.news.send(news);
    }
}
