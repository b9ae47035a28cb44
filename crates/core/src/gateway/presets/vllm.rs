//! vLLM's internal balancer over data-parallel engines.
use super::{Empty, Keeps, Preset, Table, by, scrape};
use crate::gateway::parts::{MinCostSection, Parts, PickerSection, TiesSection};

fn data_parallel(_: &Empty) -> Parts {
    let min_cost = MinCostSection { temperature: 0.0, ties: TiesSection::Rotate };
    Parts { scrape: scrape("100ms"), ..by("vllm_dp", PickerSection::MinCost(min_cost)) }
}

pub const PRESETS: &[Preset] = &[Preset {
    name: "vllm_dp",
    title: "the engine with the fewest waiting and running requests, waiting dearer where KV is full",
    source: "vLLM 0.33, v1/engine/core_client.py, spec/vllm.md 1.14 (source read November 2026); one client",
    sees: "engine stats of 100 ms, requests sent since counted as waiting",
    keeps: Keeps::All,
    example: "",
    section: &Table(data_parallel),
}];
