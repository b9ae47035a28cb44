//! Conditions in CEL, what Envoy and Kubernetes people write. The crate `cel` parses; names and types are checked here against
//! the documented fields, and the tree is lowered to one over a flat array of numbers.
//!
//! What differs from CEL: a number and an integer may be mixed (the integer becomes a number), dividing by zero gives
//! infinity instead of an error, and nothing is ever missing: a stat without a ready replica or without an allowed endpoint
//! is what its field says.
mod eval;
mod lower;

pub use eval::Program;
#[cfg(test)]
use lower::Lowered;
pub use lower::compile;

use crate::types::{EndpointId, PoolId};

/// A field's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// The name of a class.
    Class,
    /// `"small"`, `"mid"` or `"frontier"`, in that order.
    Needs,
}

impl Kind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Double => "double",
            Kind::Class => "class name",
            Kind::Needs => "capability",
        }
    }
}

/// A field of the request or of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// `request.*`
    PromptTokens,
    /// ...
    MaxOutputTokens,
    /// ...
    Class,
    /// ...
    Needs,
    /// ...
    Private,
    /// ...
    Priority,
    /// ...
    Tenant,
    /// ...
    Session,
    /// ...
    HasSession,
    /// ...
    Try,
    /// ...
    WaitedS,
    /// `time.*`
    Seconds,
    /// ...
    HourOfDay,
    /// ...
    Day,
}

/// A stat of ready replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolStat {
    /// Replicas.
    Ready,
    /// Mean of waiting requests.
    Waiting,
    /// Mean of running requests.
    Running,
    /// Mean share of KV blocks in use.
    KvUse,
    /// Mean of requests under way.
    Outstanding,
    /// Least predicted TTFT.
    PredictedTtft,
}

/// A stat of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStat {
    /// Whether the request may go there.
    Allowed,
    /// p90 TTFT.
    TtftP90,
    /// Expected bill.
    ExpectedCost,
    /// Requests under way.
    InFlight,
}

/// A number that an expression reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A figure of the request or of time.
    Plain(Plain),
    /// A figure of one pool, or of all pools together.
    Pool(PoolStat, Option<PoolId>),
    /// A figure of one endpoint, or of the cheapest allowed one.
    Endpoint(EndpointStat, Option<EndpointId>),
}

/// Fields of `request` and `time`: name, kind, meaning, which.
pub const PLAIN: [(&str, Kind, &str, Plain); 14] = [
    ("request.prompt_tokens", Kind::Int, "prompt tokens", Plain::PromptTokens),
    ("request.max_output_tokens", Kind::Int, "the client's limit", Plain::MaxOutputTokens),
    ("request.class", Kind::Class, "its class's name", Plain::Class),
    ("request.needs", Kind::Needs, "what its class needs: small < mid < frontier", Plain::Needs),
    ("request.private", Kind::Bool, "its class is internal-only", Plain::Private),
    ("request.priority", Kind::Int, "its own and its class's; lower is more urgent", Plain::Priority),
    ("request.tenant", Kind::Int, "0 where unknown", Plain::Tenant),
    ("request.session", Kind::Int, "-1 where none", Plain::Session),
    ("request.has_session", Kind::Bool, "it belongs to a session", Plain::HasSession),
    ("request.try", Kind::Int, "tries before this one", Plain::Try),
    ("request.waited_s", Kind::Double, "seconds since it arrived", Plain::WaitedS),
    ("time.s", Kind::Double, "seconds since the start", Plain::Seconds),
    ("time.hour_of_day", Kind::Double, "0 to 24; the simulation starts at 0", Plain::HourOfDay),
    ("time.day", Kind::Int, "days since the start", Plain::Day),
];

/// Fields behind `pool.` (all ready replicas that may serve the request) and `pools.NAME.` (those of one pool).
pub const POOL: [(&str, Kind, &str, PoolStat); 6] = [
    ("ready", Kind::Int, "replicas that are ready", PoolStat::Ready),
    ("waiting_mean", Kind::Double, "waiting requests a replica, scraped; 0 if none is ready", PoolStat::Waiting),
    ("running_mean", Kind::Double, "running requests a replica, scraped; 0 if none", PoolStat::Running),
    ("kv_use_mean", Kind::Double, "share of KV blocks in use, scraped; 0 if none", PoolStat::KvUse),
    ("outstanding_mean", Kind::Double, "requests sent and not ended; 0 if none", PoolStat::Outstanding),
    ("predicted_ttft_s", Kind::Double, "the least predicted TTFT; infinite if none", PoolStat::PredictedTtft),
];

/// Fields behind `endpoint.` (the cheapest that may serve the request) and `endpoints.NAME.`.
pub const ENDPOINT: [(&str, Kind, &str, EndpointStat); 4] = [
    ("allowed", Kind::Bool, "the request may go there", EndpointStat::Allowed),
    ("ttft_p90_s", Kind::Double, "measured p90 TTFT; infinite if not allowed", EndpointStat::TtftP90),
    ("expected_cost_usd", Kind::Double, "expected bill; infinite if not allowed", EndpointStat::ExpectedCost),
    ("in_flight", Kind::Int, "requests sent and not ended; 0 if not allowed", EndpointStat::InFlight),
];

/// What names an expression may use besides the fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'a> {
    /// Pools of the policy, in order.
    pub pools: &'a [String],
    /// Names of the policy's endpoints, in order.
    pub endpoints: &'a [String],
    /// Classes, in order.
    pub classes: &'a [String],
}

#[cfg(test)]
mod tests;
