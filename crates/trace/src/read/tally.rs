//! What readers leave out and pass over, counted by reason and by name: the same rules for every format.
use crate::shown::shown;
use crate::unopened::Strictness;
use baseload_core::types::{Account, LeftOut, Rest, TraceFault, UnknownField};

/// Reasons that are told apart; those behind them are counted together.
const REASONS: usize = 64;
/// Names of fields that are told apart.
const FIELDS: usize = 256;

/// The reason of rows that cannot be understood.
pub(super) const UNREADABLE: &str = "not readable";
/// The reason of rows without a prompt.
pub(super) const NO_PROMPT: &str = "no prompt tokens";
/// The reason of failed calls that no tokens are known of.
pub(super) const FAILED: &str = "failed without tokens";

/// Counts of a reader.
#[derive(Default)]
pub(super) struct Tally {
    strictness: Strictness,
    rows: u64,
    left: Vec<LeftOut>,
    unknown: Vec<UnknownField>,
    /// The first row that could not be read.
    first: Option<TraceFault>,
    /// A row that was left out where none may be.
    refused: Option<TraceFault>,
}

impl Tally {
    pub(super) fn new(strictness: Strictness) -> Tally {
        Tally { strictness, ..Tally::default() }
    }

    /// Counts a line, if it is a row.
    pub(super) fn row(&mut self, is_row: bool) {
        self.rows += u64::from(is_row);
    }

    /// Takes back a row that was counted: it only wraps others.
    pub(super) fn uncount(&mut self) {
        self.rows -= 1;
    }

    /// Whether any row could not be read.
    pub(super) fn any_faulty(&self) -> bool {
        self.first.is_some()
    }

    /// Whether rows without a prompt are left out; else they are faults.
    pub(super) fn leaves_out(&self) -> bool {
        self.strictness != Strictness::Faults
    }

    /// Counts what stands on `line` as left out.
    pub(super) fn leave_out(&mut self, reason: &str, line: u64) {
        self.count(reason, line, None);
    }

    fn count(&mut self, reason: &str, line: u64, first: Option<String>) {
        if self.strictness == Strictness::Refuse && self.refused.is_none() {
            let what = TraceFault::new(format!("it would be left out: {}", first.as_deref().unwrap_or(reason)));
            self.refused = Some(what.hint("without --strict it is left out and counted").on_line(line));
        }
        let full = self.left.len() >= REASONS;
        match self.left.iter_mut().find(|l| l.reason == reason) {
            Some(known) => known.count += 1,
            None if full => match self.left.last_mut() {
                Some(last) => {
                    last.reason = "other reasons".into();
                    last.count += 1;
                }
                None => unreachable!("left-out: a full list has a last one"),
            },
            None => self.left.push(LeftOut { reason: reason.into(), count: 1, first_line: line, first }),
        }
    }

    /// Takes note of a row that cannot be read: it is left out, or the fault comes back where that must be.
    ///
    /// # Errors
    /// The fault, where rows that cannot be read are faults, or where nothing behind it can be read either.
    pub(super) fn faulty(&mut self, fault: TraceFault, line: u64) -> Result<(), TraceFault> {
        if self.strictness != Strictness::LeaveOut || fault.rest != Rest::MayRead {
            return Err(fault);
        }
        let what = TraceFault { file: String::new(), line: None, hint: None, ..fault.clone() };
        self.first.get_or_insert(fault);
        self.count(UNREADABLE, line, Some(shown(&what.to_string())));
        Ok(())
    }

    /// Counts a field that nobody knows.
    pub(super) fn unknown(&mut self, name: &str) {
        let full = self.unknown.len() >= FIELDS;
        match self.unknown.iter_mut().find(|f| f.name == name) {
            Some(known) => known.count += 1,
            None if !full => {
                self.unknown.push(UnknownField { name: name.into(), count: 1 });
            }
            None => {}
        }
    }

    /// The row that was left out where none may be, as a fault.
    ///
    /// # Errors
    /// That fault.
    pub(super) fn refusal(&mut self) -> Result<(), TraceFault> {
        self.refused.take().map_or(Ok(()), Err)
    }

    /// Why a trace that ended has no request.
    pub(super) fn nothing(&mut self) -> TraceFault {
        if let Some(first) = self.first.take() {
            return first;
        }
        let none = TraceFault::no_requests();
        let what = [vec![none.what.clone()], self.account().notes()].concat().join("; ");
        TraceFault { what, ..none }
    }

    /// What is left out and unknown so far; names are shown as people may see them.
    pub(super) fn account(&self) -> Account {
        let field = |f: &UnknownField| UnknownField { name: shown(&f.name), count: f.count };
        let left_out = self.left.iter().map(|l| LeftOut { reason: shown(&l.reason), ..l.clone() }).collect();
        let unknown_fields = self.unknown.iter().map(field).collect();
        Account { rows: self.rows, left_out, unknown_fields, ..Account::default() }
    }
}
