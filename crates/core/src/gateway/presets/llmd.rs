//! llm-d's endpoint picker with its default profile, and its saturation detector as legacy admission uses it.
use super::{Empty, Keeps, Preset, Table, rule, scrape, weights};
use crate::gateway::parts::{Parts, PickerSection, PrefixSection, RuleSection, SaturationSection};

fn default_profile(_: &Empty) -> Parts {
    let shed = RuleSection {
        // llm-d sheds priorities below 0; here lower is more urgent, so it is those above 0.
        when: Some("request.priority > 0".into()),
        saturation: Some(SaturationSection::default()),
        ..rule("reject")
    };
    Parts {
        rules: vec![shed],
        scorers: weights(&[("queue", 2.0), ("kv_use", 2.0), ("prefix", 3.0)]),
        picker: Some(PickerSection::MaxRandom),
        prefix: Some(PrefixSection::default()),
        scrape: scrape("200ms"),
        ..Parts::default()
    }
}

pub const PRESETS: &[Preset] = &[Preset {
    name: "llmd_default",
    title: "queue, KV use and prefix weighted 2 : 2 : 3; sheds priorities over 0 when saturated",
    source: "llm-d router / Gateway API inference extension, pkg/epp, spec/routers.md 3.3 (sources read November 2026)",
    sees: "queue and KV use of 200 ms, the oldest that its detector trusts; what it sent where",
    keeps: Keeps::All,
    example: "",
    section: &Table(default_profile),
}];
