//! What becomes of attempts and requests: effects, endings, records.
use super::agenda::Event;
use super::attempts::Target;
use super::world::World;
use crate::gateway::{Feedback, HealthEvent};
use crate::types::{
    AttemptId, AttemptRecord, BackendKind, Effect, FailureCause, GapRun, Outcome, OutcomeCause, RecordSink, Request,
    RequestRecord, SimTime, Source, Usd,
};

/// The cause in records of what a backend said.
fn cause_of(cause: FailureCause) -> OutcomeCause {
    match cause {
        FailureCause::RateLimited { .. } => OutcomeCause::RateLimited,
        FailureCause::SlowDown { .. } => OutcomeCause::SlowDown,
        FailureCause::QuotaExhausted => OutcomeCause::QuotaExhausted,
        FailureCause::ServerError => OutcomeCause::ServerError,
        FailureCause::Overloaded => OutcomeCause::Overloaded,
        FailureCause::QueueFull => OutcomeCause::QueueFull,
        FailureCause::ReplicaLost => OutcomeCause::ReplicaLost,
        FailureCause::TooLong => OutcomeCause::TooLong,
        FailureCause::Expired => OutcomeCause::Expired,
        FailureCause::TryTimeout => OutcomeCause::TryTimeout,
    }
}

/// What a failure says of a backend's health.
fn health_of(cause: FailureCause) -> Option<HealthEvent> {
    match cause {
        FailureCause::RateLimited { retry_after } | FailureCause::SlowDown { retry_after } => {
            Some(HealthEvent::RateLimited(retry_after))
        }
        FailureCause::QuotaExhausted => Some(HealthEvent::RateLimited(SimTime::ZERO)),
        FailureCause::ServerError | FailureCause::Overloaded | FailureCause::QueueFull | FailureCause::ReplicaLost => {
            Some(HealthEvent::Failure)
        }
        FailureCause::TryTimeout => Some(HealthEvent::Timeout),
        FailureCause::TooLong | FailureCause::Expired => None,
    }
}

/// What an attempt leaves behind beside its ending.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    pub preemptions: u32,
    pub cost: Usd,
    pub health: Option<HealthEvent>,
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
                self.first_token(slot, attempt, at);
            }
            Effect::Done { attempt, at, cached_tokens, preemptions } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let flight = self.slots.get(slot);
                let output = flight.request.output_tokens.min(flight.request.max_output_tokens).max(1);
                let lost = flight.loser == Some(attempt);
                let sent = *flight.sent(attempt).expect("resolve: the attempt is under way");
                let of_endpoint = matches!(sent.to, Target::Endpoint(_));
                if let Some(first) = sent.first_token.filter(|_| of_endpoint && output >= 2) {
                    // An endpoint streams its tokens evenly.
                    let gap_ns = at.since(first).0 / u64::from(output - 1);
                    let first_fs = u128::from(gap_ns) * crate::types::Femtos::PER_NS;
                    self.sink.gaps(&GapRun { first_fs, more_fs: 0, steps: 1, tokens: output - 1 });
                }
                self.outputs_seen.0 += 1;
                self.outputs_seen.1 += u64::from(output);
                let next_stage = if lost { None } else { self.next_stage(slot) };
                let (outcome, cause) = match next_stage {
                    _ if lost => (Outcome::Cancelled, OutcomeCause::Hedged),
                    Some(_) => (Outcome::Completed, OutcomeCause::NotAccepted),
                    None => (Outcome::Completed, OutcomeCause::None),
                };
                let ending = Ending { at, outcome, cause, output_tokens: output, cached_tokens };
                let left = Left { preemptions, cost, health: Some(HealthEvent::Success) };
                self.close_attempt(slot, attempt, ending, left);
                match next_stage {
                    _ if lost => self.loser_is_gone(slot, source),
                    Some(stage) => self.escalate(slot, stage, at),
                    None if self.slots.get(slot).current.is_some() => self.slots.get(slot).answered = Some(ending),
                    None => self.finish(slot, ending, source),
                }
            }
            Effect::Failed { attempt, at, cause, emitted } => {
                let Some(slot) = self.slots.resolve(attempt) else { return };
                let why = cause_of(cause);
                let ending =
                    Ending { at, outcome: Outcome::Failed, cause: why, output_tokens: emitted, cached_tokens: 0 };
                let left = Left { cost, health: health_of(cause), ..Left::default() };
                self.close_attempt(slot, attempt, ending, left);
                self.failed(slot, attempt, ending, cause, source);
            }
        }
    }

    fn first_token(&mut self, slot: u32, attempt: AttemptId, at: SimTime) {
        let flight = self.slots.get(slot);
        let prompt = u64::from(flight.request.prompt_tokens);
        let sent = flight.sent(attempt).expect("resolve: the attempt is under way");
        sent.first_token = Some(at);
        let sent = *sent;
        if flight.hedge.is_some() && flight.loser.is_none() {
            let both = [flight.current, flight.hedge].into_iter().flatten();
            flight.loser = both.map(|s| s.attempt).find(|other| *other != attempt);
            let loser = flight.loser.expect("hedge: there are two");
            // After all answers of this instant, so that it does not depend on which backend comes first.
            self.agenda.timer(at, Event::Loser(slot, (loser.0 >> 32) as u32));
        }
        if self.needs.feedback {
            self.policy.learn(&Feedback::FirstToken { to: sent.to, at, took: at.since(sent.at) });
        }
        let batch = matches!(sent.to, Target::Endpoint(e) if self.bought[e as usize].facts.deferred);
        if self.spec.resilience.hedge.is_some() && !batch {
            self.learned.learn(at.since(sent.at));
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

    /// An attempt is over: it is taken out and recorded, and its bill is the request's.
    pub(super) fn close_attempt(&mut self, slot: u32, attempt: AttemptId, ending: Ending, left: Left) {
        let Ending { at, outcome, cause, output_tokens, cached_tokens } = ending;
        let Left { preemptions, cost, health } = left;
        let flight = self.slots.get(slot);
        let sent = flight.take(attempt).expect("nothing-lost: an attempt ended that was not sent");
        flight.cost += cost;
        flight.preemptions += preemptions;
        let first_token = sent.first_token;
        if outcome == Outcome::Completed {
            flight.first_token = first_token;
        }
        let (request, prompt) = (flight.request.index, u64::from(flight.request.prompt_tokens));
        let (backend, replica, spot, number) = match sent.to {
            Target::Endpoint(e) => {
                let spot = self.spec.pools.len() + e as usize;
                (BackendKind::Endpoint(e), u32::MAX, spot, self.replicas.len() + e as usize)
            }
            Target::Replica(r) => {
                self.outstanding[r as usize] -= 1;
                if first_token.is_none() {
                    self.replicas[r as usize].unanswered -= prompt;
                }
                (self.kind_of(r), r, self.replicas[r as usize].pool as usize, r as usize)
            }
        };
        if outcome != Outcome::Cancelled {
            let flight = self.slots.get(slot);
            (flight.last_backend, flight.last) = (Some(backend), Some(ending));
        }
        self.busy[spot] -= 1;
        if self.waiting.len > 0 {
            self.pump_soon(at);
        }
        if let Some(event) = health {
            self.health.note(number, event, at);
        }
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
            try_number: sent.try_number,
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
        self.leave_queue(slot);
        let flight = self.slots.retire(slot);
        debug_assert!(
            flight.current.is_none() && flight.hedge.is_none(),
            "nothing-lost: an attempt outlives its request"
        );
        let request = &flight.request;
        let ttft = flight.first_token.filter(|_| outcome == Outcome::Completed).map(|t| t.since(request.arrival));
        let e2e = at.since(request.arrival);
        let within = |limit: Option<SimTime>, value: Option<u64>| limit.is_none_or(|l| value.is_some_and(|v| v <= l.0));
        let [mut slo_ttft, slo_tpot, mut slo_e2e] = self.spec.slo;
        if let Some(wait) = self.spec.classes[flight.class as usize].0.tolerates {
            // A class that tolerates a wait has objectives of its own.
            (slo_ttft, slo_e2e) = (slo_ttft.map(|t| t.max(wait)), slo_e2e.map(|t| t.max(wait)));
            self.patient -= 1;
        } else {
            self.stats.ended_in_haste = self.stats.ended_in_haste.max(at);
        }
        let tpot = match (ttft, output_tokens) {
            (Some(t), n) if n >= 2 => Some((e2e - t).0 / u64::from(n - 1)),
            _ => Some(0),
        };
        let met_slo = outcome == Outcome::Completed
            && within(slo_ttft, ttft.map(|t| t.0))
            && within(slo_tpot, tpot)
            && within(slo_e2e, Some(e2e.0));
        let above_bar = match flight.last_backend {
            Some(backend) if outcome == Outcome::Completed && !self.spec.answers.is_empty() => {
                self.above_bar(backend, &flight.request)
            }
            _ => None,
        };
        self.stats.ended = self.stats.ended.max(at);
        self.sink.request(&RequestRecord {
            index: request.index,
            arrival: request.arrival,
            class: flight.class,
            tenant: request.tenant,
            session: request.session,
            prompt_tokens: request.prompt_tokens,
            output_tokens,
            max_output_tokens: request.max_output_tokens,
            outcome,
            cause,
            backend: flight.last_backend,
            attempts: flight.tries,
            ttft,
            e2e,
            ended: at,
            cached_tokens,
            shareable_tokens: request.content.shareable_tokens(request.index),
            preemptions: flight.preemptions,
            cost: flight.cost,
            met_slo,
            above_bar,
        });
        source.finished(request.session, at, outcome);
    }

    /// Whether a place's answer to a request is above the bar, where that is known.
    fn above_bar(&self, backend: BackendKind, request: &Request) -> Option<bool> {
        let spot = match backend {
            BackendKind::Pool(p) => p as usize,
            BackendKind::Endpoint(e) => self.spec.pools.len() + e as usize,
        };
        self.spec.answers[spot].as_ref()?.above_bar(request.index, request.arrival)
    }
}
