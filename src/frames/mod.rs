//! Tables out and in, as Parquet: records and series out, traces in and out, kernel tables in. The only room that names
//! polars, of which only `sql.rs` (feature `sql`) needs more than the Arrow and Parquet crates.
//!
//! May import `types`. Its surface has our own types only. Read first: `table_read.rs` and `table_write.rs`, which the
//! others are made of.
//! Must keep true: row groups of exactly 131,072 rows, so that the same values repeat byte for byte; bytes that no file
//! should have are a message, never a panic.
mod column_lists;
mod column_read;
mod column_times;
#[cfg(test)]
mod foreign_tests;
mod guard;
mod kernels;
mod records;
#[cfg(feature = "sql")]
mod sql;
mod table_read;
mod table_write;
mod trace_group;
mod trace_plan;
mod trace_read;
mod trace_write;

pub use column_read::{ReadColumn, Whole, Wrong};
pub use guard::quiet_readers;
pub use kernels::{KernelFile, KernelPart, KernelTime, KernelTimes, SIZES, read_kernels, sizes, texts};
pub use records::{Names, RecordWriter};
#[cfg(feature = "sql")]
pub use sql::{Answer, Cell, query};
pub use table_read::TableFile;
pub use table_write::{Column, Values, write_table};
pub use trace_read::TraceReader;
pub use trace_write::{NotWritten, TraceWriter, Width};

/// Rows of a row group.
pub const ROWS_PER_GROUP: usize = 131_072;
