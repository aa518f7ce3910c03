//! The report of the LVS director.

use super::text;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use recoverd::view::lvs::{
    LvsCounters, LvsDest, LvsKernelService, LvsReport, LvsServer, LvsService, LvsState,
};

pub(super) fn report() -> impl Strategy<Value = LvsReport> {
    let state = prop_oneof![
        Just(LvsState::Off),
        Just(LvsState::Refused),
        Just(LvsState::Starting),
        text().prop_map(LvsState::NoKernel),
        Just(LvsState::On),
    ];
    (state, text(), vec(text(), 0..3), vec(service(), 0..3)).prop_map(|(state, file, lines, services)| {
        LvsReport { state, file, refused: lines.clone(), failures: lines, services, ..LvsReport::default() }
    })
}

fn service() -> impl Strategy<Value = LvsService> {
    let server = (text(), text(), any::<u32>(), vec((text(), text(), text()), 0..2)).prop_map(
        |(name, state, weight, checks)| LvsServer { name, state, weight, checks, ..LvsServer::default() },
    );
    (text(), any::<[bool; 2]>(), vec(server, 0..3), vec(kernel_service(), 0..3)).prop_map(
        |(name, [quorum, sorry], servers, kernel)| LvsService {
            name,
            quorum,
            sorry,
            servers,
            kernel,
            does_not_forward: sorry,
        },
    )
}

fn kernel_service() -> impl Strategy<Value = LvsKernelService> {
    let dest = (text(), any::<[u32; 3]>(), option::of(any::<u64>()), any::<bool>()).prop_map(
        |(dest, [weight, active, inactive], drain_s, black_hole)| LvsDest {
            dest,
            weight,
            active,
            inactive,
            drain_s,
            black_hole,
            ..LvsDest::default()
        },
    );
    (text(), text(), any::<u64>(), vec(dest, 0..3)).prop_map(|(service, place, connections, dests)| {
        let counters = LvsCounters { connections, ..LvsCounters::default() };
        LvsKernelService { service, place, counters, dests, ..LvsKernelService::default() }
    })
}
