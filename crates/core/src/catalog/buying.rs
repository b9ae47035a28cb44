//! Rows about how bought capacity behaves: incidents of hosted services, provisioned units.
//!
//! Imports nothing. Must keep true: what is derived from a row says how.
use serde::{Deserialize, Serialize};

/// z of the 90th percentile of the standard normal distribution.
const Z90: f64 = 1.281_551_565_544_600_4;
/// Weight of a partial outage in weighted availability.
const PARTIAL_WEIGHT: f64 = 0.3;

/// Incidents of a service, as its status page tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentRow {
    /// The service.
    pub service: String,
    /// Days observed.
    pub days: u32,
    /// Share of time without any impact, percent.
    pub availability_any: f64,
    /// The same with partial outages weighted 0.3, percent.
    pub availability_weighted: f64,
    /// Hours between incidents, mean.
    pub gap_mean_h: f64,
    /// Median.
    pub gap_median_h: f64,
    /// Minutes that one lasts, mean.
    pub duration_mean_min: f64,
    /// Median.
    pub duration_median_min: f64,
    /// 90th percentile.
    pub duration_p90_min: f64,
    /// Until when it was observed.
    pub date: String,
    /// Where.
    pub source: String,
}

impl IncidentRow {
    /// Sigma of a log-normal gap with this mean and median.
    pub fn gap_sigma(&self) -> f64 {
        libm::sqrt(2.0 * libm::log(self.gap_mean_h / self.gap_median_h))
    }
    /// Sigma of a log-normal duration with this median and 90th percentile.
    pub fn duration_sigma(&self) -> f64 {
        libm::log(self.duration_p90_min / self.duration_median_min) / Z90
    }
    /// Share of incidents that users notice: as many as give the availability that was measured, when incidents last as
    /// long and come as often as they do here.
    pub fn noticed(&self) -> f64 {
        let sigma = self.duration_sigma();
        let lasts_h = self.duration_median_min / 60.0 * libm::exp(sigma * sigma / 2.0);
        let share = (1.0 - self.availability_any / 100.0) * (self.gap_mean_h + lasts_h) / lasts_h;
        share.clamp(0.0, 1.0)
    }
    /// Share of noticed time that is a full outage: with `full + partial` lost in all and `full + 0.3 partial` weighted.
    pub fn full(&self) -> f64 {
        let (any, weighted) = (1.0 - self.availability_any / 100.0, 1.0 - self.availability_weighted / 100.0);
        let partial = (any - weighted) / (1.0 - PARTIAL_WEIGHT);
        (1.0 - partial / any).clamp(0.0, 1.0)
    }
}

/// What a provisioned unit of a model serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionedRow {
    /// The model.
    pub model: String,
    /// Input tokens a minute of one unit.
    pub input_tpm_per_unit: u64,
    /// What an output token counts, input tokens.
    pub output_weight: f64,
    /// Units at least.
    pub min_units: u32,
    /// By how many they grow.
    pub unit_step: u32,
    /// When it was read.
    pub date: String,
    /// Where.
    pub source: String,
}
