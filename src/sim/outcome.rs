//! What becomes of attempts and requests: effects, retries, timeouts, records.
use super::attempts::Target;
use super::world::{World, sample};
use crate::gateway::Feedback;
use crate::random;
use crate::types::{
    AttemptRecord, BackendKind, Effect, FailureCause, GapRun, Outcome, OutcomeCause, RecordSink, RequestRecord,
    SimTime, Source, Usd,
};

/// The cause in records of what a backend said.
fn cause_of(cause: FailureCause) -> OutcomeCause {
    match cause {
        FailureCause::RateLimited { .. } => OutcomeCause::RateLimited,
        FailureCause::ServerError => OutcomeCause::ServerError,
        FailureCause::QueueFull => OutcomeCause::QueueFull,
        FailureCause::ReplicaLost => OutcomeCause::ReplicaLost,
        FailureCause::TooLong => OutcomeCause::TooLong,
    }
}

/// How an attempt or a request ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub at: SimTime,
    pub outcome: Outcome,
    pub cause: OutcomeCause,
    /// Output tokens that had left.
    pub output_tokens: u32,
    /// Prompt tokens read from a prefix cache.
    pub cached_tokens: u32,
}

impl<S: RecordSink> World<'_, S> {
    /// Takes what backends have put into the outbox.
    pub(super) fn deliver(&mut self, source: &mut dyn Source) {
        for run in self.out.gaps.drain(..) {
            self.sink.gaps(&run);
        }
        while !self.out.effects.is_empty() {
            let mut effects = std::mem::take(&mut self.out.effects);
            for effect in effects.drain(..) {
                self.effect(effect, Usd::ZERO, source);
            }
            if self.out.effects.is_empty() {
                self.out.effects = effects;
            }
        }
    }

    pub(super) fn effect(&mut self, effect: Effect, cost: Usd, source: &mut dyn Source) {
        match effect {
            Effect::FirstToken { attempt, at } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let flight = self.slots.get(slot);
                let sent = flight.current.expect("clock-forward: a token of an attempt that was not sent");
                flight.first_token = Some(at);
                let prompt = u64::from(flight.request.prompt_tokens);
                if self.needs.feedback {
                    self.policy.learn(&Feedback::FirstToken { to: sent.to, at, took: at.since(sent.at) });
                }
                match sent.to {
                    Target::Replica(r) => {
                        let replica = &mut self.replicas[r as usize];
                        replica.unanswered -= prompt;
                        if self.needs.predictions {
                            self.rates[replica.pool as usize].learn(sent.backlog_tokens, at.since(sent.at));
                        }
                    }
                    Target::Endpoint(e) => self.bought[e as usize].ttft.learn(at.since(sent.at)),
                }
            }
            Effect::Done { attempt, at, cached_tokens, preemptions } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let flight = self.slots.get(slot);
                let output = flight.request.output_tokens.min(flight.request.max_output_tokens).max(1);
                let of_endpoint = flight.current.is_some_and(|sent| matches!(sent.to, Target::Endpoint(_)));
                let first_token = flight.first_token;
                if let Some(first) = first_token.filter(|_| of_endpoint && output >= 2) {
                    // An endpoint streams its tokens evenly.
                    let gap_ns = at.since(first).0 / u64::from(output - 1);
                    let first_fs = u128::from(gap_ns) * crate::types::Femtos::PER_NS;
                    self.sink.gaps(&GapRun { first_fs, more_fs: 0, steps: 1, tokens: output - 1 });
                }
                self.outputs_seen.0 += 1;
                self.outputs_seen.1 += u64::from(output);
                let (outcome, cause) = (Outcome::Completed, OutcomeCause::None);
                let ending = Ending { at, outcome, cause, output_tokens: output, cached_tokens };
                self.close_attempt(slot, ending, preemptions, cost);
                self.finish(slot, ending, source);
            }
            Effect::Failed { attempt, at, cause, emitted } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let why = cause_of(cause);
                let ending =
                    Ending { at, outcome: Outcome::Failed, cause: why, output_tokens: emitted, cached_tokens: 0 };
                self.close_attempt(slot, ending, 0, cost);
                let flight = self.slots.get(slot);
                let next = flight.tries;
                let index = flight.request.index;
                let deadline = flight.request.arrival + self.spec.resilience.timeout;
                let mut draws = random::stream(self.spec.seed, self.spec.replicate, "backoff", index, next);
                let jitter = random::dist::uniform01(&mut draws);
                match self.spec.resilience.backoff(cause, next, jitter) {
                    Some(wait) => {
                        let generation = self.slots.bump(slot);
                        // A retry that would come after the deadline is not worth a timer: the request times out.
                        if at + wait < deadline {
                            self.agenda.retry(at + wait, slot, generation);
                        }
                    }
                    None => self.finish(slot, ending, source),
                }
            }
        }
    }

    pub(super) fn time_out(&mut self, slot: u32, now: SimTime, source: &mut dyn Source) {
        let (outcome, cause) = (Outcome::TimedOut, OutcomeCause::Timeout);
        let mut ending = Ending { at: now, outcome, cause, output_tokens: 0, cached_tokens: 0 };
        if let Some(sent) = self.slots.get(slot).current {
            let mut cost = Usd::ZERO;
            match sent.to {
                Target::Replica(r) => {
                    let replica = &mut self.replicas[r as usize];
                    if let Some(at) = replica.lost.iter().position(|lost| lost.0 == sent.attempt) {
                        ending.output_tokens = replica.lost.remove(at).1;
                    } else if replica.up {
                        sample(&self.needs, replica, now);
                        ending.output_tokens = replica.engine.cancel(sent.attempt, now, &mut self.out).unwrap_or(0);
                        self.agenda.arm(r, replica.engine.next_event());
                        self.mark_dirty(r);
                    }
                }
                Target::Endpoint(e) => {
                    (ending.output_tokens, ending.cached_tokens, cost) =
                        self.bought[e as usize].endpoint.cancel(sent.attempt, now);
                    self.arm_endpoint(e);
                }
            }
            self.close_attempt(slot, ending, 0, cost);
        }
        if self.slots.get(slot).parked {
            self.parked.retain(|s| *s != slot);
        }
        // A request that was given up was answered from no cache.
        self.finish(slot, Ending { cached_tokens: 0, ..ending }, source);
        self.deliver(source);
    }

    fn close_attempt(&mut self, slot: u32, ending: Ending, preemptions: u32, cost: Usd) {
        let Ending { at, outcome, cause, output_tokens, cached_tokens } = ending;
        let flight = self.slots.get(slot);
        let sent = flight.current.take().expect("nothing-lost: an attempt ended that was not sent");
        flight.cost += cost;
        flight.preemptions += preemptions;
        flight.last_cause = cause;
        let first_token = flight.first_token;
        if outcome != Outcome::Completed {
            flight.first_token = None;
        }
        let (request, tries, prompt) = (flight.request.index, flight.tries, u64::from(flight.request.prompt_tokens));
        let (backend, replica) = match sent.to {
            Target::Endpoint(e) => (BackendKind::Endpoint(e), u32::MAX),
            Target::Replica(r) => {
                self.outstanding[r as usize] -= 1;
                if first_token.is_none() {
                    self.replicas[r as usize].unanswered -= prompt;
                }
                (self.kind_of(r), r)
            }
        };
        if self.needs.feedback {
            self.policy.learn(&Feedback::Ended {
                attempt: sent.attempt,
                at,
                to: sent.to,
                prompt_tokens: prompt as u32,
                output_tokens,
                completed: outcome == Outcome::Completed,
                timed_out: outcome == Outcome::TimedOut,
                cost_pico: cost.0,
            });
        }
        self.sink.attempt(&AttemptRecord {
            request,
            try_number: tries - 1,
            backend,
            replica,
            sent: sent.at,
            first_token,
            ended: at,
            outcome,
            cause,
            cached_tokens,
            output_tokens,
            preemptions,
            cost,
        });
    }

    pub(super) fn finish(&mut self, slot: u32, ending: Ending, source: &mut dyn Source) {
        let Ending { at, outcome, cause, output_tokens, cached_tokens } = ending;
        let flight = self.slots.retire(slot);
        let request = &flight.request;
        let ttft = flight.first_token.filter(|_| outcome == Outcome::Completed).map(|t| t.since(request.arrival));
        let e2e = at.since(request.arrival);
        let within = |limit: Option<SimTime>, value: Option<u64>| limit.is_none_or(|l| value.is_some_and(|v| v <= l.0));
        let [slo_ttft, slo_tpot, slo_e2e] = self.spec.slo;
        let tpot = match (ttft, output_tokens) {
            (Some(t), n) if n >= 2 => Some((e2e - t).0 / u64::from(n - 1)),
            _ => Some(0),
        };
        let met_slo = outcome == Outcome::Completed
            && within(slo_ttft, ttft.map(|t| t.0))
            && within(slo_tpot, tpot)
            && within(slo_e2e, Some(e2e.0));
        self.stats.ended = self.stats.ended.max(at);
        self.sink.request(&RequestRecord {
            index: request.index,
            arrival: request.arrival,
            class: flight.class,
            tenant: request.tenant,
            session: request.session,
            prompt_tokens: request.prompt_tokens,
            output_tokens,
            outcome,
            cause,
            backend: flight.last_backend,
            attempts: flight.tries,
            ttft,
            e2e,
            ended: at,
            cached_tokens,
            shareable_tokens: request.content.shareable_tokens(),
            preemptions: flight.preemptions,
            cost: flight.cost,
            met_slo,
        });
        source.finished(request.session, at, outcome);
    }
}
