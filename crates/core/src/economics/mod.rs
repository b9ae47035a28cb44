//! The bill: what a fleet, its API spend and its people cost a month, as exact lines.
//!
//! May import: types, catalog. Must keep true: `bill-exact`, a bill's total is the sum of its lines; a time-based
//! line is computed once from its total and rounded half to even; no float enters a line.
//! Read first: `bill.rs`. `work.rs` and `knapsack.rs` bound from below what any policy must pay;
//! `breakeven.rs` has what paper says of owning and buying.
mod bill;
mod breakeven;
mod knapsack;
mod work;

pub use bill::{
    Bill, BillLine, HOURS_PER_MONTH, LineKind, MONTH, api_line, gpu_line, on_call_line, people_line, provisioned_line,
    rented_line, usd_per_million,
};
pub use breakeven::{ConstantLoad, FleetRates, Gap, OwnBill, OwnWork};
pub use knapsack::Knapsack;
pub use work::{WorkFloor, token_ranges};
