//! Reports of a summary: terminal, Markdown and HTML. `summary.json` is the summary itself.
//!
//! May import: types, trace, experiment, calibrate. Must keep true: the same summary gives the same bytes; what is shown and what is
//! marked best is decided once, in `table.rs`; text is laid out in `sheet.rs` alone, pages in `page.rs`; the terminal never
//! needs more than 80 columns; HTML needs no network.
//! Read first: `table.rs`.
mod breakeven;
mod breakeven_chart;
mod breakeven_page;
mod chart_list;
mod charts;
mod gate;
mod html;
mod markdown;
mod markup;
mod page;
mod prose;
mod sheet;
mod spark;
mod style;
mod table;
mod terminal;
mod timeline;
mod trace_page;
mod validation;
mod why;

pub use breakeven::breakeven_terminal;
pub use breakeven_page::breakeven_page;
pub use gate::gate_markdown;
pub use html::html;
pub use markdown::markdown;
pub use markup::markdown_prose;
pub use prose::{WIDTH, wrapped};
pub use sheet::{Sheet, WIDE};
pub use spark::sparkline;
pub use table::{Cell, Column, Table, Tables, tables};
pub use terminal::{terminal, warnings};
pub use timeline::timeline;
pub use trace_page::trace_page;
pub use validation::validation_page;

#[cfg(test)]
mod sample;
