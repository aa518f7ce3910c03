//! `kill -9` of the daemon: its services stay in the kernel and serve on; the next daemon puts right what is not wanted any more.

use super::Directors;

const CONF: &str = "
lvs_sync_daemon priv0
virtual_server 10.0.0.31 7008 {
    delay_loop 1
    lvs_sched rr
    lvs_method DR
    real_server 10.0.0.12 7008 {
    }
}
virtual_server 10.0.0.31 7009 {
    lvs_sched rr
    lvs_method DR
    real_server 10.0.0.12 7009 {
    }
}";

const OTHER: &str = "
virtual_server 10.0.0.31 7008 {
    delay_loop 1
    lvs_sched rr
    lvs_method DR
    real_server 10.0.0.12 7008 {
    }
}";

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn the_next_daemon_clears_what_a_dead_one_left() {
    let test = "director::crash::the_next_daemon_clears_what_a_dead_one_left";
    let Some(mut d) = Directors::new(test, 1, 1, CONF) else { return };
    let of = |port: u16| {
        [
            format!("-A -t 10.0.0.31:{port} -s rr"),
            format!("-a -t 10.0.0.31:{port} -r 10.0.0.12:{port} -g -w 1"),
        ]
    };
    let (kept, dropped) = (of(7008), of(7009));
    let both = [&kept[0], &kept[1], &dropped[0], &dropped[1]].map(String::as_str);
    let daemons = |d: &Directors| {
        let text = d.on(0, "ipvsadm", &["-Ln", "--daemon"]);
        text.lines().filter(|l| l.contains("sync daemon")).count()
    };
    d.wait_table(0, &both);
    d.wait("a sync daemon", || if daemons(&d) == 1 { Ok(()) } else { Err(format!("{:#}", d.services(0))) });
    // Somebody else's service is never touched.
    d.on(0, "ipvsadm", &["-A", "-t", "10.0.0.99:1", "-s", "rr"]);
    let foreign = "-A -t 10.0.0.99:1 -s rr";
    let connection = d.connect();
    assert_eq!(connection.connected().0, 1);

    d.c.daemon(0).kill9().unwrap();
    d.wait_table(0, &[&both[..], &[foreign]].concat());
    d.configure(0, OTHER);
    d.c.start(0).unwrap();
    d.wait_table(0, &[&kept[0], &kept[1], foreign]);
    d.wait("no sync daemon", || {
        let n = daemons(&d);
        if n == 0 { Ok(()) } else { Err(format!("{n} run\n{:#}", d.services(0))) }
    });
    // The service that stays was never deleted: its connection is known, and lives.
    let text = d.on(0, "cat", &["/proc/net/ip_vs_conn"]);
    assert!(text.contains("0A00001F 1B60 0A00000C 1B60 ESTABLISHED"), "{text}");
    assert_eq!(connection.said(), Vec::<String>::new());

    // Without the file there is no director any more; what the dead one left goes all the same.
    d.c.daemon(0).kill9().unwrap();
    std::fs::remove_file(d.c.lab.paths(0).base.join("virtual_servers.conf")).unwrap();
    d.c.start(0).unwrap();
    d.wait_table(0, &[foreign]);
    d.wait_services(0, "off", |s| s["state"]["is"] == "off");
}
