//! Replies to commands.

use super::model::{runstate_from, runstate_to};
use super::{WireError, list, messages, missing, optional, required};
use crate::v1;
use recoverd::command::{AnyReply, DaemonReply, PlanReply, Reply, WhyReply};
use recoverd::model::Pnn;
use v1::call_reply::Reply as AnyField;
use v1::daemon_reply::Reply as DaemonField;
use v1::node_reply::Reply as NodeField;

/// A record as JSON text. The records are plain data of our own with string keys, so that this cannot fail; an empty text, which
/// the receiver refuses, would stand for a record that breaks this rule.
fn json_to<T: serde::Serialize>(record: &T) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

fn json_from<T: serde::de::DeserializeOwned>(field: &'static str, text: &str) -> Result<T, WireError> {
    serde_json::from_str(text).map_err(|e| WireError::new(field, e.to_string()))
}

impl From<&AnyReply> for v1::CallReply {
    fn from(r: &AnyReply) -> Self {
        let reply = match r {
            AnyReply::Node(r) => AnyField::Node(v1::NodeReply { reply: Some(r.into()) }),
            AnyReply::Daemon(r) => AnyField::Daemon(v1::DaemonReply { reply: Some(r.into()) }),
        };
        Self { reply: Some(reply) }
    }
}

impl TryFrom<v1::CallReply> for AnyReply {
    type Error = WireError;
    fn try_from(m: v1::CallReply) -> Result<Self, WireError> {
        Ok(match m.reply.ok_or_else(|| missing("CallReply.reply"))? {
            AnyField::Node(r) => Self::Node(required("NodeReply.reply", r.reply)?),
            AnyField::Daemon(r) => Self::Daemon(required("DaemonReply.reply", r.reply)?),
        })
    }
}

impl From<&Reply> for NodeField {
    fn from(r: &Reply) -> Self {
        match r {
            Reply::Ok => Self::Ok(v1::Empty {}),
            Reply::Note(text) => Self::Note(text.clone()),
            Reply::Status(s) => Self::Status(s.into()),
            Reply::Ips(rows) => Self::Ips(v1::IpRows { rows: messages(rows) }),
            Reply::PublicIps(ips) => Self::PublicIps(v1::PublicIps { ips: messages(ips) }),
            Reply::Ifaces(rows) => Self::Ifaces(v1::IfaceRows { rows: messages(rows) }),
            Reply::Tunables(t) => Self::Tunables(t.into()),
            Reply::Plan(p) => Self::Plan(v1::PlanReply { report_json: json_to(&p.report) }),
            Reply::Why(w) => Self::Why(v1::WhyReply {
                explanation_json: json_to(&w.explanation),
                decided_by: w.decided_by.as_ref().map(Into::into),
            }),
            Reply::AskLeader(pnn) => Self::AskLeader(v1::AskLeader { pnn: pnn.map(|p| p.0) }),
            Reply::Error(text) => Self::Error(text.clone()),
        }
    }
}

impl TryFrom<NodeField> for Reply {
    type Error = WireError;
    fn try_from(m: NodeField) -> Result<Self, WireError> {
        Ok(match m {
            NodeField::Ok(v1::Empty {}) => Self::Ok,
            NodeField::Note(text) => Self::Note(text),
            NodeField::Status(s) => Self::Status(s.try_into()?),
            NodeField::Ips(m) => Self::Ips(list(m.rows)?),
            NodeField::PublicIps(m) => Self::PublicIps(list(m.ips)?),
            NodeField::Ifaces(m) => Self::Ifaces(list(m.rows)?),
            NodeField::Tunables(t) => Self::Tunables(t.try_into()?),
            NodeField::Plan(m) => Self::Plan(Box::new(PlanReply {
                report: json_from("PlanReply.report_json", &m.report_json)?,
            })),
            NodeField::Why(m) => Self::Why(Box::new(WhyReply {
                explanation: json_from("WhyReply.explanation_json", &m.explanation_json)?,
                decided_by: optional(m.decided_by)?,
            })),
            NodeField::AskLeader(m) => Self::AskLeader(m.pnn.map(Pnn)),
            NodeField::Error(text) => Self::Error(text),
        })
    }
}

impl From<&DaemonReply> for DaemonField {
    fn from(r: &DaemonReply) -> Self {
        match r {
            DaemonReply::Ok => Self::Ok(v1::Empty {}),
            DaemonReply::Version(text) => Self::Version(text.clone()),
            DaemonReply::Pid(pid) => Self::Pid(*pid),
            DaemonReply::Pong { clients } => Self::Pong(v1::Pong { clients: *clients }),
            DaemonReply::Uptime(u) => Self::Uptime(u.into()),
            DaemonReply::RunState(r) => Self::RunState(runstate_to(*r)),
            DaemonReply::Lease(report) => {
                Self::Lease(v1::LeaseReply { report: report.as_deref().map(Into::into) })
            }
            DaemonReply::Reclock(setting) => Self::Reclock(v1::Reclock { setting: setting.clone() }),
            DaemonReply::Capabilities { leader, lmaster } => {
                Self::Capabilities(v1::Capabilities { leader: *leader, lmaster: *lmaster })
            }
            DaemonReply::Debug(level) => Self::Debug(level.clone()),
            DaemonReply::Event(view) => Self::Event(v1::LastEvent { view: view.as_ref().map(Into::into) }),
            DaemonReply::EventRun(outcome) => Self::EventRun(outcome.into()),
            DaemonReply::Scripts(scripts) => Self::Scripts(v1::ScriptInfos { scripts: messages(scripts) }),
            DaemonReply::Timeline(rows) => Self::Timeline(v1::JournalRows { rows: messages(rows) }),
            DaemonReply::NodesFile(lines) => Self::NodesFile(v1::NodesFile { lines: messages(lines) }),
            DaemonReply::Connections(list) => {
                Self::Connections(v1::Connections { connections: messages(list) })
            }
            DaemonReply::Statistics(views) => {
                Self::Statistics(v1::StatisticsReply { views_json: json_to(views) })
            }
            DaemonReply::Lvs(report) => Self::Lvs(v1::LvsReply { report_json: json_to(report) }),
            DaemonReply::Note(text) => Self::Note(text.clone()),
            DaemonReply::Error(text) => Self::Error(text.clone()),
        }
    }
}

impl TryFrom<DaemonField> for DaemonReply {
    type Error = WireError;
    fn try_from(m: DaemonField) -> Result<Self, WireError> {
        Ok(match m {
            DaemonField::Ok(v1::Empty {}) => Self::Ok,
            DaemonField::Version(text) => Self::Version(text),
            DaemonField::Pid(pid) => Self::Pid(pid),
            DaemonField::Pong(m) => Self::Pong { clients: m.clients },
            DaemonField::Uptime(u) => Self::Uptime(u.try_into()?),
            DaemonField::RunState(r) => Self::RunState(runstate_from("DaemonReply.run_state", r)?),
            DaemonField::Lease(m) => Self::Lease(optional(m.report)?.map(Box::new)),
            DaemonField::Reclock(m) => Self::Reclock(m.setting),
            DaemonField::Capabilities(m) => Self::Capabilities { leader: m.leader, lmaster: m.lmaster },
            DaemonField::Debug(level) => Self::Debug(level),
            DaemonField::Event(m) => Self::Event(optional(m.view)?),
            DaemonField::EventRun(outcome) => Self::EventRun(outcome.try_into()?),
            DaemonField::Scripts(m) => Self::Scripts(list(m.scripts)?),
            DaemonField::Timeline(m) => Self::Timeline(list(m.rows)?),
            DaemonField::NodesFile(m) => Self::NodesFile(list(m.lines)?),
            DaemonField::Connections(m) => Self::Connections(list(m.connections)?),
            DaemonField::Statistics(m) => {
                Self::Statistics(json_from("StatisticsReply.views_json", &m.views_json)?)
            }
            DaemonField::Lvs(m) => Self::Lvs(json_from("LvsReply.report_json", &m.report_json)?),
            DaemonField::Note(text) => Self::Note(text),
            DaemonField::Error(text) => Self::Error(text),
        })
    }
}
