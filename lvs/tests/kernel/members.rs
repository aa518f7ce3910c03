//! The services of a group of cluster members are in the kernel what CTDB's `91.lvs` makes there by `ipvsadm`.

use crate::net::{alone, converge, ipvsadm, run};
use lvs::config::{Config, Place};
use lvs::diff::diff;
use lvs::director::Director;
use lvs::ipvs::{Ipvs, Kernel};
use lvs::members::Members;
use lvs::model::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

const VIP: &str = "10.0.0.228";

fn desired(nodes: &[u8]) -> Table {
    let members = Members {
        vip: VIP.parse().expect(VIP),
        at: Place { file: "script.options".into(), line: 1 },
        leads: true,
        nodes: nodes.iter().map(|n| IpAddr::from([192, 168, 20, *n])).collect(),
        me: [192, 168, 20, 41].into(),
    };
    let mut director = Director::new(1, BTreeSet::new());
    drop(director.reload(members.with(Config::default()), Duration::ZERO));
    director.desired(&Table::new(), &BTreeMap::new(), Duration::ZERO)
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn cluster_members_are_the_table_of_91_lvs() {
    alone(|| {
        let mut kernel = Kernel::open().expect("IPVS");
        converge(&mut kernel, &desired(&[41, 42, 43]));
        let ours = ipvsadm();
        // A node that goes costs a request for each protocol, and an unchanged list none.
        let actual = kernel.read().expect("the table").table;
        let owned: BTreeSet<_> = actual.services.keys().copied().collect();
        assert_eq!(diff(&desired(&[41, 42, 43]), &actual, &owned), []);
        assert_eq!(diff(&desired(&[41, 43]), &actual, &owned).len(), 2);
        run("ipvsadm", &["-C"], "");
        for protocol in ["-t", "-u"] {
            run("ipvsadm", &["-A", protocol, VIP, "-p", "1999999", "-s", "lc"], "");
            for node in ["127.0.0.1", "192.168.20.42", "192.168.20.43"] {
                run("ipvsadm", &["-a", protocol, VIP, "-r", node, "-g"], "");
            }
        }
        assert_eq!(ipvsadm(), ours);
    });
}
