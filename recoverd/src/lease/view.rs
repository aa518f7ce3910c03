//! What the lease machine shows to the layer above, as a whole.

use super::Lease;
use super::clock::Clocks;
use super::io::OutHow;
use super::lead::Seat as LeadSeat;
use crate::model::Session;
use crate::view::{LeaseView, Seat};

/// For people and the journal: how it is known that a node holds nothing.
fn words(how: OutHow, session: Option<Session>) -> String {
    let how = match how {
        OutHow::JoinedAnew => "it began a new session",
        OutHow::Shutdown => "it shut down",
        OutHow::Guard => "its guard has fenced it",
        OutHow::Evicted => "its lease cannot be alive any more",
    };
    match session {
        Some(session) => format!("{how} (session {session})"),
        None => how.to_owned(),
    }
}

impl Lease {
    /// The present state. `lapses` is counted by the driver, which alone sees every lapse.
    #[must_use]
    pub fn view(&self, now: Clocks) -> LeaseView {
        let leading = self.leading(now);
        let seat = |seat: &LeadSeat| match seat {
            LeadSeat::Unheard => Seat::Unheard,
            LeadSeat::Joined(j) => Seat::Joined(j.session),
            LeadSeat::Out(how, session) => Seat::Out(words(*how, *session)),
        };
        let seats = match self.lead.as_ref().filter(|_| leading) {
            Some(lead) => {
                lead.seats.iter().filter(|(p, _)| **p != self.me).map(|(p, s)| (*p, seat(s))).collect()
            }
            None => Vec::new(),
        };
        let extended = self.hold.session.is_some() && self.hold.deadline.is_some();
        LeaseView { epoch: self.epoch, leading, session: self.hold.session, extended, lapses: 0, seats }
    }
}
