//! Cluster members as real servers (`91.lvs`): three daemons, one address, and clients whose connections all of them answer. A member is
//! disabled, the leader is shut down in order, and the next one is killed: who answers then, and that never two do for one question.

use super::{Connection, Directors, LONG};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tests::lab::{Mark, Probe, Witness};
use tests::vm::say;

const GROUP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 228);
/// Clients, each with an address of its own: persistence keeps all connections of one address with one member.
const CLIENTS: u8 = 12;

fn configure(d: &Directors) {
    for node in 0..3 {
        let base = d.c.lab.paths(node).base;
        let list = base.join("lvs_nodes");
        let options = format!(
            "CTDB_LVS_NODES={}\nCTDB_LVS_PUBLIC_IP={GROUP}\nCTDB_LVS_PUBLIC_IFACE=pub0\n",
            list.display()
        );
        fs::write(base.join("script.options"), options).unwrap();
        fs::write(list, "192.168.20.41\n192.168.20.42\n192.168.20.43\n").unwrap();
    }
}

struct Group {
    d: Directors,
    probe: Probe,
    witness: Witness,
    /// The number of the next client.
    client: u8,
}

impl Group {
    /// Waits until a node leads these members in its kernel, itself among them, and no other node has services.
    fn leads(&self, leader: usize, members: &[usize]) {
        let of = |proto: &str| -> Vec<String> {
            let addr = |m: &usize| {
                if *m == leader { "127.0.0.1".to_owned() } else { format!("192.168.20.{}", 41 + m) }
            };
            let head = format!("-A -{proto} {GROUP}:0 -s lc -p 1999999");
            let dests = members.iter().map(|m| format!("-a -{proto} {GROUP}:0 -r {}:0 -g -w 1", addr(m)));
            std::iter::once(head).chain(dests).collect()
        };
        let lines = [of("t"), of("u")].concat();
        self.d.wait_table(leader, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        for other in members.iter().filter(|m| **m != leader) {
            self.d.wait_table(*other, &[]);
        }
    }

    /// So many new clients, which stay connected; how many of them each node answered.
    fn new_clients(&mut self, count: u8) -> (BTreeMap<usize, usize>, Vec<Connection>) {
        let mut answered = BTreeMap::new();
        let connect = |n: u8| {
            let addr = IpAddr::from([10, 0, 0, 100 + n]);
            self.d.c.lab.client().add_address("eth0", addr, 24).unwrap();
            let connection = self.d.connect_to(&GROUP.to_string(), &["--from", &addr.to_string()]);
            *answered.entry(connection.connected().0).or_default() += 1;
            connection
        };
        let connections = (self.client..self.client + count).map(connect).collect();
        self.client += count;
        (answered, connections)
    }

    /// What became of an event: the address answers again, and never two nodes did, neither to ARP nor to the client.
    fn judge(&self, mark: &Mark) {
        let vip = IpAddr::V4(GROUP);
        self.probe.wait_answers(vip, LONG).unwrap_or_else(|e| panic!("{e}\n{}", self.d.c.describe()));
        let report = self.probe.report_since(mark).unwrap();
        let seen = report.get(vip).unwrap();
        assert_eq!(seen.dual(Duration::from_millis(60)), None, "{}", mark.label);
        say(&format!(
            "measured: the address of a group ({}): silence of {} ms, on an emulated machine",
            mark.label,
            seen.longest_gap().as_millis()
        ));
        let arp = self.witness.report().unwrap();
        assert!(arp.answers > 0, "{}: nobody answered ARP", mark.label);
        assert!(arp.duals.is_empty(), "{}: two nodes answered ARP: {:?}", mark.label, arp.duals);
    }
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn members_serve_and_the_address_moves_with_its_leader() {
    let test = "director::members::members_serve_and_the_address_moves_with_its_leader";
    let Some(mut d) = Directors::with(test, 3, 0, configure) else { return };
    (0..3).for_each(|node| d.serve(node));
    let witness = d.c.lab.arp_witness("pub0", GROUP, Duration::from_millis(10)).unwrap();
    let probe = d.c.lab.probe(&[IpAddr::V4(GROUP)]).unwrap();
    let mut g = Group { d, probe, witness, client: 0 };
    g.leads(0, &[0, 1, 2]);
    let mark = g.probe.mark("at rest");
    let (answered, connections) = g.new_clients(CLIENTS);
    let all: Vec<usize> = answered.keys().copied().collect();
    assert_eq!(all, [0, 1, 2], "all members answer: {answered:?}");
    say(&format!("measured: clients of a group by member: {answered:?}"));
    g.judge(&mark);

    // A member that is disabled gets no new connections; those of the others live.
    let mark = g.probe.mark("ctdb disable of a member");
    let _ = g.d.try_ctdb(2, &["disable"]);
    g.leads(0, &[0, 1]);
    // The kernel drops what comes from a UDP port that it has given to a member which has left, for as long as it remembers it.
    g.probe = g.d.c.lab.probe(&[IpAddr::V4(GROUP)]).unwrap();
    let (answered, _more) = g.new_clients(6);
    assert_eq!(answered.get(&2), None, "{answered:?}");
    assert_eq!(answered.len(), 2, "{answered:?}");
    assert!(connections.iter().all(|c| c.said().is_empty()), "somebody lost a connection");
    g.judge(&mark);
    let _ = g.d.try_ctdb(2, &["enable"]);
    g.leads(0, &[0, 1, 2]);

    let mark = g.probe.mark("shutdown of its leader");
    g.d.c.daemon(0).terminate().unwrap();
    g.d.c.daemon(0).wait_exit(LONG).unwrap();
    g.leads(1, &[1, 2]);
    let (answered, _more) = g.new_clients(6);
    assert_eq!(answered.keys().copied().collect::<Vec<_>>(), [1, 2], "{answered:?}");
    assert!(g.d.table(0).is_empty(), "{:?}", g.d.table(0));
    g.judge(&mark);
    g.d.c.start(0).unwrap();
    g.leads(0, &[0, 1, 2]);

    // Its services stay in the dead one's kernel, and nobody asks it.
    let mark = g.probe.mark("kill -9 of its leader");
    g.d.c.daemon(0).kill9().unwrap();
    g.leads(1, &[1, 2]);
    let (answered, _more) = g.new_clients(6);
    assert_eq!(answered.keys().copied().collect::<Vec<_>>(), [1, 2], "{answered:?}");
    g.judge(&mark);
    g.d.c.start(0).unwrap();
    g.leads(0, &[0, 1, 2]);
    let (answered, _more) = g.new_clients(6);
    assert_eq!(answered.len(), 3, "{answered:?}");
}
