//! The measured routers that the gateway has no preset for, as policies: they know a request's group and their own counts.
//!
//! Sources: README of data/calibration/vllm032_cpu_fleet, read 2026-11-24.
use baseload_core::gateway::{
    Decide, Decision, Draws, GatewayView, MakePolicy, Needs, Picker, Pipeline, Routing, Scoring,
};
use baseload_core::types::ReplicaId;
use std::sync::Arc;

/// More outstanding than the least by more than this, and `prefix-load` leaves the group's replica.
const MOST_ABOVE: u32 = 3;

/// What the router did with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// In turn.
    RoundRobin,
    /// Uniform and independent: only a recording knows the draws.
    Random,
    /// Fewest sent and not finished; the lower index among equals.
    LeastOutstanding,
    /// Group modulo replicas.
    PrefixHash,
    /// To the replica of `PrefixHash`, unless that has more than 3 outstanding above the least: then as
    /// `LeastOutstanding`.
    PrefixLoad,
}

impl Router {
    /// All routers with their names.
    pub const ALL: [(Router, &'static str); 5] = [
        (Router::RoundRobin, "round-robin"),
        (Router::Random, "random"),
        (Router::LeastOutstanding, "least-outstanding"),
        (Router::PrefixHash, "prefix-hash"),
        (Router::PrefixLoad, "prefix-load"),
    ];
    /// The router with this name.
    pub fn named(name: &str) -> Option<Router> {
        Router::ALL.iter().find(|(_, n)| *n == name).map(|(r, _)| *r)
    }
    /// The simulated router. By request: its `groups`, and where it went in the recording (`choices`).
    pub fn routing(self, groups: Arc<[u64]>, choices: Arc<[u32]>) -> Routing {
        let make: MakePolicy = match self {
            Router::RoundRobin => {
                let scoring = Scoring { scorers: Vec::new(), picker: Picker::RoundRobin };
                return Routing::Pipeline(Pipeline { scoring, ..Pipeline::default() });
            }
            Router::LeastOutstanding => return Routing::least_outstanding(),
            Router::Random => Arc::new(move || Box::new(Recorded(choices.clone()))),
            Router::PrefixHash => Arc::new(move || Box::new(ByGroup { groups: groups.clone(), most_above: u32::MAX })),
            Router::PrefixLoad => {
                Arc::new(move || Box::new(ByGroup { groups: groups.clone(), most_above: MOST_ABOVE }))
            }
        };
        Routing::Custom(make)
    }
    /// Every request to where it went in the recording.
    pub fn recorded(choices: Arc<[u32]>) -> Routing {
        Router::Random.routing(Arc::new([]), choices)
    }
}

struct Recorded(Arc<[u32]>);

impl Decide for Recorded {
    fn needs(&self) -> Needs {
        Needs::default()
    }
    fn decide(&mut self, view: &GatewayView<'_>, _draws: &mut Draws) -> Decision {
        Decision::Send(ReplicaId(self.0[view.request.index as usize]).into())
    }
}

struct ByGroup {
    groups: Arc<[u64]>,
    most_above: u32,
}

impl Decide for ByGroup {
    fn needs(&self) -> Needs {
        Needs::default()
    }
    fn decide(&mut self, view: &GatewayView<'_>, _draws: &mut Draws) -> Decision {
        let home = view.own[(self.groups[view.request.index as usize] % view.own.len() as u64) as usize];
        let outstanding = |r: ReplicaId| view.signals.outstanding()[r];
        let least = view.own.iter().copied().min_by_key(|&r| (outstanding(r), r)).unwrap_or(home);
        let above = outstanding(home) - outstanding(least);
        Decision::Send(if above > self.most_above { least } else { home }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::trial::{Lags, Loop, Sent, Trial, play_fleet, served};
    use baseload_core::engine::VllmConfig;
    use baseload_core::latency::Constant;
    use baseload_core::types::SimTime;

    /// Two replicas of 10 ms a step, a request of 100 steps every millisecond.
    fn sent_to(router: Router, groups: &[u64]) -> Vec<u32> {
        let sent = |ms| Sent { at: SimTime::from_millis(ms), prompt: 10, output: 100, content: None };
        let trial = Trial {
            requests: (0..groups.len() as u64).map(sent).collect(),
            sending: Loop::Open,
            lags: Lags::default(),
        };
        let step = Arc::new(Constant { base_fs: 10_000_000_000_000, ..Constant::default() });
        let engine = VllmConfig { async_scheduling: false, ..VllmConfig::default() };
        let replicas = vec![served(engine, step); 2];
        let choices = Arc::from(vec![1; groups.len()]);
        play_fleet(&trial, &replicas, router.routing(groups.into(), choices)).unwrap().replicas
    }

    #[test]
    fn each_router_sends_by_its_rule() {
        assert_eq!(sent_to(Router::RoundRobin, &[0; 4]), [0, 1, 0, 1]);
        assert_eq!(sent_to(Router::Random, &[0; 3]), [1, 1, 1]);
        assert_eq!(sent_to(Router::LeastOutstanding, &[9; 4]), [0, 1, 0, 1], "ties go to the lower index");
        assert_eq!(sent_to(Router::PrefixHash, &[5, 4, 7, 7]), [1, 0, 1, 1]);
    }

    #[test]
    fn prefix_load_leaves_home_when_it_has_more_than_three_above_the_least() {
        assert_eq!(sent_to(Router::PrefixLoad, &[1; 7]), [1, 1, 1, 1, 0, 1, 0], "four above none: to the least");
    }
}
