//! Minimum, median, 95th percentile and maximum of a few samples.

use serde::{Deserialize, Serialize};

/// The spread of some samples, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub n: usize,
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest one that 95 of 100 do not exceed (nearest rank).
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of no samples: nothing.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let median = f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]);
        let p95 = sorted[(n * 95).div_ceil(100).saturating_sub(1)];
        Some(Self { n, min, median, p95, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[4.0]).unwrap();
        assert_eq!((one.min, one.median, one.p95, one.max), (4.0, 4.0, 4.0, 4.0));
        let two = Spread::of(&[3.0, 1.0]).unwrap();
        assert_eq!((two.min, two.median, two.p95, two.max), (1.0, 2.0, 3.0, 3.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let s = Spread::of(&hundred).unwrap();
        assert_eq!((s.n, s.median, s.p95, s.max), (100, 50.5, 95.0, 100.0));
    }
}
