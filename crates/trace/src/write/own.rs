//! Our own schema as text; `traces/README.md`.
use super::{Lines, Lost};
use baseload_core::types::{Clock, ContentId, Entry, NO_SESSION, Run, Status};
use baseload_core::types::{TraceFault, wrong};
use std::fmt::Write;

/// Nanoseconds under which a decimal of seconds survives being read as a double and multiplied: 26 days.
const EXACT_NS: u64 = 1 << 51;

/// A writer of CSV. It has all columns, so that nothing need be known beforehand.
pub(super) struct Csv {
    pub(super) clock: Clock,
}

/// Decimal seconds, exact.
fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

fn class<'a>(entry: &Entry, classes: &'a [String]) -> &'a str {
    classes.get(usize::from(entry.class)).map_or("", String::as_str)
}

impl Lines for Csv {
    fn header(&self) -> Option<String> {
        let time = match self.clock {
            Clock::Common | Clock::Zero => "arrival_s,",
            Clock::Session => "session_s,",
            Clock::None => "",
        };
        Some(format!(
            "{time}id,prompt_tokens,output_tokens,tenant,session,class,max_output_tokens,priority,think_s,ttft_s,e2e_s,\
             cached_tokens,status,images,tools_s"
        ))
    }

    fn line(&mut self, e: &Entry, classes: &[String], lost: &mut Lost, out: &mut String) -> Result<(), TraceFault> {
        lost.note(!e.content.is_empty(), "content (prompt identity)");
        let class = class(e, classes);
        if class.contains([',', '"', '\n', '\r']) || class.trim() != class {
            return Err(
                wrong!("class `{class}` has a comma, quote, space or line end").hint("CSV fields must be plain text")
            );
        }
        match self.clock {
            Clock::Common | Clock::Zero | Clock::Session => {
                let at = u64::try_from(e.at_ns)
                    .map_err(|_| TraceFault::new("its time is below 0").hint("CSV cannot say it, write Parquet"))?;
                _ = write!(out, "{},", seconds(at));
            }
            Clock::None => {}
        }
        let number = |n: u64, none: u64| if n == none { String::new() } else { n.to_string() };
        let time = |ns: Option<u64>| ns.map_or(String::new(), seconds);
        let m = &e.measured;
        let written = write!(
            out,
            "{},{},{},{},{},{class},{},{},{},{},{},{},{},{},{}",
            e.id,
            e.prompt_tokens,
            e.output_tokens,
            number(e.tenant.into(), 0),
            number(e.session, NO_SESSION),
            number(e.max_output_tokens.into(), 0),
            if e.priority == 0 { String::new() } else { e.priority.to_string() },
            time(e.think_ns),
            time(m.ttft_ns),
            time(m.e2e_ns),
            m.cached_tokens.map_or(String::new(), |c| c.to_string()),
            if m.status == Status::Completed { "" } else { m.status.name() },
            number(m.images.into(), 0),
            time((e.tools_ns > 0).then_some(e.tools_ns)),
        );
        written.map_err(|e| TraceFault::new(e.to_string()))
    }
}

/// A writer of JSON lines; keys whose value is the default are left out.
pub(super) struct Jsonl {
    pub(super) clock: Clock,
}

impl Lines for Jsonl {
    fn line(&mut self, e: &Entry, classes: &[String], _: &mut Lost, out: &mut String) -> Result<(), TraceFault> {
        out.push('{');
        let duration = |ns: u64, key: &str| {
            if ns < EXACT_NS {
                Ok(seconds(ns))
            } else {
                Err(wrong!("{key} is over 26 days").hint("JSON must be exact, write Parquet"))
            }
        };
        match self.clock {
            Clock::Common | Clock::Zero => match u64::try_from(e.at_ns) {
                Ok(ns) if ns < EXACT_NS => _ = write!(out, "\"arrival_s\":{},", seconds(ns)),
                _ => _ = write!(out, "\"arrival_ns\":{},", e.at_ns),
            },
            Clock::Session => {
                let at = u64::try_from(e.at_ns).map_err(|_| TraceFault::new("its time is before its session"))?;
                _ = write!(out, "\"session_s\":{},", duration(at, "session_s")?);
            }
            Clock::None => {}
        }
        _ = write!(out, "\"id\":{},\"prompt_tokens\":{},\"output_tokens\":{}", e.id, e.prompt_tokens, e.output_tokens);
        let mut put = |there: bool, key: &str, value: String| {
            if there {
                _ = write!(out, ",\"{key}\":{value}");
            }
        };
        put(e.tenant != 0, "tenant", e.tenant.to_string());
        put(e.session != NO_SESSION, "session", e.session.to_string());
        let class = class(e, classes);
        put(!class.is_empty(), "class", serde_json::Value::from(class).to_string());
        put(e.max_output_tokens != 0, "max_output_tokens", e.max_output_tokens.to_string());
        put(e.priority != 0, "priority", e.priority.to_string());
        let m = &e.measured;
        for (key, ns) in [("think_s", e.think_ns), ("ttft_s", m.ttft_ns), ("e2e_s", m.e2e_ns)] {
            put(ns.is_some(), key, duration(ns.unwrap_or(0), key)?);
        }
        put(e.tools_ns != 0, "tools_s", duration(e.tools_ns, "tools_s")?);
        put(m.cached_tokens.is_some(), "cached_tokens", m.cached_tokens.unwrap_or(0).to_string());
        put(m.status != Status::Completed, "status", format!("\"{}\"", m.status.name()));
        put(m.images != 0, "images", m.images.to_string());
        if !e.content.is_empty() {
            out.push_str(",\"content\":[");
            for (n, Run { id, start, len }) in e.content.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                _ = match id {
                    ContentId::Named(id) => write!(out, "[{id},{start},{len}]"),
                    ContentId::Output(id) => write!(out, "[\"output\",{id},{start},{len}]"),
                    ContentId::Private(id) => write!(out, "[\"prompt\",{id},{start},{len}]"),
                };
            }
            out.push(']');
        }
        out.push('}');
        Ok(())
    }
}
