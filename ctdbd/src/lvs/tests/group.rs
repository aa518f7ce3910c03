//! The group of cluster members: its services beside those of the file, with the table in memory.

use super::*;
use crate::lvs::Ask;
use ::lvs::config::Place;
use ::lvs::members::Members;

const VIP: &str = "10.0.0.228";

pub(super) fn members(leads: bool, nodes: &[u8]) -> Option<Members> {
    Some(Members {
        vip: VIP.parse().unwrap(),
        at: Place { file: "script.options".into(), line: 2 },
        leads,
        nodes: nodes.iter().map(|n| IpAddr::from([192, 168, 20, 41 + n])).collect(),
        me: ip("192.168.20.41"),
    })
}

impl Rig {
    pub(super) async fn tell(&self, members: Option<Members>) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.lvs.asks.send(Ask::Members(members, answer)).ok().unwrap();
        tokio::time::timeout(LONG, answered).await.unwrap().unwrap()
    }

    /// Requests since the last call.
    fn requests(&self) -> Vec<String> {
        let mut fake = self.shared.fake.lock().unwrap();
        std::mem::take(&mut fake.requests).iter().map(ToString::to_string).collect()
    }
}

pub(super) fn alone() -> Rig {
    let shared = Shared::default();
    let opener = opener(&shared);
    Rig::with(None, shared, opener, scripted("", ""))
}

#[tokio::test]
async fn a_run_that_changes_nothing_sends_nothing_and_a_sick_node_loses_its_destination_only() {
    let rig = alone();
    rig.tell(members(true, &[0, 1, 2])).await.unwrap();
    rig.until("it serves", |r| dests(r).len() == 6).await;
    rig.requests();
    rig.tell(members(true, &[0, 1, 2])).await.unwrap();
    rig.tell(members(true, &[0, 2])).await.unwrap();
    rig.until("a node has left", |r| dests(r).len() == 4).await;
    let mut requests = rig.requests();
    requests.sort();
    assert_eq!(
        requests,
        ["delete 192.168.20.42:0 from tcp 10.0.0.228:0", "delete 192.168.20.42:0 from udp 10.0.0.228:0"]
    );
    rig.tell(members(false, &[])).await.unwrap();
    rig.until("it leads no more", |r| r.services.is_empty() && r.state == LvsState::On).await;
    let begin = Instant::now();
    while !rig.shared.fake.lock().unwrap().table.services.is_empty() {
        assert!(begin.elapsed() < LONG, "services stay");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.tell(None).await.unwrap();
    assert_eq!(rig.report().await.state, LvsState::Off);
}

/// What a leader that died left would send packets for this node on: it goes although this node does not lead.
#[tokio::test]
async fn services_of_a_leader_that_died_go() {
    let rig = alone();
    rig.tell(members(true, &[0, 1])).await.unwrap();
    rig.until("it serves", |r| dests(r).len() == 4).await;
    let Rig { dir, shared, lvs, .. } = rig;
    drop(lvs);
    let opener = opener(&shared);
    let rig = Rig::at(dir, shared, opener, scripted("", ""));
    rig.tell(members(false, &[])).await.unwrap();
    let begin = Instant::now();
    while !rig.shared.fake.lock().unwrap().table.services.is_empty() {
        assert!(begin.elapsed() < LONG, "services stay");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn file_and_group_share_one_table() {
    let shared = Shared::default();
    let opener = opener(&shared);
    let text = conf(&["10.0.0.1"]);
    let rig = Rig::with(Some(&text), shared, opener, scripted("", ""));
    rig.tell(members(true, &[0, 1])).await.unwrap();
    rig.until("both serve", |r| dests(r).len() == 5).await;
    rig.requests();
    // The file may change without the group, and go.
    rig.write(&conf(&["10.0.0.1", "10.0.0.2"]));
    assert_eq!(rig.ask(DaemonCommand::LvsReload).await, DaemonReply::Ok);
    rig.until("one more", |r| dests(r).len() == 6).await;
    assert_eq!(rig.requests(), ["add 10.0.0.2:80 (NAT, weight 1) to tcp 192.0.2.1:80"]);
    std::fs::remove_file(rig.dir.path().join(FILE)).unwrap();
    assert!(matches!(rig.ask(DaemonCommand::LvsReload).await, DaemonReply::Note(_)));
    rig.until("the group stays", |r| dests(r).len() == 4).await;
}

#[tokio::test]
async fn a_service_of_both_is_refused_with_both_places() {
    let clash = format!(
        "virtual_server {VIP} {{\n persistence_timeout 60\n lvs_method DR\n real_server 10.0.0.1 {{\n }}\n}}\n"
    );
    // The file came first: the group is refused.
    let shared = Shared::default();
    let with = opener(&shared);
    let rig = Rig::with(Some(&clash), shared, with, scripted("", ""));
    rig.until("the file serves", |r| dests(r) == ["10.0.0.1:0"]).await;
    let why = rig.tell(members(true, &[0, 1])).await.unwrap_err();
    for part in ["virtual_servers.conf:1: tcp 10.0.0.228:0", "script.options:2"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    // The group came first: the file is refused.
    let rig = alone();
    rig.tell(members(true, &[0, 1])).await.unwrap();
    rig.write(&clash);
    let DaemonReply::Error(why) = rig.ask(DaemonCommand::LvsReload).await else { panic!("taken") };
    for part in ["virtual_servers.conf:1: tcp 10.0.0.228:0", "script.options:2"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    rig.until("the group goes on", |r| dests(r).len() == 4).await;
}

#[tokio::test]
async fn a_kernel_without_ipvs_is_the_groups_trouble() {
    let opener: Opener = Arc::new(|| Err("no ip_vs: made by the test".to_owned()));
    let rig = Rig::with(None, Shared::default(), opener, scripted("", ""));
    rig.tell(members(false, &[])).await.unwrap();
    let mut trouble = rig.lvs.trouble.clone();
    let told = tokio::time::timeout(LONG, trouble.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(told.as_deref(), Some("no ip_vs: made by the test"));
}
