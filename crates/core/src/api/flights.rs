//! The calls in flight at one endpoint, found without a search: a batch tier has hours of them.
//!
//! Must keep true: `at` has the place of every flight, by the slot that its attempt's id names.
use crate::types::AttemptId;

/// See the module head.
#[derive(Debug)]
pub(super) struct Flights<T> {
    list: Vec<(AttemptId, T)>,
    at: Vec<u32>,
}

impl<T> Flights<T> {
    /// None.
    pub fn new() -> Flights<T> {
        Flights { list: Vec::new(), at: Vec::new() }
    }
    pub fn len(&self) -> usize {
        self.list.len()
    }
    pub fn insert(&mut self, attempt: AttemptId, flight: T) {
        assert!(!self.holds(attempt), "one-attempt: two of slot {} are in flight at one endpoint", attempt.slot());
        let slot = attempt.slot() as usize;
        if self.at.len() <= slot {
            self.at.resize(slot + 1, u32::MAX);
        }
        self.at[slot] = self.list.len() as u32;
        self.list.push((attempt, flight));
    }
    /// Whether an attempt is in flight, and not hung up on meanwhile.
    pub fn holds(&self, attempt: AttemptId) -> bool {
        self.place(attempt).is_some()
    }
    pub fn remove(&mut self, attempt: AttemptId) -> Option<T> {
        let place = self.place(attempt)?;
        self.at[attempt.slot() as usize] = u32::MAX;
        let (_, flight) = self.list.swap_remove(place);
        if let Some((moved, _)) = self.list.get(place) {
            self.at[moved.slot() as usize] = place as u32;
        }
        Some(flight)
    }
    fn place(&self, attempt: AttemptId) -> Option<usize> {
        let place = *self.at.get(attempt.slot() as usize)? as usize;
        self.list.get(place).filter(|(held, _)| *held == attempt).map(|_| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_is_a_list_that_is_searched(steps in proptest::collection::vec((0u64..12, 0u64..4, proptest::bool::ANY), 0..200)) {
            let (mut flights, mut list) = (Flights::new(), Vec::<(AttemptId, usize)>::new());
            for (i, (slot, generation, comes)) in steps.into_iter().enumerate() {
                let attempt = AttemptId(generation << 32 | slot);
                if comes && !list.iter().any(|(held, _)| held.slot() == attempt.slot()) {
                    flights.insert(attempt, i);
                    list.push((attempt, i));
                } else {
                    let at = list.iter().position(|(held, _)| *held == attempt);
                    proptest::prop_assert_eq!(flights.holds(attempt), at.is_some());
                    proptest::prop_assert_eq!(flights.remove(attempt), at.map(|at| list.remove(at).1));
                }
                proptest::prop_assert_eq!(flights.len(), list.len());
            }
        }
    }
}
