//! Programs run on a host of the lab: started inside its namespaces, waited for as children of the test.
//!
//! They belong to the lab's pid namespace and die with it; dropping a [`Process`] alone does not end it.

use super::sys::{self, Namespaces};
use super::{LabError, wait_for};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Held while a child is forked and while an executable is written: a child between fork and exec holds our open files, and a
/// file open for writing cannot be executed.
static FORK: Mutex<()> = Mutex::new(());

pub(crate) fn no_forks() -> MutexGuard<'static, ()> {
    FORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processes of a lab, so that its end can wait for all of them.
pub(crate) type Family = Arc<Mutex<Vec<Arc<Member>>>>;

/// A child and, once it was waited for, how it ended.
#[derive(Debug)]
pub(crate) struct Member {
    pid: Pid,
    ended: Mutex<Option<ExitStatus>>,
}

impl Member {
    /// How it ended, if it has.
    fn try_wait(&self) -> Result<Option<ExitStatus>, LabError> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none() {
            *ended = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
                Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitStatus::from_raw(signal as i32)),
                Ok(_) | Err(Errno::EINTR) => None,
                Err(error) => {
                    return Err(LabError::io(format!("wait for process {}", self.pid), error.into()));
                }
            };
        }
        Ok(*ended)
    }

    pub(crate) fn wait(&self, timeout: Duration) -> Result<ExitStatus, LabError> {
        let what = format!("the end of process {}", self.pid);
        wait_for(&what, timeout, || match self.try_wait() {
            Ok(Some(status)) => Ok(Ok(status)),
            Ok(None) => Err("still running".to_owned()),
            Err(error) => Ok(Err(error)),
        })?
    }

    /// Signals it unless it was waited for already (its number could belong to another process by then).
    fn signal(&self, signal: Signal) -> Result<(), LabError> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_some() {
            return Ok(());
        }
        kill(self.pid, signal).map_err(|e| LabError::io(format!("send {signal} to {}", self.pid), e.into()))
    }
}

/// A command to run on a host; made by [`super::Host::command`].
#[derive(Debug)]
pub struct HostCommand {
    command: Command,
    namespaces: Arc<Namespaces>,
    directory: CString,
    family: Family,
}

impl HostCommand {
    pub(crate) fn new(
        program: &OsStr,
        namespaces: Arc<Namespaces>,
        directory: &Path,
        family: Family,
    ) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, namespaces, directory: c_path(directory), family }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets variables of its environment.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, vars: impl IntoIterator<Item = (N, V)>) -> Self {
        self.command.envs(vars);
        self
    }

    /// The directory it starts in; the lab's directory if not said.
    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.directory = c_path(directory);
        self
    }

    /// Its standard input; nothing if not said.
    #[must_use]
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Self {
        self.command.stdin(stdio);
        self
    }

    /// Its standard output; that of the test if not said.
    #[must_use]
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.command.stdout(stdio);
        self
    }

    /// Its standard error; that of the test if not said.
    #[must_use]
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.command.stderr(stdio);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the program cannot be run there.
    pub fn spawn(self) -> Result<Process, LabError> {
        let Self { mut command, namespaces, directory, family } = self;
        let what = format!("run {} in the lab", command.get_program().display());
        let failed = |error: io::Error| LabError::io(what.clone(), error);
        let (reader, writer) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| failed(e.into()))?;
        sys::run_inside(&mut command, namespaces, directory, writer);
        let guard = no_forks();
        let spawned = command.spawn();
        drop(guard);
        // Closes our writing end, so that the read below cannot hang.
        drop(command);
        let mut pid = [0_u8; 4];
        let told = File::from(reader).read_exact(&mut pid);
        let pid = Pid::from_raw(i32::from_ne_bytes(pid));
        let mut first = match spawned {
            Ok(first) => first,
            Err(error) => {
                if told.is_ok() && pid.as_raw() > 0 {
                    waitpid(pid, None).ok();
                }
                return Err(failed(error));
            }
        };
        let (stdin, stdout, stderr) = (first.stdin.take(), first.stdout.take(), first.stderr.take());
        first.wait().map_err(failed)?;
        told.map_err(failed)?;
        let member = Arc::new(Member { pid, ended: Mutex::new(None) });
        family.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&member));
        Ok(Process { member, stdin, stdout, stderr })
    }

    /// Runs it to its end, at most `timeout`, and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be run, or is not done in time (it is killed then).
    pub fn output(self, timeout: Duration) -> Result<Output, LabError> {
        let mut process = self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let stdout = thread::spawn(move || read_all(stdout));
        let stderr = thread::spawn(move || read_all(stderr));
        let status = process.wait(timeout);
        if status.is_err() {
            process.kill9()?;
        }
        let join = |t: thread::JoinHandle<Vec<u8>>| t.join().unwrap_or_default();
        // A grandchild may keep the pipes open after a timeout: then what was printed so far is not waited for.
        let status = status?;
        Ok(Output { status, stdout: join(stdout), stderr: join(stderr) })
    }
}

fn read_all(source: Option<impl Read>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(mut source) = source {
        source.read_to_end(&mut all).ok();
    }
    all
}

fn c_path(path: &Path) -> CString {
    // A path with a zero byte cannot exist; the root directory is where such a wish ends.
    CString::new(path.as_os_str().as_bytes()).unwrap_or_else(|_| c"/".to_owned())
}

/// The numbers of the processes whose parent is this one.
#[must_use]
pub fn children(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let parent_of = |pid: &i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which is in parentheses: state, parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    pids.filter(|pid| parent_of(pid) == Some(parent)).collect()
}

/// A running (or ended) program on a host.
#[derive(Debug)]
pub struct Process {
    member: Arc<Member>,
    /// Its standard input, if piped.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if piped.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if piped.
    pub stderr: Option<ChildStderr>,
}

impl Process {
    /// Its number, as seen by the test.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.member.pid.as_raw()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The kernel's.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, LabError> {
        self.member.try_wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus, LabError> {
        self.member.wait(timeout)
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill9(&self) -> Result<ExitStatus, LabError> {
        self.member.signal(Signal::SIGKILL)?;
        self.wait(Duration::from_secs(10))
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// The kernel's.
    pub fn terminate(&self) -> Result<(), LabError> {
        self.member.signal(Signal::SIGTERM)
    }

    /// Stops it where it is (SIGSTOP): a machine that hangs.
    ///
    /// # Errors
    /// The kernel's.
    pub fn freeze(&self) -> Result<(), LabError> {
        self.member.signal(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// The kernel's.
    pub fn thaw(&self) -> Result<(), LabError> {
        self.member.signal(Signal::SIGCONT)
    }
}
