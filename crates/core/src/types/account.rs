//! What a reader says of a trace beside its entries: what it left out and why, fields that it does not know, the names
//! behind its numbers, and what the source used each model for.
use super::Usd;
use super::numbers::thousands;
use serde::Serialize;

/// Rows (or spans, items) that are no entries, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The line of the first, from 1.
    pub first_line: u64,
    /// What is wrong with the first, where the reason does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// A field that the reader does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownField {
    /// Its name.
    pub name: String,
    /// Rows that have it.
    pub count: u64,
}

/// What the source used a model for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelUse {
    /// Its name there.
    pub model: String,
    /// Requests that are entries.
    pub requests: u64,
    /// Their prompt tokens.
    pub prompt_tokens: u64,
    /// Their output tokens.
    pub output_tokens: u64,
    /// What the source says that they cost, US$; `None` where it says it of none.
    pub cost_usd: Option<f64>,
}

/// What a reader says of a trace beside its entries.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Account {
    /// Rows (or spans, items) in all; 0 where the reader does not count them.
    pub rows: u64,
    /// What is no entry, by reason, in order of first appearance.
    pub left_out: Vec<LeftOut>,
    /// Fields that were passed over because nobody knows them, in order of first appearance.
    pub unknown_fields: Vec<UnknownField>,
    /// Names of tenants: that of number 1 first.
    pub tenants: Vec<String>,
    /// Names of sessions: that of number 0 first. Not written: there may be as many as requests.
    #[serde(skip)]
    pub sessions: Vec<String>,
    /// What each model was used for, the one with most requests first.
    pub models: Vec<ModelUse>,
}

/// Reasons and fields that a sentence names.
const NAMED: usize = 12;

impl Account {
    /// Rows that are no entries.
    pub fn rows_left_out(&self) -> u64 {
        self.left_out.iter().map(|l| l.count).sum()
    }

    /// What people should know of it, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let more = |n: usize| if n > NAMED { format!(", and {} more", n - NAMED) } else { String::new() };
        let mut notes = Vec::new();
        if !self.left_out.is_empty() {
            let of = if self.rows > 0 { format!(" of {}", thousands(self.rows)) } else { String::new() };
            let one = |l: &LeftOut| {
                let first = l.first.as_ref().map_or_else(String::new, |what| format!(": {what}"));
                format!("{} {} (first on line {}{first})", thousands(l.count), l.reason, l.first_line)
            };
            let reasons: Vec<String> = self.left_out.iter().take(NAMED).map(one).collect();
            let more = more(self.left_out.len());
            notes.push(format!("left out {}{of}: {}{more}", thousands(self.rows_left_out()), reasons.join(", ")));
        }
        if !self.unknown_fields.is_empty() {
            let one = |f: &UnknownField| format!("{} ({})", f.name, thousands(f.count));
            let names: Vec<String> = self.unknown_fields.iter().take(NAMED).map(one).collect();
            let more = more(self.unknown_fields.len());
            notes.push(format!("fields that are not known are passed over: {}{more}", names.join(", ")));
        }
        notes
    }

    /// What the source says that all of it cost, US$; `None` where it does not say.
    pub fn cost_usd(&self) -> Option<f64> {
        self.models.iter().filter_map(|m| m.cost_usd).reduce(|a, b| a + b)
    }
}

/// An amount that a source wrote as a number, to the nearest pico-dollar; `None` where it is none.
pub fn source_cost(usd: f64) -> Option<Usd> {
    let pico = (usd * 1e12).round();
    (pico.is_finite() && pico.abs() < 1e30).then_some(Usd(pico as i128))
}
