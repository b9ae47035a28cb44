//! The verdict in one sentence.
//!
//! May import: the summary. Must keep true: never praises a policy that is not eligible; a share is rounded down.
use super::summary::{PolicySummary, SloSummary, eligible_for_best};
use baseload_core::types::numbers::{decimals, percent_down, seconds, thousands, usd};

/// Goodput share from which a policy keeps the SLO.
const KEEPS_SLO: f64 = 0.99;

/// One honest sentence: the cheapest eligible policy that keeps the SLO (else the best goodput), what it saves
/// against the next cheapest that does, and what that costs in tail.
pub fn verdict(policies: &[PolicySummary], slo: &SloSummary) -> String {
    let eligible: Vec<&PolicySummary> =
        policies.iter().zip(eligible_for_best(policies)).filter(|(_, ok)| *ok).map(|(p, _)| p).collect();
    let keeps_text = if slo.is_empty() { "completes 99 % of requests (no SLO is set)" } else { "keeps the SLO" };
    let good = |p: &PolicySummary| percent_down(p.goodput_share);
    let mut keep: Vec<&PolicySummary> = eligible.iter().copied().filter(|p| p.goodput_share >= KEEPS_SLO).collect();
    let tail_s = |p: &PolicySummary| p.ttft_p99_s.unwrap_or(f64::INFINITY);
    keep.sort_by(|a, b| a.total_usd_per_month.total_cmp(&b.total_usd_per_month).then(tail_s(a).total_cmp(&tail_s(b))));
    if let Some((best, rest)) = keep.split_first() {
        let cost = usd(best.total_usd_per_month);
        let head = format!("`{}` is the cheapest policy that {keeps_text}, at US$ {cost} a month", best.name);
        let cheaper = policies
            .iter()
            .filter(|p| p.name != best.name && p.total_usd_per_month < best.total_usd_per_month - 0.5)
            .max_by(|a, b| a.goodput_share.total_cmp(&b.goodput_share));
        let trade = cheaper.map(|p| {
            format!(
                "`{}` saves US$ {} of it but {} {} % goodput",
                p.name,
                usd(best.total_usd_per_month - p.total_usd_per_month),
                if p.overloaded { "is overloaded with" } else { "reaches only" },
                good(p)
            )
        });
        if let Some(next) = rest.first() {
            // A tie says little; what the next step down would cost says more.
            if let Some(trade) = trade.filter(|_| next.total_usd_per_month - best.total_usd_per_month < 0.5) {
                return format!("{head}; {trade}.");
            }
            return format!("{head}: {}{}.", saving(best, next), tail(best, next));
        }
        let lone = format!(
            "`{}` is the only policy that {keeps_text} ({} % goodput), at US$ {cost} a month",
            best.name,
            good(best)
        );
        return match trade {
            Some(trade) => format!("{lone}; {trade}."),
            None if policies.len() > 1 => format!("{lone}, and none of the others is cheaper."),
            None => format!("{lone}."),
        };
    }
    if let Some(text) = keeps_but(policies, &eligible, keeps_text) {
        return text;
    }
    let pool: Vec<&PolicySummary> = if eligible.is_empty() { policies.iter().collect() } else { eligible };
    let closest = pool.into_iter().min_by(|a, b| {
        let by_goodput = b.goodput_share.total_cmp(&a.goodput_share);
        by_goodput.then(a.total_usd_per_month.total_cmp(&b.total_usd_per_month))
    });
    match closest {
        None => "No policy was compared.".into(),
        Some(p) => format!(
            "No policy {keeps_text} for 99 % of requests: `{}` comes closest with {} % goodput at US$ {} a month{}.",
            p.name,
            good(p),
            usd(p.total_usd_per_month),
            if p.overloaded { format!(", and it is overloaded ({})", pace(p)) } else { String::new() }
        )
        .replace("completes 99 % of requests (no SLO is set) for 99 % of requests", "completes 99 % of requests"),
    }
}

/// The sentence for when only policies that may not be marked best keep the SLO: the cheapest of them, and what is against it.
fn keeps_but(policies: &[PolicySummary], eligible: &[&PolicySummary], keeps_text: &str) -> Option<String> {
    let keeps = policies.iter().filter(|p| p.completed > 0 && p.goodput_share >= KEEPS_SLO);
    let p = keeps.min_by(|a, b| a.total_usd_per_month.total_cmp(&b.total_usd_per_month))?;
    let against = if p.overloaded {
        format!("is overloaded ({}), so that it would not for long", pace(p))
    } else {
        let most = policies.iter().map(|p| p.completed).max().unwrap_or(0);
        format!("completes only {} of the {} requests that another does", thousands(p.completed), thousands(most))
    };
    let closest = eligible.iter().max_by(|a, b| a.goodput_share.total_cmp(&b.goodput_share));
    let closest = closest.map(|e| {
        format!("; of the others `{}` comes closest with {} % goodput", e.name, percent_down(e.goodput_share))
    });
    let (name, good, cost) = (&p.name, percent_down(p.goodput_share), usd(p.total_usd_per_month));
    Some(format!(
        "`{name}` {keeps_text} ({good} % goodput) at US$ {cost} a month but {against}{}.",
        closest.unwrap_or_default()
    ))
}

/// How far an overloaded policy falls behind.
fn pace(p: &PolicySummary) -> String {
    p.falls_behind.map_or_else(
        || "its queue grows".into(),
        |b| format!("it ends {} of {} requests/s", decimals(b.ended_per_s, 2), decimals(b.arrived_per_s, 2)),
    )
}

fn saving(best: &PolicySummary, next: &PolicySummary) -> String {
    let saved = next.total_usd_per_month - best.total_usd_per_month;
    if saved < 0.5 {
        return format!("as much as `{}`, the next cheapest", next.name);
    }
    let share = 100.0 * saved / next.total_usd_per_month;
    let share = if share < 1.0 { "under 1".into() } else { decimals(share, 0) };
    format!("US$ {} ({share} %) less than `{}`, the next cheapest", usd(saved), next.name)
}

fn tail(best: &PolicySummary, next: &PolicySummary) -> String {
    let (Some(a), Some(b)) = (best.ttft_p99_s, next.ttft_p99_s) else { return String::new() };
    let (x, y) = (seconds(a), seconds(b));
    if x == y {
        return format!(", with the same p99 TTFT ({x})");
    }
    let word = if a > b { "longer" } else { "shorter" };
    format!(", with a {word} tail (p99 TTFT {x} against {y})")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{policy, slo};
    use super::super::summary::FallsBehind;
    use super::*;

    #[test]
    fn verdict_names_the_cheapest_that_keeps_the_slo_and_the_price_in_tail() {
        let policies = [
            policy("own", 1000, 0.995, 12_000.0, 0.8),
            policy("hybrid", 1000, 0.992, 9_000.0, 1.25),
            policy("cheap", 1000, 0.80, 3_000.0, 40.0),
            policy("lossy", 900, 0.999, 100.0, 0.1),
        ];
        assert_eq!(
            verdict(&policies, &slo()),
            "`hybrid` is the cheapest policy that keeps the SLO, at US$ 9,000 a month: US$ 3,000 (25 %) less than \
             `own`, the next cheapest, with a longer tail (p99 TTFT 1.25 s against 800 ms)."
        );
        assert!(verdict(&policies[1..], &slo()).starts_with("`hybrid` is the only policy that keeps the SLO (99.2 %"));
        assert!(verdict(&policies[1..3], &slo()).contains("`cheap` saves US$ 6,000 of it but reaches only 80.0 %"));
        assert!(verdict(&policies[2..3], &slo()).starts_with("No policy keeps the SLO for 99 % of requests: `cheap`"));
        assert!(
            verdict(&policies[2..3], &SloSummary::default()).starts_with("No policy completes 99 % of requests: `")
        );
        assert_eq!(verdict(&[], &slo()), "No policy was compared.");
    }

    #[test]
    fn a_policy_that_keeps_the_slo_and_may_not_be_best_is_said_to_keep_it() {
        let mut policies = [policy("own", 1000, 0.995, 12_000.0, 0.8), policy("cheap", 1000, 0.80, 3_000.0, 40.0)];
        policies[0].overloaded = true;
        policies[0].falls_behind = Some(FallsBehind { arrived_per_s: 3.2, ended_per_s: 2.9 });
        assert_eq!(
            verdict(&policies, &slo()),
            "`own` keeps the SLO (99.5 % goodput) at US$ 12,000 a month but is overloaded (it ends 2.90 of 3.20 requests/s), so \
             that it would not for long; of the others `cheap` comes closest with 80.0 % goodput."
        );
        assert!(verdict(&policies[..1], &slo()).ends_with("so that it would not for long."));
        let lossy = [policy("all", 1000, 0.9, 12_000.0, 0.8), policy("lossy", 995, 0.992, 100.0, 0.1)];
        let said = verdict(&lossy, &slo());
        assert!(
            said.contains("`lossy` keeps the SLO (99.2 % goodput) at US$ 100 a month but completes only 995 of"),
            "{said}"
        );
    }
}
