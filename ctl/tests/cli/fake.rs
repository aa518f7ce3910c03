//! A daemon of node 0 whose answers are scripted: three nodes, node 1 leads, node 2 is cut off.

use proto::v1::local_server::{Local, LocalServer};
use proto::v1::{CallReply, CallRequest};
use proto::wire::Call;
use recoverd::command::{AnyCommand, AnyReply, Command, DaemonCommand, DaemonReply, Reply, WhyReply};
use recoverd::explain::Explanation;
use recoverd::model::{Epoch, EventOutcome, NodeFlags, Pnn, RunState, Tunables};
use recoverd::plan::MoveReason;
use recoverd::view::{
    CounterRow, EventView, IfaceRow, IpRow, JournalRow, LatencyRow, NodeRow, ScriptInfo, ScriptRow,
    ScriptState, StatisticsView, StatusView, UptimeView,
};
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
        Command::Disable | Command::IpReallocate | Command::Shutdown => Reply::Ok,
        Command::SetIfaceLink { .. } | Command::GratArp { .. } | Command::SetLeaderRole { .. } => Reply::Ok,
        Command::SetVar { name, .. } if name == "DeterministicIPs" => {
            Reply::Note(format!("Setting obsolete tunable variable '{name}'"))
        }
        Command::SetVar { .. } => Reply::Ok,
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
        DaemonCommand::EventStatus { event } if event == "startup" => DaemonReply::Event(Some(startup())),
        DaemonCommand::EventStatus { .. } => DaemonReply::Event(None),
        DaemonCommand::EventRun { event, .. } if event == "monitor" => {
            DaemonReply::EventRun(EventOutcome::TimedOut { script: "50.samba".into() })
        }
        DaemonCommand::EventRun { .. } => DaemonReply::EventRun(EventOutcome::Ok),
        DaemonCommand::ScriptList => DaemonReply::Scripts(scripts()),
        DaemonCommand::ScriptEnable { .. }
        | DaemonCommand::StatisticsReset
        | DaemonCommand::SetDebug { .. } => DaemonReply::Ok,
        DaemonCommand::Uptime => DaemonReply::Uptime(UptimeView {
            now_us: NOW_US,
            started_us: NOW_US - 60_868_000_000,
            last_recovery_us: Some(NOW_US - 60_811_000_000),
            last_recovery_duration_us: 2_248_552,
        }),
        DaemonCommand::GetReclock => DaemonReply::Reclock(Some("/shared/.reclock".into())),
        DaemonCommand::GetCapabilities => DaemonReply::Capabilities { leader: true, lmaster: false },
        DaemonCommand::GetDebug => DaemonReply::Debug("NOTICE".into()),
        DaemonCommand::Lease => DaemonReply::Lease(None),
        DaemonCommand::Timeline { .. } => DaemonReply::Timeline(vec![JournalRow {
            id: 7,
            wall_us: NOW_US,
            kind: "repair".into(),
            run: None,
            text: "10.0.0.31 was removed from eth1; put back".into(),
            data: "{}".into(),
        }]),
        DaemonCommand::Statistics => DaemonReply::Statistics(vec![statistics(9)]),
        DaemonCommand::Stats { count } => {
            let kept = usize::try_from(*count).unwrap().min(3);
            DaemonReply::Statistics((0..kept).map(|i| statistics(u64::try_from(i).unwrap())).collect())
        }
        DaemonCommand::Version => DaemonReply::Version("9.9".into()),
        other => DaemonReply::Error(format!("the fake knows no {other:?}")),
    }
}

/// The time of all answers: Thu Oct 29 10:38:54 2009.
const NOW_US: i64 = 1_256_812_734_000_000;

fn startup() -> EventView {
    let script = |name: &str, state, output: &str| ScriptRow {
        name: name.into(),
        state,
        duration_us: 14_000,
        started_us: NOW_US,
        output: output.into(),
    };
    EventView {
        event: "startup".into(),
        scripts: vec![
            script("00.ctdb", ScriptState::Ok, ""),
            script("10.interface", ScriptState::Error { code: 1 }, "ERROR: no eth9\n"),
            script("20.multipathd", ScriptState::Disabled, ""),
            script("49.winbind", ScriptState::TimedOut, "one\ntwo\n"),
            script("60.nfs", ScriptState::CannotRun { reason: "Permission denied".into() }, ""),
        ],
        summary: 1,
    }
}

fn scripts() -> Vec<ScriptInfo> {
    let script =
        |name: &str, enabled, builtin, shipped| ScriptInfo { name: name.into(), enabled, builtin, shipped };
    vec![
        script("00.ctdb", true, false, true),
        script("10.interface", true, true, true),
        script("31.clamd", false, false, true),
        script("99.local", true, false, false),
    ]
}

fn statistics(n: u64) -> StatisticsView {
    let row = |group: &str, name: &str, value| CounterRow { group: group.into(), name: name.into(), value };
    StatisticsView {
        since_us: NOW_US - 1_000_000,
        now_us: NOW_US,
        counters: vec![
            row("", "num_clients", n),
            row("", "keepalive_packets_sent", 201_969),
            row("node", "req_control", 8_117_173),
            row("timeouts", "control", 0),
        ],
        latencies: vec![LatencyRow {
            name: "reclock_ctdbd".into(),
            count: 2,
            min_us: 2538,
            max_us: 2540,
            total_us: 5078,
        }],
    }
}

fn status(this_node: Pnn) -> StatusView {
    let node = |pnn: u32, flags| NodeRow {
        pnn: Pnn(pnn),
        addr: format!("192.168.20.{}", 41 + pnn).parse().unwrap(),
        flags,
        unknown: false,
        partially_online: false,
        host: None,
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
