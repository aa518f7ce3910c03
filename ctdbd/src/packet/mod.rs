//! Telling the neighbours who owns an address now: gratuitous ARP (IPv4) and unsolicited neighbour advertisements (IPv6).
//!
//! CTDB sends three gratuitous ARPs, 1.1 s apart, after takeip, and nothing when it finds the address already in the kernel, which
//! black-holes clients (DESIGN §10). Whether and how often to announce is the caller's decision; here frames are built
//! ([`frames`]), sent through one socket ([`Announcer`]) and repeated until the address is released ([`Announcements`]): the first of each
//! address at once, repetitions at a limited rate ([`pace`]).
//! The other way round, [`listen`] hears others who have an address of ours.
//! Frames leave complete, through a packet socket: the source of an advertisement may then be an address that the gate still holds.

mod announcer;
mod claims;
mod frames;
mod listen;
mod pace;
mod repeat;

#[cfg(test)]
mod tests;

pub use announcer::{Announcer, PacketError};
pub use claims::{Claim, mark, text as mac_text};
pub use listen::listen;
pub use repeat::{Announcements, Series};
