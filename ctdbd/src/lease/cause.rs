//! Why a lease is over, for the journal: this thread did not run, or others did not answer. Pure: the caller reads the clock.
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
}

impl Diary {
    /// `lease_time` in microseconds.
    pub(super) fn new(lease_time: u64) -> Self {
        Self { lease_time, delays: VecDeque::new(), worst: 0, heard: BTreeMap::new() }
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

    /// Why a lease was not extended that is over now; `others` are all other nodes.
    pub(super) fn why(&self, others: impl Iterator<Item = Pnn>, now: Mono) -> String {
        let of_lease = |(at, _): &&(Mono, u64)| now.0.saturating_sub(at.0) <= self.lease_time;
        let late: u64 = self.delays.iter().filter(of_lease).map(|(_, late)| *late).sum();
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
}
