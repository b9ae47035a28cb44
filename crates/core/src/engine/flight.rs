//! Batches under way at a replica: a ring of as many as may be, whose buffers are filled again where they are.
//!
//! Must keep true: batches leave in the order in which they came.
use super::batch::Batch;

/// See the module head. A batch is some hundred bytes, and a replica has one every few milliseconds: none is ever moved.
#[derive(Debug)]
pub(super) struct Flight {
    ring: Vec<Batch>,
    /// Position of the oldest one under way.
    oldest: usize,
    len: usize,
}

impl Flight {
    /// Nothing under way, of at most `depth` batches.
    pub fn new(depth: usize) -> Flight {
        assert!(depth > 0, "flight-depth: an engine has one batch under way at least");
        Flight { ring: vec![Batch::default(); depth], oldest: 0, len: 0 }
    }

    /// Batches under way.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Whether no more may be under way.
    pub fn is_full(&self) -> bool {
        self.len == self.ring.len()
    }

    /// Position in the ring of the `nth` batch from the oldest.
    fn position(&self, nth: usize) -> usize {
        let at = self.oldest + nth;
        if at < self.ring.len() { at } else { at - self.ring.len() }
    }
    /// The oldest batch.
    pub fn front(&self) -> Option<&Batch> {
        if self.len == 0 { None } else { self.ring.get(self.oldest) }
    }
    /// The newest batch.
    pub fn back(&self) -> Option<&Batch> {
        self.ring.get(self.position(self.len.checked_sub(1)?))
    }
    /// All batches under way in no order, if no more may be.
    pub fn full(&self) -> Option<&[Batch]> {
        self.is_full().then_some(self.ring.as_slice())
    }
    /// All batches under way, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Batch> {
        (0..self.len).map(|nth| &self.ring[self.position(nth)])
    }
    /// Changes each, oldest first.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(usize, &mut Batch)) {
        for nth in 0..self.len {
            let at = self.position(nth);
            change(nth, &mut self.ring[at]);
        }
    }

    /// The batch that is under way next, to be filled; there is room for it.
    pub fn next_mut(&mut self) -> &mut Batch {
        let at = self.position(self.len);
        &mut self.ring[at]
    }
    /// The batch that was filled is under way.
    pub fn launch(&mut self) {
        assert!(!self.is_full(), "flight-depth: all that may be under way are");
        self.len += 1;
    }
    /// The oldest batch has ended.
    pub fn land(&mut self) {
        assert!(self.len > 0, "flight-fifo: nothing is under way");
        self.oldest = self.position(1);
        self.len -= 1;
    }
    /// All that is under way is lost.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
impl FromIterator<Batch> for Flight {
    /// Batches in flight, the first being the oldest.
    fn from_iter<B: IntoIterator<Item = Batch>>(batches: B) -> Flight {
        let ring: Vec<_> = batches.into_iter().collect();
        Flight { oldest: 0, len: ring.len(), ring }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_leave_in_the_order_in_which_they_came() {
        let mut flight = Flight::new(2);
        let ticks = |flight: &Flight| flight.iter().map(|b| b.tick).collect::<Vec<_>>();
        for round in 0..5 {
            for tick in [2 * round, 2 * round + 1] {
                flight.next_mut().tick = tick;
                flight.launch();
            }
            assert_eq!(ticks(&flight), [2 * round, 2 * round + 1]);
            assert_eq!(flight.full().map(<[Batch]>::len), Some(2));
            flight.land();
            assert_eq!((ticks(&flight), flight.full().is_none()), (vec![2 * round + 1], true));
            assert_eq!(flight.front().map(|b| b.tick), flight.back().map(|b| b.tick));
            // An odd number of landings moves the ring's start.
            if round == 3 {
                flight.clear();
            } else {
                flight.land();
            }
            assert!(flight.is_empty() && flight.front().is_none() && flight.back().is_none());
        }
    }
}
