use super::*;
use crate::interface::fake::Fake;
use crate::routing::fake::FakeRouting;
use recoverd::model::{Epoch, NodeFlags, Pnn, RunState};
use tempfile::TempDir;

const OPTIONS: &str = "CTDB_NATGW_NODES=$CTDB_BASE/natgw_nodes
CTDB_NATGW_PUBLIC_IP=10.0.0.227/24
CTDB_NATGW_PUBLIC_IFACE=eth1
CTDB_NATGW_DEFAULT_GATEWAY=10.0.0.1
CTDB_NATGW_PRIVATE_NETWORK=192.168.20.0/24
";
const NODES: &str = "# group\n192.168.20.41\n192.168.20.42\n192.168.20.43 follower-only\n";

fn row(pnn: u32, flags: NodeFlags) -> NodeRow {
    let addr = format!("192.168.20.{}", 41 + pnn).parse().unwrap();
    NodeRow { pnn: Pnn(pnn), addr, flags, unknown: false, partially_online: false, host: None }
}

fn status(this_node: u32, flags: [NodeFlags; 3]) -> Option<Arc<StatusView>> {
    Some(Arc::new(StatusView {
        this_node: Pnn(this_node),
        nodes: (0..).zip(flags).map(|(pnn, f)| row(pnn, f)).collect(),
        epoch: Epoch::NONE,
        leader: Some(Pnn(0)),
        in_recovery: false,
        runstate: RunState::Running,
    }))
}

struct Node {
    dir: TempDir,
    kernel: Arc<FakeRouting>,
    links: Arc<Fake>,
    cluster: watch::Sender<Option<Arc<StatusView>>>,
    handler: NatGw,
    pnn: u32,
}

fn node(pnn: u32, options: &str, nodes: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("events/legacy")).unwrap();
    std::fs::write(dir.path().join("events/legacy/11.natgw.options"), options).unwrap();
    std::fs::write(dir.path().join("natgw_nodes"), nodes).unwrap();
    let (links, kernel) = (Fake::with_links(&[("eth1", true, true)]), Arc::new(FakeRouting::default()));
    let cluster = watch::Sender::new(status(pnn, [NodeFlags::NONE; 3]));
    let addr = "10.0.0.31".parse().unwrap();
    let public: Arc<[PublicAddress]> =
        Arc::from([PublicAddress { addr, prefix: 24, ifaces: vec!["eth1".to_owned()] }]);
    let handler = NatGw::new(
        dir.path(),
        watch::channel(public).1,
        cluster.subscribe(),
        Arc::<Fake>::clone(&links),
        Arc::<FakeRouting>::clone(&kernel),
    );
    Node { dir, kernel, links, cluster, handler, pnn }
}

impl Node {
    async fn after_run(&self, flags: [NodeFlags; 3]) -> Handled {
        self.cluster.send_replace(status(self.pnn, flags));
        self.handler.handle(&Event::Ipreallocated).await
    }

    fn addresses(&self) -> Vec<String> {
        self.kernel.addresses.lock().unwrap().iter().cloned().collect()
    }

    fn masquerades(&self) -> bool {
        self.kernel.masquerade.lock().unwrap().is_some()
    }
}

const OK: NodeFlags = NodeFlags::NONE;
const SICK: NodeFlags = NodeFlags::UNHEALTHY;

#[test]
fn the_leader_is_ctdbs() {
    use NodeFlags as F;
    let group = |text: &[(u8, bool)]| -> Vec<Member> {
        let member =
            |(n, f): &(u8, bool)| Member { addr: [192, 168, 20, 41 + n].into(), follower_only: *f, line: 1 };
        text.iter().map(member).collect()
    };
    let all = group(&[(0, false), (1, false), (2, false)]);
    for (flags, want) in [
        ([F::NONE, F::NONE, F::NONE], Some(0)),
        ([SICK, F::NONE, F::NONE], Some(1)),
        ([F::DISABLED, F::BANNED, F::NONE], Some(2)),
        ([F::DISCONNECTED, SICK, SICK], Some(1)),
        ([F::STOPPED, F::DISABLED, F::BANNED], Some(2)),
        ([F::DISCONNECTED, F::DISABLED, F::STOPPED], Some(2)),
        ([F::DISCONNECTED, F::DISABLED, F::DISABLED], None),
        ([F::DELETED, F::DISABLED, F::DISABLED], None),
    ] {
        let cluster: Vec<NodeRow> = (0..).zip(flags).map(|(n, f)| row(n, f)).collect();
        assert_eq!(leader(&all, &cluster).map(|n| n.pnn.0), want, "{flags:?}");
    }
    let cluster: Vec<NodeRow> = (0..3).map(|n| row(n, F::NONE)).collect();
    // By number, not in the order of the file, as CTDB's helper; and who never leads.
    assert_eq!(leader(&group(&[(2, false), (0, false)]), &cluster).map(|n| n.pnn.0), Some(0));
    assert_eq!(leader(&group(&[(2, true), (0, false)]), &cluster).map(|n| n.pnn.0), Some(0));
    assert_eq!(leader(&group(&[(2, true), (9, false)]), &cluster).map(|n| n.pnn.0), None);
}

#[tokio::test]
async fn the_gateway_is_handed_over_and_comes_back() {
    let (first, second) = (node(0, OPTIONS, NODES), node(1, OPTIONS, NODES));
    for n in [&first, &second] {
        assert_eq!(n.handler.handle(&Event::Setup).await, Handled::OK);
        assert_eq!(n.handler.handle(&Event::Startup).await, Handled::OK);
        assert_eq!(n.kernel.switches.lock().unwrap()["ipv4/conf/all/arp_announce"], "2");
    }
    let gateway = |n: &Node| {
        assert_eq!(n.addresses(), ["10.0.0.227/24 eth1"]);
        assert_eq!(n.kernel.routes(), ["0.0.0.0/0 via 10.0.0.1 metric 10"]);
        assert!(n.masquerades());
        assert_eq!(n.kernel.switches.lock().unwrap()["ipv4/ip_forward"], "1");
    };
    let follower = |n: &Node, of: &str| {
        assert_eq!(n.addresses(), [] as [String; 0]);
        assert_eq!(n.kernel.routes(), [format!("0.0.0.0/0 via {of} metric 10")]);
        assert!(!n.masquerades());
    };
    for _ in 0..2 {
        for n in [&first, &second] {
            assert_eq!(n.after_run([OK; 3]).await, Handled::OK);
        }
        gateway(&first);
        follower(&second, "192.168.20.41");
        for n in [&first, &second] {
            assert_eq!(n.after_run([SICK, OK, OK]).await, Handled::OK);
        }
        follower(&first, "192.168.20.42");
        gateway(&second);
    }
    // What somebody removed is there again after the next run.
    second.kernel.routes.lock().unwrap().clear();
    assert_eq!(second.after_run([SICK, OK, OK]).await, Handled::OK);
    gateway(&second);
    let none = second.after_run([NodeFlags::DISABLED; 3]).await;
    assert_eq!(none, Handled { failed: false, output: "There is no NATGW leader node".to_owned() });
    assert!(second.addresses().is_empty() && second.kernel.routes().is_empty() && !second.masquerades());
    assert_eq!(first.handler.handle(&Event::Shutdown).await, Handled::OK);
    assert!(first.kernel.routes().is_empty());
}

#[tokio::test]
async fn listed_networks_take_the_place_of_the_default_route() {
    let options = format!("{OPTIONS}CTDB_NATGW_STATIC_ROUTES=\"10.1.0.0/16@10.0.0.2\n 10.2.0.9\"\n");
    let n = node(0, &options, NODES);
    assert_eq!(n.after_run([OK; 3]).await, Handled::OK);
    assert_eq!(
        n.kernel.routes(),
        ["10.1.0.0/16 via 10.0.0.2 metric 10", "10.2.0.9/32 via 10.0.0.1 metric 10"]
    );
    let n = node(0, &options.replace("CTDB_NATGW_DEFAULT_GATEWAY=10.0.0.1\n", ""), NODES);
    assert_eq!(n.after_run([OK; 3]).await, Handled::OK);
    assert_eq!(n.kernel.routes(), ["10.1.0.0/16 via 10.0.0.2 metric 10"]);
    let n = node(1, &options, NODES);
    assert_eq!(n.after_run([OK; 3]).await, Handled::OK);
    assert_eq!(
        n.kernel.routes(),
        ["10.1.0.0/16 via 192.168.20.41 metric 10", "10.2.0.9/32 via 192.168.20.41 metric 10"]
    );
}

#[tokio::test]
async fn monitor_watches_the_gateways_interface() {
    let n = node(0, OPTIONS, NODES);
    assert_eq!(n.handler.handle(&Event::Monitor).await, Handled::OK);
    n.links.state.lock().unwrap().links.clear();
    let done = n.handler.handle(&Event::Monitor).await;
    assert!(done.failed && done.output.contains("eth1"), "{done:?}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_right_is_refused_with_its_place() {
    for (pnn, old, new, want) in [
        (
            0,
            "10.0.0.227/24",
            "10.0.0.227",
            Some("11.natgw.options:2: CTDB_NATGW_PUBLIC_IP=10.0.0.227 is not"),
        ),
        (0, "10.0.0.227", "10.0.0.31", Some("same as a public address: 10.0.0.31")),
        (0, "CTDB_NATGW_PUBLIC_IFACE=eth1\n", "", Some("CTDB_NATGW_PUBLIC_IFACE not set")),
        (2, "CTDB_NATGW_PUBLIC_IFACE=eth1\n", "", None),
        (
            0,
            "192.168.20.0/24",
            "192.168.20.0/x",
            Some("options:5: CTDB_NATGW_PRIVATE_NETWORK=192.168.20.0/x is not"),
        ),
        (
            0,
            "GATEWAY=10.0.0.1",
            "GATEWAY=ten",
            Some("options:4: CTDB_NATGW_DEFAULT_GATEWAY=ten is not an address"),
        ),
        (0, "$CTDB_BASE/natgw_nodes", "/none", Some("CTDB_NATGW_NODES=/none unreadable: No such file")),
    ] {
        let n = node(pnn, &OPTIONS.replace(old, new), NODES);
        for event in [Event::Setup, Event::Monitor, Event::Ipreallocated] {
            let done = n.handler.handle(&event).await;
            assert_eq!(done.failed, want.is_some(), "{event}: {done:?}");
            assert!(done.output.contains(want.unwrap_or_default()), "{event}: {done:?}, not {want:?}");
        }
    }
    let n = node(0, OPTIONS, "192.168.20.41\nnode2\n");
    let file = n.dir.path().join("natgw_nodes").display().to_string();
    let done = n.handler.handle(&Event::Setup).await;
    let wrong = format!("{file}:2: \"node2\" is not a node's private IP address");
    assert!(done.output.contains(&wrong), "{done:?}");
    let n = node(0, OPTIONS, "192.168.20.41 leader-only\n");
    assert!(n.handler.handle(&Event::Setup).await.failed);
}

#[tokio::test]
async fn unconfigured_is_silent() {
    let n = node(0, "CTDB_NATGW_PUBLIC_IP=x\n", NODES);
    for event in [Event::Setup, Event::Startup, Event::Monitor, Event::Ipreallocated, Event::Shutdown] {
        assert_eq!(n.handler.handle(&event).await, Handled::OK, "{event}");
    }
    assert!(n.kernel.switches.lock().unwrap().is_empty());
}
