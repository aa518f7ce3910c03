//! Commands that the daemon answers without its machine: processes, events, journal, logging.

use super::lease::LeaseLink;
use super::perform::counted;
use super::{Driver, clock};
use crate::config::LogLevel;
use crate::journal::JournalEntry;
use crate::statistics::Statistics;
use eventscripts::{EventStatus, RunResult, Runner, ScriptKind};
use recoverd::command::{AnyReply, DaemonCommand, DaemonReply};
use recoverd::model::{Event, RunId};
use recoverd::view::{EventView, JournalRow, ScriptInfo, ScriptRow, ScriptState, UptimeView};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

impl Driver {
    pub(super) fn answer(
        &mut self,
        command: DaemonCommand,
        limit: Duration,
        reply: oneshot::Sender<AnyReply>,
    ) {
        let answer = match command {
            DaemonCommand::Version => DaemonReply::Version(env!("CARGO_PKG_VERSION").to_owned()),
            DaemonCommand::GetPid => DaemonReply::Pid(std::process::id()),
            DaemonCommand::Ping => DaemonReply::Pong { clients: self.statistics.clients() },
            DaemonCommand::Uptime => DaemonReply::Uptime(self.uptime()),
            DaemonCommand::RunState => DaemonReply::RunState(self.node.runstate()),
            DaemonCommand::Lease => {
                DaemonReply::Lease(self.lease.as_ref().and_then(LeaseLink::report).map(Box::new))
            }
            DaemonCommand::GetReclock => DaemonReply::Reclock(self.lock_text.clone()),
            DaemonCommand::GetCapabilities => {
                DaemonReply::Capabilities { leader: self.node.leader_capable(), lmaster: self.lmaster }
            }
            DaemonCommand::GetDebug => DaemonReply::Debug(self.log.level().to_string()),
            DaemonCommand::SetDebug { level } => match level.parse::<LogLevel>() {
                Ok(level) => {
                    self.log.set_level(level);
                    DaemonReply::Ok
                }
                Err(e) => DaemonReply::Error(e.to_string()),
            },
            DaemonCommand::Statistics => DaemonReply::Statistics(vec![self.statistics.view(self.now())]),
            DaemonCommand::StatisticsReset => {
                self.statistics.restart(clock::wall_us());
                DaemonReply::Ok
            }
            DaemonCommand::Stats { count } => DaemonReply::Statistics(self.statistics.history(count)),
            DaemonCommand::EventStatus { event } => {
                DaemonReply::Event(self.runner.status(&event).map(|s| view(&s)))
            }
            DaemonCommand::ScriptList => {
                let runner = Arc::clone(&self.runner);
                tokio::task::spawn_blocking(move || reply.send(AnyReply::Daemon(script_list(&runner))));
                return;
            }
            DaemonCommand::ScriptEnable { name, on } => {
                let runner = Arc::clone(&self.runner);
                tokio::task::spawn_blocking(move || {
                    let done = match if on { runner.enable(&name) } else { runner.disable(&name) } {
                        Ok(()) => DaemonReply::Ok,
                        Err(e) => DaemonReply::Error(e.to_string()),
                    };
                    reply.send(AnyReply::Daemon(done))
                });
                return;
            }
            DaemonCommand::EventRun { timeout_s, event, args } => {
                let (runner, statistics) = (Arc::clone(&self.runner), Arc::clone(&self.statistics));
                tokio::spawn(async move {
                    let done = run_event(&runner, &statistics, timeout_s, &event, &args).await;
                    let _ = reply.send(AnyReply::Daemon(done));
                });
                return;
            }
            DaemonCommand::Tickles { addr, port } => self.tickles(addr, port),
            DaemonCommand::AddTickles { connections } => self.add_tickles(&connections),
            DaemonCommand::DelTickles { connections } => self.del_tickles(&connections),
            command @ (DaemonCommand::LvsServices
            | DaemonCommand::LvsReload
            | DaemonCommand::LvsDrain { .. }
            | DaemonCommand::LvsUndrain { .. }) => return self.lvs.ask(command, reply),
            DaemonCommand::ReloadIps => return self.reload_ips(limit, reply),
            DaemonCommand::NodesFile => return self.nodes_file(reply),
            DaemonCommand::ReloadNodes => return self.reload_nodes(reply),
            DaemonCommand::Timeline { count } => {
                let journal = self.journal.clone();
                tokio::spawn(async move {
                    let n = usize::try_from(count).unwrap_or(usize::MAX);
                    let done = match journal.last(n, limit).await {
                        Ok(entries) => DaemonReply::Timeline(entries.into_iter().map(row).collect()),
                        Err(e) => DaemonReply::Error(e.to_string()),
                    };
                    let _ = reply.send(AnyReply::Daemon(done));
                });
                return;
            }
        };
        // Who asked may have given up waiting.
        let _ = reply.send(AnyReply::Daemon(answer));
    }

    fn uptime(&self) -> UptimeView {
        let last = self.node.last_run();
        UptimeView {
            now_us: clock::wall_us(),
            started_us: self.started_wall_us,
            last_recovery_us: last.map(|(_, end)| clock::wall_of_mono(end)),
            last_recovery_duration_us: last
                .map_or(0, |(start, end)| u64::try_from(end.since(start).as_micros()).unwrap_or(u64::MAX)),
        }
    }
}

async fn run_event(
    runner: &Runner,
    statistics: &Statistics,
    timeout_s: u32,
    event: &str,
    args: &[String],
) -> DaemonReply {
    let event = match Event::parse(event, args) {
        Ok(event) => event,
        Err(why) => return DaemonReply::Error(why),
    };
    match counted(runner, statistics, &event, Duration::from_secs(timeout_s.max(1).into())).await {
        RunResult::Done(outcome) => DaemonReply::EventRun(outcome),
        RunResult::Cancelled => DaemonReply::Error(format!("Event {} in legacy got cancelled", event.name())),
    }
}

fn script_list(runner: &Runner) -> DaemonReply {
    match runner.list() {
        Ok(scripts) => DaemonReply::Scripts(
            scripts
                .into_iter()
                .map(|s| ScriptInfo {
                    name: s.name,
                    enabled: s.enabled,
                    builtin: s.kind == ScriptKind::Builtin,
                    shipped: s.kind != ScriptKind::Local,
                })
                .collect(),
        ),
        Err(e) => DaemonReply::Error(e.to_string()),
    }
}

fn view(status: &EventStatus) -> EventView {
    let state = |s: &eventscripts::ScriptState| match s {
        eventscripts::ScriptState::Ok => ScriptState::Ok,
        eventscripts::ScriptState::Error { code } => ScriptState::Error { code: *code },
        eventscripts::ScriptState::TimedOut => ScriptState::TimedOut,
        eventscripts::ScriptState::Disabled => ScriptState::Disabled,
        eventscripts::ScriptState::CannotRun { reason, .. } => {
            ScriptState::CannotRun { reason: reason.clone() }
        }
    };
    let script = |s: &eventscripts::ScriptStatus| ScriptRow {
        name: s.name.clone(),
        state: state(&s.state),
        duration_us: u64::try_from(s.duration.as_micros()).unwrap_or(u64::MAX),
        started_us: clock::wall_of(s.started),
        output: s.output.clone(),
    };
    EventView {
        event: status.event.clone(),
        scripts: status.scripts.iter().map(script).collect(),
        summary: status.summary(),
    }
}

fn row(entry: JournalEntry) -> JournalRow {
    let run = entry.data.get("run").and_then(|r| serde_json::from_value::<RunId>(r.clone()).ok());
    JournalRow {
        id: entry.id,
        wall_us: i64::try_from(entry.wall).unwrap_or(i64::MAX),
        kind: entry.kind,
        run,
        text: entry.text,
        data: entry.data.to_string(),
    }
}
