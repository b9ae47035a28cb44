//! How many replicas: the fewest that meet the SLO, and the number at which a hybrid costs least.
//!
//! May import: nothing; what a number of replicas gives is asked of whoever simulates it. Must keep true: of the fewest it
//! was seen that they meet the SLO and that one less does not; the same answers give the same number.
//!
//! Assumed: more replicas never serve worse. Then a gallop from a guess and a binary search find the fewest; where it does not
//! hold, the number is a border all the same, but there may be a lower one.
use std::collections::BTreeMap;

/// More replicas than anybody keeps: the search for a size ends there.
const MOST: u32 = 1 << 12;
/// Share of requests that a larger fleet must serve more, or in time, to count as a help.
const HELPS: f64 = 0.000_5;
/// Share of the time after the last arrival that it must save to count as one.
const SAVES: f64 = 0.02;
/// How near to the best goodput a fleet must come where no number of replicas meets the SLO, a share. Of the fleets that
/// come so near the smallest is taken.
const NEAR: f64 = 0.001;
/// Numbers of replicas that are all tried, up to so many; of more, a grid and the neighbours of its best.
const ALL: u32 = 12;
/// Numbers of the grid.
const GRID: u32 = 9;

/// What a number of replicas gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Share of requests that met the SLO.
    pub goodput: f64,
    /// Share of requests that were answered.
    pub served: f64,
    /// Work after the last arrival, seconds.
    pub drain_s: f64,
    /// Whether the queue still grew at the end.
    pub overloaded: bool,
}

impl Fit {
    /// Whether this fit is better than what fewer replicas gave.
    fn helps(&self, fewer: &Fit) -> bool {
        self.goodput >= fewer.goodput + HELPS
            || self.served >= fewer.served + HELPS
            || self.drain_s <= fewer.drain_s * (1.0 - SAVES) - 1e-9
    }

    /// Whether a share of at least `target` of requests meets the SLO.
    pub fn meets(&self, target: f64) -> bool {
        !self.overloaded && self.goodput >= target
    }
}

/// The fewest replicas from 1 that meet the SLO for `target` of the requests, from a guess on; where none does, the fewest that
/// come near to the best goodput that replicas can bring.
///
/// # Errors
/// Those of `eval`.
pub fn fewest<E>(guess: u32, target: f64, eval: &mut dyn FnMut(u32) -> Result<Fit, E>) -> Result<u32, E> {
    let mut seen: BTreeMap<u32, Fit> = BTreeMap::new();
    let mut ask = |n: u32| match seen.get(&n) {
        Some(fit) => Ok(*fit),
        None => eval(n).inspect(|fit| {
            seen.insert(n, *fit);
        }),
    };
    match border(guess, &mut |n| ask(n).map(|fit| (fit.meets(target), fit)))? {
        Ok(n) => Ok(n),
        Err((highest, best)) => {
            let near = best.goodput - NEAR;
            let met = &mut |n| ask(n).map(|fit| (fit.overloaded == best.overloaded && fit.goodput >= near, fit));
            Ok(border(highest, met)?.unwrap_or(highest))
        }
    }
}

/// The border between numbers that do not meet and those that do; else the number above which nothing got better, and what
/// it gave.
fn border<E>(guess: u32, ask: &mut dyn FnMut(u32) -> Result<(bool, Fit), E>) -> Result<Result<u32, (u32, Fit)>, E> {
    let guess = guess.clamp(1, MOST);
    let (mut fails, mut meets);
    let (ok, mut last) = ask(guess)?;
    if ok {
        (fails, meets) = (0, guess);
        let mut step = 1;
        while meets > 1 {
            let probe = meets.saturating_sub(step).max(1);
            if !ask(probe)?.0 {
                fails = probe;
                break;
            }
            meets = probe;
            step *= 2;
        }
    } else {
        fails = guess;
        let (mut step, mut idle) = ((guess / 8).max(1), 0);
        loop {
            let probe = fails.saturating_add(step).min(MOST);
            let (ok, fit) = ask(probe)?;
            if ok {
                meets = probe;
                break;
            }
            // More replicas do not help: twice, as a small step may be too small to show.
            idle = if fit.helps(&last) { 0 } else { idle + 1 };
            if idle == 2 || probe == MOST {
                return Ok(Err((probe, fit)));
            }
            (fails, last) = (probe, fit);
            step *= 2;
        }
    }
    while meets - fails > 1 {
        let probe = fails + (meets - fails) / 2;
        if ask(probe)?.0 {
            meets = probe;
        } else {
            fails = probe;
        }
    }
    Ok(Ok(meets))
}

/// What a hybrid with a number of replicas costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Whether the fleet meets the SLO.
    pub meets: bool,
    /// Share of requests that met it.
    pub goodput: f64,
    /// US$ a month.
    pub usd: f64,
}

impl Offer {
    /// Whether the offer is better than `other`: cheaper among those that meet the SLO, else nearer to it, in steps of
    /// a thousandth, and then cheaper.
    fn beats(&self, other: &Offer) -> bool {
        let rank = |o: &Offer| if o.meets { 0.0 } else { 1.0 + (-o.goodput * 1_000.0).floor() / 1e4 };
        rank(self).total_cmp(&rank(other)).then(self.usd.total_cmp(&other.usd)).is_lt()
    }
}

/// Answers for several numbers of replicas at once.
pub type Offers<'a, E> = dyn FnMut(&[u32]) -> Result<Vec<Offer>, E> + 'a;

/// The number of replicas in `range` with the best offer, the fewest among equals.
///
/// # Errors
/// Those of `eval`.
pub fn cheapest<E>(range: (u32, u32), eval: &mut Offers<'_, E>) -> Result<u32, E> {
    let (low, high) = (range.0.max(1), range.1.max(range.0).max(1));
    let mut seen: BTreeMap<u32, Offer> = BTreeMap::new();
    let best = |seen: &BTreeMap<u32, Offer>| {
        let first = |best: Option<(u32, Offer)>, (n, offer): (&u32, &Offer)| match best {
            Some((_, b)) if !offer.beats(&b) => best,
            _ => Some((*n, *offer)),
        };
        seen.iter().fold(None, first).map_or(low, |(n, _)| n)
    };
    let mut ask = |numbers: Vec<u32>, seen: &mut BTreeMap<u32, Offer>| -> Result<(), E> {
        let numbers: Vec<u32> = numbers.into_iter().filter(|n| !seen.contains_key(n)).collect();
        if !numbers.is_empty() {
            let offers = eval(&numbers)?;
            seen.extend(numbers.into_iter().zip(offers));
        }
        Ok(())
    };
    let span = high - low;
    if span < ALL {
        ask((low..=high).collect(), &mut seen)?;
        return Ok(best(&seen));
    }
    ask((0..GRID).map(|i| low + span * i / (GRID - 1)).collect(), &mut seen)?;
    let mut step = span.div_ceil(GRID - 1);
    loop {
        step = step.div_ceil(2);
        // At the smallest step, on until both neighbours of the best were seen.
        loop {
            let at = best(&seen);
            ask(vec![at.saturating_sub(step).max(low), at.saturating_add(step).min(high)], &mut seen)?;
            if step > 1 || best(&seen) == at {
                break;
            }
        }
        if step == 1 {
            return Ok(best(&seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Meets from `need` on; below, the fuller the worse.
    fn asked(need: u32, guess: u32) -> (u32, Vec<u32>) {
        let mut asked = Vec::new();
        let found = fewest::<()>(guess, 0.99, &mut |n| {
            asked.push(n);
            let share = (f64::from(n) / f64::from(need)).min(1.0);
            let goodput = if n >= need { 0.995 } else { share * 0.98 };
            Ok(Fit { goodput, served: share, drain_s: 9.0, overloaded: share < 0.8 })
        });
        (found.unwrap(), asked)
    }

    #[test]
    fn the_fewest_are_found_from_any_guess_and_one_less_was_seen_to_fail() {
        for need in [1, 2, 3, 7, 64, 90, 1_000] {
            for guess in [1, 2, 5, 88, 90, 93, 3_000] {
                let (found, asked) = asked(need, guess);
                assert_eq!(found, need, "from {guess}: {asked:?}");
                assert!(need == 1 || asked.contains(&(need - 1)), "{asked:?}");
                assert!(asked.len() <= 26, "{need} from {guess}: {} simulations", asked.len());
                let unique: std::collections::BTreeSet<_> = asked.iter().collect();
                assert_eq!(unique.len(), asked.len(), "nothing is simulated twice");
            }
        }
        assert!(asked(90, 90).1.len() <= 2);
    }

    #[test]
    fn where_no_number_meets_the_slo_the_fewest_near_the_best_are_taken() {
        let of = |goodput: f64, overloaded: bool| Fit { goodput, served: 1.0, drain_s: 0.0, overloaded };
        let mut eval = |n: u32| -> Result<Fit, ()> { Ok(of(0.9f64.min(f64::from(n) / 20.0), n < 9)) };
        assert_eq!(fewest(4, 0.99, &mut eval), Ok(18));
        assert_eq!(fewest(400, 0.99, &mut eval), Ok(18));
        assert_eq!(fewest(4, 0.99, &mut |_| Err::<Fit, u8>(7)), Err(7));
        let never = fewest(1, 0.99, &mut |_| Ok::<Fit, ()>(of(0.0, true))).unwrap();
        assert_eq!(never, 1, "a fleet that is overloaded at any size ends the search and costs least");
    }

    #[test]
    fn the_cheapest_number_is_found_on_a_valley_and_in_a_short_range_on_any_hill() {
        let valley = |at: u32| move |n: &u32| Offer { meets: *n >= 5, goodput: 1.0, usd: f64::from(n.abs_diff(at)) };
        for (range, at, want) in [((1, 90), 37, 37), ((1, 90), 1, 5), ((1, 500), 499, 499), ((3, 8), 7, 7)] {
            let mut calls = 0;
            let found = cheapest::<()>(range, &mut |ns| {
                calls += ns.len();
                Ok(ns.iter().map(valley(at)).collect())
            });
            assert_eq!(found, Ok(want), "{range:?} {at}");
            assert!(calls <= 40, "{calls}");
        }
        let costs = [9.0, 2.0, 8.0, 1.0, 7.0, 3.0];
        let hills = &mut |ns: &[u32]| -> Result<Vec<Offer>, ()> {
            Ok(ns.iter().map(|n| Offer { meets: true, goodput: 1.0, usd: costs[*n as usize - 1] }).collect())
        };
        assert_eq!(cheapest((1, 6), hills), Ok(4));
        let none = &mut |ns: &[u32]| -> Result<Vec<Offer>, ()> {
            Ok(ns
                .iter()
                .map(|n| Offer { meets: false, goodput: 0.5f64.min(f64::from(*n) / 8.0), usd: f64::from(*n) })
                .collect())
        };
        assert_eq!(cheapest((1, 8), none), Ok(4), "the nearest to the SLO, and of those the cheapest");
    }
}
