//! The local service: gRPC on a Unix socket, for `ctdb` and scripts on this host.
//!
//! Only who may open the socket may command the daemon: it is made with mode 0600. Calls for another node are forwarded to it by the
//! driver; nothing is decided or done here.

use crate::calls::Calls;
use crate::peer::PeerClient;
use crate::statistics::{Count, Statistics};
use proto::MAX_MESSAGE;
use proto::v1::local_server::{Local, LocalServer};
use proto::v1::{CallReply, CallRequest};
use proto::wire::Call;
use recoverd::command::{AnyCommand, AnyReply, DaemonReply, Reply};
use recoverd::model::Pnn;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Response, Status};

/// The socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers there.
    #[error("another ctdbd answers on {}: stop it first (`ctdb shutdown`), or give this one its own CTDB_SOCKET", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {what} {}: {source}; see CTDB_SOCKET and CTDB_RUNDIR", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Binds the socket. One that nobody listens on is a leftover and is replaced.
///
/// # Errors
/// [`SocketError`]
pub fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let error = |what, path: &Path| {
        let path = path.to_owned();
        move |source| SocketError::Io { what, path, source }
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(error("make the directory", dir))?;
    }
    match Probe::connect(path) {
        Ok(_) => return Err(SocketError::Taken { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(_) => std::fs::remove_file(path).map_err(error("remove the stale socket", path))?,
    }
    // Bound under another name and renamed, so that it is never there with a mode that lets others in.
    let fresh = path.with_extension(format!("new.{}", std::process::id()));
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).map_err(error("listen on", &fresh))?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))
        .map_err(error("protect", &fresh))?;
    std::fs::rename(&fresh, path).map_err(error("put in place", path))?;
    Ok(listener)
}

/// Finds the client of a connected peer; answered by the driver.
pub type FindPeer = mpsc::Sender<(Pnn, oneshot::Sender<Option<PeerClient>>)>;

/// See the module.
#[derive(Debug)]
pub struct LocalService {
    me: Pnn,
    calls: Calls,
    find: FindPeer,
    statistics: Arc<Statistics>,
}

struct Counted {
    stream: UnixStream,
    statistics: Arc<Statistics>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.statistics.client_went();
    }
}

impl Connected for Counted {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl LocalService {
    /// Serves on `listener` until the task is dropped.
    pub fn spawn(
        listener: UnixListener,
        me: Pnn,
        calls: Calls,
        find: FindPeer,
        statistics: &Arc<Statistics>,
    ) -> tokio::task::JoinHandle<Result<(), tonic::transport::Error>> {
        let clients = Arc::clone(statistics);
        let incoming = UnixListenerStream::new(listener).map(move |stream| {
            stream.map(|stream| {
                clients.client_came();
                Counted { stream, statistics: Arc::clone(&clients) }
            })
        });
        let service = LocalServer::new(Self { me, calls, find, statistics: Arc::clone(statistics) })
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming))
    }

    async fn forward(&self, to: Pnn, call: Call) -> Result<AnyReply, Status> {
        let (answer, found) = oneshot::channel();
        let ending = || Status::unavailable("the daemon is ending");
        self.find.send((to, answer)).await.map_err(|_| ending())?;
        let Some(mut client) = found.await.map_err(|_| ending())? else {
            return Ok(failed(&call.command, format!("node {to} is not connected to node {}", self.me)));
        };
        let (limit, command) = (call.timeout, call.command.clone());
        let mut request = Request::new(CallRequest::from(&call));
        request.set_timeout(limit);
        let reply = match tokio::time::timeout(limit + Duration::from_millis(100), client.call(request)).await
        {
            Ok(Ok(reply)) => reply.into_inner(),
            Ok(Err(status)) => return Ok(failed(&command, format!("node {to}: {}", status.message()))),
            Err(_) => return Ok(failed(&command, format!("node {to} does not answer"))),
        };
        AnyReply::try_from(reply)
            .or_else(|e| Ok(failed(&command, format!("node {to} answers with nonsense: {e}"))))
    }
}

fn failed(command: &AnyCommand, why: String) -> AnyReply {
    match command {
        AnyCommand::Node(_) => AnyReply::Node(Reply::Error(why)),
        AnyCommand::Daemon(_) => AnyReply::Daemon(DaemonReply::Error(why)),
    }
}

#[tonic::async_trait]
impl Local for LocalService {
    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        self.statistics.count(Count::ClientReceived);
        let call =
            Call::try_from(request.into_inner()).map_err(|e| Status::invalid_argument(e.to_string()))?;
        self.statistics.count(Count::ClientControls);
        let reply = match call.pnn {
            Some(to) if to != self.me => self.forward(to, call).await,
            _ => self.calls.ask(call.command, call.timeout).await,
        };
        self.statistics.count(match &reply {
            Err(status) if status.code() == Code::DeadlineExceeded => Count::CallTimeouts,
            _ => Count::ClientSent,
        });
        let reply = reply?;
        Ok(Response::new((&reply).into()))
    }
}

mod io_passthrough {
    use super::Counted;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    }
}
