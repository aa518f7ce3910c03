//! What goes into a message comes out of it, for every type; and what is malformed is refused with the name of the field.

mod strategies;

use super::*;
use crate::v1;
use proptest::prelude::*;
use prost::Message;
use recoverd::command::{AnyReply, Reply};
use recoverd::model::Tunables;
use recoverd::msg::PeerMsg;

/// Through bytes, as over a socket.
fn through<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn peer_messages_survive_the_wire(msg in strategies::peer_msg()) {
        let frame = through(&v1::PeerFrame::from(&msg));
        prop_assert_eq!(Frame::try_from(frame), Ok(Frame::Msg(msg)));
    }

    #[test]
    fn hello_survives_the_wire(hello in strategies::hello()) {
        let frame = through(&v1::PeerFrame::from(&hello));
        prop_assert_eq!(Frame::try_from(frame), Ok(Frame::Hello(hello)));
    }

    #[test]
    fn calls_survive_the_wire(call in strategies::call()) {
        prop_assert_eq!(Call::try_from(through(&v1::CallRequest::from(&call))), Ok(call));
    }

    #[test]
    fn replies_survive_the_wire(reply in strategies::any_reply()) {
        prop_assert_eq!(AnyReply::try_from(through(&v1::CallReply::from(&reply))), Ok(reply));
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(m) = v1::PeerFrame::decode(bytes.as_slice()) {
            let _frame_or_error = Frame::try_from(m);
        }
        if let Ok(m) = v1::CallRequest::decode(bytes.as_slice()) {
            let _call_or_error = Call::try_from(m);
        }
        if let Ok(m) = v1::CallReply::decode(bytes.as_slice()) {
            let _reply_or_error = AnyReply::try_from(m);
        }
    }

    #[test]
    fn a_damaged_message_never_panics(msg in strategies::peer_msg(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = v1::PeerFrame::from(&msg).encode_to_vec();
        let i = at.index(bytes.len());
        bytes[i] = to;
        if let Ok(m) = v1::PeerFrame::decode(bytes.as_slice()) {
            let _frame_or_error = Frame::try_from(m);
        }
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, WireError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn an_empty_frame_call_or_reply_is_refused() {
    for text in [
        refused(Frame::try_from(v1::PeerFrame { frame: None })),
        refused(Call::try_from(v1::CallRequest { pnn: None, timeout_ms: 0, command: None })),
        refused(AnyReply::try_from(v1::CallReply { reply: None })),
    ] {
        assert!(text.ends_with("is missing, or of a kind that this version does not know"), "{text}");
    }
}

#[test]
fn an_address_of_another_length_is_refused() {
    let answer = v1::IpAnswer { req: 1, addr: vec![10, 0, 0], error: None };
    let frame = v1::PeerFrame { frame: Some(v1::peer_frame::Frame::IpAnswer(answer)) };
    assert_eq!(
        refused(Frame::try_from(frame)),
        "malformed message: IpAnswer.addr: an address has 4 or 16 bytes, this one 3"
    );
}

#[test]
fn a_control_without_epoch_is_refused() {
    let control = v1::ControlRequest {
        session: None,
        req: 1,
        epoch: None,
        control: Some(v1::control_request::Control::GetNodemap(v1::Empty {})),
    };
    let frame = v1::PeerFrame { frame: Some(v1::peer_frame::Frame::Control(control)) };
    assert!(refused(Frame::try_from(frame)).contains("ControlRequest.epoch"));
}

#[test]
fn an_unknown_run_state_is_refused() {
    let reply = v1::DaemonReply { reply: Some(v1::daemon_reply::Reply::RunState(99)) };
    let reply = v1::CallReply { reply: Some(v1::call_reply::Reply::Daemon(reply)) };
    assert_eq!(
        refused(AnyReply::try_from(reply)),
        "malformed message: DaemonReply.run_state: there is no run state 99"
    );
}

#[test]
fn mask_bits_that_do_not_fit_are_refused() {
    let row = v1::IpRow { addr: vec![10, 0, 0, 1], prefix: 33, ..Default::default() };
    let reply = v1::node_reply::Reply::Ips(v1::IpRows { rows: vec![row] });
    assert_eq!(
        refused(Reply::try_from(reply)),
        "malformed message: IpRow.prefix: 33 mask bits do not fit 10.0.0.1"
    );
}

#[test]
fn mask_bits_that_just_fit_are_accepted() {
    for (addr, prefix) in [(vec![10, 0, 0, 1], 32), (vec![0xfd; 16], 128)] {
        let row = v1::IpRow { addr, prefix, ..Default::default() };
        let reply = v1::node_reply::Reply::Ips(v1::IpRows { rows: vec![row] });
        assert!(Reply::try_from(reply).is_ok(), "/{prefix}");
    }
}

#[test]
fn a_report_that_is_not_json_is_refused() {
    let reply = v1::node_reply::Reply::Plan(v1::PlanReply { report_json: "{".into() });
    assert!(refused(Reply::try_from(reply)).starts_with("malformed message: PlanReply.report_json: EOF"));
}

#[test]
fn an_algorithm_that_does_not_exist_is_refused() {
    let plan = v1::WhatIf { algorithm: Some(4), ..Default::default() };
    let command = Some(v1::call_request::Command::Plan(plan));
    let call = v1::CallRequest { pnn: None, timeout_ms: 0, command };
    assert_eq!(refused(Call::try_from(call)), "malformed message: WhatIf.algorithm: there is no algorithm 4");
}

#[test]
fn tunables_of_another_version_are_understood() {
    let m = v1::Tunables {
        values: vec![
            v1::Tunable { name: "OfTheFuture".into(), value: 1 },
            v1::Tunable { name: "MonitorInterval".into(), value: 7 },
        ],
    };
    let mut expected = Tunables::default();
    expected.set("MonitorInterval", 7).unwrap();
    assert_eq!(Tunables::try_from(m), Ok(expected));
}

#[test]
fn addresses_travel_as_four_or_sixteen_bytes() {
    let len = |a: &str| addr_bytes(a.parse().unwrap()).len();
    assert_eq!((len("10.0.0.1"), len("2001:db8::1")), (4, 16));
    let msg = PeerMsg::IpAnswer { req: 1, addr: "10.0.0.1".parse().unwrap(), result: Ok(()) };
    assert_eq!(v1::PeerFrame::from(&msg).encoded_len(), 10);
}
