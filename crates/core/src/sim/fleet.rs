//! Own replicas: their engines, whether they are up, what died with them, and what a scraper has seen of them.
use super::spec::PoolSpec;
use crate::engine::{Replica, ReplicaCounts};
use crate::fleet::FailureModel;
use crate::gateway::ScrapedLoad;
use crate::types::{
    AttemptId, Backend, Cancelled, Effect, FailureCause, Job, Load, Outbox, PoolId, ReplicaId, Roster, Run, SimTime,
    Stop,
};

/// Where a replica is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The replica takes no jobs yet.
    Starting,
    /// The replica serves.
    Up,
    /// The replica has failed.
    Down,
}

/// A replica and what surrounds its engine.
#[derive(Debug)]
struct Member {
    engine: Replica,
    gpus: u32,
    phase: Phase,
    /// Times that it failed.
    failures: u32,
    scraped: ScrapedLoad,
    /// What died with it, and what was sent there while it was down and nobody knew, with the tokens that had left.
    lost: Vec<(AttemptId, u32)>,
    /// Something happened to it at this instant.
    touched: bool,
}

impl Member {
    /// Something happened to this replica: its schedule is due when all arrivals of the instant are in. When it has something
    /// to do next.
    fn touch(&mut self, id: ReplicaId, touched: &mut Vec<ReplicaId>) -> SimTime {
        if !self.touched {
            self.touched = true;
            touched.push(id);
        }
        self.engine.next_event()
    }

    /// Takes the samples that are due before it changes at `now`, if anybody reads them.
    fn sample(&mut self, now: SimTime, read: bool) {
        if read {
            let engine = &self.engine;
            self.scraped.before_change(now, |at| engine.observe(at + SimTime(1)));
        }
    }
}

/// The time that a replica's GPUs are rented for: from when it is added, cold start included, until it has left. Who is
/// drained is paid until it is empty; who has failed, and comes again, is paid all the while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rental {
    /// The replica.
    pub replica: ReplicaId,
    /// Its pool.
    pub pool: PoolId,
    /// Its GPUs.
    pub gpus: u32,
    /// When it was added.
    pub from: SimTime,
    /// When it left, if it has.
    pub to: Option<SimTime>,
}

impl Rental {
    /// GPU time rented before `end`, nanoseconds.
    pub fn gpu_ns(&self, end: SimTime) -> u128 {
        let to = self.to.map_or(end, |to| to.min(end));
        u128::from(self.gpus) * u128::from(to.0.saturating_sub(self.from.0))
    }
}

/// See the module head.
#[derive(Debug)]
pub struct Fleet {
    members: Roster<ReplicaId, Member>,
    touched: Vec<ReplicaId>,
    /// Failures, with seed and replicate of their draws.
    failures: Option<(FailureModel, u64, u32)>,
    /// Whether samples of loads are taken.
    samples: bool,
    /// A load that no sample was taken of.
    unseen: ScrapedLoad,
    /// For how long KV events are kept, where they are.
    keep_kv_events: Option<SimTime>,
    /// What replicas that have left counted.
    of_left: ReplicaCounts,
    /// Of all replicas that have come, by id.
    rentals: Vec<Rental>,
    fallen: u64,
}

impl Fleet {
    /// A fleet without replicas. `scrape` is interval and delay of a load's samples, which are taken where `samples`
    /// says so.
    pub fn new(
        scrape: (SimTime, SimTime),
        samples: bool,
        keep_kv_events: Option<SimTime>,
        failures: Option<(FailureModel, u64, u32)>,
    ) -> Fleet {
        Fleet {
            members: Roster::default(),
            touched: Vec::new(),
            failures,
            samples,
            unseen: ScrapedLoad::new(scrape.0, scrape.1),
            keep_kv_events,
            of_left: ReplicaCounts::default(),
            rentals: Vec::new(),
            fallen: 0,
        }
    }

    /// A new replica of a pool, which is not up yet.
    pub fn add(&mut self, pool: PoolId, spec: &PoolSpec, now: SimTime) -> ReplicaId {
        let mut engine = spec.replica.start(spec.mode);
        if let Some(keep) = self.keep_kv_events {
            engine.keep_kv_events(keep);
        }
        let gpus = spec.replica.gpus;
        let replica = self.members.add(Member {
            engine,
            gpus,
            phase: Phase::Starting,
            failures: 0,
            scraped: self.unseen.clone(),
            lost: Vec::new(),
            touched: false,
        });
        self.rentals.push(Rental { replica, pool, gpus, from: now, to: None });
        replica
    }

    /// What has been rented so far.
    pub fn rentals(&self) -> &[Rental] {
        &self.rentals
    }

    /// Whether a replica has nothing to do and holds nothing.
    pub fn is_idle(&self, id: ReplicaId, now: SimTime) -> bool {
        let Member { engine, lost, .. } = &self.members[id];
        engine.unfinished() == 0 && lost.is_empty() && engine.observe(now).kv_used_blocks == 0
    }

    /// Whether a replica has not left.
    pub fn has(&self, id: ReplicaId) -> bool {
        self.members.get(id).is_some()
    }

    /// A replica serves, for the first time or again. When it fails next.
    pub fn start(&mut self, id: ReplicaId, now: SimTime) -> SimTime {
        let member = &mut self.members[id];
        member.engine.start(now);
        member.phase = Phase::Up;
        let Some((model, seed, replicate)) = &self.failures else { return SimTime::NEVER };
        model.next_failure(*seed, *replicate, id.0, member.failures, member.gpus, now)
    }

    /// A replica dies. Nobody knows yet: its attempts are kept until [`Fleet::lost`] is asked for them.
    pub fn fail(&mut self, id: ReplicaId, now: SimTime, out: &mut Outbox) {
        let member = &mut self.members[id];
        member.sample(now, self.samples);
        let from = out.effects.len();
        member.engine.stop(now, Stop::Kill, out);
        for effect in out.effects.drain(from..) {
            if let Effect::Failed { attempt, emitted, .. } = effect {
                member.lost.push((attempt, emitted));
            }
        }
        member.phase = Phase::Down;
        member.failures += 1;
        self.fallen += 1;
    }

    /// Takes out the attempts that a replica's death has cost so far, with the tokens that had left.
    pub fn lost(&mut self, id: ReplicaId) -> std::vec::Drain<'_, (AttemptId, u32)> {
        self.members[id].lost.drain(..)
    }

    /// The model by which replicas fail.
    pub fn failure_model(&self) -> Option<&FailureModel> {
        self.failures.as_ref().map(|(model, ..)| model)
    }
    /// Failures so far.
    pub fn failures(&self) -> u64 {
        self.fallen
    }

    /// Stops a replica: drained, it ends what it has and takes nothing more; killed, what it has fails at once. When it
    /// has something to do next.
    pub fn stop(&mut self, id: ReplicaId, now: SimTime, how: Stop, out: &mut Outbox) -> SimTime {
        let member = &mut self.members[id];
        member.sample(now, self.samples);
        member.engine.stop(now, how, out);
        if how == Stop::Kill {
            let cause = FailureCause::ReplicaLost;
            let lost = member.lost.drain(..);
            out.effects.extend(lost.map(|(attempt, emitted)| Effect::Failed { attempt, at: now, cause, emitted }));
        }
        member.touch(id, &mut self.touched)
    }

    /// A replica leaves for good.
    pub fn remove(&mut self, id: ReplicaId, now: SimTime) {
        let member = self.members.remove(id).expect("place-known: who leaves is here");
        assert!(member.engine.unfinished() == 0 && member.lost.is_empty(), "nothing-lost: {id:?} leaves with jobs");
        let load = member.engine.observe(now);
        assert_eq!(load.kv_used_blocks, 0, "blocks-conserved: {id:?} leaves with blocks held");
        let rental = self.rentals.iter_mut().find(|r| r.replica == id).expect("place-known: who leaves has come");
        rental.to = Some(now);
        let counts = member.engine.counts();
        self.of_left.steps += counts.steps;
        self.of_left.strides += counts.strides;
        self.of_left.batch_changes += counts.batch_changes;
    }

    /// Hands a job to a replica. One that is down loses it, and nobody knows.
    pub fn submit(&mut self, id: ReplicaId, job: Job, now: SimTime, out: &mut Outbox) -> SimTime {
        let member = &mut self.members[id];
        member.sample(now, self.samples);
        if member.phase == Phase::Down {
            member.lost.push((job.attempt, 0));
            return SimTime::NEVER;
        }
        member.engine.submit(job, now, out);
        member.touch(id, &mut self.touched)
    }

    /// Cancels an attempt at a replica; what it leaves.
    pub fn cancel(
        &mut self,
        id: ReplicaId,
        attempt: AttemptId,
        now: SimTime,
        out: &mut Outbox,
    ) -> (Cancelled, SimTime) {
        let member = &mut self.members[id];
        member.sample(now, self.samples);
        if let Some(at) = member.lost.iter().position(|lost| lost.0 == attempt) {
            let (_, output_tokens) = member.lost.remove(at);
            let next = member.engine.next_event();
            return (Cancelled { output_tokens, ..Cancelled::default() }, next);
        }
        let left = member.engine.cancel(attempt, now, out).unwrap_or_default();
        (left, member.touch(id, &mut self.touched))
    }

    /// Does what is due at a replica. When it has something to do next.
    pub fn advance(&mut self, id: ReplicaId, now: SimTime, out: &mut Outbox) -> SimTime {
        let member = &mut self.members[id];
        member.sample(now, self.samples);
        member.engine.advance(now, out);
        member.touch(id, &mut self.touched)
    }

    /// Brings all replicas that are up to this instant, so that their caches can be looked at. `armed` is told when each has
    /// something to do next.
    pub fn settle(&mut self, now: SimTime, out: &mut Outbox, mut armed: impl FnMut(ReplicaId, SimTime)) {
        for (id, member) in self.members.iter_mut().filter(|(_, m)| m.phase == Phase::Up) {
            member.sample(now, self.samples);
            member.engine.settle(now, out);
            armed(id, member.touch(id, &mut self.touched));
        }
    }

    /// Starts the next step of every replica that something happened to, in the order of ids; a schedule has no effects.
    /// `armed` is told when each has something to do next.
    pub fn schedule(&mut self, now: SimTime, mut armed: impl FnMut(ReplicaId, SimTime)) {
        if self.touched.len() > 1 {
            self.touched.sort_unstable();
        }
        for id in self.touched.drain(..) {
            let Some(member) = self.members.get_mut(id) else { continue };
            member.touched = false;
            if member.engine.needs_schedule() {
                member.sample(now, self.samples);
                member.engine.schedule(now);
                armed(id, member.engine.next_event());
            }
        }
    }

    /// The load of a replica as a scraper has seen it by `now`.
    pub fn scraped(&self, id: ReplicaId, now: SimTime) -> Load {
        let member = &self.members[id];
        member.scraped.seen(now, |at| member.engine.observe(at + SimTime(1)))
    }

    /// When what is seen by `now` was sampled.
    pub fn sampled_at(&self, now: SimTime) -> SimTime {
        self.unseen.visible(now)
    }

    /// Tokens of a prompt, from its start, that an index fed by KV events with this delay knows to be in a replica's cache.
    pub fn cached_tokens(&self, id: ReplicaId, prompt: &[Run], now: SimTime, delay: SimTime) -> u64 {
        let engine = &self.members[id].engine;
        match delay {
            SimTime::ZERO => engine.cached_tokens(prompt),
            // Before the first event can have come nothing is known.
            delay if delay > now => 0,
            delay => engine.cached_tokens_at(prompt, now - delay),
        }
    }

    /// The loads of replicas that are up, at the end of instant `at`.
    pub fn loads(&self, at: SimTime) -> impl Iterator<Item = Load> {
        let up = self.members.iter().filter(|(_, m)| m.phase == Phase::Up);
        up.map(move |(_, m)| m.engine.observe(at + SimTime(1)))
    }

    /// What a replica is like just before instant `before`, if it has not left.
    pub fn observe(&self, id: ReplicaId, before: SimTime) -> Option<Load> {
        self.members.get(id).map(|m| m.engine.observe(before))
    }

    /// Steps, strides and changes of batch of all replicas, those that have left among them.
    pub fn counts(&self) -> ReplicaCounts {
        self.members.iter().fold(self.of_left, |mut sum, (_, member)| {
            let counts = member.engine.counts();
            sum.steps += counts.steps;
            sum.strides += counts.strides;
            sum.batch_changes += counts.batch_changes;
            sum
        })
    }
}
