//! Drains by an operator, over restarts, and of the group whose services come and go.

use super::*;

/// Destinations with their weights and what is left of their drains.
fn drained(r: &LvsReport) -> Vec<(String, u32, Option<u64>)> {
    let all = r.services.iter().flat_map(|s| &s.kernel).flat_map(|k| &k.dests);
    all.map(|d| (d.dest.clone(), d.weight, d.drain_s)).collect()
}

#[tokio::test]
async fn an_operator_drains_and_takes_back() {
    let rig = Rig::new(&conf(&["10.0.0.1", "10.0.0.2"]), scripted("", ""));
    rig.until("both serve", |r| dests(r).len() == 2).await;
    let key = ("tcp 192.0.2.1:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap());
    let busy = ::lvs::ipvs::DestCounters { active: 3, ..Default::default() };
    rig.shared.fake.lock().unwrap().counters.insert(key, busy);
    let name = |real: &str| ("tcp 192.0.2.1:80".to_owned(), real.to_owned());
    let (service, real) = name("10.0.0.1:80");
    let drain = DaemonCommand::LvsDrain { service: service.clone(), real: real.clone(), deadline_s: 600 };
    assert_eq!(rig.ask(drain).await, DaemonReply::Ok);
    let weight =
        |r: &LvsReport| r.services[0].kernel[0].dests.first().map(|d| (d.weight, d.drain_s.is_some()));
    rig.until("no new connections", |r| weight(r) == Some((0, true))).await;
    assert_eq!(rig.ask(DaemonCommand::LvsUndrain { service, real }).await, DaemonReply::Ok);
    rig.until("back", |r| weight(r) == Some((1, false))).await;
    let (service, real) = name("10.0.0.3:80");
    let none = DaemonCommand::LvsDrain { service, real, deadline_s: 1 };
    assert!(matches!(rig.ask(none).await, DaemonReply::Error(_)));
}

/// What an operator took out stays out over a restart, until the same moment; what is not configured any more is dropped.
#[tokio::test]
async fn drains_survive_a_restart() {
    let busy = ::lvs::ipvs::DestCounters { active: 3, ..Default::default() };
    let rig = Rig::new(&conf(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), scripted("", ""));
    rig.until("all serve", |r| dests(r).len() == 3).await;
    for (real, deadline_s) in [("10.0.0.1:80", 600), ("10.0.0.2:80", 500)] {
        let key = ("tcp 192.0.2.1:80".parse().unwrap(), real.parse().unwrap());
        rig.shared.fake.lock().unwrap().counters.insert(key, busy);
        let drain = DaemonCommand::LvsDrain {
            service: "tcp 192.0.2.1:80".to_owned(),
            real: real.to_owned(),
            deadline_s,
        };
        assert_eq!(rig.ask(drain).await, DaemonReply::Ok);
    }
    rig.until("both are drained", |r| {
        drained(r).iter().filter(|(_, w, d)| *w == 0 && d.is_some()).count() == 2
    })
    .await;
    let Rig { dir, shared, lvs, .. } = rig;
    lvs.stop().await;
    let file = dir.path().join("lvs_drains.json");
    let written = std::fs::read_to_string(&file).unwrap();
    // 10.0.0.2 leaves the configuration while no daemon runs.
    std::fs::write(dir.path().join(FILE), conf(&["10.0.0.1", "10.0.0.3"])).unwrap();
    let key: (ServiceId, DestId) = ("tcp 192.0.2.1:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap());
    // A crash, not a clean end: connections are still there.
    let dest = ::lvs::model::DestSettings::default();
    shared.fake.lock().unwrap().table.services.entry(key.0).or_default().dests.insert(key.1, dest);
    let opener = opener(&shared);
    let rig = Rig::at(dir, shared, opener, scripted("", ""));
    let report = rig
        .until("the drain goes on", |r| {
            let all = drained(r);
            all.len() == 2 && all.iter().any(|(dest, w, _)| dest == "10.0.0.1:80" && *w == 0)
        })
        .await;
    let left = drained(&report).into_iter().find(|(dest, ..)| dest == "10.0.0.1:80").unwrap().2.unwrap();
    assert!((300..=600).contains(&left), "{left} s of 600 are left; written were {written}");
    assert!(drained(&report).iter().all(|(dest, _, drain)| dest == "10.0.0.1:80" || drain.is_none()));
    let undrain =
        DaemonCommand::LvsUndrain { service: "tcp 192.0.2.1:80".to_owned(), real: "10.0.0.1:80".to_owned() };
    assert_eq!(rig.ask(undrain).await, DaemonReply::Ok);
    let begin = Instant::now();
    while std::fs::read_to_string(&file).unwrap() != "[]" {
        assert!(begin.elapsed() < LONG, "{:?}", std::fs::read_to_string(&file));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const VIP: &str = "10.0.0.228";
const MEMBER: &str = "192.168.20.42:0";

fn group_service() -> String {
    format!("tcp {VIP}:0")
}

async fn drain_member(rig: &Rig) {
    let key = (group_service().parse().unwrap(), MEMBER.parse().unwrap());
    let busy = ::lvs::ipvs::DestCounters { active: 3, ..Default::default() };
    rig.shared.fake.lock().unwrap().counters.insert(key, busy);
    let drain =
        DaemonCommand::LvsDrain { service: group_service(), real: MEMBER.to_owned(), deadline_s: 600 };
    assert_eq!(rig.ask(drain).await, DaemonReply::Ok);
    member_is_drained(rig, "no new connections").await;
}

async fn member_is_drained(rig: &Rig, what: &str) {
    let is = |r: &LvsReport| drained(r).iter().any(|(d, w, left)| d == MEMBER && *w == 0 && left.is_some());
    rig.until(what, is).await;
}

/// Waits until the file names the member, or not.
async fn wait_kept(rig: &Rig, kept: bool) {
    let file = rig.dir.path().join("lvs_drains.json");
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.contains("192.168.20.42") == kept {
            return;
        }
        assert!(begin.elapsed() < LONG, "{text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The file's configuration is there before the group leads, after a crash and after an orderly end, in which the group ends first.
#[tokio::test]
async fn drains_of_the_group_wait_until_it_leads_again() {
    for orderly in [false, true] {
        let text = conf(&["10.0.0.1"]);
        let rig = Rig::new(&text, scripted("", ""));
        rig.tell(group::members(true, &[0, 1])).await.unwrap();
        rig.until("both serve", |r| dests(r).len() == 5).await;
        drain_member(&rig).await;
        wait_kept(&rig, true).await;
        if orderly {
            rig.tell(group::members(false, &[])).await.unwrap();
            rig.tell(None).await.unwrap();
        }
        let Rig { dir, shared, lvs, .. } = rig;
        lvs.stop().await;
        let opener = opener(&shared);
        let rig = Rig::at(dir, shared, opener, scripted("", ""));
        rig.until("the file serves", |r| dests(r) == ["10.0.0.1:80"]).await;
        wait_kept(&rig, true).await;
        rig.tell(group::members(false, &[])).await.unwrap();
        let dest = ::lvs::model::DestSettings::default();
        let (service, member) = (group_service().parse().unwrap(), MEMBER.parse().unwrap());
        // Its connections are still there: another node led meanwhile.
        rig.shared.fake.lock().unwrap().table.services.entry(service).or_default().dests.insert(member, dest);
        rig.tell(group::members(true, &[0, 1])).await.unwrap();
        member_is_drained(&rig, "the drain goes on").await;
    }
}

/// A member that is sick for a while, or of which the group is led elsewhere, stays out until it is taken back.
#[tokio::test]
async fn drains_of_the_group_outlive_what_happens_to_it() {
    let rig = group::alone();
    rig.tell(group::members(true, &[0, 1])).await.unwrap();
    rig.until("it serves", |r| dests(r).len() == 4).await;
    drain_member(&rig).await;
    for without in [group::members(true, &[0]), group::members(false, &[])] {
        rig.tell(without).await.unwrap();
        // TCP's has connections, and drains on like others that leave, where this node still leads.
        let of_member = |r: &LvsReport| dests(r).iter().filter(|d| *d == MEMBER).count();
        rig.until("it has left", |r| of_member(r) < 2).await;
        wait_kept(&rig, true).await;
        rig.tell(group::members(true, &[0, 1])).await.unwrap();
        rig.until("it is back", |r| of_member(r) == 2).await;
        member_is_drained(&rig, "the drain goes on").await;
    }
    rig.tell(group::members(false, &[])).await.unwrap();
    let undrain = DaemonCommand::LvsUndrain { service: group_service(), real: MEMBER.to_owned() };
    assert_eq!(rig.ask(undrain).await, DaemonReply::Ok);
    wait_kept(&rig, false).await;
}
