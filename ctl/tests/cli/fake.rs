//! A daemon of node 0 whose answers are scripted: three nodes, node 1 leads, node 2 is cut off.

use proto::v1::local_server::{Local, LocalServer};
use proto::v1::{CallReply, CallRequest};
use proto::wire::Call;
use recoverd::command::{AnyCommand, AnyReply, Command, DaemonCommand, DaemonReply, Reply, WhyReply};
use recoverd::explain::Explanation;
use recoverd::model::{Epoch, NodeFlags, Pnn, RunState, Tunables};
use recoverd::plan::MoveReason;
use recoverd::view::{IfaceRow, IpRow, NodeRow, StatusView};
use std::path::PathBuf;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A running daemon; it ends when this is dropped.
pub(crate) struct Fake {
    pub(crate) socket: PathBuf,
    _runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("ctdbd.socket");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { UnixListener::bind(&socket) }).unwrap();
        runtime.spawn(async {
            let incoming = UnixListenerStream::new(listener);
            Server::builder().serve_with_incoming(LocalServer::new(Node), incoming).await
        });
        Self { socket, _runtime: runtime, _dir: dir }
    }
}

struct Node;

#[tonic::async_trait]
impl Local for Node {
    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let call =
            Call::try_from(request.into_inner()).map_err(|e| Status::invalid_argument(e.to_string()))?;
        let reply = match call.command {
            AnyCommand::Node(command) => AnyReply::Node(machine(call.pnn.unwrap_or(Pnn(0)), command)),
            AnyCommand::Daemon(DaemonCommand::GetPid) => std::future::pending().await,
            AnyCommand::Daemon(command) => AnyReply::Daemon(daemon(&command)),
        };
        Ok(Response::new((&reply).into()))
    }
}

fn machine(asked: Pnn, command: Command) -> Reply {
    match command {
        Command::Status => Reply::Status(status(asked)),
        Command::Ips => Reply::Ips(ips(asked)),
        Command::Ifaces => {
            Reply::Ifaces(vec![IfaceRow { name: "eth1".into(), up: true, references: asked.0 + 1 }])
        }
        Command::ListVars => Reply::Tunables(Tunables::default()),
        Command::Disable => Reply::Ok,
        Command::Enable => Reply::Note(format!("Node {asked} is not disabled")),
        Command::MoveIp { addr, .. } => Reply::Error(format!("Node 1 CANNOT host IP address {addr}")),
        Command::Why { .. } if asked == Pnn(0) => Reply::AskLeader(Some(Pnn(1))),
        Command::Why { addr } => {
            let why = Some(MoveReason::Asked);
            let explanation = Explanation { addr, owner: Some(asked), before: None, why, others: vec![] };
            Reply::Why(Box::new(WhyReply { explanation, decided_by: None }))
        }
        Command::Plan { .. } => Reply::AskLeader(None),
        other => Reply::Error(format!("the fake knows no {other:?}")),
    }
}

fn daemon(command: &DaemonCommand) -> DaemonReply {
    match command {
        DaemonCommand::Ping => DaemonReply::Pong { clients: 1 },
        DaemonCommand::RunState => DaemonReply::RunState(RunState::Startup),
        DaemonCommand::EventStatus { .. } => DaemonReply::Event(None),
        DaemonCommand::Version => DaemonReply::Version("9.9".into()),
        other => DaemonReply::Error(format!("the fake knows no {other:?}")),
    }
}

fn status(this_node: Pnn) -> StatusView {
    let node = |pnn: u32, flags| NodeRow {
        pnn: Pnn(pnn),
        addr: format!("192.168.20.{}", 41 + pnn).parse().unwrap(),
        flags,
        unknown: false,
        partially_online: false,
    };
    StatusView {
        this_node,
        nodes: vec![
            node(0, NodeFlags::NONE),
            node(1, NodeFlags::UNHEALTHY),
            node(2, NodeFlags::DISCONNECTED),
        ],
        epoch: Epoch { number: 7, pnn: Pnn(1) },
        leader: Some(Pnn(1)),
        in_recovery: false,
        runstate: RunState::Running,
    }
}

fn ips(asked: Pnn) -> Vec<IpRow> {
    let owned = |addr: &str, owner| IpRow {
        addr: format!("10.0.0.{addr}").parse().unwrap(),
        prefix: 24,
        owner,
        active: (owner == Some(asked)).then(|| "eth1".to_owned()),
        available: vec!["eth1".into()],
        configured: vec!["eth1".into()],
        can_host: true,
    };
    // Node 0 is not up to date about 10.0.0.9: only a claim for oneself counts in `ip all`.
    let second = if asked == Pnn(0) { None } else { Some(Pnn(1)) };
    vec![owned("31", Some(Pnn(0))), owned("9", second)]
}
