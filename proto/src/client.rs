//! A client of the local service: how `ctdb` and the tests ask a daemon over its Unix socket.
//!
//! It asks and waits; it does not judge replies, and does not retry: most commands change something.

use crate::v1::local_client::LocalClient as Generated;
use crate::wire::{Call, WireError};
use crate::{MAX_MESSAGE, v1};
use recoverd::command::{AnyCommand, AnyReply};
use recoverd::model::Pnn;
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How much longer than the daemon the client waits, so that the daemon's own words about a time-out arrive.
const GRACE: Duration = Duration::from_millis(250);

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens on the socket, or it may not be opened.
    #[error("cannot connect to {path}: {source}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No reply in time.
    #[error("no answer within {} ms", limit.as_millis())]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The connection broke before the reply came: the daemon has ended, or is ending.
    #[error("the daemon closed the connection: {message}")]
    Closed {
        /// The transport's words.
        message: String,
    },
    /// The daemon refused the call.
    #[error("{message}")]
    Refused {
        /// The daemon's words.
        message: String,
        /// gRPC's code, for a program.
        code: Code,
    },
    /// The reply is not one that this version knows.
    #[error("the reply cannot be understood (another version?): {0}")]
    Malformed(#[from] WireError),
}

/// A connection to a daemon's local socket.
#[derive(Debug, Clone)]
pub struct LocalClient {
    inner: Generated<Channel>,
}

impl LocalClient {
    /// Connects to the socket.
    ///
    /// # Errors
    /// [`CallError::Connect`] with the system's error.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, CallError> {
        let path = path.as_ref();
        let failed = |source| CallError::Connect { path: path.to_owned(), source };
        let text = path
            .to_str()
            .ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8")))?;
        let endpoint = Endpoint::try_from(format!("unix:{text}"))
            .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidInput, e.to_string())))?;
        let channel = endpoint.connect().await.map_err(|e| failed(io_error(&e)))?;
        let inner = Generated::new(channel).max_decoding_message_size(MAX_MESSAGE);
        Ok(Self { inner })
    }

    /// Asks the daemon, or through it the node `pnn`, and waits for the reply.
    ///
    /// # Errors
    /// Every [`CallError`] but `Connect`.
    pub async fn call(
        &mut self,
        pnn: Option<Pnn>,
        command: AnyCommand,
        timeout: Duration,
    ) -> Result<AnyReply, CallError> {
        let call = Call { pnn, timeout, command };
        let mut request = Request::new(v1::CallRequest::from(&call));
        request.set_timeout(timeout + GRACE);
        let answered = tokio::time::timeout(timeout + GRACE, self.inner.call(request));
        let reply = answered
            .await
            .map_err(|_| CallError::TimedOut { limit: timeout })?
            .map_err(|status| call_error(&status, timeout))?;
        Ok(reply.into_inner().try_into()?)
    }
}

fn call_error(status: &Status, limit: Duration) -> CallError {
    let message = status.message().to_owned();
    match status.code() {
        Code::DeadlineExceeded => CallError::TimedOut { limit },
        Code::Cancelled if message.contains("imeout") => CallError::TimedOut { limit },
        // A status that a daemon sent has no source; the transport's own ones have.
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal if status.source().is_some() => {
            CallError::Closed { message }
        }
        code => CallError::Refused { message, code },
    }
}

/// The system's error below a transport error.
fn io_error(error: &(dyn StdError + 'static)) -> io::Error {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            return io
                .raw_os_error()
                .map_or_else(|| io::Error::new(io.kind(), io.to_string()), io::Error::from_raw_os_error);
        }
        next = e.source();
    }
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests;
