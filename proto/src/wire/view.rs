//! Views: the rows that `ctdb` prints.

use super::model::{runstate_from, runstate_to};
use super::{WireError, addr_bytes, addr_from, list, messages, missing, optional, required};
use crate::v1;
use recoverd::host::HostSeen;
use recoverd::model::{NodeFlags, Pnn};
use recoverd::view::{
    EventView, IfaceRow, IpRow, JournalRow, NodeRow, ScriptInfo, ScriptRow, ScriptState, StatusView,
    UptimeView,
};
use std::net::IpAddr;

impl From<&StatusView> for v1::StatusView {
    fn from(s: &StatusView) -> Self {
        Self {
            this_node: s.this_node.0,
            nodes: messages(&s.nodes),
            epoch: Some((&s.epoch).into()),
            leader: s.leader.map(|p| p.0),
            in_recovery: s.in_recovery,
            runstate: runstate_to(s.runstate),
        }
    }
}

impl TryFrom<v1::StatusView> for StatusView {
    type Error = WireError;
    fn try_from(m: v1::StatusView) -> Result<Self, WireError> {
        Ok(Self {
            this_node: Pnn(m.this_node),
            nodes: list(m.nodes)?,
            epoch: required("StatusView.epoch", m.epoch)?,
            leader: m.leader.map(Pnn),
            in_recovery: m.in_recovery,
            runstate: runstate_from("StatusView.runstate", m.runstate)?,
        })
    }
}

impl From<&NodeRow> for v1::NodeRow {
    fn from(n: &NodeRow) -> Self {
        Self {
            pnn: n.pnn.0,
            addr: addr_bytes(n.addr),
            flags: n.flags.0,
            unknown: n.unknown,
            partially_online: n.partially_online,
            host: host_to(n.host).into(),
        }
    }
}

impl TryFrom<v1::NodeRow> for NodeRow {
    type Error = WireError;
    fn try_from(m: v1::NodeRow) -> Result<Self, WireError> {
        Ok(Self {
            pnn: Pnn(m.pnn),
            addr: addr_from("NodeRow.addr", &m.addr)?,
            flags: NodeFlags(m.flags),
            unknown: m.unknown,
            partially_online: m.partially_online,
            host: host_from("NodeRow.host", m.host)?,
        })
    }
}

fn host_to(seen: Option<HostSeen>) -> v1::HostSeen {
    match seen {
        None => v1::HostSeen::Unspecified,
        Some(HostSeen::Filtered) => v1::HostSeen::Filtered,
        Some(HostSeen::NoDaemon) => v1::HostSeen::NoDaemon,
        Some(HostSeen::Mute) => v1::HostSeen::Mute,
        Some(HostSeen::Silent) => v1::HostSeen::Silent,
    }
}

fn host_from(field: &'static str, number: i32) -> Result<Option<HostSeen>, WireError> {
    let known = v1::HostSeen::try_from(number)
        .map_err(|_| WireError::new(field, format!("there is no state {number} of a host")))?;
    Ok(match known {
        v1::HostSeen::Unspecified => None,
        v1::HostSeen::Filtered => Some(HostSeen::Filtered),
        v1::HostSeen::NoDaemon => Some(HostSeen::NoDaemon),
        v1::HostSeen::Mute => Some(HostSeen::Mute),
        v1::HostSeen::Silent => Some(HostSeen::Silent),
    })
}

/// Mask bits, refused when they do not fit the address.
pub(super) fn prefix_from(field: &'static str, addr: IpAddr, bits: u32) -> Result<u8, WireError> {
    let most = if addr.is_ipv4() { 32 } else { 128 };
    u8::try_from(bits)
        .ok()
        .filter(|b| *b <= most)
        .ok_or_else(|| WireError::new(field, format!("{bits} mask bits do not fit {addr}")))
}

impl From<&IpRow> for v1::IpRow {
    fn from(r: &IpRow) -> Self {
        Self {
            addr: addr_bytes(r.addr),
            prefix: r.prefix.into(),
            owner: r.owner.map(|p| p.0),
            active: r.active.clone(),
            available: r.available.clone(),
            configured: r.configured.clone(),
            can_host: r.can_host,
        }
    }
}

impl TryFrom<v1::IpRow> for IpRow {
    type Error = WireError;
    fn try_from(m: v1::IpRow) -> Result<Self, WireError> {
        let addr = addr_from("IpRow.addr", &m.addr)?;
        Ok(Self {
            addr,
            prefix: prefix_from("IpRow.prefix", addr, m.prefix)?,
            owner: m.owner.map(Pnn),
            active: m.active,
            available: m.available,
            configured: m.configured,
            can_host: m.can_host,
        })
    }
}

impl From<&IfaceRow> for v1::IfaceRow {
    fn from(r: &IfaceRow) -> Self {
        Self { name: r.name.clone(), up: r.up, references: r.references }
    }
}

impl TryFrom<v1::IfaceRow> for IfaceRow {
    type Error = WireError;
    fn try_from(m: v1::IfaceRow) -> Result<Self, WireError> {
        Ok(Self { name: m.name, up: m.up, references: m.references })
    }
}

impl From<&UptimeView> for v1::UptimeView {
    fn from(u: &UptimeView) -> Self {
        Self {
            now_us: u.now_us,
            started_us: u.started_us,
            last_recovery_us: u.last_recovery_us,
            last_recovery_duration_us: u.last_recovery_duration_us,
        }
    }
}

impl TryFrom<v1::UptimeView> for UptimeView {
    type Error = WireError;
    fn try_from(m: v1::UptimeView) -> Result<Self, WireError> {
        Ok(Self {
            now_us: m.now_us,
            started_us: m.started_us,
            last_recovery_us: m.last_recovery_us,
            last_recovery_duration_us: m.last_recovery_duration_us,
        })
    }
}

impl From<&EventView> for v1::EventView {
    fn from(e: &EventView) -> Self {
        Self { event: e.event.clone(), scripts: messages(&e.scripts), summary: e.summary }
    }
}

impl TryFrom<v1::EventView> for EventView {
    type Error = WireError;
    fn try_from(m: v1::EventView) -> Result<Self, WireError> {
        Ok(Self { event: m.event, scripts: list(m.scripts)?, summary: m.summary })
    }
}

impl From<&ScriptRow> for v1::ScriptRow {
    fn from(r: &ScriptRow) -> Self {
        use v1::script_row::State;
        Self {
            name: r.name.clone(),
            state: Some(match &r.state {
                ScriptState::Ok => State::Ok(v1::Empty {}),
                ScriptState::Error { code } => State::Error(*code),
                ScriptState::TimedOut => State::TimedOut(v1::Empty {}),
                ScriptState::Disabled => State::Disabled(v1::Empty {}),
                ScriptState::CannotRun { reason } => State::CannotRun(reason.clone()),
            }),
            duration_us: r.duration_us,
            started_us: r.started_us,
            output: r.output.clone(),
        }
    }
}

impl TryFrom<v1::ScriptRow> for ScriptRow {
    type Error = WireError;
    fn try_from(m: v1::ScriptRow) -> Result<Self, WireError> {
        use v1::script_row::State;
        Ok(Self {
            name: m.name,
            state: match m.state.ok_or_else(|| missing("ScriptRow.state"))? {
                State::Ok(v1::Empty {}) => ScriptState::Ok,
                State::Error(code) => ScriptState::Error { code },
                State::TimedOut(v1::Empty {}) => ScriptState::TimedOut,
                State::Disabled(v1::Empty {}) => ScriptState::Disabled,
                State::CannotRun(reason) => ScriptState::CannotRun { reason },
            },
            duration_us: m.duration_us,
            started_us: m.started_us,
            output: m.output,
        })
    }
}

impl From<&ScriptInfo> for v1::ScriptInfo {
    fn from(s: &ScriptInfo) -> Self {
        Self { name: s.name.clone(), enabled: s.enabled, builtin: s.builtin, shipped: s.shipped }
    }
}

impl TryFrom<v1::ScriptInfo> for ScriptInfo {
    type Error = WireError;
    fn try_from(m: v1::ScriptInfo) -> Result<Self, WireError> {
        Ok(Self { name: m.name, enabled: m.enabled, builtin: m.builtin, shipped: m.shipped })
    }
}

impl From<&JournalRow> for v1::JournalRow {
    fn from(r: &JournalRow) -> Self {
        Self {
            id: r.id,
            wall_us: r.wall_us,
            kind: r.kind.clone(),
            run: r.run.as_ref().map(Into::into),
            text: r.text.clone(),
            data_json: r.data.clone(),
        }
    }
}

impl TryFrom<v1::JournalRow> for JournalRow {
    type Error = WireError;
    fn try_from(m: v1::JournalRow) -> Result<Self, WireError> {
        Ok(Self {
            id: m.id,
            wall_us: m.wall_us,
            kind: m.kind,
            run: optional(m.run)?,
            text: m.text,
            data: m.data_json,
        })
    }
}
