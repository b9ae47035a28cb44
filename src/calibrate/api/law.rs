//! Measured calls of one model to the law of their times.
//!
//! Method: the typical time is linear in prompt, uncached and output tokens with non-negative coefficients, found by least
//! absolute errors of its logarithm (least squares, reweighted). What is left, a factor a call, is kept as quantiles: over
//! all calls, or where there are enough of them over parts by typical time, so that the spread may differ between short and
//! long calls. Times to first token have the same form without output tokens. Nothing here knows what a provider is like.
use super::super::nnls::Normal;
use super::read::MeasuredCall;
use baseload_core::api::ProfileLaw;
use baseload_core::catalog::{ApiKnot, ApiProfile, ApiProfileData, ApiScores, ApiTime};
use baseload_core::numeric::{counted_quantile, quantile};
use baseload_core::types::{SimTime, TraceFault, wrong};

/// Fewest answered calls that make a profile: with fewer even the 95th percentile is a guess.
pub const FEWEST_CALLS: usize = 20;
/// Calls a part by typical time has at least: the 99th percentile of fewer is one of four calls.
const CALLS_A_KNOT: usize = 400;
/// Most such parts.
const MOST_KNOTS: usize = 5;
/// Neighbouring parts are told apart if their typical times differ by this factor.
const APART: f64 = 1.05;
/// A column of which the others explain all but this share says nothing of its own.
const OWN_SHARE: f64 = 0.01;
/// Reweightings; the coefficients move by less than 1 % after twenty.
const ROUNDS: u32 = 40;
/// Errors of a logarithm below this count alike, so that no call has the weight of all others.
const SAME: f64 = 0.02;

/// Errors of a logarithm above this are cut while the coefficients are on their way.
const FAR: f64 = 2.0;

/// Shares of calls at which factors are kept: closer together in the upper tail.
const LEVELS: [f64; 28] = [
    0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9,
    0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0,
];

/// The law's columns of a call: 1, and thousands of prompt, uncached and output tokens.
fn columns(c: &MeasuredCall) -> [f64; 4] {
    let k = |n: u32| f64::from(n) / 1e3;
    [1.0, k(c.call.prompt), k(c.call.prompt.saturating_sub(c.call.cached)), k(c.call.output)]
}

/// A sample: columns and seconds.
type Sample = ([f64; 4], f64);

fn typical(x: &[f64; 4], row: &[f64; 4]) -> f64 {
    x.iter().zip(row).map(|(a, b)| a * b).sum::<f64>().max(1e-3)
}

/// The columns that the samples can tell, of those wanted. What a prompt costs when it is cached is given up first: where
/// nothing is cached it is the same as what an uncached one costs.
fn told(samples: &[Sample], mut wanted: [bool; 4]) -> [bool; 4] {
    let mut normal = Normal::<4>::default();
    samples.iter().for_each(|(x, y)| normal.add(x, *y, 1.0));
    for column in [1, 2, 3] {
        wanted[column] &= normal.own_shares(&wanted)[column] >= OWN_SHARE;
    }
    wanted
}

/// Coefficients of least absolute errors of the logarithm.
fn linear(samples: &[Sample], wanted: &[bool; 4]) -> [f64; 4] {
    let seconds: Vec<f64> = samples.iter().map(|s| s.1).collect();
    let mut x = [quantile(&seconds, 0.5).unwrap_or(1.0), 0.0, 0.0, 0.0];
    for _ in 0..ROUNDS {
        let mut normal = Normal::<4>::default();
        for (row, y) in samples {
            let p = typical(&x, row);
            // One step of Gauss and Newton on the logarithm, which counts by its sign alone.
            let error = libm::log(y / p).clamp(-FAR, FAR);
            normal.add(row, p * (1.0 + error), 1.0 / (p * p * error.abs().max(SAME)));
        }
        x = normal.solve_non_negative(wanted);
    }
    x
}

/// Quantile at `level` of sorted values, as a share of all calls to come (Weibull's plotting positions).
fn at_level(sorted: &[f64], level: f64) -> f64 {
    let last = sorted.len() - 1;
    let at = (level * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, last as f64);
    let low = at.floor() as usize;
    sorted[low] + (sorted[(low + 1).min(last)] - sorted[low]) * (at - low as f64)
}

/// Five significant digits: what a profile's reader can use.
fn short(v: f64) -> f64 {
    baseload_core::types::numbers::rounded(v, 5)
}

/// The factors of the samples around their typical times.
fn knots(x: &[f64; 4], samples: &[Sample], most: usize) -> Vec<ApiKnot> {
    let mut all: Vec<(f64, f64)> =
        samples.iter().map(|(row, y)| (typical(x, row), libm::log(y / typical(x, row)))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let n = all.len();
    let mut parts = (n / CALLS_A_KNOT).clamp(1, most);
    let part = |i: usize, parts: usize| &all[n * i / parts..n * (i + 1) / parts];
    let middle = |p: &[(f64, f64)]| p[p.len() / 2].0;
    while parts > 1 && (1..parts).any(|i| middle(part(i, parts)) < APART * middle(part(i - 1, parts))) {
        parts -= 1;
    }
    // Logarithm of the time at each level (outer) and part (inner).
    let times: Vec<f64> = (0..parts).map(|i| middle(part(i, parts))).map(libm::log).collect();
    let residuals = |i: usize| {
        let mut r: Vec<f64> = part(i, parts).iter().map(|p| p.1).collect();
        r.sort_by(f64::total_cmp);
        r
    };
    let residuals: Vec<Vec<f64>> = (0..parts).map(residuals).collect();
    let rising = LEVELS.map(|l| {
        let at: Vec<f64> = residuals.iter().zip(&times).map(|(r, t)| t + at_level(r, l)).collect();
        isotonic(&at)
    });
    let mut out: Vec<ApiKnot> = Vec::new();
    for (i, time) in times.iter().enumerate() {
        let typical_s = short(libm::exp(*time));
        let mut factors: Vec<f64> = rising.iter().map(|at| short(libm::exp(at[i]) / typical_s)).collect();
        // Rounding and pooling may have turned equal times around.
        if let Some(below) = out.last() {
            factors.iter_mut().zip(&below.factors).for_each(|(f, b)| *f = f.max(b * below.typical_s / typical_s));
        }
        for j in 1..factors.len() {
            factors[j] = factors[j].max(factors[j - 1]);
        }
        out.push(ApiKnot { typical_s, factors });
    }
    out
}

/// The closest sequence that does not fall (pool adjacent violators).
fn isotonic(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for v in values {
        pools.push((*v, 1));
        while let [.., a, b] = pools.as_slice()
            && a.0 > b.0
        {
            let n = a.1 + b.1;
            let both = ((a.0 * a.1 as f64 + b.0 * b.1 as f64) / n as f64, n);
            pools.truncate(pools.len() - 2);
            pools.push(both);
        }
    }
    pools.iter().flat_map(|(v, n)| std::iter::repeat_n(*v, *n)).collect()
}

fn time(x: [f64; 4], samples: &[Sample]) -> ApiTime {
    let x = x.map(short);
    ApiTime {
        base_s: x[0],
        s_per_1000_prompt_tokens: x[1],
        s_per_1000_uncached_tokens: x[2],
        s_per_1000_output_tokens: x[3],
        levels: LEVELS.to_vec(),
        knot: knots(&x, samples, MOST_KNOTS),
    }
}

/// The law of whole calls; and whether the calls' own lengths told what an output token costs.
fn whole(calls: &[&MeasuredCall]) -> (ApiTime, [bool; 4]) {
    let samples: Vec<Sample> = calls.iter().map(|c| (columns(c), c.e2e_s)).collect();
    let wanted = told(&samples, [true; 4]);
    let mut x = linear(&samples, &wanted);
    let gaps: Vec<f64> = calls
        .iter()
        .filter(|c| c.call.output > 1)
        .filter_map(|c| Some((c.e2e_s - c.ttft_s?).max(0.0) / f64::from(c.call.output - 1)))
        .collect();
    if !wanted[3]
        && let Some(gap) = quantile(&gaps, 0.5).filter(|_| gaps.len() >= FEWEST_CALLS.min(calls.len()))
    {
        // All answers are about equally long: what a token costs is seen between the first and the last.
        let per_1000 = gap * 1e3;
        let rest: Vec<Sample> = samples.iter().map(|(row, y)| (*row, (y - per_1000 * row[3]).max(0.01 * y))).collect();
        x = linear(&rest, &wanted);
        x[3] = per_1000;
    }
    (time(x, &samples), wanted)
}

fn median(of: impl Iterator<Item = u32>) -> u32 {
    counted_quantile(of.map(|v| (v, 1)), 500_000).unwrap_or(0)
}

/// How the luck of both times goes together: the correlation of their shares, and the bound of the first by the whole.
fn together(p: &mut ApiProfile, streamed: &[&MeasuredCall]) {
    let law = ProfileLaw::new(p, SimTime::ZERO);
    let shares: Vec<(f64, f64)> = streamed
        .iter()
        .filter_map(|c| Some((law.e2e_share(&c.call, c.e2e_s), law.unbounded_ttft_share(&c.call, c.ttft_s?))))
        .collect();
    let n = shares.len() as f64;
    let (mu, mv) = shares.iter().fold((0.0, 0.0), |m, s| (m.0 + s.0 / n, m.1 + s.1 / n));
    let (mut uv, mut uu, mut vv) = (0.0, 0.0, 0.0);
    for (u, v) in &shares {
        uv += (u - mu) * (v - mv);
        uu += (u - mu) * (u - mu);
        vv += (v - mv) * (v - mv);
    }
    p.together = if uu * vv > 0.0 { short((uv / (uu * vv).sqrt()).clamp(0.0, 1.0)) } else { 0.0 };
    let parts: Vec<f64> =
        streamed.iter().filter(|c| c.call.output > 1).filter_map(|c| Some(c.ttft_s? / c.e2e_s)).collect();
    p.most_ttft_share = short(quantile(&parts, 0.99).unwrap_or(0.98).clamp(0.5, 0.98));
}

/// A law of the given calls, without scores; and what it cannot know.
///
/// # Errors
/// Too few calls: how many are needed.
pub(super) fn law_of(calls: &[&MeasuredCall], what: &str) -> Result<(ApiProfile, Vec<String>), TraceFault> {
    if calls.len() < FEWEST_CALLS {
        let hint = format!("at least {FEWEST_CALLS} are needed to fit a profile, and 100 to see its 99th percentile");
        return Err(wrong!("{what}: {} calls with a time", calls.len()).hint(hint));
    }
    let mut notes = Vec::new();
    let (e2e, told_e2e) = whole(calls);
    let streamed: Vec<&MeasuredCall> = calls.iter().copied().filter(|c| c.ttft_s.is_some()).collect();
    let known = streamed.len() >= FEWEST_CALLS;
    let ttft = if known {
        let samples: Vec<Sample> = streamed.iter().filter_map(|c| Some((columns(c), c.ttft_s?))).collect();
        let wanted = told(&samples, [true, true, true, false]);
        time(linear(&samples, &wanted), &samples)
    } else {
        // What the whole call costs before its first output token stands in, with the whole call's factors.
        let samples: Vec<Sample> = calls.iter().map(|c| (columns(c), c.e2e_s)).collect();
        let x =
            [e2e.base_s, e2e.s_per_1000_prompt_tokens, e2e.s_per_1000_uncached_tokens, e2e.s_per_1000_output_tokens];
        ApiTime { s_per_1000_output_tokens: 0.0, knot: knots(&x, &samples, 1), ..e2e.clone() }
    };
    if calls.len() < 100 {
        notes.push(format!("{} calls: beyond the 95th percentile the law is their slowest one", calls.len()));
    }
    if !known {
        notes.push(format!(
            "the time to first token was measured in {} calls, and {FEWEST_CALLS} are needed: it is taken to be what a whole call costs without its output tokens",
            streamed.len()
        ));
    }
    if !told_e2e[1] && !told_e2e[2] {
        notes.push("prompts are equally long: what a longer prompt costs is not known, and taken as nothing".into());
    } else if !told_e2e[1] {
        notes.push("what a cached prompt token costs is not told apart, and taken as nothing".into());
    }
    if !told_e2e[3] {
        notes.push("outputs are equally long: the speed is that between first and last token".into());
    }
    let mut p = ApiProfile {
        version: 1,
        name: what.to_owned(),
        provider: what.to_owned(),
        model: what.to_owned(),
        measured: String::new(),
        date: String::new(),
        source: String::new(),
        note: String::new(),
        hours: None,
        together: 1.0,
        most_ttft_share: 0.98,
        data: ApiProfileData {
            calls: calls.len() as u64,
            streamed: streamed.len() as u64,
            prompt_tokens: median(calls.iter().map(|c| c.call.prompt)),
            cached_tokens: median(calls.iter().map(|c| c.call.cached)),
            output_tokens: median(calls.iter().map(|c| c.call.output)),
            ..ApiProfileData::default()
        },
        outcomes: None,
        scores: ApiScores::default(),
        e2e,
        ttft,
    };
    if known {
        together(&mut p, &streamed);
    }
    Ok((p, notes))
}
