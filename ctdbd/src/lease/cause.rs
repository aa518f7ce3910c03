//! Why a lease is over, or the gate was shut although it is not, for the journal: this thread did not run, or others did not answer. Pure:
//! the caller reads the clock.
//!
//! A machine that is busy or stood still, and a network that is broken, look the same from far away: the lease was not extended in time.
//! Whoever has to mend it must know which it was.

use recoverd::model::{Mono, Pnn};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

/// Less is usual, in microseconds.
const WORTH_NOTING: u64 = 1_000;
/// Delays that are remembered.
const REMEMBERED: usize = 64;

/// What the lease thread remembers of its own delays and of others' answers.
#[derive(Debug)]
pub(super) struct Diary {
    /// Microseconds.
    lease_time: u64,
    /// When a delay ended, and how long it was in microseconds.
    delays: VecDeque<(Mono, u64)>,
    /// Microseconds, of this life.
    worst: u64,
    heard: BTreeMap<Pnn, Mono>,
    /// When the gate last took a renewal or was opened in this session.
    renewed: Option<Mono>,
    /// It was found shut since, and that was said.
    shut: bool,
}

impl Diary {
    /// `lease_time` in microseconds.
    pub(super) fn new(lease_time: u64) -> Self {
        Self {
            lease_time,
            delays: VecDeque::new(),
            worst: 0,
            heard: BTreeMap::new(),
            renewed: None,
            shut: false,
        }
    }

    /// The thread wanted to go on at `due`, and did so now.
    pub(super) fn ran(&mut self, due: Mono, now: Mono) {
        let late = now.0.saturating_sub(due.0);
        self.worst = self.worst.max(late);
        if late >= WORTH_NOTING {
            self.delays.push_back((now, late));
            if self.delays.len() > REMEMBERED {
                self.delays.pop_front();
            }
        }
    }

    /// A packet of this node came in.
    pub(super) fn heard(&mut self, pnn: Pnn, now: Mono) {
        self.heard.insert(pnn, now);
    }

    /// The longest delay of this life, in microseconds.
    pub(super) fn worst(&self) -> u64 {
        self.worst
    }

    /// The gate was renewed.
    pub(super) fn renewed(&mut self, now: Mono) {
        self.renewed = Some(now);
        self.shut = false;
    }

    /// The session is over: the gate is shut because it shall be.
    pub(super) fn lapsed(&mut self) {
        self.renewed = None;
        self.shut = false;
    }

    /// The gate was to be open, was found shut as `found` says, and was `opened` again or not. What to say of it; nothing at the first
    /// opening of a session, and nothing more while one renewal after the other finds it shut (a table that sees no ticks).
    pub(super) fn found_shut(&mut self, found: &str, opened: bool, now: Mono) -> Option<String> {
        let since = self.renewed;
        if opened {
            self.renewed = Some(now);
        }
        let silent = now.0.saturating_sub(since?.0) / 1000;
        if std::mem::replace(&mut self.shut, true) {
            return None;
        }
        let now_it_is = if opened { "it is open again" } else { "it could not be opened now" };
        Some(format!(
            "{found} while the lease lasts: {now_it_is}; addresses of this node may have been silent for a part of the {silent} ms since \
             its last renewal, of which the lease thread did not run for {} ms",
            self.late(now) / 1000
        ))
    }

    /// For how long the thread did not run in the last LeaseTime, in microseconds.
    fn late(&self, now: Mono) -> u64 {
        let of_lease = |(at, _): &&(Mono, u64)| now.0.saturating_sub(at.0) <= self.lease_time;
        self.delays.iter().filter(of_lease).map(|(_, late)| *late).sum()
    }

    /// Why a lease was not extended that is over now; `others` are all other nodes.
    pub(super) fn why(&self, others: impl Iterator<Item = Pnn>, now: Mono) -> String {
        let late = self.late(now);
        let silent: Vec<(Pnn, Option<u64>)> = others
            .map(|pnn| (pnn, self.heard.get(&pnn).map(|at| now.0.saturating_sub(at.0))))
            .filter(|(_, silent)| silent.is_none_or(|us| us >= self.lease_time / 2))
            .collect();
        let mut text = String::new();
        // A quarter of it: the first request after a pause extends the lease, and answers take a moment.
        if late >= self.lease_time / 4 {
            let _infallible = write!(
                text,
                "the lease thread did not run for {} ms: the machine, or its host, was busy or stood still",
                late / 1000
            );
        }
        for (pnn, silent) in &silent {
            let _infallible = match silent {
                Some(us) => write!(text, "{}no word from node {pnn} for {} ms", comma(&text), us / 1000),
                None => write!(text, "{}no word from node {pnn} ever", comma(&text)),
            };
        }
        if text.is_empty() {
            text.push_str("all nodes were heard, but too few answered in time");
        }
        if late < self.lease_time / 4 {
            let _infallible = write!(text, "; the lease thread itself was {} ms late in sum", late / 1000);
        }
        text
    }
}

fn comma(before: &str) -> &'static str {
    if before.is_empty() { "" } else { ", " }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 200;

    fn ms(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    fn diary() -> Diary {
        let mut diary = Diary::new(T * 1000);
        diary.heard(Pnn(1), ms(990));
        diary.heard(Pnn(2), ms(700));
        diary
    }

    fn why(diary: &Diary, others: &[u32]) -> String {
        diary.why(others.iter().map(|n| Pnn(*n)), ms(1000))
    }

    #[test]
    fn others_that_are_silent_are_named() {
        let mut diary = diary();
        diary.ran(ms(900), ms(903));
        diary.ran(ms(910), ms(910));
        assert_eq!(
            why(&diary, &[1, 2, 3]),
            "no word from node 2 for 300 ms, no word from node 3 ever; the lease thread itself was 3 ms late in sum"
        );
        assert_eq!(
            why(&diary, &[1]),
            "all nodes were heard, but too few answered in time; the lease thread itself was 3 ms late in sum"
        );
        assert_eq!(diary.worst(), 3_000);
    }

    #[test]
    fn a_thread_that_did_not_run_says_so_first() {
        let mut diary = diary();
        // Long before this lease: it explains nothing.
        diary.ran(ms(100), ms(400));
        assert!(why(&diary, &[1]).starts_with("all nodes were heard"), "{}", why(&diary, &[1]));
        diary.ran(ms(800), ms(860));
        assert_eq!(
            why(&diary, &[1, 2]),
            "the lease thread did not run for 60 ms: the machine, or its host, was busy or stood still, no word from node 2 for 300 ms"
        );
        assert_eq!(diary.worst(), 300_000);
    }
    #[test]
    fn a_gate_that_is_found_shut_is_told_once() {
        let mut diary = diary();
        assert_eq!(
            diary.found_shut("the gate was shut", true, ms(800)),
            None,
            "the first opening of a session"
        );
        diary.renewed(ms(840));
        diary.ran(ms(850), ms(980));
        let told = diary.found_shut("the gate was shut", true, ms(1000)).unwrap();
        assert_eq!(
            told,
            "the gate was shut while the lease lasts: it is open again; addresses of this node may have been silent for a part of the \
             160 ms since its last renewal, of which the lease thread did not run for 130 ms"
        );
        assert_eq!(diary.found_shut("the gate was shut", true, ms(1040)), None, "the same trouble");
        diary.renewed(ms(1080));
        assert!(
            diary
                .found_shut("x", false, ms(1120))
                .unwrap()
                .contains("x while the lease lasts: it could not be opened now")
        );
        diary.lapsed();
        assert_eq!(diary.found_shut("the gate was shut", true, ms(1200)), None, "a new session");
    }
}
