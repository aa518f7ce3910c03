//! Bytes of segments. What they do to real connections is tested where there are namespaces: `ctdbd/src/conn/tests.rs`.

use crate::packet::{Segment, read, rst, tickle_ack};
use recoverd::model::Connection;
use std::net::SocketAddr;

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The one's complement sum of these bytes, folded: 0xffff over a correct message with its pseudo header.
fn sum(parts: &[&[u8]]) -> u32 {
    let bytes = parts.concat();
    let mut sum: u32 =
        bytes.chunks(2).map(|p| u32::from(p[0]) << 8 | u32::from(*p.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[test]
fn tickle_ack_of_ipv4_byte_by_byte() {
    let connection = Connection { client: end("10.0.0.9:1022"), server: end("10.0.0.31:2049") };
    let bytes = tickle_ack(&connection).unwrap();
    assert_eq!(bytes.len(), 40);
    assert_eq!((bytes[0], bytes[8], bytes[9]), (0x45, 64, 6), "IPv4, hop limit, TCP");
    assert_eq!(bytes[12..20], [10, 0, 0, 31, 10, 0, 0, 9], "from the server to the client");
    assert_eq!(bytes[20..24], [0x08, 0x01, 0x03, 0xfe], "2049 to 1022");
    assert_eq!(bytes[24..32], [0; 8], "sequence and acknowledgement 0");
    assert_eq!(bytes[32..34], [0x50, 0x10], "no options, ACK alone");
    assert_eq!(sum(&[&bytes[..20]]), 0xffff);
    assert_eq!(sum(&[&bytes[12..20], &[0, 6, 0, 20], &bytes[20..]]), 0xffff);
}

#[test]
fn rst_of_ipv6_byte_by_byte() {
    let bytes = rst(end("[fd00::31]:445"), end("[fd00::9]:40000"), 0x0102_0304).unwrap();
    assert_eq!(bytes.len(), 60);
    assert_eq!(bytes[..8], [0x60, 0, 0, 0, 0, 20, 6, 64]);
    assert_eq!((bytes[23], bytes[39]), (0x31, 9));
    assert_eq!(bytes[44..48], [1, 2, 3, 4]);
    assert_eq!(bytes[53], 0x04, "RST alone");
    assert_eq!(sum(&[&bytes[8..40], &[0, 6, 0, 20], &bytes[40..]]), 0xffff);
    let said = read(&bytes[40..], false).unwrap();
    let want = Segment {
        from_port: 445,
        to_port: 40000,
        sequence: 0x0102_0304,
        acknowledged: 0,
        ack: false,
        rst: true,
    };
    assert_eq!(said, want);
}

#[test]
fn ends_of_two_families_and_cut_packets_are_nothing() {
    let mixed = Connection { client: end("10.0.0.9:1"), server: end("[fd00::1]:2") };
    assert_eq!(tickle_ack(&mixed), None);
    let whole = rst(end("10.0.0.1:1"), end("10.0.0.2:2"), 7).unwrap();
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length], true), None, "{length}");
    }
    assert_eq!(read(&whole, true).unwrap().sequence, 7);
}
