//! Measured calls of one model to a profile: their law, how well such a law predicts, and what it cannot know.
use super::law::law_of;
use super::read::{ApiCalls, MeasuredCall};
use super::score::scores_of;
use baseload_core::catalog::ApiProfile;
use baseload_core::types::TraceFault;

/// What the calls do not say.
#[derive(Debug, Clone, Default)]
pub struct ApiRecipe {
    /// Name; `provider/model` unless given.
    pub name: Option<String>,
    /// Who sells the model.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
    /// When the calls were made.
    pub measured: String,
    /// Today.
    pub date: String,
    /// Where the calls are from.
    pub source: String,
}

/// Fits the profile of one model's calls. Its scores are those of [`super::api_scores`] on the same calls.
///
/// # Errors
/// Too few calls: how many are needed.
pub fn api_profile(calls: &ApiCalls, recipe: &ApiRecipe) -> Result<ApiProfile, TraceFault> {
    let all: Vec<&MeasuredCall> = calls.calls.iter().collect();
    let (mut p, mut notes) = law_of(&all, &format!("{}/{}", recipe.provider, recipe.model))?;
    p.name = recipe.name.clone().unwrap_or(p.name);
    p.provider.clone_from(&recipe.provider);
    p.model.clone_from(&recipe.model);
    p.measured.clone_from(&recipe.measured);
    p.date.clone_from(&recipe.date);
    p.source.clone_from(&recipe.source);
    p.data.files.clone_from(&calls.files);
    p.data.hash = calls.hash();
    p.data.groups = calls.groups();
    p.outcomes = calls.outcomes;
    p.scores = scores_of(calls);
    if let Some(o) = calls.outcomes.filter(|o| o.calls > 0) {
        let not = |n: u64, what: &str| (n > 0).then(|| format!("{n} of {} calls {what}", o.calls));
        notes.extend(not(o.rate_limited, "were refused with 429, the limit of the account that measured"));
        notes.extend(not(o.short, "were put aside by the benchmark because their answers were short"));
        notes.extend(not(o.failed, "failed"));
    }
    p.note = notes.join("; ");
    Ok(p)
}
