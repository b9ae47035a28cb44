//! Open-loop replay: entries become requests that leave when the trace says, whatever becomes of them.
//!
//! Must hold: arrivals never go back; a request's index is its entry's id; nothing is held but the next request.
use super::{SourceOptions, Unplayable};
use baseload_core::types::{Clock, Content, Entries, Entry, Outcome, Request, SimTime, Source};
use baseload_core::types::{Fault, TraceFault, wrong};

/// Entries as a source.
pub struct Replay {
    entries: Box<dyn Entries>,
    options: SourceOptions,
    /// Reused, so that an entry without content allocates nothing.
    entry: Entry,
    origin_ns: Option<i64>,
    last_ns: u64,
    made: u64,
    pending: Option<Request>,
    dry: bool,
    failed: Option<TraceFault>,
}

impl Replay {
    /// Replays `entries`.
    ///
    /// # Errors
    /// When the options are impossible, or the trace does not say when its requests arrive.
    pub fn new(entries: Box<dyn Entries>, options: &SourceOptions) -> Result<Replay, Unplayable> {
        options.check()?;
        let origin_ns = match entries.clock() {
            Clock::Common => None,
            Clock::Zero => Some(0),
            Clock::Session | Clock::None => return Err(no_arrivals().into()),
        };
        Ok(Replay {
            entries,
            options: options.clone(),
            entry: Entry::blank(),
            origin_ns,
            last_ns: 0,
            made: 0,
            pending: None,
            dry: false,
            failed: None,
        })
    }

    fn draw(&mut self) -> Result<Option<Request>, TraceFault> {
        if self.options.limit.is_some_and(|limit| self.made >= limit) || !self.entries.next(&mut self.entry)? {
            return Ok(None);
        }
        let entry = &mut self.entry;
        let origin = *self.origin_ns.get_or_insert(entry.at_ns);
        let since = i128::from(entry.at_ns) - i128::from(origin);
        if since < i128::from(self.last_ns) {
            let back = (i128::from(self.last_ns) - since) as f64 / 1e9;
            return Err(wrong!("{}: time goes back by {back} s from the request before", self.entries.place())
                .hint("requests must be in order of arrival"));
        }
        let arrival = SimTime(self.options.scaled(u64::try_from(since).unwrap_or(u64::MAX)));
        if arrival > LATEST {
            let years = arrival.as_secs_f64() / SimTime::from_secs(365 * 24 * 3_600).as_secs_f64();
            let fault = wrong!("{}: it would arrive {years:.0} years after the first request", self.entries.place());
            return Err(
                fault.hint("a trace lasts ten years at most: give a greater rate_scale, or a rate that is not as low")
            );
        }
        self.last_ns = since as u64;
        self.made += 1;
        Ok(Some(request(entry, arrival, &self.options)))
    }
}

/// The refusal of entries without arrivals, which is one of the trace itself.
pub(super) fn no_arrivals() -> Fault {
    Fault::new("the trace does not say when its requests arrive")
        .hint("give trace.arrivals_per_s or trace.arrivals, or trace.users that take turns")
}

/// The latest arrival that is simulated, after the first: ten years, which no trace has. Times far beyond would be cut to the
/// end of the clock, and requests lost.
const LATEST: SimTime = SimTime::from_secs(10 * 365 * 24 * 3_600);

/// The request that an entry becomes when it leaves at `arrival`.
pub(super) fn request(entry: &mut Entry, arrival: SimTime, options: &SourceOptions) -> Request {
    let output_tokens = entry.output_tokens.max(1);
    let max_output_tokens = match entry.max_output_tokens {
        0 => options.default_max_output_tokens.max(output_tokens),
        said => said,
    };
    Request {
        index: entry.id,
        arrival,
        tenant: entry.tenant,
        session: entry.session,
        class: entry.class,
        prompt_tokens: entry.prompt_tokens,
        output_tokens,
        max_output_tokens,
        priority: entry.priority,
        content: whole(entry),
    }
}

/// The whole prompt: what the entry names, and its private text.
fn whole(entry: &mut Entry) -> Content {
    if entry.content.is_empty() {
        return Content::private(entry.id, entry.prompt_tokens);
    }
    entry.content.extend(entry.private_text());
    let content = Content::from(entry.content.as_slice());
    let said = u64::from(entry.prompt_tokens);
    assert!(content.tokens() == said, "content-fits: readers refuse content over the prompt");
    content
}

impl Source for Replay {
    fn peek(&mut self) -> Result<Option<SimTime>, TraceFault> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.pending.is_none() && !self.dry {
            match self.draw() {
                Ok(next) => {
                    self.dry = next.is_none();
                    self.pending = next;
                }
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(self.pending.as_ref().map(|r| r.arrival))
    }
    fn next(&mut self) -> Request {
        self.pending.take().expect("source-peeked: next is called only after peek said there is a request")
    }
    fn finished(&mut self, _session: u64, _at: SimTime, _outcome: Outcome) {}
    fn heeds_outcomes(&self) -> bool {
        false
    }
    fn total(&self) -> Option<u64> {
        match (self.entries.total(), self.options.limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, _) => a,
        }
    }
    fn notes(&self) -> Vec<String> {
        self.entries.notes()
    }
}
