//! Reads what the parsers of this directory parse: files, and the output of a nodes list command. Blocks; not for an async task.

use super::error::ConfigError;
use super::place::Place;
use super::place::quote;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// More output than any nodes list has.
const MOST_OUTPUT: u64 = 1 << 20;

/// How a nodes list command failed.
#[derive(Debug)]
pub enum CommandFault {
    /// It could not be started.
    Start(std::io::Error),
    /// It did not end in time and was killed with its process group.
    Timeout(Duration),
    /// It ended badly.
    Status {
        /// How.
        status: ExitStatus,
        /// The last line it wrote to standard error, quoted; empty when none.
        said: String,
    },
    /// It ended, but something it left running holds its output open.
    OutputHeld,
    /// Its output is not UTF-8 text, or longer than a megabyte.
    Output,
}

impl std::error::Error for CommandFault {}

impl fmt::Display for CommandFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(source) => {
                write!(f, "cannot start it: {source}; write the absolute path of an executable")
            }
            Self::Timeout(limit) => {
                write!(f, "no end after {limit:?}, killed; run it by hand to see what it waits for")
            }
            Self::Status { status, said } => {
                write!(f, "{status}")?;
                if !said.is_empty() {
                    write!(f, ", it said {said}")?;
                }
                f.write_str("; run it by hand to see why")
            }
            Self::OutputHeld => {
                f.write_str("it left a process behind that holds its output open; close stdout there")
            }
            Self::Output => {
                f.write_str("its output is no text of at most a megabyte; print one address per line")
            }
        }
    }
}

/// The text of a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let hint = match source.kind() {
                ErrorKind::PermissionDenied => {
                    "make it readable for the user that runs ctdbd (ls -l shows who may)"
                }
                ErrorKind::IsADirectory => "put a file there",
                _ => "check the path and its file system",
            };
            return Err(ConfigError::Read { path: path.to_owned(), source, hint });
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        })),
        Err(e) => {
            let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|b| **b == b'\n').count();
            Err(ConfigError::NotText { place: Place::line(path, line) })
        }
    }
}

/// The files of a directory whose names end so, in the order of their names, hidden ones left out; none when there is no directory.
pub(super) fn list(dir: &Path, ending: &str) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |source| ConfigError::Read {
        path: dir.to_owned(),
        source,
        hint: "make it a directory that the user that runs ctdbd can list",
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(ending) && !text.starts_with('.') {
            found.push(dir.join(&name));
        }
    }
    found.sort();
    Ok(found)
}

/// The standard output of a command that must end well within `limit`.
pub(super) fn run(argv: &[String], limit: Duration) -> Result<String, CommandFault> {
    let (program, args) =
        argv.split_first().ok_or_else(|| CommandFault::Start(ErrorKind::InvalidInput.into()))?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(CommandFault::Start)?;
    let output = drain(child.stdout.take());
    let errors = drain(child.stderr.take());
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            // Not reaped yet, so the group still is the one that was made above.
            _ => {
                if let Ok(group) = i32::try_from(child.id()) {
                    let _already_gone = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                let _killed_already = child.kill();
                let _reaped = child.wait();
                return Err(CommandFault::Timeout(limit));
            }
        }
    };
    const DRAIN: Duration = Duration::from_secs(1);
    if !status.success() {
        let said = errors.recv_timeout(DRAIN).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let said = said.lines().rfind(|l| !l.trim().is_empty()).map(|l| quote(l.trim())).unwrap_or_default();
        return Err(CommandFault::Status { status, said });
    }
    let bytes = output.recv_timeout(DRAIN).map_err(|_| CommandFault::OutputHeld)?;
    if bytes.len() as u64 >= MOST_OUTPUT {
        return Err(CommandFault::Output);
    }
    String::from_utf8(bytes).map_err(|_| CommandFault::Output)
}

/// Reads a pipe to its end in a thread of its own, at most [`MOST_OUTPUT`] bytes of it.
fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _partial = pipe.take(MOST_OUTPUT).read_to_end(&mut bytes);
        }
        let _nobody_waits = sender.send(bytes);
    });
    receiver
}
