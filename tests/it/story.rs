//! The stories of first light, on real interfaces: what an operator would see, letter by letter.

use tests::cluster::{Cluster, ClusterConfig};

#[test]
fn a_cluster_comes_up_and_shows_itself() {
    let Some(c) = Cluster::for_test("a_cluster_comes_up_and_shows_itself", &ClusterConfig::default()) else {
        return;
    };
    let status = c.ctdb(0, &["status"]);
    println!("{status}");
    println!("{}", c.ctdb(0, &["ip"]));
}
