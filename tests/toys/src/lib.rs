//! An embedder's program: Baseload with an engine, a preset and a trace reader of its own. Each is a file beside this one (its
//! `mod` is how Rust finds it) and one line of [`settings`]; no file of Baseload knows of them. `tests/it/touches.rs` counts
//! that, and holds ARCHITECTURE.md's table to it.
use baseload::engine::Engines;
use baseload::experiment::Settings;
use baseload::gateway::Presets;
use baseload::trace::Readers;

mod toy_engine;
mod toy_preset;
mod toy_reader;

/// What experiments of this program may name: all that Baseload has, and the toys.
pub fn settings() -> Settings {
    Settings {
        engines: Engines::embedded().with(toy_engine::ROW),
        presets: Presets::embedded().with(toy_preset::PRESET),
        readers: Readers::embedded().with(toy_reader::FORMAT),
        ..Settings::default()
    }
}
