//! Files of a user's own, laid over the catalogue.
//!
//! Imports only `types`: whoever calls has read the files. Must keep true: all faults of all files come at once, each
//! with its key; a user's row stands in place of the catalogue's of the same name, and where it says something else that
//! is noted; two files never decide by their order what a name means.
use super::keys::{Keys, Partial};
use super::nearest;
use super::row::{Row, each_table};
use super::row_fault::sure;
use super::{Catalog, Gpu, Model, StepTimeRow};
use crate::types::{Fault, Faults, check, key};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A user's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogText<'a> {
    /// Name of the file, as messages show it.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a str,
}

/// What is wrong with one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogFault {
    /// Index of the file among those laid over the catalogue.
    pub file: usize,
    /// What; its key starts at the top of that file, such as `gpu[0].mem_bw_gbps`.
    pub fault: Fault,
}

/// A catalogue with a user's files laid over it.
#[derive(Debug, Clone)]
pub struct Laid {
    /// Rows of both, a user's in place of the embedded one with its name.
    pub catalog: Catalog,
    /// What people should know of their own rows: what they contradict, what they borrow.
    pub notes: Vec<String>,
}

/// Keys that say where a row is from and not what it says.
const ABOUT: [&str; 12] = [
    "date",
    "source",
    "note",
    "notes",
    "basis",
    "fitted",
    "error",
    "error_of",
    "data_sha256",
    "memory_total_source",
    "memory_total_estimated",
    "unverified",
];
/// What a GPU has from the one that it is like, unless it says it itself.
const LENT: [&str; 12] = [
    "bf16_tflops_dense",
    "fp8_tflops_dense",
    "fp4_tflops_dense",
    "int8_tops_dense",
    "scale_up_tech",
    "scale_up_gbps_unidirectional",
    "scale_up_domain_gpus",
    "pcie_gen",
    "pcie_gbps_unidirectional",
    "vendor",
    "compute_capability",
    "small_step_limits",
];
/// Differences of two rows that a note shows.
const SHOWN: usize = 3;

impl Catalog {
    /// This catalogue with `files` laid over it.
    ///
    /// # Errors
    /// All that is wrong with them: what is no TOML, tables and keys that there are not, keys that a row needs, values that
    /// make no sense, names that nobody has, a name that two files define differently.
    pub fn laid_over(&self, files: &[CatalogText<'_>]) -> Result<Laid, Vec<CatalogFault>> {
        if files.is_empty() {
            return Ok(Laid { catalog: self.clone(), notes: Vec::new() });
        }
        let mut laying = Laying {
            all: self.clone(),
            file: CatalogText { name: "", text: "" },
            number: 0,
            own: BTreeMap::new(),
            borrowed: Vec::new(),
            faults: Vec::new(),
            notes: Vec::new(),
            broken: Vec::new(),
        };
        for (number, file) in files.iter().enumerate() {
            (laying.file, laying.number) = (*file, number);
            laying.file();
        }
        laying.check_names();
        if laying.faults.is_empty() {
            laying.borrow_step_times();
            return Ok(Laid { catalog: laying.all, notes: laying.notes });
        }
        Err(laying.faults)
    }
}

/// Where a user's row stands.
#[derive(Clone)]
struct RowPlace {
    file: usize,
    index: usize,
    /// `FILE:LINE`.
    shown: String,
    /// Keys that could not be read, which have stand-ins.
    unread: Vec<String>,
    /// Whether nothing is wrong with it by itself.
    sound: bool,
}

/// A row with its place in the text.
type RowText<'a> = Spanned<DeValue<'a>>;
/// Tables of a file.
type Parsed<'a> = BTreeMap<String, Vec<RowText<'a>>>;
/// Keys of which names of rows are made: without one nobody knows which row it is.
const NAMED_BY: [&str; 12] =
    ["id", "provider", "model", "models", "gpu", "kind", "key", "service", "dtype", "tier", "model_class", "words"];

struct Laying<'a> {
    /// The catalogue with those that were laid so far.
    all: Catalog,
    file: CatalogText<'a>,
    number: usize,
    /// Rows that files have, by table and name.
    own: BTreeMap<(&'static str, String), RowPlace>,
    borrowed: Vec<Borrowed>,
    faults: Vec<CatalogFault>,
    notes: Vec<String>,
    /// Lines of the file that are no TOML.
    broken: Vec<usize>,
}

/// Step-time numbers of a GPU whose row does not have them.
struct Borrowed {
    /// `FILE:LINE` of its row.
    shown: String,
    gpu: String,
    /// Name of the GPU that the numbers are borrowed from.
    from: String,
    keys: Vec<&'static str>,
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

impl<'a> Laying<'a> {
    fn wrong(&mut self, fault: Fault) {
        self.faults.push(CatalogFault { file: self.number, fault });
    }

    fn file(&mut self) {
        let text = self.file.text;
        let (document, broken) = DeTable::parse_recoverable(text);
        let before = self.faults.len();
        self.broken.clear();
        for e in broken {
            let fault = Fault::new(e.message());
            self.broken.extend(e.span().map(|span| line_of(text, &span)));
            self.wrong(e.span().map_or(fault.clone(), |span| fault.within(span)));
        }
        let mut parsed = self.tables(document.get_ref());
        if parsed.is_empty() && self.faults.len() == before {
            self.wrong(Fault::new("no rows").hint("write each as one of a table, such as [[model]] or [[api_price]]"));
        }
        macro_rules! lay {
            ($type:ty) => {
                if let Some(rows) = parsed.remove(<$type>::TABLE) {
                    self.table::<$type>(&rows);
                }
            };
        }
        each_table!(lay);
    }

    /// The rows of each table that there is; whatever else stands in the file is a fault.
    fn tables(&mut self, document: &DeTable<'a>) -> Parsed<'a> {
        let mut known: Vec<&str> = Vec::new();
        macro_rules! name {
            ($type:ty) => {
                known.push(<$type>::TABLE);
            };
        }
        each_table!(name);
        let mut parsed = Parsed::new();
        for (name, value) in document {
            let name: &str = name.get_ref();
            if !known.contains(&name) {
                let hint = match nearest(name, &known) {
                    Some(near) => format!("did you mean [[{near}]]?"),
                    None => format!("there are {}", known.join(", ")),
                };
                self.wrong(Fault::at(name, "the catalogue has no such table").hint(hint));
                continue;
            }
            let rows = value.get_ref().as_array().filter(|all| all.iter().all(|row| row.get_ref().is_table()));
            match rows {
                Some(rows) => {
                    parsed.insert(name.to_owned(), rows.iter().cloned().collect());
                }
                None => {
                    self.wrong(Fault::at(name, "is no list of rows").hint(format!("head each row with [[{name}]]")))
                }
            }
        }
        parsed
    }

    fn table<T: Row>(&mut self, rows: &[RowText<'a>]) {
        let keys = Keys::of::<T>();
        let mut read: Vec<(T, RowPlace)> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let shown = format!("{}:{}", self.file.name, line_of(self.file.text, &row.span()));
            let mut place = RowPlace { file: self.number, index, shown, unread: Vec::new(), sound: true };
            let (row, faults) = self.row::<T>(row, &keys, &mut place);
            place.sound = faults.is_empty();
            faults.under(key![T::TABLE, index]).into_iter().for_each(|fault| self.wrong(fault));
            let is_named = !NAMED_BY.iter().any(|key| place.unread.iter().any(|lost| lost == key));
            read.extend(row.filter(|_| is_named).map(|row| (row, place)));
        }
        let sound = || read.iter().filter(|(_, place)| place.sound);
        let all: Vec<T> = sound().map(|(row, _)| row.clone()).collect();
        if let Err((at, fault)) = T::faults_together(&all) {
            let index = sound().nth(at).map_or(0, |(_, place)| place.index);
            self.wrong(fault.under(key![T::TABLE, index]));
            return;
        }
        while !read.is_empty() {
            let name = read[0].0.name();
            let (same, others): (Vec<_>, Vec<_>) = read.into_iter().partition(|(row, _)| row.name() == name);
            read = others;
            self.lay::<T>(name, &same);
        }
    }

    /// One row, filled in, as far as it can be read, and what is wrong with it by itself.
    fn row<T: Row>(&mut self, row: &RowText<'a>, keys: &Keys, place: &mut RowPlace) -> (Option<T>, Faults) {
        let mut faults = Faults::default();
        let table = toml::Table::deserialize(ValueDeserializer::from(row.clone()));
        let Some(mut table) = faults.take(table.map_err(|e| Fault::new(e.message()))) else { return (None, faults) };
        let torn = self.torn(row, &mut table);
        let borrowed = if T::TABLE == Gpu::TABLE { faults.take(self.like(&mut table)).flatten() } else { None };
        let wrote: Vec<String> = table.keys().cloned().collect();
        let Partial { value, faults: of_text, unread } = keys.read::<T>(table);
        // What a line that is no TOML may have said is not missing.
        let said =
            |f: &Fault| !torn || f.key.segments().first().is_some_and(|key| wrote.iter().any(|name| key.is(name)));
        faults.extend(of_text.into_iter().filter(said));
        place.unread = unread;
        let Some(mut read) = value else { return (None, faults) };
        read.complete(self.file.name, &self.all);
        if !torn {
            faults.extend(sure(read.faults(), &place.unread));
            let name = read.name();
            faults.extend(check::id(key![], &name).err().filter(|_| !name.is_empty()));
        }
        if faults.is_empty() {
            let (shown, name) = (&place.shown, read.name());
            let unusual = read.unusual().into_iter().map(|what| format!("{shown}: {} {name}: {what}", T::TABLE));
            self.notes.extend(unusual);
            let shown = shown.clone();
            self.borrowed.extend(borrowed.map(|(from, keys)| Borrowed { shown, gpu: name, from, keys }));
        }
        (Some(read), faults)
    }

    /// Whether a line of a row is no TOML; what was made of such lines is taken out of `table`.
    fn torn(&self, row: &RowText<'a>, table: &mut toml::Table) -> bool {
        let text = self.file.text;
        let begins = line_of(text, &row.span());
        // Up to the head of the next table.
        let next = text.lines().enumerate().skip(begins).find(|(_, line)| line.trim_start().starts_with('['));
        let ends = next.map_or(usize::MAX, |(at, _)| at + 1);
        for (key, value) in row.get_ref().as_table().into_iter().flatten() {
            let lines = line_of(text, &key.span())..=line_of(text, &value.span());
            if self.broken.iter().any(|line| lines.contains(line)) {
                table.remove(key.get_ref().as_ref());
            }
        }
        self.broken.iter().any(|line| (begins..ends).contains(line))
    }

    /// Fills in what a GPU that is `like` another does not say itself: that GPU and the keys.
    fn like(&self, row: &mut toml::Table) -> Result<Option<(String, Vec<&'static str>)>, Fault> {
        let Some(toml::Value::String(like)) = row.get("like") else { return Ok(None) };
        let from = self.all.gpu(like).map_err(|e| Fault::at("like", e.to_string()))?;
        if row.get("id").and_then(toml::Value::as_str) == Some(&from.id) {
            return Err(Fault::at("like", "is the row itself").hint("name another GPU, or leave it out"));
        }
        let theirs = toml::Table::try_from(from).map_err(|e| Fault::at("like", e.to_string()))?;
        let lacking = LENT.into_iter().filter(|key| !row.contains_key(*key) && theirs.contains_key(*key));
        let keys: Vec<&'static str> = lacking.collect();
        for key in &keys {
            row.insert((*key).into(), theirs[*key].clone());
        }
        row.insert("like".into(), from.id.clone().into());
        Ok(Some((from.id.clone(), keys)))
    }

    /// Rows of one name of this file in their place.
    fn lay<T: Row>(&mut self, name: String, rows: &[(T, RowPlace)]) {
        let (first, place) = &rows[0];
        if let (false, Some((_, again))) = (T::SEVERAL, rows.get(1)) {
            let what = format!("`{name}` stands twice; the first is {}", place.shown);
            self.wrong(Fault::at(key![T::TABLE, again.index], what));
            return;
        }
        let of_name = |c: &Catalog| T::rows(c).iter().filter(|r| r.name() == name).cloned().collect::<Vec<T>>();
        let own: Vec<T> = rows.iter().map(|(row, _)| row.clone()).collect();
        let before = of_name(&self.all);
        let apart = match (before.first(), before.len() == own.len()) {
            (Some(_), true) => own.iter().zip(&before).map(|(a, b)| differences(a, b)).find(|d| !d.is_empty()),
            (Some(_), false) => Some(vec![("rows".into(), own.len().to_string(), before.len().to_string())]),
            (None, _) => None,
        };
        if let Some(other) = self.own.get(&(T::TABLE, name.clone())) {
            if let Some(apart) = apart.filter(|_| place.sound && other.sound) {
                let shown = listed(&apart, |key, here, there| format!("{key} is {here} here and {there} there"));
                let what = format!("`{name}` is defined otherwise in {}: {shown}", other.shown);
                self.wrong(Fault::at(key![T::TABLE, place.index], what).hint("keep one of the two"));
            }
            return;
        }
        if let Some(apart) = apart {
            let shown = listed(&apart, |key, here, there| format!("{key} is {here} in place of {there}"));
            self.notes.push(format!(
                "{}: {} {name} differs from the catalogue's, and counts: {shown}",
                place.shown,
                T::TABLE
            ));
        }
        self.own.insert((T::TABLE, name.clone()), place.clone());
        let all = T::rows_mut(&mut self.all);
        let at = all.iter().position(|r| r.name() == name).unwrap_or(all.len());
        all.retain(|r| r.name() != first.name());
        all.splice(at..at, own);
    }

    /// Names in rows of the files that nobody has.
    fn check_names(&mut self) {
        macro_rules! check {
            ($type:ty) => {
                for row in <$type>::rows(&self.all) {
                    if let Some(place) = self.own.get(&(<$type>::TABLE, row.name())) {
                        let unread = |f: &Fault| {
                            place.unread.iter().any(|lost| f.key.segments().first().is_some_and(|key| key.is(lost)))
                        };
                        let unknown =
                            row.unknown_names(&self.all).into_iter().filter(|f| !unread(f)).collect::<Faults>();
                        let unknown = unknown.under(key![<$type>::TABLE, place.index]);
                        self.faults.extend(unknown.into_iter().map(|fault| CatalogFault { file: place.file, fault }));
                    }
                }
            };
        }
        each_table!(check);
        self.check_aliases();
    }

    /// Names in rows of the files that another row answers to as well: which row they meant would depend on an order.
    fn check_aliases(&mut self) {
        let c = &self.all;
        let mut shared: Vec<(&'static str, &String, String, &String)> = Vec::new();
        for own in c.models.iter().filter(|m| self.own.contains_key(&(Model::TABLE, m.name()))) {
            for other in c.models.iter().filter(|o| o.id != own.id) {
                let meant = own.names().find(|name| other.names().any(|theirs| theirs.eq_ignore_ascii_case(name)));
                shared.extend(meant.map(|name| (Model::TABLE, &own.id, name.clone(), &other.id)));
            }
        }
        for own in c.gpus.iter().filter(|g| self.own.contains_key(&(Gpu::TABLE, g.name()))) {
            for other in c.gpus.iter().filter(|o| o.id != own.id) {
                let meant = own.names().find(|name| other.names().any(|theirs| theirs == *name));
                shared.extend(meant.map(|name| (Gpu::TABLE, &own.id, name.join(" "), &other.id)));
            }
        }
        for (table, own, name, other) in shared {
            let place = &self.own[&(table, own.clone())];
            let fault = Fault::new(format!("`{own}` answers to `{name}`, and so does `{other}`")).hint(format!(
                "a name means one row: leave it out, or give the row the id `{other}` to replace that one"
            ));
            let fault = fault.under(key![table, place.index]);
            self.faults.push(CatalogFault { file: place.file, fault });
        }
    }

    /// Step times of GPUs that are like another one, and what people should know of that.
    fn borrow_step_times(&mut self) {
        for b in std::mem::take(&mut self.borrowed) {
            let own = |r: &StepTimeRow| r.gpu == b.gpu;
            let some = self.all.step_times.iter().any(own);
            let laid = self
                .all
                .step_times
                .iter()
                .filter(|r| own(r))
                .map(|r| self.all.step_time(&b.from, &r.dtype).map_or_else(|| r.clone(), |theirs| r.over(theirs)));
            let laid: Vec<StepTimeRow> = laid.collect();
            for row in laid {
                if let Some(old) = self.all.step_times.iter_mut().find(|r| r.name() == row.name()) {
                    *old = row;
                }
            }
            let mut what: Vec<&str> = b.keys;
            what.push(if some { "what its step times do not say" } else { "its step times" });
            let note =
                format!("{}: gpu {}: borrowed from {}, whose they are: {}", b.shown, b.gpu, b.from, what.join(", "));
            self.notes.push(note);
        }
    }
}

/// Keys that two rows of one name give other values: key, the one's, the other's.
fn differences<T: Row>(one: &T, other: &T) -> Vec<(String, String, String)> {
    let object = |row: &T| serde_json::to_value(row).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default();
    let (one, other) = (object(one), object(other));
    let keys = one.iter().filter(|(key, value)| !ABOUT.contains(&key.as_str()) && other.get(*key) != Some(value));
    let shown = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => "nothing".to_owned(),
        Some(value) => value.to_string(),
    };
    keys.map(|(key, value)| (key.clone(), shown(Some(value)), shown(other.get(key)))).collect()
}

fn listed(apart: &[(String, String, String)], say: impl Fn(&str, &str, &str) -> String) -> String {
    let mut all: Vec<String> = apart.iter().take(SHOWN).map(|(key, here, there)| say(key, here, there)).collect();
    if apart.len() > SHOWN {
        all.push(format!("and {} more", apart.len() - SHOWN));
    }
    all.join(", ")
}

#[cfg(test)]
#[path = "laid_tests.rs"]
mod tests;
