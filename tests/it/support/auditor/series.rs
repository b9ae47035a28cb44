//! The series: at each of its instants it shows what the attempts say was under way.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::replay::fleet;
use super::requests::Life;
use super::rows::{AttemptRow, PolicyEvidence};
use super::trace::Ask;

/// Checks every row; a sample comes last at its instant.
pub fn series(c: &mut Complaints, facts: &Facts, policy: &Policy, asks: &[Ask], lives: &[Life], seen: &PolicyEvidence) {
    let horizon = lives.iter().map(|l| l.request.ended).max().unwrap_or(0);
    let replicas = fleet(facts, policy, horizon);
    let blocks = |pool: usize| facts.pools[pool].num_blocks - 1;
    let fixed = policy.replicas.iter().zip(&facts.pools).any(|(n, p)| *n > 0 && !p.vllm);
    let instants: Vec<u64> = seen.series.iter().map(|row| row.at).collect();
    let gaps: Vec<u64> = instants.windows(2).map(|w| w[1].saturating_sub(w[0])).collect();
    // Every second; when rows run out the interval doubles.
    let fits = |gap: u64, before: u64| gap == before || gap == 2 * before;
    if instants.first().is_some_and(|t| *t != 0)
        || gaps.first().is_some_and(|g| *g != 1_000_000_000)
        || gaps.windows(2).any(|w| !fits(w[1], w[0]))
    {
        c.say(format!("series: instants are not evenly spaced from 0: {:?}...", &instants[..instants.len().min(5)]));
    }
    if instants.len() > 5_000 {
        c.say(format!("series: {} rows, more than 5,000", instants.len()));
    }
    for row in &seen.series {
        let t = row.at;
        let name = |what: &str| format!("series at {} s: {what}", t as f64 / 1e9);
        let attempts = || lives.iter().flat_map(|l| &l.attempts);
        let under_way = || attempts().filter(|a| a.sent <= t && t < a.ended);
        c.same(
            name("API requests in flight"),
            row.api_in_flight as usize,
            under_way().filter(|a| a.replica.is_none()).count(),
        );
        c.same(
            name("API spend, pico-dollars"),
            row.api_spend,
            attempts().filter(|a| a.ended <= t).map(|a| a.cost).sum(),
        );
        c.same(name("replicas up"), row.replicas as usize, replicas.iter().filter(|r| r.up(t)).count());
        let total: u64 = replicas.iter().filter(|r| r.up(t)).map(|r| blocks(r.pool)).sum();
        c.same(name("KV blocks"), row.kv_total, total);
        if row.kv_used > row.kv_total {
            c.say(name(&format!("blocks-conserved: {} of {} blocks used", row.kv_used, row.kv_total)));
        }
        let there = |r: u32, since: u64| replicas.get(r as usize).filter(|x| x.lived(since, t));
        let held = |a: &&AttemptRow| {
            let pool = &facts.pools[there(a.replica?, a.sent)?.pool];
            let ask = &asks[a.request as usize];
            Some((u64::from(ask.prompt) + u64::from(ask.output)).div_ceil(pool.block_size))
        };
        let holds: Vec<u64> = under_way().copied().filter_map(|a| held(&a)).collect();
        let (said, in_engines) = ((row.waiting + row.running) as usize, holds.len());
        // A static batch computes on for rows that went away.
        if said < in_engines || (!fixed && said > in_engines) {
            let (waiting, running) = (row.waiting, row.running);
            c.say(name(&format!("{waiting} waiting and {running} running, but {in_engines} requests are in engines")));
        }
        // A step whose requests all went away still takes its time; none takes a second.
        let hung_up = |a: &AttemptRow| matches!(a.outcome.as_str(), "timed_out" | "cancelled");
        let gone = |a: &&AttemptRow| hung_up(a) && a.ended <= t && t < a.ended + 1_000_000_000;
        let stopped = attempts().copied().any(|a| gone(&a));
        if !fixed && !stopped && row.waiting > 0 && row.running == 0 {
            c.say(name(&format!("{} requests wait while nothing runs", row.waiting)));
        }
        let most: u64 = holds.iter().sum();
        if (said == 0 && row.kv_used > 0) || (!fixed && row.kv_used > most) {
            c.say(name(&format!(
                "blocks-conserved: {} blocks used, but {said} requests hold at most {most}",
                row.kv_used
            )));
        }
    }
}
