//! The gate's tables as transactions: which packets of which addresses pass, and how a tick refreshes the lease.
//!
//! Three tables of one name, because a table sees neither another family's packets nor its sets: `inet` (IP and neighbour discovery),
//! `arp`, and `netdev` (what packet sockets send, which passes by the other two). Each has the same machinery: set `lease`, whose one
//! element lives as long as the gate is open; set `arm`, whose one element lives 10 ms; and a map from the marks of ticks to chains that
//! refresh them. A packet of a public address passes if the address is in `held` *and* the lease lives; all else passes untouched.

use super::expr::{Base, Meta, Rule, Verdict, put_element};
use super::nfnl::{Attrs, Batch, ELEMENTS_PER_MESSAGE, Family, Op, Prepared};
use super::tick::Mark;
use nix::net::if_::if_nametoindex;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The name of each of the tables.
pub(super) const TABLE: &str = "ctdb_gate";
/// Lease time is cut into that many steps; a tick refreshes the lease for a whole number of them.
pub(super) const STEPS: u8 = 20;
/// For how long `open` opens, in milliseconds: until the refresh that follows it at once.
pub(super) const OPEN_MS: u64 = 60;
/// How old the clock reading behind a tick may be, in milliseconds, before the kernel ignores the tick.
pub(super) const ARM_MS: u64 = 10;
/// `lo` is interface 1 in every network namespace.
pub(super) const LO: u32 = 1;

const FLAG_OWNER: u32 = 2;
const FLAG_PERSIST: u32 = 4;
const SET_MAP: u32 = 8;
const SET_TIMEOUT: u32 = 0x10;
const SET_EVAL: u32 = 0x20;
const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_MARK: u32 = 19;
const TYPE_VERDICT: u32 = 0xffff_ff00;
/// For nft, so that it shows marks as numbers of this machine: entry 0 (byte order of the key), 4 bytes, 1 (the host's).
const HOST_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPPROTO_UDP: u8 = 17;
const IPPROTO_ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// What the tables are made from.
#[derive(Debug, Clone)]
pub(super) struct Ruleset {
    /// All public addresses of the configuration.
    pub(super) public: BTreeSet<IpAddr>,
    /// Addresses whose ARP alone is held back.
    pub(super) quiet: BTreeSet<IpAddr>,
    /// Those that were given to this session.
    pub(super) held: BTreeSet<IpAddr>,
    /// Names of the public interfaces.
    pub(super) interfaces: BTreeSet<String>,
    /// LeaseTime.
    pub(super) lease_time: Duration,
    /// The mark of ticks begins here: random, so that nobody ticks by accident.
    pub(super) base: u32,
    /// Ask the kernel to keep other programs from the tables (and the tables after our end): Linux 6.9 and later.
    pub(super) owned: bool,
    /// With the `netdev` table: Linux 5.16 and later.
    pub(super) egress: bool,
}

/// Addresses that come into the sets of the tables, or leave them.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) published: Vec<IpAddr>,
    pub(super) unpublished: Vec<IpAddr>,
    pub(super) held: Vec<IpAddr>,
    pub(super) unheld: Vec<IpAddr>,
}

impl Ruleset {
    /// How long a tick of `n` steps refreshes the lease for.
    pub(super) fn steps(&self, n: u8) -> Duration {
        steps(self.lease_time, n)
    }

    pub(super) fn families(&self) -> &'static [Family] {
        if self.egress { &[Family::Inet, Family::Arp, Family::Netdev] } else { &[Family::Inet, Family::Arp] }
    }

    /// The transaction that makes the tables, shut, whatever there was before.
    pub(super) fn install(&self) -> Prepared {
        let mut batch = Batch::new();
        for family in self.families() {
            // A table that is not there cannot be deleted, so it is added first.
            self.table(&mut batch, *family);
            batch.add(Op::DelTable, *family, |a| a.text(1, TABLE));
            self.table(&mut batch, *family);
            self.lease(&mut batch, *family);
            self.addresses(&mut batch, *family);
        }
        self.inet(&mut batch);
        self.arp(&mut batch);
        if self.egress {
            self.netdev(&mut batch);
        }
        batch.finish()
    }

    /// The transaction that removes the tables.
    pub(super) fn uninstall(&self) -> Prepared {
        let mut batch = Batch::new();
        for family in self.families() {
            self.table(&mut batch, *family);
            batch.add(Op::DelTable, *family, |a| a.text(1, TABLE));
        }
        batch.finish()
    }

    /// The transaction that changes addresses in the tables, if any. Additions must be new and removals present.
    pub(super) fn changed(&self, change: &Change) -> Option<Prepared> {
        let mut batch = Batch::new();
        for family in self.families() {
            for (op, what, list) in [
                (Op::NewElements, "public", &change.published),
                (Op::DelElements, "held", &change.unheld),
                (Op::NewElements, "held", &change.held),
                (Op::DelElements, "public", &change.unpublished),
            ] {
                // What is quiet is in the sets of ARP always.
                let stays =
                    |a: &&IpAddr| what == "public" && *family != Family::Inet && self.quiet.contains(*a);
                let list: Vec<IpAddr> = list.iter().filter(|a| !stays(a)).copied().collect();
                elements(&mut batch, op, *family, what, &list);
            }
        }
        (!batch.is_empty()).then(|| batch.finish())
    }

    /// The public interfaces that are there now, with their indices. The kernel refuses a chain on one that is not.
    pub(super) fn devices(&self) -> BTreeMap<String, u32> {
        let there = |name: &String| Some((name.clone(), if_nametoindex(name.as_str()).ok()?));
        self.interfaces.iter().filter_map(there).collect()
    }

    fn table(&self, batch: &mut Batch, family: Family) {
        batch.add(Op::NewTable, family, |a| {
            a.text(1, TABLE);
            if self.owned {
                a.be32(2, FLAG_OWNER | FLAG_PERSIST);
            }
        });
    }

    /// The sets of the lease and what ticks do to them. In `netdev` a tick goes on: the `arp` table wants it too.
    fn lease(&self, batch: &mut Batch, family: Family) {
        timed_set(batch, family, "lease", 100);
        timed_set(batch, family, "arm", ARM_MS);
        let end = |rule: Rule| {
            if family == Family::Netdev { rule } else { rule.verdict(Verdict::Drop) }
        };
        let mut targets = Vec::with_capacity(usize::from(STEPS) + 3);
        let mut chain = |mark: Mark, name: String, body: Rule| {
            plain_chain(batch, family, &name);
            rule(batch, family, &name, end(body));
            targets.push((self.base.wrapping_add(mark.offset()), name));
        };
        chain(Mark::Arm, "arm_lease".to_owned(), Rule::new().zero().update("arm", ARM_MS));
        let armed = || Rule::new().zero().in_set("arm");
        chain(Mark::Open, "open_lease".to_owned(), armed().update("lease", OPEN_MS));
        chain(Mark::Close, "close_lease".to_owned(), Rule::new().zero().delete("lease"));
        for n in 1..=STEPS {
            let ms = u64::try_from(self.steps(n).as_millis()).unwrap_or(u64::MAX);
            let keep = armed().in_set("lease").update("lease", ms);
            chain(Mark::Keep(n), format!("keep_{ms}ms"), keep);
        }
        batch.add(Op::NewSet, family, |a| {
            set_head(a, "tick", SET_MAP, TYPE_MARK, 4);
            a.be32(6, TYPE_VERDICT);
            a.be32(7, 0);
        });
        batch.add(Op::NewElements, family, |a| {
            a.text(1, TABLE);
            a.text(2, "tick");
            a.nest(3, |list| {
                for (mark, chain) in &targets {
                    put_element(list, &mark.to_ne_bytes(), Some(Verdict::Goto(chain)));
                }
            });
        });
    }

    fn addresses(&self, batch: &mut Batch, family: Family) {
        let quiet = self.quiet.iter().filter(|_| family != Family::Inet);
        let public: BTreeSet<IpAddr> = self.public.iter().chain(quiet).copied().collect();
        for (what, members) in [("public", &public), ("held", &self.held)] {
            for key in keys(family) {
                batch.add(Op::NewSet, family, |a| key.set(a, what));
            }
            let list: Vec<IpAddr> = members.iter().copied().collect();
            elements(batch, Op::NewElements, family, what, &list);
        }
    }

    fn inet(&self, batch: &mut Batch) {
        let family = Family::Inet;
        base_chain(batch, family, "beat", 3, -500, &[]);
        let tick = Rule::new().meta(Meta::Oif).is(&LO.to_ne_bytes()).meta(Meta::L4proto).is(&[IPPROTO_UDP]);
        rule(batch, family, "beat", tick.meta(Meta::Mark).verdict_map("tick"));
        // Before and after everybody else's hooks: addresses as they are on the wire, whatever translation there is between.
        let directions = [("pre", 0, -450, Meta::Iif, 16, 24), ("post", 4, 400, Meta::Oif, 12, 8)];
        for (chain, hook, priority, iface, at4, at6) in directions {
            base_chain(batch, family, chain, hook, priority, &[]);
            rule(
                batch,
                family,
                chain,
                Rule::new().meta(iface).is(&LO.to_ne_bytes()).verdict(Verdict::Accept),
            );
            for kind in [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT] {
                let discovery =
                    || Rule::new().meta(Meta::Nfproto).is(&[NFPROTO_IPV6]).neighbour_discovery(kind);
                pass_if_held(batch, family, chain, Key::Target, discovery);
            }
            let ip = || Rule::new().meta(Meta::Nfproto).is(&[NFPROTO_IPV4]).payload(Base::Network, at4, 4);
            pass_if_held(batch, family, chain, Key::Four, ip);
            let ip6 = || Rule::new().meta(Meta::Nfproto).is(&[NFPROTO_IPV6]).payload(Base::Network, at6, 16);
            pass_if_held(batch, family, chain, Key::Six, ip6);
        }
    }

    fn arp(&self, batch: &mut Batch) {
        let family = Family::Arp;
        base_chain(batch, family, "in", 0, -450, &[]);
        let tick = Rule::new().meta(Meta::Iif).is(&LO.to_ne_bytes()).meta(Meta::Mark).verdict_map("tick");
        rule(batch, family, "in", tick);
        pass_if_held(batch, family, "in", Key::Four, || Rule::new().payload(Base::Network, 24, 4));
        base_chain(batch, family, "out", 1, -450, &[]);
        pass_if_held(batch, family, "out", Key::Four, || Rule::new().payload(Base::Network, 14, 4));
    }

    fn netdev(&self, batch: &mut Batch) {
        let family = Family::Netdev;
        base_chain(batch, family, "beat", 1, 0, &["lo"]);
        let arp = || Rule::new().meta(Meta::Protocol).is(&ETHERTYPE_ARP.to_be_bytes());
        rule(batch, family, "beat", arp().meta(Meta::Mark).verdict_map("tick"));
        // One that comes later is added by a reconfiguration.
        let devices = self.devices();
        let interfaces: Vec<&str> = devices.keys().map(String::as_str).collect();
        if interfaces.is_empty() {
            return;
        }
        base_chain(batch, family, "out", 1, 0, &interfaces);
        pass_if_held(batch, family, "out", Key::Four, || arp().payload(Base::Network, 14, 4));
        let advertisement = || {
            let ip6 = Rule::new().meta(Meta::Protocol).is(&ETHERTYPE_IPV6.to_be_bytes());
            ip6.neighbour_discovery(NEIGHBOUR_ADVERTISEMENT)
        };
        pass_if_held(batch, family, "out", Key::Target, advertisement);
    }
}

/// By what a set of addresses is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// An IPv4 address of the packet.
    Four,
    /// An IPv6 address of the packet.
    Six,
    /// The IPv6 address that a neighbour discovery is about. The kernel would take the set of [`Key::Six`]; nft 1.0.6 could not read
    /// such a ruleset back, because it has no name for that field.
    Target,
}

/// The keys that a family's rules use.
fn keys(family: Family) -> &'static [Key] {
    match family {
        Family::Inet => &[Key::Four, Key::Six, Key::Target],
        Family::Arp => &[Key::Four],
        Family::Netdev => &[Key::Four, Key::Target],
    }
}

impl Key {
    fn name(self, what: &str) -> String {
        let suffix = match self {
            Self::Four => "4",
            Self::Six => "6",
            Self::Target => "_nd6",
        };
        format!("{what}{suffix}")
    }

    /// The attributes of a set of that key.
    fn set(self, a: &mut Attrs, what: &str) {
        let name = self.name(what);
        match self {
            Self::Four => set_head(a, &name, 0, TYPE_IPV4, 4),
            Self::Six => set_head(a, &name, 0, TYPE_IPV6, 16),
            Self::Target => {
                set_head(a, &name, 0, TYPE_INTEGER, 16);
                a.put(13, &typeof_target());
            }
        }
    }
}

/// For nft: `typeof @th,64,128`, in its own notation of type, length, value, as nft 1.0.6 writes it.
fn typeof_target() -> Vec<u8> {
    let entry = |kind: u8, value: &[u8]| {
        let len = u8::try_from(value.len()).unwrap_or(u8::MAX);
        [&[kind, len], value].concat()
    };
    let number = |kind, value: u32| entry(kind, &value.to_ne_bytes());
    // No known protocol, transport header, offset and length in bits.
    let payload = [number(0, 0), number(1, 0), number(2, 3), number(3, 64), number(4, 128)].concat();
    let expression = [number(0, 7), entry(1, &payload)].concat();
    // Byte order of the key: the network's.
    [number(0, 2), entry(3, &expression)].concat()
}

impl Rule {
    /// Loads the target address of a neighbour solicitation or advertisement.
    fn neighbour_discovery(self, kind: u8) -> Self {
        self.meta(Meta::L4proto).is(&[IPPROTO_ICMPV6]).payload(Base::Transport, 0, 1).is(&[kind]).payload(
            Base::Transport,
            8,
            16,
        )
    }
}

/// How long `n` steps of a lease time are, in whole milliseconds.
pub(super) fn steps(lease_time: Duration, n: u8) -> Duration {
    let ms = lease_time.as_millis() * u128::from(n) / u128::from(STEPS);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// Two rules about the address that `load` loads: it passes when held and the lease lives; a public one does not pass otherwise.
fn pass_if_held(batch: &mut Batch, family: Family, chain: &str, key: Key, load: impl Fn() -> Rule) {
    let held = load().in_set(&key.name("held")).zero().in_set("lease");
    rule(batch, family, chain, held.verdict(Verdict::Accept));
    rule(batch, family, chain, load().in_set(&key.name("public")).verdict(Verdict::Drop));
}

fn rule(batch: &mut Batch, family: Family, chain: &str, rule: Rule) {
    batch.add(Op::NewRule, family, |a| {
        a.text(1, TABLE);
        a.text(2, chain);
        a.nest(4, |e| e.raw(&rule.into_bytes()));
    });
}

fn plain_chain(batch: &mut Batch, family: Family, name: &str) {
    batch.add(Op::NewChain, family, |a| {
        a.text(1, TABLE);
        a.text(3, name);
    });
}

fn base_chain(batch: &mut Batch, family: Family, name: &str, hook: u32, priority: i32, devices: &[&str]) {
    batch.add(Op::NewChain, family, |a| {
        a.text(1, TABLE);
        a.text(3, name);
        a.nest(4, |h| {
            h.be32(1, hook);
            h.put(2, &priority.to_be_bytes());
            if !devices.is_empty() {
                h.nest(4, |list| devices.iter().for_each(|device| list.text(1, device)));
            }
        });
        a.text(7, "filter");
    });
}

fn set_head(a: &mut Attrs, name: &str, flags: u32, key_type: u32, key_len: u32) {
    a.text(1, TABLE);
    a.text(2, name);
    a.be32(3, flags);
    a.be32(4, key_type);
    a.be32(5, key_len);
    // Wanted by the kernel for references within a transaction; these go by name.
    a.be32(10, 1);
    if key_type == TYPE_MARK {
        a.put(13, &HOST_ORDER);
    }
}

/// Room in a timed set. It has one key; but elements that ran out count until the kernel's next sweep, once a second, and each beat
/// leaves one in `arm`. A full set takes no ticks any more.
const TIMED_SET_SIZE: u32 = 1024;

/// A set whose elements packets add, for a time.
fn timed_set(batch: &mut Batch, family: Family, name: &str, timeout_ms: u64) {
    batch.add(Op::NewSet, family, |a| {
        set_head(a, name, SET_TIMEOUT | SET_EVAL, TYPE_MARK, 4);
        a.nest(9, |description| description.be32(1, TIMED_SET_SIZE));
        a.be64(11, timeout_ms);
    });
}

/// Elements into or out of the sets of public or of held addresses, as far as the family has them.
fn elements(batch: &mut Batch, op: Op, family: Family, what: &str, addresses: &[IpAddr]) {
    for key in keys(family) {
        let list: Vec<&IpAddr> = addresses.iter().filter(|a| a.is_ipv4() == (*key == Key::Four)).collect();
        for part in list.chunks(ELEMENTS_PER_MESSAGE) {
            batch.add(op, family, |a| {
                a.text(1, TABLE);
                a.text(2, &key.name(what));
                a.nest(3, |elements| {
                    for address in part {
                        match address {
                            IpAddr::V4(address) => put_element(elements, &address.octets(), None),
                            IpAddr::V6(address) => put_element(elements, &address.octets(), None),
                        }
                    }
                });
            });
        }
    }
}
