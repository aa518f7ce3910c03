//! A cable that comes back, on a node that always has something to send to its clients.

use super::{BOUND, trial};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 5;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

#[test]
fn a_cable_that_comes_back_silences_no_client() {
    let Some(t) = trial("a_cable_that_comes_back_silences_no_client", &[]) else { return };
    let (node, _) = t.roles();
    let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
    // While it has no link it goes on sending, and its kernel asks for the client in vain: once a second.
    let _sender = t.c.lab.probe_from(t.c.lab.node(node), &[CLIENT]).unwrap();
    let mut silences = Vec::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        t.c.lab.cut_cable(node, &t.c.iface).unwrap();
        t.c.wait_balanced(&others);
        // At another moment between two of the kernel's requests in every round.
        std::thread::sleep(
            Duration::from_millis(700 + u64::from(round) * 200).saturating_sub(began.elapsed()),
        );
        let mark = t.probe.mark("cable plugged in");
        t.c.lab.plug_cable(node, &t.c.iface).unwrap();
        t.whole_again("cable plugged in");
        silences.push(t.probe.report_since(&mark).unwrap().longest_gap());
        // To the witness an address that is back within 60 ms never left.
        std::thread::sleep(Duration::from_millis(200));
    }
    silences.sort();
    println!("measured: {}: cable plugged in: longest silences {silences:?}", t.name);
    let worst = silences.last().unwrap();
    assert!(*worst < BOUND, "silence of {worst:?}\n{}", t.c.describe());
}
