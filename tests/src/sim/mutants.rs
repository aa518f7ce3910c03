//! One broken variant for each rule: the simulation must find a history in which it breaks.

use super::setup::{LockChoice, Plan};
use super::stories::{Story, last_man_standing, majority_wins};
use super::{DIRECTED, directed, plays, run};

/// A broken variant.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Id of the rule in docs/leases.md.
    pub rule: &'static str,
    /// What is broken.
    pub words: &'static str,
    /// Breaks it.
    pub apply: fn(&mut Plan),
    /// Locks with which it shows.
    pub locks: &'static [LockChoice],
    /// The simulation does not catch it within the budget; why that is accepted.
    pub survives: Option<&'static str>,
    /// It costs no safety but shows in this story.
    pub story: Option<Story>,
    /// It shows while the nodes list changes.
    pub lists: bool,
}

const FILE: &[LockChoice] = &[LockChoice::File];
const HELPER: &[LockChoice] = &[LockChoice::Helper];
const SHORT: &[LockChoice] = &[LockChoice::QuorumShort];
const BOTH: &[LockChoice] = &[LockChoice::File, LockChoice::QuorumShort, LockChoice::Quorum];

const fn m(
    rule: &'static str,
    words: &'static str,
    locks: &'static [LockChoice],
    apply: fn(&mut Plan),
) -> Mutant {
    Mutant { rule, words, apply, locks, survives: None, story: None, lists: false }
}

/// A mutant that the simulation need not find, and why.
fn accepted(m: Mutant, why: &'static str) -> Mutant {
    Mutant { survives: Some(why), ..m }
}

/// A mutant that shows while the nodes list changes.
fn with_lists(m: Mutant) -> Mutant {
    Mutant { lists: true, ..m }
}

/// A mutant that loses service, not safety.
fn in_story(rule: &'static str, words: &'static str, apply: fn(&mut Plan), story: Story) -> Mutant {
    Mutant { story: Some(story), ..m(rule, words, FILE, apply) }
}

/// The first seed whose story goes wrong when the rule is broken, and well when it is not.
fn hunt_story(m: &Mutant, story: Story, first: u64, budget: u64) -> Option<(u64, String)> {
    let mut plan = Plan::new(0, LockChoice::File, None);
    let full = plan.rules.clone();
    (m.apply)(&mut plan);
    for k in 0..budget {
        if let (Some(Err(what)), Some(Ok(()))) = (story(first + k, &plan.rules), story(first + k, &full)) {
            return Some((k + 1, format!("story seed {}: {what}", first + k)));
        }
    }
    None
}

/// The first history that breaks, among random and directed ones: how many it took, and what broke.
#[must_use]
pub fn hunt(m: &Mutant, first: u64, budget: u64) -> Option<(u64, String)> {
    if let Some(story) = m.story {
        return hunt_story(m, story, first, budget);
    }
    let play = plays::of(m.rule).map(|i| directed::COUNT + i);
    for k in 0..budget {
        let seed = first + k;
        let lock = m.locks[k as usize % m.locks.len()];
        let directed = match (k % 4, play) {
            (0, _) => None,
            (1, _) | (_, None) => Some((k / 4) as usize % DIRECTED),
            (_, Some(play)) => Some(play),
        };
        let full = Plan { lists: m.lists, ..Plan::new(seed, lock, directed) };
        let mut plan = full.clone();
        (m.apply)(&mut plan);
        // A history that breaks with all rules kept says nothing about this one.
        let Some(what) = broken(&plan).filter(|_| broken(&full).is_none()) else {
            continue;
        };
        return Some((k + 1, format!("{lock:?} seed {seed} directed {directed:?}: {what}")));
    }
    None
}

fn broken(plan: &Plan) -> Option<String> {
    let o = run(plan);
    o.violation.or_else(|| (!o.healed).then(|| "not healed".to_owned()))
}

/// All mutants.
#[must_use]
pub fn mutants() -> Vec<Mutant> {
    vec![
        m("D1", "margin 1.10 without slack", BOTH, |p| p.rules.d1_margin = false),
        m("D2", "one clock only", BOTH, |p| p.world.two_clocks = false),
        m("D3", "give before every node is accounted for", BOTH, |p| p.rules.d3_all_accounted = false),
        m("D4", "W(T) for nodes that never joined", BOTH, |p| p.rules.d4_two_t = false),
        m("D5", "any proof will do, also one begun before the wait ended", BOTH, |p| {
            p.rules.d5_proof_after_wait = false;
        }),
        m("D6a", "the age of the recmaster's contact is not passed on", FILE, |p| {
            p.rules.d6_proof_age = false;
        }),
        m("D6b", "majority grants without end", FILE, |p| p.rules.d6_cap = false),
        m("D7", "acknowledge without leading", BOTH, |p| p.rules.d7_ack_only_leading = false),
        m("D8", "a lapse does not end the session", BOTH, |p| p.rules.d8_lapse_latches = false),
        m("D9", "the gate's time-out counts from its writing", BOTH, |p| p.world.anchored = false),
        m("D10", "the gate knows no addresses", BOTH, |p| p.world.held_set = false),
        m("d11a", "commands of any session are obeyed", BOTH, |p| p.rules.d11_session_on_commands = false),
        m("d11b", "a guard speaks for any session", BOTH, |p| p.rules.d11_session_on_guard = false),
        m("d11c", "the guard of any predecessor is believed", FILE, |p| p.rules.guard_of_lone_leader = false),
        m("d12", "join without challenge", BOTH, |p| p.rules.d12_challenge = false),
        accepted(
            m("d13", "an ended session may join again", BOTH, |p| p.rules.d13_ended_stays_ended = false),
            "covered since a take needs a live lease (d13b): a session that had one lapsed before it was ended, one that never had \
             one has nothing to obey with. Kept: it tells a node at once that its session is over",
        ),
        m("d13b", "a take is obeyed without a lease", BOTH, |p| p.rules.take_needs_lease = false),
        m("d14", "grants count for the latest round", BOTH, |p| p.rules.d14_echo_round = false),
        m("d15", "unnumbered takes and releases", BOTH, |p| p.rules.d15_numbers = false),
        m("d15b", "the answer to a release of an older epoch counts", FILE, |p| p.rules.d15_epoch = false),
        m("d16", "promise quorum rounded down", FILE, |p| p.rules.d16_promise_quorum = false),
        m("d17a", "age of grants to this session only", BOTH, |p| p.rules.d17_age_any_session = false),
        m("d17b", "never granted = infinitely old", BOTH, |p| p.rules.d17_age_at_most_uptime = false),
        m("d18", "no silence after a start", BOTH, |p| p.rules.d18_start_silence = false),
        m("d18+", "grants of young nodes count in a majority", BOTH, |p| p.rules.hushed_needs_all = false),
        m("d19", "move on hearsay, grants to sessions not welcomed", BOTH, |p| {
            p.rules.d19_move_on_challenge = false;
            p.rules.d19_only_welcomed = false;
        }),
        m("d19b", "grants to sessions not welcomed", BOTH, |p| p.rules.d19_only_welcomed = false),
        m("d19c", "grants in any epoch", BOTH, |p| p.rules.grants_end_with_epoch = false),
        m("d19d", "promises are not kept", BOTH, |p| p.rules.promises_kept = false),
        m("d20", "the epoch recorded in the lock is not read", FILE, |p| {
            p.rules.d20_epoch_from_record = false
        }),
        m("d20b", "without a record, the first epoch of a life does not leap", HELPER, |p| {
            p.rules.d20_leap = false
        }),
        m("d21", "a proof takes a lost lock again", FILE, |p| p.world.no_retake = false),
        with_lists(m("d22", "a new nodes list takes force without the old one", FILE, |p| {
            p.rules.d22_both = false
        })),
        with_lists(m("d22b", "the lock's record does not name the list before", FILE, |p| {
            p.rules.d22_change = false;
        })),
        m("d23", "waits count from the question, not from knowing", FILE, |p| p.rules.d23_from_known = false),
        m("d24", "own grants are not reported", SHORT, |p| p.rules.d24_own_grants = false),
        m("d25", "the wait does not count from the join", FILE, |p| p.rules.d25_from_join = false),
        m("d26", "leading has no end", BOTH, |p| p.rules.d26_lead_ends = false),
        accepted(
            m("d27", "leading on a lease of the last epoch", BOTH, |p| {
                p.rules.d27_proof_of_this_epoch = false
            }),
            "covered for a store: who begins an epoch has the lock by then and inherits at most T, which the next holder's 2 T (D4) \
             outlast; with `quorum` there is no such order, and the reference found it once in 1 500 000. Kept, it is free",
        ),
        accepted(
            m("d28", "who led last is believed of those that have just restarted", SHORT, |p| {
                p.rules.d28_old_remember = false;
            }),
            "covered since d31: the new recmaster saw the last one lead and has not lapsed since, so a majority was in that epoch until \
             T ago, and nobody led after it. Without d31 the play finds it within 400. Kept, it is free",
        ),
        m("d29", "the guard of the recmaster before is believed whatever session got grants", SHORT, |p| {
            p.rules.d29_one_session = false;
        }),
        m("d30", "a joined session that ended is the end of its node", BOTH, |p| {
            p.rules.d30_older_over = false
        }),
        m("d31", "a recmaster that led shortly is waited for as one that led alone", FILE, |p| {
            p.rules.d31_lone = false;
        }),
        accepted(
            m("d11d", "with quorum, the guard of any recmaster before is believed", SHORT, |p| {
                p.rules.guard_of_lone_leader = false;
            }),
            "d11c with another lock: the recmaster before must have led for less than T, die, forget it, and be given an address by the \
             one before that, all before that one's lead ends; argued in leases.md",
        ),
        m("helper", "no LockLossTime", HELPER, |p| p.rules.lock_loss_time = false),
        m("release", "claims end when the release is sent", BOTH, |p| p.world.release_answered = false),
        accepted(
            m("L1", "all grants are no contact", FILE, |p| p.rules.l1_all_granted = false),
            "costs lapses, not safety",
        ),
        accepted(
            m("L2", "ask peers only when the recmaster is silent", FILE, |p| p.rules.l2_by_time_left = false),
            "costs lapses, not safety",
        ),
        accepted(
            m("L3", "move on hearsay", BOTH, |p| p.rules.d19_move_on_challenge = false),
            "costs lapses, not safety",
        ),
        accepted(
            m("L4", "old beats are signs of life", BOTH, |p| p.rules.l4_numbered_beats = false),
            "costs time, not safety",
        ),
        in_story("L5", "a minority keeps the lock", |p| p.rules.l5_minority_lets_go = false, majority_wins),
        in_story("L5a", "who is heard counts as a follower", |p| p.rules.l5_answers = false, majority_wins),
        in_story("L5b", "the lock is let go for 5 T", |p| p.rules.l5_offer = false, last_man_standing),
        m("L5c", "an offered lock is one's own again whatever was recorded in it", FILE, |p| {
            p.rules.l5_same_record = false;
        }),
        accepted(
            m("L6", "promises outlive their epoch", BOTH, |p| p.rules.l6_promises_end = false),
            "costs lapses, not safety",
        ),
        accepted(
            m("L7", "wait from the promise, not from the last grant", BOTH, |p| p.rules.l7_ages = false),
            "costs time: 1.9 T instead of 1.1 T after a freeze",
        ),
    ]
}
