//! Azure LLM inference 2023 and 2024 (Azure/AzurePublicDataset, CC-BY-4.0), and 2025 multimodal, whose requests also
//! have images: times are UTC where no zone is written. 2023 conversation tried, 2026-11; 2024 and 2025 to the description.
//!
//! Rows are parsed as bytes and nothing is allocated for one; the minute is computed once for all rows that have it.
use super::Rows;
use super::parse::{Unknown, tokens};
use super::window::windowed;
use crate::registry::{Carries, Format, Tried};
use baseload_core::types::timestamp as time;
use baseload_core::types::{Entry, TraceFault, UnknownField, wrong};

/// Requests of 2023 and 2024.
pub const AZURE: Format = Format {
    name: "azure",
    looks_like: "header TIMESTAMP,ContextTokens,GeneratedTokens",
    tried: Tried::On("2023 conversation"),
    recognises: |head| head.has_columns(&COLUMNS) && !head.has_columns(&["NumImages"]),
    carries: Carries::ARRIVALS,
    open: |trace| windowed(trace, Azure::new()),
    example: "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n",
    headed: true,
    ..Format::PLAIN
};

/// Requests of 2025, which also have images.
pub const MULTIMODAL: Format = Format {
    name: "azure-multimodal",
    looks_like: "the same header with NumImages",
    tried: Tried::Nothing,
    recognises: |head| head.has_columns(&COLUMNS) && head.has_columns(&["NumImages"]),
    carries: Carries::ARRIVALS,
    open: |trace| windowed(trace, Azure::new()),
    example: "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2024-10-01 00:00:00.5,2,100,5\n",
    headed: true,
    ..Format::PLAIN
};

/// Columns of both.
const COLUMNS: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// What is read of a row, in this order.
const READ: [&str; 4] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens", "NumImages"];

/// Reads rows by the names in the header.
pub(super) struct Azure {
    /// For each column of the file, which of `READ` it is; empty before the header.
    columns: Vec<Option<usize>>,
    /// Text of the minute last met, and the seconds since 1970 of its start.
    minute: ([u8; 16], i64),
    unzoned: bool,
    pictured: u64,
    unknown: Unknown,
}

impl Azure {
    pub(super) fn new() -> Azure {
        let unknown = Unknown::default();
        Azure { columns: Vec::new(), minute: ([0; 16], 0), unzoned: false, pictured: 0, unknown }
    }

    fn header(&mut self, line: &str) -> Result<(), TraceFault> {
        for name in super::csv::plain(line) {
            let column = READ.iter().position(|known| *known == name.trim_matches('"'));
            if column.is_none() {
                self.unknown.count(name);
            }
            self.columns.push(column);
        }
        let missing = COLUMNS.iter().enumerate().find(|(i, _)| !self.columns.contains(&Some(*i)));
        match missing {
            Some((_, name)) => {
                Err(wrong!("the header is wrong: `{name}` is not there; it must have {}", COLUMNS.join(", ")))
            }
            None => Ok(()),
        }
    }

    fn at_ns(&mut self, text: &[u8]) -> Option<i64> {
        let minute: [u8; 16] = text.get(..16)?.try_into().ok()?;
        if minute != self.minute.0 {
            self.minute = (minute, time::minute(&minute, false)?);
        }
        let (rest, zone) = time::seconds(&text[16..])?;
        match zone {
            b"" => self.unzoned = true,
            b"+00:00" => {}
            _ => return None,
        }
        self.minute.1.checked_mul(1_000_000_000)?.checked_add(rest)
    }
}

/// A plain whole number under 2^32.
fn whole(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0u32, |n, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
}

impl Rows for Azure {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        if self.columns.is_empty() {
            return self.header(line).map(|()| false);
        }
        let mut read: [&[u8]; READ.len()] = [b"", b"", b"", b"0"];
        let mut fields = 0;
        for field in line.as_bytes().split(|&b| b == b',') {
            if let Some(Some(column)) = self.columns.get(fields) {
                read[*column] = field;
            }
            fields += 1;
        }
        if fields != self.columns.len() {
            return Err(wrong!("the line is torn: {fields} fields; a row has {}", self.columns.len()));
        }
        let [at, prompt, output, images] = read;
        let at_ns = self.at_ns(at.trim_ascii());
        entry.at_ns = at_ns.ok_or_else(|| {
            wrong!(
                "`{}` is no timestamp; it must be YYYY-MM-DD HH:MM:SS, with or without a fraction and +00:00",
                String::from_utf8_lossy(at)
            )
        })?;
        let number =
            |text: &[u8], column| whole(text).map_or_else(|| tokens(&String::from_utf8_lossy(text), column), Ok);
        entry.prompt_tokens = number(prompt, "ContextTokens")?;
        entry.output_tokens = number(output, "GeneratedTokens")?;
        entry.measured.images = number(images, "NumImages")?;
        self.pictured += u64::from(entry.measured.images > 0);
        Ok(true)
    }

    fn unknown_fields(&self) -> Vec<UnknownField> {
        self.unknown.list()
    }

    fn notes(&self) -> Vec<String> {
        let unzoned = self.unzoned.then(|| "times without a zone are taken as UTC".to_string());
        let pictured = (self.pictured > 0)
            .then(|| format!("{} requests have images, which are kept and not priced", self.pictured));
        unzoned.into_iter().chain(pictured).collect()
    }
}
