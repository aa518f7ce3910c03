//! The safety rules as switches, for the mutation check only.
//!
//! The simulation must find the break when a rule is left out. Rules that live in the machine's inner decisions cannot be
//! broken from outside, so they stand here; the others (D2, D9, D10, d15) are broken by the simulation's kernel, clock and network.
//! A daemon cannot reach these switches: [`super::Lease::new`] always takes [`Rules::full`], nothing reads them from a file, and
//! they do not serialize.

/// One switch for each rule of leases.md part 3 that the machine itself keeps; all on in every daemon.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are the ids and words of docs/leases.md")]
#[expect(clippy::struct_excessive_bools, reason = "switches")]
pub struct Rules {
    pub d1_margin: bool,
    pub d3_all_accounted: bool,
    pub d4_two_t: bool,
    pub d5_proof_after_wait: bool,
    pub d6_proof_age: bool,
    pub d6_cap: bool,
    pub d7_ack_only_leading: bool,
    pub d8_lapse_latches: bool,
    pub d11_session_on_commands: bool,
    pub d11_session_on_guard: bool,
    pub d12_challenge: bool,
    pub d13_ended_stays_ended: bool,
    pub d14_echo_round: bool,
    pub d15_numbers: bool,
    pub d15_epoch: bool,
    pub d16_promise_quorum: bool,
    pub d17_age_any_session: bool,
    pub d17_age_at_most_uptime: bool,
    pub d18_start_silence: bool,
    pub d19_move_on_challenge: bool,
    pub d19_only_welcomed: bool,
    pub d20_epoch_from_record: bool,
    pub d20_leap: bool,
    pub d22_list: bool,
    pub d23_from_known: bool,
    pub d24_own_grants: bool,
    pub d25_from_join: bool,
    pub d26_lead_ends: bool,
    pub d27_proof_of_this_epoch: bool,
    pub grants_end_with_epoch: bool,
    pub promises_kept: bool,
    pub guard_of_lone_leader: bool,
    pub hushed_needs_all: bool,
    pub lock_loss_time: bool,
    pub take_needs_lease: bool,
    pub l1_all_granted: bool,
    pub l2_by_time_left: bool,
    pub l4_numbered_beats: bool,
    pub l5_minority_lets_go: bool,
    pub l5_answers: bool,
    pub l5_offer: bool,
    pub l5_same_record: bool,
    pub l6_promises_end: bool,
    pub l7_ages: bool,
}

impl Rules {
    /// Every rule kept.
    #[must_use]
    pub fn full() -> Self {
        Self {
            d1_margin: true,
            d3_all_accounted: true,
            d4_two_t: true,
            d5_proof_after_wait: true,
            d6_proof_age: true,
            d6_cap: true,
            d7_ack_only_leading: true,
            d8_lapse_latches: true,
            d11_session_on_commands: true,
            d11_session_on_guard: true,
            d12_challenge: true,
            d13_ended_stays_ended: true,
            d14_echo_round: true,
            d15_numbers: true,
            d15_epoch: true,
            d16_promise_quorum: true,
            d17_age_any_session: true,
            d17_age_at_most_uptime: true,
            d18_start_silence: true,
            d19_move_on_challenge: true,
            d19_only_welcomed: true,
            d20_epoch_from_record: true,
            d20_leap: true,
            d22_list: true,
            d23_from_known: true,
            d24_own_grants: true,
            d25_from_join: true,
            d26_lead_ends: true,
            d27_proof_of_this_epoch: true,
            grants_end_with_epoch: true,
            promises_kept: true,
            guard_of_lone_leader: true,
            hushed_needs_all: true,
            lock_loss_time: true,
            take_needs_lease: true,
            l1_all_granted: true,
            l2_by_time_left: true,
            l4_numbered_beats: true,
            l5_minority_lets_go: true,
            l5_answers: true,
            l5_offer: true,
            l5_same_record: true,
            l6_promises_end: true,
            l7_ages: true,
        }
    }
}
