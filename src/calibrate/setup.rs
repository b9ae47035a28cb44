//! The set-up of a measured fleet, as `experiments/published/*.toml` say it: what runs, what is sent, which policies.
use baseload_core::gateway::{Picker, Pipeline, Routing, SCORERS, Scoring};
use baseload_core::types::{Fault, SimTime, TraceFault, check, key};
use indexmap::IndexMap;
use serde::Deserialize;

/// Set-ups that are known without a file.
const PUBLISHED: [(&str, &str); 1] =
    [("llmd-37-capacity.toml", include_str!("../../experiments/published/llmd-37-capacity.toml"))];

/// A set-up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    version: u32,
    kind: String,
    /// What the measurement's column `setup` says.
    pub setup: String,
    /// The measurement, below the folder of data.
    pub measured: Option<String>,
    /// What runs.
    pub fleet: Fleet,
    /// What is sent.
    pub workload: Workload,
    /// How it is sent.
    pub stages: Stages,
    /// What the router sees.
    pub gateway: Gateway,
    /// Scorers and their weights, by policy.
    pub policy: IndexMap<String, IndexMap<String, f64>>,
    /// Two policies whose ratio is judged.
    pub ratio: Option<RatioOf>,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// Engines.
    pub pods: u32,
    /// A model of the catalogue.
    pub model: String,
    /// A GPU of the catalogue.
    pub gpu: String,
    /// Tensor parallelism.
    pub gpus_per_pod: u32,
    /// Tokens that a pod's KV cache holds; what the memory plan says where absent.
    pub kv_tokens_per_pod: Option<u32>,
    /// Type of weights; BF16 where absent.
    #[serde(default)]
    pub weights: String,
    /// Version of vLLM; today's where absent.
    #[serde(default)]
    pub vllm: String,
    /// Kind of measurement whose frontend lies before the engine; none where absent.
    pub frontend: Option<String>,
}

/// What is sent: prompts of a group share its prefix.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Groups.
    pub groups: u32,
    /// Prompts of each.
    pub prompts_per_group: u32,
    /// Tokens of a group's prefix.
    pub prefix_tokens: u32,
    /// Tokens of a prompt's own.
    pub question_tokens: u32,
    /// Tokens of an answer.
    pub output_tokens: u32,
}

/// What a prompt is when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Questions {
    /// A prompt comes again with the same text.
    Same,
    /// A prompt comes again with another question after the same prefix.
    New,
}

/// How it is sent: see the comment in `experiments/published/llmd-37-capacity.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// Lengths of a stage to simulate, seconds.
    pub seconds: Vec<u32>,
    /// Whether every prompt is sent once before the first stage.
    pub warm_up: bool,
    /// What a prompt is when it comes again.
    pub questions: Questions,
}

/// What the router sees.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Interval of scrapes.
    pub scrape: String,
}

/// The policy `of` over the policy `to`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioOf {
    /// Above.
    pub of: String,
    /// Below.
    pub to: String,
}

impl Setup {
    /// Parses a set-up; `set` are `key.path=value`, which replace what the file says.
    ///
    /// # Errors
    /// What is wrong, with the line where the file says it.
    pub fn parse(text: &str, name: &str, set: &[String]) -> Result<Setup, TraceFault> {
        let placed = |e: toml::de::Error| TraceFault::toml(name, text, &e);
        let setup: Setup = if set.is_empty() {
            toml::from_str(text).map_err(placed)?
        } else {
            let mut table: toml::Table = toml::from_str(text).map_err(placed)?;
            set.iter().try_for_each(|s| replace(&mut table, s))?;
            let of_set = |e: toml::de::Error| TraceFault::of(format!("{name} with --set"), e.message());
            table.try_into().map_err(of_set)?
        };
        setup.check().map_err(|fault| TraceFault::from(fault).in_file(name))?;
        Ok(setup)
    }

    /// The published set-up of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn published(setup: &str, name: &str, set: &[String]) -> Result<Setup, TraceFault> {
        for (file, text) in PUBLISHED {
            if Setup::parse(text, file, &[]).is_ok_and(|s| s.setup == setup) {
                return Setup::parse(text, file, set);
            }
        }
        let like = PUBLISHED[0].0;
        let hint = format!("describe the fleet in a file like experiments/published/{like} and give it with --setup");
        Err(TraceFault::of(name, format!("no published set-up is of `{setup}`")).hint(hint))
    }

    fn check(&self) -> Result<(), Fault> {
        if self.version != 1 || self.kind != "routing" {
            let fault = Fault::new(format!("version {} of kind `{}`", self.version, self.kind));
            return Err(fault.hint("it must be 1 of kind `routing`"));
        }
        let (f, w) = (&self.fleet, &self.workload);
        let counts = [
            ("fleet", "pods", f.pods),
            ("fleet", "gpus_per_pod", f.gpus_per_pod),
            ("workload", "groups", w.groups),
            ("workload", "prompts_per_group", w.prompts_per_group),
            ("workload", "question_tokens", w.question_tokens),
            ("workload", "output_tokens", w.output_tokens),
        ];
        for (table, key, n) in counts {
            check::at_least_1(key, n).map_err(|fault| fault.under(table))?;
        }
        if f.pods > 64 {
            return Err(Fault::at(key!["fleet", "pods"], format!("it is {}", f.pods)).hint("at most 64 are simulated"));
        }
        if self.stages.seconds.is_empty() || self.stages.seconds.contains(&0) {
            let fault = Fault::at(key!["stages", "seconds"], "it has no length, or one of 0");
            return Err(fault.hint("it needs at least one length, each of at least 1"));
        }
        self.scrape()?;
        if self.policy.is_empty() {
            let hint = "give [policy.NAME] with scorers and their weights, or none for random";
            return Err(Fault::new("no policy").hint(hint));
        }
        self.policy.keys().try_for_each(|name| self.routing(name).map(|_| ()))?;
        if let Some(r) = &self.ratio
            && let Some(missing) = [&r.of, &r.to].into_iter().find(|p| !self.policy.contains_key(*p))
        {
            let has: Vec<&str> = self.policy.keys().map(String::as_str).collect();
            let fault = Fault::at("ratio", format!("there is no [policy.{missing}]"));
            return Err(fault.hint(format!("there are {}", has.join(", "))));
        }
        Ok(())
    }

    /// Interval of scrapes.
    ///
    /// # Errors
    /// It is no duration.
    pub fn scrape(&self) -> Result<SimTime, Fault> {
        check::longer_than_0(key!["gateway", "scrape"], &self.gateway.scrape)
    }

    /// The router of a policy: the best weighted score, ties at random; at random where there is no scorer.
    ///
    /// # Errors
    /// A scorer that there is not, or a weight below zero.
    pub fn routing(&self, policy: &str) -> Result<Routing, Fault> {
        let weights = self.policy.get(policy).ok_or_else(|| {
            let known: Vec<&str> = self.policy.keys().map(String::as_str).collect();
            Fault::new(format!("the set-up has no [policy.{policy}]")).hint(format!("it has {}", known.join(", ")))
        })?;
        let mut scorers = Vec::new();
        for (name, weight) in weights {
            let known = SCORERS.iter().find(|(n, _)| n == name);
            let (_, scorer) = known.ok_or_else(|| {
                let all: Vec<&str> = SCORERS.iter().map(|(n, _)| *n).collect();
                let fault = Fault::at(key!["policy", policy, name], "no such scorer");
                fault.hint(format!("there are {}", all.join(", ")))
            })?;
            if !(weight.is_finite() && *weight >= 0.0) {
                let fault = Fault::at(key!["policy", policy, name], format!("it is {weight}"));
                return Err(fault.hint("a weight is a number from 0"));
            }
            scorers.push((*scorer, *weight));
        }
        let picker = if scorers.is_empty() { Picker::Random } else { Picker::MaxRandom };
        Ok(Routing::Pipeline(Pipeline { scoring: Scoring { scorers, picker }, ..Pipeline::default() }))
    }
}

/// Applies `key.path=value`.
fn replace(table: &mut toml::Table, set: &str) -> Result<(), Fault> {
    let wrong = || Fault::new(format!("--set {set}")).hint("it must be KEY=VALUE, such as fleet.pods=8");
    let (path, value) = set.split_once('=').ok_or_else(wrong)?;
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"));
    let value = match parsed {
        Ok(mut t) => t.remove("v").ok_or_else(wrong)?,
        Err(_) => toml::Value::String(value.to_owned()),
    };
    let (mut at, mut keys) = (table, path.split('.').peekable());
    while let Some(key) = keys.next() {
        if key.is_empty() {
            return Err(wrong());
        }
        if keys.peek().is_none() {
            at.insert(key.to_owned(), value);
            return Ok(());
        }
        let inner = at.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = inner
            .as_table_mut()
            .ok_or_else(|| Fault::new(format!("--set {set}: {key} is no table")).hint("give a key of a table"))?;
    }
    Err(wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_set_up_is_read_and_keys_can_be_set() {
        let s = Setup::published("37-capacity", "m.csv", &[]).unwrap();
        assert_eq!((s.fleet.pods, s.workload.groups, s.stages.seconds.len()), (4, 83, 3));
        let set = ["fleet.pods=8".to_owned(), "fleet.model=qwen3-32b".to_owned(), "policy.mine.queue=1".to_owned()];
        let s = Setup::published("37-capacity", "m.csv", &set).unwrap();
        assert_eq!((s.fleet.pods, s.fleet.model.as_str(), s.policy.len()), (8, "qwen3-32b", 5));
    }

    #[test]
    fn faults_name_the_key_and_what_would_be_right() {
        let e = Setup::published("73-capacity", "m.csv", &[]).unwrap_err().to_string();
        assert!(e.starts_with("m.csv: no published set-up is of `73-capacity`") && e.contains("--setup"), "{e}");
        let fault = |set: &str| Setup::published("37-capacity", "m", &[set.to_owned()]).unwrap_err().to_string();
        assert!(fault("fleet.pods=0").contains("fleet.pods: it is 0; it must be at least 1"));
        assert!(fault("gateway.scrape=1 apple").contains("gateway.scrape: `1 apple` is not a duration"));
        assert!(fault("policy.x.luck=1").contains("policy.x.luck: no such scorer; there are queue, "));
        assert!(fault("fleet.colour=1").contains("unknown field `colour`"));
        assert!(fault("pods").contains("it must be KEY=VALUE"));
        assert!(fault("ratio.of=nobody").contains("no [policy.nobody]"));
        let text = PUBLISHED[0].1.replace("pods = 4", "pods = 4\npod = 4");
        assert!(
            Setup::parse(&text, "s.toml", &[]).unwrap_err().to_string().starts_with("s.toml:12: unknown field `pod`")
        );
    }
}
