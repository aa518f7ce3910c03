use super::fake::Fake;
use super::*;
use nix::errno::Errno;

fn public(lines: &[(&str, &[&str])]) -> watch::Receiver<Arc<[PublicAddress]>> {
    let of = |(addr, ifaces): &(&str, &[&str])| PublicAddress {
        addr: addr.parse().unwrap(),
        prefix: 24,
        ifaces: ifaces.iter().map(|i| (*i).to_owned()).collect(),
    };
    watch::channel(lines.iter().map(of).collect()).1
}

fn two(netif: &Arc<Fake>, options: Vec<PathBuf>) -> Interface {
    let netif = Arc::clone(netif) as Arc<dyn NetIf>;
    Interface::new(netif, public(&[("10.0.0.31", &["eth1"]), ("10.0.0.32", &["eth2", "eth1"])]), options)
}

async fn run(interface: &Interface, event: &str) -> Handled {
    let words: Vec<_> = event.split(' ').map(str::to_owned).collect();
    interface.handle(&Event::parse(&words[0], &words[1..]).unwrap()).await
}

fn ok(output: &str) -> Handled {
    Handled { failed: false, output: output.to_owned() }
}

#[tokio::test]
async fn init_promotes_secondaries_and_drops_public_addresses_only() {
    let fake = Fake::with_links(&[("eth0", true, true), ("eth1", true, true), ("eth2", true, true)]);
    fake.put("10.0.0.31", "eth0", 32);
    fake.put("10.0.0.32", "eth1", 24);
    fake.put("10.0.0.32", "eth2", 16);
    fake.put("192.168.20.41", "eth0", 24);
    let done = run(&two(&fake, vec![]), "init").await;
    assert_eq!(
        done,
        ok("dropped 10.0.0.31 from eth0\ndropped 10.0.0.32 from eth1\ndropped 10.0.0.32 from eth2")
    );
    assert_eq!(fake.shown(), ["192.168.20.41/24 eth0"]);
    assert_eq!(fake.promoted.lock().unwrap().iter().collect::<Vec<_>>(), ["eth1", "eth2"]);
}

#[tokio::test]
async fn init_survives_an_unknown_interface_but_not_a_refused_setting() {
    let fake = Fake::with_links(&[("eth1", true, true)]);
    let done = run(&two(&fake, vec![]), "init").await;
    assert_eq!(done, ok("ERROR: public network interface eth2 doesn't exist"));
    *fake.refuse.lock().unwrap() = Some(Errno::EROFS);
    let done = run(&two(&fake, vec![]), "init").await;
    assert_eq!(done, Handled::failed("ERROR: promote secondaries on eth1: EROFS: Read-only file system"));
}

#[tokio::test]
async fn take_release_and_update_change_addresses_without_looking_around() {
    let fake = Fake::with_links(&[("eth1", true, true), ("eth2", false, false)]);
    let interface = two(&fake, vec![]);
    for (event, shown) in [
        ("takeip eth1 10.0.0.31 24", &["10.0.0.31/24 eth1"][..]),
        ("takeip eth1 10.0.0.31 24", &["10.0.0.31/24 eth1"]),
        ("takeip eth2 fd00::31 64", &["10.0.0.31/24 eth1", "fd00::31/64 eth2"]),
        ("updateip eth1 eth2 10.0.0.31 24", &["10.0.0.31/24 eth2", "fd00::31/64 eth2"]),
        ("updateip eth2 eth2 10.0.0.31 24", &["10.0.0.31/24 eth2", "fd00::31/64 eth2"]),
        ("releaseip eth2 fd00::31 64", &["10.0.0.31/24 eth2"]),
        ("releaseip eth2 10.0.0.31 24", &[]),
        ("updateip __none__ eth1 10.0.0.31 24", &["10.0.0.31/24 eth1"]),
        ("updateip gone eth2 10.0.0.32 24", &["10.0.0.31/24 eth1", "10.0.0.32/24 eth2"]),
        ("ipreallocated", &["10.0.0.31/24 eth1", "10.0.0.32/24 eth2"]),
    ] {
        assert_eq!(run(&interface, event).await, Handled::OK, "{event}");
        assert_eq!(fake.shown(), shown, "{event}");
    }
    assert_eq!(*fake.looks.lock().unwrap(), 0);
    assert!(!fake.state.lock().unwrap().links["eth2"].admin_up, "a link was set up");
}

#[tokio::test]
async fn release_finds_the_address_wherever_it_is() {
    let fake = Fake::with_links(&[("eth1", true, true), ("eth2", true, true)]);
    let interface = two(&fake, vec![]);
    for (iface, at, prefix) in
        [("__none__", "eth1", 24), ("eth1", "eth2", 24), ("eth1", "eth1", 32), ("gone", "eth2", 24)]
    {
        fake.put("10.0.0.31", at, prefix);
        let done = run(&interface, &format!("releaseip {iface} 10.0.0.31 24")).await;
        assert_eq!(done, ok(&format!("10.0.0.31 was not on {iface} but on {at}")));
        assert_eq!(fake.shown(), Vec::<String>::new());
    }
    assert_eq!(run(&interface, "releaseip eth1 10.0.0.31 24").await, ok("10.0.0.31 is on no interface"));
}

#[tokio::test]
async fn what_the_kernel_refuses_fails_the_event_with_its_reason() {
    let fake = Fake::with_links(&[("eth1", true, true)]);
    let interface = two(&fake, vec![]);
    fake.put("10.0.0.31", "eth1", 24);
    assert_eq!(
        run(&interface, "takeip eth9 10.0.0.32 24").await,
        Handled::failed("ERROR: add address 10.0.0.32/24: interface eth9 doesn't exist")
    );
    *fake.refuse.lock().unwrap() = Some(Errno::EPERM);
    for event in ["releaseip eth1 10.0.0.31 24", "updateip eth1 eth1 10.0.0.31 24"] {
        let done = run(&interface, event).await;
        assert!(done.failed, "{event}");
        assert!(done.output.ends_with("10.0.0.31/24 on eth1: EPERM: Operation not permitted"), "{done:?}");
    }
}

#[tokio::test]
async fn monitor_wants_every_interface_unless_a_partial_node_is_enough() {
    let gone = "ERROR: public network interface eth2 doesn't exist";
    let down = |i: &str| format!("ERROR: No link on the public network interface {i}");
    let both = format!("{}\n{}", down("eth1"), down("eth2"));
    let up = ("eth1", true, true);
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("script.options");
    std::fs::write(&partial, "CTDB_PARTIALLY_ONLINE_INTERFACES=yes\n").unwrap();
    for (links, output, fails, fails_when_partial) in [
        (&[up, ("eth2", true, true)][..], "", false, false),
        (&[up], gone, true, false),
        (&[up, ("eth2", false, false)], &down("eth2"), true, false),
        (&[up, ("eth2", true, false)], &down("eth2"), true, false),
        (&[("eth1", false, true), ("eth2", true, false)], &both, true, true),
    ] {
        let fake = Fake::with_links(links);
        let want = |failed| Handled { failed, output: output.to_owned() };
        assert_eq!(run(&two(&fake, vec![]), "monitor").await, want(fails));
        assert_eq!(run(&two(&fake, vec![partial.clone()]), "monitor").await, want(fails_when_partial));
    }
}

#[tokio::test]
async fn monitor_names_an_interface_that_was_never_there_and_fails_only_without_any() {
    let fake = Fake::with_links(&[("eth1", true, true)]);
    let interface = two(&fake, vec![]);
    run(&interface, "init").await;
    assert_eq!(run(&interface, "monitor").await, ok("ERROR: public network interface eth2 doesn't exist"));
    // Once it has been there, it counts.
    let link = fake.state.lock().unwrap().links["eth1"].clone();
    fake.state.lock().unwrap().links.insert("eth2".to_owned(), link);
    assert_eq!(run(&interface, "monitor").await, Handled::OK);
    fake.state.lock().unwrap().links.remove("eth2");
    assert!(run(&interface, "monitor").await.failed);

    let fake = Fake::with_links(&[("eth0", true, true)]);
    let interface = two(&fake, vec![]);
    run(&interface, "init").await;
    assert!(run(&interface, "monitor").await.failed, "no public interface exists at all");
}

#[tokio::test]
async fn a_node_without_public_addresses_is_healthy_and_is_not_looked_at() {
    let fake = Fake::with_links(&[]);
    let interface = Interface::new(Arc::clone(&fake) as Arc<dyn NetIf>, public(&[]), vec![]);
    for event in ["init", "monitor"] {
        assert_eq!(run(&interface, event).await, Handled::OK);
    }
    assert_eq!(*fake.looks.lock().unwrap(), 0);
}
