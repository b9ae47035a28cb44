//! When a replica fails, when the gateway notices, when it is back.
//!
//! Must keep true: a replica's failures depend on (seed, replicate, its index, how many it had), not on the policy.
use crate::random;
use crate::types::SimTime;

/// Failure model of a replica (spec/fleet.md 5.1): any of its GPUs kills it with all its requests and KV.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureModel {
    /// Failures per GPU and hour. 2e-5 = 419 unexpected interruptions in 21,233,664 GPU-hours (Llama 3 405B).
    pub per_gpu_hour: f64,
    /// From the failure until the gateway stops sending there and its requests fail.
    pub detection: SimTime,
    /// From the failure until the replica serves again.
    pub recovery: SimTime,
}

impl FailureModel {
    /// Time from `up_since` to failure number `count` of replica `index` with `gpus` GPUs; exponential.
    pub fn next_failure(
        &self,
        seed: u64,
        replicate: u32,
        index: u32,
        count: u32,
        gpus: u32,
        up_since: SimTime,
    ) -> SimTime {
        let rate_per_s = self.per_gpu_hour * f64::from(gpus) / 3600.0;
        if rate_per_s <= 0.0 {
            return SimTime::NEVER;
        }
        let mut draws = random::stream(seed, replicate, "replica-failure", u64::from(index), count);
        let wait_s = random::dist::exponential(&mut draws, 1.0 / rate_per_s);
        if wait_s > 1e9 { SimTime::NEVER } else { up_since + SimTime::from_secs_f64(wait_s).max(SimTime(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_time_between_failures_is_that_of_the_rate() {
        let model = FailureModel { per_gpu_hour: 0.01, detection: SimTime::ZERO, recovery: SimTime::ZERO };
        let n = 4_000;
        let total: f64 = (0..n).map(|i| model.next_failure(1, 0, i, 0, 8, SimTime::ZERO).as_secs_f64()).sum();
        let mean_h = total / f64::from(n) / 3600.0;
        assert!((mean_h - 12.5).abs() < 0.8, "expected 1 / (8 x 0.01) = 12.5 h, got {mean_h}");
        let off = FailureModel { per_gpu_hour: 0.0, ..model };
        assert_eq!(off.next_failure(1, 0, 0, 0, 8, SimTime::ZERO), SimTime::NEVER);
    }
}
