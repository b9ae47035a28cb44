//! What a policy is asked, what it may look at, what it answers, and what it is told afterwards.
use crate::random::{self, Xoshiro256PlusPlus, dist};
use crate::types::{AttemptId, EndpointId, IdMap, Load, Place, PoolId, ReplicaId, RequestView, SimTime};

/// What a policy may ask of own replicas, by replica.
pub trait Signals {
    /// Requests the gateway sent to each replica that have not ended (exact).
    fn outstanding(&self) -> &IdMap<ReplicaId, u32>;
    /// Scraped, as old as the scrape.
    fn load(&self, replica: ReplicaId) -> Load;
    /// When what `load` shows was sampled; the same for all replicas.
    fn sampled_at(&self) -> SimTime;
    /// Predicted TTFT of the request at hand: prompt tokens sent there and not answered, its own included, over the prefill
    /// rate that its pool was seen to have.
    fn predicted_ttft(&self, replica: ReplicaId) -> SimTime;
    /// Prompt tokens sent there and not answered (exact).
    fn unanswered_tokens(&self, replica: ReplicaId) -> u64;
    /// Tokens of the prompt of the request at hand that are in its prefix cache, from its start: what an index fed by KV
    /// events knows, as old as their delay makes it. Only for a policy that needs `caches`.
    fn cached_tokens(&self, _replica: ReplicaId) -> u64 {
        0
    }
    /// The pool that a replica belongs to.
    fn pool_of(&self, replica: ReplicaId) -> PoolId;
}

/// An endpoint as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct EndpointView {
    /// The endpoint that this tells of.
    pub endpoint: EndpointId,
    /// Rolling p90 TTFT.
    pub ttft_p90: SimTime,
    /// Expected bill of the request at hand, pico-dollars: its prompt, and the mean output seen so far.
    pub expected_cost_pico: i128,
    /// Requests a minute that the provider grants, if it says.
    pub requests_per_minute: Option<u64>,
    /// Input tokens a minute that the provider grants, if it says.
    pub input_tokens_per_minute: Option<u64>,
}

/// What a policy reads beside who is there; the gateway keeps nothing that its policy does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Scraped loads.
    pub loads: bool,
    /// Predicted TTFTs of own replicas.
    pub predictions: bool,
    /// Endpoints even where an own replica is ready.
    pub endpoints: bool,
    /// To be told of what was sent and how it ended.
    pub feedback: bool,
    /// What is in the prefix caches of own replicas.
    pub caches: bool,
}

/// One question: a request, and whom it may go to after the constraints.
pub struct GatewayView<'a> {
    /// The instant.
    pub now: SimTime,
    /// The request.
    pub request: RequestView<'a>,
    /// Number of the request's try, from 0.
    pub try_number: u32,
    /// Own replicas that are ready, in the order of their ids.
    pub own: &'a [ReplicaId],
    /// Whether an own replica that may serve it exists but is not ready.
    pub own_later: bool,
    /// Endpoints in the order of their ids; left out where an own replica is ready and the policy does not need them.
    pub bought: &'a [EndpointView],
    /// What is known of own replicas.
    pub signals: &'a dyn Signals,
}

impl GatewayView<'_> {
    /// The cheapest endpoint by expected bill; the first in file order among equals.
    pub fn cheapest(&self) -> Option<&EndpointView> {
        self.bought.iter().min_by_key(|e| (e.expected_cost_pico, e.endpoint))
    }
    /// What is left when no own replica is ready: the cheapest endpoint, to wait, or to reject.
    pub fn without_own(&self) -> Decision {
        match self.cheapest() {
            Some(e) => Decision::Send(e.endpoint.into()),
            None if self.own_later => Decision::Wait,
            None => Decision::Reject,
        }
    }
}

/// What a policy answers when it is asked for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The request goes to this replica or endpoint.
    Send(Place),
    /// Nobody is ready now, but a replica that may serve it will be.
    Wait,
    /// Ask again at this instant, later than now.
    Defer(SimTime),
    /// No backend of this policy may ever serve it, or a rule sheds it.
    Reject,
}

/// What a policy is told, in the order in which it happened. Only a policy that needs it is told.
#[derive(Debug, Clone, Copy)]
pub enum Feedback {
    /// A request was sent to a backend.
    Sent {
        /// Names the attempt.
        attempt: AttemptId,
        /// When it was sent.
        at: SimTime,
        /// The replica or endpoint that it was sent to.
        to: Place,
        /// Prompt tokens of the request.
        prompt_tokens: u32,
        /// What it is expected to cost, pico-dollars; 0 at own replicas, whose rent is paid whether used or not.
        expected_cost_pico: i128,
    },
    /// The first token of an attempt left the backend.
    FirstToken {
        /// The replica or endpoint that it left.
        to: Place,
        /// When the token left.
        at: SimTime,
        /// Time since the attempt was sent.
        took: SimTime,
    },
    /// An attempt ended.
    Ended {
        /// Names the attempt.
        attempt: AttemptId,
        /// When the attempt ended.
        at: SimTime,
        /// The replica or endpoint that it was sent to.
        to: Place,
        /// Prompt tokens of the request.
        prompt_tokens: u32,
        /// Output tokens that left the backend.
        output_tokens: u32,
        /// Answered in full.
        completed: bool,
        /// Whether the attempt was given up for want of an answer.
        timed_out: bool,
        /// What it cost, pico-dollars.
        cost_pico: i128,
    },
}

/// A policy's luck on one request and try. A draw is keyed by what it is for and by the request, never by the policy's name
/// or by what was drawn before: all policies meet the same luck.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: u64,
    replicate: u32,
    index: u64,
    try_number: u32,
    picks: Option<Xoshiro256PlusPlus>,
}

impl Draws {
    /// For try `try_number` of the request at `index`.
    pub fn new(seed: u64, replicate: u32, index: u64, try_number: u32) -> Draws {
        Draws { seed, replicate, index, try_number, picks: None }
    }
    /// The next number in [0, 1) of the stream `policy.pick`.
    pub fn uniform01(&mut self) -> f64 {
        let (seed, replicate, index, try_number) = (self.seed, self.replicate, self.index, self.try_number);
        let make = || random::stream(seed, replicate, "policy.pick", index, try_number);
        dist::uniform01(self.picks.get_or_insert_with(make))
    }
    /// The next index below `n`, which must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.uniform01() * n as f64) as usize).min(n - 1)
    }
    /// A number in [0, 1) of the request itself, the same at every try: stream `name`, `part` of it.
    pub fn of_request(&self, name: &str, part: u32) -> f64 {
        dist::uniform01(&mut random::stream(self.seed, self.replicate, name, self.index, part))
    }
}

/// A policy. It never sees a backend, only what a gateway sees of it; `examples/custom_policy.rs` is one from outside.
pub trait Decide: Send {
    /// What it reads; asked once.
    fn needs(&self) -> Needs;
    /// Decides on a request. It may name only candidates of the view.
    fn decide(&mut self, view: &GatewayView<'_>, draws: &mut Draws) -> Decision;
    /// Takes note of what happened; called only if `needs` says so.
    fn learn(&mut self, _feedback: &Feedback) {}
    /// A replica or an endpoint has left for good. Its id never comes again, so what is kept of it may be dropped.
    fn forget(&mut self, _place: Place) {}
}
