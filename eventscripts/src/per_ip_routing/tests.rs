use super::*;
use crate::interface::fake::Fake;
use crate::routing::fake::FakeRouting;
use tempfile::TempDir;

const OPTIONS: &str = "CTDB_PER_IP_ROUTING_CONF=$CTDB_BASE/policy_routing
CTDB_PER_IP_ROUTING_RULE_PREF=100
CTDB_PER_IP_ROUTING_TABLE_ID_LOW=1000
CTDB_PER_IP_ROUTING_TABLE_ID_HIGH=1001
";
const POLICY: &str = "10.0.0.31 10.0.0.0/24\n10.0.0.31 0.0.0.0/0 10.0.0.1\n# x\n10.0.0.32 10.0.0.0/24\n10.0.0.33 10.0.0.0/24\n";

struct Node {
    dir: TempDir,
    links: Arc<Fake>,
    kernel: Arc<FakeRouting>,
    handler: PerIpRouting,
}

fn node(options: &str, policy: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("script.options"), options).unwrap();
    std::fs::write(dir.path().join("policy_routing"), policy).unwrap();
    let public: Arc<[PublicAddress]> = (31..=34)
        .map(|n| PublicAddress {
            addr: format!("10.0.0.{n}").parse().unwrap(),
            prefix: 24,
            ifaces: vec!["eth1".to_owned()],
        })
        .collect();
    let (links, kernel) = (Fake::with_links(&[("eth1", true, true)]), Arc::new(FakeRouting::default()));
    let handler = PerIpRouting::new(
        dir.path(),
        watch::channel(public).1,
        Arc::<Fake>::clone(&links),
        Arc::<FakeRouting>::clone(&kernel),
    );
    Node { dir, links, kernel, handler }
}

impl Node {
    async fn run(&self, words: &str) -> Handled {
        let words: Vec<&str> = words.split(' ').collect();
        let event = match words[..] {
            ["takeip", addr] => {
                Event::TakeIp { iface: "eth1".to_owned(), addr: addr.parse().unwrap(), prefix: 24 }
            }
            ["releaseip", addr] => {
                Event::ReleaseIp { iface: "eth1".to_owned(), addr: addr.parse().unwrap(), prefix: 24 }
            }
            ["updateip", new, addr] => {
                let (old, addr) = ("eth1".to_owned(), addr.parse().unwrap());
                Event::UpdateIp { old, new: new.to_owned(), addr, prefix: 24 }
            }
            ["setup"] => Event::Setup,
            ["startup"] => Event::Startup,
            ["shutdown"] => Event::Shutdown,
            ["monitor"] => Event::Monitor,
            ["ipreallocated"] => Event::Ipreallocated,
            _ => panic!("{words:?}"),
        };
        self.handler.handle(&event).await
    }
}

#[tokio::test]
async fn rule_and_routes_come_and_go_with_the_address() {
    let n = node(OPTIONS, POLICY);
    assert_eq!(n.run("setup").await, Handled::OK);
    assert_eq!(n.run("takeip 10.0.0.31").await, Handled::OK);
    assert_eq!(n.kernel.rules(), ["from 10.0.0.31 pref 100 table 1000"]);
    let routes = ["0.0.0.0/0 via 10.0.0.1 dev eth1 table 1000", "10.0.0.0/24 dev eth1 table 1000"];
    assert_eq!(n.kernel.routes(), routes);
    assert_eq!(n.run("takeip 10.0.0.32").await, Handled::OK);
    assert_eq!(n.kernel.rules().len(), 2);
    // No lines for it.
    assert_eq!(n.run("takeip 10.0.0.34").await, Handled::OK);
    assert_eq!(n.kernel.rules().len(), 2);
    // No third table.
    let full = n.run("takeip 10.0.0.33").await;
    assert!(full.failed && full.output.contains("out of table ids in range 1000 - 1001"), "{full:?}");
    assert_eq!(n.run("releaseip 10.0.0.32").await, Handled::OK);
    assert_eq!(n.run("releaseip 10.0.0.33").await, Handled::OK);
    assert_eq!((n.kernel.rules().len(), n.kernel.routes().len()), (1, 2));
    assert_eq!(n.run("updateip eth2 10.0.0.31").await, Handled::OK);
    assert!(n.kernel.routes().iter().all(|r| r.contains("dev eth2")), "{:?}", n.kernel.routes());
    assert!(n.run("shutdown").await.output.contains("10.0.0.31 for routing table 1000"));
    assert_eq!((n.kernel.rules().len(), n.kernel.routes().len()), (0, 0));
}

#[tokio::test]
async fn after_a_run_what_is_missing_is_set_and_what_is_too_much_removed() {
    let n = node(OPTIONS, POLICY);
    n.links.put("10.0.0.31", "eth1", 24);
    let stray = Rule { from: "10.0.0.99".parse().unwrap(), pref: 100, table: 1001 };
    let foreign = Rule { from: "10.0.0.98".parse().unwrap(), pref: 99, table: 1001 };
    n.kernel.rules.lock().unwrap().extend([stray, foreign]);
    let done = n.run("ipreallocated").await;
    assert!(!done.failed && done.output.contains("10.0.0.99"), "{done:?}");
    assert_eq!(n.kernel.rules(), ["from 10.0.0.31 pref 100 table 1000", "from 10.0.0.98 pref 99 table 1001"]);
    assert_eq!(n.kernel.routes().len(), 2);
    n.kernel.routes.lock().unwrap().clear();
    assert_eq!(n.run("ipreallocated").await, Handled::OK);
    assert_eq!(n.kernel.routes().len(), 2);
}

#[tokio::test]
async fn auto_link_local_routes_the_network_of_the_mask() {
    let n = node(&OPTIONS.replace("$CTDB_BASE/policy_routing", "__auto_link_local__"), "");
    assert_eq!(n.run("takeip 10.0.0.34").await, Handled::OK);
    assert_eq!(n.kernel.routes(), ["10.0.0.0/24 dev eth1 table 1000"]);
}

#[tokio::test]
async fn what_was_left_by_an_earlier_life_goes_at_startup() {
    let n = node(OPTIONS, POLICY);
    n.kernel.rules.lock().unwrap().insert(Rule {
        from: "10.0.0.31".parse().unwrap(),
        pref: 100,
        table: 1000,
    });
    assert!(!n.run("startup").await.failed);
    assert_eq!(n.kernel.rules(), [] as [String; 0]);
    assert_eq!(n.kernel.switches.lock().unwrap()["ipv4/conf/all/arp_filter"], "1");
}

#[tokio::test]
async fn unconfigured_is_silent() {
    let n = node("CTDB_PER_IP_ROUTING_RULE_PREF=x\n", POLICY);
    for event in [
        "setup",
        "startup",
        "monitor",
        "takeip 10.0.0.31",
        "ipreallocated",
        "releaseip 10.0.0.31",
        "shutdown",
    ] {
        assert_eq!(n.run(event).await, Handled::OK, "{event}");
    }
    assert!(n.kernel.rules().is_empty() && n.kernel.switches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_configuration_that_cannot_be_right_is_refused_with_its_place() {
    for (old, new, want) in [
        (
            "RULE_PREF=100",
            "RULE_PREF=0",
            "script.options:2: CTDB_PER_IP_ROUTING_RULE_PREF=0 is no number from 1 to 32765",
        ),
        (
            "_LOW=1000",
            "_LOW=253",
            "script.options:3: CTDB_PER_IP_ROUTING_TABLE_ID_LOW=253 is no number from 256",
        ),
        (
            "_HIGH=1001",
            "_HIGH=999",
            "script.options:4: CTDB_PER_IP_ROUTING_TABLE_ID_HIGH=999 is no number from 1000",
        ),
        (
            "CTDB_PER_IP_ROUTING_RULE_PREF=100\n",
            "",
            "script.options:1: CTDB_PER_IP_ROUTING_CONF is set, but CTDB_PER_IP_ROUTING_RULE_PREF is not",
        ),
        ("$CTDB_BASE/policy_routing", "/none", "CTDB_PER_IP_ROUTING_CONF=/none: No such file"),
    ] {
        let n = node(&OPTIONS.replace(old, new), POLICY);
        for event in ["setup", "takeip 10.0.0.31"] {
            let done = n.run(event).await;
            assert!(done.failed && done.output.contains(want), "{event}: {done:?}, not {want}");
        }
        assert!(!n.run("releaseip 10.0.0.31").await.failed, "{new}");
    }
    let n = node(
        OPTIONS,
        "10.0.0.31 10.0.0.0/40\nx 10.0.0.0/24\n10.0.0.32\n10.0.0.33 10.0.0.0/24 y\n10.0.0.34 0.0.0.0/0\n",
    );
    let done = n.run("setup").await;
    let file = n.dir.path().join("policy_routing").display().to_string();
    for (line, what) in [
        (1, "10.0.0.0/40 is no network"),
        (2, "x is no address"),
        (3, "not two or three words"),
        (4, "y is no address"),
    ] {
        assert!(done.failed && done.output.contains(&format!("{file}:{line}: {what}")), "{done:?}");
    }
    // A wrong line costs only its address.
    assert!(n.run("takeip 10.0.0.31").await.failed);
    assert_eq!(n.run("takeip 10.0.0.34").await, Handled::OK);
}
