//! An auditor that shares no code with `sim`, `economics`, `api` or `experiment`: from the experiment file, the trace,
//! the catalogue's tables and the results it works out again what must have happened, and complains where it did not.
//!
//! It uses the library for two things only: random streams (so that luck can be checked, not only plausibility) and
//! the generator's requests. What it cannot work out (what an engine does inside, what a policy learned) it bounds.
mod bill;
mod cached;
mod facts;
mod forgeries;
mod free;
mod money;
mod oracle;
mod pace;
mod replay;
mod requests;
mod rows;
mod series;
mod summary;
mod trace;

pub use facts::Facts;
pub use rows::Evidence;
pub use trace::Trace;

use std::fmt::{Debug, Display};
use std::path::Path;

/// What does not fit, one sentence each, with the policy, the request and both values.
#[derive(Default)]
pub struct Complaints {
    policy: String,
    all: Vec<String>,
}

impl Complaints {
    fn say(&mut self, what: impl Display) {
        self.all.push(format!("policy {}: {what}", self.policy));
    }
    /// Complains unless the result says what the auditor worked out.
    fn same<T: PartialEq + Debug>(&mut self, what: impl Display, result: T, audit: T) {
        if result != audit {
            self.say(format!("{what}: the result says {result:?}, the audit {audit:?}"));
        }
    }
}

/// Everything that is known before looking at results.
pub struct Case {
    pub facts: Facts,
    pub trace: Trace,
}

impl Case {
    /// Reads the experiment file and its trace.
    pub fn read(experiment: &Path) -> Case {
        let facts = Facts::read(experiment);
        let trace = Trace::read(&facts, experiment.parent().expect("an experiment lies in a folder"));
        Case { facts, trace }
    }

    /// What is wrong with these results; nothing if all is right.
    pub fn audit(&self, evidence: &Evidence) -> Vec<String> {
        let mut c = Complaints::default();
        c.same("policies", evidence.policies.len(), self.facts.policies.len());
        for (policy, seen) in self.facts.policies.iter().zip(&evidence.policies) {
            c.policy.clone_from(&policy.name);
            let before = c.all.len();
            let Some(lives) = requests::lives(&mut c, seen) else { continue };
            let asks = self.trace.asks(&mut c, &self.facts, &lives);
            c.same("requests of the trace", lives.len(), asks.len());
            if lives.len() != asks.len() {
                continue;
            }
            requests::each(&mut c, &self.facts, policy, &asks, &lives);
            cached::cached(&mut c, &self.facts, policy, &asks, &lives);
            if !policy.free {
                replay::replay(&mut c, &self.facts, policy, &asks, &lives, seen);
            }
            series::series(&mut c, &self.facts, policy, &asks, &lives, seen);
            summary::summary(&mut c, &self.facts, policy, &lives, seen);
            bill::bill(&mut c, policy, &self.facts, &lives, seen);
            oracle::oracle(&mut c, &lives, seen);
            if c.all.len() > before + 20 {
                let more = c.all.len() - before - 20;
                c.all.truncate(before + 20);
                c.say(format!("and {more} more"));
            }
        }
        c.policy = "of all".into();
        summary::whole(&mut c, &self.facts, evidence);
        c.all
    }
}
