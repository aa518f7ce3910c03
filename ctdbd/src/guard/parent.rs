//! The daemon's end: starts the guard, keeps one alive, says goodbye.

use super::{ARGUMENT, READY, REPORT, Watch, Word};
use crate::trace;
use nix::sys::resource::{Resource, getrlimit};
use recoverd::model::Session;
use rustix::io::fcntl_dupfd_cloexec;
use std::io;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::Sender;
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
    pub async fn start(watch: Watch) -> Result<Self, GuardError> {
        let known = Known {
            begin: Word::Begin {
                lock: watch.rundir.join("guard.lock"),
                report: watch.rundir.join(REPORT),
                addr: watch.addr,
                peers: watch.peers,
                port: watch.port,
            },
            words: vec![Word::Public(watch.public)],
        };
        let (child, pipe) = begin(&known).await?;
        let (words, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(keep(child, pipe, known, inbox));
        Ok(Self { words, task })
    }

    /// The public addresses of the configuration are these from now on. One that was taken out of it must be released before.
    pub fn public(&self, addrs: Vec<IpAddr>) {
        self.say(Word::Public(addrs));
    }

    /// The nodes file changed: these are the other nodes.
    pub fn peers(&self, addrs: Vec<IpAddr>) {
        self.say(Word::Peers(addrs));
    }

    /// With this base of marks the gate can be shut.
    pub fn gate(&self, base: u32) {
        self.say(Word::Gate(base));
    }

    /// The lease session changed.
    pub fn session(&self, session: Option<Session>) {
        self.say(Word::Session(session));
    }

    fn say(&self, word: Word) {
        // The task ends only by `goodbye`, which consumes the guard.
        let _ = self.words.send(word);
    }

    /// The daemon ends in order and has released everything. Waits for the guard's end.
    pub async fn goodbye(self) {
        self.say(Word::Goodbye);
        let _ = self.task.await;
    }
}

/// What a guard must know, and a new one when the first died.
struct Known {
    begin: Word,
    /// The last word of each kind.
    words: Vec<Word>,
}

impl Known {
    fn learn(&mut self, word: &Word) {
        self.words.retain(|w| std::mem::discriminant(w) != std::mem::discriminant(word));
        self.words.push(word.clone());
    }
}

async fn begin(known: &Known) -> Result<(Child, Sender), GuardError> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .env_clear()
        .envs(std::env::var_os(trace::VARIABLE).map(|file| (trace::VARIABLE, file)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let (Some(pipe), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("no pipes").into());
    };
    let mut pipe = closed_first(pipe)?;
    write(&mut pipe, &known.begin).await?;
    for word in &known.words {
        write(&mut pipe, word).await?;
    }
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let read = tokio::time::timeout(OLD_GUARD, stdout.read_line(&mut line)).await;
    if !matches!(read, Ok(Ok(_))) || line.trim() != READY {
        return Err(GuardError::Silent);
    }
    Ok((child, pipe))
}

/// Gives the pipe the highest number there is: Linux closes the files of a dead process from the highest number down (since 4.10; the order is
/// nowhere promised), and some take 20 ms each (packet sockets wait for all processors), in which the guard would not know yet.
fn closed_first(pipe: ChildStdin) -> io::Result<Sender> {
    let fd = pipe.into_owned_fd()?;
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    // Beyond a thousand the table of files would only get large.
    let highest = i32::try_from(limit.min(1024)).unwrap_or(1024) - 1;
    // With its own number it works as well, only later.
    Sender::from_owned_fd(fcntl_dupfd_cloexec(&fd, highest).unwrap_or(fd))
}

async fn write(pipe: &mut Sender, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    pipe.write_all(&line).await
}

/// Keeps a guard alive: if somebody kills it, another is started.
async fn keep(
    mut child: Child,
    mut pipe: Sender,
    mut known: Known,
    mut inbox: mpsc::UnboundedReceiver<Word>,
) {
    loop {
        tokio::select! {
            word = inbox.recv() => {
                // When the daemon goes without a word, so does the pipe, and the guard acts.
                let Some(word) = word else { return };
                // A guard that does not hear is dead, which the other branch sees.
                let _ = write(&mut pipe, &word).await;
                if word == Word::Goodbye {
                    drop(pipe);
                    let _ = child.wait().await;
                    return;
                }
                known.learn(&word);
                continue;
            }
            status = child.wait() => {
                let how = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                tracing::error!("the guard process died ({how}): starting another");
            }
        }
        loop {
            tokio::time::sleep(AGAIN).await;
            match begin(&known).await {
                Ok(begun) => {
                    (child, pipe) = begun;
                    break;
                }
                Err(e) => tracing::error!("{e}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[tokio::test]
    async fn the_pipe_is_closed_before_other_files() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pipe = closed_first(child.stdin.take().unwrap()).unwrap();
        // Whatever is opened from here on gets the lowest free number.
        let later = std::fs::File::open("/dev/null").unwrap();
        assert!(pipe.as_raw_fd() > later.as_raw_fd() && pipe.as_raw_fd() >= 200, "{pipe:?} {later:?}");
        // It is the same pipe, and the only end of it.
        let mut pipe = pipe;
        pipe.write_all(b"word").await.unwrap();
        drop(pipe);
        assert_eq!(child.wait_with_output().await.unwrap().stdout, b"word");
    }
}
