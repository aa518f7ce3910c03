//! The packet filter of a NAT gateway, by nf_tables' netlink: one table, made and removed as a whole.
//!
//! What CTDB's `11.natgw` does with two rules of iptables: packets of the private network that leave it get the address of the
//! interface that they leave by, and nobody can open a TCP connection to the gateway's public address. A table of its own leaves the
//! operator's rules alone and goes without a trace. Who is the gateway, and when, is `eventscripts`' business.

use super::expr::{Base, Meta, Rule};
use super::nfnl::{Batch, Family, NfSocket, Op};
use eventscripts::Masquerade;
use nix::errno::Errno;

/// The name of the table (family `inet`; its rules are for IPv4).
pub(crate) const TABLE: &str = "ctdb_natgw";

const HOOK_IN: u32 = 1;
const HOOK_POST_ROUTING: u32 = 4;
/// Where source addresses are translated.
const PRIORITY_SOURCE_NAT: i32 = 100;
const NFPROTO_IPV4: u8 = 2;
const IPPROTO_TCP: u8 = 6;
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
/// The byte of TCP's flags, and those that tell the first packet of a connection: SYN, without RST, ACK, FIN.
const TCP_FLAGS: u32 = 13;
const SYN: u8 = 0x02;
const FIN_SYN_RST_ACK: u8 = 0x17;

/// Makes the table what is wanted, or removes it. Answers when the kernel has done it: not for asynchronous code.
pub(crate) fn set(wanted: Option<&Masquerade>) -> Result<(), Errno> {
    let mut batch = Batch::new();
    // A table that is not there cannot be deleted, so it is added first.
    batch.add(Op::NewTable, Family::Inet, |a| a.text(1, TABLE));
    batch.add(Op::DelTable, Family::Inet, |a| a.text(1, TABLE));
    if let Some(wanted) = wanted {
        batch.add(Op::NewTable, Family::Inet, |a| a.text(1, TABLE));
        chain(&mut batch, "postrouting", "nat", HOOK_POST_ROUTING, PRIORITY_SOURCE_NAT);
        let (net, bits) = wanted.private;
        let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
        let private = (net.to_bits() & mask).to_be_bytes();
        let of = |rule: Rule, at| rule.payload(Base::Network, at, 4).masked(&mask.to_be_bytes());
        let leaves = of(of(ipv4(), SOURCE).is(&private), DESTINATION).differs_from(&private);
        rule(&mut batch, "postrouting", leaves.masquerade());
        chain(&mut batch, "input", "filter", HOOK_IN, 0);
        let opens = ipv4()
            .payload(Base::Network, DESTINATION, 4)
            .is(&wanted.public.octets())
            .meta(Meta::L4proto)
            .is(&[IPPROTO_TCP])
            .payload(Base::Transport, TCP_FLAGS, 1)
            .masked(&[FIN_SYN_RST_ACK])
            .is(&[SYN]);
        rule(&mut batch, "input", opens.reject());
    }
    let socket = NfSocket::open().map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))?;
    socket.commit(&batch.finish()).map_err(|refusal| refusal.errno)
}

/// The beginning of a rule for IPv4.
fn ipv4() -> Rule {
    Rule::new().meta(Meta::Nfproto).is(&[NFPROTO_IPV4])
}

fn chain(batch: &mut Batch, name: &str, kind: &str, hook: u32, priority: i32) {
    batch.add(Op::NewChain, Family::Inet, |a| {
        a.text(1, TABLE);
        a.text(3, name);
        a.nest(4, |h| {
            h.be32(1, hook);
            h.put(2, &priority.to_be_bytes());
        });
        a.text(7, kind);
    });
}

fn rule(batch: &mut Batch, chain: &str, rule: Rule) {
    batch.add(Op::NewRule, Family::Inet, |a| {
        a.text(1, TABLE);
        a.text(2, chain);
        a.nest(4, |e| e.raw(&rule.into_bytes()));
    });
}
