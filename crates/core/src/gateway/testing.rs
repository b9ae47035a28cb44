//! A fleet on the bench for the tests of policies.
use super::quality::{Answers, Outcomes};
use super::view::{Decide, Decision, Draws, EndpointView, GatewayView, Signals};
use crate::types::{ClassSpec, Content, ContentId, Load, NO_SESSION, RequestView, Run, SimTime};
use std::sync::Arc;

/// What a policy is shown.
pub struct Bench {
    pub own: Vec<u32>,
    pub pools: Vec<u32>,
    pub outstanding: Vec<u32>,
    pub loads: Vec<Load>,
    pub predicted: Vec<SimTime>,
    pub unanswered: Vec<u64>,
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
        let each = n as usize;
        Bench {
            own: (0..n).collect(),
            pools: vec![0; each],
            outstanding: vec![0; each],
            loads: vec![Load::default(); each],
            predicted: vec![SimTime::ZERO; each],
            unanswered: vec![0; each],
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
    fn outstanding(&self) -> &[u32] {
        &self.outstanding
    }
    fn load(&self, replica: u32) -> Load {
        self.loads[replica as usize]
    }
    fn sampled_at(&self) -> SimTime {
        self.sampled_at
    }
    fn predicted_ttft(&self, replica: u32) -> SimTime {
        self.predicted[replica as usize]
    }
    fn unanswered_tokens(&self, replica: u32) -> u64 {
        self.unanswered[replica as usize]
    }
    fn pool_of(&self, replica: u32) -> u32 {
        self.pools[replica as usize]
    }
}

/// A prompt of named texts and their tokens.
pub fn prompt(names: &[(u64, u32)]) -> Content {
    let run = |&(n, len): &(u64, u32)| Run { id: ContentId::Named(n), start: 0, len };
    Content::from(names.iter().map(run).collect::<Vec<_>>())
}

pub fn endpoint(endpoint: u32, ttft_s: u64, cost: i128) -> EndpointView {
    EndpointView {
        endpoint,
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
