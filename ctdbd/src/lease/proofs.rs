//! Proofs of the cluster lock that are under way. Pure: the caller reads the clocks.
//!
//! The lock's worker knows a proof by one number, when it was asked for. All of them are of one clock, CLOCK_BOOTTIME, those that confirm
//! a record included: only so can it be told whether a proof began after the record was wanted. (By CLOCK_MONOTONIC, which stands still
//! while a machine sleeps, a proof asked for before the record looked younger than it: an epoch could be announced that was not
//! recorded.)

use recoverd::lease::Clocks;
use recoverd::model::{Epoch, Mono};
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub struct Proofs {
    /// When each was asked for, by both clocks of the lease layer.
    asked: BTreeMap<Mono, Clocks>,
    /// When the epoch's record was wanted that waits for its proof.
    recording: Option<(Mono, Epoch)>,
}

impl Proofs {
    /// An epoch is to be recorded at `now`. The number of the proof to ask for after it.
    pub fn record(&mut self, now: Clocks, epoch: Epoch) -> Mono {
        self.recording = Some((now.boot, epoch));
        now.boot
    }

    /// The lease layer wants a proof, at `at` by its clocks. The number to ask for it with.
    pub fn prove(&mut self, at: Clocks) -> Mono {
        self.asked.insert(at.boot, at);
        at.boot
    }

    /// The lock is wanted or left anew: no record is waited for.
    pub fn forget_record(&mut self) {
        self.recording = None;
    }

    /// The lock was had: proofs asked for before say nothing about it.
    pub fn forget_proofs(&mut self) {
        self.asked.clear();
    }

    /// A proof with this number came back: the epoch that is recorded by now, and the youngest of the lease layer's wishes that it
    /// fulfils. It fulfils all that are not younger: a proof asked for while another waited to begin has replaced that one, which will
    /// never come back, also where the younger one was asked for to confirm a record. (A wish forgotten then was waited for without end: the
    /// recmaster of the new epoch proved nothing more, led nobody, and all leases lapsed.)
    pub fn proved(&mut self, number: Mono) -> (Option<Epoch>, Option<Clocks>) {
        let epoch = self.recording.take_if(|(at, _)| number >= *at).map(|(_, epoch)| epoch);
        let younger = self.asked.split_off(&Mono(number.0.saturating_add(1)));
        let fulfilled = std::mem::replace(&mut self.asked, younger);
        (epoch, fulfilled.into_values().next_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recoverd::model::Pnn;

    /// A machine that has slept for an hour: one clock counts that, the other does not.
    fn at(ms: u64) -> Clocks {
        const SLEPT: u64 = 3_600_000_000;
        Clocks { boot: Mono(SLEPT + ms * 1000), raw: Mono(ms * 1000) }
    }

    fn epoch(number: u64) -> Epoch {
        Epoch { number, pnn: Pnn(0) }
    }

    #[test]
    fn only_a_proof_that_was_asked_for_after_the_record_confirms_it() {
        let mut proofs = Proofs::default();
        let before = proofs.prove(at(10));
        let with = proofs.record(at(20), epoch(7));
        let after = proofs.prove(at(30));
        assert_eq!(proofs.proved(before), (None, Some(at(10))), "it began before the record was wanted");
        assert_eq!(proofs.proved(with), (Some(epoch(7)), None));
        assert_eq!(proofs.proved(after), (None, Some(at(30))), "once is enough");
        // The proof of the record was replaced by a younger one, which confirms it as well.
        proofs.record(at(40), epoch(8));
        let younger = proofs.prove(at(50));
        assert_eq!(proofs.proved(younger), (Some(epoch(8)), Some(at(50))));
    }

    #[test]
    fn a_wish_whose_proof_was_replaced_by_that_of_a_record_is_fulfilled_by_it() {
        let mut proofs = Proofs::default();
        proofs.prove(at(10));
        let with = proofs.record(at(20), epoch(7));
        let later = proofs.prove(at(30));
        assert_eq!(proofs.proved(with), (Some(epoch(7)), Some(at(10))));
        assert_eq!(proofs.proved(later), (None, Some(at(30))));
    }

    #[test]
    fn what_was_asked_of_a_former_lock_is_forgotten() {
        let mut proofs = Proofs::default();
        let (old, replaced) = (proofs.prove(at(10)), proofs.prove(at(20)));
        proofs.record(at(15), epoch(7));
        proofs.forget_record();
        let newest = proofs.prove(at(30));
        assert_eq!(proofs.proved(newest), (None, Some(at(30))));
        assert_eq!(proofs.proved(replaced), (None, None), "an older one is of no use now");
        proofs.prove(at(40));
        proofs.forget_proofs();
        assert_eq!((proofs.proved(old), proofs.proved(at(40).boot)), ((None, None), (None, None)));
    }
}
