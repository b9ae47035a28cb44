//! A request as the source knows it, and the view of it that a gateway has.
use super::{Content, SimTime};
use serde::{Deserialize, Serialize};

/// What a class needs of a model, ordered.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// An 8B-class open model does.
    #[default]
    Small,
    /// A 70B-class model or a small commercial one.
    Mid,
    /// Only the best commercial models.
    Frontier,
}

/// Where a class may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// Own pools and endpoints.
    #[default]
    Any,
    /// Own pools only.
    InternalOnly,
}

/// One class of requests: what it needs and where it may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassSpec {
    /// Name in the experiment file.
    pub name: String,
    /// Where requests of the class may be served.
    pub privacy: Privacy,
    /// The least capable model that serves it.
    pub needs: Capability,
    /// Added to a request's own priority; lower is more urgent.
    pub priority: i32,
    /// How long requests of the class may wait: their timeout, and their objectives of TTFT and E2E, in place of the
    /// experiment's.
    pub tolerates: Option<SimTime>,
}

/// Session of a request that belongs to none.
pub const NO_SESSION: u64 = u64::MAX;

/// One request of a trace or generator. Only sources and backends see `output_tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Position in the trace; the key of every random stream that concerns it.
    pub index: u64,
    /// Arrival at the gateway.
    pub arrival: SimTime,
    /// Tenant, 0 where unknown.
    pub tenant: u32,
    /// Session, [`NO_SESSION`] where none.
    pub session: u64,
    /// Index into the experiment's classes; `u16::MAX` = the trace has none, the experiment draws it.
    pub class: u16,
    /// Prompt tokens, at least 1.
    pub prompt_tokens: u32,
    /// Tokens it will generate, at least 1.
    pub output_tokens: u32,
    /// What the client asked for at most.
    pub max_output_tokens: u32,
    /// Lower is more urgent (vLLM's priority).
    pub priority: i32,
    /// Prompt identity; its tokens add up to `prompt_tokens`.
    pub content: Content,
}

/// What a gateway knows of a request: everything but its output length.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// Position in the trace.
    pub index: u64,
    /// Arrival at the gateway.
    pub arrival: SimTime,
    /// Tenant.
    pub tenant: u32,
    /// Session.
    pub session: u64,
    /// Class of the request.
    pub class: &'a ClassSpec,
    /// Prompt tokens.
    pub prompt_tokens: u32,
    /// Client's limit.
    pub max_output_tokens: u32,
    /// Priority of the request and its class together; lower is more urgent.
    pub priority: i32,
    /// Prompt identity.
    pub content: &'a Content,
}

impl Request {
    /// Stands where a request was taken out for a moment.
    pub fn placeholder() -> Request {
        Request {
            index: u64::MAX,
            arrival: SimTime::NEVER,
            tenant: 0,
            session: NO_SESSION,
            class: 0,
            prompt_tokens: 0,
            output_tokens: 0,
            max_output_tokens: 0,
            priority: 0,
            content: Content::private(u64::MAX, 0),
        }
    }
    /// The gateway's view of this request.
    pub fn view<'a>(&'a self, class: &'a ClassSpec) -> RequestView<'a> {
        RequestView {
            index: self.index,
            arrival: self.arrival,
            tenant: self.tenant,
            session: self.session,
            class,
            prompt_tokens: self.prompt_tokens,
            max_output_tokens: self.max_output_tokens,
            priority: self.priority.saturating_add(class.priority),
            content: &self.content,
        }
    }
}
