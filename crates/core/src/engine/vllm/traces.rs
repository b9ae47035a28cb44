//! The worked traces of spec/vllm.md 1.19, with block ids and free queues.
use super::*;
use crate::engine::testkit::{job, named};
use crate::kv::BlockPool;

const ON: bool = true;

/// An engine with `usable` blocks of 16 tokens and a budget of `budget`, synchronous, at most 4 running.
fn engine(budget: u32, usable: u32, change: impl FnOnce(&mut VllmConfig)) -> Driver {
    let mut config = VllmConfig {
        num_blocks: usable + 1,
        max_num_seqs: 4,
        max_num_batched_tokens: budget,
        async_scheduling: false,
        ..VllmConfig::default()
    };
    change(&mut config);
    Driver { s: VllmScheduler::on_pool(config, false), batch: Batch::default(), result: StepResult::default() }
}

struct Driver {
    s: VllmScheduler<BlockPool>,
    batch: Batch,
    result: StepResult,
}

impl Driver {
    fn add(&mut self, job: Job) {
        self.s.enqueue(job, SimTime::ZERO).expect("accepted");
    }
    fn plan(&mut self) -> Vec<(u64, u32)> {
        self.s.schedule(SimTime::ZERO, &mut self.batch);
        self.batch.rows.iter().map(|r| (r.attempt.0, r.tokens)).collect()
    }
    fn end(&mut self) -> Vec<u64> {
        self.s.update(&self.batch, &mut self.result);
        self.s.pool().check();
        self.result.finished.iter().map(|f| f.attempt.0).collect()
    }
    /// A whole step: what was assigned, who finished.
    fn step(&mut self) -> (Vec<(u64, u32)>, Vec<u64>) {
        (self.plan(), self.end())
    }
    fn blocks(&self, id: u64) -> Vec<u32> {
        self.s.table_of(AttemptId(id)).map_or_else(Vec::new, |table| table.blocks.clone())
    }
    fn free(&self) -> u32 {
        self.s.pool().free_count()
    }
    fn queue(&self) -> Vec<u32> {
        self.s.pool().free_queue().collect()
    }
    fn preempted(&self) -> Vec<u64> {
        self.batch.preempted.iter().map(|a| a.0).collect()
    }
}

#[test]
fn t1_chunked_prefill_and_continuous_batching() {
    let mut e = engine(64, 10, |_| {});
    [(0, 100), (1, 20), (2, 10)].into_iter().for_each(|(id, prompt)| e.add(job(id, prompt, 3)));
    assert_eq!(e.plan(), [(0, 64)]);
    assert_eq!((e.blocks(0), e.free()), (vec![1, 2, 3, 4], 6));
    assert!(!e.batch.rows[0].samples);
    e.end();
    assert_eq!(e.plan(), [(0, 36), (1, 20), (2, 8)]);
    assert_eq!((e.blocks(0).len(), e.blocks(1), e.blocks(2), e.free()), (7, vec![8, 9], vec![10], 0));
    e.end();
    assert_eq!(e.result.first_tokens, [AttemptId(0), AttemptId(1)]);
    assert_eq!(e.step(), (vec![(0, 1), (1, 1), (2, 2)], vec![]));
    assert_eq!(e.step(), (vec![(0, 1), (1, 1), (2, 1)], vec![0, 1]));
    assert_eq!((e.free(), e.queue()), (9, vec![9, 7, 6, 5, 4, 3, 2, 1, 8]));
    assert_eq!(e.step(), (vec![(2, 1)], vec![2]));
}

#[test]
fn t1_async_notices_a_finish_one_step_late() {
    let mut e = engine(64, 10, |c| c.async_scheduling = true);
    [(0, 100), (1, 20), (2, 10)].into_iter().for_each(|(id, prompt)| e.add(job(id, prompt, 3)));
    let mut before = Batch::default();
    let mut finished = Vec::new();
    let mut plans = Vec::new();
    for _ in 0..6 {
        plans.push(e.plan());
        let next = std::mem::take(&mut e.batch);
        e.batch = before;
        finished.push(e.end());
        if finished.len() == 5 {
            assert_eq!(e.queue(), [9, 7, 6, 5, 4, 3, 2, 1, 8]);
        }
        before = next;
    }
    assert_eq!(plans[2..], [vec![(0, 1), (1, 1), (2, 2)], vec![(0, 1), (1, 1), (2, 1)], vec![(2, 1)], vec![]]);
    assert_eq!(finished, [vec![], vec![], vec![], vec![], vec![0, 1], vec![2]]);
}

fn t3(caching: bool) -> Driver {
    let mut e = engine(64, 5, |c| c.prefix_caching = caching);
    e.add(job(0, 30, 20));
    e.add(job(1, 30, 20));
    assert_eq!(e.step().0, [(0, 30), (1, 30)]);
    assert_eq!((e.blocks(0), e.blocks(1), e.free()), (vec![1, 2], vec![3, 4], 1));
    e.step();
    e.step();
    assert_eq!(e.step().0, [(0, 1)]);
    assert_eq!((e.preempted(), e.queue(), e.blocks(0)), (vec![1], vec![4, 3], vec![1, 2, 5]));
    (5..20).for_each(|_| assert_eq!(e.step(), (vec![(0, 1)], vec![])));
    assert_eq!(e.step(), (vec![(0, 1)], vec![0]));
    e
}

#[test]
fn t3_fcfs_preemption_recompute_and_head_of_line_wait() {
    let mut e = t3(ON);
    assert_eq!(e.plan(), [(1, 17)]);
    assert_eq!(e.batch.admitted, [(AttemptId(1), 16)]);
    assert_eq!(e.blocks(1)[0], 3);
    e.end();
    (22..37).for_each(|_| assert_eq!(e.step(), (vec![(1, 1)], vec![])));
    assert_eq!(e.step(), (vec![(1, 1)], vec![1]));
    assert_eq!((e.result.finished[0].cached_tokens, e.result.finished[0].preemptions), (0, 1));
}

#[test]
fn t3_async_admits_one_schedule_later() {
    let mut e = engine(64, 5, |c| c.async_scheduling = true);
    e.add(job(0, 30, 20));
    e.add(job(1, 30, 20));
    let mut before = None;
    // The plan of schedule k and what the update of schedule k - 1 finished.
    let mut call = |e: &mut Driver| {
        let plan = e.plan();
        let next = (!plan.is_empty()).then(|| std::mem::take(&mut e.batch));
        let preempted = next.as_ref().map_or_else(Vec::new, |b: &Batch| b.preempted.iter().map(|a| a.0).collect());
        let finished = match std::mem::replace(&mut before, next) {
            Some(batch) => {
                e.batch = batch;
                e.end()
            }
            None => Vec::new(),
        };
        (
            plan,
            preempted,
            finished,
            e.result.first_tokens.len() + e.result.gaps.iter().map(|g| g.tokens as usize).sum::<usize>(),
        )
    };
    assert_eq!(call(&mut e).0, [(0, 30), (1, 30)]);
    assert_eq!(call(&mut e).0, [(0, 1), (1, 1)]);
    assert_eq!(call(&mut e).0, [(0, 1), (1, 1)]);
    let (plan, preempted, _, emitted) = call(&mut e);
    assert_eq!((plan, preempted, emitted), (vec![(0, 1)], vec![1], 2), "the victim's token in flight is delivered");
    (5..=20).for_each(|_| assert_eq!(call(&mut e).0, [(0, 1)]));
    let (plan, _, finished, _) = call(&mut e);
    assert_eq!((plan, finished), (vec![], vec![0]));
    assert_eq!(call(&mut e).0, [(1, 17)]);
}

#[test]
fn t3_without_a_cache_recomputes_everything() {
    let mut e = t3(!ON);
    assert_eq!(e.queue(), [4, 5, 2, 1, 3]);
    assert_eq!(e.step().0, [(1, 33)]);
    (22..37).for_each(|_| assert_eq!(e.step(), (vec![(1, 1)], vec![])));
    assert_eq!(e.step().1, [1]);
}

#[test]
fn t5_prefix_hits_leave_one_token_to_compute_and_do_not_merge_twins() {
    let mut e = engine(128, 19, |_| {});
    e.add(named(0, &[(1, 48)], 2));
    assert_eq!(e.step().0, [(0, 48)]);
    assert_eq!(e.step().1, [0]);
    e.add(named(1, &[(1, 48)], 2));
    e.add(named(2, &[(1, 48), (2, 3)], 2));
    e.add(named(3, &[(1, 40), (3, 20)], 2));
    assert_eq!(e.plan(), [(1, 16), (2, 3), (3, 28)]);
    assert_eq!(e.batch.admitted.iter().map(|a| a.1).collect::<Vec<_>>(), [32, 48, 32]);
    assert_eq!((e.blocks(1), e.blocks(2), e.blocks(3)), (vec![1, 2, 4], vec![1, 2, 3, 5], vec![1, 2, 6, 7]));
}

#[test]
fn t5b_requests_of_one_step_share() {
    let mut e = engine(256, 19, |_| {});
    (0..3).for_each(|id| e.add(named(id, &[(1, 64), (10 + id, 1)], 2)));
    assert_eq!(e.plan(), [(0, 65), (1, 1), (2, 1)]);
    assert_eq!((e.blocks(0), e.blocks(1)), (vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 6]));
    assert_eq!((e.blocks(2), e.free()), (vec![1, 2, 3, 4, 7], 12));
    e.end();
    assert_eq!(e.step().1, [0, 1, 2]);
    let want: Vec<u32> = [7, 6, 5].into_iter().chain(8..=19).chain([4, 3, 2, 1]).collect();
    assert_eq!(e.queue(), want);
}

#[test]
fn t5c_a_prefill_in_progress_is_shared() {
    let mut e = engine(40, 19, |_| {});
    (0..2).for_each(|id| e.add(named(id, &[(1, 64), (10 + id, 1)], 2)));
    assert_eq!(e.step().0, [(0, 40)]);
    assert_eq!(e.step().0, [(0, 25), (1, 1)]);
}

#[test]
fn e1_order_of_freeing_and_eviction() {
    let mut e = engine(128, 8, |_| {});
    let mut one = |id: u64, name: u64, prompt: u32| {
        e.add(named(id, &[(name, prompt)], 1));
        let plan = e.plan();
        let blocks = e.blocks(id);
        e.end();
        (plan[0].1, blocks, e.queue())
    };
    assert_eq!(one(0, 1, 40), (40, vec![1, 2, 3], vec![3, 4, 5, 6, 7, 8, 2, 1]));
    assert_eq!(one(1, 2, 33), (33, vec![3, 4, 5], vec![5, 6, 7, 8, 2, 1, 4, 3]));
    assert_eq!(one(2, 3, 48), (48, vec![5, 6, 7], vec![8, 2, 1, 4, 3, 7, 6, 5]));
    assert_eq!(one(3, 4, 48), (48, vec![8, 2, 1], vec![4, 3, 7, 6, 5, 1, 2, 8]));
    assert_eq!(one(4, 1, 40), (40, vec![4, 3, 7], vec![7, 6, 5, 1, 2, 8, 3, 4]));
}

#[test]
fn p1_the_least_urgent_is_preempted() {
    let mut e = engine(64, 7, |c| c.policy = QueuePolicy::Priority);
    [(0, 1), (1, 0), (2, 0)].into_iter().for_each(|(id, priority)| e.add(Job { priority, ..job(id, 30, 40) }));
    assert_eq!(e.step().0, [(1, 30), (2, 30), (0, 4)]);
    assert_eq!(e.step().0, [(1, 1), (2, 1), (0, 26)]);
    assert_eq!(e.step().0, [(1, 1), (2, 1), (0, 1)]);
    assert_eq!(e.plan(), [(1, 1), (2, 1)]);
    assert_eq!((e.preempted(), e.free()), (vec![0], 1));
    assert_eq!((e.blocks(1)[2], e.blocks(2)[2]), (7, 6));
}

#[test]
fn p2_a_victim_scheduled_in_this_step_is_refunded() {
    let mut e = engine(64, 5, |c| c.policy = QueuePolicy::Priority);
    e.add(Job { priority: 1, ..job(0, 30, 10) });
    assert_eq!(e.step().0, [(0, 30)]);
    e.add(job(1, 30, 10));
    assert_eq!(e.step().0, [(0, 1), (1, 30)]);
    assert_eq!(e.step().0, [(0, 1), (1, 1)]);
    assert_eq!(e.step().0, [(0, 1), (1, 1)]);
    assert_eq!(e.free(), 0);
    assert_eq!(e.step().0, [(1, 1)]);
    assert_eq!((e.preempted(), e.blocks(1), e.queue()), (vec![0], vec![3, 4, 5], vec![2, 1]));
}

/// Two cases of spec/vllm-additions.md 0, recorded from vLLM 0.32: blocks of 8 tokens, no cache.
fn tight(usable: u32) -> Driver {
    engine(64, usable, |c| {
        (c.block_size, c.prefix_caching, c.policy) = (8, false, QueuePolicy::Priority);
    })
}

#[test]
fn p3_who_preempts_itself_ends_the_running_loop() {
    let mut e = tight(4);
    e.add(Job { priority: 3, ..job(0, 15, 10) });
    assert_eq!(e.step().0, [(0, 15)]);
    e.add(Job { priority: 0, ..job(1, 12, 6) });
    assert_eq!(e.step().0, [(0, 1), (1, 12)]);
    assert_eq!(e.step(), (vec![], vec![]));
    assert_eq!((e.preempted(), e.free()), (vec![0], 2), "the other waits although there are blocks again");
    (3..7).for_each(|_| assert_eq!(e.step(), (vec![(1, 1)], vec![])));
    assert_eq!(e.step(), (vec![(1, 1)], vec![1]));
    assert_eq!(e.step().0, [(0, 17)]);
}

#[test]
fn p4_who_stands_behind_it_waits_for_the_next_call() {
    let mut e = tight(7);
    let mut plans = Vec::new();
    for (priority, prompt, output) in [(0, 13, 12), (3, 14, 8), (1, 10, 6)] {
        e.add(Job { priority, ..job(plans.len() as u64, prompt, output) });
        plans.push(e.step().0);
    }
    assert_eq!(plans, [vec![(0, 13)], vec![(0, 1), (1, 14)], vec![(0, 1), (1, 1), (2, 10)]]);
    assert_eq!(e.step().0, [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(e.step().0, [(0, 1)]);
    assert_eq!((e.preempted(), e.free()), (vec![1], 2));
    assert_eq!(e.step().0, [(0, 1), (2, 1)]);
}

#[test]
fn l1_l2_long_prompts_are_capped_unless_alone() {
    let mut e = engine(100, 40, |c| c.long_prefill_token_threshold = 32);
    [(0, 300, 5), (1, 20, 2), (2, 20, 2)].into_iter().for_each(|(id, prompt, output)| e.add(job(id, prompt, output)));
    assert_eq!(e.step().0, [(0, 32), (1, 20), (2, 20)]);
    assert_eq!(e.step(), (vec![(0, 32), (1, 1), (2, 1)], vec![1, 2]));
    assert_eq!(e.step().0, [(0, 100)]);

    let mut alone = engine(100, 40, |c| c.long_prefill_token_threshold = 32);
    alone.add(job(0, 300, 5));
    (0..3).for_each(|_| assert_eq!(alone.step().0, [(0, 100)]));
}

#[test]
fn s1_sequence_limit() {
    let mut e = engine(64, 10, |c| c.max_num_seqs = 2);
    (0..3).for_each(|id| e.add(job(id, 10, 2)));
    assert_eq!(e.step().0, [(0, 10), (1, 10)]);
    assert_eq!(e.step(), (vec![(0, 1), (1, 1)], vec![0, 1]));
    assert_eq!(e.step().0, [(2, 10)]);
}

#[test]
fn f1_full_sequence_gate() {
    let jobs = [job(0, 60, 40), job(1, 70, 40), job(2, 8, 40)];
    let mut e = engine(32, 7, |_| {});
    jobs.iter().cloned().for_each(|j| e.add(j));
    assert_eq!([e.step().0, e.step().0, e.step().0], [[(0, 32)], [(0, 28)], [(0, 1)]]);

    let mut e = engine(32, 7, |c| c.reserve_full_isl = false);
    jobs.into_iter().for_each(|j| e.add(j));
    assert_eq!(e.step().0, [(0, 32)]);
    assert_eq!(e.step().0, [(0, 28), (1, 4)]);
    assert_eq!(e.step().0, [(0, 1), (1, 31)]);
    assert_eq!(e.free(), 0);
    assert_eq!(e.step().0, [(0, 1)]);
    assert_eq!((e.preempted(), e.queue()), (vec![1], vec![7, 6, 5]));
}

#[test]
fn w1_watermark_holds_back_admissions_only_while_something_runs() {
    let mut e = engine(256, 9, |c| c.watermark = 0.2);
    [(0, 60), (1, 60), (2, 8)].into_iter().for_each(|(id, prompt)| e.add(job(id, prompt, 4)));
    assert_eq!(e.step().0, [(0, 60)]);
    assert_eq!(e.step().0, [(0, 1)]);
}

#[test]
fn c0_a_whole_prompt_waits_for_room_when_it_may_not_be_cut() {
    let mut e = engine(64, 20, |c| c.chunked_prefill = false);
    [(0, 40), (1, 40), (2, 10)].into_iter().for_each(|(id, prompt)| e.add(job(id, prompt, 5)));
    assert_eq!(e.step().0, [(0, 40)]);
    assert_eq!(e.step().0, [(0, 1), (1, 40), (2, 10)]);
    assert_eq!(e.step().0, [(0, 1), (1, 1), (2, 1)]);
}

#[test]
fn d1_tiny_budget_serves_running_requests_first() {
    let mut e = engine(3, 10, |_| {});
    (0..3).for_each(|id| e.add(job(id, 2, 9)));
    assert_eq!(e.step().0, [(0, 2), (1, 1)]);
    assert_eq!(e.step().0, [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(e.step().0, [(0, 1), (1, 1), (2, 1)]);
}

#[test]
fn what_can_never_run_or_must_not_queue_is_refused() {
    let mut e = engine(64, 5, |c| c.max_num_queued_reqs = Some(1));
    assert_eq!(e.s.enqueue(job(0, 70, 12), SimTime::ZERO), Err(FailureCause::TooLong));
    assert_eq!(e.s.enqueue(job(0, 70, 11), SimTime::ZERO), Ok(()));
    assert_eq!(e.s.enqueue(job(1, 7, 1), SimTime::ZERO), Err(FailureCause::QueueFull));
    assert_eq!(e.s.abort(AttemptId(0)), Some(0));
    assert_eq!(e.s.abort(AttemptId(0)), None);
}
