//! Plays: for one rule each, the history that breaks the cluster without it (docs/leases.md), with chance in the times.
//!
//! Random and general directed schedules find these in one of 10⁴ to 10⁶ histories; a play within a few hundred. Whether the
//! cast fits (the address goes to the right node, the lock to the right one) is left to chance. M is the recmaster at the start,
//! X a holder, Y another node, P and Q the fourth and the fifth.

use super::faults::{Fault, Memory, Role};
use super::meddle::{How, Kind, Meddling};
use super::prng::Prng;
use super::setup::{Change, Frame};
use Role::{M, P, Q, X, Y};

/// A play.
struct Play {
    /// The rule whose break it shows.
    rule: &'static str,
    /// How many nodes, at least and at most.
    nodes: (u64, u64),
    write: fn(&mut Script<'_>),
}

/// How many.
pub(super) const COUNT: usize = PLAYS.len();

/// The play of a rule.
pub(super) fn of(rule: &str) -> Option<usize> {
    PLAYS.iter().position(|p| p.rule == rule.trim_end_matches('+'))
}

/// Drawn before anything else: the frame depends on it.
pub(super) fn nodes(which: usize, p: &mut Prng) -> Option<usize> {
    let (lo, hi) = PLAYS.get(which)?.nodes;
    Some(p.range(lo, hi) as usize)
}

pub(super) fn schedule(p: &mut Prng, f: &mut Frame, which: usize) -> Vec<(u64, Fault)> {
    let at = p.range(4 * f.t, 6 * f.t);
    if p.percent(50) {
        f.faults = 0;
    }
    f.chaos = f.chaos.max(at + 9 * f.t);
    let mut s = Script { p, f, at, out: Vec::new() };
    s.at(0, 0, Fault::Cast);
    if let Some(play) = PLAYS.get(which) {
        (play.write)(&mut s);
    }
    s.out
}

/// A play being written. Times in hundredths of T after its start; two of them: between these, by chance.
struct Script<'a> {
    p: &'a mut Prng,
    f: &'a mut Frame,
    at: u64,
    out: Vec<(u64, Fault)>,
}

impl Script<'_> {
    fn t(&self, hundredths: u64) -> u64 {
        hundredths * self.f.t / 100
    }

    fn span(&mut self, lo: u64, hi: u64) -> u64 {
        let (lo, hi) = (self.t(lo), self.t(hi));
        self.p.range(lo, hi)
    }

    fn at(&mut self, lo: u64, hi: u64, fault: Fault) {
        let when = self.at + self.span(lo, hi);
        self.out.push((when, fault));
    }

    fn meddle(&mut self, when: u64, long: u64, kind: Kind, between: (Option<Role>, Option<Role>), how: How) {
        let (from, to) = between;
        let long = self.t(long);
        self.at(when, when, Fault::Meddle(Meddling { kind, from, to, how, long }));
    }

    fn late(&self, lo: u64, hi: u64) -> How {
        How::Late(self.t(lo), self.t(hi))
    }

    /// It is back within a twentieth of T.
    fn crash(&mut self, lo: u64, hi: u64, who: Role, memory: Memory) {
        let down = self.span(2, 5);
        self.at(lo, hi, Fault::Crash { who, guard: false, host: true, down, memory });
    }

    fn guarded_crash(&mut self, lo: u64, hi: u64, who: Role, memory: Memory) {
        let down = self.span(2, 5);
        self.at(lo, hi, Fault::Crash { who, guard: true, host: false, down, memory });
    }

    fn pause(&mut self, when: (u64, u64), who: Role, long: (u64, u64)) {
        let long = self.span(long.0, long.1);
        self.at(when.0, when.1, Fault::Pause { who, long, parked: false });
    }

    fn part(&mut self, lo: u64, hi: u64, a: Role, b: Role) {
        let when = self.at + self.span(lo, hi);
        self.out.extend([(when, Fault::Cut(a, b)), (when, Fault::Cut(b, a))]);
    }

    fn rejoin(&mut self, lo: u64, hi: u64, a: Role, b: Role) {
        let when = self.at + self.span(lo, hi);
        self.out.extend([(when, Fault::Mend(a, b)), (when, Fault::Mend(b, a))]);
    }

    fn hang(&mut self, lo: u64, hi: u64, who: Role, long: u64) {
        let long = self.t(long);
        self.at(lo, hi, Fault::HangFor { who, long });
    }
}

const PLAYS: &[Play] = &[
    // M acknowledges on majority rounds while its proof grows old; Y, alone with the lock, counts G from having it.
    Play {
        rule: "D6a",
        nodes: (3, 3),
        write: |s| {
            s.f.g = 2 * s.f.t;
            s.at(1, 1, Fault::Capable { who: X, yes: false });
            s.at(1, 1, Fault::Isolate(Y));
            s.hang(1, 1, M, 800);
            s.at(2, 30, Fault::LockTo(Y));
        },
    },
    // X is frozen between being told its deadline and writing it, and evicted meanwhile.
    Play {
        rule: "D9",
        nodes: (2, 3),
        write: |s| {
            let long = s.span(150, 400);
            s.at(1, 40, Fault::Pause { who: X, long, parked: true });
        },
    },
    // X's guard has fenced the session; X is back and was given addresses when the report arrives.
    Play {
        rule: "d11b",
        nodes: (2, 3),
        write: |s| {
            let how = s.late(20, 150);
            s.meddle(1, 300, Kind::Fenced, (None, Some(M)), how);
            s.guarded_crash(2, 2, X, Memory::All);
        },
    },
    // X leads shortly, dies, forgets its epoch, and is acknowledged by M, which does not know that it lost the lock. Y has the
    // lock after X, hears X's guard, and M joins it.
    Play {
        rule: "d11c",
        nodes: (3, 3),
        write: |s| {
            let how = s.late(10, 90);
            s.hang(1, 1, M, 300);
            s.at(1, 1, Fault::Isolate(M));
            s.at(2, 2, Fault::LockTo(X));
            s.meddle(8, 100, Kind::Fenced, (None, Some(Y)), how);
            s.meddle(8, 100, Kind::Fenced, (None, Some(M)), How::Lost);
            s.at(10, 10, Fault::Cut(Y, X));
            s.rejoin(10, 10, M, X);
            s.guarded_crash(10, 20, X, Memory::AllButLast);
            s.rejoin(55, 85, M, Y);
        },
    },
    // The same without a guard. M joins Y when Y has a promise quorum long since, and tells nobody that it acknowledged X.
    Play {
        rule: "d31",
        nodes: (5, 5),
        write: |s| {
            s.hang(1, 1, M, 300);
            s.at(1, 1, Fault::Isolate(M));
            s.at(2, 2, Fault::LockTo(X));
            for who in [Y, P, Q] {
                s.part(10, 10, who, X);
            }
            s.rejoin(10, 10, M, X);
            s.crash(10, 20, X, Memory::AllButLast);
            for who in [Y, P, Q] {
                s.rejoin(70, 90, M, who);
            }
        },
    },
    // X lives twice within the delay of its first life's join.
    Play {
        rule: "d12",
        nodes: (2, 3),
        write: |s| {
            let how = s.late(60, 200);
            s.meddle(1, 29, Kind::Join, (Some(X), None), how);
            s.crash(1, 1, X, Memory::All);
            s.crash(15, 30, X, Memory::All);
        },
    },
    // X joins, is never acknowledged, freezes with a take in its socket, is evicted, and thaws under the next recmaster.
    Play {
        rule: "d13b",
        nodes: (3, 3),
        write: |s| {
            let how = s.late(30, 50);
            s.meddle(1, 300, Kind::Ack, (None, Some(X)), How::Lost);
            s.meddle(1, 300, Kind::Grant, (None, Some(X)), How::Lost);
            s.meddle(1, 60, Kind::Command, (None, Some(X)), how);
            s.crash(1, 1, X, Memory::All);
            s.pause((15, 40), X, (300, 400));
            s.crash(220, 290, M, Memory::All);
        },
    },
    // Grants of Y reach X late, after Y's promise.
    Play {
        rule: "d14",
        nodes: (3, 3),
        write: |s| {
            let how = s.late(35, 50);
            s.meddle(1, 300, Kind::Grant, (None, Some(X)), how);
            s.part(1, 1, M, X);
        },
    },
    // The duplicate of a take comes after the release.
    Play {
        rule: "d15",
        nodes: (2, 3),
        write: |s| {
            let how = How::Twice(s.t(10), s.t(200));
            s.meddle(0, 500, Kind::Command, (None, None), how);
            for _ in 0..6 {
                s.at(1, 300, Fault::Move);
            }
        },
    },
    // "Released" of the old epoch comes in the next epoch of the same recmaster.
    Play {
        rule: "d15b",
        nodes: (3, 3),
        write: |s| {
            let how = s.late(130, 300);
            s.meddle(0, 100, Kind::Released, (None, None), how);
            for _ in 0..4 {
                s.at(0, 5, Fault::Move);
            }
            s.pause((6, 30), M, (105, 170));
        },
    },
    // X lapses and joins anew; a late request of its former session comes to Y between its last grant to the present one and its promise.
    Play {
        rule: "d17a",
        nodes: (3, 3),
        write: |s| {
            let how = s.late(110, 160);
            for kind in [Kind::Ack, Kind::Grant] {
                s.meddle(0, 110, kind, (None, Some(X)), How::Lost);
            }
            s.meddle(50, 50, Kind::Ask, (Some(X), Some(Y)), how);
            s.part(130, 150, M, X);
        },
    },
    // Y grants to X, restarts, and promises that it never did.
    Play {
        rule: "d17b",
        nodes: (3, 3),
        write: |s| {
            s.part(1, 1, M, X);
            s.crash(71, 78, Y, Memory::All);
        },
    },
    // Y promises, restarts, and grants to X again.
    Play {
        rule: "d18",
        nodes: (3, 3),
        write: |s| {
            s.part(1, 1, M, X);
            s.crash(105, 160, Y, Memory::All);
        },
    },
    // X moves to Y's epoch, but no join arrives; the others of that epoch grant to it.
    Play {
        rule: "d19b",
        nodes: (3, 3),
        write: |s| {
            s.f.g = 5 * s.f.t;
            s.meddle(0, 600, Kind::Join, (Some(X), None), How::Lost);
            s.at(2, 10, Fault::LockTo(Y));
        },
    },
    // X takes the lock and an epoch that nobody hears of, its store hangs, the lock goes on; then X draws a node back.
    Play {
        rule: "d20",
        nodes: (3, 3),
        write: |s| {
            let (next, other) = if s.p.percent(50) { (M, Y) } else { (Y, M) };
            s.at(1, 1, Fault::Isolate(X));
            s.at(2, 2, Fault::LockTo(X));
            s.hang(15, 15, X, 300);
            s.at(20, 20, Fault::LockTo(next));
            s.rejoin(35, 70, X, other);
        },
    },
    // M dies with its memory and takes its first epoch again, in which X lives on grants of Y, which has joined anew.
    Play {
        rule: "d20b",
        nodes: (3, 3),
        write: |s| {
            (s.f.g, s.f.loss_time) = (5 * s.f.t, s.f.t);
            for who in [X, Y] {
                s.at(1, 1, Fault::Capable { who, yes: false });
            }
            s.at(4, 4, Fault::Isolate(M));
            s.crash(5, 5, M, Memory::Nothing);
            s.meddle(6, 130, Kind::Grant, (Some(X), Some(Y)), How::Lost);
            s.rejoin(135, 170, M, Y);
        },
    },
    // M is cut off and offers the lock; another leads with it shortly; M has it again before its lead ends.
    Play {
        rule: "L5c",
        nodes: (3, 3),
        write: |s| {
            s.f.g = s.span(200, 300);
            s.at(1, 1, Fault::Isolate(M));
            for k in 0..30 {
                s.at(210 + 4 * k, 210 + 4 * k, Fault::LockTo(M));
            }
        },
    },
    // Cut off from M, X has the lock for a moment, between two proofs of M.
    Play {
        rule: "d21",
        nodes: (2, 2),
        write: |s| {
            s.part(1, 1, M, X);
            let when = s.span(60, 80) * 100 / s.f.t;
            s.at(when, when, Fault::LockTo(X));
            s.at(when + 3, when + 15, Fault::LockLoss);
        },
    },
    // M has the new list, records it and loses the lock to the new node; the two are half of four. X and Y, a majority of the old three,
    // live on each other's grants.
    Play {
        rule: "d22b",
        nodes: (4, 4),
        write: |s| {
            let new = Role::Node(3);
            (s.f.change, s.f.g) = (Some(Change::Added), 5 * s.f.t);
            for who in [X, Y] {
                s.part(1, 1, M, who);
                s.part(1, 1, new, who);
            }
            s.at(1, 1, Fault::Newcomer);
            s.at(2, 2, Fault::File(M));
            s.at(8, 40, Fault::LockTo(new));
        },
    },
    // M leads on with X while Y hears of neither; then M steps down for Y, and only its own grants tell how long it led.
    Play {
        rule: "d24",
        nodes: (3, 3),
        write: |s| {
            s.at(1, 1, Fault::Isolate(Y));
            s.at(250, 250, Fault::Isolate(X));
            s.at(250, 250, Fault::Capable { who: M, yes: false });
            s.rejoin(250, 260, M, Y);
        },
    },
    // X joins Y's epoch with a lease of M's and freezes before Y acknowledges it.
    Play {
        rule: "d25",
        nodes: (3, 3),
        write: |s| {
            s.meddle(1, 100, Kind::Beat, (Some(X), Some(Y)), How::Lost);
            s.at(2, 2, Fault::LockTo(Y));
            s.pause((4, 25), X, (200, 300));
        },
    },
    // M leads no more; X does, and acknowledges M, with the grants of Y, which forgets them, as X does. P and Q know of M's epoch only,
    // and M, which grants to them, has not joined theirs.
    Play {
        rule: "d28",
        nodes: (5, 5),
        write: |s| {
            for (a, b) in [(M, P), (M, Q), (X, P), (X, Q), (Y, P), (Y, Q)] {
                s.part(1, 1, a, b);
            }
            for who in [M, Y] {
                s.at(2, 2, Fault::Capable { who, yes: false });
            }
            let gone = s.span(110, 200) * 100 / s.f.t;
            s.crash(gone, gone, Y, Memory::All);
            for (a, b) in [(Y, M), (Y, X)] {
                s.part(gone, gone, a, b);
            }
            for (a, b) in [(Y, P), (Y, Q)] {
                s.rejoin(gone, gone, a, b);
            }
            s.meddle(gone, 300, Kind::Join, (Some(M), None), How::Lost);
            let cut = gone + s.span(20, 95) * 100 / s.f.t;
            s.crash(cut, cut, X, Memory::All);
            for (a, b) in [(M, P), (M, Q), (X, P), (X, Q)] {
                s.rejoin(cut, cut, a, b);
            }
        },
    },
    // X joins Y's epoch, dies and forgets it, and its next session gets addresses from M, which does not know that it lost the lock.
    Play {
        rule: "d30",
        nodes: (5, 5),
        write: |s| {
            s.hang(1, 1, M, 300);
            for who in [Y, P, Q] {
                s.part(1, 1, M, who);
            }
            s.at(2, 2, Fault::LockTo(Y));
            let when = s.span(10, 40) * 100 / s.f.t;
            if s.p.percent(50) {
                s.guarded_crash(when, when, X, Memory::AllButLast);
            } else {
                s.crash(when, when, X, Memory::AllButLast);
            }
            for who in [Y, P, Q] {
                s.part(when + 2, when + 2, X, who);
            }
        },
    },
];
