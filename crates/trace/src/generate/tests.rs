//! Every kind of arrivals, lengths and sharing against what it is defined by.
use super::*;
use crate::{Closed, ClosedPlay, Figures};
use baseload_core::types::{Content, Outcome, Source};
use rustc_hash::FxHashMap;

fn entries(text: &str, options: &SourceOptions) -> Vec<Entry> {
    let spec = GenerateSpec::parse(text, "s.toml").unwrap();
    crate::collect(&mut Generator::new(&spec, options).unwrap()).unwrap()
}

fn times_s(arrivals: &str, requests: u64) -> Vec<f64> {
    let text = format!("requests = {requests}\nprompt.constant = 9\noutput.constant = 9\n[arrivals]\n{arrivals}\n");
    entries(&text, &SourceOptions::default()).iter().map(|e| e.at_ns as f64 / 1e9).collect()
}

fn cv(times: &[f64]) -> f64 {
    let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let squares = gaps.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / gaps.len() as f64;
    libm::sqrt(squares) / mean
}

#[test]
fn renewal_processes_have_their_rate_and_cv() {
    for (process, want) in [
        ("\"constant\"", 0.0),
        ("\"poisson\"", 1.0),
        ("{ gamma = { cv = 2.0 } }", 2.0),
        ("{ weibull = { cv = 0.5 } }", 0.5),
    ] {
        let times = times_s(&format!("process = {process}\nrate = [{{ at = \"0s\", per_s = 4.0 }}]"), 40_000);
        assert!((times[times.len() - 1] / 10_000.0 - 1.0).abs() < 0.03, "{process}");
        assert!((cv(&times) - want).abs() < 0.04 * want.max(0.1), "{process}: {}", cv(&times));
    }
}

#[test]
fn a_rate_repeats_by_the_day_in_lines_or_steps() {
    let rate =
        "rate = [{ at = \"0s\", per_s = 1.0 }, { at = \"12h\", per_s = 5.0 }]\nperiod = \"24h\"\ndays = [1.0, 0.5]\n";
    for (steps, halves) in [(false, [3.0, 3.0, 1.5, 1.5]), (true, [1.0, 5.0, 0.5, 2.5])] {
        let times = times_s(&format!("{rate}steps = {steps}"), 900_000);
        let mut counts = [0u32; 8];
        times.iter().filter(|t| **t < 4.0 * 86_400.0).for_each(|t| counts[(t / 43_200.0) as usize] += 1);
        for (i, count) in counts.iter().enumerate() {
            let want = halves[i % 4] * 43_200.0;
            assert!((f64::from(*count) - want).abs() < 6.0 * libm::sqrt(want), "{steps} {i}: {count} {want}");
        }
    }
}

#[test]
fn a_modulated_process_is_in_its_states_as_long_as_they_say() {
    let states = "states = [{ per_s = 1.0, stay = \"90s\" }, { per_s = 11.0, stay = \"30s\" }]";
    let times = times_s(states, 200_000);
    let rate = times.len() as f64 / times[times.len() - 1];
    assert!((rate - (1.0 * 90.0 + 11.0 * 30.0) / 120.0).abs() < 0.15, "{rate}");
    // Counts of an interrupted process are over-dispersed; those of Poisson arrivals have an index of 1.
    let mut counts = vec![0.0f64; (times[times.len() - 1] / 10.0) as usize];
    let last = counts.len();
    times.iter().filter(|t| ((**t / 10.0) as usize) < last).for_each(|t| counts[(t / 10.0) as usize] += 1.0);
    let mean = counts.iter().sum::<f64>() / last as f64;
    let dispersion = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / last as f64 / mean;
    assert!(dispersion > 10.0, "{dispersion}");
}

#[test]
fn windows_have_their_numbers_their_cv_and_fixed_ends() {
    let text = "[arrivals.windows]\nwidth = \"100s\"\nrequests = [4000, 0, 1, 3000]\ncv = [2.0, 1.0, 1.0, 0.5]\n";
    for family in ["", "family = \"weibull\"\n"] {
        let times = times_s(&format!("{text}{family}"), 99_999);
        let count = |w: usize| times.iter().filter(|t| **t >= 100.0 * w as f64 && **t < 100.0 * (w + 1) as f64).count();
        assert_eq!((times.len(), count(0), count(1), count(2)), (7001, 4000, 0, 1));
        assert_eq!((times[0], times[7000]), (0.0, 400.0));
        let off = if family.is_empty() { 0.1 } else { 0.35 };
        assert!((cv(&times[..4000]) - 2.0).abs() < off && (cv(&times[4001..]) - 0.5).abs() < off, "{family}");
    }
    let even = times_s("[arrivals.windows]\nwidth = \"10s\"\nrequests = [5]\ngaps = [[0.0, 1.0], [1.0, 1.0]]", 9);
    assert_eq!(even, [0.0, 2.5, 5.0, 7.5, 10.0]);
    let rates = times_s(
        "[arrivals.windows]\nwidth = \"1000s\"\nper_s = [0.0, 8.0, 0.0, 2.0]\ncv = [1.0, 1.5, 1.0, 1.0]",
        99_999,
    );
    let between = |a: f64, b: f64| rates.iter().filter(|t| **t >= a && **t < b).count() as f64;
    assert!((between(1000.0, 2000.0) - 8000.0).abs() < 800.0 && (between(3000.0, 4000.0) - 2000.0).abs() < 250.0);
    assert_eq!(between(0.0, 1000.0) + between(2000.0, 3000.0) + between(4000.0, 1e9), 0.0);
}

#[test]
fn a_bench_sends_as_vllm_does() {
    let times = times_s("bench = { rate = 10.0, burstiness = 0.25 }", 4000);
    assert!((times[3999] - 400.0).abs() < 1e-6 && times[0] > 0.0, "the last is at requests / rate");
    assert!((cv(&times) - 2.0).abs() < 0.15);
    assert_eq!(times_s("bench = { rate = inf }", 3), [0.0, 0.0, 0.0]);
    assert_eq!(times_s("bench = { rate = 4.0, burstiness = inf }", 3), [0.25, 0.5, 0.75]);
    let linear = times_s("bench = { burstiness = inf, ramp = { shape = \"linear\", from = 1.0, to = 4.0 } }", 4);
    let sum = |gaps: [f64; 4]| {
        gaps.iter()
            .scan(0.0, |at, g| {
                *at += 1.0 / g;
                Some(*at)
            })
            .collect::<Vec<f64>>()
    };
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| (x - y).abs() < 2e-9);
    assert!(near(&linear, &sum([1.0, 2.0, 3.0, 4.0])), "{linear:?}");
    let grown = times_s("bench = { burstiness = inf, ramp = { shape = \"exponential\", from = 1.0, to = 8.0 } }", 4);
    assert!(near(&grown, &sum([1.0, 2.0, 4.0, 8.0])), "{grown:?}");
}

#[test]
fn lengths_have_their_laws() {
    let head = "requests = 20000\noutput.constant = 9\n[arrivals]\nrate = [{ at = \"0s\", per_s = 9.0 }]\n[prompt]\n";
    let quantile = |law: &str, percent: usize| {
        let mut all: Vec<u32> =
            entries(&format!("{head}{law}\n"), &SourceOptions::default()).iter().map(|e| e.prompt_tokens).collect();
        all.sort_unstable();
        all[all.len() * percent / 100]
    };
    let near = |got: u32, want: f64| assert!((f64::from(got) - want).abs() < 0.05 * want + 1.0, "{got} {want}");
    for even in ["", "\neven = 1000"] {
        near(quantile(&format!("uniform = [100, 300]{even}"), 25), 150.0);
        near(quantile(&format!("median = 500.0\np95 = 2000.0\nmax = 9000{even}"), 95), 2000.0);
        near(quantile(&format!("pareto_shape = 1.0\nmin = 100\nmax = 100000{even}"), 90), 1000.0);
        near(quantile(&format!("quantiles = [[0.0, 10], [0.5, 10], [0.5, 400], [1.0, 800]]{even}"), 75), 600.0);
        near(quantile(&format!("quantiles = [[0.0, 10], [0.5, 10], [0.5, 400], [1.0, 800]]{even}"), 40), 10.0);
        near(quantile(&format!("table = [[7, 1.0], [70, 3.0]]{even}"), 20), 7.0);
        near(quantile(&format!("table = [[7, 1.0], [70, 3.0]]{even}"), 30), 70.0);
        // Weights 1, 1/2, 1/3: shares 6/11, 3/11, 2/11.
        near(quantile(&format!("zipf_s = 1.0\nmin = 5\nmax = 7{even}"), 50), 5.0);
        near(quantile(&format!("zipf_s = 1.0\nmin = 5\nmax = 7{even}"), 70), 6.0);
    }
}

#[test]
fn prompt_and_output_hang_together_as_asked() {
    for wanted in [-0.7, 0.5] {
        let text = format!(
            "requests = 20000\n[arrivals]\nrate = [{{ at = \"0s\", per_s = 9.0 }}]\n[joint]\nrank_correlation = {wanted}\n\
            [prompt]\nuniform = [1, 100000]\n[output]\nmedian = 3000.0\nsigma = 1.0\nmax = 900000\n"
        );
        let all = entries(&text, &SourceOptions::default());
        let got = crate::fit::rank_correlation(all.iter().map(|e| (e.prompt_tokens, e.output_tokens)));
        assert!((got - wanted).abs() < 0.02, "{wanted} {got}");
    }
}

const TALKS: &str = "requests = 4000\nprompt = { uniform = [200, 400] }\noutput = { uniform = [20, 80] }\n\
    arrivals.rate = [{ at = \"0s\", per_s = 0.5 }]\n[sessions]\nturns = { uniform = [1, 9] }\n\
    think_ms = { uniform = [1000, 5000] }\ngrow = { uniform = [10, 90] }\nreset = 0.05\nbranch = 0.05\n";

#[test]
fn a_turn_repeats_its_session_and_what_it_adds_is_new() {
    let all = entries(TALKS, &SourceOptions::default());
    assert!(all.windows(2).all(|w| w[0].at_ns <= w[1].at_ns) && all.len() == 4000);
    let mut last: FxHashMap<u64, (u32, Content)> = FxHashMap::default();
    let (mut grown, mut others) = (0, 0);
    for entry in &all {
        let whole = Content::from(entry.prompt().collect::<Vec<_>>());
        if let Some((answer, before)) = last.get(&entry.session) {
            assert!(entry.think_ns.is_some_and(|t| (1_000_000_000..=5_000_000_000).contains(&t)));
            let shared = whole.shared_prefix(before);
            let named: u64 = entry.content.iter().map(|r| u64::from(r.len)).sum();
            if named > shared {
                grown += 1;
                assert_eq!(
                    (shared, named),
                    (before.tokens(), before.tokens() + u64::from(*answer)),
                    "the answer is repeated, the rest is new"
                );
            } else {
                others += 1;
                assert_eq!(named, shared, "a reset or a branch repeats some earlier prompt and nothing more");
            }
        } else {
            assert!(entry.think_ns.is_none() && entry.content.is_empty());
        }
        last.insert(entry.session, (entry.output_tokens, whole));
    }
    let share = f64::from(others) / f64::from(grown + others);
    assert!((0.05..0.15).contains(&share), "{share}");
}

#[test]
fn sessions_play_the_same_prompts_in_a_closed_loop() {
    let options = SourceOptions { limit: Some(500), ..SourceOptions::default() };
    let spec = GenerateSpec::parse(&TALKS.replace("reset = 0.05\nbranch = 0.05\n", ""), "s.toml").unwrap();
    let mut open = Generator::source(&spec, &options).unwrap();
    let mut prompts: FxHashMap<u64, Content> = FxHashMap::default();
    while open.peek().unwrap().is_some() {
        let request = open.next();
        prompts.insert(request.index, request.content);
    }
    let play = ClosedPlay::Sessions { think: None };
    let entries = Box::new(Generator::new(&spec, &options).unwrap());
    let mut closed = Closed::new(entries, &play, &options).unwrap();
    let mut seen = 0;
    while let Some(at) = closed.peek().unwrap() {
        let request = closed.next();
        assert_eq!(request.content, prompts[&request.index], "{}", request.index);
        closed.finished(request.session, at, Outcome::Completed);
        seen += 1;
    }
    assert_eq!(seen, 500);
}

#[test]
fn what_is_reused_is_what_an_infinite_cache_holds() {
    let text = "requests = 5000\nprompt = { uniform = [100, 4000] }\noutput.constant = 5\n\
        arrivals.rate = [{ at = \"0s\", per_s = 9.0 }]\n[reuse]\nblock = 16\nbase_tokens = 96\nhistory = 300\n\
        bins = [{ up_to = 4000, none = 0.2, base = 0.3, fraction = [[0.0, 0.5], [1.0, 0.9]] }]\n";
    let spec = GenerateSpec::parse(text, "s.toml").unwrap();
    let figures = Figures::of(&mut Generator::new(&spec, &SourceOptions::default()).unwrap()).unwrap();
    let want = (0.3 * 96.0 + 0.5 * 0.7 * 2050.0) / 2050.0;
    assert!((figures.hit_ratio.unwrap() - want).abs() < 0.01, "{} {want}", figures.hit_ratio.unwrap());
}

#[test]
fn clients_send_side_by_side_and_one_more_moves_nothing() {
    let head = "requests = 3000\n";
    let client = |per_s: f64, prompt: u32| {
        format!(
            "[[clients]]\narrivals.rate = [{{ at = \"0s\", per_s = {per_s:.1} }}]\nprompt = {{ uniform = [1, {prompt}] }}\noutput.constant = 3\n"
        )
    };
    let two = entries(&format!("{head}{}{}", client(1.0, 50), client(3.0, 70)), &SourceOptions::default());
    let three =
        entries(&format!("{head}{}{}{}", client(1.0, 50), client(3.0, 70), client(2.0, 90)), &SourceOptions::default());
    assert!(two.windows(2).all(|w| w[0].at_ns <= w[1].at_ns && w[0].id + 1 == w[1].id));
    let of = |all: &[Entry], tenant: u32| {
        all.iter().filter(|e| e.tenant == tenant).map(|e| (e.at_ns, e.prompt_tokens)).take(200).collect::<Vec<_>>()
    };
    assert_eq!(of(&two, 0), of(&three, 0));
    assert_eq!(of(&two, 1), of(&three, 1));
    assert_ne!(of(&two, 0), of(&two, 1));
    let share = two.iter().filter(|e| e.tenant == 1).count() as f64 / 3000.0;
    assert!((share - 0.75).abs() < 0.04, "{share}");
}

#[test]
fn what_a_specification_may_not_say_is_refused_with_its_line() {
    let arrivals = "arrivals.rate = [{ at = \"0s\", per_s = 1.0 }]\n";
    let cases = [
        ("requests = 1\nprompt.constant = 1\noutput.constant = 1\n".to_string(), "s.toml:1: `rate` needs"),
        (format!("requests = 1\n{arrivals}prompt.constant = 1\noutput.uniform = [9, 2]\n"), "s.toml:1: `output` needs `uniform"),
        (format!("requests = 1\n{arrivals}prompt.constant = 1\n[output]\nmedian = 4.0\ntable = [[1, 1.0]]\n"), "s.toml:4: `output` says two laws"),
        (format!("requests = 1\n{arrivals}output.constant = 1\n[prompt]\nquantiles = [[0.0, 5], [0.9, 7]]\n"), "s.toml:4: `prompt` needs quantiles"),
        ("requests = 1\nprompt.constant = 1\noutput.constant = 1\n[arrivals]\nbench = { rate = -1.0 }\n".into(), "s.toml:5: `bench` needs"),
        ("prompt.constant = 1\noutput.constant = 1\n[arrivals.windows]\nwidth = \"1s\"\nrequests = [1, 2]\ncv = [1.0]\n".into(), "s.toml:6: `cv` needs"),
        (format!("requests = 1\n{arrivals}prompt.constant = 1\noutput.constant = 1\n[joint]\nrank_correlation = 2.0\n"), "s.toml:6: `rank_correlation`"),
        (format!("requests = 1\n{arrivals}prompt.constant = 1\noutput.constant = 1\n[sessions]\nturns.constant = 2\n"), "s.toml:5: `sessions` needs `grow`"),
        (format!("requests = 1\n{arrivals}prompt.constant = 1\noutput.constant = 1\n[reuse]\nblock = 0\nbins = []\n"), "s.toml:5: `reuse` needs"),
        ("servegen = { path = \"x\", total_per_s = 0.0 }\n".into(), "s.toml:1: `total_per_s`"),
    ];
    for (text, want) in cases {
        let error = GenerateSpec::parse(&text, "s.toml").unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}\nwanted {want}");
    }
}

#[test]
fn specifications_that_are_shipped_generate() {
    for (name, text) in [
        ("azure-conv-2023", include_str!("../../../../traces/azure-conv-2023.toml")),
        ("mooncake-conversation", include_str!("../../../../traces/mooncake-conversation.toml")),
        ("servegen-deepseek-r1", include_str!("../../../../traces/servegen-deepseek-r1.toml")),
        ("claude-code", include_str!("../../../../traces/claude-code.toml")),
        ("lmcache-magagent", include_str!("../../../../traces/lmcache-magagent.toml")),
        ("lmcache-miniswe", include_str!("../../../../traces/lmcache-miniswe.toml")),
        ("lmcache-taubench", include_str!("../../../../traces/lmcache-taubench.toml")),
    ] {
        let spec = GenerateSpec::parse(text, name).unwrap();
        assert!(text.len() < 200_000 && text.contains("licence"), "{name}");
        let stats = Figures::first(&mut Generator::new(&spec, &SourceOptions::default()).unwrap(), 2000).unwrap();
        assert!(stats.requests >= 402 && stats.prompt_tokens.p50 > 50, "{name}: {stats:?}");
    }
}
