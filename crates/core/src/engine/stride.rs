//! The clock of a stride: when the updates and ends of a run of equal decode steps are.
//!
//! Imports `types`. Must keep true: every instant equals the one that the single steps add up to, to the femtosecond.
use super::flight::Flight;
use super::scheduler::Stride;
use crate::types::{DecodeLaw, Femtos, GapRun, SimTime};

/// Batches in flight at most.
const DEPTH: usize = 2;
/// Shorter steps are taken one by one: two of them may end at one published instant, and then the order of updates and
/// schedules is another.
const SHORTEST_FS: u64 = Femtos::PER_NS as u64;

/// A run of `cycles` cycles that starts from full flight. Batch 0 is the newest in flight, batch -1 the one before it;
/// batch `j > 0` is the one that the stride schedules as its `j`-th. Cycle `i` (from 1) updates batch `i - depth` and
/// schedules batch `i`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    cycles: u32,
    rows: u32,
    depth: u32,
    /// Ends of the batches in flight, oldest first.
    known: [Femtos; DEPTH],
    /// Step 1 lasts this long, each one after it `more_fs` longer.
    first_fs: u64,
    more_fs: u64,
    /// When the first batch ends that the stride does not update.
    ends: Femtos,
}

impl Ahead {
    /// The stride from these batches on, as far as the law holds; none if there is nothing to gain.
    pub fn new(flight: &Flight, stride: Stride, law: DecodeLaw) -> Option<Ahead> {
        let rows = u64::from(stride.rows);
        let ctx = flight.back()?.decode_ctx_sum + rows;
        if law.base_fs < SHORTEST_FS || ctx >= law.until_ctx_sum {
            return None;
        }
        let lawful = (law.until_ctx_sum - 1 - ctx) / rows + 1;
        let cycles = u64::from(stride.cycles).min(lawful) as u32;
        let mut known = [Femtos(0); DEPTH];
        known.iter_mut().zip(flight.iter()).for_each(|(k, batch)| *k = batch.ends_at);
        let mut ahead = Ahead {
            cycles,
            rows: stride.rows,
            depth: flight.len() as u32,
            known,
            first_fs: law.base_fs + law.per_ctx_fs * ctx,
            more_fs: law.per_ctx_fs * rows,
            ends: Femtos(0),
        };
        ahead.ends = ahead.update_of(cycles + 1);
        Some(ahead)
    }

    /// Cycles of the whole stride.
    pub fn cycles(&self) -> u32 {
        self.cycles
    }
    /// When the first batch ends that the stride does not update.
    pub fn ends(&self) -> Femtos {
        self.ends
    }

    /// End of batch `j`; see the type.
    pub fn end_of(&self, j: i64) -> Femtos {
        if j <= 0 {
            return self.known[(self.depth as i64 - 1 + j) as usize];
        }
        let j = j as u128;
        let steps = j * u128::from(self.first_fs) + j * (j - 1) / 2 * u128::from(self.more_fs);
        self.known[self.depth as usize - 1] + Femtos(steps)
    }

    /// When cycle `i` (from 1) updates its batch and schedules the next.
    pub fn update_of(&self, i: u32) -> Femtos {
        self.end_of(i64::from(i) - i64::from(self.depth))
    }

    /// Cycles whose instant is before `t`.
    pub fn cycles_before(&self, t: SimTime) -> u32 {
        let t = Femtos::from_time(t);
        if self.update_of(self.cycles) < t {
            return self.cycles;
        }
        // Never more than what equal steps of the first one's length would be; from there, down by halves.
        let newest = self.known[self.depth as usize - 1];
        let since = t.0.saturating_sub(newest.0);
        let steps = match u64::try_from(since) {
            Ok(since) => since / self.first_fs,
            Err(_) => (since / u128::from(self.first_fs)) as u64,
        };
        let most = steps + u64::from(self.depth) + 1;
        let mut not = most.min(u64::from(self.cycles)) as u32;
        if not == 0 || self.update_of(not) < t {
            return not;
        }
        // Never fewer than what equal steps of the last one's length would be.
        let longest = u128::from(self.first_fs) + u128::from(not) * u128::from(self.more_fs);
        let mut done = match (u64::try_from(since), u64::try_from(longest)) {
            (Ok(since @ 1..), Ok(longest)) => self.depth + ((since - 1) / longest) as u32,
            _ => 0,
        };
        while not - done > 1 {
            let middle = done + (not - done) / 2;
            if self.update_of(middle) < t {
                done = middle;
            } else {
                not = middle;
            }
        }
        done
    }

    /// The gaps that the first `cycles` updates close, the update before them having been at `since`.
    pub fn gaps(&self, mut since: Femtos, cycles: u32, out: &mut Vec<GapRun>) {
        let tokens = self.rows;
        for i in 1..=cycles.min(self.depth) {
            let at = self.update_of(i);
            out.push(GapRun { first_fs: (at - since).0, more_fs: 0, steps: 1, tokens });
            since = at;
        }
        if cycles > self.depth {
            let (first_fs, more_fs) = (self.first_fs.into(), self.more_fs);
            out.push(GapRun { first_fs, more_fs, steps: cycles - self.depth, tokens });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Batch;

    fn flight(ends: &[u128], rows: u32, ctx: u64) -> Flight {
        let batch = |(i, &e): (usize, &u128)| Batch {
            steady: rows,
            decode_rows: rows,
            decode_ctx_sum: ctx + i as u64 * u64::from(rows),
            ends_at: Femtos(e),
            ..Batch::default()
        };
        ends.iter().enumerate().map(batch).collect()
    }

    #[test]
    fn instants_are_those_of_single_steps() {
        let law = DecodeLaw { base_fs: 7_000_000_123, per_ctx_fs: 1_017, until_ctx_sum: 5_000 };
        for ends in [&[9_999_999_999u128][..], &[9_999_999_999, 17_000_000_001]] {
            let flight = flight(ends, 3, 100);
            let ahead = Ahead::new(&flight, Stride { cycles: 40, rows: 3 }, law).expect("a stride");
            let newest = flight.back().expect("a batch");
            let (mut end, mut ctx) = (newest.ends_at.0, newest.decode_ctx_sum);
            let mut updates = ends.to_vec();
            for j in 1..=41 {
                ctx += 3;
                end += u128::from(law.base_fs + law.per_ctx_fs * ctx);
                assert_eq!(ahead.end_of(j), Femtos(end));
                updates.push(end);
            }
            let depth = ends.len();
            for (i, &at) in updates.iter().enumerate().take(40) {
                assert_eq!(ahead.update_of(i as u32 + 1), Femtos(at));
                let ns = at.div_ceil(Femtos::PER_NS) as u64;
                assert_eq!(ahead.cycles_before(SimTime(ns)), if at % Femtos::PER_NS == 0 { i } else { i + 1 } as u32);
                assert_eq!(ahead.cycles_before(SimTime(ns - 1)), i as u32);
            }
            assert_eq!(ahead.ends(), Femtos(updates[40]));
            let mut gaps = Vec::new();
            ahead.gaps(Femtos(1_000), 40, &mut gaps);
            let lengths =
                gaps.iter().flat_map(|g| (0..g.steps).map(|i| g.first_fs + u128::from(i) * u128::from(g.more_fs)));
            let mut since = 1_000;
            for (i, length) in lengths.enumerate() {
                assert_eq!(length, updates[i] - since, "gap {i} at depth {depth}");
                since = updates[i];
            }
        }
    }

    #[test]
    fn a_stride_ends_with_the_piece_of_its_law() {
        let law = DecodeLaw { base_fs: 7_000_000, per_ctx_fs: 1, until_ctx_sum: 112 };
        let ahead = Ahead::new(&flight(&[5], 3, 100), Stride { cycles: 40, rows: 3 }, law).expect("a stride");
        assert_eq!(ahead.cycles(), 3, "steps on 103, 106 and 109 tokens; the one on 112 is of the next piece");
        let at_border = DecodeLaw { until_ctx_sum: 103, ..law };
        assert!(Ahead::new(&flight(&[5], 3, 100), Stride { cycles: 40, rows: 3 }, at_border).is_none());
    }
}
