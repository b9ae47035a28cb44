//! The series: at each of its instants it shows what the attempts say was under way.
use super::Complaints;
use super::facts::{Facts, Policy};
use super::replay::fleet;
use super::requests::Life;
use super::rows::PolicyEvidence;

/// Checks every row; a sample comes last at its instant.
pub fn series(c: &mut Complaints, facts: &Facts, policy: &Policy, lives: &[Life], seen: &PolicyEvidence) {
    let horizon = lives.iter().map(|l| l.request.ended).max().unwrap_or(0);
    let replicas = fleet(facts, policy, horizon);
    let blocks = |pool: usize| facts.pools[pool].num_blocks - u64::from(facts.pools[pool].vllm);
    let fixed = policy.replicas.iter().zip(&facts.pools).any(|(n, p)| *n > 0 && !p.vllm);
    for (i, row) in seen.series.iter().enumerate() {
        let t = row.at;
        let name = |what: &str| format!("series at {} s: {what}", t as f64 / 1e9);
        c.same(name("instant, ns"), t, i as u64 * 1_000_000_000);
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
        let there = |r: u32, since: u64| replicas.get(r as usize).is_some_and(|x| x.lived(since, t));
        let in_engines = under_way().filter(|a| a.replica.is_some_and(|r| there(r, a.sent))).count();
        let said = (row.waiting + row.running) as usize;
        // A static batch computes on for rows that went away.
        if said < in_engines || (!fixed && said > in_engines) {
            c.say(name(&format!(
                "{} waiting and {} running, but {in_engines} requests are in engines",
                row.waiting, row.running
            )));
        }
    }
}
