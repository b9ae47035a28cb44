//! ServeGen client profiles (alibaba/ServeGen, Apache-2.0): what a generator needs of one client, not a trace.
//!
//! A folder a model; per client k `chunk-k-trace.csv` (no header: window start s, rate 1/s, CV, family, shape, scale s)
//! and `chunk-k-dataset.json` (by window start, s: `input_tokens`, `output_tokens`, `reason_ratio`, each a string that
//! holds a dictionary literal `{value: probability, ...}`). Read from deepseek-r1, 2026-11.
use super::{Lines, Reader, csv};
use crate::unopened::Files;
use baseload_core::types::{TraceFault, wrong};
use serde::Deserialize;
use std::io::Read;

/// Law of a client's gaps in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapFamily {
    /// Mean gap = shape x scale.
    Gamma,
    /// Mean gap = scale x Gamma(1 + 1/shape).
    Weibull,
}

/// A client's arrivals from a moment to its next window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServeGenWindow {
    /// Start, s.
    pub start_s: u64,
    /// Requests a second; 0 = none in this window.
    pub rate_per_s: f64,
    /// Coefficient of variation of the gaps, as fitted by the source.
    pub cv: f64,
    /// Law of the gaps; `None` exactly where the rate is 0.
    pub family: Option<GapFamily>,
    /// Shape of the law of inter-arrival times.
    pub shape: f64,
    /// Scale of the law of inter-arrival times, s.
    pub scale_s: f64,
}

/// A client's token lengths from a moment to its next table. Empty tables: it sends nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeGenLengths {
    /// Start, s.
    pub start_s: u64,
    /// Prompt tokens and their probability, by length.
    pub input: Vec<(u32, f64)>,
    /// Output tokens and their probability, by length.
    pub output: Vec<(u32, f64)>,
    /// Share of the output that is reasoning, and its probability, by share.
    pub reason_ratio: Vec<(f64, f64)>,
}

/// One client: a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeGenClient {
    /// Number of the client in the files' names.
    pub number: u32,
    /// Arrivals, by start.
    pub windows: Vec<ServeGenWindow>,
    /// Lengths, by start.
    pub lengths: Vec<ServeGenLengths>,
}

impl ServeGenClient {
    /// Reads every client of a folder: `chunk-k-trace.csv` and `chunk-k-dataset.json` for k = 0, 1, ...
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong; what would be right`.
    pub fn all(files: &dyn Files, folder: &str) -> Result<Vec<ServeGenClient>, TraceFault> {
        let number = |name: &String| name.strip_prefix("chunk-")?.strip_suffix("-trace.csv")?.parse().ok();
        let mut numbers: Vec<u32> = files.list(folder)?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        if numbers.first() != Some(&0) {
            let fault = TraceFault::of(files.shown(folder), "it has no chunk-0-trace.csv");
            return Err(fault.hint("a folder must be one of ServeGen's client profiles"));
        }
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let read = |k: u32| {
            let (trace, data) = (format!("{below}chunk-{k}-trace.csv"), format!("{below}chunk-{k}-dataset.json"));
            let (trace_name, data_name) = (files.shown(&trace), files.shown(&data));
            ServeGenClient::read(k, (files.text(&trace)?, &trace_name), (files.text(&data)?, &data_name))
        };
        numbers.into_iter().map(read).collect()
    }

    /// Reads client `number`; a file is what to read and its name for messages.
    ///
    /// # Errors
    /// `NAME:LINE: what is wrong; what would be right`.
    pub fn read(number: u32, trace: (Reader, &str), dataset: (Reader, &str)) -> Result<ServeGenClient, TraceFault> {
        let windows = windows(&mut Lines::new(trace.0, trace.1))?;
        let lengths = lengths(dataset.0, dataset.1)?;
        if windows.iter().any(|w| w.rate_per_s > 0.0)
            && lengths.iter().all(|l| l.input.is_empty() || l.output.is_empty())
        {
            return Err(wrong!(
                "{}:1: it has no token lengths, but {} says that the client sends requests; both must",
                dataset.1,
                trace.1
            ));
        }
        Ok(ServeGenClient { number, windows, lengths })
    }
}

fn windows(lines: &mut Lines) -> Result<Vec<ServeGenWindow>, TraceFault> {
    let mut windows: Vec<ServeGenWindow> = Vec::new();
    while lines.advance()? {
        let window = window(lines.text()).map_err(|e| lines.fault(e))?;
        if windows.last().is_some_and(|last| last.start_s >= window.start_s) {
            return Err(lines.fault("its window starts before the one above ends; windows must be in order"));
        }
        windows.push(window);
    }
    if windows.is_empty() {
        return Err(lines.fault("the client has no windows; it needs at least one"));
    }
    Ok(windows)
}

fn window(line: &str) -> Result<ServeGenWindow, TraceFault> {
    let fields: Vec<&str> = csv::plain(line).collect();
    let [start, rate, cv, family, shape, scale] = fields[..] else {
        return Err(wrong!(
            "the line is torn: {} fields; a window has 6: start, rate, cv, family, shape, scale",
            fields.len()
        ));
    };
    let number = |text: &str, what: &str| match text.parse::<f64>() {
        Ok(n) if n.is_finite() && n >= 0.0 => Ok(n),
        _ => Err(wrong!("{what} is `{text}`; it must be a number, at least 0")),
    };
    let start = number(start, "the window's start")?;
    if start.fract() != 0.0 || start > 1e12 {
        return Err(wrong!("the window's start is {start}; it must be whole seconds"));
    }
    let (rate_per_s, shape, scale_s) =
        (number(rate, "the rate")?, number(shape, "the shape")?, number(scale, "the scale")?);
    let family = match family {
        "Gamma" => Some(GapFamily::Gamma),
        "Weibull" => Some(GapFamily::Weibull),
        "" => None,
        other => return Err(wrong!("the family is `{other}`; it must be Gamma, Weibull or empty")),
    };
    match family {
        None if rate_per_s > 0.0 => Err(wrong!("the rate is {rate_per_s} but no family is given; it must be")),
        Some(_) if rate_per_s == 0.0 => Err("a family is given but the rate is 0; it must be above 0".into()),
        Some(_) if shape == 0.0 || scale_s == 0.0 => Err("the shape or the scale is 0; both must be above 0".into()),
        _ => {
            Ok(ServeGenWindow { start_s: start as u64, rate_per_s, cv: number(cv, "the CV")?, family, shape, scale_s })
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    input_tokens: String,
    output_tokens: String,
    reason_ratio: Option<String>,
}

fn lengths(mut reader: Reader, name: &str) -> Result<Vec<ServeGenLengths>, TraceFault> {
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|e| wrong!("{name}:1: cannot be read: {e}; it must be JSON"))?;
    let tables: std::collections::BTreeMap<String, Tables> = serde_json::from_str(&text).map_err(|e| {
        wrong!(
            "{name}:{}: {e}; it must be JSON: a window's start to input_tokens, output_tokens, reason_ratio",
            e.line().max(1)
        )
    })?;
    let mut lengths = Vec::new();
    for (start, tables) in &tables {
        let key = format!("{start:?}: ");
        let line = text.lines().position(|l| l.contains(&key)).map_or(1, |n| n + 1);
        let start_s = start
            .parse()
            .map_err(|_| wrong!("{name}:{line}: `{start}` is no window's start; it must be whole seconds"))?;
        let read = |key: &str, literal: &str| dictionary(literal).map_err(|e| wrong!("{name}:{line}: {key}: {e}"));
        lengths.push(ServeGenLengths {
            start_s,
            input: whole(&read("input_tokens", &tables.input_tokens)?, "input_tokens", name, line)?,
            output: whole(&read("output_tokens", &tables.output_tokens)?, "output_tokens", name, line)?,
            reason_ratio: tables.reason_ratio.as_deref().map_or(Ok(Vec::new()), |t| read("reason_ratio", t))?,
        });
    }
    lengths.sort_by_key(|l| l.start_s);
    Ok(lengths)
}

/// Values that must be token counts.
fn whole(table: &[(f64, f64)], key: &str, name: &str, line: usize) -> Result<Vec<(u32, f64)>, TraceFault> {
    let token = |&(v, p): &(f64, f64)| {
        if v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&v) {
            Ok((v as u32, p))
        } else {
            Err(wrong!("{name}:{line}: {key}: {v} is no number of tokens; it must be whole and at least 0"))
        }
    };
    table.iter().map(token).collect()
}

/// `{value: probability, ...}`, by value; probabilities add up to 1, or there are none.
fn dictionary(literal: &str) -> Result<Vec<(f64, f64)>, TraceFault> {
    let inner = literal.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let inner = inner.ok_or("it is no dictionary; it must be {value: probability, ...}")?.trim();
    let mut table = Vec::new();
    for pair in inner.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (value, share) =
            pair.split_once(':').ok_or_else(|| wrong!("`{pair}` is no pair; it must be value: probability"))?;
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(n) if n.is_finite() && n >= 0.0 => Ok(n),
            _ => Err(wrong!("`{}` is no number that is at least 0; it must be", text.trim())),
        };
        table.push((number(value)?, number(share)?));
    }
    table.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let Some(twice) = table.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(wrong!("{} stands twice; a value may stand once", twice[0].0));
    }
    let sum: f64 = table.iter().map(|t| t.1).sum();
    if !table.is_empty() && (sum - 1.0).abs() > 1e-3 {
        return Err(wrong!("its probabilities add up to {sum}; they must add up to 1"));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn client(trace: &str, dataset: &str) -> Result<ServeGenClient, TraceFault> {
        let reader = |text: &str| -> Reader { Box::new(Cursor::new(text.as_bytes().to_vec())) };
        ServeGenClient::read(3, (reader(trace), "t.csv"), (reader(dataset), "d.json"))
    }

    const DATASET: &str = "{\n  \"21600\": {\"input_tokens\": \"{}\", \"output_tokens\": \"{}\", \"reason_ratio\": \"{}\"},\n  \
        \"0\": {\"input_tokens\": \"{45: 0.25, 7: 0.75}\", \"output_tokens\": \"{3: 1.0}\", \"reason_ratio\": \"{0.5: 1}\"}}";

    #[test]
    fn a_client_is_its_windows_and_its_lengths() {
        let read = client("0,0,0,,0,0\n600,0.105,0.9252,Gamma,1.168,8.05\n", DATASET).unwrap();
        assert_eq!((read.number, read.windows.len(), read.windows[0].family), (3, 2, None));
        assert_eq!(read.windows[1].family, Some(GapFamily::Gamma));
        assert_eq!((read.lengths[0].start_s, read.lengths[1].start_s), (0, 21_600));
        assert_eq!(read.lengths[0].input, [(7, 0.75), (45, 0.25)]);
        assert!(read.lengths[1].input.is_empty());
    }

    #[test]
    fn contradictions_are_named_with_their_file_and_line() {
        let good = "0,1,1,Gamma,1,1\n";
        for (trace, dataset, want) in [
            ("0,1,1,Gamma,1\n", DATASET, "t.csv:1: the line is torn"),
            ("0,1,1,,1,1\n", DATASET, "t.csv:1: the rate is 1 but no family"),
            ("0,0,1,Gamma,1,1\n", DATASET, "t.csv:1: a family is given but the rate is 0"),
            ("0,1,1,Pareto,1,1\n", DATASET, "t.csv:1: the family is `Pareto`"),
            ("600,1,1,Gamma,1,1\n0,1,1,Gamma,1,1\n", DATASET, "t.csv:2: its window starts before"),
            ("", DATASET, "t.csv:1: the client has no windows"),
            (
                good,
                "{\"0\": {\"input_tokens\": \"{}\", \"output_tokens\": \"{}\"}}",
                "d.json:1: it has no token lengths",
            ),
            (good, "{", "d.json:1: "),
            (
                good,
                "{\"0\":\n {\"input_tokens\": \"{1: 0.5}\", \"output_tokens\": \"{}\"}}",
                "d.json:1: input_tokens: its",
            ),
        ] {
            let error = client(trace, dataset).unwrap_err().to_string();
            assert!(error.starts_with(want) && error.contains(';'), "{error}\nwanted {want}");
        }
    }

    #[test]
    fn the_published_clients_are_read() {
        let Ok(data) = std::env::var("BASELOAD_DATA") else {
            println!("skipped: BASELOAD_DATA unset");
            return;
        };
        let mut rate = 0.0;
        for k in 0..73 {
            let open = |kind: &str| -> (Reader, String) {
                let name = format!("{data}/traces/servegen/deepseek-r1/chunk-{k}-{kind}");
                (Box::new(std::io::BufReader::new(std::fs::File::open(&name).unwrap())), name)
            };
            let (trace, dataset) = (open("trace.csv"), open("dataset.json"));
            let read = ServeGenClient::read(k, (trace.0, &trace.1), (dataset.0, &dataset.1)).unwrap();
            assert_eq!((read.windows.len(), read.lengths.len()), (144, 4), "24 h in windows of 10 min and 6 h");
            rate += read.windows.iter().map(|w| w.rate_per_s).sum::<f64>() / 144.0;
        }
        assert!(rate > 0.5, "{rate}");
        println!("73 clients, {rate:.3} requests/s on average");
    }
}
