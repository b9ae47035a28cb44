//! What every balancer has: turns, chance, fewest requests, hashing.
use super::{Keeps, Preset, Table, by, rule, weights};
use crate::gateway::parts::{Parts, PickerSection, RuleSection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table without keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

const COUNTS: &str = "its own counts, exact";

fn no_scores(picker: PickerSection) -> Parts {
    Parts { picker: Some(picker), ..Parts::default() }
}
fn session_hash(_: &Empty) -> Parts {
    let own =
        RuleSection { when: Some("request.has_session".into()), scorers: weights(&[("session", 1.0)]), ..rule("own") };
    Parts { rules: vec![own], ..by("outstanding", PickerSection::Max) }
}

pub const PRESETS: &[Preset] = &[
    Preset {
        name: "round_robin",
        title: "own replicas in turn",
        source: "every balancer",
        sees: "nothing",
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| no_scores(PickerSection::RoundRobin)),
    },
    Preset {
        name: "random",
        title: "an own replica by chance",
        source: "every balancer; SGLang `random`",
        sees: "nothing",
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| no_scores(PickerSection::Random)),
    },
    Preset {
        name: "least_outstanding",
        title: "the own replica with the fewest requests under way",
        source: "every balancer; the default of this program",
        sees: COUNTS,
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| by("outstanding", PickerSection::Max)),
    },
    Preset {
        name: "power_of_two",
        title: "of two own replicas by chance the one with fewer requests under way",
        source: "SGLang `power_of_two`, spec/routers.md 3.1 (sources read November 2026); by counts, where SGLang takes token \
                 usage if both workers report it",
        sees: COUNTS,
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| by("outstanding", PickerSection::PowerOfTwo)),
    },
    Preset {
        name: "session_hash",
        title: "a session stays on its place of a hash ring; others go to the fewest requests",
        source: "consistent hashing, 160 points a replica",
        sees: COUNTS,
        keeps: Keeps::All,
        example: "",
        section: &Table(session_hash),
    },
    Preset {
        name: "least_kv",
        title: "the own replica with the lowest KV use",
        source: "AIBrix `least-kv-cache`, spec/routers.md 3.5 (sources read November 2026)",
        sees: "KV use, as old as [gateway].scrape",
        keeps: Keeps::All,
        example: "",
        section: &Table::<Empty>(|_| by("kv_use", PickerSection::Max)),
    },
    Preset {
        name: "api_only",
        title: "no replicas at all: the cheapest allowed endpoint",
        source: "the comparison that every hybrid must win",
        sees: "prices, exact",
        keeps: Keeps::NoReplicas,
        example: "",
        section: &Table::<Empty>(|_| Parts { rules: vec![rule("cheapest")], ..Parts::default() }),
    },
    Preset {
        name: "self_hosted_only",
        title: "no endpoints at all: the fewest requests under way",
        source: "the comparison that every hybrid must win",
        sees: COUNTS,
        keeps: Keeps::NoEndpoints,
        example: "",
        section: &Table::<Empty>(|_| by("outstanding", PickerSection::Max)),
    },
];
