//! Lines of a monthly bill and their sum.
//!
//! May import: types. Must keep true: the total is the sum of the lines, each rounded at most once.
use crate::types::{Fault, NS_PER_S, SimTime, Usd};

/// Hours in a billing month.
pub const HOURS_PER_MONTH: u64 = 730;

/// A billing month as simulated time.
pub const MONTH: SimTime = SimTime::from_secs(HOURS_PER_MONTH * 3600);

/// What a line of the bill pays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// GPU hours of a pool, idle ones included.
    Gpu,
    /// Tokens bought from an endpoint, and units of one that are paid by the hour.
    Api,
    /// People who run the pools.
    People,
}

impl LineKind {
    /// Every kind, in the order of reports.
    pub const ALL: [LineKind; 3] = [LineKind::Gpu, LineKind::Api, LineKind::People];

    /// The name in summaries.
    pub fn name(self) -> &'static str {
        match self {
            LineKind::Gpu => "gpu",
            LineKind::Api => "api",
            LineKind::People => "people",
        }
    }
}

/// One line of a monthly bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// Name of the pool, endpoint or post ("people") that the line pays for.
    pub name: String,
    /// What the line pays for.
    pub kind: LineKind,
    /// Exact amount a month.
    pub usd_per_month: Usd,
}

/// A monthly bill: nothing but its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bill {
    /// The lines, in the order of the experiment file.
    pub lines: Vec<BillLine>,
}

impl Bill {
    /// The sum of the lines.
    pub fn total(&self) -> Usd {
        self.lines.iter().map(|line| line.usd_per_month).sum()
    }

    /// The sum of the lines of one kind.
    pub fn total_of(&self, kind: LineKind) -> Usd {
        self.lines.iter().filter(|line| line.kind == kind).map(|line| line.usd_per_month).sum()
    }
}

/// GPUs of a pool: replicas x GPUs a replica x rent x 730 h, idle hours included. Exact.
pub fn gpu_line(name: impl Into<String>, replicas: u32, gpus_per_replica: u32, rent_per_gpu_hour: Usd) -> BillLine {
    let gpus = u64::from(replicas) * u64::from(gpus_per_replica);
    let usd_per_month = rent_per_gpu_hour.times(gpus).times(HOURS_PER_MONTH);
    BillLine { name: name.into(), kind: LineKind::Gpu, usd_per_month }
}

/// GPUs that come and go: their time in a window x rent, idle time included, scaled to a month with one rounding, half to
/// even. GPUs that are held for the whole window cost what [`gpu_line`] says.
///
/// # Errors
/// A window of zero length says nothing about a month.
pub fn rented_line(
    name: impl Into<String>,
    gpu_ns: u128,
    window: SimTime,
    rent_per_gpu_hour: Usd,
) -> Result<BillLine, Fault> {
    let name = name.into();
    if window == SimTime::ZERO {
        return Err(Fault::at(name, "no time goes by, so the rent of GPUs cannot be scaled to a month"));
    }
    let usd_per_month = rent_per_gpu_hour.scaled(gpu_ns * u128::from(HOURS_PER_MONTH), window.0.into());
    Ok(BillLine { name, kind: LineKind::Gpu, usd_per_month })
}

/// Units bought by the hour at a provider: units x price x 730 h, idle hours included. Exact.
pub fn provisioned_line(name: impl Into<String>, units: u32, usd_per_unit_hour: Usd) -> BillLine {
    let usd_per_month = usd_per_unit_hour.times(units.into()).times(HOURS_PER_MONTH);
    BillLine { name: name.into(), kind: LineKind::Api, usd_per_month }
}

/// API spend of a window, scaled to a month with one rounding, half to even.
///
/// # Errors
/// A window of zero length (fewer than two arrival instants) says nothing about a month's spend.
pub fn api_line(name: impl Into<String>, spend: Usd, window: SimTime) -> Result<BillLine, Fault> {
    let name = name.into();
    let usd_per_month = match (spend, window) {
        (Usd::ZERO, _) => Usd::ZERO,
        (_, SimTime::ZERO) => {
            let what = "all requests arrive at one instant, so the spend cannot be scaled to a month";
            return Err(Fault::at(name, what));
        }
        _ => spend.scaled(u128::from(MONTH.0), u128::from(window.0)),
    };
    Ok(BillLine { name, kind: LineKind::Api, usd_per_month })
}

/// People: a full-time person's loaded yearly cost x thousandths of a full-time post / 12, rounded once.
pub fn people_line(yearly: Usd, fte_thousandths: u32) -> BillLine {
    BillLine {
        name: "people".into(),
        kind: LineKind::People,
        usd_per_month: yearly.scaled(u128::from(fte_thousandths), 12_000),
    }
}

/// On-call pay: yearly / 12, rounded once.
pub fn on_call_line(yearly: Usd) -> BillLine {
    BillLine { name: "on-call".into(), kind: LineKind::People, usd_per_month: yearly.scaled(1, 12) }
}

/// US dollars a million completed tokens: the `served` time's part of what is paid a month whatever is sent, and what was
/// spent on calls, over the tokens of that time; each part is rounded once. `None` when nothing completed.
pub fn usd_per_million(fixed_month: Usd, spend: Usd, completed_tokens: u64, served: SimTime) -> Option<Usd> {
    // fixed * (served / month) / tokens * 1e6, with the 1e6 cancelled against the month so that i128 cannot overflow.
    const MONTH_NS_OVER_A_MILLION: u128 = HOURS_PER_MONTH as u128 * 3600 * NS_PER_S as u128 / 1_000_000;
    (completed_tokens > 0 && served > SimTime::ZERO).then(|| {
        let fixed = fixed_month.scaled(served.0.into(), MONTH_NS_OVER_A_MILLION * u128::from(completed_tokens));
        fixed + spend.scaled(1_000_000, completed_tokens.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        Usd::parse(text).unwrap()
    }

    #[test]
    fn gpu_hours_are_exact() {
        let line = gpu_line("chat", 2, 4, usd("6.88"));
        assert_eq!(line.usd_per_month, usd("40179.2"));
        assert_eq!(gpu_line("chat", 0, 8, usd("6.88")).usd_per_month, Usd::ZERO);
        assert_eq!(gpu_line("tiny", 3, 1, Usd(1)).usd_per_month, Usd(2190));
    }

    #[test]
    fn gpus_that_come_and_go_are_rented_for_their_time() {
        let hour = SimTime::from_secs(3_600);
        let line = |gpu_ns, window| rented_line("chat", gpu_ns, window, usd("2.5")).unwrap().usd_per_month;
        let of_hour = u128::from(hour.0);
        assert_eq!(line(8 * of_hour, hour), gpu_line("chat", 2, 4, usd("2.5")).usd_per_month);
        assert_eq!(line(of_hour / 2, hour), usd("912.5"), "one GPU for half of the window");
        assert_eq!(line(1, MONTH), Usd(1), "2.5 US$ an hour are 0.69 pico-dollars a nanosecond");
        let year = SimTime::from_secs(366 * 86_400);
        assert_eq!(line(4_096 * u128::from(year.0), year), gpu_line("chat", 512, 8, usd("2.5")).usd_per_month);
        assert!(rented_line("chat", 1, SimTime::ZERO, usd("1")).unwrap_err().what.contains("no time goes by"));
    }

    #[test]
    fn provisioned_units_cost_their_hours() {
        let line = provisioned_line("ptu", 100, usd("1"));
        assert_eq!((line.kind, line.usd_per_month), (LineKind::Api, usd("73000")));
    }

    #[test]
    fn api_spend_scales_once_half_to_even() {
        let day = SimTime::from_secs(86_400);
        assert_eq!(api_line("a", usd("12"), day).unwrap().usd_per_month, usd("365"));
        assert_eq!(api_line("a", usd("1"), MONTH).unwrap().usd_per_month, usd("1"));
        let two_months = SimTime(MONTH.0 * 2);
        assert_eq!(api_line("a", Usd(5), two_months).unwrap().usd_per_month, Usd(2));
        assert_eq!(api_line("a", Usd(7), two_months).unwrap().usd_per_month, Usd(4));
        assert!(api_line("a", Usd(1), SimTime::ZERO).unwrap_err().what.contains("one instant"));
        assert_eq!(api_line("a", Usd::ZERO, SimTime::ZERO).unwrap().usd_per_month, Usd::ZERO);
        // A billion dollars in one hour still fits.
        assert_eq!(
            api_line("a", usd("1000000000"), SimTime::from_secs(3600)).unwrap().usd_per_month,
            usd("730000000000")
        );
    }

    #[test]
    fn people_and_on_call_are_a_twelfth_of_the_year() {
        assert_eq!(people_line(usd("180000"), 500).usd_per_month, usd("7500"));
        assert_eq!(people_line(usd("100"), 1000).usd_per_month, usd("8.333333333333"));
        assert_eq!(on_call_line(usd("24000")).usd_per_month, usd("2000"));
    }

    #[test]
    fn bill_exact_total_is_the_sum_of_its_lines() {
        let mut bill =
            Bill { lines: vec![gpu_line("chat", 1, 1, usd("2.499999999999")), people_line(usd("100"), 333)] };
        bill.lines.push(api_line("api", usd("0.000000000001"), SimTime::from_secs(7)).unwrap());
        bill.lines.push(on_call_line(usd("1")));
        let by_kind: Usd = LineKind::ALL.into_iter().map(|kind| bill.total_of(kind)).sum();
        assert_eq!(by_kind, bill.total());
        assert_eq!(bill.total_of(LineKind::Gpu), usd("1824.99999999927"));
        assert_eq!(bill.total().0, bill.lines.iter().map(|l| l.usd_per_month.0).sum::<i128>());
        assert_eq!(Bill::default().total(), Usd::ZERO);
    }

    #[test]
    fn dollars_a_million_tokens_take_the_windows_part_of_the_bill() {
        // 730 US$ a month is 1 US$ an hour; 2 M tokens in that hour cost 0.5 US$ a million.
        let hour = SimTime::from_secs(3600);
        assert_eq!(usd_per_million(usd("730"), Usd::ZERO, 2_000_000, hour), Some(usd("0.5")));
        assert_eq!(usd_per_million(usd("730"), usd("3"), 2_000_000, hour), Some(usd("2")));
        assert_eq!(usd_per_million(usd("730"), Usd::ZERO, 0, hour), None);
        assert_eq!(usd_per_million(usd("730"), Usd::ZERO, 5, SimTime::ZERO), None);
        assert_eq!(usd_per_million(usd("1000000000"), Usd::ZERO, 1_000_000, MONTH), Some(usd("1000000000")));
        // Buying tokens only: the scaled spend gives back the price.
        assert_eq!(usd_per_million(Usd::ZERO, usd("3.75"), 2_500_000, SimTime::from_secs(7200)), Some(usd("1.5")));
    }
}
