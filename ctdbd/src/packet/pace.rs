//! Who may repeat an announcement when: at most so many a second, all addresses together.
//!
//! Five thousand addresses that were announced in one burst would be repeated in one burst: neighbours and switches would drop part of it,
//! which the repetition is there to mend. First announcements do not wait: each is a client without a server.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Gives out moments, in the order of the questions.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// The moment that belongs to the caller, `now` or later, where `rate` a second are allowed; 0: any number.
    pub(super) fn slot(&self, rate: u32, now: Instant) -> Instant {
        if rate == 0 {
            return now;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = next.map_or(now, |at| at.max(now));
        *next = Some(mine + Duration::from_secs(1) / rate);
        mine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_far_apart_as_the_rate_wants_and_unused_ones_are_not_saved() {
        let (pace, now) = (Pace::default(), Instant::now());
        let ms = Duration::from_millis;
        let slots: Vec<Duration> = (0..4).map(|_| pace.slot(500, now) - now).collect();
        assert_eq!(slots, [ms(0), ms(2), ms(4), ms(6)]);
        let later = now + ms(1000);
        assert_eq!(pace.slot(500, later), later, "the first after a pause does not wait");
        assert_eq!(pace.slot(500, later), later + ms(2), "nor may the others make up for it");
        assert_eq!(pace.slot(0, later), later);
    }
}
