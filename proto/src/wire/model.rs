//! The words of the domain: epochs, runs, run states, tunables, owners, outcomes.

use super::{WireError, addr_bytes, addr_from, missing, required};
use crate::v1;
use recoverd::model::{Epoch, EventOutcome, Pnn, RunId, RunState, Tunables};
use std::net::IpAddr;

impl From<&Epoch> for v1::Epoch {
    fn from(e: &Epoch) -> Self {
        Self { number: e.number, pnn: e.pnn.0 }
    }
}

impl TryFrom<v1::Epoch> for Epoch {
    type Error = WireError;
    fn try_from(m: v1::Epoch) -> Result<Self, WireError> {
        Ok(Self { number: m.number, pnn: Pnn(m.pnn) })
    }
}

impl From<&RunId> for v1::RunId {
    fn from(r: &RunId) -> Self {
        Self { epoch: Some((&r.epoch).into()), count: r.count }
    }
}

impl TryFrom<v1::RunId> for RunId {
    type Error = WireError;
    fn try_from(m: v1::RunId) -> Result<Self, WireError> {
        Ok(Self { epoch: required("RunId.epoch", m.epoch)?, count: m.count })
    }
}

impl From<&RunState> for v1::RunState {
    fn from(r: &RunState) -> Self {
        match r {
            RunState::Unknown => Self::Unknown,
            RunState::Init => Self::Init,
            RunState::Setup => Self::Setup,
            RunState::FirstRecovery => Self::FirstRecovery,
            RunState::Startup => Self::Startup,
            RunState::Running => Self::Running,
            RunState::Shutdown => Self::Shutdown,
        }
    }
}

/// The number of a run state in a message.
pub(super) fn runstate_to(r: RunState) -> i32 {
    v1::RunState::from(&r).into()
}

/// A run state from its number.
pub(super) fn runstate_from(field: &'static str, number: i32) -> Result<RunState, WireError> {
    let known = v1::RunState::try_from(number)
        .map_err(|_| WireError::new(field, format!("there is no run state {number}")))?;
    Ok(match known {
        v1::RunState::Unknown => RunState::Unknown,
        v1::RunState::Init => RunState::Init,
        v1::RunState::Setup => RunState::Setup,
        v1::RunState::FirstRecovery => RunState::FirstRecovery,
        v1::RunState::Startup => RunState::Startup,
        v1::RunState::Running => RunState::Running,
        v1::RunState::Shutdown => RunState::Shutdown,
    })
}

impl From<&Tunables> for v1::Tunables {
    fn from(t: &Tunables) -> Self {
        let values = t.iter().map(|(info, value)| v1::Tunable { name: info.name.to_owned(), value });
        Self { values: values.collect() }
    }
}

/// Names that this version does not know are skipped, missing ones keep the default: neighbouring versions must understand each
/// other.
impl TryFrom<v1::Tunables> for Tunables {
    type Error = WireError;
    fn try_from(m: v1::Tunables) -> Result<Self, WireError> {
        let mut tunables = Self::default();
        for t in m.values {
            let _unknown = tunables.set(&t.name, t.value).is_err();
        }
        Ok(tunables)
    }
}

/// An address with the node that has it.
pub(super) fn owner_to(owner: &(IpAddr, Option<Pnn>)) -> v1::AddrOwner {
    v1::AddrOwner { addr: addr_bytes(owner.0), pnn: owner.1.map(|p| p.0) }
}

/// An address with the node that has it.
pub(super) fn owner_from(m: v1::AddrOwner) -> Result<(IpAddr, Option<Pnn>), WireError> {
    Ok((addr_from("AddrOwner.addr", &m.addr)?, m.pnn.map(Pnn)))
}

impl From<&EventOutcome> for v1::EventOutcome {
    fn from(o: &EventOutcome) -> Self {
        use v1::event_outcome::Outcome;
        Self {
            outcome: Some(match o {
                EventOutcome::Ok => Outcome::Ok(v1::Empty {}),
                EventOutcome::Failed { script, message } => {
                    Outcome::Failed(v1::ScriptFailed { script: script.clone(), message: message.clone() })
                }
                EventOutcome::TimedOut { script } => Outcome::TimedOut(script.clone()),
            }),
        }
    }
}

impl TryFrom<v1::EventOutcome> for EventOutcome {
    type Error = WireError;
    fn try_from(m: v1::EventOutcome) -> Result<Self, WireError> {
        use v1::event_outcome::Outcome;
        Ok(match m.outcome.ok_or_else(|| missing("EventOutcome.outcome"))? {
            Outcome::Ok(v1::Empty {}) => Self::Ok,
            Outcome::Failed(v1::ScriptFailed { script, message }) => Self::Failed { script, message },
            Outcome::TimedOut(script) => Self::TimedOut { script },
        })
    }
}
