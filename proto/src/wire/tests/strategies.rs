//! Any value of every type that travels.

use crate::wire::{Call, Hello};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use recoverd::alloc::{Algorithm, Reason, Vacancy};
use recoverd::command::{
    AnyCommand, AnyReply, Command, DaemonCommand, DaemonReply, PlanReply, Reply, WhyReply,
};
use recoverd::control::{Answer, Control, ControlKind, IfaceLink, NodeInfo, PublicIp, Unavailable};
use recoverd::explain::{Explanation, WhyNot};
use recoverd::model::{
    Epoch, EventOutcome, Mono, NodeFlags, Pnn, RunId, RunState, Session, Tunables, tunables,
};
use recoverd::msg::{NodeState, PeerMsg, RunRequest};
use recoverd::plan::{Move, MoveReason, Plan};
use recoverd::takeover::{FailedControl, NodeSummary, Phase, PhaseName, RunReport, RunResult, WhatIf};
use recoverd::view::{
    EventView, IfaceRow, IpRow, JournalRow, LeaseReport, LeaseView, NodeRow, ScriptInfo, ScriptRow,
    ScriptState, Seat, StatusView, UptimeView,
};
use std::net::IpAddr;
use std::time::Duration;

mod configuration;
mod lvs;

fn pnn() -> impl Strategy<Value = Pnn> {
    prop_oneof![0..8u32, any::<u32>()].prop_map(Pnn)
}

fn addr() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn text() -> impl Strategy<Value = String> {
    ".{0,20}"
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u64>(), pnn()).prop_map(|(number, pnn)| Epoch { number, pnn })
}

fn run_id() -> impl Strategy<Value = RunId> {
    (epoch(), any::<u64>()).prop_map(|(epoch, count)| RunId { epoch, count })
}

fn flags() -> impl Strategy<Value = NodeFlags> {
    (0..64u32).prop_map(NodeFlags)
}

fn runstate() -> impl Strategy<Value = RunState> {
    prop::sample::select(vec![
        RunState::Unknown,
        RunState::Init,
        RunState::Setup,
        RunState::FirstRecovery,
        RunState::Startup,
        RunState::Running,
        RunState::Shutdown,
    ])
}

fn some_tunables() -> impl Strategy<Value = Tunables> {
    vec((0..tunables::ALL.len(), any::<u32>()), 0..5).prop_map(|changes| {
        let mut t = Tunables::default();
        for (i, value) in changes {
            t.set(tunables::ALL[i].name, value).unwrap();
        }
        t
    })
}

fn owners() -> impl Strategy<Value = Vec<(IpAddr, Option<Pnn>)>> {
    vec((addr(), option::of(pnn())), 0..4)
}

fn unavailable() -> impl Strategy<Value = Unavailable> {
    prop_oneof![
        flags().prop_map(Unavailable::Flags),
        runstate().prop_map(Unavailable::RunState),
        vec(text(), 0..3).prop_map(Unavailable::NoLink),
        Just(Unavailable::Removed),
    ]
}

fn public_ip() -> impl Strategy<Value = PublicIp> {
    let iface = (text(), any::<bool>()).prop_map(|(name, up)| IfaceLink { name, up });
    (addr(), option::of(pnn()), any::<bool>(), option::of(unavailable()), vec(iface, 0..3)).prop_map(
        |(addr, owner, held, unavailable, ifaces)| PublicIp { addr, owner, held, unavailable, ifaces },
    )
}

fn node_info() -> impl Strategy<Value = NodeInfo> {
    (pnn(), flags(), runstate()).prop_map(|(pnn, flags, runstate)| NodeInfo { pnn, flags, runstate })
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        Just(Control::GetAllTunables),
        Just(Control::GetNodemap),
        any::<bool>().prop_map(|available_only| Control::GetPublicIps { available_only }),
        (run_id(), vec(node_info(), 0..4)).prop_map(|(run, nodes)| Control::StartIpreallocate { run, nodes }),
        (run_id(), owners()).prop_map(|(run, addrs)| Control::ReleaseIp { run, addrs }),
        (run_id(), vec(addr(), 0..4)).prop_map(|(run, addrs)| Control::TakeoverIp { run, addrs }),
        (run_id(), owners(), vec(node_info(), 0..4))
            .prop_map(|(run, owners, nodes)| Control::Ipreallocated { run, owners, nodes }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Ok),
        some_tunables().prop_map(Answer::Tunables),
        vec(node_info(), 0..4).prop_map(Answer::Nodemap),
        vec(public_ip(), 0..4).prop_map(Answer::PublicIps),
        text().prop_map(Answer::Failed),
    ]
}

fn node_state() -> impl Strategy<Value = NodeState> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let silent = proptest::collection::btree_set(pnn(), 0..3);
    (numbers, flags(), runstate(), epoch(), any::<[bool; 5]>(), silent).prop_map(
        |((seq, session, uptime_ms, availability), flags, runstate, epoch, bools, silent)| {
            let [leads, capable, partially, asks, answer_wanted] = bools;
            NodeState {
                seq,
                session: Session(session),
                flags,
                runstate,
                epoch,
                leads,
                leader_capable: capable,
                uptime_ms,
                partially_online: partially,
                availability,
                asks,
                answer_wanted,
                silent,
            }
        },
    )
}

pub(super) fn peer_msg() -> impl Strategy<Value = PeerMsg> {
    let request = (text(), vec(pnn(), 0..3), vec((addr(), pnn()), 0..3), option::of(node_state())).prop_map(
        |(cause, force_rebalance, moves, state)| RunRequest { cause, force_rebalance, moves, state },
    );
    let done = prop_oneof![Just(Ok(())), text().prop_map(Err)];
    let ran = prop_oneof![run_id().prop_map(Ok), text().prop_map(Err)];
    prop_oneof![
        node_state().prop_map(PeerMsg::State),
        (any::<u64>(), epoch(), option::of(any::<u64>()), control()).prop_map(
            |(req, epoch, session, control)| PeerMsg::Control {
                req,
                epoch,
                session: session.map(Session),
                control,
            },
        ),
        (any::<u64>(), answer()).prop_map(|(req, answer)| PeerMsg::Answer { req, answer }),
        (any::<u64>(), addr(), done).prop_map(|(req, addr, result)| PeerMsg::IpAnswer { req, addr, result }),
        (any::<u64>(), request).prop_map(|(req, request)| PeerMsg::RunRequest { req, request }),
        (any::<u64>(), ran).prop_map(|(req, result)| PeerMsg::RunAnswer { req, result }),
        (epoch(), any::<u32>(), text()).prop_map(|(epoch, seconds, reason)| PeerMsg::Ban {
            epoch,
            seconds,
            reason
        }),
        vec(configuration::connection_update(), 0..3).prop_map(PeerMsg::Connections),
    ]
}

pub(super) fn hello() -> impl Strategy<Value = Hello> {
    (pnn(), any::<u64>(), any::<u64>(), text()).prop_map(|(pnn, session, nodes_hash, version)| Hello {
        pnn,
        session: Session(session),
        nodes_hash,
        version,
    })
}

fn what_if() -> impl Strategy<Value = WhatIf> {
    let algorithm = prop::sample::select(vec![
        Algorithm::Deterministic,
        Algorithm::NonDeterministic,
        Algorithm::Lcp2,
        Algorithm::MinimalMove,
    ]);
    let nodes = || vec(pnn(), 0..3);
    (nodes(), nodes(), vec(addr(), 0..3), vec((text(), pnn()), 0..3), option::of(algorithm))
        .prop_map(|(down, up, add, without, algorithm)| WhatIf { down, up, add, without, algorithm })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        prop::sample::select(vec![
            Command::Status,
            Command::Ips,
            Command::PublicIps,
            Command::Ifaces,
            Command::ListVars,
            Command::Disable,
            Command::Enable,
            Command::Stop,
            Command::Continue,
            Command::Unban,
            Command::IpReallocate,
            Command::Shutdown,
        ]),
        (text(), any::<u32>()).prop_map(|(name, value)| Command::SetVar { name, value }),
        any::<u32>().prop_map(|seconds| Command::Ban { seconds }),
        (addr(), pnn()).prop_map(|(addr, to)| Command::MoveIp { addr, to }),
        what_if().prop_map(|what_if| Command::Plan { what_if }),
        addr().prop_map(|addr| Command::Why { addr }),
        configuration::public_address().prop_map(|public| Command::AddIp { public }),
        addr().prop_map(|addr| Command::DelIp { addr }),
        vec(configuration::public_address(), 0..4).prop_map(|list| Command::SetPublicAddresses { list }),
        (text(), any::<bool>()).prop_map(|(iface, up)| Command::SetIfaceLink { iface, up }),
        (addr(), text()).prop_map(|(addr, iface)| Command::GratArp { addr, iface }),
        any::<bool>().prop_map(|on| Command::SetLeaderRole { on }),
    ]
}

fn daemon_command() -> impl Strategy<Value = DaemonCommand> {
    prop_oneof![
        prop::sample::select(vec![
            DaemonCommand::Version,
            DaemonCommand::GetPid,
            DaemonCommand::Ping,
            DaemonCommand::Uptime,
            DaemonCommand::RunState,
            DaemonCommand::GetReclock,
            DaemonCommand::Lease,
            DaemonCommand::GetCapabilities,
            DaemonCommand::GetDebug,
            DaemonCommand::ScriptList,
            DaemonCommand::ReloadIps,
            DaemonCommand::NodesFile,
            DaemonCommand::ReloadNodes,
            DaemonCommand::Statistics,
            DaemonCommand::StatisticsReset,
            DaemonCommand::LvsServices,
            DaemonCommand::LvsReload,
        ]),
        text().prop_map(|level| DaemonCommand::SetDebug { level }),
        (text(), text(), any::<u32>()).prop_map(|(service, real, deadline_s)| DaemonCommand::LvsDrain {
            service,
            real,
            deadline_s
        }),
        (text(), text()).prop_map(|(service, real)| DaemonCommand::LvsUndrain { service, real }),
        text().prop_map(|event| DaemonCommand::EventStatus { event }),
        (any::<u32>(), text(), vec(text(), 0..4))
            .prop_map(|(timeout_s, event, args)| DaemonCommand::EventRun { timeout_s, event, args }),
        (text(), any::<bool>()).prop_map(|(name, on)| DaemonCommand::ScriptEnable { name, on }),
        any::<u32>().prop_map(|count| DaemonCommand::Timeline { count }),
        any::<u32>().prop_map(|count| DaemonCommand::Stats { count }),
        (addr(), option::of(any::<u16>())).prop_map(|(addr, port)| DaemonCommand::Tickles { addr, port }),
        vec(configuration::connection(), 0..4)
            .prop_map(|connections| DaemonCommand::AddTickles { connections }),
        vec(configuration::connection(), 0..4)
            .prop_map(|connections| DaemonCommand::DelTickles { connections }),
    ]
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let command =
        prop_oneof![command().prop_map(AnyCommand::Node), daemon_command().prop_map(AnyCommand::Daemon)];
    (option::of(pnn()), any::<u32>(), command).prop_map(|(pnn, ms, command)| Call {
        pnn,
        timeout: Duration::from_millis(ms.into()),
        command,
    })
}

fn node_row() -> impl Strategy<Value = NodeRow> {
    use recoverd::host::HostSeen::{Filtered, Mute, NoDaemon, Silent};
    let host = option::of(proptest::sample::select(vec![Filtered, NoDaemon, Mute, Silent]));
    (pnn(), addr(), flags(), any::<bool>(), any::<bool>(), host).prop_map(
        |(pnn, addr, flags, unknown, partially_online, host)| NodeRow {
            pnn,
            addr,
            flags,
            unknown,
            partially_online,
            host,
        },
    )
}

fn status() -> impl Strategy<Value = StatusView> {
    (pnn(), vec(node_row(), 0..4), epoch(), option::of(pnn()), any::<bool>(), runstate()).prop_map(
        |(this_node, nodes, epoch, leader, in_recovery, runstate)| StatusView {
            this_node,
            nodes,
            epoch,
            leader,
            in_recovery,
            runstate,
        },
    )
}

fn ip_row() -> impl Strategy<Value = IpRow> {
    let names = || vec(text(), 0..3);
    (addr(), any::<u8>(), option::of(pnn()), option::of(text()), names(), names(), any::<bool>()).prop_map(
        |(addr, bits, owner, active, available, configured, can_host)| IpRow {
            addr,
            prefix: bits % if addr.is_ipv4() { 33 } else { 129 },
            owner,
            active,
            available,
            configured,
            can_host,
        },
    )
}

fn move_reason() -> impl Strategy<Value = MoveReason> {
    prop_oneof![
        Just(MoveReason::Asked),
        Just(MoveReason::Allocated(Reason::Kept)),
        (pnn(), any::<u64>()).prop_map(|(n, cost)| MoveReason::Allocated(Reason::LeastAlike {
            vacancy: Vacancy::OwnerCannotHost(n),
            cost
        })),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let moved = (addr(), option::of(pnn()), option::of(pnn()), move_reason())
        .prop_map(|(addr, from, to, reason)| Move { addr, from, to, reason });
    let takeovers = prop::collection::btree_map(pnn(), vec(addr(), 0..3), 0..3);
    let releases = prop::collection::btree_map(pnn(), owners(), 0..3);
    (run_id(), releases, takeovers, vec(moved, 0..4), owners(), vec(addr(), 0..3)).prop_map(
        |(id, releases, takeovers, moves, owners, unallocatable)| Plan {
            id,
            releases,
            takeovers,
            moves,
            owners,
            unallocatable,
        },
    )
}

fn report() -> impl Strategy<Value = RunReport> {
    let result = prop_oneof![
        Just(RunResult::Ok),
        Just(RunResult::Timeout),
        text().prop_map(RunResult::Error),
        text().prop_map(RunResult::Aborted),
    ];
    let failed = (pnn(), option::of(addr()), any::<i32>(), text(), any::<bool>()).prop_map(
        |(node, addr, status, message, attributed)| FailedControl {
            control: ControlKind::ReleaseIp,
            node,
            addr,
            status,
            message,
            attributed,
        },
    );
    let summary = (pnn(), flags(), runstate(), any::<[u32; 4]>()).prop_map(
        |(pnn, flags, runstate, [known, available, claimed, held])| NodeSummary {
            pnn,
            flags,
            runstate,
            known,
            available,
            claimed,
            held,
        },
    );
    let phase = any::<[u64; 2]>().prop_map(|[start, end]| Phase {
        name: PhaseName::Observe,
        start: Mono(start),
        end: Mono(end),
    });
    let balance = || prop::collection::btree_map(pnn(), any::<u32>(), 0..3);
    (
        (run_id(), vec(text(), 0..3), any::<[bool; 3]>(), result, balance(), option::of(pnn())),
        (vec(failed, 0..3), vec(addr(), 0..3), option::of(plan()), owners(), vec(phase, 0..3)),
        (balance(), balance(), vec(summary, 0..3)),
    )
        .prop_map(|((id, causes, [dry_run, failover_disabled, shortcut], result, credits, to), b, c)| {
            RunReport {
                id,
                causes,
                dry_run,
                failover_disabled,
                result,
                credits,
                ban_credits_to: to,
                failed_controls: b.0,
                no_host_shortcut: shortcut,
                unallocatable: b.1,
                plan: b.2,
                owners: b.3,
                phases: b.4,
                balance_before: c.0,
                balance_after: c.1,
                nodes: c.2,
            }
        })
}

fn explanation() -> impl Strategy<Value = Explanation> {
    let why_not = prop_oneof![
        Just(WhyNot::Disconnected),
        unavailable().prop_map(WhyNot::Unavailable),
        pnn().prop_map(WhyNot::MovedByHand),
        any::<u32>().prop_map(|count| WhyNot::OnlyEmptyNodesGain { count }),
    ];
    (addr(), option::of(pnn()), option::of(pnn()), option::of(move_reason()), vec((pnn(), why_not), 0..3))
        .prop_map(|(addr, owner, before, why, others)| Explanation { addr, owner, before, why, others })
}

fn reply() -> impl Strategy<Value = Reply> {
    let iface = (text(), any::<bool>(), any::<u32>()).prop_map(|(name, up, references)| IfaceRow {
        name,
        up,
        references,
    });
    prop_oneof![
        Just(Reply::Ok),
        text().prop_map(Reply::Note),
        status().prop_map(Reply::Status),
        vec(ip_row(), 0..4).prop_map(Reply::Ips),
        vec(public_ip(), 0..4).prop_map(Reply::PublicIps),
        vec(iface, 0..4).prop_map(Reply::Ifaces),
        some_tunables().prop_map(Reply::Tunables),
        report().prop_map(|report| Reply::Plan(Box::new(PlanReply { report }))),
        (explanation(), option::of(run_id()))
            .prop_map(|(explanation, decided_by)| Reply::Why(Box::new(WhyReply { explanation, decided_by }))),
        option::of(pnn()).prop_map(Reply::AskLeader),
        text().prop_map(Reply::Error),
    ]
}

fn script_row() -> impl Strategy<Value = ScriptRow> {
    let state = prop_oneof![
        Just(ScriptState::Ok),
        any::<i32>().prop_map(|code| ScriptState::Error { code }),
        Just(ScriptState::TimedOut),
        Just(ScriptState::Disabled),
        text().prop_map(|reason| ScriptState::CannotRun { reason }),
    ];
    (text(), state, any::<u64>(), any::<i64>(), text()).prop_map(
        |(name, state, duration_us, started_us, output)| ScriptRow {
            name,
            state,
            duration_us,
            started_us,
            output,
        },
    )
}

fn daemon_reply() -> impl Strategy<Value = DaemonReply> {
    let uptime = (any::<i64>(), any::<i64>(), option::of(any::<i64>()), any::<u64>()).prop_map(
        |(now_us, started_us, last_recovery_us, last_recovery_duration_us)| UptimeView {
            now_us,
            started_us,
            last_recovery_us,
            last_recovery_duration_us,
        },
    );
    let event = (text(), vec(script_row(), 0..4), any::<i32>())
        .prop_map(|(event, scripts, summary)| EventView { event, scripts, summary });
    let outcome = prop_oneof![
        Just(EventOutcome::Ok),
        (text(), text()).prop_map(|(script, message)| EventOutcome::Failed { script, message }),
        text().prop_map(|script| EventOutcome::TimedOut { script }),
    ];
    let script = (text(), any::<[bool; 3]>()).prop_map(|(name, [enabled, builtin, shipped])| ScriptInfo {
        name,
        enabled,
        builtin,
        shipped,
    });
    let row = (any::<u64>(), any::<i64>(), text(), option::of(run_id()), text(), text())
        .prop_map(|(id, wall_us, kind, run, text, data)| JournalRow { id, wall_us, kind, run, text, data });
    prop_oneof![
        Just(DaemonReply::Ok),
        text().prop_map(DaemonReply::Version),
        any::<u32>().prop_map(DaemonReply::Pid),
        any::<u32>().prop_map(|clients| DaemonReply::Pong { clients }),
        uptime.prop_map(DaemonReply::Uptime),
        runstate().prop_map(DaemonReply::RunState),
        option::of(lease_report()).prop_map(|r| DaemonReply::Lease(r.map(Box::new))),
        option::of(text()).prop_map(DaemonReply::Reclock),
        any::<[bool; 2]>().prop_map(|[leader, lmaster]| DaemonReply::Capabilities { leader, lmaster }),
        text().prop_map(DaemonReply::Debug),
        option::of(event).prop_map(DaemonReply::Event),
        outcome.prop_map(DaemonReply::EventRun),
        vec(script, 0..4).prop_map(DaemonReply::Scripts),
        vec(row, 0..4).prop_map(DaemonReply::Timeline),
        vec(configuration::node_line(), 0..4).prop_map(DaemonReply::NodesFile),
        vec(configuration::connection(), 0..4).prop_map(DaemonReply::Connections),
        vec(configuration::statistics(), 0..3).prop_map(DaemonReply::Statistics),
        lvs::report().prop_map(|r| DaemonReply::Lvs(Box::new(r))),
        text().prop_map(DaemonReply::Note),
        text().prop_map(DaemonReply::Error),
    ]
}

fn lease_report() -> impl Strategy<Value = LeaseReport> {
    let seat = prop_oneof![
        Just(Seat::Unheard),
        any::<u64>().prop_map(|s| Seat::Joined(Session(s))),
        text().prop_map(Seat::Out),
    ];
    let seats = vec((any::<u32>().prop_map(Pnn), seat), 0..4);
    let session = option::of(any::<u64>().prop_map(Session));
    let view = (epoch(), any::<bool>(), session, any::<u64>(), seats).prop_map(
        |(epoch, leading, session, lapses, seats)| {
            let extended = lapses % 2 == 0;
            LeaseView { epoch, leading, session, extended, lapses, seats }
        },
    );
    let thread = (text(), any::<u64>());
    (any::<u64>(), option::of(any::<u64>()), text(), text(), thread, view).prop_map(
        |(lease_time_us, left_us, rule, gate, (scheduling, late_max_us), view)| LeaseReport {
            lease_time_us,
            left_us,
            rule,
            gate,
            scheduling,
            late_max_us,
            view,
        },
    )
}

pub(super) fn any_reply() -> impl Strategy<Value = AnyReply> {
    prop_oneof![reply().prop_map(AnyReply::Node), daemon_reply().prop_map(AnyReply::Daemon)]
}
