//! A lowered expression at work: fields are put into a flat array, then a tree of numbers is walked. True is 1, false 0.
use super::{EndpointStat, Field, Plain, PoolStat};
use crate::gateway::history::History;
use crate::gateway::view::{EndpointView, GatewayView, Needs};
use crate::types::{Capability, NO_SESSION, PoolId, Privacy};
use smallvec::SmallVec;

/// A node; numbers are places of other nodes, which come before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    Const(f64),
    Field(u16),
    Not(u16),
    Neg(u16),
    /// Towards zero, as CEL divides whole numbers.
    Trunc(u16),
    Two(Two, u16, u16),
    If(u16, u16, u16),
}

/// Operators of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Two {
    And,
    Or,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Min,
    Max,
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}

impl Two {
    pub fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Two::And => truth(a != 0.0 && b != 0.0),
            Two::Or => truth(a != 0.0 || b != 0.0),
            Two::Eq => truth(a == b),
            Two::Ne => truth(a != b),
            Two::Lt => truth(a < b),
            Two::Le => truth(a <= b),
            Two::Gt => truth(a > b),
            Two::Ge => truth(a >= b),
            Two::Add => a + b,
            Two::Sub => a - b,
            Two::Mul => a * b,
            Two::Div => a / b,
            Two::Rem => a % b,
            Two::Min => a.min(b),
            Two::Max => a.max(b),
        }
    }
}

/// A condition, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    pub(super) fields: Vec<Field>,
    pub(super) nodes: Vec<Node>,
    /// Names of the classes that the program may compare with are places in this list.
    pub(super) classes: Vec<String>,
}

type Values = SmallVec<[f64; 64]>;

impl Program {
    /// What it reads.
    pub fn add_needs(&self, needs: &mut Needs) {
        for field in &self.fields {
            match field {
                Field::Plain(_) => {}
                Field::Pool(stat, _) => {
                    needs.loads |= matches!(stat, PoolStat::Waiting | PoolStat::Running | PoolStat::KvUse);
                    needs.predictions |= *stat == PoolStat::PredictedTtft;
                }
                Field::Endpoint(stat, _) => {
                    needs.endpoints = true;
                    needs.feedback |= *stat == EndpointStat::InFlight;
                }
            }
        }
    }

    /// Whether it holds.
    pub fn holds(&self, view: &GatewayView<'_>, history: &mut History) -> bool {
        let values: Values = self.fields.iter().map(|field| self.read(*field, view, history)).collect();
        self.run(&values) != 0.0
    }

    /// The value of the last node. Every node is computed once, in order: what an expression of this size costs is its
    /// fields.
    pub fn run(&self, fields: &[f64]) -> f64 {
        let mut out: Values = SmallVec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let at = |i: u16| out[usize::from(i)];
            let value = match *node {
                Node::Const(x) => x,
                Node::Field(i) => fields[usize::from(i)],
                Node::Not(a) => truth(at(a) == 0.0),
                Node::Neg(a) => -at(a),
                Node::Trunc(a) => at(a).trunc(),
                Node::Two(two, a, b) => two.of(at(a), at(b)),
                Node::If(c, a, b) => at(if at(c) != 0.0 { a } else { b }),
            };
            out.push(value);
        }
        out.last().copied().unwrap_or(0.0)
    }

    fn read(&self, field: Field, view: &GatewayView<'_>, history: &mut History) -> f64 {
        match field {
            Field::Plain(plain) => self.plain(plain, view),
            Field::Pool(stat, pool) => pool_stat(stat, pool, view, history),
            Field::Endpoint(stat, endpoint) => {
                let found = match endpoint {
                    Some(e) => view.bought.iter().find(|x| x.endpoint == e),
                    None => view.cheapest(),
                };
                endpoint_stat(stat, found, history)
            }
        }
    }

    fn plain(&self, plain: Plain, view: &GatewayView<'_>) -> f64 {
        let r = &view.request;
        match plain {
            Plain::PromptTokens => r.prompt_tokens.into(),
            Plain::MaxOutputTokens => r.max_output_tokens.into(),
            Plain::Class => {
                let at = self.classes.iter().position(|c| *c == r.class.name);
                at.map_or(-1.0, |at| at as f64)
            }
            Plain::Needs => capability(r.class.needs),
            Plain::Private => truth(r.class.privacy == Privacy::InternalOnly),
            Plain::Priority => r.priority.into(),
            Plain::Tenant => r.tenant.into(),
            Plain::Session if r.session == NO_SESSION => -1.0,
            Plain::Session => r.session as f64,
            Plain::HasSession => truth(r.session != NO_SESSION),
            Plain::Try => view.try_number.into(),
            Plain::WaitedS => view.now.since(r.arrival).as_secs_f64(),
            Plain::Seconds => view.now.as_secs_f64(),
            Plain::HourOfDay => (view.now.0 % DAY_NS) as f64 / 3.6e12,
            Plain::Day => (view.now.0 / DAY_NS) as f64,
        }
    }
}

const DAY_NS: u64 = 86_400_000_000_000;

/// The number that stands for a capability.
pub fn capability(c: Capability) -> f64 {
    match c {
        Capability::Small => 0.0,
        Capability::Mid => 1.0,
        Capability::Frontier => 2.0,
    }
}

fn pool_stat(stat: PoolStat, pool: Option<PoolId>, view: &GatewayView<'_>, history: &mut History) -> f64 {
    let signals = view.signals;
    if stat == PoolStat::Ready && pool.is_none() {
        return view.own.len() as f64;
    }
    let (mut n, mut sum) = (0u64, 0u64);
    let mut least = u64::MAX;
    let outstanding = signals.outstanding();
    for &r in view.own {
        if pool.is_some_and(|p| signals.pool_of(r) != p) {
            continue;
        }
        n += 1;
        match stat {
            PoolStat::Ready => {}
            PoolStat::Waiting => sum += u64::from(history.load(signals, r).waiting),
            PoolStat::Running => sum += u64::from(history.load(signals, r).running),
            PoolStat::KvUse => sum += u64::from(history.load(signals, r).kv_use_ppm()),
            PoolStat::Outstanding => sum += u64::from(outstanding[r]),
            PoolStat::PredictedTtft => least = least.min(signals.predicted_ttft(r).0),
        }
    }
    let mean = if n == 0 { 0.0 } else { sum as f64 / n as f64 };
    match stat {
        PoolStat::Ready => n as f64,
        PoolStat::KvUse => mean / 1e6,
        PoolStat::PredictedTtft if n == 0 => f64::INFINITY,
        PoolStat::PredictedTtft => least as f64 / 1e9,
        PoolStat::Waiting | PoolStat::Running | PoolStat::Outstanding => mean,
    }
}

fn endpoint_stat(stat: EndpointStat, found: Option<&EndpointView>, history: &History) -> f64 {
    match (stat, found) {
        (EndpointStat::Allowed, found) => truth(found.is_some()),
        (EndpointStat::InFlight, None) => 0.0,
        (_, None) => f64::INFINITY,
        (EndpointStat::TtftP90, Some(e)) => e.ttft_p90.as_secs_f64(),
        (EndpointStat::ExpectedCost, Some(e)) => e.expected_cost_pico as f64 / 1e12,
        (EndpointStat::InFlight, Some(e)) => history.under_way.endpoints.get(e.endpoint).copied().unwrap_or(0).into(),
    }
}
