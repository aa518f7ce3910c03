//! The daemon's end: starts the guard, keeps one alive, says goodbye.

use super::{ARGUMENT, READY, REPORT, Word};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// A guard of a former daemon has so long to finish: it tries for 30 s.
const OLD_GUARD: Duration = Duration::from_secs(35);
/// Pause before another guard is started when one died.
const AGAIN: Duration = Duration::from_secs(1);

/// The guard cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The system refuses.
    #[error(
        "cannot start the guard process: {0}; without it a killed daemon would leave its addresses behind"
    )]
    Start(#[from] io::Error),
    /// It ended or was silent.
    #[error(
        "the guard process did not begin within {} s: guard.lock in CTDB_RUNDIR may be held by the guard of a former daemon that hangs (`fuser` names it)",
        OLD_GUARD.as_secs()
    )]
    Silent,
}

/// The daemon's guard. Dropping it without [`Guard::goodbye`] is what a death looks like.
#[derive(Debug)]
pub struct Guard {
    words: mpsc::UnboundedSender<Word>,
    task: tokio::task::JoinHandle<()>,
}

impl Guard {
    /// Starts the guard and waits until it is ready, which is when the guard of a former daemon has finished.
    ///
    /// # Errors
    /// [`GuardError`]
    pub async fn start(rundir: &Path, public: Vec<IpAddr>) -> Result<Self, GuardError> {
        let begin_word = Word::Begin { lock: rundir.join("guard.lock"), report: rundir.join(REPORT) };
        let (child, pipe) = begin(&begin_word, &public).await?;
        let (words, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(keep(child, pipe, begin_word, public, inbox));
        Ok(Self { words, task })
    }

    /// The daemon ends in order and has released everything. Waits for the guard's end.
    pub async fn goodbye(self) {
        // The task ends only by this word.
        let _ = self.words.send(Word::Goodbye);
        let _ = self.task.await;
    }
}

async fn begin(first: &Word, public: &[IpAddr]) -> Result<(Child, ChildStdin), GuardError> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let (Some(mut pipe), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes").into());
    };
    write(&mut pipe, first).await?;
    write(&mut pipe, &Word::Public(public.to_vec())).await?;
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let read = tokio::time::timeout(OLD_GUARD, stdout.read_line(&mut line)).await;
    if !matches!(read, Ok(Ok(_))) || line.trim() != READY {
        return Err(GuardError::Silent);
    }
    Ok((child, pipe))
}

async fn write(pipe: &mut ChildStdin, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    pipe.write_all(&line).await
}

/// Keeps a guard alive: if somebody kills it, another is started.
async fn keep(
    mut child: Child,
    mut pipe: ChildStdin,
    first: Word,
    public: Vec<IpAddr>,
    mut inbox: mpsc::UnboundedReceiver<Word>,
) {
    loop {
        tokio::select! {
            word = inbox.recv() => {
                let _ = write(&mut pipe, &word.unwrap_or(Word::Goodbye)).await;
                drop(pipe);
                let _ = child.wait().await;
                return;
            }
            status = child.wait() => {
                tracing::error!("the guard process died ({}): starting another", status.map_or_else(|e| e.to_string(), |s| s.to_string()));
            }
        }
        loop {
            tokio::time::sleep(AGAIN).await;
            match begin(&first, &public).await {
                Ok(begun) => {
                    (child, pipe) = begun;
                    break;
                }
                Err(e) => tracing::error!("{e}"),
            }
        }
    }
}
