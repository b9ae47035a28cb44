//! A trace reader: behind the line `toy trace` a request a line, its arrival in ms, its prompt and its output tokens.
use baseload::trace::read::{Rows, rows};
use baseload::trace::{Format, Tried};
use baseload::types::{Entry, TraceFault, wrong};

/// Its row of the registry.
pub const FORMAT: Format = Format {
    name: "toy",
    looks_like: "the line `toy trace`, then ms, prompt and output tokens",
    tried: Tried::On("toys"),
    recognises: |head| head.line().trim() == FIRST,
    open: |trace| rows(trace, Toy { begun: false }),
    example: "toy trace\n0 300 20\n500 200 10\n",
    headed: true,
    ..Format::PLAIN
};

const FIRST: &str = "toy trace";

struct Toy {
    begun: bool,
}

impl Rows for Toy {
    fn row(&mut self, line: &str, entry: &mut Entry) -> Result<bool, TraceFault> {
        if !self.begun {
            self.begun = line.trim() == FIRST;
            return if self.begun { Ok(false) } else { Err(wrong!("the first line is another; it must be `{FIRST}`")) };
        }
        let numbers: Option<Vec<u32>> = line.split_whitespace().map(|field| field.parse().ok()).collect();
        let Some([at_ms, prompt, output]) = numbers.as_deref() else {
            return Err("the line is torn; it must be milliseconds, prompt and output tokens".into());
        };
        entry.at_ns = i64::from(*at_ms) * 1_000_000;
        (entry.prompt_tokens, entry.output_tokens) = (*prompt, *output);
        Ok(true)
    }
}
