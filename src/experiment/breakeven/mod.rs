//! A break-even: what all-API, all-self-hosted and a hybrid cost a month at volumes around today's, each own fleet with the
//! fewest replicas that meet the SLO, and where the cheaper one changes.
//!
//! May import: economics, sim, trace, the resolved experiment; rayon. Must keep true: the same inputs give the same result
//! for any number of threads; a line that misses the SLO says so; the parts of a gap add up to the own bill.
//! Read first: `breakeven/lines.rs` (which policies), then `measure.rs` (one simulation), `size.rs` (how many replicas),
//! `cross.rs` (crossings).
mod cross;
mod lines;
mod measure;
mod result;
mod size;
#[cfg(test)]
mod tests;

pub use lines::{Kind, Named, choose};
pub use measure::{AtOne, Bench, Measured};
pub use result::{BreakEven, Crossing, FORMAT, GapRow, LineInfo, LinePoint, Naive, Point};

use super::resolve::{Experiment, ResolvedPolicy};
use super::run::RunError;
use super::verdict::summary::SloSummary;
use baseload_core::economics::{self, FleetRates, Gap, OwnBill, OwnWork};
use baseload_core::types::numbers::rounded;
use baseload_core::types::{Fault, Usd};
use rayon::prelude::*;
use size::{Fit, Offer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What to compare.
pub struct Options<'a> {
    /// Policies by name, by kind; the first of each kind where none is named.
    pub named: Named<'a>,
    /// Volumes, ascending, times today's.
    pub volumes: &'a [f64],
    /// Share of requests that must meet the SLO.
    pub target: f64,
    /// How exactly crossings are found, as a share of the volume.
    pub tolerance: f64,
    /// Threads.
    pub jobs: usize,
    /// Arrivals so far, over all simulations.
    pub progress: &'a AtomicU64,
    /// Points of the grid that are done; there are lines x volumes.
    pub done: &'a AtomicU64,
    /// Set to stop.
    pub stop: &'a AtomicBool,
}

/// Volumes from `from` to `to`, evenly spaced by factor, with four digits so that x1 is the trace itself.
pub fn volumes(from: f64, to: f64, points: u32) -> Vec<f64> {
    let share = |i: u32| f64::from(i) / f64::from(points.max(2) - 1);
    (0..points.max(2)).map(|i| rounded(from * libm::pow(to / from, share(i)), 4)).collect()
}

/// A policy and what its fleet can do.
struct Line<'a> {
    kind: Kind,
    policy: &'a ResolvedPolicy,
    rates: Option<FleetRates>,
}

impl Line<'_> {
    /// Replicas of the largest pool in the file.
    fn largest(&self) -> u32 {
        self.policy.pools.iter().map(|(_, n)| *n).max().unwrap_or(0)
    }

    /// Whether both keep the same pools in the same proportion, so that their numbers of replicas compare.
    fn keeps_as(&self, other: &Line<'_>) -> bool {
        let shares = |line: &Line<'_>, times: u32| -> Vec<(usize, u64)> {
            let kept = line.policy.pools.iter().filter(|(_, n)| *n > 0);
            kept.map(|(pool, n)| (*pool, u64::from(*n) * u64::from(times))).collect()
        };
        shares(self, other.largest()) == shares(other, self.largest())
    }

    /// The policy with `n` replicas of its largest pool, the others in the file's proportion, rounded up.
    fn sized(&self, n: u32) -> ResolvedPolicy {
        let mut policy = self.policy.clone();
        let largest = u64::from(self.largest().max(1));
        for (_, replicas) in &mut policy.pools {
            *replicas = (u64::from(*replicas) * u64::from(n)).div_ceil(largest) as u32;
        }
        policy
    }
}

/// What a point is known by: line and the bits of its volume.
type Key = (Kind, u64);

struct Search<'a> {
    exp: &'a Experiment,
    bench: Bench<'a>,
    lines: Vec<Line<'a>>,
    target: f64,
    known: Mutex<BTreeMap<Key, Arc<LinePoint>>>,
    /// What the trace's reader had to say, and the point whose words are kept.
    notes: Mutex<BTreeSet<String>>,
    noted: (Kind, f64),
}

/// Runs all simulations.
///
/// # Errors
/// Lines that are not there, a trace without a volume, a fault of a simulation, an interruption.
pub fn run(exp: &Experiment, options: &Options<'_>) -> Result<BreakEven, RunError> {
    let chosen = choose(exp, &options.named)?;
    let bench = Bench::new(exp, options.progress, options.stop)?;
    let lines: Vec<Line<'_>> = Kind::ALL
        .into_iter()
        .zip(chosen)
        .filter_map(|(kind, policy)| {
            let policy = policy?;
            Some(Line { kind, policy, rates: (kind != Kind::Api).then(|| bench.rates(policy)) })
        })
        .collect();
    let noted = (lines[0].kind, options.volumes.last().copied().unwrap_or(1.0));
    let (known, notes) = (Mutex::default(), Mutex::default());
    let search = Search { exp, lines, bench, target: options.target, known, notes, noted };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build();
    let pool = pool.map_err(|e| Fault::at("--jobs", format!("{}: {e}", options.jobs)))?;
    pool.install(|| {
        search.grid(options)?;
        let crossings = search.crossings(options)?;
        Ok(search.result(options, crossings))
    })
}

impl<'a> Search<'a> {
    fn line(&self, kind: Kind) -> Option<&Line<'a>> {
        self.lines.iter().find(|l| l.kind == kind)
    }

    /// All lines at all volumes: those that need no other first, the largest volumes first.
    fn grid(&self, options: &Options<'_>) -> Result<(), RunError> {
        for hybrid in [false, true] {
            let kinds = self.lines.iter().map(|l| l.kind).filter(|k| (*k == Kind::Hybrid) == hybrid);
            let tasks: Vec<(Kind, f64)> =
                kinds.flat_map(|k| options.volumes.iter().rev().map(move |v| (k, *v))).collect();
            let each = tasks.par_iter().with_max_len(1).map(|(kind, volume)| {
                self.point(*kind, *volume, None)?;
                options.done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            // The first fault in the order of tasks, whichever came first.
            each.collect::<Vec<Result<(), RunError>>>().into_iter().collect::<Result<(), RunError>>()?;
        }
        Ok(())
    }

    fn known(&self, kind: Kind, volume: f64) -> Option<Arc<LinePoint>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&(kind, volume.to_bits())).cloned()
    }

    /// A line at a volume. `near`: replicas of the largest pool at the volumes on both sides.
    fn point(&self, kind: Kind, volume: f64, near: Option<(u32, u32)>) -> Result<Arc<LinePoint>, RunError> {
        if let Some(point) = self.known(kind, volume) {
            return Ok(point);
        }
        let line = self.line(kind).expect("breakeven: a point is asked of a line that there is");
        let point = Arc::new(match kind {
            Kind::Api => self.measured(line, line.policy, volume)?,
            Kind::Own => self.fewest(line, volume, near)?,
            Kind::Hybrid => self.cheapest(line, volume, near)?,
        });
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(known.entry((kind, volume.to_bits())).or_insert(point).clone())
    }

    fn measured(&self, line: &Line<'_>, policy: &ResolvedPolicy, volume: f64) -> Result<LinePoint, RunError> {
        let Measured { summary: s, work, notes } = self.bench.simulate(policy, volume)?;

        // Counts in notes differ from volume to volume: those of one point stand for all.
        if (line.kind, volume) == self.noted {
            self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(notes);
        }
        let fit = Fit {
            goodput: s.goodput_share,
            served: s.completed as f64 / s.requests.max(1) as f64,
            drain_s: s.drain_s,
            overloaded: s.overloaded,
        };
        let gap = match (line.kind, line.rates) {
            (Kind::Own, Some(rates)) => {
                // The naive line is straight: by the trace's tokens, not by those of this volume's draw.
                let at_one = &self.bench.at_one;
                let work = OwnWork { output_tokens_per_s: at_one.output * at_one.requests_per_s() * volume, ..work };
                Some(Gap::of(&rates, &work, &self.own_bill(policy, s.api_usd_per_month)))
            }
            _ => None,
        };
        let usd_per_month = gap.map_or(s.total_usd_per_month, |g| g.total().as_f64());
        Ok(LinePoint {
            pools: s.pools.into_iter().filter(|p| p.replicas > 0).collect(),
            usd_per_month,
            gpu_usd_per_month: s.gpu_usd_per_month,
            api_usd_per_month: s.api_usd_per_month,
            people_usd_per_month: s.people_usd_per_month,
            goodput_share: s.goodput_share,
            meets_slo: fit.meets(self.target),
            overloaded: s.overloaded,
            ttft_p99_s: s.ttft_p99_s,
            self_hosted_share: s.self_hosted_share,
            gap,
            fit,
        })
    }

    /// The lines of an own fleet's bill, exact but for what was bought, which the summary has as a float.
    fn own_bill(&self, policy: &ResolvedPolicy, bought: f64) -> OwnBill {
        let gpu = policy.pools.iter().map(|(at, replicas)| {
            let pool = &self.exp.pools[*at];
            economics::gpu_line("", *replicas, pool.replica.gpus, pool.rent()).usd_per_month
        });
        let (people, on_call) = (
            economics::people_line(self.exp.people_per_year, self.exp.people_fte_thousandths),
            economics::on_call_line(self.exp.on_call_per_year),
        );
        OwnBill {
            gpu: gpu.sum(),
            bought: Usd((bought * 1e12).round() as i128),
            people: people.usd_per_month,
            on_call: on_call.usd_per_month,
        }
    }

    /// Simulates `n` replicas of the largest pool, once.
    fn sized(
        &self,
        line: &Line<'_>,
        volume: f64,
        n: u32,
        seen: &Mutex<BTreeMap<u32, LinePoint>>,
    ) -> Result<LinePoint, RunError> {
        let lock = || seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(point) = lock().get(&n) {
            return Ok(point.clone());
        }
        let point = self.measured(line, &line.sized(n), volume)?;
        Ok(lock().entry(n).or_insert(point).clone())
    }

    /// The fewest replicas that meet the SLO.
    fn fewest(&self, line: &Line<'_>, volume: f64, near: Option<(u32, u32)>) -> Result<LinePoint, RunError> {
        let seen = Mutex::default();
        let guess = match near {
            Some((below, above)) => below + above.saturating_sub(below) / 2,
            None => (f64::from(line.largest()) * volume).round() as u32,
        };
        let n = size::fewest(guess, self.target, &mut |n| self.sized_fit(line, volume, n, &seen))?;
        self.sized(line, volume, n, &seen)
    }

    fn sized_fit(
        &self,
        line: &Line<'_>,
        volume: f64,
        n: u32,
        seen: &Mutex<BTreeMap<u32, LinePoint>>,
    ) -> Result<Fit, RunError> {
        self.sized(line, volume, n, seen).map(|p| p.fit)
    }

    /// The number of own replicas at which a hybrid costs least: at most as many as the all-self-hosted fleet, or, where that
    /// line keeps other pools or there is none, twice the fewest with which it meets the SLO itself.
    fn cheapest(&self, line: &Line<'_>, volume: f64, near: Option<(u32, u32)>) -> Result<LinePoint, RunError> {
        let seen = Mutex::default();
        let range = match (near, self.line(Kind::Own)) {
            (Some((below, above)), _) => (below.min(above).saturating_sub(1).max(1), below.max(above) + 1),
            (None, Some(own)) if own.keeps_as(line) => (1, self.point(Kind::Own, volume, None)?.largest().max(1)),
            (None, _) => {
                let guess = (f64::from(line.largest()) * volume).round() as u32;
                let n = size::fewest(guess, self.target, &mut |n| self.sized_fit(line, volume, n, &seen))?;
                (1, n.saturating_mul(2))
            }
        };
        let n = size::cheapest(range, &mut |numbers| {
            let points = numbers.par_iter().with_max_len(1).map(|n| self.sized(line, volume, *n, &seen));
            // The first fault in order, whichever came first.
            let points: Vec<Result<LinePoint, RunError>> = points.collect();
            points
                .into_iter()
                .map(|p| p.map(|p| Offer { meets: p.meets_slo, goodput: p.goodput_share, usd: p.usd_per_month }))
                .collect::<Result<Vec<Offer>, RunError>>()
        })?;
        self.sized(line, volume, n, &seen)
    }

    fn result(self, options: &Options<'_>, crossings: Vec<Crossing>) -> BreakEven {
        let at_one = self.bench.at_one;
        let own = self.line(Kind::Own).or(self.line(Kind::Hybrid));
        let buys = self.line(Kind::Api).or(self.line(Kind::Hybrid));
        let rates = own.and_then(|l| l.rates);
        let list = buys.and_then(|l| self.bench.naive_api(l.policy));
        let naive_own = rates.map(|r| r.naive_usd_per_month(at_one.output * at_one.requests_per_s()));
        let naive_api = list.as_ref().map(|(_, usd)| *usd);
        let point = |volume: &f64| {
            let known = |l: &Line<'_>| self.known(l.kind, *volume).expect("breakeven: the grid has been simulated");
            let lines: Vec<LinePoint> = self.lines.iter().map(|l| (*known(l)).clone()).collect();
            Point {
                volume: *volume,
                requests_per_s: at_one.requests_per_s() * volume,
                naive_own_usd_per_month: naive_own.map(|usd| usd * volume),
                naive_api_usd_per_month: naive_api.map(|usd| usd * volume),
                gap: lines.iter().find_map(|p| p.gap.as_ref()).map(GapRow::of),
                lines,
            }
        };
        let seconds = |t: Option<baseload_core::types::SimTime>| t.map(baseload_core::types::SimTime::as_secs_f64);
        let exp = self.exp;
        let mut warnings = exp.warnings.clone();
        let notes = self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        warnings.extend(notes.iter().map(|n| format!("trace: {n}")));
        BreakEven {
            format: FORMAT,
            name: exp.name.clone(),
            question: exp.question.clone(),
            seed: exp.seed,
            requests: at_one.requests,
            window_s: at_one.window().as_secs_f64(),
            requests_per_s: at_one.requests_per_s(),
            slo: SloSummary { ttft_s: seconds(exp.slo[0]), tpot_s: seconds(exp.slo[1]), e2e_s: seconds(exp.slo[2]) },
            target: options.target,
            tolerance: options.tolerance,
            lines: self.lines.iter().map(|l| self.info(l)).collect(),
            naive: Naive {
                own_usd_per_million_output_tokens: rates.map(|r| r.naive_usd_per_output_token() * 1e6),
                own_usd_per_month: naive_own,
                full_batch_tokens_per_s: rates.map(|r| r.full_batch_tokens_per_s),
                kv_limited_tokens_per_s: rates.map(|r| r.kv_limited_tokens_per_s),
                api_usd_per_month: naive_api,
                endpoint: list.map(|(name, _)| name),
            },
            points: options.volumes.iter().map(point).collect(),
            crossings,
            warnings,
        }
    }

    fn info(&self, line: &Line<'_>) -> LineInfo {
        let kept = line.policy.pools.iter().filter(|(_, replicas)| *replicas > 0);
        LineInfo {
            kind: line.kind,
            policy: line.policy.name.clone(),
            pools: kept.map(|(at, _)| self.exp.pools[*at].name.clone()).collect(),
            endpoints: line.policy.endpoints.iter().map(|at| self.exp.endpoints[*at].name.clone()).collect(),
        }
    }
}
