//! `DNS_CHECK`: a query over UDP is answered without error. What the answer says does not matter (keepalived.conf(5)).
//!
//! Only the header of an answer is read, so that nothing more than this is needed of the protocol (RFC 1035, section 4.1).

use super::{Passed, Verdict, socket, within};
use crate::config::check_types::{DnsType, Target};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Recursion desired.
const RD: u16 = 0x0100;
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;

pub(super) async fn probe(kind: DnsType, name: &str, target: &Target, limit: Duration) -> Verdict {
    let id = u16::try_from(RandomState::new().hash_one(name) & 0xffff).unwrap_or_default();
    let query = query(id, kind, name)?;
    let peer = socket::peer(target);
    let socket = socket::udp(target).await?;
    within(limit, &format!("query to {peer}"), socket.send(&query)).await?;
    let deadline = Instant::now() + limit;
    let mut answer = [0; 4096];
    loop {
        let received = timeout_at(deadline, socket.recv(&mut answer)).await;
        let n = match received {
            Err(_) => return Err(format!("answer of {peer}: nothing within {} s", limit.as_secs_f64())),
            Ok(Err(e)) => return Err(format!("answer of {peer}: {}", super::words(&e))),
            Ok(Ok(n)) => n,
        };
        // An answer to an earlier query is not ours.
        if let Some(rcode) = rcode(id, &answer[..n]) {
            return match rcode {
                0 => Ok(Passed::new(format!("{peer} answers"))),
                code => Err(format!("{peer} answers with {}", rcode_name(code))),
            };
        }
    }
}

/// A query for one name.
fn query(id: u16, kind: DnsType, name: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(HEADER + name.len() + 6);
    for word in [id, RD, 1, 0, 0, 0] {
        out.extend(word.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.').filter(|l| !l.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|n| *n < 64);
        let length =
            length.ok_or_else(|| format!("\"{label}\" is too long for a part of a name (63 bytes)"))?;
        out.push(length);
        out.extend(label.bytes());
    }
    out.push(0);
    let number: u16 = match kind {
        DnsType::A => 1,
        DnsType::Ns => 2,
        DnsType::Cname => 5,
        DnsType::Soa => 6,
        DnsType::Mx => 15,
        DnsType::Txt => 16,
        DnsType::Aaaa => 28,
    };
    for word in [number, CLASS_IN] {
        out.extend(word.to_be_bytes());
    }
    Ok(out)
}

/// The result code of an answer to the query `id`; none when it is something else.
fn rcode(id: u16, answer: &[u8]) -> Option<u8> {
    let header = answer.get(..HEADER)?;
    let is_answer = header[2] & 0x80 != 0;
    (header[..2] == id.to_be_bytes() && is_answer).then_some(header[3] & 0x0f)
}

fn rcode_name(code: u8) -> String {
    let name = match code {
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        other => return format!("code {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_as_rfc_1035_has_them() {
        let root = query(0x1234, DnsType::Soa, ".").unwrap();
        assert_eq!(root, [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1]);
        let named = query(1, DnsType::Aaaa, "www.example.org.").unwrap();
        assert_eq!(&named[12..], b"\x03www\x07example\x03org\x00\x00\x1c\x00\x01");
        assert!(query(1, DnsType::A, &"x".repeat(64)).is_err());
    }

    #[test]
    fn only_answers_to_our_query_count() {
        let answer = |id: [u8; 2], flags: [u8; 2]| [&id[..], &flags, &[0; 8]].concat();
        assert_eq!(rcode(0x1234, &answer([0x12, 0x34], [0x84, 0x00])), Some(0));
        assert_eq!(rcode(0x1234, &answer([0x12, 0x34], [0x81, 0x83])), Some(3));
        assert_eq!(rcode(0x1234, &answer([0x12, 0x35], [0x84, 0x00])), None, "another query");
        assert_eq!(rcode(0x1234, &answer([0x12, 0x34], [0x01, 0x00])), None, "a query, not an answer");
        assert_eq!(rcode(0x1234, b"\x12\x34\x84"), None, "too short");
    }
}
