//! Old files as they are found, and what is said about them.

use super::*;
use crate::config::load;
use crate::testkit::Host;
use proptest::prelude::*;

fn imported(text: &str) -> Imported {
    import("vs.conf", &Host::of(text)).unwrap_or_else(|e| panic!("{e:#?}"))
}

fn notes(i: &Imported, kind: Kind) -> Vec<String> {
    i.notes.iter().filter(|n| n.kind == kind).map(|n| format!("{}: {}", n.at.line, n.text)).collect()
}

/// R0-5: the file of field report R0.
const R0: &str = r#"serial_no = 12
primary = 192.168.142.10
service = lvs
backup_active = 1
backup = 192.168.142.11
heartbeat = 1
heartbeat_port = 539
keepalive = 30
deadtime = 18
network = direct
debug_level = NONE
monitor_links = 0
virtual web {
     active = 1
     address = 192.168.142.100 eth0:1
     vip_nmask = 255.255.255.0
     port = 80
     send = "GET / HTTP/1.0\r\n\r\n"
     expect = "HTTP"
     use_regex = 0
     load_monitor = none
     scheduler = wlc
     protocol = tcp
     timeout = 6
     reentry = 15
     quiesce_server = 0
     server one {
         address = 192.168.142.158
         active = 1
         port = 8080
         weight = 1
     }
     server two {
         address = 192.168.142.159
         active = 1
         weight = 2
     }
     server old {
         address = 192.168.142.160
         active = 0
     }
}
"#;

#[test]
fn r0_5_both_defects_are_named() {
    let i = imported(R0);
    assert_eq!(i.format, Format::Piranha);
    assert_eq!(
        notes(&i, Kind::Wrong),
        [
            "8: a heartbeat every 30 s is rarer than the dead time of 18 s: each director takes the other for dead between two heartbeats",
            "30: direct routing cannot change the port: the real server must listen on 80, or use nat",
        ]
    );
    assert_eq!(i.public_addresses, ["192.168.142.100/24 eth0"]);
    assert_eq!(i.nodes, ["192.168.142.10", "192.168.142.11"]);
    assert!(
        notes(&i, Kind::Lost).iter().any(|n| n.contains("server old (192.168.142.160) is not active")),
        "{:#?}",
        i.notes
    );
    assert!(load("vs.conf", &Host::of(&i.virtual_servers)).is_err(), "what is wrong stays refused");
    let sound = imported(&R0.replace("8080", "80").replace("keepalive = 30", "keepalive = 6"));
    assert_eq!(notes(&sound, Kind::Wrong), [""; 0]);
    let (config, _) = load("vs.conf", &Host::of(&sound.virtual_servers)).unwrap();
    let [a, b] = config.virtual_servers[0].real_servers.as_slice() else { panic!("{config:?}") };
    assert_eq!(
        (a.name().as_str(), b.name().as_str(), b.weight),
        ("192.168.142.158:80", "192.168.142.159:80", 2)
    );
    assert_eq!((a.checks[0].timing.delay_loop.as_secs(), a.checks[0].timing.rise), (3, 5));
}

#[test]
fn the_text_of_a_piranha_file() {
    let text = imported(
        "network = nat\nnat_router = 10.0.0.1 eth1:1\nnat_nmask = 255.255.255.0\nvirtual dns {\n address = 192.0.2.1 eth0:1\n fwmark = 3\n\
         port = 53\n protocol = udp\n persistent = 300\n pmask = 255.255.255.0\n quiesce_server = 1\n send_program = \"/x %h\"\n\
         server a {\n address = 10.0.0.2\n }\n}\n",
    );
    assert_eq!(
        text.virtual_servers,
        "virtual_server fwmark 3 {\n    delay_loop 3\n    lvs_sched wlc\n    lvs_method NAT\n    protocol UDP\n    retry 1\n    \
         delay_before_retry 3\n    rise 5\n    persistence_timeout 300\n    persistence_granularity 255.255.255.0\n    \
         inhibit_on_failure\n    real_server 10.0.0.2 53 {\n        weight 1\n        UDP_CHECK\n    }\n}\n"
    );
    assert_eq!(text.public_addresses, ["10.0.0.1/24 eth1", "192.0.2.1/32 eth0"]);
    assert!(
        notes(&text, Kind::Lost)[0].starts_with("12: send_program /x %h: it was judged by what it prints")
    );
}

/// R2: a pair of keepalived's, with the unquoted script.
const R2: &str = r#"! Configuration File
global_defs {
    router_id LVS_1
    notification_email { a@example
    }
    lvs_timeouts tcp 900
}
vrrp_script chk {
    script /opt/check arg
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    nopreempt
    unicast_src_ip 10.9.0.1
    unicast_peer {
        10.9.0.2
    }
    virtual_ipaddress {
        192.0.2.1/24 dev eth1 label eth1:1
        2001:db8::1/64
        192.0.2.9
    }
    notify_master /opt/check
    dont_track_primary
}
virtual_server 192.0.2.1 80 {
    lb_kind DR
    real_server 10.0.0.1 80 {
        snmp_name one
        MISC_CHECK {
            misc_path /opt/check -H "www.example" 10.0.0.1
        }
        FILE_CHECK {
            track_file x
        }
    }
}
"#;

#[test]
fn a_whole_keepalived_conf() {
    let i = imported(R2);
    assert_eq!(i.format, Format::Keepalived);
    assert_eq!(i.public_addresses, ["192.0.2.1/24 eth1", "2001:db8::1/64 eth0", "192.0.2.9/32 eth0"]);
    assert_eq!(i.nodes, ["10.9.0.1", "10.9.0.2"]);
    assert_eq!(
        notes(&i, Kind::Wrong),
        [
            "9: the script has arguments but no quotes: it should be \"/opt/check arg\"",
            "35: the program of misc_path has arguments but no quotes, so only its first word was run; written as \"/opt/check -H \
              www.example 10.0.0.1\"",
        ]
    );
    let lost = notes(&i, Kind::Lost);
    assert_eq!(
        lost,
        [
            "4: notification_email: mail is not part of ctdb-ip; /etc/ctdb/notify.sh is told of changes",
            "28: dont_track_primary (vrrp_instance VI_1) has no counterpart",
            "33: snmp_name: SNMP is not part of ctdb-ip",
            "37: FILE_CHECK: a MISC_CHECK with misc_dynamic can read the file",
        ]
    );
    assert_eq!(
        i.virtual_servers,
        "lvs_timeouts tcp 900\n\nvirtual_server 192.0.2.1 80 {\n    lb_kind DR\n    real_server 10.0.0.1 80 {\n        MISC_CHECK {\n            \
         misc_path \"/opt/check -H www.example 10.0.0.1\"\n        }\n    }\n}\n"
    );
    let (config, findings) = load("vs.conf", &Host::of(&i.virtual_servers)).unwrap();
    assert_eq!((config.virtual_servers.len(), findings), (1, vec![]));
}

#[test]
fn what_is_no_file_of_blocks_is_refused() {
    let said = import("vs.conf", &Host::of("virtual_server 192.0.2.1 80 {")).unwrap_err();
    assert_eq!(said[0].to_string(), "vs.conf:1: the block of virtual_server is not closed: a } is missing");
    assert_eq!(
        import("gone", &Host::of("")).unwrap_err()[0].to_string(),
        "gone:1: cannot be read: no such file"
    );
}

proptest! {
    /// What is printed reads back as the same words and blocks.
    #[test]
    fn printing_is_lossless(words in proptest::collection::vec("[a-z#!{}\\\\\"' \\n0-9.]{1,6}", 1..6)) {
        let at = Place { file: "vs.conf".into(), line: 1 };
        let word = |t: &String| crate::config::token::Word { text: t.clone(), quoted: true, at: at.clone() };
        let inner = Statement { keyword: word(&words[0]), args: words[1..].iter().map(word).collect(), block: None };
        let outer = Statement { block: Some(vec![inner.clone(), inner.clone()]), ..inner };
        let mut report = Report::default();
        let text = print(std::slice::from_ref(&outer));
        let back = tree::read("vs.conf", &Host::of(&text), &mut report);
        prop_assert!(!report.failed(), "{text}");
        let texts = |s: &Statement| [vec![s.name().to_owned()], s.texts().iter().map(|t| (*t).to_owned()).collect()].concat();
        prop_assert_eq!(back.len(), 1);
        prop_assert_eq!(texts(&back[0]), texts(&outer));
        prop_assert_eq!(back[0].block.as_ref().unwrap().iter().map(texts).collect::<Vec<_>>(), vec![texts(&outer), texts(&outer)]);
    }

    #[test]
    fn any_text_is_imported(text in "([a-z_]{1,8}|=|virtual|server|address|\\{|\\}|\\n|1|vrrp_instance|virtual_ipaddress| ){0,60}") {
        let _ = import("vs.conf", &Host::of(&text));
    }
}
