//! Other lengths, tenants and classes.
use super::mapped::Change;
use super::{ClassRule, LengthChange, StageKey, Tokens, cut};
use baseload_core::types::Fault;
use baseload_core::types::{Classes, NO_SESSION};

impl LengthChange {
    fn of(&self, tokens: u32) -> u32 {
        let scaled = if self.times == 1.0 { tokens } else { (f64::from(tokens) * self.times).round() as u32 };
        scaled.clamp(self.min, self.max.unwrap_or(u32::MAX))
    }
}

/// Other lengths. An answer of 0 tokens stays one.
pub(super) fn tokens(what: Tokens) -> Change {
    Box::new(move |entry| {
        entry.prompt_tokens = what.prompt.of(entry.prompt_tokens);
        cut(&mut entry.content, entry.prompt_tokens);
        if entry.output_tokens > 0 {
            let before = entry.output_tokens;
            entry.output_tokens = what.output.of(before);
            if entry.max_output_tokens > 0 && entry.output_tokens > before {
                entry.max_output_tokens = entry.max_output_tokens.max(entry.output_tokens);
            }
        }
        if let Some(cached) = &mut entry.measured.cached_tokens {
            *cached = (*cached).min(entry.prompt_tokens);
        }
        Ok(())
    })
}

/// The tenant of a session, or of a request alone.
pub(super) fn tenants(shares: &[f64], stage_key: StageKey) -> Change {
    let mut sum = 0.0;
    let ends: Vec<f64> = shares.iter().map(|s| (sum += s, sum).1).collect();
    Box::new(move |entry| {
        let key = if entry.session == NO_SESSION { entry.id } else { entry.session };
        let u = stage_key.uniform("trace.tenant", key) * sum;
        let at = ends.partition_point(|end| *end <= u).min(ends.len() - 1);
        entry.tenant = at as u32 + 1;
        Ok(())
    })
}

/// A class where the rule is met.
///
/// # Errors
/// A class that the experiment does not have.
pub(super) fn class(what: ClassRule, classes: &Classes, stage_key: StageKey) -> Result<Change, Fault> {
    let class = classes.number(&what.to).map_err(|fault| Fault::from(fault).under("to"))?;
    Ok(Box::new(move |entry| {
        let meets = what.tenants.as_ref().is_none_or(|t| t.contains(&entry.tenant))
            && what.prompt_at_least.is_none_or(|least| entry.prompt_tokens >= least)
            && what.prompt_under.is_none_or(|under| entry.prompt_tokens < under);
        if meets && (what.share >= 1.0 || stage_key.uniform("trace.class", entry.id) < what.share) {
            entry.class = class;
        }
        Ok(())
    }))
}
