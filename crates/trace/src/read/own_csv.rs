//! Our own schema as CSV: see `traces/README.md`. Fields are plain: no quotes, no commas inside.
use super::parse::{decimal_ns, tokens};
use super::{Rows, csv};
use crate::registry::{Carries, Format};
use baseload_core::types::{Classes, Clock, Entry, Status};
use baseload_core::types::{TraceFault, wrong};

/// Row of this program's CSV in the registry of readers.
pub const FORMAT: Format = Format {
    name: "baseload-csv",
    looks_like: "header with prompt_tokens, output_tokens",
    carries: Carries::ALL_BUT_COST,
    recognises: |head| {
        let timed = ["arrival_s", "arrival_ns", "session_s"].into_iter().any(|column| head.has_columns(&[column]));
        timed || head.has_columns(&["prompt_tokens", "output_tokens"])
    },
    open: |trace| {
        let rows = OwnCsv::new(trace.classes, trace.head.line());
        super::rows(trace, rows)
    },
    example: "arrival_s,prompt_tokens,output_tokens,session\n0.5,512,40,1\n",
    headed: true,
    ..Format::PLAIN
};

/// Columns it knows; one of the first three says the clock, the next two are needed.
pub(crate) const COLUMNS: [&str; 18] = [
    "arrival_s",
    "session_s",
    "id",
    "prompt_tokens",
    "output_tokens",
    "tenant",
    "session",
    "class",
    "max_output_tokens",
    "priority",
    "think_s",
    "ttft_s",
    "e2e_s",
    "cached_tokens",
    "status",
    "images",
    "arrival_ns",
    "tools_s",
];

/// Reads rows by the names in the header, in any order.
pub(super) struct OwnCsv {
    classes: Classes,
    clock: Clock,
    header: csv::Header,
}

impl OwnCsv {
    /// `header` is the file's first line.
    pub(super) fn new(classes: &Classes, header: &str) -> OwnCsv {
        let has = |name: &str| csv::plain(header).any(|c| c == name);
        let clock = if has("session_s") {
            Clock::Session
        } else if has("arrival_s") || has("arrival_ns") {
            Clock::Common
        } else {
            Clock::None
        };
        OwnCsv { classes: classes.clone(), clock, header: csv::Header::default() }
    }

    fn header(&mut self, line: &str) -> Result<(), TraceFault> {
        self.header.read(csv::plain(line), &COLUMNS, 0, |known, name| known == name, None)?;
        if [0, 1, 16].into_iter().filter(|c| self.header.has(*c)).count() > 1 {
            return Err("arrival_s, arrival_ns and session_s stand together; a trace has one of them".into());
        }
        match [3, 4].into_iter().find(|c| !self.header.has(*c)) {
            Some(c) => Err(wrong!("column `{}` is missing; the header needs it", COLUMNS[c])),
            None => Ok(()),
        }
    }
}

impl Rows for OwnCsv {
    fn row(&mut self, line: &str, row: &mut Entry) -> Result<bool, TraceFault> {
        if !self.header.is_read() {
            return self.header(line).map(|()| false);
        }
        if line.contains('"') {
            return Err("the line has a quote; fields are plain text without quotes".into());
        }
        let mut fields = csv::plain(line);
        for &column in self.header.columns() {
            let Some(text) = fields.next() else {
                return self.header.fits(csv::plain(line).count()).map(|()| false);
            };
            if text.is_empty() && !matches!(column, 0..=4 | 16) {
                continue;
            }
            let wrong = |right: &str| wrong!("{} is `{text}`; it must be {right}", COLUMNS[column]);
            let duration = || decimal_ns(text).map(|ns| ns as u64).ok_or_else(|| wrong("seconds, such as 0.25"));
            match column {
                0 | 1 => row.at_ns = decimal_ns(text).ok_or_else(|| wrong("seconds from 0, such as 12.5"))?,
                2 => row.id = text.parse().map_err(|_| wrong("a whole number under 2^64"))?,
                3 => row.prompt_tokens = tokens(text, COLUMNS[3])?,
                4 => row.output_tokens = tokens(text, COLUMNS[4])?,
                5 => row.tenant = text.parse().map_err(|_| wrong("a whole number under 2^32"))?,
                6 => row.session = text.parse().map_err(|_| wrong("a whole number under 2^64"))?,
                7 => row.class = self.classes.number(text)?,
                8 => row.max_output_tokens = tokens(text, COLUMNS[8])?,
                9 => row.priority = text.parse().map_err(|_| wrong("a whole number, lower is more urgent"))?,
                10 => row.think_ns = Some(duration()?),
                11 => row.measured.ttft_ns = Some(duration()?),
                12 => row.measured.e2e_ns = Some(duration()?),
                13 => row.measured.cached_tokens = Some(tokens(text, COLUMNS[13])?),
                14 => row.measured.status = status(text)?,
                15 => row.measured.images = tokens(text, COLUMNS[15])?,
                17 => row.tools_ns = duration()?,
                _ => row.at_ns = text.parse().map_err(|_| wrong("whole nanoseconds"))?,
            }
        }
        self.header.fits(self.header.columns().len() + fields.count())?;
        Ok(true)
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn has_ids(&self) -> bool {
        self.header.has(2)
    }
}

/// The status of a name.
pub(super) fn status(text: &str) -> Result<Status, TraceFault> {
    Status::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| {
        let known = Status::ALL.map(Status::name).join(", ");
        wrong!("status is `{text}`; it must be one of {known}")
    })
}
