//! Finds the files of a folder of ServeGen client profiles.
use super::open_text;
use baseload_core::types::TraceFault;
use baseload_trace::ServeGenClient;
use std::path::Path;

/// Reads every client of `folder`: `chunk-k-trace.csv` and `chunk-k-dataset.json` for k = 0, 1, ...
///
/// # Errors
/// With the file, the line and what would be right.
pub fn open_servegen(folder: &Path) -> Result<Vec<ServeGenClient>, TraceFault> {
    let fault = |e: std::io::Error| TraceFault::of(folder.display(), e);
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(folder).map_err(fault)? {
        let name = file.map_err(fault)?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix("chunk-")?.strip_suffix("-trace.csv")?.parse().ok());
        numbers.extend(number.map(|n: u32| n));
    }
    numbers.sort_unstable();
    if numbers.first() != Some(&0) {
        let fault = TraceFault::of(folder.display(), "it has no chunk-0-trace.csv");
        return Err(fault.hint("a folder must be one of ServeGen's client profiles"));
    }
    let read = |k: u32| {
        let (trace, data) =
            (folder.join(format!("chunk-{k}-trace.csv")), folder.join(format!("chunk-{k}-dataset.json")));
        let (trace_name, data_name) = (trace.display().to_string(), data.display().to_string());
        ServeGenClient::read(k, (open_text(&trace)?, &trace_name), (open_text(&data)?, &data_name))
    };
    numbers.into_iter().map(read).collect()
}
