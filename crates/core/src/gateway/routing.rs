//! Who decides in a simulation: a pipeline of built-in parts, or a policy from outside.
use super::pipeline::Pipeline;
use super::policy::Policy;
use super::score::Scorer;
use super::view::Decide;
use std::fmt;
use std::sync::Arc;

/// Makes a fresh policy for one simulation.
pub type MakePolicy = Arc<dyn Fn() -> Box<dyn Decide> + Send + Sync>;

/// How a world routes.
#[derive(Clone)]
pub enum Routing {
    /// By a composition of built-in parts.
    Pipeline(Pipeline),
    /// By a policy from outside.
    Custom(MakePolicy),
}

impl Routing {
    /// Own replicas by fewest requests under way.
    pub fn least_outstanding() -> Routing {
        Routing::Pipeline(Pipeline::best(Scorer::Outstanding))
    }
    /// A fresh policy.
    pub fn policy(&self) -> Box<dyn Decide> {
        match self {
            Routing::Pipeline(p) => Box::new(Policy::new(p.clone())),
            Routing::Custom(make) => make(),
        }
    }
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Routing::Pipeline(p) => p.fmt(f),
            Routing::Custom(_) => f.write_str("Custom"),
        }
    }
}
