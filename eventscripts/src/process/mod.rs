//! One executable as a process group of its own: start, wait, output, end.
//!
//! A task of its own owns the child, so that whoever waits may go away at any time: dropping [`Running`] ends the process group
//! (TERM, two seconds, KILL, reap) behind the back of the caller, and [`Running::time_out`] runs the debug hook before that.
//! The child's end is awaited, not the end of its output: what it leaves behind may keep the pipe open for ever. When it ends by
//! itself, what it left running is left alone (event scripts start services).
//!
//! Working directory is `/`, stdin is empty, stdout and stderr are one pipe of which the last 64 KiB are kept, the environment is what the caller gives.

mod output;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use output::Tail;
use std::any::Any;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// For the debug hook: it looks at the hung script, which therefore lives as long.
const HOOK_LIMIT: Duration = Duration::from_secs(5);
/// A killed process that hangs in the kernel (dead NFS) is not waited for longer than this.
const REAP_LIMIT: Duration = Duration::from_secs(1);
/// How often, and with which pause, a file is tried again that somebody is just writing (`ETXTBSY`).
const BUSY_TRIES: (u32, Duration) = (10, Duration::from_millis(20));
/// Between two looks at a process that is being ended.
const LOOK: Duration = Duration::from_millis(20);

/// What to run.
#[derive(Debug)]
pub(crate) struct Spec<'a, A> {
    pub(crate) path: &'a Path,
    pub(crate) args: &'a [A],
    /// All of the environment.
    pub(crate) env: Arc<[(String, String)]>,
}

/// CTDB's `[event] debug script`, called with the number of the hung process and the event.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) path: PathBuf,
    pub(crate) event: String,
}

/// A process that was started. Dropping it ends the process group.
#[derive(Debug)]
pub(crate) struct Running {
    tail: Arc<Tail>,
    /// Sends "its time is over"; dropped: ended without the hook.
    stop: Option<oneshot::Sender<()>>,
    done: oneshot::Receiver<io::Result<ExitStatus>>,
}

struct Supervisor {
    child: Child,
    pipe: pipe::Receiver,
    tail: Arc<Tail>,
    stop: oneshot::Receiver<()>,
    hook: Option<Hook>,
    env: Arc<[(String, String)]>,
}

/// Starts a process. `keep` is dropped when the process is gone, or as good as gone.
///
/// # Errors
/// Those of fork and exec; `ETXTBSY` only after some tries.
pub(crate) async fn start<A: AsRef<OsStr>>(
    spec: &Spec<'_, A>,
    hook: Option<Hook>,
    keep: impl Any + Send + Sync,
) -> io::Result<Running> {
    let keep = Arc::new(keep);
    let mut tries = BUSY_TRIES.0;
    loop {
        match start_once(spec, hook.clone(), Arc::clone(&keep)) {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy && tries > 0 => {
                tries -= 1;
                sleep(BUSY_TRIES.1).await;
            }
            started => return started,
        }
    }
}

fn start_once<A: AsRef<OsStr>>(
    spec: &Spec<'_, A>,
    hook: Option<Hook>,
    keep: impl Any + Send,
) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    let child = Command::new(spec.path)
        .args(spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(k, v)| (k, v)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    let pipe = pipe::Receiver::from_owned_fd(reader.into())?;
    let tail = Arc::new(Tail::default());
    let (stop, stopped) = oneshot::channel();
    let (finished, done) = oneshot::channel();
    let mut supervisor =
        Supervisor { child, pipe, tail: Arc::clone(&tail), stop: stopped, hook, env: Arc::clone(&spec.env) };
    tokio::spawn(async move {
        if let Some(status) = supervisor.finish().await {
            // The caller may be gone; then nobody wants to know.
            let _ = finished.send(status);
        } else {
            supervisor.end().await;
        }
        drop(keep);
    });
    Ok(Running { tail, stop: Some(stop), done })
}

impl Running {
    /// Waits for the end.
    pub(crate) async fn finish(&mut self) -> io::Result<ExitStatus> {
        (&mut self.done).await.unwrap_or_else(|_| Err(io::Error::other("its supervisor was cancelled")))
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> String {
        self.tail.text()
    }

    /// Ends it, with the debug hook, without waiting for that.
    pub(crate) fn time_out(mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails when it has just ended by itself.
            let _ = stop.send(());
        }
    }
}

impl Supervisor {
    /// Waits until the child ends by itself; `None` when it shall be ended.
    async fn finish(&mut self) -> Option<io::Result<ExitStatus>> {
        let mut chunk = [0; 4096];
        let mut open = true;
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    self.tail.drain(&self.pipe);
                    return Some(status);
                }
                stop = &mut self.stop => {
                    if stop.is_err() {
                        self.hook = None;
                    }
                    return None;
                }
                n = self.pipe.read(&mut chunk), if open => match n {
                    Ok(n) if n > 0 => self.tail.push(&chunk[..n]),
                    _ => open = false,
                }
            }
        }
    }

    /// Hook, TERM, grace, KILL, reap. The group is signalled while its leader is not reaped: its number cannot be reused.
    async fn end(&mut self) {
        let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw) else {
            return;
        };
        if let Some(hook) = self.hook.take() {
            run_hook(&hook, pid, Arc::clone(&self.env)).await;
        }
        signal(pid, Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while !has_exited(pid) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        signal(pid, Signal::SIGKILL);
        if timeout(REAP_LIMIT, self.child.wait()).await.is_err() {
            tracing::error!(
                "process {pid} does not end although it was killed: it hangs in the kernel; look at /proc/{pid}/stack"
            );
        }
    }
}

/// The daemon ends while a script runs: nothing of it may go on behind the daemon's back.
impl Drop for Supervisor {
    fn drop(&mut self) {
        // No id: reaped, and its number may be somebody else's.
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            signal(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

fn signal(group: Pid, signal: Signal) {
    match killpg(group, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(e) => tracing::error!("sending {signal} to process group {group}: {e}"),
    }
}

/// Whether the process has ended, without reaping it.
fn has_exited(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(pid), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
}

async fn run_hook(hook: &Hook, pid: Pid, env: Arc<[(String, String)]>) {
    let name = hook.path.display();
    let args = [pid.to_string(), hook.event.clone()];
    let mut running = match start_once(&Spec { path: &hook.path, args: &args, env }, None, ()) {
        Ok(running) => running,
        Err(e) => return tracing::warn!("running debug script {name} {pid}: {e}"),
    };
    let ended = timeout(HOOK_LIMIT, running.finish()).await;
    for line in running.output().lines() {
        tracing::warn!("debug script of hung process {pid}: {line}");
    }
    match ended {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!("debug script {name} {pid}: {status}"),
        Ok(Err(e)) => tracing::warn!("debug script {name} {pid}: {e}"),
        Err(_) => tracing::warn!("debug script {name} {pid} did not end in {HOOK_LIMIT:?}"),
    }
}

#[cfg(test)]
mod tests;
