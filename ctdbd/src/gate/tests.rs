//! The gate against the kernel, each test in a network namespace of its own.

mod wire;

use super::tables::{VARIANTS, Variant};
use super::*;
use crate::testns::{in_own_network, report, set_link};
use nfnl::Batch;
use ruleset::{ARM_MS, LO};
use std::sync::atomic::AtomicUsize;
use std::thread;
use wire::{ALL, PUBLIC4, PUBLIC6, Wire};

const PATIENCE: Duration = Duration::from_secs(10);
/// The longest jiffy there is, at HZ=100, and what the test itself takes to look at its clock.
const JIFFY: Duration = Duration::from_millis(11);

fn config(lease_ms: u64) -> GateConfig {
    let public = PUBLIC4.map(IpAddr::from).into_iter().chain(PUBLIC6.map(IpAddr::from)).collect();
    let interfaces = vec!["pub".to_owned(), "absent".to_owned()];
    GateConfig { public, quiet: vec![], interfaces, lease_time: Duration::from_millis(lease_ms) }
}

fn install(config: &GateConfig) -> Gate {
    Gate::install(config, || ()).unwrap()
}

/// A lease that ends that long after now.
fn lease(ms: u64) -> impl Fn() -> Duration {
    let end = Instant::now() + Duration::from_millis(ms);
    move || end.saturating_duration_since(Instant::now())
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn first() -> [IpAddr; 2] {
    [PUBLIC4[0].into(), PUBLIC6[0].into()]
}

fn tables_there() -> usize {
    let socket = NfSocket::open().unwrap();
    let there = |family: &&Family| socket.exists(Op::GetTable, **family, |a| a.text(1, TABLE)).unwrap();
    [Family::Inet, Family::Arp, Family::Netdev].iter().filter(there).count()
}

/// What `nft flush ruleset` sends: a deletion of all tables of a family.
fn flush() -> Result<(), nfnl::Refusal> {
    let mut batch = Batch::new();
    for family in [Family::Inet, Family::Arp, Family::Netdev] {
        batch.add(Op::DelTable, family, |_| ());
    }
    NfSocket::open().unwrap().commit(&batch.finish())
}

fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::yield_now();
    }
    start.elapsed()
}

#[test]
fn only_held_addresses_pass_and_only_while_the_lease_lives() {
    in_own_network("gate::tests::only_held_addresses_pass_and_only_while_the_lease_lives", async || {
        let mut wire = Wire::up().await;
        for stimulus in ALL {
            assert!(wire.speaks(stimulus, 0), "without a gate {stimulus:?} makes the node speak");
        }
        let gate = install(&config(60_000));
        assert!(gate.covers_packet_sockets(), "this test needs Linux 5.16");
        assert_eq!(gate.state(), GateState::Shut);
        let held = |wire: &mut Wire, which| -> Vec<_> {
            ALL.into_iter().filter(|stimulus| wire.speaks(*stimulus, which)).collect()
        };
        gate.hold(&first(), &[]).unwrap();
        assert_eq!(held(&mut wire, 0), [], "shut at first");
        assert_eq!(gate.open(&lease(60_000)), Renewal::Renewed(ms(57_000)));
        assert!(matches!(gate.state(), GateState::Open(_)));
        assert_eq!(held(&mut wire, 0), ALL, "held and open");
        assert_eq!(held(&mut wire, 1), [], "not held, although open");
        gate.hold(&[PUBLIC4[1].into(), PUBLIC6[1].into()], &first()).unwrap();
        assert_eq!(held(&mut wire, 0), [], "no longer held");
        assert_eq!(held(&mut wire, 1), ALL, "held since then");
        assert!(gate.close());
        assert_eq!(gate.state(), GateState::Shut);
        assert_eq!(held(&mut wire, 1), [], "closed");
        // `lo` is nobody's business: a local client reaches a public address with the gate shut.
        let server = std::net::UdpSocket::bind((PUBLIC4[0], 0)).unwrap();
        let client = std::net::UdpSocket::bind((PUBLIC4[1], 0)).unwrap();
        client.send_to(b"x", server.local_addr().unwrap()).unwrap();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1);
        gate.uninstall().unwrap();
        assert_eq!(tables_there(), 0, "nothing is left");
        assert_eq!(held(&mut wire, 0), ALL, "as without a gate");
    });
}

#[test]
fn the_gate_shuts_by_itself_and_never_late() {
    in_own_network("gate::tests::the_gate_shuts_by_itself_and_never_late", async || {
        let mut wire = Wire::up().await;
        for lease_ms in [100, 200, 1000, 5000] {
            let gate = install(&config(lease_ms));
            gate.hold(&first(), &[]).unwrap();
            let left = if lease_ms == 5000 { 1100 } else { lease_ms };
            let begin = Instant::now();
            let Renewal::Renewed(open_for) = gate.open(&lease(left)) else { panic!("no lease") };
            let sent = Instant::now();
            assert!(
                open_for <= ms(left) && open_for > ms(left) - ms(lease_ms) / 10,
                "{open_for:?} of {left}"
            );
            let (mut last, mut asked) = (begin, Instant::now());
            while asked < sent + open_for + ms(50) {
                if wire.echo(PUBLIC4[0]) {
                    last = asked;
                }
                asked = Instant::now();
            }
            let [early, late] = [begin, sent].map(|t| (last - t).as_secs_f64() - open_for.as_secs_f64());
            report(&format!(
                "measured: LeaseTime {lease_ms} ms, open for {} ms: last answered echo {:.1} ms against the nominal end",
                open_for.as_millis(),
                early * 1000.0
            ));
            assert!(late <= JIFFY.as_secs_f64(), "answered {late} s after the end of the lease");
            assert!(last > begin, "nothing was answered");
            gate.uninstall().unwrap();
        }
    });
}

#[test]
fn a_late_tick_neither_reopens_nor_stretches() {
    in_own_network("gate::tests::a_late_tick_neither_reopens_nor_stretches", async || {
        let mut wire = Wire::up().await;
        let gate = install(&config(2000));
        gate.hold(&first(), &[]).unwrap();
        assert_eq!(gate.renew(&lease(2000)), Renewal::NoLease, "a shut gate is not renewed");
        assert!(!wire.echo(PUBLIC4[0]));

        // Frozen between the reading of the clock and the tick, which the kernel then finds too old.
        assert!(matches!(gate.open(&lease(400)), Renewal::Renewed(_)));
        assert!(gate.ticker.send(Mark::Arm).unwrap());
        assert!(gate.ticker.send(Mark::Keep(1)).unwrap(), "in time");
        thread::sleep(ms(ARM_MS) + 2 * JIFFY);
        for late in [Mark::Keep(STEPS), Mark::Open] {
            assert!(!gate.ticker.send(late).unwrap(), "{late:?} came late and was taken");
        }
        gate.close();
        assert!(gate.ticker.send(Mark::Arm).unwrap());
        assert!(!gate.ticker.send(Mark::Keep(STEPS)).unwrap(), "armed, but there is no lease");

        // Frozen once: repeated with what is left by then.
        let (end, calls) = (Instant::now() + ms(1900), AtomicUsize::new(0));
        assert!(matches!(gate.open(&lease(1900)), Renewal::Renewed(_)));
        let frozen_once = || {
            let left = end.saturating_duration_since(Instant::now());
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                thread::sleep(ms(500));
            }
            left
        };
        let renewed = gate.renew(&frozen_once);
        assert!(matches!(renewed, Renewal::Renewed(d) if d <= ms(1400)), "{renewed:?}");

        // Nothing left when the second clock is read: closed.
        let calls = AtomicUsize::new(0);
        let gone = || if calls.fetch_add(1, Ordering::Relaxed) == 0 { ms(1900) } else { Duration::ZERO };
        assert!(wire.echo(PUBLIC4[0]));
        assert_eq!(gate.renew(&gone), Renewal::NoLease);
        assert!(!wire.echo(PUBLIC4[0]), "a tick that took too long leaves the gate open");
        calls.store(0, Ordering::Relaxed);
        assert_eq!(gate.open(&gone), Renewal::TooLate);
        assert!(!wire.echo(PUBLIC4[0]), "an opening that took too long leaves the gate open");
        assert_eq!(gate.open(&|| ms(99)), Renewal::TooLate, "less than a step");
        gate.uninstall().unwrap();
    });
}

#[test]
fn a_table_that_lost_its_lease_is_opened_again() {
    in_own_network("gate::tests::a_table_that_lost_its_lease_is_opened_again", async || {
        let mut wire = Wire::up().await;
        let unowned = [Variant { owned: false, egress: true }];
        let gate = Gate::install_as(&config(60_000), &unowned, Box::new(|| ())).unwrap();
        gate.hold(&first(), &[]).unwrap();
        assert!(matches!(gate.open(&lease(60_000)), Renewal::Renewed(_)));
        drop(lock(&gate.watch).take());
        let mut batch = Batch::new();
        batch.add(Op::DelElements, Family::Arp, |a| {
            a.text(1, TABLE);
            a.text(2, "lease");
            a.nest(3, |list| expr::put_element(list, &[0; 4], None));
        });
        NfSocket::open().unwrap().commit(&batch.finish()).unwrap();
        for _ in 0..MISSES {
            assert_eq!(gate.renew(&lease(60_000)), Renewal::NoLease, "open for IP, shut for ARP");
        }
        assert!(!wire.speaks(wire::Stimulus::ArpBroadcast, 0));
        assert!(gate.state().to_string().contains("nftables table arp"), "{}", gate.state());
        assert!(matches!(gate.open(&lease(60_000)), Renewal::Renewed(_)));
        until("ARP is open", || wire.speaks(wire::Stimulus::ArpBroadcast, 0));
        assert!(matches!(gate.renew(&lease(60_000)), Renewal::Renewed(_)));
        assert!(matches!(gate.state(), GateState::Open(_)), "{}", gate.state());
        gate.uninstall().unwrap();
    });
}

#[test]
fn tables_that_others_flush_come_back_shut() {
    in_own_network("gate::tests::tables_that_others_flush_come_back_shut", async || {
        let mut wire = Wire::up().await;
        let (repaired, woken) = std::sync::mpsc::channel();
        let unowned = [Variant { owned: false, egress: true }];
        let wake = Box::new(move || repaired.send(Instant::now()).unwrap_or(()));
        let gate = Gate::install_as(&config(60_000), &unowned, wake).unwrap();
        gate.hold(&first(), &[]).unwrap();
        for round in 1..=5 {
            assert!(matches!(gate.open(&lease(60_000)), Renewal::Renewed(_)));
            assert!(wire.echo(PUBLIC4[0]), "open in round {round}");
            let flushed = Instant::now();
            flush().unwrap();
            let back = woken.recv_timeout(PATIENCE).unwrap();
            report(&format!("measured: flushed tables stood again after {:?}", back - flushed));
            assert!(!wire.echo(PUBLIC4[0]), "put back shut");
            assert_eq!((gate.state(), tables_there()), (GateState::Shut, 3));
            assert_eq!(gate.renew(&lease(60_000)), Renewal::NoLease);
            assert_eq!(gate.repairs(), round);
        }
        // One table alone, with the lease alive in the others.
        assert!(matches!(gate.open(&lease(60_000)), Renewal::Renewed(_)));
        let mut batch = Batch::new();
        batch.add(Op::DelTable, Family::Arp, |a| a.text(1, TABLE));
        NfSocket::open().unwrap().commit(&batch.finish()).unwrap();
        woken.recv_timeout(PATIENCE).unwrap();
        assert!(!wire.speaks(wire::Stimulus::ArpBroadcast, 0), "put back shut");
        assert!(!wire.echo(PUBLIC4[0]), "put back shut, all of them");
        assert_eq!(gate.held(), first().into());
        assert!(matches!(gate.open(&lease(60_000)), Renewal::Renewed(_)));
        assert!(wire.echo(PUBLIC4[0]), "what was held is held again");
        gate.uninstall().unwrap();
        assert_eq!(tables_there(), 0, "an uninstalled gate is not put back");
    });
}

#[test]
fn owned_tables_survive_a_flush_and_their_owner() {
    in_own_network("gate::tests::owned_tables_survive_a_flush_and_their_owner", async || {
        let mut wire = Wire::up().await;
        let gate = install(&config(1000));
        if !lock(&gate.shared.tables).ruleset().owned {
            report("skipped: owned_tables_survive_a_flush_and_their_owner: needs Linux 6.9");
            return;
        }
        gate.hold(&first(), &[]).unwrap();
        assert!(matches!(gate.open(&lease(1000)), Renewal::Renewed(_)));
        let _refused_or_not = flush();
        assert_eq!(tables_there(), 3, "others cannot remove them");
        assert!(matches!(gate.renew(&lease(1000)), Renewal::Renewed(_)), "a flush changes nothing");
        assert_eq!(gate.repairs(), 0);
        let second = Gate::install(&config(1000), || ()).err().map(|e| e.to_string());
        assert!(second.as_ref().is_some_and(|e| e.contains("another process")), "{second:?}");

        // The guard's means: whoever knows the marks can close.
        let other = Ticker::new(gate.mark_base()).unwrap();
        assert!(wire.echo(PUBLIC4[0]) && other.close().unwrap());
        assert!(!wire.echo(PUBLIC4[0]), "closed by another's tick");

        assert!(matches!(gate.open(&lease(1000)), Renewal::Renewed(_)));
        drop(gate);
        assert!(wire.echo(PUBLIC4[0]), "the lease outlives its owner");
        until("the lease runs out", || !wire.echo(PUBLIC4[0]));
        assert_eq!(tables_there(), 3, "the tables outlive their owner");
        let next = install(&config(500));
        assert!(!wire.echo(PUBLIC4[0]), "shut for the next daemon too");
        assert_eq!(next.held(), BTreeSet::new());
        next.uninstall().unwrap();
        assert_eq!(tables_there(), 0);
    });
}

#[test]
fn a_renewal_costs_the_same_with_many_addresses() {
    in_own_network("gate::tests::a_renewal_costs_the_same_with_many_addresses", async || {
        const BEATS: u32 = 2000;
        set_link("lo", true).await;
        for count in [1_u32, 2000] {
            let four = (0..count).map(|n| IpAddr::from(std::net::Ipv4Addr::from(0x0a01_0000 + n)));
            let six =
                (0..count).map(|n| IpAddr::from(std::net::Ipv6Addr::from((0xfd01 << 112) + u128::from(n))));
            let public: Vec<IpAddr> = four.chain(six).collect();
            let config = GateConfig {
                public: public.clone(),
                quiet: vec![],
                interfaces: vec![],
                lease_time: ms(1000),
            };
            let start = Instant::now();
            let gate = install(&config);
            let installed = start.elapsed();
            let start = Instant::now();
            gate.hold(&public, &[]).unwrap();
            let held = start.elapsed();
            assert!(matches!(gate.open(&lease(1000)), Renewal::Renewed(_)));
            let mut costs: Vec<Duration> = (0..BEATS)
                .map(|_| {
                    let start = Instant::now();
                    let renewed = gate.renew(&lease(1000));
                    assert!(
                        matches!(renewed, Renewal::Renewed(_)),
                        "{renewed:?} after {:?}",
                        start.elapsed()
                    );
                    start.elapsed()
                })
                .collect();
            costs.sort();
            let start = Instant::now();
            lock(&gate.shared.tables).restore().unwrap();
            report(&format!(
                "measured: {count} + {count} addresses: install {installed:?}, hold all {held:?}, put back {:?} ({} bytes), \
                 renewal median {:?}, 99 % {:?}",
                start.elapsed(),
                lock(&gate.shared.tables).ruleset().install().len(),
                costs[costs.len() / 2],
                costs[costs.len() * 99 / 100],
            ));
            gate.hold(&[], &public).unwrap();
            assert_eq!(gate.held().len(), 0);
            gate.uninstall().unwrap();
        }
    });
}

#[test]
fn beats_go_on_and_on() {
    in_own_network("gate::tests::beats_go_on_and_on", async || {
        let mut wire = Wire::up().await;
        let gate = install(&config(1000));
        gate.hold(&first(), &[]).unwrap();
        assert!(matches!(gate.open(&lease(1000)), Renewal::Renewed(_)));
        // Each pause lets the arming of the beat before run out, which leaves something in the kernel for a while.
        for beat in 1..=50 {
            thread::sleep(2 * ms(ARM_MS));
            let renewed = gate.renew(&lease(1000));
            assert!(matches!(renewed, Renewal::Renewed(_)), "beat {beat}: {renewed:?}");
            assert!(wire.echo(PUBLIC4[0]) && wire.speaks(wire::Stimulus::ArpBroadcast, 0), "beat {beat}");
        }
        gate.uninstall().unwrap();
    });
}

#[test]
fn a_new_configuration_keeps_what_is_held() {
    in_own_network("gate::tests::a_new_configuration_keeps_what_is_held", async || {
        let mut wire = Wire::up().await;
        let only = |which: usize| GateConfig { public: vec![PUBLIC4[which].into()], ..config(1000) };
        let gate = install(&only(0));
        assert!(wire.echo(PUBLIC4[1]), "not public: none of the gate's business");
        gate.hold(&[PUBLIC4[0].into()], &[]).unwrap();
        gate.reconfigure(&config(5000)).unwrap();
        assert!(!wire.echo(PUBLIC4[1]), "public now");
        assert_eq!(gate.open(&lease(5000)), Renewal::Renewed(ms(4750)));
        assert!(wire.echo(PUBLIC4[0]), "held as before");
        let wrong = GateConfig { lease_time: ms(99), ..config(0) };
        assert!(gate.reconfigure(&wrong).unwrap_err().to_string().contains("LeaseTime"));
        assert!(wire.echo(PUBLIC4[0]), "a refused configuration changes nothing");
        let other = GateConfig { public: vec![PUBLIC4[1].into()], ..config(5000) };
        gate.reconfigure(&other).unwrap();
        assert!(matches!(gate.state(), GateState::Open(_)), "other addresses do not shut it");
        assert!(wire.echo(PUBLIC4[0]), "held as before");
        assert!(gate.close());
        assert!(!wire.echo(PUBLIC4[0]), "no longer configured, but guarded as long as it is held");
        gate.hold(&[], &[PUBLIC4[0].into()]).unwrap();
        assert!(wire.echo(PUBLIC4[0]), "none of the gate's business any more");
        assert!(!wire.echo(PUBLIC4[1]), "public");
        gate.reconfigure(&only(0)).unwrap();
        assert!(
            !wire.echo(PUBLIC4[0]) && wire.echo(PUBLIC4[1]),
            "the other way round, with another lease time"
        );
        gate.uninstall().unwrap();
    });
}

/// The address of an LVS group: every node has it and gets packets for it; one is asked for it by ARP.
#[test]
fn of_a_quiet_address_only_arp_is_held_back() {
    in_own_network("gate::tests::of_a_quiet_address_only_arp_is_held_back", async || {
        let mut wire = Wire::up().await;
        let quiet = PUBLIC4[0];
        let gate = install(&GateConfig { public: vec![], quiet: vec![quiet.into()], ..config(60_000) });
        let arp = [
            wire::Stimulus::ArpBroadcast,
            wire::Stimulus::ArpUnicast,
            wire::Stimulus::ArpProbe,
            wire::Stimulus::GratuitousArp,
        ];
        let asked = |wire: &mut Wire| arp.into_iter().filter(|s| wire.speaks(*s, 0)).count();
        assert_eq!(gate.open(&lease(60_000)), Renewal::Renewed(ms(57_000)));
        assert_eq!((asked(&mut wire), wire.echo(quiet)), (0, true), "others lead");
        gate.hold(&[quiet.into()], &[]).unwrap();
        assert_eq!((asked(&mut wire), wire.echo(quiet)), (arp.len(), true), "this node leads");
        assert!(gate.close());
        assert_eq!(asked(&mut wire), 0, "without a lease");
        gate.hold(&[], &[quiet.into()]).unwrap();
        assert_eq!((asked(&mut wire), wire.echo(quiet)), (0, true), "no longer the leader, and still quiet");
        gate.reconfigure(&GateConfig { public: vec![], quiet: vec![], ..config(60_000) }).unwrap();
        assert_eq!(asked(&mut wire), arp.len(), "none of the gate's business");
        gate.uninstall().unwrap();
    });
}

#[test]
fn an_interface_that_comes_later_is_guarded_too() {
    in_own_network("gate::tests::an_interface_that_comes_later_is_guarded_too", async || {
        set_link("lo", true).await;
        let gate = install(&config(60_000));
        assert!(gate.covers_packet_sockets(), "this test needs Linux 5.16");
        let mut wire = Wire::up().await;
        assert!(wire.speaks(wire::Stimulus::PacketAdvertisement, 0), "the gate does not know `pub`");
        gate.reconfigure(&config(60_000)).unwrap();
        assert!(!wire.speaks(wire::Stimulus::PacketAdvertisement, 0), "it does now");
        gate.open(&lease(60_000));
        gate.reconfigure(&config(60_000)).unwrap();
        assert!(matches!(gate.state(), GateState::Open(_)), "nothing has changed");
        gate.uninstall().unwrap();
    });
}

#[test]
fn without_lo_it_says_that_there_is_no_gate() {
    in_own_network("gate::tests::without_lo_it_says_that_there_is_no_gate", async || {
        let why = Gate::install(&config(1000), || ()).err().expect("lo is down");
        let text = GateState::from(&why).to_string();
        assert!(text.starts_with("degraded: no gate: ") && text.contains("ip link set lo up"), "{text}");
        assert_eq!(tables_there(), 0, "nothing is left behind");
        set_link("lo", true).await;
        let gate = install(&config(1000));
        assert!(matches!(gate.open(&lease(1000)), Renewal::Renewed(_)));
        set_link("lo", false).await;
        assert_eq!(gate.renew(&lease(1000)), Renewal::TablesGone);
        gate.uninstall().unwrap();
    });
}

#[test]
fn a_filter_that_swallows_ticks_is_no_gate() {
    in_own_network("gate::tests::a_filter_that_swallows_ticks_is_no_gate", async || {
        set_link("lo", true).await;
        let mut batch = Batch::new();
        batch.add(Op::NewTable, Family::Arp, |a| a.text(1, "swallow"));
        batch.add(Op::NewChain, Family::Arp, |a| {
            a.text(1, "swallow");
            a.text(3, "in");
            a.nest(4, |hook| {
                hook.be32(1, 0);
                hook.put(2, &(-1000_i32).to_be_bytes());
            });
            // Policy: drop.
            a.be32(5, 0);
            a.text(7, "filter");
        });
        NfSocket::open().unwrap().commit(&batch.finish()).unwrap();
        let why = Gate::install(&config(1000), || ()).err().map(|e| e.to_string());
        assert!(why.as_ref().is_some_and(|e| e.contains("nftables table arp")), "{why:?}");
        assert_eq!(tables_there(), 0, "nothing is left behind");
    });
}

#[test]
fn steps_round_down() {
    for (lease_ms, left_ms, expected) in [
        (1000, 999, 950),
        (1000, 50, 50),
        (1000, 49, 0),
        (5000, 4999, 4750),
        (200, 201, 200),
        (150, 149, 142),
    ] {
        let lease_time = ms(lease_ms);
        let n = (1..=STEPS).rev().find(|n| ruleset::steps(lease_time, *n) <= ms(left_ms)).unwrap_or(0);
        assert_eq!(ruleset::steps(lease_time, n), ms(expected), "{left_ms} of {lease_ms}");
    }
    assert_eq!(LO, 1);
    assert_eq!(VARIANTS.len(), 4);
}
