//! The thread that notices when another program changes the gate's tables (`nft flush ruleset`), and puts them back, shut.
//!
//! It needs no lease and makes none: whoever ticks is told, and opens the gate again if the lease still says so.

use super::nfnl::{Messages, SUBSYSTEM, attribute, enlarge};
use super::ruleset::TABLE;
use super::{Shared, lock};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

/// All changes of nf_tables, of every program.
const GROUP_NFTABLES: u32 = 7;
const NEW_GENERATION: u16 = (SUBSYSTEM << 8) | 15;
const RECEIVE_BUFFER: usize = 4 << 20;
/// How long a failed repair waits for the next attempt, in milliseconds.
const AGAIN: u16 = 500;

/// The running thread; ends when dropped.
pub(super) struct Watch {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(shared: Arc<Shared>, repaired: Box<dyn Fn() + Send>) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        enlarge(&socket, RECEIVE_BUFFER)?;
        socket.add_membership(GROUP_NFTABLES)?;
        let (stopped, stop) = pipe()?;
        let own = lock(&shared.tables).port();
        let watcher = Watcher { socket, own, shared, repaired, mended: false, broken: false };
        let thread =
            thread::Builder::new().name("gate-watch".to_owned()).spawn(move || watcher.run(&stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread sees that the pipe has lost its writer.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

struct Watcher {
    socket: Socket,
    /// Changes of this number are our own.
    own: u32,
    shared: Arc<Shared>,
    repaired: Box<dyn Fn() + Send>,
    /// Another's transaction, whose announcement is being read, was answered already.
    mended: bool,
    broken: bool,
}

impl Watcher {
    fn run(mut self, stopped: &PipeReader) {
        // On a busy machine the tables of a shut gate must be back before a packet passes. Without the right it is as quick as it can.
        let _ = crate::realtime::get(crate::realtime::Urgency::Gate);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let timeout = if self.broken { PollTimeout::from(AGAIN) } else { PollTimeout::NONE };
            let mut wait = [
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut wait, timeout) {
                Ok(0) => self.mend(),
                Ok(_) if wait[1].any() == Some(true) => return,
                Ok(_) => self.read(&mut buffer),
                Err(Errno::EINTR) => {}
                Err(e) => {
                    tracing::error!("the gate's tables are no longer watched: {e}");
                    return;
                }
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(got) => {
                for message in Messages::new(&buffer[..got]) {
                    if message.port != self.own {
                        self.foreign(message.kind, message.body.get(4..).unwrap_or_default());
                    }
                }
            }
            // More was announced than fits: look for ourselves.
            Err(Errno::ENOBUFS) => {
                if !lock(&self.shared.tables).stand() {
                    self.mend();
                }
            }
            Err(_) => {}
        }
    }

    /// Every announcement about a table, or what is in it, names the table in attribute 1.
    fn foreign(&mut self, kind: u16, attributes: &[u8]) {
        if kind == NEW_GENERATION {
            if std::mem::take(&mut self.mended) {
                let name = attribute(attributes, 3).map(text).unwrap_or_default();
                let pid = attribute(attributes, 2)
                    .and_then(|v| v.first_chunk())
                    .map_or(0, |v| u32::from_be_bytes(*v));
                tracing::warn!(
                    "process {pid} ({name}) changed the nftables tables {TABLE}: they were put back, shut"
                );
            }
        } else if !self.mended && attribute(attributes, 1).map(text).as_deref() == Some(TABLE) {
            self.mended = true;
            self.mend();
        }
    }

    fn mend(&mut self) {
        // Before the tables stand again: from then on the gate may be opened, and is as open as its ticks say.
        self.shared.until.store(0, Ordering::Relaxed);
        let result = lock(&self.shared.tables).restore();
        self.broken = result.is_err();
        let fault = result.err().map(|e| e.to_string());
        if let Some(why) = &fault {
            tracing::error!("the nftables tables {TABLE} were changed and cannot be put back: {why}");
        }
        let mended = fault.is_none();
        *lock(&self.shared.fault) = fault;
        if mended {
            self.shared.repairs.fetch_add(1, Ordering::Relaxed);
            (self.repaired)();
        }
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}
