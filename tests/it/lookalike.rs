//! The specifications in `traces/` against the published traces that they were fitted to.
use baseload::experiment::open_trace;
use baseload::trace::{Figures, Limits, SourceOptions, prepare, rows};
use std::path::{Path, PathBuf};

const FITTED: [(&str, &str); 7] = [
    ("azure-conv-2023", "AzureLLMInferenceTrace_conv.csv"),
    ("mooncake-conversation", "mooncake_conversation_trace.jsonl"),
    ("servegen-deepseek-r1", "servegen/deepseek-r1"),
    ("claude-code", "claude_code_sessions.jsonl.gz"),
    ("lmcache-magagent", "lmcache_agent_magagent.jsonl.gz"),
    ("lmcache-miniswe", "lmcache_agent_miniswe.jsonl.gz"),
    ("lmcache-taubench", "lmcache_agent_taubench.jsonl.gz"),
];

fn figures(path: &Path, seed: u64) -> Figures {
    let options = SourceOptions { seed, ..SourceOptions::default() };
    let opened = open_trace(path, None, &[], &options).unwrap();
    Figures::of(&mut *prepare(opened, &options)).unwrap()
}

#[test]
fn shipped_specifications_look_like_what_they_were_fitted_to() {
    let Some(data) = std::env::var_os("BASELOAD_DATA") else {
        println!("skipped: BASELOAD_DATA unset, shipped specifications are not compared with published traces");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut off = Vec::new();
    for (spec, trace) in FITTED {
        let original = figures(&PathBuf::from(&data).join("traces").join(trace), 1);
        // Another seed than the one that it was fitted with: the specification holds, not one draw of it.
        let generated = figures(&root.join(format!("traces/{spec}.toml")), 2);
        for row in rows(&original, &generated, &Limits::default()) {
            if !row.holds() {
                off.push(format!("{spec}: {}: {:?} became {:?}", row.name, row.a, row.b));
            }
        }
    }
    assert!(off.is_empty(), "fit-holds: a shipped specification must look like its trace:\n{}", off.join("\n"));
}
