//! Fallback chains: where a request goes when its tries at a place are used up (spec/routers.md 3.6: retries within a group,
//! then fallbacks, at most five hops; what is too long for a place jumps to a list of its own at once). Chains may lead to each
//! other, as in most LiteLLM configurations: the hops end them.
use crate::types::Place;

/// How far a request has come along chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hop {
    /// Hops made.
    pub made: u32,
    /// The chain that it follows: its owner, whether it is one for what is too long, and the next position.
    on: Option<(Place, bool, u16)>,
}

/// See the module head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallbacks {
    /// By pool or endpoint: where its failed requests go next, in order.
    pub chains: Vec<(Place, Vec<Place>)>,
    /// By pool or endpoint: where requests go next, in order, that are too long for it.
    pub too_long: Vec<(Place, Vec<Place>)>,
    /// Hops at most.
    pub max_hops: u32,
}

impl Default for Fallbacks {
    fn default() -> Fallbacks {
        Fallbacks { chains: Vec::new(), too_long: Vec::new(), max_hops: 5 }
    }
}

fn chain(chains: &[(Place, Vec<Place>)], of: Place) -> Option<&Vec<Place>> {
    chains.iter().find(|(owner, _)| *owner == of).map(|(_, chain)| chain)
}

impl Fallbacks {
    /// Whether nobody has a chain.
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.too_long.is_empty()
    }
    /// Whether retries of what was sent there stay there, because there is a chain for afterwards.
    pub fn keeps(&self, place: Place) -> bool {
        chain(&self.chains, place).is_some()
    }

    /// The next place after `failed`, if there is one; `hop` goes on. What is too long follows its own chains, where
    /// there are any, and no others.
    pub fn next(&self, failed: Place, too_long: bool, hop: &mut Hop) -> Option<Place> {
        if hop.made >= self.max_hops {
            return None;
        }
        let of = |long: bool| if long { &self.too_long } else { &self.chains };
        // Along the chain that it is on; at its end, or where the kind of failure changes, along that of where it failed.
        let went_on = hop.on.filter(|(_, long, _)| *long == too_long || chain(of(too_long), failed).is_none());
        let (owner, long, at) = match went_on {
            Some((owner, long, at)) if chain(of(long), owner).is_some_and(|c| usize::from(at) < c.len()) => {
                (owner, long, at)
            }
            _ => (failed, too_long, 0),
        };
        let to = *chain(of(long), owner)?.get(usize::from(at))?;
        *hop = Hop { made: hop.made + 1, on: Some((owner, long, at + 1)) };
        Some(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::EndpointId;

    fn at(endpoint: u16) -> Place {
        EndpointId(endpoint.into()).into()
    }

    fn fallbacks(chains: &[(u16, &[u16])], too_long: &[(u16, &[u16])]) -> Fallbacks {
        let places = |list: &[(u16, &[u16])]| {
            list.iter().map(|(of, to)| (at(*of), to.iter().map(|t| at(*t)).collect())).collect()
        };
        Fallbacks { chains: places(chains), too_long: places(too_long), ..Fallbacks::default() }
    }
    /// Where a request goes that fails everywhere.
    fn places_tried(f: &Fallbacks, start: u16, too_long: bool) -> Vec<u16> {
        let (mut here, mut hop, mut way) = (at(start), Hop::default(), Vec::new());
        while let Some(next @ Place::Endpoint(EndpointId(number))) = f.next(here, too_long, &mut hop) {
            way.push(number as u16);
            here = next;
        }
        way
    }

    #[test]
    fn chains_are_followed_in_order_and_then_those_of_the_last() {
        let f = fallbacks(&[(0, &[1, 2]), (2, &[3])], &[(0, &[4])]);
        assert_eq!(places_tried(&f, 0, false), [1, 2, 3]);
        assert_eq!(places_tried(&f, 0, true), [4], "what is too long has its own chain");
        assert_eq!(places_tried(&f, 1, false), [] as [u16; 0]);
        assert_eq!(places_tried(&f, 1, true), [] as [u16; 0]);
        let long = fallbacks(&[(0, &[1, 2, 3, 4, 5, 6, 7])], &[]);
        assert_eq!(places_tried(&long, 0, false), [1, 2, 3, 4, 5], "at most five hops");
        assert!(f.keeps(at(0)) && !f.keeps(at(1)));
    }

    #[test]
    fn chains_that_lead_to_each_other_end_with_the_hops() {
        let f = fallbacks(&[(0, &[1]), (1, &[0])], &[]);
        assert_eq!(places_tried(&f, 0, false), [1, 0, 1, 0, 1]);
        let three = Fallbacks { max_hops: 3, ..fallbacks(&[(0, &[1]), (1, &[2])], &[(2, &[0])]) };
        assert_eq!(places_tried(&three, 0, false), [1, 2]);
        assert_eq!(places_tried(&three, 2, true), [0], "what is too long follows no other chain");
    }
}
