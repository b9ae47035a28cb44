//! A fixed number of users: each sends, waits for the end, thinks, sends again.
//!
//! Must hold: turn t of user u looks the same whatever the policy (streams are keyed by user and turn); a user has at
//! most one request under way; a user's session is its number.
use super::spec::{duration, some_duration};
use super::{Length, LengthSpec, SourceOptions, Unplayable, no_rate};
use baseload_core::random::{dist, stream};
use baseload_core::types::{Content, Outcome, Request, SimTime, Source};
use baseload_core::types::{Fault, TraceFault, key};
use schemars::JsonSchema;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Users that wait for their answers.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoopSpec {
    /// How many at a time.
    pub users: u32,
    /// Requests of all users together, at most. One of `requests` and `duration` is needed.
    pub requests: Option<u64>,
    /// Nobody sends from then on.
    #[serde(default, deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<SimTime>,
    /// The first requests are spread evenly over this time.
    #[serde(default, deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub ramp: SimTime,
    /// Time between an end and the next request; none where absent.
    #[serde(default)]
    pub think: Think,
    /// Prompt tokens.
    pub prompt: LengthSpec,
    /// Output tokens.
    pub output: LengthSpec,
    /// The client's limit in tokens; the experiment's default where absent. Raised to the output where that is longer.
    pub max_output_tokens: Option<u32>,
}

/// Time between the end of a request and the user's next.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Think {
    /// At once.
    #[default]
    None,
    /// Always the same.
    Fixed {
        /// Think time of every request.
        #[serde(deserialize_with = "duration")]
        #[schemars(with = "String")]
        time: SimTime,
    },
    /// Think times are exponential.
    Exponential {
        /// Mean of the think times.
        #[serde(deserialize_with = "duration")]
        #[schemars(with = "String")]
        mean: SimTime,
    },
    /// Log-normal.
    LogNormal {
        /// Median of the think times.
        #[serde(deserialize_with = "duration")]
        #[schemars(with = "String")]
        median: SimTime,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

/// Closed-loop users as a source.
pub struct ClosedLoop {
    spec: ClosedLoopSpec,
    options: SourceOptions,
    prompt: Length,
    output: Length,
    /// Who sends next and when.
    due: BinaryHeap<Reverse<(SimTime, u32)>>,
    /// By user: the turn it sends next, and whether one is under way.
    users: Vec<(u32, bool)>,
    made: u64,
}

impl ClosedLoop {
    /// Users that follow the spec. `rate_scale` does not apply: a closed loop has no rate of its own.
    ///
    /// # Errors
    /// Says what is wrong with the spec or the options.
    pub fn new(spec: &ClosedLoopSpec, options: &SourceOptions) -> Result<ClosedLoop, Unplayable> {
        options.check()?;
        let prompt = spec.prompt.length("prompt").map_err(|(_, what)| Fault::from(what).under("users"))?;
        let output = spec.output.length("output").map_err(|(_, what)| Fault::from(what).under("users"))?;
        if spec.users == 0 || spec.requests == Some(0) || spec.max_output_tokens == Some(0) {
            return Err(Fault::at("users", "`concurrency`, `requests` or `max_output_tokens` is 0")
                .hint("each must be at least 1")
                .into());
        }
        if spec.requests.is_none() && spec.duration.is_none() && options.limit.is_none() {
            return Err(Fault::at("users", "neither `requests` nor `duration` is set")
                .hint("at least one is needed")
                .into());
        }
        if options.rate_scale != 1.0 {
            return Err(no_rate().into());
        }
        if let Think::LogNormal { sigma, .. } = spec.think
            && !(sigma.is_finite() && sigma >= 0.0)
        {
            return Err(Fault::at(key!["users", "think"], "it has a sigma below 0")
                .hint("a sigma is a number from 0")
                .into());
        }
        let start = |u: u32| (u128::from(spec.ramp.0) * u128::from(u) / u128::from(spec.users)) as u64;
        let due = (0..spec.users).map(|u| Reverse((SimTime(start(u)), u))).collect();
        let users = vec![(0, false); spec.users as usize];
        Ok(ClosedLoop { spec: spec.clone(), options: options.clone(), prompt, output, due, users, made: 0 })
    }

    fn most(&self) -> Option<u64> {
        [self.spec.requests, self.options.limit].into_iter().flatten().min()
    }

    fn think(&self, user: u32, turn: u32) -> SimTime {
        let (seed, replicate) = (self.options.seed, self.options.replicate);
        let mut rng = stream(seed, replicate, "closed-loop.think", u64::from(user), turn);
        match self.spec.think {
            Think::None => SimTime::ZERO,
            Think::Fixed { time } => time,
            Think::Exponential { mean } => SimTime(dist::exponential(&mut rng, mean.0 as f64).round() as u64),
            Think::LogNormal { median, sigma } => {
                SimTime(dist::log_normal(&mut rng, median.0 as f64, sigma).round() as u64)
            }
        }
    }
}

impl Source for ClosedLoop {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        if self.most().is_some_and(|most| self.made >= most) {
            return Ok(None);
        }
        let first = self.due.peek().map(|Reverse((at, _))| *at);
        Ok(first.filter(|at| self.spec.duration.is_none_or(|end| *at < end)))
    }

    fn next(&mut self) -> Request {
        let due = self.due.pop();
        let Reverse((arrival, user)) =
            due.expect("source-peeked: next is called only after peek said there is a request");
        let index = self.made;
        self.made += 1;
        let turn = self.users[user as usize].0;
        self.users[user as usize] = (turn + 1, true);
        let key = |name| stream(self.options.seed, self.options.replicate, name, u64::from(user), turn);
        let prompt_tokens = self.prompt.draw(|| key("closed-loop.prompt"));
        let output_tokens = self.output.draw(|| key("closed-loop.output"));
        let most_output = self.spec.max_output_tokens.unwrap_or(self.options.default_max_output_tokens);
        Request {
            index,
            arrival,
            tenant: 0,
            session: u64::from(user),
            class: u16::MAX,
            prompt_tokens,
            output_tokens,
            max_output_tokens: most_output.max(output_tokens),
            priority: 0,
            content: Content::private(index, prompt_tokens),
        }
    }

    fn finished(&mut self, session: u64, at: SimTime, _outcome: Outcome) {
        let Some(&(turn, true)) = usize::try_from(session).ok().and_then(|u| self.users.get(u)) else { return };
        let user = session as u32;
        self.users[user as usize].1 = false;
        self.due.push(Reverse((at + self.think(user, turn), user)));
    }

    fn total(&self) -> Option<u64> {
        if self.spec.duration.is_some() { None } else { self.most() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_sends_again_only_after_its_answer() {
        let text = "users = 2\nrequests = 5\nramp = \"2s\"\nthink.fixed.time = \"10s\"\n\
            prompt = { median = 9, sigma = 0, max = 9 }\noutput = { median = 5, sigma = 0.3, max = 50 }\n";
        let spec: ClosedLoopSpec = toml::from_str(text).unwrap();
        let mut users = ClosedLoop::new(&spec, &SourceOptions::default()).unwrap();
        assert_eq!(users.peek().unwrap(), Some(SimTime::ZERO));
        assert_eq!(users.next().session, 0);
        assert_eq!(users.peek().unwrap(), Some(SimTime::from_secs(1)));
        assert_eq!(users.next().session, 1);
        assert_eq!(users.peek().unwrap(), None);
        users.finished(1, SimTime::from_secs(4), Outcome::Completed);
        users.finished(1, SimTime::from_secs(5), Outcome::Completed);
        assert_eq!(users.peek().unwrap(), Some(SimTime::from_secs(14)));
        assert_eq!((users.next().index, users.peek().unwrap()), (2, None));
        for at in [20, 40] {
            users.finished(0, SimTime::from_secs(at), Outcome::Failed);
            assert!(users.peek().unwrap().is_some());
            users.next();
        }
        users.finished(0, SimTime::from_secs(60), Outcome::Completed);
        assert_eq!(users.peek().unwrap(), None);
    }
}
