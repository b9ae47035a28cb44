//! What a decision costs among 64 replicas: fewest requests, a lowered rule, every built-in scorer of own replicas at once,
//! and each preset. `cargo bench --no-default-features --bench route`
use baseload::gateway::{
    Answers, Decide, Draws, EndpointView, GatewayView, Outcomes, Parts, Policy, PolicyScope, Presets, Signals,
};
use baseload::types::{
    ClassSpec, Content, ContentId, EndpointId, IdMap, Load, PoolId, ReplicaId, RequestView, Run, SimTime,
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const REPLICAS: u32 = 64;

struct Fleet {
    own: Vec<ReplicaId>,
    outstanding: IdMap<ReplicaId, u32>,
    sampled_at: SimTime,
}

impl Signals for Fleet {
    fn outstanding(&self) -> &IdMap<ReplicaId, u32> {
        &self.outstanding
    }
    fn load(&self, ReplicaId(replica): ReplicaId) -> Load {
        Load { waiting: replica % 5, running: 30 + replica % 7, kv_used_blocks: 900 + replica, kv_total_blocks: 2_000 }
    }
    fn sampled_at(&self) -> SimTime {
        self.sampled_at
    }
    fn predicted_ttft(&self, ReplicaId(replica): ReplicaId) -> SimTime {
        SimTime::from_millis(200 + u64::from(replica * 37 % 64))
    }
    fn unanswered_tokens(&self, ReplicaId(replica): ReplicaId) -> u64 {
        u64::from(replica) * 100
    }
    fn pool_of(&self, ReplicaId(replica): ReplicaId) -> PoolId {
        PoolId(replica / 32)
    }
}

fn known() -> PolicyScope {
    PolicyScope {
        pools: vec!["chat".into(), "big".into()],
        replicas: vec![32, 32],
        endpoints: vec!["cheap".into(), "frontier".into()],
        classes: vec!["default".into()],
        slo_ttft: Some(SimTime::from_secs(2)),
        quality: ["chat", "frontier"].map(|m| (m.into(), Arc::new(Answers::new(m, Outcomes::Share(0.7), 1, 0)))).into(),
    }
}

/// A decision, the requests differing; a new scrape comes every hundred, as at 100 requests a second.
fn bench(c: &mut Criterion, name: &str, parts: &Parts) {
    let pipeline = parts.assemble(&known()).unwrap_or_else(|e| panic!("{name}: {e}")).pipeline;
    let mut policy = Policy::new(pipeline);
    let mut fleet = Fleet {
        own: (0..REPLICAS).map(ReplicaId).collect(),
        outstanding: (0..REPLICAS).map(|r| 20 + r * 13 % 29).collect(),
        sampled_at: SimTime(0),
    };
    let endpoint = |endpoint| EndpointView {
        endpoint: EndpointId(endpoint),
        ttft_p90: SimTime::from_millis(600),
        expected_cost_pico: 3_000_000_000,
        requests_per_minute: None,
        input_tokens_per_minute: None,
    };
    let bought = [endpoint(0), endpoint(1)];
    let class = ClassSpec::default();
    // 1,155 tokens, the mean prompt of the Azure conversation trace: a system prompt that many share, then the user's own.
    let contents: Vec<Content> = (0..512)
        .map(|i| {
            let run = |id, len| Run { id: ContentId::Named(id), start: 0, len };
            Content::from([run(i % 16, 768), run(1_000 + i, 387)])
        })
        .collect();
    let mut index = 0u64;
    c.bench_function(name, |b| {
        b.iter(|| {
            index += 1;
            if index.is_multiple_of(100) {
                fleet.sampled_at += SimTime::from_secs(1);
            }
            let content = &contents[(index % 512) as usize];
            let now = SimTime(index * 10_000_000);
            let request = RequestView {
                index,
                arrival: now,
                tenant: 0,
                session: index % 100,
                class: &class,
                prompt_tokens: 1_155,
                max_output_tokens: 500,
                priority: 0,
                content,
            };
            let (own, bought, signals) = (&fleet.own[..], &bought[..], &fleet);
            let view = GatewayView { now, request, try_number: 0, own, own_later: false, bought, signals };
            black_box(policy.decide(&view, &mut Draws::new(1, 0, index, 0)))
        });
    });
}

fn all(c: &mut Criterion) {
    let parts = |text: &str| toml::from_str::<Parts>(text).unwrap_or_else(|e| panic!("{e}"));
    let everything = "scorers = { queue = 2, running = 1, outstanding = 1, kv_use = 2, prefix = 3, load_aware = 1, \
                      token_load = 1, session = 1, latency = 1, usage = 1, price = 1, predicted_ttft = 1 }\n\
                      picker = \"max_random\"";
    let rule = "rules = [{ when = \"request.prompt_tokens > 8000 && pool.waiting_mean > 4.0 || pools.chat.kv_use_mean > 0.9 \
                || endpoint.expected_cost_usd < 0.001\", to = \"frontier\" }]\npicker = \"round_robin\"";
    bench(c, "all scorers", &parts(everything));
    bench(c, "rule", &parts(rule));
    for preset in Presets::embedded().iter() {
        bench(c, preset.name, &preset.parts().expect(preset.name));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(300)).measurement_time(std::time::Duration::from_millis(700));
    targets = all
}
criterion_main!(benches);
