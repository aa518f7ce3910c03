//! What a client saw of one address: which request was answered when and by which node, and what follows from it.
//!
//! Pure: the prober records, this module counts. A gap is counted from the first request that was sent into the silence (not
//! from the last answer), so that a prober that did not get its turn on a busy machine does not look like a service that did
//! not answer. Answers carry the kernel's receive stamp for the same reason.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// Silences shorter than this are not listed.
const GAP_NS: u64 = 3_000_000;
/// A request without an answer counts as lost after this time.
const LOST_AFTER_NS: u64 = 50_000_000;
/// Requests remembered per address: ten minutes at one a millisecond.
const REMEMBERED: usize = 600_000;
/// Answers may come in another order than their requests went out, by no more than this many.
const OVERTAKING: usize = 100;

/// What the client saw of one address since some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressReport {
    /// Requests sent.
    pub sent: u64,
    /// Of these, answered.
    pub received: u64,
    /// Of these, not answered within 50 ms and not later either.
    pub lost: u64,
    /// Silences of 3 ms and more.
    pub gaps: Vec<Gap>,
    /// The first answer and then every answer that came from another node than the one before, to a request that was sent after that one
    /// had begun to answer: a reply to an older request was only late (a node whose link is down queues replies until it is up).
    pub transitions: Vec<Transition>,
    /// The last answer.
    pub last: Option<Transition>,
}

/// A silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First request that was sent into it (`CLOCK_MONOTONIC`, nanoseconds).
    pub from_ns: u64,
    /// Until the next answer, or until now if `open`.
    pub length_ns: u64,
    /// Who answered last before it.
    pub before: Option<u16>,
    /// Who answered first after it.
    pub after: Option<u16>,
    /// Not over yet.
    pub open: bool,
}

/// An answer by a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When it came in (`CLOCK_MONOTONIC`, nanoseconds).
    pub at_ns: u64,
    /// Number of the node.
    pub node: u16,
}

impl AddressReport {
    /// The longest silence of at least 3 ms, or zero.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.gaps.iter().map(|g| g.length_ns).max().unwrap_or(0))
    }

    /// Two nodes answered in turns: a node answered again within `window` of having been replaced by another one. The moment
    /// it came back, or nothing.
    #[must_use]
    pub fn dual(&self, window: Duration) -> Option<Transition> {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let back = |t: &[Transition]| t[0].node == t[2].node && t[2].at_ns - t[1].at_ns <= window;
        self.transitions.windows(3).find(|t| back(t)).map(|t| t[2])
    }

    /// The nodes that answered, in order.
    #[must_use]
    pub fn nodes(&self) -> Vec<u16> {
        self.transitions.iter().map(|t| t.node).collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Request {
    sent_ns: u64,
    answer: Option<Transition>,
}

/// The requests to one address.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Sequence number of the oldest one remembered.
    first: u64,
    requests: VecDeque<Request>,
}

impl Record {
    /// Notes a request; its sequence number.
    pub(crate) fn sent(&mut self, at_ns: u64) -> u64 {
        if self.requests.len() == REMEMBERED {
            self.requests.pop_front();
            self.first += 1;
        }
        self.requests.push_back(Request { sent_ns: at_ns, answer: None });
        self.first + self.requests.len() as u64 - 1
    }

    /// Notes the answer to request `sequence`. Only the first one counts: a request has one destination.
    pub(crate) fn answered(&mut self, sequence: u64, answer: Transition) {
        let slot = sequence.checked_sub(self.first).and_then(|i| usize::try_from(i).ok());
        if let Some(request) = slot.and_then(|i| self.requests.get_mut(i)) {
            request.answer.get_or_insert(answer);
        }
    }

    /// What was seen since `since_ns`. A silence that began before and lasted beyond that moment counts in full.
    pub(crate) fn report(&self, since_ns: u64, now_ns: u64) -> AddressReport {
        let mut report = AddressReport::default();
        let first = self.requests.partition_point(|r| r.sent_ns < since_ns);
        for request in self.requests.range(first..) {
            report.sent += 1;
            match request.answer {
                Some(_) => report.received += 1,
                None if now_ns.saturating_sub(request.sent_ns) > LOST_AFTER_NS => report.lost += 1,
                None => {}
            }
        }
        // Looks back to the last answer before that moment, and a little further for answers that overtook each other.
        let before = (0..first).rev().find(|i| self.requests[*i].answer.is_some()).unwrap_or(0);
        let window = self.requests.range(before.saturating_sub(OVERTAKING)..);
        let mut answers: Vec<(u64, Transition)> =
            window.filter_map(|r| Some((r.sent_ns, r.answer?))).collect();
        answers.sort_by_key(|(_, a)| a.at_ns);
        let start = answers.partition_point(|(_, a)| a.at_ns < since_ns);
        let mut before = start.checked_sub(1).map(|i| answers[i].1);
        for next in answers[start..].iter().copied().map(Some).chain([None]) {
            report.gaps.extend(self.gap(before, next.map(|(_, a)| a), now_ns));
            if let Some((sent_ns, answer)) = next {
                let last = report.transitions.last();
                if last.is_none_or(|t| t.node != answer.node && sent_ns >= t.at_ns) {
                    report.transitions.push(answer);
                }
                report.last = Some(answer);
                before = Some(answer);
            }
        }
        report
    }

    /// The silence between two answers following each other (or up to now), if it is one.
    fn gap(&self, before: Option<Transition>, after: Option<Transition>, now_ns: u64) -> Option<Gap> {
        let end = after.map_or(now_ns, |a| a.at_ns);
        let silent_since = before.map_or(0, |b| b.at_ns);
        let index = self.requests.partition_point(|r| r.sent_ns <= silent_since);
        let from_ns = self.requests.get(index)?.sent_ns;
        let length_ns = end.checked_sub(from_ns).filter(|length| *length >= GAP_NS)?;
        let node = |t: Option<Transition>| t.map(|t| t.node);
        Some(Gap { from_ns, length_ns, before: node(before), after: node(after), open: after.is_none() })
    }
}

/// The whole report of a prober.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProbeReport {
    /// When it was made (`CLOCK_MONOTONIC`, nanoseconds).
    pub now_ns: u64,
    /// Per address, in the order asked.
    pub addresses: Vec<(IpAddr, AddressReport)>,
    /// The longest time the prober itself came late: figures below this are noise of the machine.
    pub worst_pace_ns: u64,
}

impl ProbeReport {
    /// The report of one address.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&AddressReport> {
        self.addresses.iter().find(|(a, _)| *a == address).map(|(_, report)| report)
    }

    /// The longest silence of any address.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        self.addresses.iter().map(|(_, r)| r.longest_gap()).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn answered(record: &mut Record, sent_ms: u64, node: u16) {
        let sequence = record.sent(sent_ms * MS);
        record.answered(sequence, Transition { at_ns: sent_ms * MS + 100_000, node });
    }

    fn unanswered(record: &mut Record, sent_ms: u64) {
        record.sent(sent_ms * MS);
    }

    #[test]
    fn a_move_is_one_gap_and_one_transition() {
        let mut record = Record::default();
        (10..20).for_each(|t| answered(&mut record, t, 0));
        (20..40).for_each(|t| unanswered(&mut record, t));
        (40..50).for_each(|t| answered(&mut record, t, 2));
        let report = record.report(0, 50 * MS);
        let expected = Gap {
            from_ns: 20 * MS,
            length_ns: 20 * MS + 100_000,
            before: Some(0),
            after: Some(2),
            open: false,
        };
        assert_eq!(report.gaps, [expected]);
        assert_eq!(report.nodes(), [0, 2]);
        assert_eq!((report.sent, report.received, report.lost), (40, 20, 0));
        assert_eq!(record.report(0, 200 * MS).lost, 20);
        assert_eq!(report.dual(Duration::from_secs(1)), None);
        // Since a moment in the silence: it counts in full. Since a moment after it: not at all.
        assert_eq!(record.report(30 * MS, 50 * MS).gaps, [expected]);
        assert_eq!(record.report(42 * MS, 50 * MS).gaps, []);
    }

    #[test]
    fn a_late_reply_to_an_old_request_is_not_a_second_holder() {
        let mut record = Record::default();
        (10..20).for_each(|t| answered(&mut record, t, 0));
        let old = record.sent(20 * MS);
        (40..50).for_each(|t| answered(&mut record, t, 2));
        // It left the queue of node 0 when its link came back.
        record.answered(old, Transition { at_ns: 45 * MS, node: 0 });
        let report = record.report(0, 60 * MS);
        assert_eq!((report.nodes(), report.dual(Duration::from_secs(1))), (vec![0, 2], None));
        // An answer to a request that was sent after the other node had begun to answer is one.
        answered(&mut record, 51, 0);
        answered(&mut record, 52, 2);
        assert!(record.report(0, 60 * MS).dual(Duration::from_secs(1)).is_some());
    }

    #[test]
    fn a_prober_without_its_turn_is_no_gap() {
        let mut record = Record::default();
        answered(&mut record, 10, 0);
        answered(&mut record, 60, 0);
        assert_eq!(record.report(0, 61 * MS).gaps, []);
    }

    #[test]
    fn silence_that_lasts_is_open() {
        let mut record = Record::default();
        answered(&mut record, 10, 1);
        (11..30).for_each(|t| unanswered(&mut record, t));
        let report = record.report(0, 30 * MS);
        assert!(report.gaps[0].open);
        assert_eq!((report.gaps[0].before, report.gaps[0].after), (Some(1), None));
        assert_eq!(report.longest_gap(), Duration::from_millis(19));
    }

    #[test]
    fn a_late_answer_ends_the_gap_but_does_not_move_its_start() {
        let mut record = Record::default();
        answered(&mut record, 10, 0);
        let queued: Vec<u64> = (11..31).map(|t| record.sent(t * MS)).collect();
        record.answered(queued[5], Transition { at_ns: 31 * MS, node: 1 });
        let report = record.report(0, 32 * MS);
        assert_eq!(report.gaps[0].from_ns, 11 * MS);
        assert_eq!(report.gaps[0].length_ns, 20 * MS);
    }

    #[test]
    fn two_nodes_in_turns_are_dual() {
        let mut record = Record::default();
        for (t, node) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 0), (6, 1)] {
            answered(&mut record, t, node);
        }
        let report = record.report(0, 7 * MS);
        assert_eq!(report.dual(Duration::from_millis(100)).map(|t| t.node), Some(0));
        assert_eq!(report.dual(Duration::from_micros(900)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut record = Record::default();
        for t in 0..REMEMBERED as u64 + 10 {
            record.sent(t);
        }
        let last = record.sent(1_000_000);
        record.answered(last, Transition { at_ns: 1_000_001, node: 3 });
        record.answered(0, Transition { at_ns: 1, node: 1 });
        let report = record.report(0, 1_000_002);
        assert_eq!((report.sent, report.received), (REMEMBERED as u64, 1));
    }
}
