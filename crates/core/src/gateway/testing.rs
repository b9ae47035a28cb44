//! A fleet on the bench for the tests of policies.
use super::answers::{Answers, Outcomes};
use super::view::{Decide, Decision, Draws, EndpointView, GatewayView, Signals};
use crate::types::{
    ClassSpec, Content, ContentId, EndpointId, IdMap, Load, NO_SESSION, Place, PoolId, ReplicaId, RequestView, Run,
    SimTime,
};
use std::sync::Arc;

/// What a policy is shown.
pub struct Bench {
    pub own: Vec<ReplicaId>,
    pub pools: IdMap<ReplicaId, u32>,
    pub outstanding: IdMap<ReplicaId, u32>,
    pub loads: IdMap<ReplicaId, Load>,
    pub predicted: IdMap<ReplicaId, SimTime>,
    pub unanswered: IdMap<ReplicaId, u64>,
    pub sampled_at: SimTime,
    pub now: SimTime,
    pub arrival: SimTime,
    pub priority: i32,
    pub session: u64,
    pub class: ClassSpec,
    pub own_later: bool,
}

impl Bench {
    /// `n` idle replicas of one pool.
    pub fn of(n: u32) -> Bench {
        Bench {
            own: (0..n).map(ReplicaId).collect(),
            pools: (0..n).map(|_| 0).collect(),
            outstanding: (0..n).map(|_| 0).collect(),
            loads: (0..n).map(|_| Load::default()).collect(),
            predicted: (0..n).map(|_| SimTime::ZERO).collect(),
            unanswered: (0..n).map(|_| 0).collect(),
            sampled_at: SimTime(1),
            now: SimTime(2),
            arrival: SimTime::ZERO,
            priority: 0,
            session: NO_SESSION,
            class: ClassSpec::default(),
            own_later: false,
        }
    }
    /// A newer sample is seen.
    pub fn scrape(&mut self) {
        self.sampled_at += SimTime(10);
        self.now = self.now.max(self.sampled_at + SimTime(1));
    }
}

impl Signals for Bench {
    fn outstanding(&self) -> &IdMap<ReplicaId, u32> {
        &self.outstanding
    }
    fn load(&self, replica: ReplicaId) -> Load {
        self.loads[replica]
    }
    fn sampled_at(&self) -> SimTime {
        self.sampled_at
    }
    fn predicted_ttft(&self, replica: ReplicaId) -> SimTime {
        self.predicted[replica]
    }
    fn unanswered_tokens(&self, replica: ReplicaId) -> u64 {
        self.unanswered[replica]
    }
    fn pool_of(&self, replica: ReplicaId) -> PoolId {
        PoolId(self.pools[replica])
    }
}

/// The decision for this replica.
pub const fn to_replica(number: u32) -> Decision {
    Decision::Send(Place::Replica(ReplicaId(number)))
}
/// The decision for this endpoint.
pub const fn to_endpoint(number: u32) -> Decision {
    Decision::Send(Place::Endpoint(EndpointId(number)))
}

/// A prompt of named texts and their tokens.
pub fn prompt(names: &[(u64, u32)]) -> Content {
    let run = |&(n, len): &(u64, u32)| Run { id: ContentId::Named(n), start: 0, len };
    Content::from(names.iter().map(run).collect::<Vec<_>>())
}

pub fn endpoint(endpoint: u32, ttft_s: u64, cost: i128) -> EndpointView {
    EndpointView {
        endpoint: EndpointId(endpoint),
        ttft_p90: SimTime::from_secs(ttft_s),
        expected_cost_pico: cost,
        requests_per_minute: None,
        input_tokens_per_minute: None,
    }
}

/// Asks for the first try of the request at `index`.
pub fn ask(p: &mut dyn Decide, bench: &Bench, bought: &[EndpointView], index: u64, content: &Content) -> Decision {
    p.decide(&view(bench, bought, index, content), &mut Draws::new(1, 0, index, 0))
}

fn view<'a>(bench: &'a Bench, bought: &'a [EndpointView], index: u64, content: &'a Content) -> GatewayView<'a> {
    let request = RequestView {
        index,
        arrival: bench.arrival,
        tenant: 0,
        session: bench.session,
        class: &bench.class,
        prompt_tokens: content.tokens() as u32,
        max_output_tokens: 5,
        priority: bench.priority,
        content,
    };
    let (now, own, own_later) = (bench.now, &bench.own[..], bench.own_later);
    GatewayView { now, request, try_number: 0, own, own_later, bought, signals: bench }
}

/// How good answers of places are, as shares.
pub fn qualities(places: &[(&str, f64)]) -> Vec<(String, Arc<Answers>)> {
    let answers =
        |&(name, share): &(&str, f64)| (name.to_string(), Arc::new(Answers::new(name, Outcomes::Share(share), 1, 0)));
    places.iter().map(answers).collect()
}
