//! Scorers: what a candidate is worth by one observation, from 0 to 1, the higher the better.
//!
//! Some observations are costs: a number of which less is better. As a score a cost is `(max - x) / (max - min)` over the
//! candidates, 1 for all if they are equal (llm-d's min-max form, spec/routers.md 3.3); the picker `min_cost` takes costs
//! as they are.
use super::history::History;
use super::view::{EndpointView, GatewayView, Needs};
use crate::types::{NO_SESSION, Place, PlaceMap, ReplicaId};

/// What a candidate is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scorer {
    /// Cost: requests waiting in the engine, scraped (llm-d's queue scorer).
    Queue,
    /// Cost: requests running in the engine, scraped.
    Running,
    /// Cost: requests sent and not ended, counted by the gateway.
    Outstanding,
    /// `1 - usage` of KV blocks, scraped (llm-d).
    KvUse,
    /// Share of the prompt that was sent there before, by the approximate index (llm-d's prefix scorer, SGLang's tree).
    Prefix,
    /// Share of the prompt that is in the replica's prefix cache, by an index fed by KV events, as late as
    /// `kv_event_delay` says (llm-d's precise prefix scorer).
    CachedPrefix,
    /// `0.5 * (1 - min(waiting, 128) / 128)`, scraped (llm-d).
    LoadAware,
    /// `1 - min(tokens, 4194304) / 4194304`, prompt tokens under way there (llm-d).
    TokenLoad,
    /// 1 for the replica that the session belongs to on the hash ring, else 0; 0 for all where there is no session.
    Session,
    /// Cost: mean of the last ten times to first token there, 0 if unused for an hour (LiteLLM).
    Latency,
    /// Cost: tokens of requests that ended there in the running minute (LiteLLM's TPM).
    Usage,
    /// Cost: requests sent there in the last 60 s (production-stack's QPS).
    Rate,
    /// Cost: expected bill of the request in dollars; 0 at own replicas, whose rent is paid whether used or not.
    Price,
    /// Cost: predicted TTFT in seconds; an endpoint's p90.
    PredictedTtft,
    /// Cost: NVIDIA Dynamo's, in blocks ([`KvCost`]).
    KvCost,
    /// Cost: vLLM's internal balancer, `max(under way, waiting + running) + 6 * waiting * max(0, usage - 0.5)`, requests sent
    /// since the scrape counted as waiting (spec/vllm.md 1.14).
    VllmDp,
    /// The static weight of the backend, as given.
    Weight,
}

/// Constants of Dynamo's KV router (spec/routers.md 3.4):
/// `prefill_scale * max(0, prefill - overlap_credit * overlap) + decode + active_weight * active` blocks, where `prefill` is
/// the unanswered prompt tokens there, the request's own included; `overlap` the request's blocks in the index; `decode` the
/// blocks of all prompts under way there, the request's own included (each counted, shared or not); `active` requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KvCost {
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Credit for a block of overlap.
    pub overlap_credit: f64,
    /// Weight of prefill against decode.
    pub prefill_scale: f64,
    /// Blocks that an active request counts.
    pub active_weight: f64,
}

impl Default for KvCost {
    fn default() -> Self {
        KvCost { block_tokens: 16, overlap_credit: 1.0, prefill_scale: 1.0, active_weight: 0.0 }
    }
}

impl KvCost {
    /// The cost of a worker.
    pub fn of(&self, prompt: u64, overlap: u64, unanswered: u64, under_way: u64, active: u32) -> f64 {
        let block = f64::from(self.block_tokens);
        let overlap_blocks = (overlap.min(prompt) / u64::from(self.block_tokens)) as f64;
        let prefill = (unanswered + prompt) as f64 / block;
        let decode = (under_way + prompt).div_ceil(u64::from(self.block_tokens)) as f64;
        self.prefill_scale * (prefill - self.overlap_credit * overlap_blocks).max(0.0)
            + decode
            + self.active_weight * f64::from(active)
    }
}

/// Every scorer and its name in experiment files.
pub const SCORERS: [(&str, Scorer); 17] = [
    ("queue", Scorer::Queue),
    ("running", Scorer::Running),
    ("outstanding", Scorer::Outstanding),
    ("kv_use", Scorer::KvUse),
    ("prefix", Scorer::Prefix),
    ("cached_prefix", Scorer::CachedPrefix),
    ("load_aware", Scorer::LoadAware),
    ("token_load", Scorer::TokenLoad),
    ("session", Scorer::Session),
    ("latency", Scorer::Latency),
    ("usage", Scorer::Usage),
    ("rate", Scorer::Rate),
    ("price", Scorer::Price),
    ("predicted_ttft", Scorer::PredictedTtft),
    ("kv_cost", Scorer::KvCost),
    ("vllm_dp", Scorer::VllmDp),
    ("weight", Scorer::Weight),
];

/// What scorers share: the question, who is asked about, constants.
pub struct Scored<'a, 'v> {
    /// The question.
    pub view: &'a GatewayView<'v>,
    /// Replicas among the candidates.
    pub own: &'a [ReplicaId],
    /// Endpoints among the candidates; in the output they come after the replicas.
    pub bought: &'a [EndpointView],
    /// Constants.
    pub kv_cost: &'a KvCost,
    /// Static weights of pools' replicas and of endpoints.
    pub weights: &'a PlaceMap<f64>,
}

impl Scorer {
    /// Whether less is better.
    pub fn is_cost(self) -> bool {
        !matches!(
            self,
            Scorer::KvUse
                | Scorer::Prefix
                | Scorer::CachedPrefix
                | Scorer::LoadAware
                | Scorer::TokenLoad
                | Scorer::Session
                | Scorer::Weight
        )
    }
    /// Whether only own replicas have it.
    pub fn own_only(self) -> bool {
        use Scorer as S;
        matches!(
            self,
            S::Queue
                | S::Running
                | S::KvUse
                | S::Prefix
                | S::CachedPrefix
                | S::LoadAware
                | S::Session
                | S::KvCost
                | S::VllmDp
        )
    }
    /// What it is, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Scorer::Queue => "cost: requests waiting in the engine, scraped",
            Scorer::Running => "cost: requests running in the engine, scraped",
            Scorer::Outstanding => "cost: requests sent and not ended, counted",
            Scorer::KvUse => "1 - share of KV blocks in use, scraped",
            Scorer::Prefix => "share of the prompt that was sent there",
            Scorer::CachedPrefix => "share of the prompt that is in the replica's prefix cache",
            Scorer::LoadAware => "0.5 * (1 - min(waiting, 128) / 128), scraped",
            Scorer::TokenLoad => "1 - min(prompt tokens under way, 4194304) / 4194304",
            Scorer::Session => "1 where the session belongs on the hash ring, else 0",
            Scorer::Latency => "cost: mean of the last ten times to first token",
            Scorer::Usage => "cost: tokens of answers in the running minute",
            Scorer::Rate => "cost: requests sent in the last 60 s",
            Scorer::Price => "cost: expected bill; 0 at own replicas",
            Scorer::PredictedTtft => "cost: predicted TTFT; an endpoint's p90",
            Scorer::KvCost => "cost: Dynamo's, in blocks, with the constants of kv_cost",
            Scorer::VllmDp => "cost: waiting + running, waiting dearer where KV is over half full",
            Scorer::Weight => "the static weight given in weights",
        }
    }
    /// What it reads.
    pub fn add_needs(self, needs: &mut Needs) {
        use Scorer as S;
        needs.loads |= matches!(self, S::Queue | S::Running | S::KvUse | S::LoadAware | S::VllmDp);
        needs.caches |= self == S::CachedPrefix;
        needs.predictions |= self == S::PredictedTtft;
        needs.feedback |= matches!(self, S::TokenLoad | S::Latency | S::Usage | S::Rate | S::KvCost);
        // Endpoints' requests under way are counted from feedback.
        needs.feedback |= self == S::Outstanding && needs.endpoints;
    }

    /// Puts the observation of each candidate into `out`: costs as they are, scores from 0 to 1.
    pub fn observe(self, s: &Scored<'_, '_>, history: &mut History, out: &mut [f64]) {
        let (view, signals) = (s.view, s.view.signals);
        let (own_out, bought_out) = out.split_at_mut(s.own.len());
        let own = own_out.iter_mut().zip(s.own);
        let bought = bought_out.iter_mut().zip(s.bought);
        let now = view.now;
        match self {
            Scorer::Queue => own.for_each(|(x, &r)| *x = f64::from(history.load(signals, r).waiting)),
            Scorer::Running => own.for_each(|(x, &r)| *x = f64::from(history.load(signals, r).running)),
            Scorer::Outstanding => {
                let outstanding = signals.outstanding();
                own.for_each(|(x, &r)| *x = f64::from(outstanding[r]));
                bought.for_each(|(x, e)| {
                    *x = f64::from(history.under_way.get(Place::Endpoint(e.endpoint)).copied().unwrap_or(0));
                });
            }
            Scorer::KvUse => own.for_each(|(x, &r)| {
                *x = 1.0 - f64::from(history.load(signals, r).kv_use_ppm()) / 1e6;
            }),
            Scorer::Prefix => history.prefix_shares(view, s.own, own_out),
            Scorer::CachedPrefix => own.for_each(|(x, &r)| {
                *x = signals.cached_tokens(r) as f64 / f64::from(view.request.prompt_tokens.max(1));
            }),
            Scorer::LoadAware => own.for_each(|(x, &r)| {
                *x = 0.5 * (1.0 - f64::from(history.load(signals, r).waiting.min(128)) / 128.0);
            }),
            Scorer::TokenLoad => {
                const MOST: f64 = 4_194_304.0;
                let score = |t: Option<&u64>| 1.0 - (t.copied().unwrap_or(0) as f64).min(MOST) / MOST;
                own.for_each(|(x, &r)| *x = score(history.tokens.get(Place::Replica(r))));
                bought.for_each(|(x, e)| *x = score(history.tokens.get(Place::Endpoint(e.endpoint))));
            }
            Scorer::Session => {
                if view.request.session != NO_SESSION && !s.own.is_empty() {
                    let owner = history.ring.find(view.request.session, s.own);
                    own.for_each(|(x, &r)| *x = f64::from(u8::from(r == owner)));
                }
            }
            Scorer::Latency => {
                let mean = |t| history.latencies.get(t).map_or(0.0, |l| l.mean_s(now));
                own.for_each(|(x, &r)| *x = mean(Place::Replica(r)));
                bought.for_each(|(x, e)| *x = mean(Place::Endpoint(e.endpoint)));
            }
            Scorer::Usage => {
                let tokens = |t| history.minutes.get(t).map_or(0, |m| m.seen(now).0) as f64;
                own.for_each(|(x, &r)| *x = tokens(Place::Replica(r)));
                bought.for_each(|(x, e)| *x = tokens(Place::Endpoint(e.endpoint)));
            }
            Scorer::Rate => {
                own.for_each(|(x, &r)| *x = f64::from(history.sent_last_minute(now, Place::Replica(r))));
                bought.for_each(|(x, e)| {
                    *x = f64::from(history.sent_last_minute(now, Place::Endpoint(e.endpoint)));
                });
            }
            Scorer::Price => bought.for_each(|(x, e)| *x = e.expected_cost_pico as f64 / 1e12),
            Scorer::PredictedTtft => {
                own.for_each(|(x, &r)| *x = signals.predicted_ttft(r).0 as f64);
                bought.for_each(|(x, e)| *x = e.ttft_p90.0 as f64);
            }
            Scorer::KvCost => {
                let outstanding = signals.outstanding();
                let prompt = u64::from(view.request.prompt_tokens);
                own.for_each(|(x, &r)| {
                    let overlap = history.prefix_tokens(view, r);
                    let under_way = history.tokens.get(Place::Replica(r)).copied().unwrap_or(0);
                    let (ahead, active) = (signals.unanswered_tokens(r), outstanding[r]);
                    *x = s.kv_cost.of(prompt, overlap, ahead, under_way, active);
                });
            }
            Scorer::VllmDp => {
                let outstanding = signals.outstanding();
                own.for_each(|(x, &r)| {
                    let load = history.load(signals, r);
                    let waiting = load.waiting + history.since_sample(signals, r);
                    *x = vllm_dp(outstanding[r], waiting, load.running, load.kv_use_ppm());
                });
            }
            Scorer::Weight => {
                let of = |place: Place| s.weights.get(place).copied().unwrap_or(1.0);
                own.for_each(|(x, &r)| *x = of(signals.pool_of(r).into()));
                bought.for_each(|(x, e)| *x = of(e.endpoint.into()));
            }
        }
    }
}

/// vLLM's cost of an engine.
fn vllm_dp(under_way: u32, waiting: u32, running: u32, kv_use_ppm: u32) -> f64 {
    let waiting = f64::from(waiting);
    let load = f64::from(under_way).max(waiting + f64::from(running));
    load + 6.0 * waiting * (f64::from(kv_use_ppm) / 1e6 - 0.5).max(0.0)
}

/// Makes scores of costs.
pub fn to_scores(costs: &mut [f64]) {
    // In eight lanes, so that no comparison waits for the one before it. Costs are never NaN.
    let (mut mins, mut maxs) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
    let less = |a: f64, b: f64| if b < a { b } else { a };
    let more = |a: f64, b: f64| if b > a { b } else { a };
    let (eights, rest) = costs.as_chunks::<8>();
    for eight in eights {
        for (lane, &x) in eight.iter().enumerate() {
            (mins[lane], maxs[lane]) = (less(mins[lane], x), more(maxs[lane], x));
        }
    }
    for (lane, &x) in rest.iter().enumerate() {
        (mins[lane], maxs[lane]) = (less(mins[lane], x), more(maxs[lane], x));
    }
    let (min, max) = (mins.into_iter().fold(mins[0], less), maxs.into_iter().fold(maxs[0], more));
    if max > min {
        let range = max - min;
        costs.iter_mut().for_each(|x| *x = (max - *x) / range);
    } else {
        costs.fill(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamos_own_vectors() {
        let c = KvCost { prefill_scale: 2.0, ..KvCost::default() };
        // 64 tokens, an overlap of six blocks (capped to its four), 16 tokens ahead of it, 2 + 3 decode blocks there.
        assert_eq!(c.of(64, 6 * 16, 16, 16, 0), 7.0);
        assert_eq!(KvCost { prefill_scale: 0.0, ..c }.of(64, 96, 16, 16, 0), 5.0, "without tracking prefill");
        let c = KvCost::default();
        assert_eq!(c.of(640, 20 * 16, 0, 60 * 16, 0), 120.0);
        assert_eq!(c.of(640, 0, 0, 20 * 16, 0), 100.0);
    }

    #[test]
    fn vllms_balancer_vector() {
        assert!((vllm_dp(0, 2, 10, 900_000) - 16.8).abs() < 1e-9);
        assert_eq!(vllm_dp(0, 0, 11, 400_000), 11.0);
    }

    #[test]
    fn costs_become_scores_over_the_candidates() {
        let mut costs = [0.0, 4.0, 1.0];
        to_scores(&mut costs);
        assert_eq!(costs, [1.0, 0.0, 0.75]);
        let mut equal = [3.0, 3.0];
        to_scores(&mut equal);
        assert_eq!(equal, [1.0, 1.0]);
    }
}
