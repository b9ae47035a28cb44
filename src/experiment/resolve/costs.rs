//! People, failures and the gate, resolved.
use super::super::verdict::gate::{Tolerance, check_name};
use super::super::{ON_CALL_KEY, PEOPLE_KEY};
use super::*;

/// What people cost.
#[derive(Default)]
pub(super) struct People {
    /// A full-time equivalent, a year.
    pub per_year: Usd,
    /// On-call, a year.
    pub on_call_per_year: Usd,
    /// Full-time equivalents, thousandths.
    pub fte_thousandths: u32,
}

impl Resolver<'_> {
    /// People. Keys of faults are counted from `economics`.
    pub(super) fn people(&mut self) -> Result<People, Faults> {
        let e = &self.file.economics;
        let mut faults = Faults::default();
        let holds = (0.0..=1000.0).contains(&e.people_fte);
        let fte = in_range("people_fte", e.people_fte, holds, "it must be a number from 0, at most 1000");
        let people = People {
            per_year: faults.or_default(self.yearly("people_usd_per_year", e.people_usd_per_year, PEOPLE_KEY)),
            on_call_per_year: faults.or_default(self.yearly(
                "on_call_usd_per_year",
                e.on_call_usd_per_year,
                ON_CALL_KEY,
            )),
            fte_thousandths: (faults.or_default(fte) * 1000.0).round() as u32,
        };
        faults.finish(people)
    }

    /// A yearly cost: one's own, or the catalogue's with what of it is an assumption.
    fn yearly(&mut self, key: &str, own: Option<f64>, name: &str) -> Result<Usd, Fault> {
        let row = self.catalog.ops(name).map_err(|e| of_catalog(key, e))?;
        if own.is_none() && row.unverified {
            let typical = baseload_core::types::numbers::thousands(row.typical as u64);
            self.warnings.push(format!("{name}: US$ {typical} a year is an assumption: {}", row.source));
        }
        Usd::from_number(own.unwrap_or(row.typical)).map_err(|fault| fault.under(key))
    }

    /// Failures of replicas. Keys of faults are counted from `failures`.
    pub(super) fn failures(&self) -> Result<Option<FailureModel>, Faults> {
        let Some(f) = &self.file.failures else { return Ok(None) };
        let mut faults = Faults::default();
        let model = FailureModel {
            per_gpu_hour: faults.or_default(from_0("per_gpu_hour", f.per_gpu_hour)),
            detection: faults.or(SimTime::ZERO, duration("detection", &f.detection)),
            recovery: faults.or(SimTime::ZERO, duration("recovery", &f.recovery)),
        };
        faults.finish(Some(model))
    }

    /// What the gate holds: metrics of these policies. Keys of faults are counted from `gate`.
    pub(super) fn gate(&self, policies: &[&str]) -> Result<Vec<(String, Tolerance)>, Faults> {
        let mut faults = Faults::default();
        let mut rules = Vec::new();
        for (name, rule) in &self.file.gate {
            let tolerance = check_name(name, policies).and_then(|()| rule.tolerance());
            let tolerance = faults.take(tolerance.map_err(|fault| fault.under(name)));
            rules.extend(tolerance.map(|tolerance| (name.clone(), tolerance)));
        }
        faults.finish(rules)
    }
}
