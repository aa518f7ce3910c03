//! Controls of a takeover run and their answers.

use super::model::{owner_from, owner_to, runstate_from, runstate_to};
use super::{WireError, addr_bytes, addr_from, list, messages, missing, optional, required};
use crate::v1;
use recoverd::control::{Answer, Control, IfaceLink, NodeInfo, PublicIp, Unavailable};
use recoverd::model::{NodeFlags, Pnn};
use v1::control_answer::Answer as AnswerField;
use v1::control_request::Control as ControlField;

impl From<&Control> for ControlField {
    fn from(c: &Control) -> Self {
        match c {
            Control::GetAllTunables => Self::GetAllTunables(v1::Empty {}),
            Control::GetNodemap => Self::GetNodemap(v1::Empty {}),
            Control::GetPublicIps { available_only } => {
                Self::GetPublicIps(v1::GetPublicIps { available_only: *available_only })
            }
            Control::StartIpreallocate { run, nodes } => Self::StartIpreallocate(v1::StartIpreallocate {
                run: Some(run.into()),
                nodes: messages(nodes),
            }),
            Control::ReleaseIp { run, addrs } => Self::ReleaseIp(v1::ReleaseIp {
                run: Some(run.into()),
                addrs: addrs.iter().map(owner_to).collect(),
            }),
            Control::TakeoverIp { run, addrs } => Self::TakeoverIp(v1::TakeoverIp {
                run: Some(run.into()),
                addrs: addrs.iter().map(|a| addr_bytes(*a)).collect(),
            }),
            Control::Ipreallocated { run, owners, nodes } => Self::Ipreallocated(v1::Ipreallocated {
                run: Some(run.into()),
                owners: owners.iter().map(owner_to).collect(),
                nodes: messages(nodes),
            }),
        }
    }
}

impl TryFrom<ControlField> for Control {
    type Error = WireError;
    fn try_from(m: ControlField) -> Result<Self, WireError> {
        Ok(match m {
            ControlField::GetAllTunables(v1::Empty {}) => Self::GetAllTunables,
            ControlField::GetNodemap(v1::Empty {}) => Self::GetNodemap,
            ControlField::GetPublicIps(m) => Self::GetPublicIps { available_only: m.available_only },
            ControlField::StartIpreallocate(m) => Self::StartIpreallocate {
                run: required("StartIpreallocate.run", m.run)?,
                nodes: list(m.nodes)?,
            },
            ControlField::ReleaseIp(m) => Self::ReleaseIp {
                run: required("ReleaseIp.run", m.run)?,
                addrs: m.addrs.into_iter().map(owner_from).collect::<Result<_, _>>()?,
            },
            ControlField::TakeoverIp(m) => Self::TakeoverIp {
                run: required("TakeoverIp.run", m.run)?,
                addrs: m.addrs.iter().map(|a| addr_from("TakeoverIp.addrs", a)).collect::<Result<_, _>>()?,
            },
            ControlField::Ipreallocated(m) => Self::Ipreallocated {
                run: required("Ipreallocated.run", m.run)?,
                owners: m.owners.into_iter().map(owner_from).collect::<Result<_, _>>()?,
                nodes: list(m.nodes)?,
            },
        })
    }
}

impl From<&Answer> for AnswerField {
    fn from(a: &Answer) -> Self {
        match a {
            Answer::Ok => Self::Ok(v1::Empty {}),
            Answer::Tunables(t) => Self::Tunables(t.into()),
            Answer::Nodemap(nodes) => Self::Nodemap(v1::NodeMap { nodes: messages(nodes) }),
            Answer::PublicIps(ips) => Self::PublicIps(v1::PublicIps { ips: messages(ips) }),
            Answer::Failed(why) => Self::Failed(why.clone()),
        }
    }
}

impl TryFrom<AnswerField> for Answer {
    type Error = WireError;
    fn try_from(m: AnswerField) -> Result<Self, WireError> {
        Ok(match m {
            AnswerField::Ok(v1::Empty {}) => Self::Ok,
            AnswerField::Tunables(t) => Self::Tunables(t.try_into()?),
            AnswerField::Nodemap(m) => Self::Nodemap(list(m.nodes)?),
            AnswerField::PublicIps(m) => Self::PublicIps(list(m.ips)?),
            AnswerField::Failed(why) => Self::Failed(why),
        })
    }
}

impl From<&NodeInfo> for v1::NodeInfo {
    fn from(n: &NodeInfo) -> Self {
        Self { pnn: n.pnn.0, flags: n.flags.0, runstate: runstate_to(n.runstate) }
    }
}

impl TryFrom<v1::NodeInfo> for NodeInfo {
    type Error = WireError;
    fn try_from(m: v1::NodeInfo) -> Result<Self, WireError> {
        Ok(Self {
            pnn: Pnn(m.pnn),
            flags: NodeFlags(m.flags),
            runstate: runstate_from("NodeInfo.runstate", m.runstate)?,
        })
    }
}

impl From<&PublicIp> for v1::PublicIp {
    fn from(ip: &PublicIp) -> Self {
        Self {
            addr: addr_bytes(ip.addr),
            owner: ip.owner.map(|p| p.0),
            held: ip.held,
            unavailable: ip.unavailable.as_ref().map(Into::into),
            ifaces: messages(&ip.ifaces),
        }
    }
}

impl TryFrom<v1::PublicIp> for PublicIp {
    type Error = WireError;
    fn try_from(m: v1::PublicIp) -> Result<Self, WireError> {
        Ok(Self {
            addr: addr_from("PublicIp.addr", &m.addr)?,
            owner: m.owner.map(Pnn),
            held: m.held,
            unavailable: optional(m.unavailable)?,
            ifaces: list(m.ifaces)?,
        })
    }
}

impl From<&IfaceLink> for v1::IfaceLink {
    fn from(i: &IfaceLink) -> Self {
        Self { name: i.name.clone(), up: i.up }
    }
}

impl TryFrom<v1::IfaceLink> for IfaceLink {
    type Error = WireError;
    fn try_from(m: v1::IfaceLink) -> Result<Self, WireError> {
        Ok(Self { name: m.name, up: m.up })
    }
}

impl From<&Unavailable> for v1::Unavailable {
    fn from(u: &Unavailable) -> Self {
        use v1::unavailable::Reason;
        Self {
            reason: Some(match u {
                Unavailable::Flags(f) => Reason::Flags(f.0),
                Unavailable::RunState(r) => Reason::Runstate(runstate_to(*r)),
                Unavailable::NoLink(names) => Reason::NoLink(v1::Names { names: names.clone() }),
                Unavailable::Removed => Reason::Removed(v1::Empty {}),
            }),
        }
    }
}

impl TryFrom<v1::Unavailable> for Unavailable {
    type Error = WireError;
    fn try_from(m: v1::Unavailable) -> Result<Self, WireError> {
        use v1::unavailable::Reason;
        Ok(match m.reason.ok_or_else(|| missing("Unavailable.reason"))? {
            Reason::Flags(f) => Self::Flags(NodeFlags(f)),
            Reason::Runstate(r) => Self::RunState(runstate_from("Unavailable.runstate", r)?),
            Reason::NoLink(m) => Self::NoLink(m.names),
            Reason::Removed(_) => Self::Removed,
        })
    }
}
