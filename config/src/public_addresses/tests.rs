use super::*;
use crate::parsed::told;
use proptest::prelude::*;

fn read(text: &str) -> Result<Vec<String>, String> {
    told(parse(text, Path::new("p"), None))
        .map(|all| all.iter().map(|l| format!("{} @{}", l.address, l.line)).collect())
}

#[test]
fn good_lines() {
    for (text, expected) in [
        ("10.1.0.5/24 eth0", "10.1.0.5/24 eth0 @1"),
        ("\n# c\n  10.1.0.5/24 \t eth0,eth1  \r\n\n", "10.1.0.5/24 eth0,eth1 @3"),
        ("10.1.0.5/32 bond0.17", "10.1.0.5/32 bond0.17 @1"),
        ("10.1.0.4/31 eth0", "10.1.0.4/31 eth0 @1"),
        ("10.1.0.255/16 eth0", "10.1.0.255/16 eth0 @1"),
        ("10.1.0.5/1 eth0", "10.1.0.5/1 eth0 @1"),
        ("fd00:0::5/64 eth0", "fd00::5/64 eth0 @1"),
        ("fd00::/127 eth0", "fd00::/127 eth0 @1"),
        ("::ffff:10.1.0.5/120 eth0", "10.1.0.5/24 eth0 @1"),
        ("10.1.0.5/24 eth0,,eth1,", "10.1.0.5/24 eth0,eth1 @1"),
        ("10.1.0.5/24 eth0,eth0", "10.1.0.5/24 eth0 @1"),
        ("10.1.0.5/24 no-such-iface", "10.1.0.5/24 no-such-iface @1"),
    ] {
        assert_eq!(read(text), Ok(vec![expected.to_owned()]), "{text:?}");
    }
    assert_eq!(read("").unwrap(), [""; 0]);
    assert_eq!(read("# nothing\n").unwrap(), [""; 0]);
}

#[test]
fn the_default_interface_fills_in() {
    let lines = parse("10.1.0.5/24\n10.1.0.6/24 eth1\n", Path::new("p"), Some("bond0,bond1")).good().unwrap();
    assert_eq!(lines[0].address.ifaces, ["bond0", "bond1"]);
    assert_eq!(lines[1].address.ifaces, ["eth1"]);
}

#[test]
fn bad_lines_name_the_line_and_what_to_write() {
    for (text, expected) in [
        ("10.1.0.5 eth0", "p:1: \"10.1.0.5\" has no mask; write IP/MASKBITS INTERFACE, for example"),
        ("\n10.1.0.500/24 eth0", "p:2: \"10.1.0.500\" is not an IP address; write IP/MASKBITS"),
        ("eth0 10.1.0.5/24", "p:1: \"eth0\" is not an IP address"),
        ("/24 eth0", "p:1: \"\" is not an IP address"),
        (
            "10.1.0.5/33 eth0",
            "p:1: mask \"33\" does not fit 10.1.0.5; write the number of mask bits, 1 to 32",
        ),
        ("10.1.0.5/0 eth0", "p:1: mask \"0\" does not fit"),
        ("10.1.0.5/ eth0", "p:1: mask \"\" does not fit"),
        ("10.1.0.5/+4 eth0", "p:1: mask \"+4\" does not fit"),
        (
            "10.1.0.5/255.255.255.0 eth0",
            "p:1: mask \"255.255.255.0\" does not fit 10.1.0.5; write the number",
        ),
        ("10.1.0.5/24/8 eth0", "p:1: mask \"24/8\" does not fit"),
        (
            "fd00::1/129 eth0",
            "p:1: mask \"129\" does not fit fd00::1; write the number of mask bits, 1 to 128",
        ),
        ("::ffff:10.1.0.5/24 eth0", "p:1: mask \"24\" does not fit 10.1.0.5"),
        ("127.0.0.5/8 lo", "p:1: 127.0.0.5 is a loopback address and cannot be a public address; write"),
        ("::1/128 lo", "p:1: ::1 is a loopback address"),
        ("224.0.0.5/24 eth0", "p:1: 224.0.0.5 is a multicast address"),
        ("ff02::5/64 eth0", "p:1: ff02::5 is a multicast address"),
        ("::10.0.0.5/96 eth0", "p:1: ::a00:5 is an IPv4 address written in the obsolete form ::a.b.c.d"),
        ("0.0.0.0/24 eth0", "p:1: 0.0.0.0 is the unspecified address"),
        ("::/64 eth0", "p:1: :: is the unspecified address"),
        ("255.255.255.255/32 eth0", "p:1: 255.255.255.255 is the broadcast address"),
        ("10.1.0.255/24 eth0", "p:1: 10.1.0.255 is the network's broadcast address under this mask"),
        ("10.1.0.0/24 eth0", "p:1: 10.1.0.0 is the network's own number under this mask"),
        ("10.1.0.5/24", "p:1: no interface for 10.1.0.5; write IP/MASKBITS INTERFACE, or start ctdbd with"),
        ("10.1.0.5/24 ,", "p:1: no interface for 10.1.0.5"),
        ("10.1.0.5/24 eth0 eth1", "p:1: text \"eth1\" after the interfaces; separate interfaces by commas"),
        ("10.1.0.5/24 eth0 # web", "p:1: text \"# web\" after the interfaces"),
        (
            "10.1.0.5/24 averyverylongname",
            "p:1: \"averyverylongname\" is not an interface name; write 1 to 15",
        ),
        ("10.1.0.5/24 eth/0", "p:1: \"eth/0\" is not an interface name"),
        ("10.1.0.5/24 eth0:1", "p:1: \"eth0:1\" is not an interface name"),
        (
            "10.1.0.5/24 eth0\n\n10.1.0.5/16 eth1",
            "p:3: 10.1.0.5 stands already on line 1 (p:1); remove one of the two lines",
        ),
        ("10.1.0.5/24 eth0\n::ffff:10.1.0.5/120 eth0", "p:2: 10.1.0.5 stands already on line 1"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_gives_one_line_a_fault(text in "\\PC*|[0-9a-f.:/# ,\n\t]*") {
        if let Err(error) = read(&text) {
            prop_assert!(error.lines().all(|l| l.starts_with("p:")), "{}", error);
        }
    }

    #[test]
    fn what_is_printed_is_read_back(bits: u32, prefix in 1_u8..=32, v6: u128, prefix6 in 1_u8..=128) {
        for (addr, prefix) in [(IpAddr::V4(bits.into()), prefix), (IpAddr::V6(v6.into()), prefix6)] {
            let line = format!("{addr}/{prefix} eth0,eth1");
            match parse_line(&line, None) {
                Ok(read) if read.addr == addr => prop_assert_eq!(read.to_string(), line),
                Ok(read) => prop_assert_eq!(read.addr, addr.to_canonical()),
                Err(AddressFault::Unusable { .. }) => {}
                Err(other) => prop_assert!(addr.to_canonical() != addr, "{other}"),
            }
        }
    }
}
