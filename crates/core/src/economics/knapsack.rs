//! What a fleet can save at most: a fractional knapsack over any number of requests in bounded memory.
//!
//! May import: types. Must keep true: never less than the optimum of the fractional problem; sums are exact integers, so
//! the order in which requests come changes nothing.
//!
//! An item has a price (what it costs elsewhere) and a need (replica time); filling the capacity in order of price a
//! time is optimal. Items are kept in bins of that density, 32 to a factor of two; a bin that is filled whole saves its exact
//! prices, one filled in part saves at most its upper density times the time, so at most 3 % of that one bin is given away.
//! Items come in two groups: *tight* ones must fit a capacity of their own, inside the capacity of all. That is a
//! nested family, for which the greedy order is optimal as well.
use crate::types::Usd;
use rustc_hash::FxHashMap;

/// Bits of a float's mantissa that a bin keeps.
const MANTISSA_BITS: u32 = 5;
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
/// A factor above what rounding may change a density by.
const ROUNDED: f64 = 1.0 + 1e-9;

/// Price and need of a bin's items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Heap {
    price: i128,
    need_fs: u128,
}

/// Items by density. See the module head.
#[derive(Debug, Clone, Default)]
pub struct Knapsack {
    /// By density's leading bits: loose items, tight items.
    bins: FxHashMap<u32, [Heap; 2]>,
    /// Need of items that have no other place, loose and tight.
    forced_fs: [u128; 2],
    /// Price of items that need nothing.
    free: i128,
}

impl Knapsack {
    /// An item that may be had elsewhere for `price`, or nowhere else.
    pub fn add(&mut self, tight: bool, need_fs: u128, price: Option<Usd>) {
        let Some(Usd(price)) = price else {
            self.forced_fs[usize::from(tight)] += need_fs;
            return;
        };
        if need_fs == 0 {
            self.free += price.max(0);
            return;
        }
        if price <= 0 {
            return;
        }
        let density = price as f64 / need_fs as f64;
        let heap = &mut self.bins.entry((density.to_bits() >> SHIFT) as u32).or_default()[usize::from(tight)];
        heap.price += price;
        heap.need_fs += need_fs;
    }

    /// The most that can be saved where `tight_fs` of time take the tight items and `all_fs` take all.
    pub fn most_saved(&self, tight_fs: u128, all_fs: u128) -> Usd {
        let mut all = all_fs.saturating_sub(self.forced_fs[0] + self.forced_fs[1]);
        let mut tight = tight_fs.saturating_sub(self.forced_fs[1]).min(all);
        let mut saved = self.free;
        let mut order: Vec<(&u32, &[Heap; 2])> = self.bins.iter().collect();
        order.sort_unstable_by_key(|(bin, _)| std::cmp::Reverse(**bin));
        for (bin, [loose, bound]) in order {
            if all == 0 {
                break;
            }
            // Nothing tight fits any more: what this bin has of it is as if it were not there.
            let bound = if tight == 0 { Heap::default() } else { *bound };
            let from_tight = bound.need_fs.min(tight);
            let taken = (from_tight + loose.need_fs).min(all);
            let price = bound.price + loose.price;
            saved += if taken == bound.need_fs + loose.need_fs {
                price
            } else {
                let upper = f64::from_bits(u64::from(bin + 1) << SHIFT) * ROUNDED;
                // Rounded up, and by as much as a float of that size may be off.
                let most = taken as f64 * upper * ROUNDED + 1.0;
                price.min(most as i128)
            };
            all -= taken;
            tight = (tight - from_tight).min(all);
        }
        Usd(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(k: &mut Knapsack, tight: bool, need: u128, price: i128) {
        k.add(tight, need, Some(Usd(price)));
    }

    #[test]
    fn the_dearest_for_its_time_goes_first() {
        let mut k = Knapsack::default();
        item(&mut k, false, 100, 1_000);
        item(&mut k, false, 100, 4_000);
        item(&mut k, false, 0, 7);
        assert_eq!(k.most_saved(0, 0), Usd(7));
        assert_eq!(k.most_saved(0, 100), Usd(4_007));
        assert_eq!(k.most_saved(0, 200), Usd(5_007));
        assert_eq!(k.most_saved(0, u128::MAX), Usd(5_007));
        let half = k.most_saved(0, 150).0;
        assert!((4_507..=4_507 + 16).contains(&half), "{half}");
        k.add(false, 100, None);
        assert_eq!(k.most_saved(0, 200), Usd(4_007), "what has no other place takes its time first");
    }

    #[test]
    fn the_tight_have_a_capacity_inside_that_of_all() {
        let mut k = Knapsack::default();
        item(&mut k, true, 100, 4_000);
        item(&mut k, false, 100, 1_000);
        assert_eq!(k.most_saved(0, 1_000), Usd(1_000));
        assert_eq!(k.most_saved(100, 100), Usd(4_000));
        assert_eq!(k.most_saved(100, 200), Usd(5_000));
        assert_eq!(k.most_saved(500, 200), Usd(5_000));
    }

    /// The exact fractional optimum: greedy by density over single items.
    fn exact(items: &[(bool, u128, i128)], mut tight: f64, mut all: f64) -> f64 {
        let mut order: Vec<_> = items.to_vec();
        order.sort_by(|a, b| (b.2 as f64 / b.1 as f64).total_cmp(&(a.2 as f64 / a.1 as f64)));
        let mut saved = 0.0;
        for (is_tight, need, price) in order {
            let room = if is_tight { tight.min(all) } else { all };
            let take = (need as f64).min(room);
            saved += price as f64 * take / need as f64;
            all -= take;
            if is_tight {
                tight -= take;
            }
        }
        saved
    }

    proptest::proptest! {
        #[test]
        fn never_less_than_the_optimum_and_hardly_more(
            items in proptest::collection::vec((proptest::bool::ANY, 1u128..1_000_000, 1i128..1_000_000_000), 1..40),
            tight in 0u128..10_000_000, all in 0u128..20_000_000,
        ) {
            let mut k = Knapsack::default();
            items.iter().for_each(|(t, need, price)| item(&mut k, *t, *need, *price));
            let got = k.most_saved(tight, all).0 as f64;
            let want = exact(&items, tight as f64, all as f64);
            proptest::prop_assert!(got >= want - 1.0, "{} under the optimum {}", got, want);
            proptest::prop_assert!(got <= want * 1.04 + 2.0 * items.len() as f64, "{} against {}", got, want);
        }
    }
}
