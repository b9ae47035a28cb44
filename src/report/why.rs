//! Why requests did not complete, and which replicas had more than their share: a line a policy, for every kind of report.
use crate::experiment::summary::{PolicySummary, PoolUse};
use baseload_core::types::OutcomeCause;
use baseload_core::types::numbers::{percent_down, thousands};

/// Times an even share from which a replica has more than its share.
const LOPSIDED: f64 = 1.5;

/// What a cause of a summary means; empty for an outcome that has no cause.
pub fn meaning(cause: &str) -> &'static str {
    OutcomeCause::ALL.into_iter().find(|c| c.name() == cause).map_or("", OutcomeCause::meaning)
}

/// Why requests of a policy did not complete, the most frequent cause first; `None` if all did.
pub fn not_completed(p: &PolicySummary) -> Option<String> {
    let mut causes: Vec<&(String, u64)> = p.outcomes.iter().filter(|(_, n)| *n > 0).collect();
    causes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let of = |(cause, n): &&(String, u64)| {
        let limit = if cause == "too_long" { limits(&p.pools) } else { String::new() };
        let text = match meaning(cause) {
            "" => cause.replace('_', " "),
            meaning => meaning.to_owned(),
        };
        format!("{}: {text}{limit}", thousands(*n))
    };
    let causes: Vec<String> = causes.iter().map(of).collect();
    (!causes.is_empty()).then(|| format!("{} did not complete {}", p.name, causes.join("; ")))
}

/// The longest sequences that pools take.
fn limits(pools: &[PoolUse]) -> String {
    let kept: Vec<&PoolUse> = pools.iter().filter(|pool| pool.replicas > 0).collect();
    let of = |pool: &&PoolUse| thousands(pool.max_model_len);
    match kept.as_slice() {
        [] => String::new(),
        [pool] => format!(" (max_model_len {})", of(pool)),
        all => {
            let each: Vec<String> = all.iter().map(|pool| format!("{} {}", pool.name, of(pool))).collect();
            format!(" (max_model_len: {})", each.join(", "))
        }
    }
}

/// Pools of a policy one of whose replicas took more than its share of the tries; `None` where none did.
pub fn lopsided(p: &PolicySummary) -> Option<String> {
    let of = |pool: &PoolUse| {
        let share = pool.busiest_share.filter(|share| *share * f64::from(pool.replicas) > LOPSIDED)?;
        let of = thousands(pool.replicas.into());
        Some(format!("one of {of} replicas of {} took {} % of its requests", pool.name, percent_down(share)))
    };
    let pools: Vec<String> = p.pools.iter().filter_map(of).collect();
    (!pools.is_empty()).then(|| format!("{}: {}", p.name, pools.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str, replicas: u32, busiest_share: Option<f64>) -> PoolUse {
        PoolUse { name: name.into(), replicas, blocks: 10, max_model_len: 8_192, busiest_share }
    }

    #[test]
    fn causes_are_said_in_words_and_the_limit_with_its_number() {
        let mut p = PolicySummary { name: "rr".into(), pools: vec![pool("chat", 1, None)], ..PolicySummary::default() };
        assert_eq!(not_completed(&p), None);
        p.outcomes = vec![("shed".into(), 1), ("too_long".into(), 2_000)];
        let said = not_completed(&p).unwrap();
        assert_eq!(
            said,
            "rr did not complete 2,000: longer than what the place takes (max_model_len 8,192); 1: refused while the fleet was full"
        );
        p.pools.push(pool("code", 2, None));
        assert!(not_completed(&p).unwrap().contains("(max_model_len: chat 8,192, code 8,192)"));
        p.outcomes = vec![("timed_out".into(), 3)];
        assert_eq!(not_completed(&p).unwrap(), "rr did not complete 3: timed out");
    }

    #[test]
    fn every_cause_has_a_meaning_and_a_name_of_its_own() {
        let mut names: Vec<&str> = OutcomeCause::ALL.iter().map(|c| c.name()).collect();
        assert!(OutcomeCause::ALL.iter().all(|c| !c.name().is_empty() && !meaning(c.name()).is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OutcomeCause::ALL.len());
    }

    #[test]
    fn a_replica_with_more_than_its_share_is_named() {
        let of = |replicas, share| {
            let pools = vec![pool("chat", replicas, share)];
            lopsided(&PolicySummary { name: "rr".into(), pools, ..PolicySummary::default() })
        };
        assert_eq!(of(4, Some(0.61)).unwrap(), "rr: one of 4 replicas of chat took 61.0 % of its requests");
        assert_eq!((of(4, Some(0.3)), of(2, Some(0.7)), of(1, Some(1.0)), of(4, None)), (None, None, None, None));
    }
}
