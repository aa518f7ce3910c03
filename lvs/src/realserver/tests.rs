use super::plan::{Plan, down, up};
use super::store::{Store, peek};
use super::*;
use proptest::prelude::*;

const VIP: &str = "192.0.2.1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host whose settings are these, in the order of [`SETTINGS`].
fn host(settings: [u32; 4]) -> Seen {
    let settings =
        SETTINGS.iter().zip(settings).map(|((name, _), value)| ((*name).to_owned(), value)).collect();
    Seen { addresses: vec![("eth0".to_owned(), ip("192.0.2.77"))], settings }
}

/// Performs steps on what is seen.
fn perform(seen: &mut Seen, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Set { name, value } => {
                seen.settings.insert(name.clone(), *value);
            }
            Step::Add(addr) => seen.addresses.push((LOOPBACK.to_owned(), *addr)),
            Step::Remove(addr) => seen.addresses.retain(|(iface, a)| iface != LOOPBACK || a != addr),
        }
    }
}

fn put_up(state: &mut State, seen: &mut Seen, vips: &[IpAddr]) -> Plan {
    let plan = up(state, seen, vips).unwrap();
    *state = plan.state.clone();
    perform(seen, &plan.steps);
    plan
}

fn take_down(state: &mut State, seen: &mut Seen, vips: &[IpAddr]) -> Plan {
    let plan = down(state, seen, vips);
    *state = plan.state.clone();
    perform(seen, &plan.steps);
    plan
}

fn quiet(seen: &Seen) -> bool {
    SETTINGS.iter().all(|(name, wanted)| seen.settings[*name] >= *wanted)
}

#[test]
fn r2_settings_come_before_the_address_and_go_after_it() {
    let (mut state, mut seen) = (State::default(), host([0; 4]));
    let text = |plan: &Plan| plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>();
    let plan = put_up(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!(
        text(&plan),
        [
            "net.ipv4.conf.all.arp_ignore = 1",
            "net.ipv4.conf.all.arp_announce = 2",
            "net.ipv4.conf.lo.arp_ignore = 1",
            "net.ipv4.conf.lo.arp_announce = 2",
            "added 192.0.2.1 to lo"
        ]
    );
    let plan = take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!(text(&plan)[0], "took 192.0.2.1 off lo");
    assert_eq!(seen, host([0; 4]));
    assert_eq!(state, State::default());
}

#[test]
fn a_second_up_does_nothing_and_two_addresses_share_the_settings() {
    let (mut state, mut seen) = (State::default(), host([0, 1, 0, 0]));
    put_up(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!(put_up(&mut state, &mut seen, &[ip(VIP)]).steps, []);
    put_up(&mut state, &mut seen, &[ip("192.0.2.2")]);
    take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert!(quiet(&seen) && seen.on_loopback(ip("192.0.2.2")));
    take_down(&mut state, &mut seen, &[ip("192.0.2.2")]);
    assert_eq!(seen, host([0, 1, 0, 0]));
}

#[test]
fn ipv6_needs_no_setting() {
    let (mut state, mut seen) = (State::default(), host([0; 4]));
    let vip = ip("2001:db8::1");
    assert_eq!(put_up(&mut state, &mut seen, &[vip]).steps, [Step::Add(vip)]);
    // The last IPv4 address takes the settings along, whatever of IPv6 is left.
    put_up(&mut state, &mut seen, &[ip(VIP)]);
    take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert!(!quiet(&seen) && seen.on_loopback(vip));
}

#[test]
fn what_was_there_before_stays() {
    let mut seen = host([1, 2, 1, 2]);
    seen.addresses.push((LOOPBACK.to_owned(), ip(VIP)));
    let (mut state, before) = (State::default(), seen.clone());
    let plan = put_up(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!((plan.steps.len(), plan.notes.len()), (0, 1));
    let plan = take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!((plan.steps.len(), plan.notes.len()), (0, 1));
    assert_eq!(seen, before);
}

#[test]
fn stricter_settings_are_left() {
    let (mut state, mut seen) = (State::default(), host([3, 2, 2, 2]));
    assert_eq!(put_up(&mut state, &mut seen, &[ip(VIP)]).steps, [Step::Add(ip(VIP))]);
    assert!(state.settings.is_empty());
}

#[test]
fn what_others_changed_meanwhile_is_left() {
    let (mut state, mut seen) = (State::default(), host([0; 4]));
    put_up(&mut state, &mut seen, &[ip(VIP)]);
    seen.settings.insert("all/arp_ignore".to_owned(), 3);
    seen.addresses.retain(|(iface, _)| iface != LOOPBACK);
    let plan = take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!(seen.settings["all/arp_ignore"], 3);
    assert_eq!(seen.settings["all/arp_announce"], 0);
    assert!(plan.notes[0].contains("taken off lo by others"), "{:?}", plan.notes);
    assert!(plan.notes[1].contains("made 1 by `up` and is 3 now"), "{:?}", plan.notes);
    let plan = take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert!(plan.steps.is_empty() && plan.notes[0].contains("was not put up"), "{plan:?}");
}

#[test]
fn an_address_that_is_answered_for_is_refused() {
    let message = |vip| up(&State::default(), &host([0; 4]), &[ip(VIP), ip(vip)]).unwrap_err().to_string();
    assert!(message("192.0.2.77").starts_with("192.0.2.77 is on eth0: this host would answer ARP"));
    for vip in ["0.0.0.0", "127.0.0.1", "::1", "224.0.0.18", "ff02::1"] {
        assert!(message(vip).contains("no address of a virtual service"), "{vip}");
    }
}

#[test]
fn the_file_is_of_this_boot_and_gone_when_there_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, mut seen) = (State { boot: "b1".to_owned(), ..State::default() }, host([0; 4]));
    put_up(&mut state, &mut seen, &[ip(VIP), ip("2001:db8::1")]);
    let store = Store::open(dir.path()).unwrap();
    store.save(&state).unwrap();
    assert_eq!(store.load("b1").unwrap(), state);
    assert_eq!(peek(dir.path(), "b2").unwrap(), State { boot: "b2".to_owned(), ..State::default() });
    store.save(&State::default()).unwrap();
    store.save(&State::default()).unwrap();
    assert!(!dir.path().join(store::FILE).exists());
    std::fs::write(dir.path().join(store::FILE), "{").unwrap();
    let message = store.load("b1").unwrap_err().to_string();
    assert!(message.contains("cannot read") && message.contains(store::FILE), "{message}");
}

proptest! {
    /// Whatever was set before and in whatever order, also when an `up` was cut short: all is as it was, and quiet in between.
    #[test]
    fn down_undoes_exactly_what_up_did(
        settings in [0u32..4, 0u32..3, 0u32..4, 0u32..3],
        orders in prop::collection::vec((0usize..3, any::<bool>(), 0usize..7), 0..12),
    ) {
        let vips = [ip(VIP), ip("192.0.2.2"), ip("2001:db8::1")];
        let (mut state, mut seen) = (State::default(), host(settings));
        let before = seen.clone();
        for (n, add, cut) in orders {
            if add {
                let plan = up(&state, &seen, &[vips[n]]).unwrap();
                // The state is stored first; `cut` steps are performed.
                state = plan.state;
                perform(&mut seen, &plan.steps[..cut.min(plan.steps.len())]);
            } else {
                take_down(&mut state, &mut seen, &[vips[n]]);
            }
            let heard = vips[..2].iter().any(|v| seen.on_loopback(*v)) && !quiet(&seen);
            prop_assert!(!heard, "an address is on lo without suppression: {seen:?}");
        }
        take_down(&mut state, &mut seen, &vips);
        prop_assert_eq!(seen, before);
    }
}

/// An address of a group raises the settings of others; in whichever order they go, all is as it was before both.
#[test]
fn settings_that_are_raised_go_back_to_the_first() {
    use super::plan::up_with;
    let (mut state, mut seen) = (State::default(), host([0; 4]));
    put_up(&mut state, &mut seen, &[ip(VIP)]);
    let plan = up_with(&GROUP_SETTINGS, &state, &seen, &[ip("192.0.2.2")]).unwrap();
    state = plan.state.clone();
    perform(&mut seen, &plan.steps);
    assert_eq!(seen.settings["all/arp_ignore"], 3);
    take_down(&mut state, &mut seen, &[ip("192.0.2.2")]);
    assert_eq!(seen.settings["all/arp_ignore"], 3, "the other address needs it quiet");
    take_down(&mut state, &mut seen, &[ip(VIP)]);
    assert_eq!(seen, host([0; 4]));
}
