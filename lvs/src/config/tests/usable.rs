//! What no probe could use is refused with its line: the daemon and `ctdb lvs check` read by the same function.

use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// A host with a pair of certificate and key, another certificate, and a file that is neither.
fn host(text: &str) -> Host {
    let made = || generate_simple_self_signed(["www.example.org".to_owned()]).unwrap();
    let (CertifiedKey { cert, signing_key }, other) = (made(), made().cert);
    let mut host = Host::of(text);
    let files = [("ours", cert.pem()), ("key", signing_key.serialize_pem()), ("other", other.pem())];
    host.files.extend(files.map(|(name, text)| (format!("/etc/{name}.pem"), text)));
    host.files.insert("/etc/empty.pem".to_owned(), "# nothing\n".to_owned());
    host
}

fn findings_of(text: &str) -> Vec<String> {
    let (_, _, findings) = check("vs.conf", &host(text));
    findings.iter().map(|d| d.to_string().trim_start_matches("vs.conf:").to_owned()).collect()
}

/// A check; its block begins on line 3.
fn with(block: &str) -> String {
    format!("virtual_server 192.0.2.1 80 {{\nreal_server 10.0.0.1 80 {{\n{block}\n}}\n}}")
}

#[test]
fn expressions_paths_and_names() {
    for (line, said) in [
        (
            "HTTP_GET {\nurl {\npath /\nregex \"(?<!x)y\"\n}\n}",
            "6: regex \"(?<!x)y\": look-around, including look-ahead and look-behind, is not supported; look-around and back-references \
             are not part of ctdb-ip: write it without them (regex_no_match asks for the contrary), or use a MISC_CHECK",
        ),
        ("HTTP_GET {\nurl {\npath /\nregex \"(a\"\n}\n}", "6: regex \"(a\": unclosed group"),
        ("HTTP_GET {\nurl {\npath \"/a\u{7f}\"\n}\n}", "4: path \"/a\u{7f}\" cannot be asked for: "),
        (
            "HTTP_GET {\nurl {\npath /\nvirtualhost \"a\u{7f}b\"\n}\n}",
            "4: \"a\u{7f}b\" is no name for a Host header: write such as www.example.org",
        ),
        (
            "SSL_GET {\nsni_name a..b\nurl {\npath /\n}\n}",
            "3: \"a..b\" is no name for TLS: write a host name such as www.example.org",
        ),
        (
            "MISC_CHECK {\nmisc_path /opt/check\nuser stranger\n}",
            "3: there is no \"stranger\" on this host: add it, or name another",
        ),
        (
            "notify_up /opt/check stranger",
            "3: there is no \"stranger\" on this host: add it, or name another",
        ),
    ] {
        let all = findings_of(&with(line));
        assert!(all.len() == 1 && all[0].starts_with(said), "{line}\n got {all:#?}\nwant {said}");
    }
}

#[test]
fn certificates() {
    for (line, said) in [
        ("ca /etc/ours.pem", None),
        (
            "ca /etc/none.pem",
            Some("4: ca /etc/none.pem: no such file; name a file that ctdbd can read, in PEM"),
        ),
        ("ca ours.pem", Some("4: ca ours.pem: write an absolute path")),
        (
            "ca /etc/empty.pem",
            Some(
                "4: ca /etc/empty.pem: no certificate of an authority is in it (PEM); name a file with the certificates of authorities",
            ),
        ),
    ] {
        let all = findings_of(&with(&format!("SSL_GET {{\n{line}\nurl {{ path /\n}}\n}}")));
        assert_eq!(all, said.into_iter().collect::<Vec<_>>(), "{line}");
        let all = findings_of(&format!("SSL {{\n\n\n{line}\n}}"));
        assert_eq!(all, said.into_iter().collect::<Vec<_>>(), "in SSL: {line}");
    }
    for (certificate, key, said) in [
        ("ours", "key", None),
        ("other", "key", Some("certificate and key do not belong together")),
        ("ours", "ours", Some("the file of the key: ")),
        ("empty", "key", Some("no certificate is in the file of the certificate")),
        ("none", "key", Some("certificate /etc/none.pem: no such file")),
    ] {
        let text = format!("SSL {{\ncertificate /etc/{certificate}.pem\nkey /etc/{key}.pem\n}}");
        let all = findings_of(&text);
        match said {
            None => assert_eq!(all, [""; 0]),
            Some(said) => {
                let [line] = all.as_slice() else { panic!("{text}\n{all:#?}") };
                assert!(line.starts_with("1: ") && line.contains(said), "{line}\nwant {said}");
            }
        }
    }
}
