//! The router of vLLM's production stack: by session, and by prefix.
use super::{Empty, Keeps, Preset, Table, by, rule, scrape, weights};
use crate::gateway::parts::{Parts, PickerSection, PrefixSection, RuleSection};

const SOURCE: &str =
    "vLLM production-stack, vllm_router/routers/routing_logic.py, spec/routers.md 3.2 (sources read November 2026)";

fn session(_: &Empty) -> Parts {
    let own =
        RuleSection { when: Some("request.has_session".into()), scorers: weights(&[("session", 1.0)]), ..rule("own") };
    Parts { rules: vec![own], scrape: scrape("30s"), ..by("rate", PickerSection::Max) }
}

/// Chunks of 128 characters are taken for 32 tokens. The original forgets nothing; here the last 2^20 chunks of a replica are
/// remembered, 33 million tokens, so that a long trace does not fill the host's memory.
fn prefix(_: &Empty) -> Parts {
    let prefix = Some(PrefixSection { tree: false, block_tokens: 32, blocks: 1 << 20, max_tokens: u32::MAX });
    Parts { prefix, scrape: scrape("30s"), ..by("prefix", PickerSection::MaxRandom) }
}

pub const PRESETS: &[Preset] = &[
    Preset {
        name: "production_stack_session",
        title: "a session stays on its place of a hash ring; others go where fewest were sent lately",
        source: SOURCE,
        sees: "its own rates over 60 s; engine stats of 30 s, which the rule does not read",
        keeps: Keeps::All,
        example: "",
        section: &Table(session),
    },
    Preset {
        name: "production_stack_prefix",
        title: "by chance among the own replicas that were sent the most of the prompt",
        source: SOURCE,
        sees: "what it sent where, the last 2^20 chunks of a replica, where the original forgets nothing; engine stats of 30 s, which the \
               rule does not read",
        keeps: Keeps::All,
        example: "",
        section: &Table(prefix),
    },
];
