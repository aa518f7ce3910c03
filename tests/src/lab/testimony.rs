//! What a witness heard of one address, and what that proves.
//!
//! An answer proves that its node served the address at some moment between the request's sending and the answer's coming in, no
//! more: answers may overtake each other on a busy machine. Two nodes served at the same time when one answered before, and again
//! after, an answer of the other, all three moments apart and close together. There are no false ones, and whatever lasts a few
//! milliseconds is found.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An address that leaves a node and comes back does not do so within this time.
const CLOSE_NS: u64 = 60_000_000;

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) node: u16,
    pub(crate) sent_ns: u64,
    pub(crate) at_ns: u64,
}

/// A proof that two nodes served one address at the same time: `other` answered between two answers of `node`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dual {
    /// This node answered before and after …
    pub node: u16,
    /// … this one did.
    pub other: u16,
    /// When the other one's answer came in (`CLOCK_MONOTONIC`, nanoseconds).
    pub at_ns: u64,
    /// How many of its answers prove it.
    pub answers: usize,
}

/// All that a witness knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WitnessReport {
    /// Answers heard.
    pub answers: u64,
    /// Announcements of the address heard, by the witness of ARP: requests or replies from it for itself.
    pub announced: u64,
    /// What must not be.
    pub duals: Vec<(IpAddr, Dual)>,
}

/// The answers for one address.
#[derive(Debug, Default)]
pub(crate) struct Testimony {
    by_node: BTreeMap<u16, Vec<Answer>>,
}

impl Testimony {
    pub(crate) fn heard(&mut self, answer: Answer) {
        self.by_node.entry(answer.node).or_default().push(answer);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_node.values().map(Vec::len).sum()
    }

    /// At most one for each two nodes.
    pub(crate) fn duals(&self) -> Vec<Dual> {
        let mut found = Vec::new();
        for (node, outer) in &self.by_node {
            let mut outer = outer.clone();
            outer.sort_by_key(|a| a.at_ns);
            let mut by_sent = outer.clone();
            by_sent.sort_by_key(|a| a.sent_ns);
            for (other, inner) in self.by_node.iter().filter(|(other, _)| *other != node) {
                let between = |b: &&Answer| {
                    let before = outer.partition_point(|a| a.at_ns < b.sent_ns).checked_sub(1);
                    let after = by_sent.get(by_sent.partition_point(|a| a.sent_ns <= b.at_ns));
                    let (Some(before), Some(after)) = (before.map(|i| outer[i]), after) else { return false };
                    after.sent_ns.saturating_sub(before.at_ns) <= CLOSE_NS
                };
                let proofs: Vec<&Answer> = inner.iter().filter(between).collect();
                if let Some(first) = proofs.first() {
                    let (node, other, at_ns) = (*node, *other, first.at_ns);
                    found.push(Dual { node, other, at_ns, answers: proofs.len() });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn hear(testimony: &mut Testimony, node: u16, sent_ms: u64, took_us: u64) {
        let sent_ns = sent_ms * MS;
        testimony.heard(Answer { node, sent_ns, at_ns: sent_ns + took_us * 1000 });
    }

    #[test]
    fn a_handover_is_none() {
        let mut t = Testimony::default();
        (10..20).for_each(|ms| hear(&mut t, 0, ms, 100));
        (20..30).for_each(|ms| hear(&mut t, 1, ms, 100));
        assert_eq!(t.duals(), []);
    }

    #[test]
    fn an_answer_that_comes_late_proves_nothing() {
        let mut t = Testimony::default();
        (10..20).for_each(|ms| hear(&mut t, 0, ms, 30_000));
        (20..30).for_each(|ms| hear(&mut t, 1, ms, 100));
        assert_eq!(t.duals(), []);
    }

    #[test]
    fn two_at_the_same_time_are_found() {
        let mut t = Testimony::default();
        (10..30).for_each(|ms| hear(&mut t, 0, ms, 100));
        (25..40).for_each(|ms| hear(&mut t, 2, ms, 100));
        let duals = t.duals();
        assert_eq!(duals.len(), 2, "{duals:?}");
        assert_eq!((duals[0].node, duals[0].other, duals[0].answers), (0, 2, 4));
    }

    #[test]
    fn leaving_and_coming_back_is_none() {
        let mut t = Testimony::default();
        (10..20).for_each(|ms| hear(&mut t, 0, ms, 100));
        (20..100).for_each(|ms| hear(&mut t, 1, ms, 100));
        (100..110).for_each(|ms| hear(&mut t, 0, ms, 100));
        assert_eq!(t.duals(), []);
    }
}
