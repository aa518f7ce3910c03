//! How alike two addresses are: the two metrics of the subnet spread.
//!
//! Both give a *weight*, the square of a number of leading bits; a node's imbalance is the sum of weights over the pairs of
//! addresses on it. Weights are at most 128² = 16384, so 64-bit sums hold for any cluster.

use crate::model::AddrKey;

/// Weight of a pair as CTDB's LCP2 counts it (SEMANTICS A.6).
///
/// The leading equal bits of each of the four 32-bit words are *added up*: counting does not stop at the first word that differs.
/// For IPv4 this is the common prefix; for IPv6 it is not, and answers are equal to CTDB's only with exactly this.
pub(super) fn lcp2_weight(a: AddrKey, b: AddrKey) -> u64 {
    let x = AddrKey(a.0 ^ b.0).words();
    let bits: u32 = x.iter().map(|w| w.leading_zeros()).sum();
    u64::from(bits) * u64::from(bits)
}

/// Weight of a pair by the true common prefix of the 128-bit keys.
pub(super) fn prefix_weight(a: AddrKey, b: AddrKey) -> u64 {
    let bits = u64::from((a.0 ^ b.0).leading_zeros());
    bits * bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr_key;

    fn bits(metric: fn(AddrKey, AddrKey) -> u64, a: &str, b: &str) -> u64 {
        metric(addr_key(a.parse().unwrap()), addr_key(b.parse().unwrap())).isqrt()
    }

    #[test]
    fn figures_of_the_semantics() {
        assert_eq!(bits(lcp2_weight, "10.0.0.1", "10.0.0.2"), 96 + 30);
        assert_eq!(bits(lcp2_weight, "10.0.0.1", "::ffff:10.0.0.1"), 128);
        // A.8 item 2: the same host in two /64s counts as closer than two hosts of one /64.
        assert_eq!(bits(lcp2_weight, "fd00:20:0:1::10", "fd00:20:0:2::10"), 126);
        assert_eq!(bits(lcp2_weight, "fd00:20:0:1::10", "fd00:20:0:1::50"), 121);
        assert_eq!(bits(prefix_weight, "fd00:20:0:1::10", "fd00:20:0:2::10"), 62);
        assert_eq!(bits(prefix_weight, "fd00:20:0:1::10", "fd00:20:0:1::50"), 121);
        assert_eq!(bits(prefix_weight, "10.0.0.1", "10.0.0.2"), 96 + 30);
    }
}
