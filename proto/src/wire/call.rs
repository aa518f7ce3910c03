//! Commands: what `ctdb` asks of a daemon, and what a daemon forwards to the node that is meant.

use super::config::port_from;
use super::{WireError, addr_bytes, addr_from, list, messages, missing};
use crate::v1;
use recoverd::alloc::Algorithm;
use recoverd::command::{AnyCommand, Command, DaemonCommand};
use recoverd::model::Pnn;
use recoverd::takeover::WhatIf;
use std::time::Duration;
use v1::call_request::Command as Field;

/// A command with its addressee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The node that shall answer; `None`: the one that is asked.
    pub pnn: Option<Pnn>,
    /// How long the caller waits; whole milliseconds, at most 49 days.
    pub timeout: Duration,
    /// The command.
    pub command: AnyCommand,
}

impl From<&Call> for v1::CallRequest {
    fn from(c: &Call) -> Self {
        Self {
            pnn: c.pnn.map(|p| p.0),
            timeout_ms: u32::try_from(c.timeout.as_millis()).unwrap_or(u32::MAX),
            command: Some(match &c.command {
                AnyCommand::Node(c) => c.into(),
                AnyCommand::Daemon(c) => c.into(),
            }),
        }
    }
}

impl From<&Command> for Field {
    fn from(c: &Command) -> Self {
        let empty = v1::Empty {};
        match c {
            Command::Status => Self::Status(empty),
            Command::Ips => Self::Ips(empty),
            Command::PublicIps => Self::PublicIps(empty),
            Command::Ifaces => Self::Ifaces(empty),
            Command::ListVars => Self::ListVars(empty),
            Command::SetVar { name, value } => Self::SetVar(v1::SetVar { name: name.clone(), value: *value }),
            Command::Disable => Self::Disable(empty),
            Command::Enable => Self::Enable(empty),
            Command::Stop => Self::Stop(empty),
            Command::Continue => Self::Continue(empty),
            Command::Ban { seconds } => Self::Ban(v1::BanSelf { seconds: *seconds }),
            Command::Unban => Self::Unban(empty),
            Command::IpReallocate => Self::IpReallocate(empty),
            Command::MoveIp { addr, to } => Self::MoveIp(v1::MoveIp { addr: addr_bytes(*addr), to: to.0 }),
            Command::AddIp { public } => Self::AddIp(public.into()),
            Command::DelIp { addr } => Self::DelIp(v1::DelIp { addr: addr_bytes(*addr) }),
            Command::SetPublicAddresses { list } => {
                Self::SetPublicAddresses(v1::PublicAddresses { list: messages(list) })
            }
            Command::SetIfaceLink { iface, up } => {
                Self::SetIfaceLink(v1::SetIfaceLink { iface: iface.clone(), up: *up })
            }
            Command::GratArp { addr, iface } => {
                Self::GratArp(v1::GratArp { addr: addr_bytes(*addr), iface: iface.clone() })
            }
            Command::SetLeaderRole { on } => Self::SetLeaderRole(v1::SetLeaderRole { on: *on }),
            Command::Shutdown => Self::Shutdown(empty),
            Command::Plan { what_if } => Self::Plan(what_if.into()),
            Command::Why { addr } => Self::Why(v1::Why { addr: addr_bytes(*addr) }),
        }
    }
}

impl From<&DaemonCommand> for Field {
    fn from(c: &DaemonCommand) -> Self {
        let empty = v1::Empty {};
        match c {
            DaemonCommand::Version => Self::Version(empty),
            DaemonCommand::GetPid => Self::GetPid(empty),
            DaemonCommand::Ping => Self::Ping(empty),
            DaemonCommand::Uptime => Self::Uptime(empty),
            DaemonCommand::RunState => Self::RunState(empty),
            DaemonCommand::Lease => Self::Lease(empty),
            DaemonCommand::GetReclock => Self::GetReclock(empty),
            DaemonCommand::GetCapabilities => Self::GetCapabilities(empty),
            DaemonCommand::GetDebug => Self::GetDebug(empty),
            DaemonCommand::SetDebug { level } => Self::SetDebug(v1::SetDebug { level: level.clone() }),
            DaemonCommand::EventStatus { event } => {
                Self::EventStatus(v1::EventStatus { event: event.clone() })
            }
            DaemonCommand::EventRun { timeout_s, event, args } => Self::EventRun(v1::EventRun {
                timeout_s: *timeout_s,
                event: event.clone(),
                args: args.clone(),
            }),
            DaemonCommand::ScriptList => Self::ScriptList(empty),
            DaemonCommand::ScriptEnable { name, on } => {
                Self::ScriptEnable(v1::ScriptEnable { name: name.clone(), on: *on })
            }
            DaemonCommand::Timeline { count } => Self::Timeline(v1::Timeline { count: *count }),
            DaemonCommand::ReloadIps => Self::ReloadIps(empty),
            DaemonCommand::NodesFile => Self::NodesFile(empty),
            DaemonCommand::ReloadNodes => Self::ReloadNodes(empty),
            DaemonCommand::Tickles { addr, port } => {
                Self::Tickles(v1::Tickles { addr: addr_bytes(*addr), port: port.map(u32::from) })
            }
            DaemonCommand::AddTickles { connections } => {
                Self::AddTickles(v1::Connections { connections: messages(connections) })
            }
            DaemonCommand::DelTickles { connections } => {
                Self::DelTickles(v1::Connections { connections: messages(connections) })
            }
            DaemonCommand::Statistics => Self::Statistics(empty),
            DaemonCommand::StatisticsReset => Self::StatisticsReset(empty),
            DaemonCommand::Stats { count } => Self::Stats(v1::Stats { count: *count }),
            DaemonCommand::LvsServices => Self::LvsServices(empty),
            DaemonCommand::LvsReload => Self::LvsReload(empty),
            DaemonCommand::LvsDrain { service, real, deadline_s } => Self::LvsDrain(v1::LvsDrain {
                service: service.clone(),
                real: real.clone(),
                deadline_s: *deadline_s,
            }),
            DaemonCommand::LvsUndrain { service, real } => {
                Self::LvsUndrain(v1::LvsDrain { service: service.clone(), real: real.clone(), deadline_s: 0 })
            }
        }
    }
}

impl TryFrom<v1::CallRequest> for Call {
    type Error = WireError;
    fn try_from(m: v1::CallRequest) -> Result<Self, WireError> {
        Ok(Self {
            pnn: m.pnn.map(Pnn),
            timeout: Duration::from_millis(m.timeout_ms.into()),
            command: m.command.ok_or_else(|| missing("CallRequest.command"))?.try_into()?,
        })
    }
}

impl TryFrom<Field> for AnyCommand {
    type Error = WireError;
    fn try_from(m: Field) -> Result<Self, WireError> {
        Ok(match m {
            Field::Status(_) => Self::Node(Command::Status),
            Field::Ips(_) => Self::Node(Command::Ips),
            Field::PublicIps(_) => Self::Node(Command::PublicIps),
            Field::Ifaces(_) => Self::Node(Command::Ifaces),
            Field::ListVars(_) => Self::Node(Command::ListVars),
            Field::SetVar(m) => Self::Node(Command::SetVar { name: m.name, value: m.value }),
            Field::Disable(_) => Self::Node(Command::Disable),
            Field::Enable(_) => Self::Node(Command::Enable),
            Field::Stop(_) => Self::Node(Command::Stop),
            Field::Continue(_) => Self::Node(Command::Continue),
            Field::Ban(m) => Self::Node(Command::Ban { seconds: m.seconds }),
            Field::Unban(_) => Self::Node(Command::Unban),
            Field::IpReallocate(_) => Self::Node(Command::IpReallocate),
            Field::MoveIp(m) => {
                Self::Node(Command::MoveIp { addr: addr_from("MoveIp.addr", &m.addr)?, to: Pnn(m.to) })
            }
            Field::AddIp(m) => Self::Node(Command::AddIp { public: m.try_into()? }),
            Field::DelIp(m) => Self::Node(Command::DelIp { addr: addr_from("DelIp.addr", &m.addr)? }),
            Field::SetPublicAddresses(m) => Self::Node(Command::SetPublicAddresses { list: list(m.list)? }),
            Field::SetIfaceLink(m) => Self::Node(Command::SetIfaceLink { iface: m.iface, up: m.up }),
            Field::GratArp(m) => {
                Self::Node(Command::GratArp { addr: addr_from("GratArp.addr", &m.addr)?, iface: m.iface })
            }
            Field::SetLeaderRole(m) => Self::Node(Command::SetLeaderRole { on: m.on }),
            Field::Shutdown(_) => Self::Node(Command::Shutdown),
            Field::Plan(m) => Self::Node(Command::Plan { what_if: m.try_into()? }),
            Field::Why(m) => Self::Node(Command::Why { addr: addr_from("Why.addr", &m.addr)? }),
            Field::Version(_) => Self::Daemon(DaemonCommand::Version),
            Field::GetPid(_) => Self::Daemon(DaemonCommand::GetPid),
            Field::Ping(_) => Self::Daemon(DaemonCommand::Ping),
            Field::Uptime(_) => Self::Daemon(DaemonCommand::Uptime),
            Field::RunState(_) => Self::Daemon(DaemonCommand::RunState),
            Field::Lease(_) => Self::Daemon(DaemonCommand::Lease),
            Field::GetReclock(_) => Self::Daemon(DaemonCommand::GetReclock),
            Field::GetCapabilities(_) => Self::Daemon(DaemonCommand::GetCapabilities),
            Field::GetDebug(_) => Self::Daemon(DaemonCommand::GetDebug),
            Field::SetDebug(m) => Self::Daemon(DaemonCommand::SetDebug { level: m.level }),
            Field::EventStatus(m) => Self::Daemon(DaemonCommand::EventStatus { event: m.event }),
            Field::EventRun(m) => {
                Self::Daemon(DaemonCommand::EventRun { timeout_s: m.timeout_s, event: m.event, args: m.args })
            }
            Field::ScriptList(_) => Self::Daemon(DaemonCommand::ScriptList),
            Field::ScriptEnable(m) => Self::Daemon(DaemonCommand::ScriptEnable { name: m.name, on: m.on }),
            Field::Timeline(m) => Self::Daemon(DaemonCommand::Timeline { count: m.count }),
            Field::ReloadIps(_) => Self::Daemon(DaemonCommand::ReloadIps),
            Field::NodesFile(_) => Self::Daemon(DaemonCommand::NodesFile),
            Field::ReloadNodes(_) => Self::Daemon(DaemonCommand::ReloadNodes),
            Field::Tickles(m) => Self::Daemon(DaemonCommand::Tickles {
                addr: addr_from("Tickles.addr", &m.addr)?,
                port: m.port.map(|p| port_from("Tickles.port", p)).transpose()?,
            }),
            Field::AddTickles(m) => {
                Self::Daemon(DaemonCommand::AddTickles { connections: list(m.connections)? })
            }
            Field::DelTickles(m) => {
                Self::Daemon(DaemonCommand::DelTickles { connections: list(m.connections)? })
            }
            Field::Statistics(_) => Self::Daemon(DaemonCommand::Statistics),
            Field::StatisticsReset(_) => Self::Daemon(DaemonCommand::StatisticsReset),
            Field::Stats(m) => Self::Daemon(DaemonCommand::Stats { count: m.count }),
            Field::LvsServices(_) => Self::Daemon(DaemonCommand::LvsServices),
            Field::LvsReload(_) => Self::Daemon(DaemonCommand::LvsReload),
            Field::LvsDrain(m) => Self::Daemon(DaemonCommand::LvsDrain {
                service: m.service,
                real: m.real,
                deadline_s: m.deadline_s,
            }),
            Field::LvsUndrain(m) => {
                Self::Daemon(DaemonCommand::LvsUndrain { service: m.service, real: m.real })
            }
        })
    }
}

impl From<&WhatIf> for v1::WhatIf {
    fn from(w: &WhatIf) -> Self {
        Self {
            down: w.down.iter().map(|p| p.0).collect(),
            up: w.up.iter().map(|p| p.0).collect(),
            add: w.add.iter().map(|a| addr_bytes(*a)).collect(),
            without: w
                .without
                .iter()
                .map(|(iface, pnn)| v1::IfaceOfNode { iface: iface.clone(), pnn: pnn.0 })
                .collect(),
            algorithm: w.algorithm.map(|a| match a {
                Algorithm::Deterministic => 0,
                Algorithm::NonDeterministic => 1,
                Algorithm::Lcp2 => 2,
                Algorithm::MinimalMove => 3,
            }),
        }
    }
}

impl TryFrom<v1::WhatIf> for WhatIf {
    type Error = WireError;
    fn try_from(m: v1::WhatIf) -> Result<Self, WireError> {
        let algorithm = match m.algorithm {
            Some(n @ 0..=3) => Some(Algorithm::from_tunable(n)),
            None => None,
            Some(n) => return Err(WireError::new("WhatIf.algorithm", format!("there is no algorithm {n}"))),
        };
        Ok(Self {
            down: m.down.into_iter().map(Pnn).collect(),
            up: m.up.into_iter().map(Pnn).collect(),
            add: m.add.iter().map(|a| addr_from("WhatIf.add", a)).collect::<Result<_, _>>()?,
            without: m.without.into_iter().map(|x| (x.iface, Pnn(x.pnn))).collect(),
            algorithm,
        })
    }
}
