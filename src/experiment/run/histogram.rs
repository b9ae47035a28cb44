//! The histogram that every latency is kept in.
use hdrhistogram::Histogram;

/// Longest latency told apart: 12 days.
pub(super) const LONGEST_NS: u64 = 1 << 50;

/// An empty one of nanoseconds, with three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("histogram: bounds and digits are constants in range")
}
