//! Logs: files whose rows are calls of a model among other things, in any order. Holds all of their requests.
//!
//! What every log shares stands here: rows are JSON or CSV, sorted by their start, counted by the reason for which they are
//! no request, told apart by their key; names of tenants and sessions become numbers.
use super::csv;
use super::items::{Items, without_bare_words};
use super::parse::{Names, checked, zero_outputs};
use super::record::Record;
use super::tally::{FAILED, NO_PROMPT, Tally};
use crate::shown::shown;
use crate::unopened::{Strictness, Unopened};
use baseload_core::types::{
    Account, Clock, Entries, Entry, ModelUse, NO_SESSION, Rest, Status, TraceFault, Usd, source_cost,
};
use rustc_hash::{FxHashMap, FxHashSet};

/// Understands the rows of one log. Errors are `what is wrong; what would be right`.
pub(super) trait Log: Send {
    /// Takes a row that is JSON.
    ///
    /// # Errors
    /// What is wrong with the row; its place is added, and it is left out.
    fn text(&mut self, text: &str, calls: &mut Calls) -> Result<(), TraceFault> {
        let row = Record::json(text, self.skipped())?;
        self.known_row(&row, calls)
    }
    /// Takes a row.
    ///
    /// # Errors
    /// What is wrong with the row; its place is added, and it is left out.
    fn row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault>;
    /// Whether it knows a field of a row.
    fn knows(&self, _field: &str) -> bool {
        true
    }
    /// Fields that are never looked at.
    fn skipped(&self) -> &'static [&'static str] {
        &[]
    }
    /// What times count from, once all rows were taken.
    fn clock(&self) -> Clock {
        Clock::Common
    }
    /// Whether a session of one request is none: the source gives every call a session.
    fn lone_sessions(&self) -> bool {
        true
    }
    /// All rows were taken: what is left to push. `beside` is what stands beside wrapped lists.
    ///
    /// # Errors
    /// What makes the whole file useless.
    fn end(&mut self, _beside: &[(String, String)], _calls: &mut Calls) -> Result<(), TraceFault> {
        Ok(())
    }
    /// What people should know, beside what is counted for all logs.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
    /// Takes a row and counts the fields that it does not know.
    ///
    /// # Errors
    /// As [`Log::row`].
    fn known_row(&mut self, row: &Record, calls: &mut Calls) -> Result<(), TraceFault> {
        row.names().filter(|name| !self.knows(name)).for_each(|name| calls.tally.unknown(name));
        self.row(row, calls)
    }
}

/// The calls of a log so far.
#[derive(Default)]
pub(super) struct Calls {
    entries: Vec<Entry>,
    pub(super) tally: Tally,
    tenants: Names,
    sessions: Names,
    models: FxHashMap<Box<str>, Spent>,
    keys: FxHashSet<Box<str>>,
    /// Line of the row that is being read.
    line: u64,
    unzoned: bool,
    /// Requests whose source counts cached tokens apart from the prompt.
    apart: u64,
    failed: u64,
    empty: u64,
    /// Requests that start before one further up, and whether each starts before the one above it.
    late: (u64, bool),
}

/// What a model was used for.
#[derive(Default)]
struct Spent {
    requests: u64,
    prompt: u64,
    output: u64,
    cost: Option<Usd>,
}

impl Calls {
    /// Leaves out the row that is being read.
    pub(super) fn leave_out(&mut self, reason: &str) {
        self.tally.leave_out(reason, self.line);
    }

    /// Leaves out what stands on a line further up.
    pub(super) fn leave_out_at(&mut self, reason: &str, line: u64) {
        self.tally.leave_out(reason, line);
    }

    /// The line of the row that is being read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The number that the next request will have.
    pub(super) fn next_id(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether no request so far is of a session of this name.
    pub(super) fn is_new_session(&self, name: &str) -> bool {
        !self.sessions.has(name)
    }

    /// Whether a row of this key came before; leaves this one out if so.
    pub(super) fn again(&mut self, key: &str, name: &str) -> bool {
        let again = !self.keys.insert(key.into());
        if again {
            self.leave_out(&format!("same {name} again"));
        }
        again
    }

    /// An instant of a row.
    ///
    /// # Errors
    /// What is no ISO 8601.
    pub(super) fn instant(&mut self, row: &Record, name: &str) -> Result<Option<i64>, TraceFault> {
        let at = row.instant(name)?;
        self.unzoned |= at.is_some_and(|(_, zoned)| !zoned);
        Ok(at.map(|at| at.0))
    }

    /// An instant that each call must have.
    ///
    /// # Errors
    /// One that has none.
    pub(super) fn needed_instant(&mut self, row: &Record, name: &str) -> Result<i64, TraceFault> {
        self.instant(row, name)?.ok_or_else(|| format!("{name} is not there; a call must have one").into())
    }

    /// Whether a call has tokens enough to be a request; else it is left out. Of a failed call the answer is not needed.
    pub(super) fn has_tokens(&mut self, prompt: Option<u32>, failed: bool) -> bool {
        let any = prompt.is_some_and(|n| n > 0);
        if !any {
            self.leave_out(if failed { FAILED } else { NO_PROMPT });
        }
        any
    }

    /// Prompt tokens with cached ones: where read and written ones are more than the prompt, the source counts them apart.
    ///
    /// # Errors
    /// A sum over 2^32.
    pub(super) fn whole_prompt(
        &mut self,
        prompt: u32,
        read: Option<u32>,
        written: Option<u32>,
    ) -> Result<u32, TraceFault> {
        let (read, written) = (u64::from(read.unwrap_or(0)), u64::from(written.unwrap_or(0)));
        if read + written <= u64::from(prompt) {
            return Ok(prompt);
        }
        self.apart += 1;
        u32::try_from(u64::from(prompt) + read + written).map_err(|_| "its prompt is over 2^32 tokens".into())
    }

    /// Adds a request, with the names that the source gives its tenant, its session and its model, and what it cost, US$.
    ///
    /// # Errors
    /// What no request can be.
    pub(super) fn push(&mut self, mut entry: Entry, of: &Of) -> Result<(), TraceFault> {
        checked(&entry)?;
        if let Some(name) = &of.tenant {
            let tenant = u32::try_from(self.tenants.number(name) + 1);
            entry.tenant = tenant.map_err(|_| "over 2^32 tenants; no more fit")?;
        }
        if let Some(name) = &of.session {
            entry.session = self.sessions.number(name);
        }
        if of.model.is_some() || of.cost_usd.is_some() {
            let model = of.model.as_deref().unwrap_or("(not named)");
            if !self.models.contains_key(model) {
                self.models.insert(model.into(), Spent::default());
            }
            if let Some(spent) = self.models.get_mut(model) {
                spent.requests += 1;
                spent.prompt += u64::from(entry.prompt_tokens);
                spent.output += u64::from(entry.output_tokens);
                if let Some(cost) = of.cost_usd.and_then(source_cost) {
                    spent.cost = Some(Usd(spent.cost.map_or(0, |c| c.0) + cost.0));
                }
            }
        }
        self.failed += u64::from(entry.measured.status == Status::Failed);
        self.empty += u64::from(entry.output_tokens == 0 && entry.measured.status != Status::Failed);
        entry.id = self.next_id();
        self.entries.push(entry);
        Ok(())
    }

    /// Puts requests in order of their start.
    fn sort(&mut self) {
        let mut latest = i64::MIN;
        let late = self.entries.iter().filter(|e| {
            latest = latest.max(e.at_ns);
            e.at_ns < latest
        });
        let late = late.count() as u64;
        self.late = (late, late > 0 && late + 1 == self.entries.len() as u64);
        self.entries.sort_by_key(|e| e.at_ns);
    }

    /// Takes the sessions of one request away.
    fn drop_lone_sessions(&mut self) {
        let mut requests: FxHashMap<u64, u64> = FxHashMap::default();
        self.entries.iter().for_each(|e| *requests.entry(e.session).or_default() += 1);
        let names = self.sessions.list();
        let mut kept = Names::default();
        for entry in self.entries.iter_mut().filter(|e| e.session != NO_SESSION) {
            let lone = requests.get(&entry.session).is_none_or(|n| *n < 2);
            let name = names.get(entry.session as usize).filter(|_| !lone);
            entry.session = name.map_or(NO_SESSION, |name| kept.number(name));
        }
        self.sessions = kept;
    }

    fn account(&self) -> Account {
        let mut models: Vec<ModelUse> = self
            .models
            .iter()
            .map(|(model, spent)| ModelUse {
                model: shown(model),
                requests: spent.requests,
                prompt_tokens: spent.prompt,
                output_tokens: spent.output,
                cost_usd: spent.cost.map(Usd::as_f64),
            })
            .collect();
        models.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.model.cmp(&b.model)));
        Account { tenants: self.tenants.list(), sessions: self.sessions.list(), models, ..self.tally.account() }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.account().notes();
        let mut say = |count: u64, what: &str| notes.extend((count > 0).then(|| format!("{count} {what}")));
        say(self.apart, "requests count cached tokens apart: their prompt is input + read + written");
        say(self.failed, "requests failed in the source and are marked so");
        say(self.tenants.len(), "tenants are numbered from 1 in order of first appearance");
        match self.late {
            (0, _) => {}
            (_, true) => notes.push("the file is newest first: sorted".into()),
            (n, false) => notes.push(format!("{n} requests were out of order: sorted")),
        }
        notes.extend(self.unzoned.then(|| "times without a zone are taken as UTC".to_string()));
        notes.extend(zero_outputs(self.empty));
        notes
    }
}

/// What the source calls what a request belongs to.
#[derive(Default)]
pub(super) struct Of {
    pub(super) tenant: Option<String>,
    pub(super) session: Option<String>,
    pub(super) model: Option<String>,
    pub(super) cost_usd: Option<f64>,
}

/// Opens a log.
///
/// # Errors
/// What is no text.
pub(super) fn log(mut trace: Unopened<'_>, log: impl Log + 'static) -> Result<Box<dyn Entries>, TraceFault> {
    let table = (!trace.head.is_json()).then(Table::default);
    let items = Items::open(&mut trace)?;
    let calls = Calls { tally: Tally::new(trace.strictness), ..Calls::default() };
    let (ready, account) = (Vec::new().into_iter(), Account::default());
    let mut reader = LogReader { items, table, log: Box::new(log), calls, ready, read: false, account };
    // Whether its calls have times is known behind the last. Whoever collects faults is given one after the other.
    if trace.strictness != Strictness::Faults {
        reader.read()?;
    }
    Ok(Box::new(reader))
}

/// A CSV's columns, and a row of it.
#[derive(Default)]
struct Table {
    columns: Vec<String>,
    splitter: csv::Splitter,
    fields: csv::Fields,
}

/// The requests of a log.
struct LogReader {
    items: Items,
    table: Option<Table>,
    log: Box<dyn Log>,
    calls: Calls,
    ready: std::vec::IntoIter<Entry>,
    read: bool,
    account: Account,
}

impl LogReader {
    /// Understands the item last read.
    fn understand(&mut self) -> Result<(), TraceFault> {
        let Some(table) = &mut self.table else {
            let made = self.log.text(self.items.text(), &mut self.calls);
            return match without_bare_words(self.items.text()) {
                Some(text) if made.is_err() => self.log.text(&text, &mut self.calls),
                _ => made,
            };
        };
        table.splitter.split(self.items.text(), &mut table.fields)?;
        if table.columns.is_empty() {
            table.columns = table.fields.iter().map(str::to_owned).collect();
            let twice = table.columns.iter().enumerate().find(|(i, name)| table.columns[..*i].contains(name));
            return match twice {
                Some((_, name)) => Err(format!("column `{name}` stands twice; it may stand once").into()),
                None => Ok(()),
            };
        }
        csv::fits(table.fields.count(), table.columns.len())?;
        let row = Record::csv(table.columns.iter().map(String::as_str).zip(table.fields.iter()));
        self.log.known_row(&row, &mut self.calls)
    }

    /// Reads all items.
    fn read(&mut self) -> Result<(), TraceFault> {
        let quoted = self.table.is_some();
        loop {
            let header = self.table.as_ref().is_some_and(|t| t.columns.is_empty());
            let more = match self.items.advance(quoted) {
                Ok(more) => more,
                Err(fault) if fault.rest == Rest::MayRead && !header => {
                    self.calls.tally.row(true);
                    self.calls.tally.faulty(fault, self.items.line())?;
                    continue;
                }
                // How much is lost behind it nobody knows.
                Err(fault) => return Err(fault),
            };
            if !more {
                break;
            }
            self.calls.line = self.items.line();
            self.calls.tally.row(!header);
            match self.understand() {
                Ok(()) => {}
                Err(fault) if header => return Err(self.items.fault(fault)),
                Err(fault) => self.calls.tally.faulty(self.items.fault(fault), self.items.line())?,
            }
            self.calls.tally.refusal().map_err(|fault| self.items.fault(fault))?;
        }
        self.read = true;
        let ended = self.log.end(self.items.beside(), &mut self.calls);
        ended.and_then(|()| self.calls.tally.refusal()).map_err(|fault| self.items.fault(fault))?;
        if self.calls.entries.is_empty() {
            return Err(self.items.fault(self.calls.tally.nothing()));
        }
        if self.log.clock() == Clock::Common {
            self.calls.sort();
        }
        if !self.log.lone_sessions() {
            self.calls.drop_lone_sessions();
        }
        self.account = self.calls.account();
        self.ready = std::mem::take(&mut self.calls.entries).into_iter();
        Ok(())
    }
}

impl Entries for LogReader {
    fn next(&mut self, entry: &mut Entry) -> Result<bool, TraceFault> {
        if !self.read {
            self.read()?;
        }
        Ok(entry.become_next(self.ready.next()))
    }
    fn clock(&self) -> Clock {
        self.log.clock()
    }
    fn place(&self) -> String {
        self.items.place()
    }
    fn account(&self) -> Account {
        self.account.clone()
    }
    fn notes(&self) -> Vec<String> {
        let mut notes = self.calls.notes();
        notes.extend(self.log.notes());
        notes
    }
}

/// Time from one instant to a later one, ns; `None` where it is earlier.
pub(super) fn since(from_ns: i64, to_ns: i64) -> Option<u64> {
    u64::try_from(i128::from(to_ns) - i128::from(from_ns)).ok()
}
