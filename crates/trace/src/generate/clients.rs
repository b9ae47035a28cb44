//! Clients that send side by side, each with arrivals and lengths of its own; their superposition in order of time.
//!
//! Must hold: a client's draws depend on its number in the list alone, so that another client moves nothing; a request a
//! client is held.
use super::super::spec::{Client, GenerateSpec, Length};
use super::arrivals::ArrivalTimes;
use super::drawer::{Drawer, Pair};
use super::gaps::{Gap, draws_of};
use super::windows::{RateWindow, WindowTimes};
use crate::SourceOptions;
use crate::read::{GapFamily, ServeGenClient};
use baseload_core::types::TraceFault;
use baseload_core::types::{Entry, SimTime};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Requests of one client, in order of time.
struct Stream {
    tenant: u32,
    arrivals: ArrivalTimes,
    /// Lengths from an instant on, ns; `None`: it sends nothing.
    lengths: Vec<(i64, Option<Pair>)>,
    made: u64,
}

/// Requests of all clients, in order of time.
pub(super) struct Clients {
    streams: Vec<Stream>,
    next: BinaryHeap<Reverse<(i64, usize)>>,
    /// The client whose next arrival is not drawn yet: none before its last one is taken.
    owed: Option<usize>,
    begun: bool,
}

impl Clients {
    /// Follows a checked spec.
    pub fn new(spec: &GenerateSpec, options: &SourceOptions) -> Result<Clients, TraceFault> {
        let stream = |(i, c): (usize, &Client)| {
            let client = i as u32;
            let prompt = Drawer::new(&c.prompt, "prompt", options, "generate.prompt", client)?;
            let output = Drawer::new(&c.output, "output", options, "generate.output", client)?;
            Ok(Stream {
                tenant: c.tenant.unwrap_or(client),
                arrivals: ArrivalTimes::of_client(&c.arrivals, options, "generate.arrival", client),
                lengths: vec![(0, Some(Pair::new(prompt, output, spec.joint)))],
                made: 0,
            })
        };
        let streams = spec.clients.iter().enumerate().map(stream).collect::<Result<_, TraceFault>>()?;
        Ok(Clients::of(streams))
    }

    fn of(streams: Vec<Stream>) -> Clients {
        Clients { streams, next: BinaryHeap::new(), owed: None, begun: false }
    }

    /// ServeGen's clients, each played by its windows and token tables, at the rates published times `times`.
    pub fn servegen(clients: &[ServeGenClient], times: f64, options: &SourceOptions) -> Clients {
        Clients::of(clients.iter().map(|c| servegen(c, times, options)).collect())
    }

    /// Fills a blank entry but for its id; `false` at the end.
    pub fn draw(&mut self, entry: &mut Entry) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            for i in 0..self.streams.len() {
                self.ask(i);
            }
        }
        if let Some(i) = self.owed.take() {
            self.ask(i);
        }
        let Some(Reverse((at_ns, i))) = self.next.pop() else { return false };
        self.owed = Some(i);
        let stream = &mut self.streams[i];
        let pair = stream.pair_at(at_ns).expect("client-sends: what has no lengths has no arrivals");
        (entry.at_ns, entry.tenant) = (at_ns, stream.tenant);
        let index = stream.made;
        stream.made += 1;
        (entry.prompt_tokens, entry.output_tokens) = stream.lengths[pair].1.as_mut().map_or((1, 1), |p| p.draw(index));
        // The pool has prompts of 0 tokens; a request has at least one.
        entry.prompt_tokens = entry.prompt_tokens.max(1);
        true
    }

    fn ask(&mut self, i: usize) {
        let stream = &mut self.streams[i];
        while let Some(at) = stream.arrivals.next_ns() {
            if stream.pair_at(at).is_some() {
                self.next.push(Reverse((at, i)));
                return;
            }
        }
    }
}

impl Stream {
    /// Index of the lengths that hold at `at_ns`; none where the client sends nothing then.
    fn pair_at(&self, at_ns: i64) -> Option<usize> {
        let after = self.lengths.partition_point(|l| l.0 <= at_ns);
        after.checked_sub(1).filter(|&i| self.lengths[i].1.is_some())
    }
}

/// A client's windows: gaps with the published shape, at the published rate. A window lasts until the next one starts; the
/// last is as long as the one before it.
fn servegen(client: &ServeGenClient, times: f64, options: &SourceOptions) -> Stream {
    let windows: Vec<RateWindow> = client
        .windows
        .iter()
        .map(|w| RateWindow {
            start_s: w.start_s as f64,
            per_s: w.rate_per_s * times,
            gap: match w.family {
                Some(GapFamily::Gamma) => Gap::Gamma { shape: w.shape },
                Some(GapFamily::Weibull) => Gap::weibull(w.shape),
                None => Gap::Exponential,
            },
        })
        .collect();
    let end_s = match &windows[..] {
        [.., before, last] => 2.0 * last.start_s - before.start_s,
        _ => 86_400.0,
    };
    let draws = draws_of(options, "servegen.arrival", client.number);
    let table = |table: &[(u32, f64)], name| {
        let mut sum = 0.0;
        let sums = table.iter().map(|&(v, p)| (v, (sum += p, sum).1)).collect();
        Drawer::of(Length::Table(sums), None, options, name, client.number)
    };
    let lengths = client.lengths.iter().map(|l| {
        let sends = !(l.input.is_empty() || l.output.is_empty());
        let pair = || Pair::new(table(&l.input, "servegen.prompt"), table(&l.output, "servegen.output"), None);
        (SimTime::from_secs(l.start_s).0 as i64, sends.then(pair))
    });
    Stream {
        tenant: client.number,
        arrivals: ArrivalTimes::windows(WindowTimes::rates(windows, end_s, draws)),
        lengths: lengths.collect(),
        made: 0,
    }
}
