//! The helper's process: its answer, its end, and that nothing of it is left.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How often to look, in that time, whether the helper has ended.
const LOOK: Duration = Duration::from_millis(5);

/// For a killed process to disappear.
const REAP_LIMIT: Duration = Duration::from_secs(5);

/// A running helper, in a process group of its own. It is reaped only in [`Helper::end`], so that its number stays its own.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    pid: Pid,
    stdout: ChildStdout,
    /// The end of its output was read.
    eof: bool,
    /// Some child has ended, perhaps this one.
    child_signal: SignalStream,
}

impl Helper {
    /// # Errors
    /// Those of fork and exec.
    pub(super) fn start(argv: &[String]) -> io::Result<Self> {
        let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child_signal = signal(SignalKind::child())?;
        let mut child = Command::new(program)
            .args(args)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (Some(pid), Some(stdout)) = (pid, child.stdout.take()) else {
            return Err(io::Error::other("it has no process id or no output"));
        };
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log(program.clone(), stderr));
        }
        Ok(Self { child, pid, stdout, eof: false, child_signal })
    }

    /// Its first character; `None` when it ended or closed its output without one. Cancel safe.
    pub(super) async fn answer(&mut self) -> Option<u8> {
        let mut one = [0];
        match self.stdout.read(&mut one).await {
            Ok(1) => Some(one[0]),
            _ => {
                self.eof = true;
                None
            }
        }
    }

    /// Waits until it has ended or closed its output. Cancel safe.
    pub(super) async fn gone(&mut self) {
        let mut more = [0; 64];
        while self.alive() {
            tokio::select! {
                read = self.stdout.read(&mut more) => self.eof = !matches!(read, Ok(1..)),
                _ = self.child_signal.recv() => {}
            }
        }
    }

    /// Whether it runs and has its output open, as far as is known.
    pub(super) fn alive(&self) -> bool {
        !self.eof && !has_exited(self.pid)
    }

    /// SIGTERM, grace, then SIGKILL for whatever is left of its group.
    pub(super) async fn end(mut self) {
        self.terminate();
        let deadline = Instant::now() + GRACE;
        while !has_exited(self.pid) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        if !has_exited(self.pid) {
            tracing::warn!("cluster lock helper {} ignores SIGTERM: killed", self.pid);
        }
        match killpg(self.pid, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(e) => tracing::error!("killing the group of cluster lock helper {}: {e}", self.pid),
        }
        if timeout(REAP_LIMIT, self.child.wait()).await.is_err() {
            tracing::error!(
                "cluster lock helper {pid} does not end although it was killed: it hangs in the kernel; look at /proc/{pid}/stack",
                pid = self.pid
            );
        }
    }

    /// To the helper alone, as in CTDB: it may need its children to let go.
    fn terminate(&self) {
        // No id: reaped, and its number may be somebody else's.
        if self.child.id().is_some() {
            let _already_ended = kill(self.pid, Signal::SIGTERM);
        }
    }
}

/// The daemon ends: the lock is let go.
impl Drop for Helper {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// Whether the process has ended, without reaping it.
fn has_exited(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(pid), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
}

/// Copies what the helper says to the log, line by line.
async fn log(program: String, mut stderr: impl AsyncRead + Unpin) {
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
        for line in String::from_utf8_lossy(&chunk[..n]).lines().filter(|l| !l.trim().is_empty()) {
            tracing::warn!("cluster lock helper {program}: {line}");
        }
    }
}
