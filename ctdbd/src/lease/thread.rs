//! The thread's loop: wait for a packet, a word of the driver or a deadline; feed the machine; perform what it wants.

use super::cause::Diary;
use super::handle::{Fed, Shown};
use super::mailbox::Mailbox;
use super::wire::{Datagram, LARGEST};
use super::{LeaseNews, clocks};
use crate::gate::{Gate, Renewal};
use crate::realtime::{self, NotRealTime, Urgency};
use crate::trace::TARGET;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use recoverd::lease::{Clocks, HoldRule, Lease, LeaseAction, LeaseInput, LockOrder};
use recoverd::model::{Mono, Pnn, Session};
use recoverd::view::LeaseView;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest sleep, so that a lost wake-up costs little.
const LONGEST: Duration = Duration::from_millis(500);
/// News that could not be put into their box are put there after so long.
const AGAIN: Duration = Duration::from_millis(1);

/// News on their way to the driver, without waiting for it.
pub(super) struct Outbox {
    unsent: Vec<LeaseNews>,
    words: Arc<Mailbox<LeaseNews>>,
    bell: UnixStream,
}

impl Outbox {
    /// `bell` does not block.
    pub(super) fn new(words: Arc<Mailbox<LeaseNews>>, bell: UnixStream) -> Self {
        Self { unsent: Vec::new(), words, bell }
    }

    /// Says whether all is sent.
    fn flush(&mut self) -> bool {
        if !self.unsent.is_empty() && self.words.try_put(&mut self.unsent) {
            // Full means that it was rung and not yet heard.
            let _ = self.bell.write(&[0]);
        }
        self.unsent.is_empty()
    }
}

pub(super) struct Thread {
    pub(super) me: Pnn,
    pub(super) lease: Lease,
    pub(super) peers: BTreeMap<Pnn, SocketAddr>,
    pub(super) socket: UdpSocket,
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) outbox: Outbox,
    pub(super) deadline: Option<Clocks>,
    pub(super) shown: Arc<Shown>,
    pub(super) diary: Diary,
    pub(super) lapses: u64,
    /// Counts wishes for the cluster lock, and their ends.
    pub(super) lock_wish: u64,
    pub(super) told: Option<LeaseView>,
    /// The nodes list that was in force alone when that was last told.
    pub(super) list: Option<u64>,
}

impl Thread {
    /// `start` is the machine's first input.
    pub(super) fn run(mut self, inputs: &Mailbox<Fed>, wake: &EventFd, start: LeaseInput) {
        self.become_real_time();
        self.feed(start);
        let mut buffer = vec![0; LARGEST];
        loop {
            self.wait(wake);
            let woke = clocks::now().boot;
            if self.turn(inputs, &mut buffer) {
                break;
            }
            // Whatever a turn waited for, it should not have.
            self.note(woke);
        }
        while !self.outbox.flush() {
            std::thread::sleep(AGAIN);
        }
    }

    fn become_real_time(&self) {
        let is = match realtime::get(Urgency::Lease) {
            Ok(()) => "real-time".to_owned(),
            Err(e) => {
                tracing::info!("the lease thread: {e}");
                e.to_string()
            }
        };
        match realtime::lock_memory() {
            Ok(()) | Err(NotRealTime::SwitchedOff) => {}
            Err(NotRealTime::Refused(e)) => tracing::info!(
                "memory is not locked ({e}): where it is short the lease thread may have to wait for a disk (grant CAP_IPC_LOCK or LimitMEMLOCK=infinity)"
            ),
        }
        // Nobody else sets it.
        let _ = self.shown.scheduling.set(is);
    }

    /// Takes in all that has come. True: it was the last turn.
    fn turn(&mut self, inputs: &Mailbox<Fed>, buffer: &mut [u8]) -> bool {
        let mut idle = true;
        for Fed { input, peers, wish } in inputs.try_take() {
            idle = false;
            self.peers.extend(peers);
            if wish.is_some_and(|w| w != self.lock_wish) {
                continue;
            }
            let last = input == LeaseInput::Leaving;
            self.feed(input);
            if last {
                return true;
            }
        }
        while let Ok((len, from)) = self.socket.recv_from(buffer) {
            idle = false;
            self.packet(&buffer[..len], from);
        }
        if idle {
            self.feed(LeaseInput::Tick);
        }
        self.reopen();
        false
    }

    /// It should be as late as `due` now.
    fn note(&mut self, due: Mono) {
        self.diary.ran(due, clocks::now().boot);
        self.shown.late.store(self.diary.worst(), Ordering::Relaxed);
    }

    fn wait(&mut self, wake: &EventFd) {
        let longest = if self.outbox.flush() { LONGEST } else { AGAIN };
        let now = clocks::now();
        let sleep = Duration::from_micros(self.lease.due_in(now)).min(longest);
        // Rounded up: waking early would only mean sleeping again.
        let millis = u16::try_from(sleep.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let mut fds = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(wake.as_fd(), PollFlags::POLLIN),
        ];
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, PollTimeout::from(millis));
        let _ = wake.read();
        self.note(Mono(now.boot.0 + u64::from(millis) * 1000));
    }

    fn packet(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some(pnn) = self.peers.iter().find(|(_, a)| a.ip() == from.ip()).map(|(pnn, _)| *pnn) else {
            return;
        };
        self.diary.heard(pnn, clocks::now().boot);
        match serde_json::from_slice(bytes) {
            Ok(Datagram::Msg(msg)) => self.feed(LeaseInput::Msg { from: pnn, msg }),
            Ok(Datagram::Fenced(session)) => {
                tracing::trace!(target: TARGET, "heard the guard of {pnn}");
                self.feed(LeaseInput::GuardReport { pnn, session });
            }
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
        let list = self.lease.list_in_force();
        if let Some(hash) = list.filter(|_| list != self.list) {
            self.list = list;
            self.tell(LeaseNews::ListInForce(hash));
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
            LeaseAction::Lapsed { session } => {
                let deadline = self.deadline.take();
                self.diary.lapsed();
                self.shown.deadline.store(0, Ordering::Relaxed);
                self.lapses += 1;
                if let Some(gate) = &self.gate {
                    gate.close();
                }
                if let (Some(session), Some(deadline)) = (session, deadline) {
                    self.tell_why(session, deadline);
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

    /// Why a session is over, if because its lease was not extended in time.
    fn tell_why(&mut self, session: Session, deadline: Clocks) {
        let now = clocks::now();
        if now.is_up(deadline) {
            let others = self.peers.keys().copied().filter(|pnn| *pnn != self.me);
            let why = self.diary.why(others, now.boot);
            self.tell(LeaseNews::Journal(format!("session {session} was not extended in time: {why}")));
        }
    }

    fn renew(&mut self, deadline: Clocks) {
        let Some(gate) = self.gate.clone() else { return };
        let left = || clocks::left(deadline);
        let found = match gate.renew(&left) {
            Renewal::Renewed(_) => return self.diary.renewed(clocks::now().boot),
            Renewal::TooLate => return,
            Renewal::NoLease => "the gate was found shut",
            Renewal::TablesGone => "the gate's tables were found gone",
        };
        self.open_again(&gate, &left, found);
    }

    /// The tables were put back shut, or the gate shut because it was not renewed in time: open it again for what is left of the lease.
    fn reopen(&mut self) {
        if let (Some(gate), Some(deadline)) = (self.gate.clone(), self.deadline)
            && gate.is_shut()
            && self.lease.may_serve(clocks::now())
        {
            self.open_again(&gate, &|| clocks::left(deadline), "the gate was found shut");
        }
    }

    fn open_again(&mut self, gate: &Gate, left: &dyn Fn() -> Duration, found: &str) {
        let opened = match gate.open(left) {
            Renewal::Renewed(_) => true,
            // The lease is as good as over.
            Renewal::TooLate => return,
            Renewal::NoLease | Renewal::TablesGone => false,
        };
        if let Some(text) = self.diary.found_shut(found, opened, clocks::now().boot) {
            self.tell(LeaseNews::Journal(text));
        }
    }

    fn tell(&mut self, news: LeaseNews) {
        self.outbox.unsent.push(news);
    }
}
