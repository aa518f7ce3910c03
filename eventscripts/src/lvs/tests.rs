use super::*;
use crate::interface::fake::Fake;
use recoverd::model::NodeFlags;
use std::sync::Mutex;
use tempfile::TempDir;

const OPTIONS: &str = "CTDB_LVS_NODES=$CTDB_BASE/lvs_nodes
CTDB_LVS_PUBLIC_IP=10.0.0.228
CTDB_LVS_PUBLIC_IFACE=eth1
";
const NODES: &str = "192.168.20.41\n192.168.20.42\n192.168.20.43 follower-only\n";
const OK: NodeFlags = NodeFlags::NONE;
const SICK: NodeFlags = NodeFlags::UNHEALTHY;

/// Writes down what it is asked.
#[derive(Default)]
struct Asked {
    calls: Mutex<Vec<String>>,
    refuse: Mutex<Option<String>>,
    trouble: Mutex<Option<String>>,
    begun: Mutex<Option<LvsAddress>>,
}

impl Asked {
    fn say(&self, what: String) -> BoxFuture<'_, Result<(), String>> {
        self.calls.lock().unwrap().push(what);
        let done = self.refuse.lock().unwrap().clone().map_or(Ok(()), Err);
        Box::pin(async move { done })
    }
}

impl GroupDirector for Asked {
    fn begun(&self) -> BoxFuture<'_, Option<LvsAddress>> {
        let begun = self.begun.lock().unwrap().clone();
        Box::pin(async move { begun })
    }

    fn begin<'a>(&'a self, address: &'a LvsAddress) -> BoxFuture<'a, Result<(), String>> {
        *self.begun.lock().unwrap() = Some(address.clone());
        self.say(format!("begin {}", address.vip))
    }

    fn lead(&self, lead: Lead) -> BoxFuture<'_, Result<(), String>> {
        let nodes: Vec<String> = lead.nodes.iter().map(ToString::to_string).collect();
        self.say(format!("lead {} on {}: {}", lead.address.vip, lead.address.iface, nodes.join(" ")))
    }

    fn follow(&self) -> BoxFuture<'_, Result<(), String>> {
        self.say("follow".to_owned())
    }

    fn end(&self) -> BoxFuture<'_, Result<(), String>> {
        *self.begun.lock().unwrap() = None;
        self.say("end".to_owned())
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap().clone()
    }
}

struct Node {
    dir: TempDir,
    asked: Arc<Asked>,
    links: Arc<Fake>,
    run: watch::Sender<Option<Arc<GroupRun>>>,
    handler: LvsGroup,
    pnn: u32,
}

fn node(pnn: u32, options: &str, nodes: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("events/legacy")).unwrap();
    std::fs::write(dir.path().join("events/legacy/91.lvs.options"), options).unwrap();
    std::fs::write(dir.path().join("lvs_nodes"), nodes).unwrap();
    let (links, asked) = (Fake::with_links(&[("eth1", true, true)]), Arc::<Asked>::default());
    let run = watch::Sender::new(None);
    let public: Arc<[PublicAddress]> = Arc::from([PublicAddress {
        addr: "10.0.0.31".parse().unwrap(),
        prefix: 24,
        ifaces: vec!["eth1".to_owned()],
    }]);
    let handler = LvsGroup::new(
        dir.path(),
        watch::channel(public).1,
        run.subscribe(),
        Arc::<Fake>::clone(&links),
        Arc::<Asked>::clone(&asked),
    );
    Node { dir, asked, links, run, handler, pnn }
}

impl Node {
    fn hears(&self, flags: [NodeFlags; 3], over: bool) {
        let row = |(pnn, flags): (u32, NodeFlags)| NodeRow {
            pnn: Pnn(pnn),
            addr: format!("192.168.20.{}", 41 + pnn).parse().unwrap(),
            flags,
            unknown: false,
            partially_online: false,
            host: None,
        };
        let nodes = (0..).zip(flags).map(row).collect();
        let run = GroupRun { over, life: 0, this_node: Pnn(self.pnn), nodes };
        self.run.send_replace(Some(Arc::new(run)));
    }

    async fn handle(&self, event: Event) -> Handled {
        self.handler.handle(&event).await
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.calls.lock().unwrap())
    }
}

/// The old leader lets go before the run goes on; the new one begins at its end, and not before.
#[tokio::test]
async fn the_old_leader_lets_go_before_the_new_one_begins() {
    let (first, second) = (node(0, OPTIONS, NODES), node(1, OPTIONS, NODES));
    for (flags, one, two) in [
        ([OK; 3], "lead 10.0.0.228 on eth1: 192.168.20.41 192.168.20.42 192.168.20.43", "follow"),
        ([SICK, OK, OK], "follow", "lead 10.0.0.228 on eth1: 192.168.20.42 192.168.20.43"),
        ([OK, SICK, OK], "lead 10.0.0.228 on eth1: 192.168.20.41 192.168.20.43", "follow"),
    ] {
        for (n, is) in [(&first, one), (&second, two)] {
            n.hears(flags, false);
            assert_eq!(n.handle(Event::StartIpreallocate).await, Handled::OK);
            let at_start: &[&str] = if is == "follow" { &["follow"] } else { &[] };
            assert_eq!(n.calls(), at_start, "{flags:?}");
        }
        for (n, is) in [(&first, one), (&second, two)] {
            n.hears(flags, true);
            assert_eq!(n.handle(Event::Ipreallocated).await, Handled::OK);
            assert_eq!(n.calls(), [is], "{flags:?}");
        }
    }
}

/// A run of which the begin was not heard, an event that comes late into the next run: nobody has waited for the old leader.
#[tokio::test]
async fn nobody_begins_without_the_begin_of_the_run() {
    let n = node(0, OPTIONS, NODES);
    n.hears([OK; 3], false);
    assert_eq!(n.handle(Event::Ipreallocated).await, Handled::OK);
    assert_eq!(n.calls(), [] as [String; 0]);
    let n = node(0, OPTIONS, NODES);
    assert_eq!(n.handle(Event::Ipreallocated).await, Handled::OK);
    assert_eq!(n.calls(), ["follow"]);
}

#[tokio::test]
async fn a_leader_that_cannot_let_go_stops_the_run() {
    let n = node(1, OPTIONS, NODES);
    *n.asked.refuse.lock().unwrap() = Some("the kernel refuses".to_owned());
    n.hears([OK; 3], false);
    assert_eq!(n.handle(Event::StartIpreallocate).await, Handled::failed("the kernel refuses"));
    // One that cannot begin costs nobody anything, and is not banned for it.
    let n = node(0, OPTIONS, NODES);
    *n.asked.refuse.lock().unwrap() = Some("no such device".to_owned());
    n.hears([OK; 3], true);
    let done = n.handle(Event::Ipreallocated).await;
    assert!(!done.failed && done.output.contains("cannot lead the LVS group: no such device"), "{done:?}");
}

#[tokio::test]
async fn a_kernel_without_ipvs_is_told_and_fails_nothing() {
    let n = node(0, OPTIONS, NODES);
    *n.asked.trouble.lock().unwrap() = Some("no ip_vs".to_owned());
    n.hears([OK; 3], true);
    for event in [Event::Startup, Event::Ipreallocated, Event::Monitor] {
        let done = n.handle(event).await;
        assert_eq!(done, Handled { failed: false, output: "ERROR: LVS does not serve: no ip_vs".to_owned() });
    }
}

#[tokio::test]
async fn monitor_watches_the_groups_interface() {
    let n = node(0, OPTIONS, NODES);
    assert_eq!(n.handle(Event::Monitor).await, Handled::OK);
    n.links.state.lock().unwrap().links.clear();
    let done = n.handle(Event::Monitor).await;
    assert!(done.failed && done.output.contains("eth1"), "{done:?}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_right_is_refused_and_lets_go() {
    for (old, new, want) in [
        ("10.0.0.228", "10.0.0.228/24", "91.lvs.options:2: CTDB_LVS_PUBLIC_IP=10.0.0.228/24 is not an IPv4"),
        ("10.0.0.228", "fd00::1", "91.lvs.options:2: CTDB_LVS_PUBLIC_IP=fd00::1 is not an IPv4"),
        ("10.0.0.228", "10.0.0.31", "same as a public address: 10.0.0.31"),
        ("CTDB_LVS_PUBLIC_IFACE=eth1\n", "", "CTDB_LVS_PUBLIC_IFACE not set"),
        ("$CTDB_BASE/lvs_nodes", "/none", "CTDB_LVS_NODES=/none unreadable: No such file"),
    ] {
        let n = node(0, &OPTIONS.replace(old, new), NODES);
        n.hears([OK; 3], true);
        for event in [Event::Setup, Event::Monitor] {
            let done = n.handle(event).await;
            assert!(done.failed && done.output.contains(want), "{done:?}, not {want:?}");
        }
        let done = n.handle(Event::Ipreallocated).await;
        assert!(!done.failed && done.output.contains(want), "{done:?}");
        assert_eq!(n.calls(), ["follow"], "{want}");
    }
}

/// What was changed in the options is in force with the next run, and not before: the former address is let go when it begins.
#[tokio::test]
async fn changed_options_are_taken_over_in_the_next_run() {
    let n = node(0, OPTIONS, NODES);
    assert_eq!(n.handle(Event::Startup).await, Handled::OK);
    n.hears([OK; 3], true);
    n.handle(Event::Ipreallocated).await;
    assert_eq!(n.calls().len(), 2);
    let file = n.dir.path().join("events/legacy/91.lvs.options");
    let said = "options of the LVS group have changed: in force with the next `ctdb ipreallocate`";
    for (options, begin, lead) in [
        (OPTIONS.replace(".228", ".229"), "begin 10.0.0.229", "lead 10.0.0.229 on eth1"),
        (OPTIONS.replace("eth1", "eth2"), "begin 10.0.0.228", "lead 10.0.0.228 on eth2"),
        (String::new(), "end", "follow"),
        (OPTIONS.to_owned(), "begin 10.0.0.228", "lead 10.0.0.228 on eth1"),
    ] {
        std::fs::write(&file, &options).unwrap();
        let done = n.handle(Event::Monitor).await;
        assert!(done.output.contains(said) || done.failed, "{done:?}");
        assert_eq!(n.calls(), [] as [String; 0]);
        n.hears([OK; 3], false);
        assert_eq!(n.handle(Event::StartIpreallocate).await, Handled::OK);
        let calls = n.calls();
        assert_eq!(calls[..2], ["follow", begin], "{options}");
        n.hears([OK; 3], true);
        assert_eq!(n.handle(Event::Ipreallocated).await, Handled::OK);
        let calls = n.calls();
        assert!(calls.len() == 1 && calls[0].starts_with(lead), "{calls:?}");
    }
    // Another place in the file is no change; and a node that shuts down takes nothing over.
    std::fs::write(&file, format!("# comment\n{OPTIONS}")).unwrap();
    n.handle(Event::StartIpreallocate).await;
    assert_eq!(n.calls(), [] as [String; 0]);
    n.handle(Event::Shutdown).await;
    n.handle(Event::StartIpreallocate).await;
    assert_eq!(n.calls(), ["end"]);
}

#[tokio::test]
async fn unconfigured_is_silent() {
    let n = node(0, "CTDB_LVS_PUBLIC_IP=x\n", NODES);
    assert_eq!(LvsGroup::address(n.dir.path()), None);
    *n.asked.trouble.lock().unwrap() = Some("of virtual_servers.conf".to_owned());
    n.hears([OK; 3], true);
    for event in [Event::Setup, Event::Startup, Event::Monitor, Event::Ipreallocated] {
        assert_eq!(n.handle(event.clone()).await, Handled::OK, "{event}");
    }
}

/// A file of that name takes the handler's place: what guards the address must not keep it from answering.
#[test]
fn a_script_of_that_name_has_the_address() {
    let n = node(0, OPTIONS, NODES);
    assert!(LvsGroup::address(n.dir.path()).is_some());
    std::fs::write(n.dir.path().join("events/legacy/91.lvs.script"), "#!/bin/sh\n").unwrap();
    assert_eq!(LvsGroup::address(n.dir.path()), None);
}
