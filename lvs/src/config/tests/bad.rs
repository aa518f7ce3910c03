//! What is refused, with the very words.

use super::*;

/// A real server block within a sound virtual server on port 80 with a given method; the block begins on line 3.
fn real(method: &str, rest: &str) -> String {
    format!("virtual_server 192.0.2.1 80 {{\nlvs_method {method}\n{rest}\n}}")
}

#[test]
fn r0_1_direct_routing_cannot_change_the_port() {
    for method in ["DR", "dr"] {
        assert_eq!(
            findings(&real(method, "real_server 192.168.142.158 8080")),
            ["3: direct routing cannot change the port: the real server must listen on 80, or use nat"]
        );
    }
    assert_eq!(
        findings(&real("TUN", "real_server 10.0.0.1 80\nsorry_server 10.0.0.2 8080")),
        ["4: tunnelling cannot change the port: the real server must listen on 80, or use nat"]
    );
    for fine in ["real_server 10.0.0.1 80", "real_server 10.0.0.1", "real_server 10.0.0.1 0"] {
        assert_eq!(findings(&real("DR", fine)), [""; 0]);
    }
    assert_eq!(findings(&real("NAT", "real_server 10.0.0.1 8080")), [""; 0]);
    assert_eq!(
        findings(
            "virtual_server 192.0.2.1 {\npersistence_timeout\nlvs_method DR\nreal_server 10.0.0.1 80\n}"
        ),
        [
            "4: direct routing cannot change the port: real_server 10.0.0.1:80 serves every port of tcp 192.0.2.1:0, not 80; leave its \
          port out, or use nat"
        ]
    );
}

/// Every finding of one file, in the order of its lines.
#[test]
fn all_errors_at_once() {
    let text = "global_defs {\n router_id x\n}\nvirtual_server 192.0.2.1 80 {\n lvs_schedd rr\n delay_loop soon\n quorum 0\n\
                real_server 10.0.0.300 80 {\n weight -1\n}\n real_server 10.0.0.1 80 {\n weight 70000\n TCP_CHEK {\n }\n }\n}\n";
    assert_eq!(
        findings(text),
        [
            "1: global_defs does not belong into a file of virtual servers: `ctdb lvs import FILE` turns a whole keepalived.conf into \
             virtual servers, public addresses and a list of the rest",
            "5: unknown keyword \"lvs_schedd\" in virtual_server: did you mean lvs_sched?",
            "6: delay_loop takes seconds, such as 3 or 0.5, not \"soon\"",
            "7: quorum takes a number from 1 to 2147483647, not \"0\"",
            "8: \"10.0.0.300\" is no address: write 192.0.2.1 or 2001:db8::1",
            "12: weight takes a number from 0 to 65535, not \"70000\"",
            "13: unknown keyword \"TCP_CHEK\" in real_server: did you mean TCP_CHECK?",
        ]
    );
}

/// One line of a virtual server's block and what is said of it.
#[test]
fn lines_of_a_virtual_server() {
    for (line, said) in [
        ("snmp_name web", "warning: snmp_name has no effect: SNMP: not part of ctdb-ip"),
        (
            "smtp_alert",
            "warning: smtp_alert has no effect: mail: not part of ctdb-ip; use notify_up, notify_down, quorum_up, quorum_down",
        ),
        ("protocol SCTP", "SCTP: not part of ctdb-ip; protocol takes TCP or UDP"),
        ("protocol ICMP", "protocol takes TCP or UDP, not \"ICMP\""),
        (
            "lvs_sched WLC",
            "\"WLC\" is no scheduler name: 1 to 15 lower case letters, digits, _ or - (such as wlc, rr, mh)",
        ),
        (
            "lvs_sched wlcc",
            "warning: no scheduler of Linux is called wlcc: the kernel decides; did you mean wlc?",
        ),
        (
            "lvs_method FULLNAT",
            "lvs_method takes NAT, DR, TUN, TUN type ipip, TUN type gue port N [nocsum|csum|remcsum] or TUN type gre [nocsum|csum], \
             not \"FULLNAT\"",
        ),
        ("persistence_timeout 0", "persistence_timeout takes a number from 1 to 2147483647, not \"0\""),
        (
            "persistence_granularity 255.255.255.0",
            "persistence_granularity means nothing without persistence_timeout",
        ),
        ("hysteresis 1", "hysteresis 1 must be less than quorum 1, or it is never lost"),
        (
            "quorum 5",
            "warning: the quorum is never gained: it needs a weight of 5, all real servers together have 1",
        ),
        ("ops", "ops is for UDP: write protocol UDP, or leave ops out"),
        (
            "quorum_up /opt/check up now please",
            "a program with arguments must be quoted: write quorum_up \"/opt/check up now please\"",
        ),
        (
            "quorum_up /opt/check -x",
            "a program with arguments must be quoted: write quorum_up \"/opt/check -x\"",
        ),
        ("quorum_up check", "\"check\" is no absolute path: write /path/to/program"),
        ("delay_loop 0", "delay_loop must be more than 0 seconds"),
        ("retry", "retry takes a number from 0 to 1000"),
        ("weight 1 2", "unknown keyword \"weight\" in virtual_server: known are "),
        ("quorum 1 2", "quorum takes a number from 1 to 2147483647, but \"2\" follows"),
        ("alpha maybe", "alpha takes on, off or nothing, not \"maybe\""),
        (
            "@main quorum 1",
            "conditional lines (@main): not part of ctdb-ip; each node has its own file, or the same",
        ),
        ("$X=1", "parameters and sequences ($X=1): not part of ctdb-ip; write the values"),
        ("virtualhost \"a", "a quoted string has no closing \" on its line"),
        (
            "virtualhost a#b",
            "warning: a comment begins within the word after \"a\": quote the word if # belongs to it",
        ),
        (
            "real_server 10.0.0.1 80",
            "real_server 10.0.0.1:80 is named twice in virtual_server 192.0.2.1 80 (first at vs.conf:3)",
        ),
        (
            "real_server fd00::1 80",
            "real_server [fd00::1]:80 and tcp 192.0.2.1:80 have different address families: only tunnelling (lvs_method TUN) can do that",
        ),
        ("include nothing", "cannot include nothing: no such file"),
    ] {
        let all = findings(&format!("virtual_server 192.0.2.1 80 {{\n\nreal_server 10.0.0.1 80\n{line}\n}}"));
        let got = all
            .iter()
            .find(|f| f.starts_with("4:") || f.starts_with("1:"))
            .unwrap_or_else(|| panic!("{line}: {all:?}"));
        assert!(got[3..].starts_with(said), "{line}\n got {got}\nwant {said}");
    }
}

/// One line of a real server's block and what is said of it.
#[test]
fn lines_of_a_real_server() {
    for (line, said) in [
        ("BFD_CHECK {\n name x\n}", "BFD checks: not part of ctdb-ip; use PING_CHECK or a MISC_CHECK"),
        (
            "FILE_CHECK {\n track_file x\n}",
            "file checks: not part of ctdb-ip; a MISC_CHECK with misc_dynamic can read the file",
        ),
        ("MISC_CHECK {\n}", "MISC_CHECK has no misc_path"),
        (
            "MISC_CHECK { misc_path /no/such arg\n}",
            "misc_path with arguments must be quoted: write misc_path \"/no/such arg\"",
        ),
        ("MISC_CHECK { misc_path \"/no/such arg\"\n}", "/no/such cannot be run: no such file"),
        (
            "MISC_CHECK { misc_path \"/opt/my check\"\n}",
            "/opt/my cannot be run: no such file; the path has blanks: write \"'/opt/my check'\"",
        ),
        ("MISC_CHECK { misc_path \"'/opt/check\"\n}", "a quoted argument has no closing ' in: '/opt/check"),
        ("MISC_CHECK { misc_path \"\"\n}", "no program is named"),
        ("HTTP_GET {\n}", "HTTP_GET has no url { path … }"),
        (
            "HTTP_GET { url { digest 123\n path /\n}\n}",
            "digest takes an MD5 sum of 32 hexadecimal digits, not \"123\"",
        ),
        ("HTTP_GET { url { path /a /b\n}\n}", "path takes a path, but \"/b\" follows"),
        ("HTTP_GET { url { path \"/a b\"\n}\n}", "path \"/a b\" must begin with / and have no blanks"),
        (
            "HTTP_GET { url { path /\n status_code 99-400\n}\n}",
            "status_code takes codes and ranges such as 200 or 200-299, not \"99-400\"",
        ),
        ("HTTP_GET { url { path /\n regex_no_match\n}\n}", "regex_no_match means nothing without regex"),
        (
            "HTTP_GET { enable_sni\n url { path /\n}\n}",
            "unknown keyword \"enable_sni\" in HTTP_GET: known are ",
        ),
        (
            "TCP_CHECK { connect_port httpp\n}",
            "\"httpp\" is no port: this host knows no tcp service of that name; write the number",
        ),
        (
            "TCP_CHECK { connect_port zero\n}",
            "\"zero\" is no port: this host knows no tcp service of that name; write the number",
        ),
        ("TCP_CHECK { connect_port 70000\n}", "port 70000 is not in 1 to 65535"),
        (
            "TCP_CHECK { connect_prot 80\n}",
            "unknown keyword \"connect_prot\" in TCP_CHECK: did you mean connect_port?",
        ),
        ("DNS_CHECK { type SRV\n}", "type takes A, NS, CNAME, SOA, MX, TXT or AAAA, not \"SRV\""),
        ("UDP_CHECK { payload 0g\n}", "payload takes hexadecimal digits, not \"0g\""),
        ("UDP_CHECK { min_reply_length 300\n}", "min_reply_length 300 is more than max_reply_length 255"),
    ] {
        let mut host =
            Host::of(&format!("virtual_server 192.0.2.1 80 {{\nreal_server 10.0.0.1 80 {{\n{line}\n}}\n}}"));
        host.programs.push("/opt/my check".to_owned());
        let (_, failed, all) = check("vs.conf", &host);
        assert!(failed, "{line}");
        assert!(all.iter().any(|f| f.message.starts_with(said)), "{line}\n got {all:#?}\nwant {said}");
    }
}

#[test]
fn declarations() {
    for (text, said) in [
        (
            "virtual_server 192.0.2.1 {\nreal_server 10.0.0.1\n}",
            "1: 192.0.2.1 has no port: name one, or make it persistent (persistence_timeout) to serve every port",
        ),
        (
            "virtual_server 192.0.2.1 httpp {\n}",
            "1: \"httpp\" is no port: this host knows no tcp service of that name; write the number",
        ),
        ("virtual_server fwmark 0 {\n}", "1: fwmark takes a mark from 1 to 4294967295 and inet or inet6"),
        (
            "virtual_server www.example 80 {\n}",
            "1: \"www.example\" is no address or range: write 192.0.2.1, 192.0.2.1-10 or 192.0.2.8/29",
        ),
        ("virtual_server group web {\n}", "1: there is no virtual_server_group web"),
        (
            "virtual_server_group wep {\n192.0.2.1 80\n}\nvirtual_server group web {\n}",
            "4: there is no virtual_server_group web; did you mean wep?",
        ),
        ("virtual_server {\n}", "1: virtual_server takes ADDRESS [PORT], fwmark N or group NAME"),
        ("virtual_server 192.0.2.1 80", "1: virtual_server has no block: write { … } behind it"),
        ("virtual_server 192.0.2.1 80 {\n", "1: the block of virtual_server is not closed: a } is missing"),
        ("}\n", "1: a } too many: no block is open here"),
        ("{\n}\n", "1: a { without a keyword before it"),
        (
            "virtual_server_group g {\n192.0.2.9/29 80\n}",
            "2: 192.0.2.9/29: 192.0.2.9 is not the first address of a /29",
        ),
        (
            "virtual_server_group g {\n192.0.2.9-3 80\n}",
            "2: 192.0.2.9-3: the end of the range is before its begin",
        ),
        (
            "virtual_server_group g {\n10.0.0.0/8 80\n}",
            "2: 10.0.0.0/8 is more than 4096 addresses: use a fwmark service for so many",
        ),
        (
            "virtual_server_group g {\n::/0 80\n}",
            "2: ::/0 is more than 4096 addresses: use a fwmark service for so many",
        ),
        (
            "virtual_server 192.0.2.1 80 {\nreal_server 10.0.0.1 80\n}\nvirtual_server 192.0.2.1 http {\nreal_server 10.0.0.1 80\n}",
            "4: tcp 192.0.2.1:80 is served by virtual_server 192.0.2.1 80 already (vs.conf:1)",
        ),
        ("vrrp_instance VI_1 {\n}", "1: vrrp_instance does not belong into a file of virtual servers: "),
        ("lvs_sync_daemon eth0 id 256", "1: lvs_sync_daemon: \"256\" is no value for id"),
        ("lvs_timeouts tcp", "1: lvs_timeouts takes tcp, tcpfin and udp, each with seconds"),
    ] {
        // Groups are read when a virtual server names them.
        let uses = if text.contains("group g") { "\nvirtual_server group g {\n}" } else { "" };
        let all = findings(&format!("{text}{uses}"));
        assert!(all.iter().any(|f| f.starts_with(said)), "{text}\n got {all:#?}\nwant {said}");
    }
}

#[test]
fn circles_and_depths_end() {
    let said = findings("include vs.conf");
    assert_eq!(said, ["1: vs.conf includes itself: vs.conf -> vs.conf"]);
    let deep = "a {\n".repeat(100_000);
    assert!(findings(&deep).iter().any(|f| f.contains("more than 16 blocks within each other")));
    assert_eq!(findings(&"{".repeat(100_000)).len(), 2);
}
