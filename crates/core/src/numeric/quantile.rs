//! Quantiles and means of numbers that are held whole, and of those that are counted.
//!
//! Two definitions, because there are two uses. Numbers of which there are few (measurements, replicates) have straight lines
//! between them, as numpy has, so that one more moves a quantile a little. What is counted (tokens, gaps, times in
//! histograms) has a quantile that did occur: [`rank`], which HDR histograms have too, up to the width of a bucket.

/// Quantile `q` (0 to 1) of numbers in ascending order, with straight lines between neighbours: type 7 of Hyndman and Fan
/// (Sample Quantiles in Statistical Packages, 1996), the default of numpy and R. `None` of nothing.
pub fn sorted_quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q * last as f64;
    let low = (at as usize).min(last);
    let high = (low + 1).min(last);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64))
}

/// Quantile `q` of numbers in any order.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted_quantile(&sorted, q)
}

/// Which of `n` in ascending order, counted from 1, is their quantile of `ppm` millionths: the first that so many of them do
/// not exceed; type 1 of Hyndman and Fan. Of an even number the median is the lower one.
pub fn rank(n: u64, ppm: u32) -> u64 {
    let rank = (u128::from(n) * u128::from(ppm)).div_ceil(1_000_000).max(1);
    u64::try_from(rank).expect("quantile: more than a million millionths of a count")
}

/// Quantile of `ppm` millionths of values that occur so often each, in any order. `None` of nothing.
pub fn counted_quantile<T: Ord>(counts: impl IntoIterator<Item = (T, u64)>, ppm: u32) -> Option<T> {
    let mut counts: Vec<(T, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    let rank = rank(counts.iter().map(|c| c.1).sum(), ppm);
    let mut below = 0;
    counts.into_iter().find_map(|(value, n)| {
        below += n;
        (below >= rank).then_some(value)
    })
}

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([3, 1, 4, 1, 5], [0, 0.1, 0.5, 0.9, 1]).
        let values = [3.0, 1.0, 4.0, 1.0, 5.0];
        for (q, want) in [(0.0, 1.0), (0.1, 1.0), (0.5, 3.0), (0.9, 4.6), (1.0, 5.0)] {
            let got = quantile(&values, q).unwrap();
            assert!((got - want).abs() < 1e-12, "{q}: {got}, numpy says {want}");
        }
        assert_eq!((quantile(&[7.0], 0.3), quantile(&[], 0.5)), (Some(7.0), None));
        assert_eq!((mean(&values), mean(&[])), (Some(2.8), None));
    }

    proptest! {
        #[test]
        fn counts_have_the_quantile_of_what_they_count(counts in prop::collection::vec((0u32..40, 0u64..6), 1..30), ppm in 0u32..=1_000_000) {
            let mut values: Vec<u32> = counts.iter().flat_map(|(v, n)| (0..*n).map(|_| *v)).collect();
            values.sort_unstable();
            // The smallest of which so large a share is no larger.
            let reaches = |v: &&u32| {
                let no_larger = values.iter().filter(|w| w <= v).count() as u64;
                no_larger * 1_000_000 >= values.len() as u64 * u64::from(ppm)
            };
            prop_assert_eq!(counted_quantile(counts, ppm), values.iter().find(reaches).copied());
        }
    }
}
