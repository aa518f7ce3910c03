//! The client against a real server on a real socket.

use super::*;
use crate::v1::local_server::{Local, LocalServer};
use recoverd::command::{Command, DaemonCommand, DaemonReply, Reply};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Response;
use tonic::transport::Server;

/// Answers `getpid` with the asked node's number and `version` with the deadline it was told, never answers `ping`, refuses
/// `status`, and sends nonsense for anything else.
struct Fake;

#[tonic::async_trait]
impl Local for Fake {
    async fn call(&self, request: Request<v1::CallRequest>) -> Result<Response<v1::CallReply>, Status> {
        let deadline = request.metadata().get("grpc-timeout").map(|v| v.to_str().unwrap().to_owned());
        let call =
            Call::try_from(request.into_inner()).map_err(|e| Status::invalid_argument(e.to_string()))?;
        match call.command {
            AnyCommand::Daemon(DaemonCommand::Version) => {
                let told = format!("{} {}", call.timeout.as_millis(), deadline.unwrap_or_default());
                Ok(Response::new((&AnyReply::Daemon(DaemonReply::Version(told))).into()))
            }
            AnyCommand::Daemon(DaemonCommand::GetPid) => {
                let pid = DaemonReply::Pid(call.pnn.map_or(0, |p| p.0));
                Ok(Response::new((&AnyReply::Daemon(pid)).into()))
            }
            AnyCommand::Daemon(DaemonCommand::Ping) => std::future::pending().await,
            AnyCommand::Node(Command::Status) => Err(Status::failed_precondition("node 9 does not exist")),
            _ => Ok(Response::new(v1::CallReply { reply: None })),
        }
    }
}

async fn connected() -> (tempfile::TempDir, LocalClient, tokio::task::JoinHandle<()>) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("ctdbd.socket");
    let incoming = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let server = tokio::spawn(async move {
        Server::builder().serve_with_incoming(LocalServer::new(Fake), incoming).await.unwrap();
    });
    let client = LocalClient::connect(&socket).await.unwrap();
    (dir, client, server)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_reply_comes_back_and_the_addressee_goes_out() {
    let (_dir, mut client, _server) = connected().await;
    let reply = client.call(Some(Pnn(7)), AnyCommand::Daemon(DaemonCommand::GetPid), SECOND).await.unwrap();
    assert_eq!(reply, AnyReply::Daemon(DaemonReply::Pid(7)));
}

#[tokio::test]
async fn the_daemon_is_told_how_long_the_caller_waits() {
    let (_dir, mut client, _server) = connected().await;
    let reply = client.call(None, AnyCommand::Daemon(DaemonCommand::Version), SECOND).await.unwrap();
    assert_eq!(reply, AnyReply::Daemon(DaemonReply::Version("1000 1250000u".into())));
}

#[tokio::test]
async fn silence_is_a_time_out() {
    let (_dir, mut client, _server) = connected().await;
    let limit = Duration::from_millis(50);
    let error = client.call(None, AnyCommand::Daemon(DaemonCommand::Ping), limit).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { limit: l } if l == limit), "{error:?}");
    assert_eq!(error.to_string(), "no answer within 50 ms");
}

#[tokio::test]
async fn a_refusal_carries_the_words_of_the_daemon() {
    let (_dir, mut client, _server) = connected().await;
    let error = client.call(None, AnyCommand::Node(Command::Status), SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { code: Code::FailedPrecondition, .. }), "{error:?}");
    assert_eq!(error.to_string(), "node 9 does not exist");
}

#[tokio::test]
async fn nonsense_is_malformed() {
    let (_dir, mut client, _server) = connected().await;
    let error = client.call(None, AnyCommand::Node(Command::Ifaces), SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed(_)), "{error:?}");
}

#[tokio::test]
async fn a_daemon_that_ends_closes_the_call() {
    // A server that accepts, reads the call, and goes away, as a daemon that is killed does.
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("ctdbd.socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
    });
    let mut client = LocalClient::connect(&socket).await.unwrap();
    let error = client.call(None, AnyCommand::Node(Command::Shutdown), SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn no_socket_names_the_path_and_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("nobody");
    let error = LocalClient::connect(&socket).await.unwrap_err();
    let CallError::Connect { path, source } = &error else { panic!("{error:?}") };
    assert_eq!((path, source.kind()), (&socket, io::ErrorKind::NotFound));
    assert_eq!(source.raw_os_error(), Some(2));
}

#[tokio::test]
async fn a_reply_that_is_larger_than_the_default_limit_is_accepted() {
    // tonic's default is 4 MiB; the length of this reply is checked against MAX_MESSAGE instead.
    struct Large;
    #[tonic::async_trait]
    impl Local for Large {
        async fn call(&self, _: Request<v1::CallRequest>) -> Result<Response<v1::CallReply>, Status> {
            Ok(Response::new((&AnyReply::Node(Reply::Note("x".repeat(5 << 20)))).into()))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("ctdbd.socket");
    let incoming = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let _server = tokio::spawn(Server::builder().serve_with_incoming(LocalServer::new(Large), incoming));
    let mut client = LocalClient::connect(&socket).await.unwrap();
    let reply = client.call(None, AnyCommand::Node(Command::Status), 10 * SECOND).await.unwrap();
    assert!(matches!(reply, AnyReply::Node(Reply::Note(text)) if text.len() == 5 << 20));
}
