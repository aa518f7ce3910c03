//! The way of an operator's command into the daemon: handlers put it into the driver's queue and wait, nothing more.

use recoverd::command::{AnyCommand, AnyReply};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

/// A command on its way, with the place for its reply.
#[derive(Debug)]
pub struct Asked {
    /// The command.
    pub command: AnyCommand,
    /// How long whoever asked will wait.
    pub limit: Duration,
    /// Where the reply goes.
    pub reply: oneshot::Sender<AnyReply>,
}

/// Hands commands to the driver.
#[derive(Debug, Clone)]
pub struct Calls {
    queue: mpsc::Sender<Asked>,
}

impl Calls {
    /// A pair: what handlers use, and what the driver reads.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (queue, asked) = mpsc::channel(256);
        (Self { queue }, asked)
    }

    /// Asks and waits for at most `limit`. What was begun goes on when nobody waits any more.
    ///
    /// # Errors
    /// The daemon is ending, or did not reply in time.
    pub async fn ask(&self, command: AnyCommand, limit: Duration) -> Result<AnyReply, Status> {
        let (reply, answer) = oneshot::channel();
        let ending = || Status::unavailable("the daemon is ending");
        self.queue.send(Asked { command, limit, reply }).await.map_err(|_| ending())?;
        match tokio::time::timeout(limit, answer).await {
            Ok(reply) => reply.map_err(|_| ending()),
            Err(_) => Err(Status::deadline_exceeded(format!(
                "the daemon has not finished within {} ms; it goes on, `ctdb status` shows how far it is",
                limit.as_millis()
            ))),
        }
    }
}
