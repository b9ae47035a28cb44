//! What an experiment has that its policies and its gateway may name.
use super::*;
use baseload_core::gateway::Outcomes;

/// How good the answers of pools and endpoints are, in file order; none where that is not given.
#[derive(Default)]
pub(super) struct AllAnswers {
    /// Answers of pools, in the file's order.
    pub pools: Vec<Option<Arc<Answers>>>,
    /// Answers of endpoints, in the file's order.
    pub endpoints: Vec<Option<Arc<Answers>>>,
}

impl AllAnswers {
    /// Answers that are given, by the name of the pool or endpoint.
    pub(super) fn by_name(&self, offers: &Offers<'_>) -> Vec<(String, Arc<Answers>)> {
        let answers = self.pools.iter().chain(&self.endpoints);
        offers.places().zip(answers).filter_map(|(name, a)| Some((name.to_string(), a.clone()?))).collect()
    }
}

/// What an experiment has that policies may name. Tables that were left out for a fault are there too, so that nobody is told
/// that they are unknown: what is made of them is thrown away.
pub(super) struct Offers<'a> {
    /// Pools, and the replicas of each where a policy does not say.
    pub pools: Vec<(&'a str, u32)>,
    /// Endpoints.
    pub endpoints: Vec<&'a str>,
    /// How good their answers are.
    pub answers: AllAnswers,
    /// Policies.
    pub policies: Vec<&'a str>,
    /// Names of classes.
    pub classes: Vec<String>,
    /// The longest TTFT that the SLO allows.
    pub slo_ttft: Option<SimTime>,
}

impl<'a> Offers<'a> {
    pub(super) fn new(
        text: &'a Text,
        classes: &[(ClassSpec, u32)],
        slo_ttft: Option<SimTime>,
        mut answers: AllAnswers,
    ) -> Offers<'a> {
        let f = &text.file;
        let some = || Some(Arc::new(Answers::new("", Outcomes::Share(0.5), 0, 0)));
        answers.pools.extend(text.lost("pool").map(|_| some()));
        answers.endpoints.extend(text.lost("endpoint").map(|_| some()));
        let pools = f.pool.iter().map(|(name, p)| (name.as_str(), p.replicas));
        Offers {
            pools: pools.chain(text.lost("pool").map(|name| (name, 1))).collect(),
            endpoints: f.endpoint.keys().map(String::as_str).chain(text.lost("endpoint")).collect(),
            answers,
            policies: f.policy.keys().map(String::as_str).chain(text.lost("policy")).collect(),
            classes: classes.iter().map(|(c, _)| c.name.clone()).chain(text.lost("class").map(String::from)).collect(),
            slo_ttft,
        }
    }

    /// All pools and endpoints.
    pub(super) fn places(&self) -> impl Iterator<Item = &'a str> {
        self.pools.iter().map(|(name, _)| *name).chain(self.endpoints.iter().copied())
    }
}
