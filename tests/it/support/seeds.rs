//! DrawKey of the swarm: one constant seed unless the environment says otherwise, and a generator of its own.
//!
//! SplitMix64, not `baseload::random`: a swarm that drew with the code under test would move when that code does.

/// Seed of the swarm where `BASELOAD_SWARM_SEED` is not set. A constant, never the clock.
pub const DEFAULT_SEED: u64 = 20_261_124;
/// Cases where `BASELOAD_SWARM_CASES` is not set.
pub const DEFAULT_CASES: u64 = 64;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{name} is `{text}`; it must be a whole number")))
}

/// The seeds of this run's cases: consecutive, so that one case repeats with its own seed and `BASELOAD_SWARM_CASES=1`.
pub fn cases() -> std::ops::Range<u64> {
    let first = number("BASELOAD_SWARM_SEED").unwrap_or(DEFAULT_SEED);
    first..first + number("BASELOAD_SWARM_CASES").unwrap_or(DEFAULT_CASES)
}

/// The command that repeats one case.
pub fn repeat(seed: u64) -> String {
    format!("BASELOAD_SWARM_SEED={seed} BASELOAD_SWARM_CASES=1 cargo test --test it swarm")
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct DrawKey(u64);

impl DrawKey {
    pub fn new(seed: u64) -> DrawKey {
        let mut luck = DrawKey(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        luck.next();
        luck
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "luck: an empty range {low}..={high}");
        low + self.next() % (high - low + 1)
    }
    /// Often near `low`, seldom near `high`.
    pub fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let top = self.range(low, high);
        let top = self.range(low, top);
        self.range(low, top)
    }
    pub fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[(self.next() % from.len() as u64) as usize]
    }
}
