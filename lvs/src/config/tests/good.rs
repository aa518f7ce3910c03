//! Configurations that are taken, with every value that comes of them.

use super::super::check_types::*;
use super::*;
use crate::model::{Checksum, Forward, Granularity, Persistence, SchedFlags, ServiceId, Tunnel};
use std::net::Ipv4Addr;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

fn ids(vs: &VirtualServer) -> Vec<String> {
    vs.services.keys().map(ServiceId::to_string).collect()
}

/// A block as it is found in tutorials, in keepalived's older spelling, with every kind of comment and brace.
#[test]
fn a_block_from_anywhere() {
    let config = good(
        "! Configuration File for keepalived\n\
         virtual_server 192.168.142.100 80\n{\n\
         \tdelay_loop 6   # seconds\n    lb_algo wrr\n    lb_kind DR !direct\n    persistence_timeout 50\n    protocol TCP\n\
         \n    real_server 192.168.142.158 80 {\n        weight 3\n        TCP_CHECK {\n            connect_timeout 3\n\
         \x20           nb_get_retry 2\n            delay_before_retry 1.5\n        }\n    }\n\
         real_server 192.168.142.159 80{\nHTTP_GET{\nurl{ path /\n}\n}}\n}\n",
    );
    let [vs] = config.virtual_servers.as_slice() else { panic!("{config:?}") };
    assert_eq!(ids(vs), ["tcp 192.168.142.100:80"]);
    let settings = vs.services.values().next().unwrap();
    assert_eq!(settings.scheduler.as_str(), "wrr");
    let granularity = Granularity::V4(Ipv4Addr::BROADCAST);
    assert_eq!(settings.persistence, Some(Persistence { timeout: 50, granularity, engine: None }));
    let [a, b] = vs.real_servers.as_slice() else { panic!("{vs:?}") };
    assert_eq!((a.weight, a.forward, b.weight), (3, Forward::Dr, 1));
    let timing = Timing {
        delay_loop: S * 6,
        connect_timeout: S * 3,
        retry: 2,
        delay_before_retry: S * 3 / 2,
        warmup: S * 6,
        rise: 1,
    };
    assert_eq!(
        (&a.checks[0].kind, a.checks[0].timing, a.checks[0].target.port),
        (&CheckKind::Tcp, timing, 80)
    );
    let CheckKind::Http(http) = &b.checks[0].kind else { panic!("{b:?}") };
    assert_eq!((http.urls[0].path.as_str(), http.urls[0].status.as_slice()), ("/", [(200, 299)].as_slice()));
}

/// keepalived.conf(5): what is not said.
#[test]
fn defaults_are_keepaliveds() {
    let config = good(
        "virtual_server 192.0.2.1 80 {
         real_server 10.0.0.1 80 {
            TCP_CHECK { }
            HTTP_GET {
              url { path /
              }
            }
            DNS_CHECK { }
            MISC_CHECK { misc_path /opt/check
            }
            PING_CHECK
            UDP_CHECK
            SMTP_CHECK
         } }",
    );
    let vs = &config.virtual_servers[0];
    assert_eq!(
        (vs.quorum, vs.hysteresis, vs.ha_suspend, vs.omega, vs.drain_timeout),
        (1, 0, false, false, Duration::ZERO)
    );
    assert_eq!(vs.services.values().next().unwrap(), &Default::default());
    let r = &vs.real_servers[0];
    assert_eq!((r.weight, r.forward, r.upper, r.lower, r.inhibit_on_failure), (1, Forward::Nat, 0, 0, false));
    let times: Vec<_> = r
        .checks
        .iter()
        .map(|c| (c.kind.name(), c.timing.retry, c.timing.delay_before_retry.as_secs()))
        .collect();
    assert_eq!(
        times,
        [
            ("TCP_CHECK", 1, 1),
            ("HTTP_GET", 1, 3),
            ("DNS_CHECK", 3, 60),
            ("MISC_CHECK", 0, 1),
            ("PING_CHECK", 1, 1),
            ("UDP_CHECK", 1, 1),
            ("SMTP_CHECK", 1, 1)
        ]
    );
    let all =
        |c: &Check| (c.timing.delay_loop, c.timing.connect_timeout, c.timing.warmup, c.timing.rise, c.alpha);
    assert!(r.checks.iter().all(|c| all(c) == (S * 60, S * 5, S * 60, 1, false)));
    assert_eq!(r.checks[2].kind, CheckKind::Dns { query: DnsType::Soa, name: ".".to_owned() });
}

/// The more special place wins; the order within a block does not matter.
#[test]
fn settings_are_inherited() {
    let config = good(
        "virtual_server 192.0.2.1 80 {
            real_server 10.0.0.1 80 {
                SSL_GET {
                    url { path /a
                    }
                    url {
                        path /b
                        virtualhost url.example
                    }
                    retry 9
                }
                retry 7
                virtualhost real.example
            }
            real_server 10.0.0.2 80 { TCP_CHECK
                lvs_method NAT
            }
            retry 5
            delay_loop 2
            warmup 0
            alpha
            virtualhost virtual.example
            inhibit_on_failure
            lvs_method TUN type gue port 5555 csum
         }
         SSL {
            ca /etc/ca.pem
         }",
    );
    let [a, b] = config.virtual_servers[0].real_servers.as_slice() else { panic!("{config:?}") };
    assert_eq!((a.checks[0].timing.retry, b.checks[0].timing.retry), (9, 5));
    assert_eq!((a.checks[0].timing.delay_loop, b.checks[0].timing.warmup), (S * 2, Duration::ZERO));
    assert!(a.checks[0].alpha && b.inhibit_on_failure);
    assert_eq!(a.forward, Forward::Tun(Tunnel::Gue { port: 5555, csum: Checksum::Csum }));
    assert_eq!(b.forward, Forward::Nat);
    let CheckKind::Http(http) = &a.checks[0].kind else { panic!("{a:?}") };
    let hosts: Vec<_> = http.urls.iter().map(|u| u.virtualhost.as_deref()).collect();
    assert_eq!(hosts, [Some("real.example"), Some("url.example")]);
    assert_eq!(http.tls.as_ref().unwrap().ca.as_deref(), Some("/etc/ca.pem"));
}

#[test]
fn groups_ranges_and_marks() {
    let config = good(
        "virtual_server_group web {
            192.0.2.1 80
            192.0.2.4-5 http
            192.0.2.254-192.0.3.1 80
            192.0.2.8/31 80
            fwmark 7
         }
         virtual_server_group six { 2001:db8::fe-100 53
         }
         virtual_server group web {
            real_server 10.0.0.1 {
                TCP_CHECK { connect_port 80
                }
            }
         }
         virtual_server group six {
            protocol UDP
            ops
            sh-port
            mh-fallback
            lvs_sched mh
            real_server fd00::1 53
         }
         virtual_server fwmark 5 {
            ip_family inet6
            real_server fd00::1 0
         }
         virtual_server 192.0.2.77 {
            persistence_timeout
            persistence_granularity 255.255.255.0
            lvs_method DR
            real_server 10.0.0.1
         }",
    );
    let [web, six, mark, any] = config.virtual_servers.as_slice() else { panic!("{config:?}") };
    let addrs =
        ["1:80", "4:80", "5:80", "8:80", "9:80", "254:80", "255:80"].map(|a| format!("tcp 192.0.2.{a}"));
    let rest = ["tcp 192.0.3.0:80", "tcp 192.0.3.1:80", "fwmark 7 inet"].map(str::to_owned);
    assert_eq!(ids(web), [addrs.as_slice(), &rest].concat());
    assert_eq!(ids(six), ["udp [2001:db8::fe]:53", "udp [2001:db8::ff]:53", "udp [2001:db8::100]:53"]);
    let settings = six.services.values().next().unwrap();
    assert_eq!(settings.sched_flags, SchedFlags { flag1: true, flag2: true, flag3: false });
    assert!(settings.one_packet);
    assert_eq!(ids(mark), ["fwmark 5 inet6"]);
    assert_eq!(ids(any), ["tcp 192.0.2.77:0"]);
    let p = any.services.values().next().unwrap().persistence.clone().unwrap();
    assert_eq!((p.timeout, p.granularity), (360, Granularity::V4(Ipv4Addr::new(255, 255, 255, 0))));
    let dest = |vs: &VirtualServer| {
        vs.services
            .keys()
            .map(|id| vs.real_servers[0].dest(id).to_string())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(
        dest(web).into_iter().collect::<Vec<_>>(),
        ["10.0.0.1:0", "10.0.0.1:80"],
        "the service's port"
    );
}

/// R2-5: a path with blanks, arguments, users; quotes within quotes; escapes.
#[test]
fn programs_with_arguments() {
    let mut host = Host::of("");
    host.programs.push("/opt/my checks/http check".to_owned());
    host.files.insert(
        "vs.conf".to_owned(),
        r#"virtual_server 192.0.2.1 80 {
            quorum_up "/opt/check up 'two words'" nobody nogroup
            real_server 10.0.0.1 80 {
                MISC_CHECK {
                    misc_path "'/opt/my checks/http check' -H \"a b\" -p 80"
                    misc_timeout 3
                    misc_dynamic
                    user nobody
                }
                notify_down /opt/check
            }
        }"#
        .to_owned(),
    );
    let (config, findings) = load("vs.conf", &host).unwrap();
    assert_eq!(findings, []);
    let vs = &config.virtual_servers[0];
    let up = vs.quorum_up.as_ref().unwrap();
    assert_eq!(up.argv, ["/opt/check", "up", "two words"]);
    assert_eq!((up.user.as_deref(), up.group.as_deref()), (Some("nobody"), Some("nogroup")));
    let CheckKind::Misc { script, timeout, dynamic } = &vs.real_servers[0].checks[0].kind else { panic!() };
    assert_eq!(script.argv, ["/opt/my checks/http check", "-H", "a b", "-p", "80"]);
    assert_eq!((*timeout, *dynamic, script.user.as_deref()), (Some(S * 3), true, Some("nobody")));
}

#[test]
fn http_and_udp_in_full() {
    let config = good(
        r#"virtual_server 192.0.2.1 443 {
            sorry_server 10.0.0.99 8443
            sorry_server_inhibit
            quorum 2
            hysteresis 1
            real_server 10.0.0.1 443 {
                weight 65535
                uthreshold 100
                lthreshold 50
                SSL_GET {
                    http_protocol 1.1
                    enable_sni
                    sni_name www.example
                    ca /etc/ours.pem
                    fast_recovery
                    url {
                        path /status?full=1
                        status_code 200 301-302
                        digest 9B3A0C85A887A256D6939DA88AABD8CD
                        regex "^all (is )?well \d{2}$"
                        regex_options caseless dotall
                        regex_no_match
                        regex_min_offset 4
                        regex_max_offset 400
                    }
                    connect_ip 10.0.0.2
                    bindto 10.0.0.254
                    bind_if eth1
                    bind_port 999
                    fwmark 3
                    log_all_failures
                }
                UDP_CHECK {
                    payload Ab12f 3 456 546443123
                    require_reply 0x 1
                    min_reply_length 2
                    max_reply_length 9
                }
            }
        }
        lvs_sync_daemon eth1 VI_1 id 7 maxlen 1400 port 8849 ttl 2 group 224.0.0.82
        lvs_timeouts tcp 900 udp 300"#
            .replace(r"\d", r"\\d")
            .as_str(),
    );
    let vs = &config.virtual_servers[0];
    let sorry = vs.sorry.as_ref().unwrap();
    assert_eq!((sorry.port, sorry.inhibit, sorry.forward), (Some(8443), true, Forward::Nat));
    let r = &vs.real_servers[0];
    assert_eq!((r.weight, r.upper, r.lower), (65535, 100, 50));
    let CheckKind::Http(http) = &r.checks[0].kind else { panic!() };
    let tls = Tls {
        enable_sni: true,
        sni_name: Some("www.example".to_owned()),
        ca: Some("/etc/ours.pem".to_owned()),
    };
    assert_eq!((http.version, http.fast_recovery, http.tls.as_ref()), (HttpVersion::V1_1, true, Some(&tls)));
    let regex = UrlRegex {
        pattern: r"^all (is )?well \d{2}$".to_owned(),
        no_match: true,
        options: vec!["caseless".to_owned(), "dotall".to_owned()],
        min_offset: 4,
        max_offset: Some(400),
    };
    assert_eq!(http.urls[0].regex.as_ref(), Some(&regex));
    assert_eq!(http.urls[0].status, [(200, 200), (301, 302)]);
    assert_eq!(http.urls[0].digest.as_deref(), Some("9b3a0c85a887a256d6939da88aabd8cd"));
    let t = &r.checks[0].target;
    assert_eq!(
        (t.addr.to_string().as_str(), t.port, t.bind_port, t.fwmark),
        ("10.0.0.2", 443, Some(999), Some(3))
    );
    let CheckKind::Udp(udp) = &r.checks[1].kind else { panic!() };
    // The example of keepalived.conf(5).
    let payload = [0xAB, 0x12, 0x0F, 0x03, 0x45, 0x06, 0x54, 0x64, 0x43, 0x12, 0x03];
    assert_eq!(udp.payload.as_deref(), Some(payload.as_slice()));
    let reply = udp.reply.as_ref().unwrap();
    for (bytes, fits) in [
        (&[0x05, 1][..], true),
        (&[0x15, 1], false),
        (&[0x05, 2], false),
        (&[0x05], false),
        (&[5, 1, 9], true),
        (&[5, 1, 0, 0, 0, 0, 0, 0, 0, 0], false),
    ] {
        assert_eq!(reply.accepts(bytes), fits, "{bytes:?}");
    }
    let sync = config.sync.as_ref().unwrap();
    assert_eq!(
        (sync.iface.as_str(), sync.id, sync.maxlen, sync.port, sync.ttl),
        ("eth1", 7, Some(1400), Some(8849), Some(2))
    );
    assert_eq!(
        (config.timeouts.tcp, config.timeouts.tcpfin, config.timeouts.udp),
        (Some(900), None, Some(300))
    );
}

/// Files within files, relative to the file that names them; errors carry the right file.
#[test]
fn included_files() {
    let mut host = Host::of("");
    for (name, text) in [
        ("/etc/ctdb/vs.conf", "include vs.d/*.conf\ninclude none.d/*.conf\n"),
        ("/etc/ctdb/vs.d/a.conf", "virtual_server 192.0.2.1 80 {\n include real/one\n}\n"),
        ("/etc/ctdb/vs.d/real/one", "real_server 10.0.0.1 80\n\nreal_server 10.0.0.2 80 {\n weigth 3\n}\n"),
    ] {
        host.files.insert(name.to_owned(), text.to_owned());
    }
    let (config, failed, findings) = check("/etc/ctdb/vs.conf", &host);
    assert!(failed);
    assert_eq!(config.virtual_servers[0].real_servers.len(), 2);
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["/etc/ctdb/vs.d/real/one:4: unknown keyword \"weigth\" in real_server: did you mean weight?"]
    );
}

/// Everything can be told to others as JSON and comes back.
#[test]
fn a_configuration_is_data() {
    let config = good("virtual_server 192.0.2.1 80 {\n real_server 10.0.0.1 80 {\n TCP_CHECK\n }\n}");
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
}

/// The port of a mark's destination counts where it is translated to, only.
#[test]
fn ports_of_a_mark() {
    let config = good(
        "virtual_server fwmark 9 {
            lvs_method DR
            real_server 10.0.0.1 80
            real_server 10.0.0.2 80 { lvs_method TUN
            }
            real_server 10.0.0.3 8080 { lvs_method NAT
                TCP_CHECK { }
            }
            sorry_server 10.0.0.4 80
         }",
    );
    let vs = &config.virtual_servers[0];
    let mark = vs.services.keys().next().unwrap();
    let dests: Vec<String> = vs.real_servers.iter().map(|r| r.dest(mark).to_string()).collect();
    assert_eq!(dests, ["10.0.0.1:0", "10.0.0.2:0", "10.0.0.3:8080"]);
    assert_eq!(vs.sorry.as_ref().unwrap().dest(mark).to_string(), "10.0.0.4:0");
    assert_eq!(vs.real_servers[2].checks[0].target.port, 8080, "checks connect to the port that is written");
}
