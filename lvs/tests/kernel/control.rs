//! Time-outs, the kernel's own data, connection sync daemons; and connections that a second director learns by them.

use crate::net::{Switch, alone, converge, run, wait_for};
use crate::table::{dest, id, settings, table};
use crate::traffic::{ask, serve};
use lvs::config::{SyncDaemon, Timeouts};
use lvs::ipvs::{Kernel, KernelTimeouts, Role};
use lvs::model::Forward;

fn sync(iface: &str, id: u8) -> SyncDaemon {
    SyncDaemon { iface: iface.to_owned(), id, maxlen: None, port: None, ttl: None, group: None }
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn timeouts_and_info() {
    alone(|| {
        let mut kernel = Kernel::open().expect("IPVS");
        assert_eq!(kernel.timeouts().expect("time-outs"), KernelTimeouts { tcp: 900, tcpfin: 120, udp: 300 });
        let wanted = Timeouts { tcp: Some(7200), tcpfin: None, udp: Some(30) };
        assert!(kernel.set_timeouts(&wanted).expect("time-outs"));
        assert_eq!(kernel.timeouts().expect("time-outs"), KernelTimeouts { tcp: 7200, tcpfin: 120, udp: 30 });
        assert!(!kernel.set_timeouts(&wanted).expect("time-outs"), "nothing to send");
        assert!(run("ipvsadm", &["-Ln", "--timeout"], "").contains("7200 120 30"));
        let refused = kernel.set_timeouts(&Timeouts { tcp: Some(u32::MAX), ..wanted }).expect_err("too long");
        assert!(refused.to_string().starts_with("set the time-outs: EINVAL (errno 22)"), "{refused}");
        let info = kernel.info().expect("info");
        assert_eq!(info.version_text(), "1.2.1");
        assert!(info.table_size.is_power_of_two(), "{info:?}");
    });
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn sync_daemons_follow_what_is_wanted() {
    let switch = Switch::new("sd", 1);
    switch.on(1, || {
        let mut kernel = Kernel::open().expect("IPVS");
        assert_eq!(kernel.sync_daemons().expect("daemons"), []);
        let wanted = sync("eth0", 7);
        let started = kernel.set_sync_daemons(&[Role::Backup], &wanted).expect("start");
        assert_eq!(started, ["start the sync daemon (backup, eth0, id 7)"]);
        assert_eq!(kernel.set_sync_daemons(&[Role::Backup], &wanted).expect("nothing"), Vec::<String>::new());
        assert!(
            run("ipvsadm", &["-Ln", "--daemon"], "").contains("backup sync daemon (mcast=eth0, syncid=7")
        );
        // The address comes: master here, backup elsewhere.
        assert_eq!(kernel.set_sync_daemons(&[Role::Master], &wanted).expect("change").len(), 2);
        // Other settings: it is started anew with all of them.
        let all = SyncDaemon {
            id: 8,
            maxlen: Some(1200),
            port: Some(8850),
            ttl: Some(3),
            group: Some([224, 0, 1, 99].into()),
            ..sync("eth0", 8)
        };
        assert_eq!(kernel.set_sync_daemons(&[Role::Master, Role::Backup], &all).expect("change").len(), 3);
        let running = kernel.sync_daemons().expect("daemons");
        assert_eq!(running.len(), 2);
        assert!(running.iter().all(|s| s.with == all), "{running:?}");
        assert_eq!(kernel.stop_sync_daemons().expect("stop").len(), 2);
        assert_eq!(kernel.sync_daemons().expect("daemons"), []);
        let refused =
            kernel.set_sync_daemons(&[Role::Master], &sync("nosuch0", 1)).expect_err("no such interface");
        assert!(
            refused
                .to_string()
                .starts_with("start the sync daemon (master, nosuch0, id 1): ENODEV (errno 19)"),
            "{refused}"
        );
    });
}

/// What a fail-over lives on: the backup knows the connection that went through the master.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn a_backup_learns_connections() {
    // 1 client, 2 master, 3 backup, 4 real server.
    let switch = Switch::new("sy", 4);
    let web = id("tcp 10.9.0.100:80");
    let wanted = table([(web, settings("rr"), vec![dest("10.9.0.4:80", Forward::Dr, 1)])]);
    for (host, role) in [(2, Role::Master), (3, Role::Backup)] {
        let wanted = wanted.clone();
        switch.on(host, move || {
            let mut kernel = Kernel::open().expect("IPVS");
            // From the first packet of a connection on; the default waits for the third.
            crate::net::sysctl("ipv4/vs/sync_threshold", "0 1");
            converge(&mut kernel, &wanted);
            kernel.set_sync_daemons(&[role], &sync("eth0", 5)).expect("sync daemon");
        });
    }
    switch.ip(2, "addr add 10.9.0.100/32 dev eth0\n");
    switch.ip(4, "addr add 10.9.0.100/32 dev lo\n");
    switch.on(4, || {
        crate::net::sysctl("ipv4/conf/all/arp_ignore", "1");
        // Else its ARP request tells the client that the virtual address is here, and nothing passes the director any more.
        crate::net::sysctl("ipv4/conf/all/arp_announce", "2");
        serve("10.9.0.100:80", "real");
    });
    let open = switch.on(1, || ask("10.9.0.100:80").expect("a connection"));
    assert_eq!(open.0, "real");
    let learnt = || std::fs::read_to_string("/proc/thread-self/net/ip_vs_conn").expect("connections");
    wait_for("the connection on the backup", || {
        let text = switch.on(3, learnt);
        // 10.9.0.100 and 10.9.0.4 as the kernel writes them.
        if text.contains("0A090064") && text.contains("0A090004") { Ok(()) } else { Err(text) }
    });
}
