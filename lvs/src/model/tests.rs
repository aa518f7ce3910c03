//! Text forms and limits of the kernel's fields.

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

#[test]
fn identities_have_one_text_each() {
    for text in
        ["tcp 192.0.2.1:80", "udp [2001:db8::1]:53", "sctp 192.0.2.1:0", "fwmark 7 inet", "fwmark 7 inet6"]
    {
        let id: ServiceId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
    }
    for bad in
        ["", "tcp", "tcp 192.0.2.1", "tcp 192.0.2.1:http", "fwmark 7", "fwmark -1 inet", "icmp 192.0.2.1:1"]
    {
        assert_eq!(bad.parse::<ServiceId>(), Err(ModelError::Service(bad.to_owned())));
    }
}

#[test]
fn a_scheduler_fits_the_kernels_field() {
    assert!(Scheduler::new("a2345678901234x").is_ok());
    for bad in ["", "a23456789012345x", "WLC", "w lc", "rr\0"] {
        assert_eq!(Scheduler::new(bad), Err(ModelError::Scheduler(bad.to_owned())));
    }
    assert!(!Scheduler::new("mine").unwrap().is_known());
}

#[test]
fn a_mask_has_no_holes() {
    let v4 = |m: [u8; 4]| Ok(Granularity::V4(Ipv4Addr::from(m)));
    assert_eq!(Granularity::parse("255.255.255.0", Family::Inet), v4([255, 255, 255, 0]));
    assert_eq!(Granularity::parse("24", Family::Inet), v4([255, 255, 255, 0]));
    assert_eq!(Granularity::parse("32", Family::Inet), v4([255; 4]));
    assert_eq!(Granularity::parse("64", Family::Inet6), Ok(Granularity::V6(64)));
    for (bad, family) in [
        ("255.0.255.0", Family::Inet),
        ("0.0.0.0", Family::Inet),
        ("33", Family::Inet),
        ("129", Family::Inet6),
        ("255.255.0.0", Family::Inet6),
    ] {
        assert!(Granularity::parse(bad, family).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn text_forms_come_back(addr: IpAddr, port: u16, mark: u32) {
        for id in [ServiceId::addr(addr, port, Protocol::Udp), ServiceId::Fwmark { mark, family: Family::Inet6 }] {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
        let dest = DestId::new(addr, port);
        prop_assert_eq!(dest.to_string().parse(), Ok(dest));
    }
}
