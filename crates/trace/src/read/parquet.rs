//! Our own schema as Parquet. Whoever knows files reads its rows (`frames/trace_read.rs`): this package knows no Parquet.
use crate::head::Head;
use crate::registry::{Carries, Format};

/// Row of this program's Parquet in the registry of readers.
pub const FORMAT: Format = Format {
    name: "baseload-parquet",
    looks_like: "Parquet with prompt_tokens, output_tokens",
    carries: Carries::ALL_BUT_COST,
    recognises: is_parquet,
    open: |trace| trace.files.table(None, trace.classes),
    ..Format::PLAIN
};

/// Whether a file is Parquet, of whatever columns.
pub(super) fn is_parquet(head: &Head<'_>) -> bool {
    head.starts_with(b"PAR1")
}
