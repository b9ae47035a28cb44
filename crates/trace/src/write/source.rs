//! Writes our own CSV from any source that does not wait for outcomes. Prompt identity has no place in CSV.
use baseload_core::types::{NO_SESSION, NS_PER_S, Source};
use baseload_core::types::{TraceFault, wrong};
use std::io::Write;

/// Writes every request; `classes` are the names that class indices stand for. Returns how many were written.
///
/// # Errors
/// The source's own, or that `out` cannot be written.
pub fn write_csv(source: &mut dyn Source, classes: &[String], out: &mut dyn Write) -> Result<u64, TraceFault> {
    let failed = |e: std::io::Error| format!("the trace cannot be written: {e}");
    writeln!(out, "arrival_s,prompt_tokens,output_tokens,tenant,session,class,max_output_tokens,priority")
        .map_err(failed)?;
    let mut count = 0;
    while source.peek()?.is_some() {
        let r = source.next();
        let session = if r.session == NO_SESSION { String::new() } else { r.session.to_string() };
        let class = classes.get(usize::from(r.class)).map_or("", String::as_str);
        if class.contains([',', '"', '\n', '\r']) {
            return Err(wrong!("class `{class}` has a comma, quote or line end").hint("CSV fields are plain text"));
        }
        let (s, ns) = (r.arrival.0 / NS_PER_S, r.arrival.0 % NS_PER_S);
        writeln!(
            out,
            "{s}.{ns:09},{},{},{},{session},{class},{},{}",
            r.prompt_tokens, r.output_tokens, r.tenant, r.max_output_tokens, r.priority
        )
        .map_err(failed)?;
        count += 1;
    }
    out.flush().map_err(failed)?;
    Ok(count)
}
