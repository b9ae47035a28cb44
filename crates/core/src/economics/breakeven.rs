//! Break-even on paper: what a spreadsheet says that owning costs, what it leaves out, and where the lines cross if load
//! is constant and nothing queues.
//!
//! May import: types, bill. Must keep true: the parts of a [`Gap`] add up to the bill to the pico-dollar; nothing here
//! knows the simulator, which is checked against [`ConstantLoad`].
use super::bill::HOURS_PER_MONTH;
use crate::types::Usd;

/// Seconds of a billing month.
const MONTH_S: f64 = HOURS_PER_MONTH as f64 * 3_600.0;

/// What a fleet can do at most, whatever its size: all of it is in proportion to its rent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetRates {
    /// Rent of the fleet, US$ an hour.
    pub usd_per_hour: f64,
    /// Output tokens a second of decode batches of as many sequences as the engine may run, were memory no limit.
    pub full_batch_tokens_per_s: f64,
    /// Output tokens a second of decode batches of as many sequences as the KV cache holds.
    pub kv_limited_tokens_per_s: f64,
    /// Prompt tokens a second, where nothing else is computed.
    pub prompt_tokens_per_s: f64,
}

/// What own GPUs were asked to do, means over the window, a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnWork {
    /// Output tokens of all requests of the trace, wherever they are answered.
    pub output_tokens_per_s: f64,
    /// Output tokens of the requests that own GPUs answered.
    pub own_output_tokens_per_s: f64,
    /// Prompt tokens that own GPUs computed: without what their prefix caches had.
    pub own_prompt_tokens_per_s: f64,
    /// Load of the busiest five minutes by the mean, at least 1.
    pub busiest: f64,
}

/// The bill of an own fleet, a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnBill {
    /// GPU hours.
    pub gpu: Usd,
    /// What was bought, as own GPUs may not serve it.
    pub bought: Usd,
    /// People.
    pub people: Usd,
    /// On-call.
    pub on_call: Usd,
}

/// The naive price of a fleet's output tokens, and what the naive price left out, US$ a month each. A negative part is what
/// the spreadsheet has too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    /// The naive line: all output tokens at rent an hour by the output tokens an hour of full batches.
    pub naive: Usd,
    /// Batches are as large as the KV cache lets them be.
    pub packing: Usd,
    /// Prompts are computed too.
    pub prompts: Usd,
    /// GPU hours paid and not needed at mean load: those that the busiest five minutes need beyond the mean.
    pub idle: Usd,
    /// What is left of the GPUs' rent: headroom for latency, shorter bursts, batches that are not full, whole replicas.
    pub headroom: Usd,
    /// What own GPUs may not serve, as it was billed, less its naive price.
    pub bought: Usd,
    /// People.
    pub people: Usd,
    /// On-call.
    pub on_call: Usd,
}

impl FleetRates {
    /// The naive price of an output token: rent an hour by the output tokens an hour of full batches.
    pub fn naive_usd_per_output_token(&self) -> f64 {
        self.usd_per_hour / (self.full_batch_tokens_per_s * 3_600.0)
    }

    /// The naive line, US$ a month.
    pub fn naive_usd_per_month(&self, output_tokens_per_s: f64) -> f64 {
        self.naive_usd_per_output_token() * output_tokens_per_s * MONTH_S
    }
}

/// The nearest whole pico-dollars.
fn pico(usd: f64) -> Usd {
    Usd((usd * 1e12).round() as i128)
}

fn less(a: Usd, b: Usd) -> Usd {
    Usd(a.0 - b.0)
}

impl Gap {
    /// Splits `bill`. Each part is what a step from the naive need to the real fleet adds; the last one is the rest.
    pub fn of(rates: &FleetRates, work: &OwnWork, bill: &OwnBill) -> Gap {
        let naive = pico(rates.naive_usd_per_month(work.output_tokens_per_s));
        let own_naive = pico(rates.naive_usd_per_month(work.own_output_tokens_per_s));
        // Rent of the share of a fleet that is busy with so much.
        let rent_of =
            |work: f64, at: f64| rates.usd_per_hour * HOURS_PER_MONTH as f64 * if work > 0.0 { work / at } else { 0.0 };
        let decode = rent_of(work.own_output_tokens_per_s, rates.kv_limited_tokens_per_s);
        let prompts = rent_of(work.own_prompt_tokens_per_s, rates.prompt_tokens_per_s);
        let mean = decode + prompts;
        // What is needed at the busiest, but no more than is there.
        let idle = pico((mean * work.busiest).min(bill.gpu.as_f64().max(mean)) - mean);
        let (packing, prompts) = (less(pico(decode), own_naive), pico(prompts));
        let known = own_naive + packing + prompts + idle;
        Gap {
            naive,
            packing,
            prompts,
            idle,
            headroom: less(bill.gpu, known),
            bought: less(bill.bought, less(naive, own_naive)),
            people: bill.people,
            on_call: bill.on_call,
        }
    }

    /// The parts with their names, the naive line first.
    pub fn parts(&self) -> [(&'static str, Usd); 8] {
        [
            ("naive", self.naive),
            ("packing", self.packing),
            ("prompts", self.prompts),
            ("idle", self.idle),
            ("headroom", self.headroom),
            ("bought", self.bought),
            ("people", self.people),
            ("on-call", self.on_call),
        ]
    }

    /// All parts together: the bill.
    pub fn total(&self) -> Usd {
        self.parts().into_iter().map(|(_, usd)| usd).sum()
    }
}

/// Constant load without queues: what owning and buying cost in closed form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConstantLoad {
    /// Requests a second at x1.
    pub requests_per_s: f64,
    /// Requests a second that a replica serves.
    pub replica_requests_per_s: f64,
    /// Rent of a replica, US$ an hour.
    pub usd_per_replica_hour: f64,
    /// What owning costs besides, US$ a month.
    pub fixed_usd_per_month: f64,
    /// What a request costs where it is bought, US$.
    pub usd_per_request: f64,
}

impl ConstantLoad {
    /// `ceil(rate / capacity)`.
    pub fn replicas(&self, volume: f64) -> f64 {
        (self.requests_per_s * volume / self.replica_requests_per_s).ceil().max(1.0)
    }

    fn own_of(&self, replicas: f64) -> f64 {
        replicas * self.usd_per_replica_hour * HOURS_PER_MONTH as f64 + self.fixed_usd_per_month
    }

    /// US$ a month of owning: a staircase.
    pub fn own_usd_per_month(&self, volume: f64) -> f64 {
        self.own_of(self.replicas(volume))
    }

    /// US$ a month of buying: a straight line.
    pub fn api_usd_per_month(&self, volume: f64) -> f64 {
        self.requests_per_s * volume * self.usd_per_request * MONTH_S
    }

    /// Where the cheaper one changes between two volumes, ascending: on a stair where the straight line meets it, or at its
    /// edge where the next one lies above the line again.
    pub fn crossings(&self, from: f64, to: f64) -> Vec<f64> {
        let stair = self.replica_requests_per_s / self.requests_per_s;
        let mut found = Vec::new();
        let mut own_is_cheaper = self.own_usd_per_month(from) < self.api_usd_per_month(from);
        let mut replicas = self.replicas(from);
        loop {
            let begins = ((replicas - 1.0) * stair).max(from);
            let ends = (replicas * stair).min(to);
            if begins >= to {
                return found;
            }
            let meets = self.own_of(replicas) / self.api_usd_per_month(1.0);
            if own_is_cheaper && meets > begins {
                found.push(begins);
                own_is_cheaper = false;
            }
            if !own_is_cheaper && meets < ends {
                found.push(meets.max(begins));
                own_is_cheaper = true;
            }
            replicas += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a / b - 1.0).abs() < 1e-9
    }

    #[test]
    fn the_naive_price_is_rent_over_full_batches() {
        // 3.6 US$ an hour and 1,000 tokens a second: a dollar a million tokens.
        let rates = FleetRates {
            usd_per_hour: 3.6,
            full_batch_tokens_per_s: 1_000.0,
            kv_limited_tokens_per_s: 500.0,
            prompt_tokens_per_s: 10_000.0,
        };
        assert!(near(rates.naive_usd_per_output_token(), 1e-6));
        assert!(near(rates.naive_usd_per_month(100.0), 262.8));
        let work = OwnWork {
            output_tokens_per_s: 100.0,
            own_output_tokens_per_s: 80.0,
            own_prompt_tokens_per_s: 400.0,
            busiest: 2.0,
        };
        let usd = |v: f64| Usd::from_number(v).unwrap();
        let bill = OwnBill { gpu: usd(2_628.0), bought: usd(100.0), people: usd(7_500.0), on_call: usd(1_000.0) };
        let gap = Gap::of(&rates, &work, &bill);
        // 80 tokens/s take 16 % of the GPUs at 500, prompts 4 %; twice that at the busiest.
        let want = [262.8, 210.24, 105.12, 525.6, 1_576.8, 100.0 - 52.56, 7_500.0, 1_000.0];
        for ((name, got), want) in gap.parts().into_iter().zip(want) {
            assert!((got.as_f64() - want).abs() < 1e-6, "{name}: {} {want}", got.as_f64());
        }
        assert_eq!(gap.total(), usd(11_228.0));
    }

    proptest::proptest! {
        #[test]
        fn parts_add_up_to_the_bill_to_the_pico_dollar(
            rates in (0.01f64..100.0, 1.0f64..1e5, 1.0f64..1e5, 1.0f64..1e6),
            work in (0.0f64..1e5, 0.0f64..=1.0, 0.0f64..1e6, 1.0f64..20.0),
            bill in (0i128..1i128 << 70, 0i128..1i128 << 70, 0i128..1i128 << 60, 0i128..1i128 << 60),
        ) {
            let rates = FleetRates {
                usd_per_hour: rates.0,
                full_batch_tokens_per_s: rates.1,
                kv_limited_tokens_per_s: rates.2,
                prompt_tokens_per_s: rates.3,
            };
            let work = OwnWork {
                output_tokens_per_s: work.0,
                own_output_tokens_per_s: work.0 * work.1,
                own_prompt_tokens_per_s: work.2,
                busiest: work.3,
            };
            let bill = OwnBill { gpu: Usd(bill.0), bought: Usd(bill.1), people: Usd(bill.2), on_call: Usd(bill.3) };
            let gap = Gap::of(&rates, &work, &bill);
            proptest::prop_assert_eq!(gap.total(), bill.gpu + bill.bought + bill.people + bill.on_call);
            proptest::prop_assert!(gap.idle >= Usd::ZERO);
        }
    }

    #[test]
    fn a_line_meets_a_staircase_on_a_stair_or_at_its_edge() {
        // A stair a request/s wide and 730 US$ high; buying costs 880 US$ a request/s: dearer than owning at its end.
        let load = ConstantLoad {
            requests_per_s: 1.0,
            replica_requests_per_s: 1.0,
            usd_per_replica_hour: 1.0,
            fixed_usd_per_month: 0.0,
            usd_per_request: 880.0 / MONTH_S,
        };
        assert!(near(load.own_usd_per_month(2.5), 2_190.0) && near(load.api_usd_per_month(2.0), 1_760.0));
        let crossings = load.crossings(0.1, 10.0);
        // Stair k is met at 0.82955 k; until the fourth, the next stair's edge lies above the line.
        let want = [0.82955, 1.0, 1.65909, 2.0, 2.48864, 3.0, 3.31818, 4.0, 4.14773];
        assert_eq!(crossings.len(), want.len(), "{crossings:?}");
        assert!(crossings.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-3), "{crossings:?}");
        // Each is where the sign changes.
        for at in &crossings {
            let sign = |v: f64| load.own_usd_per_month(v) < load.api_usd_per_month(v);
            assert_ne!(sign(at * 0.999), sign(at * 1.001), "{at}");
        }
        assert!(ConstantLoad { usd_per_request: 1e-9, ..load }.crossings(0.1, 10.0).is_empty());
        let dear = ConstantLoad { fixed_usd_per_month: 876.0, ..load };
        assert!(dear.crossings(0.1, 1.5).is_empty() && dear.crossings(0.1, 100.0)[0] > 1.5);
    }
}
