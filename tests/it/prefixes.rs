//! One rule who may name whose text (`types/content.rs`), and everything that says what a cache has of a prompt obeys it.
use crate::support::draw_shared;
use crate::support::modes;
use crate::support::seeds::DrawKey;
use baseload::api::{CacheKind, CacheRule, PromptCache};
use baseload::experiment::open_trace;
use baseload::gateway::{BlockRule, Blocks, Tree};
use baseload::kv::{BlockPool, KvPool, SpanPool, Tokens};
use baseload::trace::{
    BLOCK_TOKENS, Figures, GenerateSpec, Generator, Held, SourceOptions, TraceStats, collect, prepare,
};
use baseload::types::{Clock, Content, Entry, ReplicaId, SimTime, served_prefix};
use std::path::Path;

/// Traces of each kind.
const TRACES: u64 = 60;

/// Of each prompt the leading tokens that some earlier prompt began with, by comparing with all of them.
fn shared(prompts: &[Content]) -> Vec<u32> {
    let with = |i: usize| prompts[..i].iter().map(|p| p.shared_prefix(&prompts[i])).max().unwrap_or(0) as u32;
    (0..prompts.len()).map(with).collect()
}

/// Tokens of each prompt that a pool which never evicts has when it comes, answers left aside.
fn pool<P: KvPool>(prompts: &[Content], block: u32) -> Vec<u32> {
    let mut pool = P::new(1 << 16, block);
    let mut hits = |prompt: &Content| {
        let (length, mut table) = (prompt.tokens() as u32, P::Table::default());
        let (most, all) = (served_prefix(length, length, block) / block, length / block);
        let tokens = Tokens { prompt: prompt.runs(), output: &[] };
        pool.name(&mut table, tokens, all);
        let hit = pool.look_up(&mut table, most).blocks;
        pool.take_hits(&mut table);
        pool.take(&mut table, all - hit);
        pool.cache(&mut table, all, all);
        pool.release(&mut table);
        pool.retire(&mut table);
        hit * block
    };
    prompts.iter().map(&mut hits).collect()
}

/// Tokens that a router with one replica takes it to have of each prompt, in blocks and token by token.
fn routers(prompts: &[Content], block: u32) -> (Vec<u32>, Vec<u32>) {
    let mut blocks = Blocks::new(BlockRule { block_tokens: block, blocks: 1 << 20, max_tokens: 1 << 30 });
    let mut tree = Tree::default();
    let mut look = |prompt: &Content| {
        blocks.look(prompt);
        tree.look(prompt);
        let found = (blocks.matched_tokens(ReplicaId(0)) as u32, tree.longest().map_or(0, |(_, tokens)| tokens));
        blocks.sent(ReplicaId(0));
        tree.sent(ReplicaId(0));
        found
    };
    prompts.iter().map(&mut look).unzip()
}

/// Tokens of each prompt that a provider's cache reads.
fn provider(prompts: &[Content], rule: CacheRule) -> Vec<u32> {
    let mut cache = PromptCache::new(rule);
    prompts.iter().map(|p| cache.touch(p, SimTime::ZERO).read).collect()
}

fn every_cache_says_the_same(name: &str, entries: &[Entry]) {
    let prompts: Vec<Content> = entries.iter().map(|e| Content::from(e.prompt().collect::<Vec<_>>())).collect();
    let shared = shared(&prompts);
    let in_blocks = |block: u32| -> Vec<u32> {
        shared.iter().zip(entries).map(|(s, e)| served_prefix(*s, e.prompt_tokens, block)).collect()
    };
    for block in [1, 5, BLOCK_TOKENS] {
        let right = in_blocks(block);
        assert_eq!(pool::<BlockPool>(&prompts, block), right, "{name}: the reference pool, blocks of {block}");
        assert_eq!(pool::<SpanPool>(&prompts, block), right, "{name}: the fast pool, blocks of {block}");
        let (blocks, tree) = routers(&prompts, block);
        let whole: Vec<u32> = shared.iter().map(|s| s / block * block).collect();
        assert_eq!(blocks, whole, "{name}: an index of blocks of {block}");
        assert_eq!(tree, shared, "{name}: an index that is a tree");
        let total: u64 = entries.iter().map(|e| u64::from(e.prompt_tokens)).sum();
        let share = right.iter().map(|s| u64::from(*s)).sum::<u64>() as f64 / total as f64;
        let held = || Held::new(entries.to_vec(), Clock::Zero, "drawn", Vec::new());
        let named = entries.iter().any(|e| !e.content.is_empty()).then_some(share);
        let stats = TraceStats::of(&mut held(), block).expect("a trace");
        assert_eq!(stats.unlimited_hit_share(), named, "{name}: trace info, blocks of {block}");
        if block == BLOCK_TOKENS {
            assert_eq!(Figures::of(&mut held()).expect("a trace").hit_ratio, named, "{name}: trace compare");
        }
    }
    let rule =
        CacheRule { min_tokens: 32, kind: CacheKind::Steps(8), ttl: SimTime::from_secs(1), priced_writes: false };
    let read: Vec<u32> = shared.iter().map(|s| rule.hit(*s)).collect();
    assert_eq!(provider(&prompts, rule), read, "{name}: a provider's prompt cache");
    for ((prompt, entry), shared) in prompts.iter().zip(entries).zip(&shared) {
        let most = prompt.shareable_tokens(entry.id);
        assert!(*shared <= most, "{name}: request {} shares {shared} tokens, at most {most} were there", entry.id);
    }
}

#[test]
fn pools_statistics_routers_and_providers_have_the_same_of_every_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let (mut hits, options) = (0, SourceOptions::default());
    for seed in 0..TRACES {
        let mut luck = DrawKey::new(seed);
        let path = dir.path().join(format!("{seed}.jsonl"));
        std::fs::write(&path, draw_shared::trace(&mut luck, 90)).unwrap();
        let opened = open_trace(&path, None, &[], &options).unwrap();
        let file = collect(&mut *prepare(opened, &options)).unwrap();
        every_cache_says_the_same(&format!("file {seed}"), &file);
        let text = draw_shared::generator(&mut luck, 90, 400);
        let spec = GenerateSpec::parse(&text, "drawn").unwrap_or_else(|e| panic!("{e}\n{text}"));
        let drawn = collect(&mut Generator::new(&spec, &options).unwrap()).unwrap();
        every_cache_says_the_same(&format!("generator {seed}"), &drawn);
        let others = |e: &&Entry| e.content.iter().any(|r| r.id.brought_by().is_some());
        hits += file.iter().chain(&drawn).filter(others).count();
    }
    assert!(hits as u64 > 60 * TRACES, "only {hits} prompts name what others brought");
}

#[test]
fn two_prompts_that_leave_a_third_ones_text_in_one_block_hit_nothing() {
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/hits-need-equal-tokens/experiment.toml");
    let dir = tempfile::tempdir().unwrap();
    for pool in ["fast", "reference"] {
        let out = dir.path().join(pool);
        let args = ["--quiet", "--no-records", "--kv-pool", pool, "--out"];
        modes::binary().arg("run").arg(&experiment).args(args).arg(&out).assert().success();
        let summary: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
        let policy = &summary["policies"][0];
        assert_eq!(
            (policy["completed"].as_u64(), policy["cached_prompt_share"].as_f64()),
            (Some(2), Some(0.0)),
            "{pool}"
        );
    }
}
