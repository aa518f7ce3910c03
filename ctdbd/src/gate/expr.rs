//! The expressions of nf_tables that the gate's rules are made of. Every one works on the same register.

use super::nfnl::Attrs;

const LIST_ELEMENT: u16 = 1;
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;

/// What `meta` can load.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(super) enum Meta {
    Protocol = 1,
    Mark = 3,
    Iif = 4,
    Oif = 5,
    Nfproto = 15,
    L4proto = 16,
}

/// From where `payload` counts.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict<'a> {
    Drop,
    Accept,
    Goto(&'a str),
}

/// A rule in the making: expressions in their order; the first that does not hold ends it.
#[derive(Debug, Default)]
pub(super) struct Rule(Attrs);

impl Rule {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn expression(mut self, name: &str, fill: impl FnOnce(&mut Attrs)) -> Self {
        self.0.nest(LIST_ELEMENT, |element| {
            element.text(1, name);
            element.nest(2, fill);
        });
        self
    }

    pub(super) fn meta(self, key: Meta) -> Self {
        self.expression("meta", |e| {
            e.be32(1, REGISTER);
            e.be32(2, key as u32);
        })
    }

    pub(super) fn payload(self, base: Base, offset: u32, len: u32) -> Self {
        self.expression("payload", |e| {
            e.be32(1, REGISTER);
            e.be32(2, base as u32);
            e.be32(3, offset);
            e.be32(4, len);
        })
    }

    /// What was loaded equals `value`.
    pub(super) fn is(self, value: &[u8]) -> Self {
        self.compare(0, value)
    }

    /// What was loaded differs from `value`.
    pub(super) fn differs_from(self, value: &[u8]) -> Self {
        self.compare(1, value)
    }

    fn compare(self, operator: u32, value: &[u8]) -> Self {
        self.expression("cmp", |e| {
            e.be32(1, REGISTER);
            e.be32(2, operator);
            e.nest(3, |data| data.put(DATA_VALUE, value));
        })
    }

    /// Of what was loaded only the bits of `mask`.
    pub(super) fn masked(self, mask: &[u8]) -> Self {
        self.expression("bitwise", |e| {
            e.be32(1, REGISTER);
            e.be32(2, REGISTER);
            e.be32(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
            e.nest(4, |data| data.put(DATA_VALUE, mask));
            e.nest(5, |data| data.put(DATA_VALUE, &vec![0; mask.len()]));
        })
    }

    /// The packet gets the address of the interface that it leaves by.
    pub(super) fn masquerade(self) -> Self {
        self.expression("masq", |_| ())
    }

    /// Refused, and the sender told by ICMP: port unreachable.
    pub(super) fn reject(self) -> Self {
        self.expression("reject", |e| {
            e.be32(1, 0);
            e.put(2, &[3]);
        })
    }

    /// Loads the constant 0, the only key of the lease's sets. Written as `meta mark & 0x0` because what a literal constant becomes in
    /// `nft list ruleset` cannot be read back (nft 1.0.6), which would break a ruleset that an operator saved.
    pub(super) fn zero(self) -> Self {
        self.meta(Meta::Mark).masked(&[0; 4])
    }

    /// What was loaded is in the set.
    pub(super) fn in_set(self, set: &str) -> Self {
        self.expression("lookup", |e| {
            e.text(1, set);
            e.be32(2, REGISTER);
        })
    }

    /// The verdict that the map has for what was loaded; without one the rule ends.
    pub(super) fn verdict_map(self, map: &str) -> Self {
        self.expression("lookup", |e| {
            e.text(1, map);
            e.be32(2, REGISTER);
            e.be32(3, VERDICT_REGISTER);
        })
    }

    /// Puts what was loaded into the set for that long, counted from this packet.
    pub(super) fn update(self, set: &str, timeout_ms: u64) -> Self {
        self.dynset(set, 1, Some(timeout_ms))
    }

    /// Takes what was loaded out of the set.
    pub(super) fn delete(self, set: &str) -> Self {
        self.dynset(set, 2, None)
    }

    fn dynset(self, set: &str, operation: u32, timeout_ms: Option<u64>) -> Self {
        self.expression("dynset", |e| {
            e.text(1, set);
            e.be32(3, operation);
            e.be32(4, REGISTER);
            if let Some(ms) = timeout_ms {
                e.be64(6, ms);
            }
        })
    }

    pub(super) fn verdict(self, verdict: Verdict<'_>) -> Self {
        self.expression("immediate", |e| {
            e.be32(1, VERDICT_REGISTER);
            e.nest(2, |data| put_verdict(data, verdict));
        })
    }
}

/// A verdict as data of an expression or of a map's element.
pub(super) fn put_verdict(data: &mut Attrs, verdict: Verdict<'_>) {
    data.nest(DATA_VERDICT, |v| match verdict {
        Verdict::Drop => v.be32(1, 0),
        Verdict::Accept => v.be32(1, 1),
        Verdict::Goto(chain) => {
            v.put(1, &(-4_i32).to_be_bytes());
            v.text(2, chain);
        }
    });
}

/// An element of a set: its key, and for a map what it leads to.
pub(super) fn put_element(elements: &mut Attrs, key: &[u8], to: Option<Verdict<'_>>) {
    elements.nest(LIST_ELEMENT, |element| {
        element.nest(1, |data| data.put(DATA_VALUE, key));
        if let Some(verdict) = to {
            element.nest(2, |data| put_verdict(data, verdict));
        }
    });
}
