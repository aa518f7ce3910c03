//! The simplest layer above: a leading recmaster gives free addresses to joined nodes and now and then moves one.

use super::node::{ADDRESSES, address};
use super::prng::Prng;
use recoverd::lease::{Clocks, Command, Lease, LeaseInput};
use recoverd::model::{Epoch, Pnn, Session};

/// What the upper layer of a recmaster remembers in one epoch.
#[derive(Debug, Default)]
pub(super) struct Giver {
    epoch: Option<Epoch>,
    confirmed: [Option<(Pnn, Session)>; ADDRESSES],
    asked: [u64; ADDRESSES],
    sent: [u64; ADDRESSES],
    moving: u8,
    /// Bit per address: somebody had a claim when it was last looked at.
    claimed: u8,
}

impl Giver {
    pub(super) fn taken(&mut self, from: Pnn, command: &Command, addr: usize) {
        // An answer to an older take says nothing about the last.
        if self.epoch == Some(command.epoch) && self.sent[addr] == command.number {
            self.confirmed[addr] = Some((from, command.session));
        }
    }

    pub(super) fn sent(&mut self, command: &Command, addr: usize) {
        self.sent[addr] = command.number;
    }

    /// An operator wants this address elsewhere.
    pub(super) fn move_address(&mut self, addr: usize) {
        self.moving |= 1 << addr;
    }

    /// What the recmaster asks of its lease machine now.
    pub(super) fn wishes(
        &mut self,
        lease: &Lease,
        now: Clocks,
        at: u64,
        t: u64,
        nodes: usize,
        p: &mut Prng,
    ) -> Vec<LeaseInput> {
        let mut out = Vec::new();
        if !lease.leading(now) {
            return out;
        }
        if self.epoch != Some(lease.epoch()) {
            *self = Self { epoch: Some(lease.epoch()), moving: self.moving, ..Self::default() };
        }
        for i in 0..ADDRESSES {
            let addr = address(i);
            let by = lease.claimants(addr);
            // What has just become free is given at once.
            let news = by.is_empty() && self.claimed & 1 << i != 0;
            if at < self.asked[i] && !news {
                continue;
            }
            self.claimed &= !(1 << i);
            self.claimed |= u8::from(!by.is_empty()) << i;
            match by.as_slice() {
                [] => {
                    if lease.may_give(addr, now).is_err() {
                        continue;
                    }
                    self.confirmed[i] = None;
                    self.moving &= !(1 << i);
                    let joined: Vec<Pnn> =
                        (0..nodes as u32).map(Pnn).filter(|x| lease.session_of(*x).is_some()).collect();
                    if let Some(to) = p.pick(&joined) {
                        out.push(LeaseInput::Give { addr, to: *to });
                    }
                }
                [one] if self.moving & 1 << i != 0 => out.push(LeaseInput::Reclaim { addr, from: *one }),
                [one] => {
                    let session = lease.session_of(*one);
                    if session.is_none() || self.confirmed[i] == session.map(|s| (*one, s)) {
                        continue;
                    }
                    out.push(LeaseInput::Give { addr, to: *one });
                }
                several => out.extend(several.iter().map(|from| LeaseInput::Reclaim { addr, from: *from })),
            }
            self.asked[i] = at + t / 3;
        }
        out
    }
}
