//! The only `unsafe` of this crate: fork, and entering the namespaces of a lab between fork and exec.
//!
//! Nothing here decides anything. A process that joins a pid namespace with `setns` stays outside itself; only its children are
//! inside. So the forked child enters all namespaces and then clones once more with `CLONE_PARENT`: the clone is inside the
//! lab (it dies with it) and still a child of the test process, which can wait for it and knows its pid.

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid, chdir, setpgid};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

/// The namespaces of one host of a lab.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// Only without root: the user namespace that owns the others.
    pub(crate) user: Option<Arc<OwnedFd>>,
    /// One for the whole lab.
    pub(crate) pid: Arc<OwnedFd>,
    /// The host's own view of `/run` and `/sys`.
    pub(crate) mount: OwnedFd,
    /// The host's own interfaces.
    pub(crate) net: OwnedFd,
}

impl Namespaces {
    fn enter(&self) -> nix::Result<()> {
        if let Some(user) = &self.user {
            setns(user.as_ref(), CloneFlags::CLONE_NEWUSER)?;
        }
        setns(&self.mount, CloneFlags::CLONE_NEWNS)?;
        setns(&self.net, CloneFlags::CLONE_NEWNET)?;
        setns(self.pid.as_ref(), CloneFlags::CLONE_NEWPID)
    }
}

/// Makes `command` run inside `namespaces`, in `directory`, in a process group of its own. The process that `Command::spawn`
/// returns ends at once; the pid of the real one is written to `pid_out` (four bytes, native order).
pub(crate) fn run_inside(
    command: &mut Command,
    namespaces: Arc<Namespaces>,
    directory: CString,
    pid_out: OwnedFd,
) {
    let enter = move || -> io::Result<()> {
        namespaces.enter()?;
        chdir(directory.as_c_str())?;
        // SAFETY: a plain clone without shared memory and without a new stack: the same as fork, with another parent. We are
        // the only thread of a process that only goes on to exec or to _exit.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if pid > 0 {
            let bytes = i32::try_from(pid).unwrap_or(-1).to_ne_bytes();
            // SAFETY: four initialised bytes to a descriptor that this closure owns; both calls are async-signal-safe.
            unsafe {
                libc::write(pid_out.as_raw_fd(), bytes.as_ptr().cast(), bytes.len());
                libc::_exit(0)
            }
        }
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        Ok(())
    };
    // SAFETY: the closure runs in the forked child. It makes system calls only: no allocation, no locks, no Rust destructors.
    unsafe { command.pre_exec(enter) };
}

/// Forks a single-threaded process.
///
/// # Errors
/// The kernel's; also `EBUSY` when there is more than one thread.
pub(crate) fn fork_single_threaded() -> nix::Result<ForkResult> {
    if std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count) > 1 {
        return Err(nix::errno::Errno::EBUSY);
    }
    // SAFETY: there is one thread (checked above), so no lock can be held by another one at the fork.
    unsafe { nix::unistd::fork() }
}

/// Dies when the parent dies. The parent must be single-threaded: the kernel means the parent's thread.
///
/// # Errors
/// The kernel's.
pub(crate) fn die_with_parent() -> nix::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)
}

/// Takes ownership of descriptors that the kernel has just handed to us in a control message.
pub(crate) fn received_fds(fds: &[RawFd]) -> Vec<OwnedFd> {
    // SAFETY: the caller passes descriptors fresh from SCM_RIGHTS, which nobody else knows yet.
    fds.iter().map(|&fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// Ignores a signal from now on.
///
/// # Errors
/// The kernel's.
pub(crate) fn ignore(signal: Signal) -> nix::Result<()> {
    // SAFETY: no handler of ours is installed or replaced, so nothing can run in a signal context.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }.map(drop)
}

/// More important than the daemons under test, where the kernel lets us (root): measured silence should be theirs, not ours.
/// The measuring programs sleep most of the time, so real-time priority costs the others little. It is the lowest: below the daemons'
/// lease threads.
pub(crate) fn more_important() {
    real_time(1);
}

/// Gives the calling thread a real-time priority, where the kernel lets us (root); says whether it did.
pub(crate) fn real_time(priority: i32) -> bool {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: changes the scheduling of the calling thread only, and `param` outlives the call; a refusal changes nothing.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) == 0 }
}
