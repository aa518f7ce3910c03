//! What the lease layer shows.

use super::{WireError, missing, required};
use crate::v1;
use recoverd::model::{Pnn, Session};
use recoverd::view::{LeaseReport, LeaseView, Seat};
use v1::lease_seat::Seat as Field;

impl From<&LeaseReport> for v1::LeaseReport {
    fn from(r: &LeaseReport) -> Self {
        let seat = |(pnn, seat): &(Pnn, Seat)| v1::LeaseSeat {
            pnn: pnn.0,
            seat: Some(match seat {
                Seat::Unheard => Field::Unheard(v1::Empty {}),
                Seat::Joined(session) => Field::Joined(session.0),
                Seat::Out(how) => Field::Out(how.clone()),
            }),
        };
        Self {
            lease_time_us: r.lease_time_us,
            left_us: r.left_us,
            rule: r.rule.clone(),
            gate: r.gate.clone(),
            scheduling: r.scheduling.clone(),
            late_max_us: r.late_max_us,
            epoch: Some((&r.view.epoch).into()),
            leading: r.view.leading,
            session: r.view.session.map(|s| s.0),
            lapses: r.view.lapses,
            extended: r.view.extended,
            seats: r.view.seats.iter().map(seat).collect(),
        }
    }
}

impl TryFrom<v1::LeaseReport> for LeaseReport {
    type Error = WireError;
    fn try_from(m: v1::LeaseReport) -> Result<Self, WireError> {
        let seat = |s: v1::LeaseSeat| -> Result<(Pnn, Seat), WireError> {
            let seat = match s.seat.ok_or_else(|| missing("LeaseSeat.seat"))? {
                Field::Unheard(v1::Empty {}) => Seat::Unheard,
                Field::Joined(session) => Seat::Joined(Session(session)),
                Field::Out(how) => Seat::Out(how),
            };
            Ok((Pnn(s.pnn), seat))
        };
        Ok(Self {
            lease_time_us: m.lease_time_us,
            left_us: m.left_us,
            rule: m.rule,
            gate: m.gate,
            scheduling: m.scheduling,
            late_max_us: m.late_max_us,
            view: LeaseView {
                epoch: required("LeaseReport.epoch", m.epoch)?,
                leading: m.leading,
                session: m.session.map(Session),
                lapses: m.lapses,
                extended: m.extended,
                seats: m.seats.into_iter().map(seat).collect::<Result<_, _>>()?,
            },
        })
    }
}
