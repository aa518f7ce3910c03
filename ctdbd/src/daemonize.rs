//! `ctdbd` without `-i`: starts itself in the background and waits until that daemon answers.
//!
//! CTDB forks. A process with threads cannot fork safely, so this starts the same executable again with `--detached`, which leaves the
//! terminal's session first thing ([`leave_session`]). The caller's exit code is then what an init script needs: 0 once the local
//! service answers, else the daemon's own code and its last line. No `unsafe` anywhere.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for the daemon's socket: the `init` event may take EventScriptTimeout (30 s) before it.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// The daemon did not come up in the background.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another daemon has the socket.
    #[error(
        "a daemon answers already on {}; stop it with `ctdb shutdown`, or give this one another CTDB_SOCKET",
        socket.display()
    )]
    Running {
        /// The socket.
        socket: PathBuf,
    },
    /// The process could not be prepared or started.
    #[error("cannot start in the background: {what}: {source}; try `ctdbd -i`")]
    Spawn {
        /// The step.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("{said}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// Its last line on standard error, or how it ended.
        said: String,
    },
    /// It neither answered nor ended.
    #[error(
        "process {pid} does not answer on {} after {limit:?} and was left running; see its log, or end it with `kill {pid}`",
        socket.display()
    )]
    Silent {
        /// Its process number.
        pid: u32,
        /// The socket.
        socket: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl StartError {
    /// What the caller should exit with: the daemon's own code where there is one, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Ended { status, .. } => {
                status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
            }
            _ => 1,
        }
    }
}

/// Starts `program` with `args` and `--detached`, its standard error in `stderr_file`, and waits until `socket` answers. Returns its
/// process number. Blocks; call it before any runtime exists.
///
/// # Errors
/// [`StartError`]: it could not be started, ended, or did not answer within `limit`.
pub fn start(
    program: &Path,
    args: impl IntoIterator<Item = OsString>,
    socket: &Path,
    stderr_file: &Path,
    limit: Duration,
) -> Result<u32, StartError> {
    if UnixStream::connect(socket).is_ok() {
        return Err(StartError::Running { socket: socket.to_owned() });
    }
    let failed = |what: String| move |source| StartError::Spawn { what, source };
    if let Some(dir) = stderr_file.parent() {
        std::fs::create_dir_all(dir).map_err(failed(format!("make {}", dir.display())))?;
    }
    let stderr = File::create(stderr_file).map_err(failed(format!("create {}", stderr_file.display())))?;
    let mut child = Command::new(program)
        .args(args)
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(failed(format!("run {}", program.display())))?;
    let deadline = Instant::now() + limit;
    loop {
        let answers = UnixStream::connect(socket).is_ok();
        match child.try_wait().map_err(failed(format!("watch process {}", child.id())))? {
            Some(status) => return Err(StartError::Ended { status, said: last_line(stderr_file, status) }),
            None if answers => return Ok(child.id()),
            None if Instant::now() >= deadline => {
                return Err(StartError::Silent { pid: child.id(), socket: socket.to_owned(), limit });
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// For the process that was started with `--detached`: leaves the terminal's session, so that its end does not end the daemon.
///
/// # Errors
/// It leads a process group already, which [`start`] does not do.
pub fn leave_session() -> io::Result<()> {
    nix::unistd::setsid().map(|_session| ()).map_err(io::Error::from)
}

/// The last line that a process wrote, or how it ended when it wrote none.
fn last_line(file: &Path, status: ExitStatus) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => line.trim().to_owned(),
        None => format!("the daemon ended at once without a word: {status}; try `ctdbd -i`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn run(script: &str, dir: &Path, limit: Duration) -> Result<u32, StartError> {
        let args = ["-c", script, "sh"].map(OsString::from);
        start(Path::new("/bin/sh"), args, &dir.join("socket"), &dir.join("run/stderr"), limit)
    }

    #[test]
    fn the_code_and_last_line_of_a_daemon_that_ends() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            run("echo hint >&2; echo \"nodes:3: bad $1\" >&2; exit 7", dir.path(), START_LIMIT).unwrap_err();
        assert_eq!(error.to_string(), "nodes:3: bad --detached");
        assert_eq!(error.exit_code(), 7);
        let error = run("exit 0", dir.path(), START_LIMIT).unwrap_err();
        assert!(error.to_string().contains("without a word"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_silent_one_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let error = run("exec sleep 5", dir.path(), Duration::from_millis(50)).unwrap_err();
        let StartError::Silent { pid, .. } = &error else { panic!("{error}") };
        assert!(error.to_string().contains(&format!("kill {pid}")), "{error}");
    }

    #[test]
    fn success_when_the_socket_answers() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let started = dir.path().join("started");
        let (path, flag) = (socket.clone(), started.clone());
        let listener = std::thread::spawn(move || {
            let limit = Instant::now() + START_LIMIT;
            while !flag.exists() && Instant::now() < limit {
                std::thread::sleep(Duration::from_millis(2));
            }
            let listener = UnixListener::bind(path).unwrap();
            listener.accept().unwrap();
        });
        let script = format!("touch {}; exec sleep 5", started.display());
        run(&script, dir.path(), START_LIMIT).unwrap();
        listener.join().unwrap();
    }

    #[test]
    fn another_daemon_on_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let error = run("exit 0", dir.path(), START_LIMIT).unwrap_err();
        assert!(matches!(error, StartError::Running { .. }), "{error}");
    }
}
