//! Frames of the link between two daemons: [`PeerMsg`], and the [`Hello`] before it.

use super::model::{runstate_from, runstate_to};
use super::{WireError, addr_bytes, addr_from, list, messages, missing, required};
use crate::v1;
use recoverd::connections::ConnectionUpdate;
use recoverd::model::{NodeFlags, Pnn, Session};
use recoverd::msg::{NodeState, PeerMsg, RunRequest};
use v1::peer_frame::Frame as Field;

/// Who is at this end of a link: the first frame in each direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The node that speaks.
    pub pnn: Pnn,
    /// This life of its daemon.
    pub session: Session,
    /// Hash of its nodes file; nodes with different files must not form a cluster.
    pub nodes_hash: u64,
    /// Version of its program.
    pub version: String,
}

/// A frame of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The first one.
    Hello(Hello),
    /// Every other.
    Msg(PeerMsg),
}

impl From<&Hello> for v1::PeerFrame {
    fn from(h: &Hello) -> Self {
        let hello = v1::Hello {
            pnn: h.pnn.0,
            session: h.session.0,
            nodes_hash: h.nodes_hash,
            version: h.version.clone(),
        };
        Self { frame: Some(Field::Hello(hello)) }
    }
}

impl From<&PeerMsg> for v1::PeerFrame {
    fn from(msg: &PeerMsg) -> Self {
        let frame = match msg {
            PeerMsg::State(s) => Field::State(s.into()),
            PeerMsg::Control { req, epoch, session, control } => Field::Control(v1::ControlRequest {
                req: *req,
                epoch: Some(epoch.into()),
                session: session.map(|s| s.0),
                control: Some(control.into()),
            }),
            PeerMsg::Answer { req, answer } => {
                Field::Answer(v1::ControlAnswer { req: *req, answer: Some(answer.into()) })
            }
            PeerMsg::IpAnswer { req, addr, result } => Field::IpAnswer(v1::IpAnswer {
                req: *req,
                addr: addr_bytes(*addr),
                error: result.as_ref().err().cloned(),
            }),
            PeerMsg::RunRequest { req, request } => Field::RunRequest(v1::RunRequest {
                req: *req,
                cause: request.cause.clone(),
                force_rebalance: request.force_rebalance.iter().map(|p| p.0).collect(),
                moves: request
                    .moves
                    .iter()
                    .map(|(addr, to)| v1::Move { addr: addr_bytes(*addr), to: to.0 })
                    .collect(),
                state: request.state.as_ref().map(Into::into),
            }),
            PeerMsg::RunAnswer { req, result } => Field::RunAnswer(v1::RunAnswer {
                req: *req,
                result: Some(match result {
                    Ok(run) => v1::run_answer::Result::Run(run.into()),
                    Err(why) => v1::run_answer::Result::Error(why.clone()),
                }),
            }),
            PeerMsg::Ban { epoch, seconds, reason } => {
                Field::Ban(v1::Ban { epoch: Some(epoch.into()), seconds: *seconds, reason: reason.clone() })
            }
            PeerMsg::Connections(updates) => {
                Field::Connections(v1::ConnectionUpdates { updates: messages(updates) })
            }
        };
        Self { frame: Some(frame) }
    }
}

impl TryFrom<v1::PeerFrame> for Frame {
    type Error = WireError;
    fn try_from(m: v1::PeerFrame) -> Result<Self, WireError> {
        Ok(Self::Msg(match m.frame.ok_or_else(|| missing("PeerFrame.frame"))? {
            Field::Hello(h) => {
                return Ok(Self::Hello(Hello {
                    pnn: Pnn(h.pnn),
                    session: Session(h.session),
                    nodes_hash: h.nodes_hash,
                    version: h.version,
                }));
            }
            Field::State(s) => PeerMsg::State(s.try_into()?),
            Field::Control(c) => PeerMsg::Control {
                req: c.req,
                epoch: required("ControlRequest.epoch", c.epoch)?,
                session: c.session.map(Session),
                control: required("ControlRequest.control", c.control)?,
            },
            Field::Answer(a) => {
                PeerMsg::Answer { req: a.req, answer: required("ControlAnswer.answer", a.answer)? }
            }
            Field::IpAnswer(a) => PeerMsg::IpAnswer {
                req: a.req,
                addr: addr_from("IpAnswer.addr", &a.addr)?,
                result: a.error.map_or(Ok(()), Err),
            },
            Field::RunRequest(r) => PeerMsg::RunRequest { req: r.req, request: run_request(r)? },
            Field::RunAnswer(a) => PeerMsg::RunAnswer {
                req: a.req,
                result: match a.result.ok_or_else(|| missing("RunAnswer.result"))? {
                    v1::run_answer::Result::Run(run) => Ok(run.try_into()?),
                    v1::run_answer::Result::Error(why) => Err(why),
                },
            },
            Field::Ban(b) => {
                PeerMsg::Ban { epoch: required("Ban.epoch", b.epoch)?, seconds: b.seconds, reason: b.reason }
            }
            Field::Connections(m) => PeerMsg::Connections(list(m.updates)?),
        }))
    }
}

fn run_request(m: v1::RunRequest) -> Result<RunRequest, WireError> {
    let moves = m.moves.iter().map(|x| Ok((addr_from("Move.addr", &x.addr)?, Pnn(x.to))));
    Ok(RunRequest {
        cause: m.cause,
        force_rebalance: m.force_rebalance.into_iter().map(Pnn).collect(),
        moves: moves.collect::<Result<_, WireError>>()?,
        state: m.state.map(TryInto::try_into).transpose()?,
    })
}

impl From<&ConnectionUpdate> for v1::ConnectionUpdate {
    fn from(u: &ConnectionUpdate) -> Self {
        Self {
            addr: addr_bytes(u.addr),
            server: u.server.0,
            reset: u.reset,
            add: messages(&u.add),
            remove: messages(&u.remove),
        }
    }
}

impl TryFrom<v1::ConnectionUpdate> for ConnectionUpdate {
    type Error = WireError;
    fn try_from(m: v1::ConnectionUpdate) -> Result<Self, WireError> {
        Ok(Self {
            addr: addr_from("ConnectionUpdate.addr", &m.addr)?,
            server: Pnn(m.server),
            reset: m.reset,
            add: list(m.add)?,
            remove: list(m.remove)?,
        })
    }
}

impl From<&NodeState> for v1::NodeState {
    fn from(s: &NodeState) -> Self {
        Self {
            seq: s.seq,
            session: s.session.0,
            flags: s.flags.0,
            runstate: runstate_to(s.runstate),
            epoch: Some((&s.epoch).into()),
            leads: s.leads,
            leader_capable: s.leader_capable,
            uptime_ms: s.uptime_ms,
            partially_online: s.partially_online,
            availability: s.availability,
            asks: s.asks,
            answer_wanted: s.answer_wanted,
            silent: s.silent.iter().map(|p| p.0).collect(),
        }
    }
}

impl TryFrom<v1::NodeState> for NodeState {
    type Error = WireError;
    fn try_from(m: v1::NodeState) -> Result<Self, WireError> {
        Ok(Self {
            seq: m.seq,
            session: Session(m.session),
            flags: NodeFlags(m.flags),
            runstate: runstate_from("NodeState.runstate", m.runstate)?,
            epoch: required("NodeState.epoch", m.epoch)?,
            leads: m.leads,
            leader_capable: m.leader_capable,
            uptime_ms: m.uptime_ms,
            partially_online: m.partially_online,
            availability: m.availability,
            asks: m.asks,
            answer_wanted: m.answer_wanted,
            silent: m.silent.into_iter().map(Pnn).collect(),
        })
    }
}
