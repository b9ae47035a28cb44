//! What is drawn, as rows of the registry: a generator's specification, and a folder of ServeGen's client profiles.
use super::Generator;
use crate::read::ServeGenClient;
use crate::registry::{Carries, Format, Tried};
use crate::unopened::Files;
use crate::{GenerateSpec, SourceOptions};
use baseload_core::types::TraceFault;
use std::io::Read;

/// Bytes of a specification at most.
const LONGEST: u64 = 4 << 20;

/// A generator's specification. TOML has no sure sign, so the ending of its name is one.
pub const GENERATOR: Format = Format {
    name: "generator",
    looks_like: "a .toml file with arrivals, prompt, output",
    carries: Carries { sessions: true, tenants: true, ..Carries::ARRIVALS },
    recognises: |head| head.is_named(".toml"),
    open: |mut trace| {
        let mut text = String::new();
        let read = trace.text()?.take(LONGEST + 1).read_to_string(&mut text);
        read.map_err(|e| TraceFault::of(trace.name, e.to_string()))?;
        if text.len() as u64 > LONGEST {
            return Err(TraceFault::of(trace.name, format!("it has more than {} MiB", LONGEST >> 20)));
        }
        let spec = GenerateSpec::parse(&text, trace.name)?;
        Ok(Box::new(Generator::of(&spec, trace.files, trace.options)?))
    },
    example: "requests = 3\nprompt.constant = 300\noutput.constant = 40\narrivals.rate = [{ at = \"0s\", per_s = 2.0 }]\n",
    drawn: true,
    ..Format::PLAIN
};

/// ServeGen (alibaba/ServeGen): no trace, but what a generator needs.
pub const SERVEGEN: Format = Format {
    name: "servegen",
    looks_like: "a folder with chunk-0-trace.csv",
    tried: Tried::On("deepseek-r1"),
    carries: Carries { tenants: true, ..Carries::ARRIVALS },
    recognises: |head| head.is_folder(),
    open: |trace| {
        let clients = ServeGenClient::all(trace.files, "")?;
        Ok(Box::new(Generator::servegen(&clients, None, trace.options)?))
    },
    drawn: true,
    ..Format::PLAIN
};

impl Generator {
    /// A generator that follows a checked spec, whose pool of clients is read where it names one.
    ///
    /// # Errors
    /// When the options are impossible, or a length is; what is wrong with the pool.
    pub fn of(spec: &GenerateSpec, files: &dyn Files, options: &SourceOptions) -> Result<Generator, TraceFault> {
        match &spec.servegen {
            None => Generator::new(spec, options),
            Some(pool) => {
                let clients = ServeGenClient::all(files, &pool.path.display().to_string())?;
                Generator::of_pool(spec, &clients, options)
            }
        }
    }
}
