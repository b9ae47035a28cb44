//! Transforms on drawn and on hand-made entries.
use super::*;
use crate::{GenerateSpec, Generator, Held, SourceOptions, collect};
use baseload_core::types::Clock;
use baseload_core::types::NO_SESSION;
use baseload_core::types::TraceFault;

fn entry(id: u64, at_ns: i64, prompt: u32, output: u32) -> Entry {
    Entry { id, at_ns, prompt_tokens: prompt, output_tokens: output, ..Entry::blank() }
}

#[derive(Deserialize)]
struct File {
    transform: Vec<Transform>,
}

fn parsed(toml: &str) -> Vec<Transform> {
    toml::from_str::<File>(toml).unwrap().transform
}

fn try_apply(all: Vec<Entry>, clock: Clock, toml: &str) -> Result<Vec<Entry>, TraceFault> {
    let file: File = toml::from_str(toml).map_err(|e| e.to_string())?;
    // What is written back says the same.
    for t in &file.transform {
        let again: Transform = toml::from_str(&toml::to_string(t).unwrap()).unwrap();
        assert_eq!(&again, t);
    }
    let classes = ["private".to_string(), "hard".to_string()];
    let other = vec![entry(0, 5, 9, 9), entry(1, 1_000_000_005, 9, 9)];
    let mut open = |_: &str| -> Result<Box<dyn Entries>, TraceFault> {
        Ok(Box::new(Held::new(other.clone(), Clock::Common, "given", Vec::new())))
    };
    let mut context = Context { seed: 7, replicate: 0, classes: Classes::known(&classes), open: &mut open };
    let given: Box<dyn Entries> = Box::new(Held::new(all, clock, "given", Vec::new()));
    collect(&mut *apply(given, &file.transform, &mut context)?)
}

fn transformed(all: Vec<Entry>, toml: &str) -> Vec<Entry> {
    let made = try_apply(all, Clock::Common, toml).unwrap();
    let ids: std::collections::BTreeSet<u64> = made.iter().map(|e| e.id).collect();
    assert_eq!(ids.len(), made.len(), "numbers stay unique");
    assert!(made.windows(2).all(|w| w[0].at_ns <= w[1].at_ns), "time stays in order");
    for e in &made {
        assert!(e.content.iter().map(|r| u64::from(r.len)).sum::<u64>() <= u64::from(e.prompt_tokens));
    }
    made
}

/// Bursty requests of two hours with a ramp, at about 3 a second, some with a shared prefix.
fn bursty() -> Vec<Entry> {
    let text = "duration = \"2h\"\nprompt = { median = 100, p95 = 400, max = 4000 }\n\
        output = { median = 50, sigma = 0.5, max = 500 }\n[arrivals]\nprocess.gamma.cv = 3.0\n\
        rate = [{ at = \"0s\", per_s = 2.0 }, { at = \"2h\", per_s = 4.0 }]\n\
        [prefixes]\ncount = 3\ntokens = 50\nshare = 0.5\n";
    let spec = GenerateSpec::parse(text, "s.toml").unwrap();
    collect(&mut Generator::new(&spec, &SourceOptions::default()).unwrap()).unwrap()
}

/// Coefficient of variation of the gaps, each divided by the mean rate of the ramp at its place.
fn cv(all: &[Entry]) -> f64 {
    let gaps: Vec<f64> =
        all.windows(2).map(|w| (w[1].at_ns - w[0].at_ns) as f64 * (2.0 + 2.0 * w[0].at_ns as f64 / 7.2e12)).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let square = gaps.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / gaps.len() as f64;
    libm::sqrt(square) / mean
}

fn in_half(all: &[Entry], second: bool) -> usize {
    all.iter().filter(|e| (e.at_ns >= 3_600_000_000_000) == second).count()
}

#[test]
fn another_rate_keeps_the_bursts_and_the_ramp() {
    let all = bursty();
    let before = cv(&all);
    assert!((2.7..3.3).contains(&before), "{before}");
    let ways = [
        ("scale_rate = { times = 3 }", 3.0),
        ("scale_rate = { times = 0.3 }", 0.3),
        ("thin = { share = 0.25 }", 0.25),
        ("scale_rate = { times = 1.7 }", 1.7),
    ];
    for (way, times) in ways {
        let made = transformed(all.clone(), &format!("transform = [{{ {way} }}]"));
        let want = all.len() as f64 * times;
        assert!((made.len() as f64 - want).abs() <= 2.0, "{way}: {} of {want}", made.len());
        assert!((cv(&made) / before - 1.0).abs() < 0.08, "{way}: {} was {before}", cv(&made));
        let (was, is) =
            (in_half(&all, true) as f64 / all.len() as f64, in_half(&made, true) as f64 / made.len() as f64);
        assert!((was - is).abs() < 0.02, "{way}: {is} was {was}");
    }
    // Each request for itself makes gaps more regular, as its doc says.
    let thin = transformed(all, "transform = [{ thin = { share = 0.25, by = \"request\" } }]");
    let want = libm::sqrt(0.25 * before * before + 0.75);
    assert!((cv(&thin) / want - 1.0).abs() < 0.08, "{} {want}", cv(&thin));
}

#[test]
fn a_spike_and_a_curve_change_the_rate_where_they_say() {
    let all = bursty();
    let count = |v: &[Entry], from: i64, to: i64| {
        v.iter().filter(|e| (from * 1_000_000_000..to * 1_000_000_000).contains(&e.at_ns)).count() as f64
    };
    let made = transformed(all.clone(), "transform = [{ spike = { at = \"30m\", duration = \"10m\", times = 4 } }]");
    assert!((count(&made, 1_800, 2_400) / count(&all, 1_800, 2_400) - 4.0).abs() < 0.02);
    for (from, to) in [(0, 1_800), (2_400, 7_200)] {
        assert_eq!(count(&made, from, to), count(&all, from, to));
    }
    let silent = transformed(all.clone(), "transform = [{ spike = { at = \"30m\", duration = \"10m\", times = 0 } }]");
    assert_eq!(count(&silent, 1_800, 2_400), 0.0);
    let curve = "transform = [{ diurnal = { amplitude = 0.8, period = \"2h\", peak_at = \"30m\" } }]";
    let made = transformed(all.clone(), curve);
    let ratio = |from, to| count(&made, from, to) / count(&all, from, to);
    // The mean of 1 + 0.8 cos over the hour around the peak is 1 + 0.8 * 2 / pi.
    let swing = 0.8 * 2.0 / std::f64::consts::PI;
    assert!((ratio(0, 3_600) - 1.0 - swing).abs() < 0.05, "{}", ratio(0, 3_600));
    assert!((ratio(3_600, 7_200) - 1.0 + swing).abs() < 0.05, "{}", ratio(3_600, 7_200));
}

#[test]
fn slices_are_cut_by_time_and_by_count() {
    let all: Vec<Entry> = (0..10).map(|i| entry(i, 1_000 + i as i64 * 1_000_000_000, 5, 5)).collect();
    let ids = |toml: &str| transformed(all.clone(), toml).iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(ids("transform = [{ slice = { from = \"2s\", to = \"5s\" } }]"), [2, 3, 4]);
    assert_eq!(ids("transform = [{ slice = { from = \"2s\", skip = 1, take = 2 } }]"), [3, 4]);
    assert_eq!(ids("transform = [{ slice = { skip = 8 } }, { slice = { take = 1 } }]"), [8]);
    let none =
        try_apply(all.clone(), Clock::Common, "transform = [{ slice = { from = \"1h\" } }]").unwrap_err().to_string();
    assert!(none.contains("the slice has no requests"), "{none}");
}

#[test]
fn copies_add_up_bursts_and_have_prompts_of_their_own() {
    let all = bursty();
    let own = transformed(all.clone(), "transform = [{ superpose = { copies = 3, shift = \"2s\" } }]");
    assert_eq!(own.len(), 3 * all.len());
    let names = |v: &[Entry]| {
        let named = v.iter().flat_map(|e| &e.content).filter(|r| matches!(r.id, ContentId::Named(_)));
        named.map(|r| r.id).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((names(&all), names(&own)), (3, 9));
    let same = transformed(all.clone(), "transform = [{ superpose = { copies = 3, same_content = true } }]");
    assert_eq!(names(&same), 3);
    // Bursts longer than the shift add up: the dispersion of counts in 10 s grows with the copies.
    let dispersion = |v: &[Entry]| {
        let mut counts = vec![0.0; 721];
        v.iter().for_each(|e| counts[(e.at_ns / 10_000_000_000) as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / 720.0;
        counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / 720.0 / mean
    };
    assert!(dispersion(&own) > 2.2 * dispersion(&all), "{} {}", dispersion(&own), dispersion(&all));
    let merged = transformed(
        vec![entry(0, 0, 5, 5), entry(1, 500_000_000, 5, 5)],
        "transform = [{ superpose = { with = \"x\" } }]",
    );
    assert_eq!(
        merged.iter().map(|e| (e.at_ns, e.prompt_tokens)).collect::<Vec<_>>(),
        [(0, 5), (0, 9), (500_000_000, 5), (1_000_000_000, 9)]
    );
}

#[test]
fn a_trace_is_repeated_to_a_length() {
    let all: Vec<Entry> = (0..3).map(|i| Entry { session: 4, ..entry(i, 7 + i as i64 * 1_000, 5, 5) }).collect();
    let made = transformed(all.clone(), "transform = [{ repeat = { requests = 8 } }]");
    assert_eq!(made.iter().map(|e| e.at_ns).collect::<Vec<_>>(), [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
    assert!(made[0].session == 4 && made[3].session != 4 && made[3].session == made[5].session);
    let short = transformed(all, "transform = [{ repeat = { duration = \"4us\" } }]");
    assert_eq!(short.len(), 4);
}

#[test]
fn lengths_tenants_and_classes_follow_their_rules() {
    let mut all = bursty();
    all[0].content = vec![Run { id: ContentId::Named(1), start: 0, len: all[0].prompt_tokens }];
    all[1].output_tokens = 0;
    let toml = "transform = [{ tokens = { prompt = { times = 0.5, max = 200 }, output = { min = 10 } } },\n\
        { tenants = { shares = [3, 1] } }, { class = { to = \"hard\", prompt_at_least = 100 } },\n\
        { class = { to = \"private\", tenants = [2], share = 0.5 } }]";
    let made = transformed(all.clone(), toml);
    for (a, b) in all.iter().zip(&made) {
        assert_eq!(b.prompt_tokens, ((f64::from(a.prompt_tokens) * 0.5).round() as u32).clamp(1, 200));
        assert!(b.output_tokens >= 10 || a.output_tokens == 0);
        let hard = b.prompt_tokens >= 100;
        assert!(if hard { b.class != u16::MAX } else { b.class != 1 });
        assert!(b.class != 0 || b.tenant == 2);
    }
    let share = made.iter().filter(|e| e.tenant == 1).count() as f64 / made.len() as f64;
    assert!((share - 0.75).abs() < 0.01, "{share}");
    let private = made.iter().filter(|e| e.class == 0).count() as f64 / made.len() as f64;
    assert!((private - 0.125).abs() < 0.01, "{private}");
}

#[test]
fn anonymised_entries_keep_what_they_share_and_nothing_else() {
    let run = |id| Run { id, start: 0, len: 3 };
    let mut all = vec![entry(900, 12_345, 7, 3), entry(77, 2_000_012_345, 9, 5), entry(5, 2_500_000_000, 9, 5)];
    all[0].content = vec![run(ContentId::Named(123))];
    all[1].content = vec![run(ContentId::Named(123)), run(ContentId::Output(900))];
    all[2].content = vec![run(ContentId::Named(9))];
    (all[0].session, all[1].session, all[0].tenant, all[1].tenant) = (55, 55, 8, 3);
    let made = transformed(all, "transform = [{ anonymise = { time = \"1s\", tokens = 8 } }]");
    assert_eq!(
        made.iter().map(|e| (e.id, e.at_ns, e.prompt_tokens)).collect::<Vec<_>>(),
        [(0, 0, 8), (1, 2_000_000_000, 16), (2, 2_000_000_000, 16)]
    );
    assert_eq!(made[1].content, [run(ContentId::Named(0)), run(ContentId::Output(0))]);
    assert_eq!(made[2].content, [run(ContentId::Named(1))]);
    assert_eq!(made.iter().map(|e| e.session).collect::<Vec<_>>(), [0, 0, NO_SESSION]);
    assert_eq!(made.iter().map(|e| e.tenant).collect::<Vec<_>>(), [1, 2, 0]);
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place() {
    let cases = [
        ("{ thin = { share = 0 } }", "[0].thin.share: it is 0; it must be above 0"),
        ("{ thin = { share = 0.5, by = \"requests\" } }", "unknown variant"),
        (
            "{ slice = { take = 1 } }, { scale_rate = { times = -1 } }",
            "[1].scale_rate.times: it is -1; it must be a number above 0",
        ),
        ("{ slice = { from = \"5s\", to = \"5s\" } }", "[0].slice.to: it is not after from"),
        ("{ slice = { until = \"5s\" } }", "unknown field"),
        ("{ superpose = {} }", "[0].superpose: it lays nothing over the trace; give copies"),
        ("{ repeat = {} }", "[0].repeat: nothing ends it; give requests"),
        ("{ tokens = { prompt = { times = 0 } } }", "[0].tokens.prompt.times: it is 0"),
        (
            "{ tokens = { output = { min = 9, max = 8 } } }",
            "[0].tokens.output.max: it is 8; it must be at least min, 9",
        ),
        ("{ tenants = { shares = [] } }", "[0].tenants.shares: it is []; it must be a number from 0 for each tenant"),
        ("{ class = { to = \"nope\" } }", "[0].class.to: class `nope` is not in the experiment"),
        ("{ spike = { at = \"1s\", duration = \"0s\", times = 2 } }", "[0].spike.duration: it is 0; a spike lasts"),
        ("{ diurnal = { amplitude = 1.5 } }", "[0].diurnal.amplitude: it is 1.5"),
        ("{ anonymise = { tokens = 0 } }", "[0].anonymise.tokens: it is 0"),
        ("{ volume = { times = 0 } }", "[0].volume.times: it is 0"),
        ("{ volume = { times = 1001 } }", "[0].volume.times: it is 1001; it must be a number above 0, at most 1,000"),
    ];
    for (transform, want) in cases {
        let error = try_apply(vec![entry(0, 0, 1, 1)], Clock::Common, &format!("transform = [{transform}]"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(want), "{error}\nwanted {want}");
    }
    let no_arrivals =
        try_apply(vec![entry(0, 0, 1, 1)], Clock::Session, "transform = [{ scale_rate = { times = 2 } }]");
    assert!(no_arrivals.unwrap_err().to_string().contains("does not say when its requests arrive"));
}

#[test]
fn all_faults_of_all_transforms_come_at_once() {
    let toml = "transform = [{ thin = { share = 0 } }, { tokens = { prompt = { times = -1, min = 0 } } }, \
                { spike = { at = \"1s\", duration = \"0s\", times = 1e9 } }]";
    let faults = check(&parsed(toml)).unwrap_err();
    let keys: Vec<String> = faults.iter().map(|fault| fault.key.to_string()).collect();
    let want =
        ["[0].thin.share", "[1].tokens.prompt.times", "[1].tokens.prompt.min", "[2].spike.times", "[2].spike.duration"];
    assert_eq!(keys, want);
    assert!(faults.iter().all(|fault| fault.hint.is_some()), "{faults}");
}

/// A transform of each kind renumbers requests if it says so, and only then: the numbers that come out came in.
#[test]
fn who_says_that_numbers_stay_keeps_them() {
    let all: Vec<Entry> = (0..400).map(|i| entry(i, i as i64 * 1_000_000_000, 10, 10)).collect();
    let kinds = [
        "slice = { skip = 7 }",
        "thin = { share = 0.5 }",
        "thin = { share = 0.5, by = \"request\" }",
        "superpose = { copies = 2 }",
        "scale_rate = { times = 0.5 }",
        "scale_rate = { times = 2 }",
        "scale_time = { times = 2 }",
        "repeat = { requests = 900 }",
        "tokens = { prompt = { times = 2 } }",
        "tenants = { shares = [1, 1] }",
        "class = { to = \"hard\" }",
        "spike = { at = \"10s\", duration = \"100s\", times = 4 }",
        "spike = { at = \"10s\", duration = \"100s\", times = 0.5 }",
        "diurnal = { amplitude = 0.9, period = \"200s\", peak_at = \"50s\" }",
        "volume = { times = 3 }",
        "volume = { times = 0.5 }",
    ];
    for kind in kinds {
        let toml = format!("transform = [{{ {kind} }}]");
        let kept = transformed(all.clone(), &toml).iter().all(|e| e.id < 400);
        assert_eq!(!kept, parsed(&toml)[0].renumbers(), "{kind}");
    }
    let cut = "transform = [{ slice = { skip = 7 } }, { anonymise = {} }]";
    assert_eq!((transformed(all, cut)[0].id, parsed(cut)[1].renumbers()), (0, true));
}

/// Share of the requests in each of 72 stretches of 100 s, at most.
fn shape_difference(a: &[Entry], b: &[Entry]) -> f64 {
    let shares = |v: &[Entry]| {
        let mut shares = vec![0.0; 73];
        v.iter().for_each(|e| shares[(e.at_ns / 100_000_000_000) as usize] += 1.0 / v.len() as f64);
        shares
    };
    shares(a).iter().zip(shares(b)).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn another_volume_keeps_window_and_shape_and_copies_are_customers_of_their_own() {
    let spike = "transform = [{ spike = { at = \"80m\", duration = \"10m\", times = 4 } }]";
    let all = transformed(bursty(), spike);
    let at = |times: f64| transformed(all.clone(), &format!("transform = [{{ volume = {{ times = {times} }} }}]"));
    assert_eq!(at(1.0), all, "once is the trace itself");
    assert_eq!(at(3.3), at(3.3));
    for times in [0.1, 0.37, 1.8, 3.3, 10.0] {
        let made = at(times);
        let want = all.len() as f64 * times;
        assert!((made.len() as f64 / want - 1.0).abs() < 0.01, "x{times}: {} of {want}", made.len());
        let span = |v: &[Entry]| (v[v.len() - 1].at_ns - v[0].at_ns) as f64;
        assert!((span(&made) / span(&all) - 1.0).abs() < 0.01, "x{times}");
        // A stretch of the mean has 1 of 72, one of the spike about four times that.
        assert!(shape_difference(&all, &made) < 0.004, "x{times}: {}", shape_difference(&all, &made));
        let of = |id: fn(&ContentId) -> bool| {
            let ids = made.iter().flat_map(|e| &e.content).map(|r| r.id).filter(id);
            ids.collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(of(|id| matches!(id, ContentId::Named(_))), 3, "the three shared prefixes stay shared");
    }
}

#[test]
fn sessions_are_taken_or_copied_as_a_whole() {
    let private = |id| vec![Run { id: ContentId::Private(id), start: 0, len: 3 }];
    let all: Vec<Entry> = (0..4_000)
        .map(|i| Entry { session: i % 500, content: private(i), ..entry(i, i as i64 * 1_000_000_000, 5, 5) })
        .collect();
    let turns = |made: &[Entry]| {
        let mut turns = std::collections::BTreeMap::<u64, u32>::new();
        made.iter().for_each(|e| *turns.entry(e.session).or_default() += 1);
        assert!(turns.values().all(|n| *n == 8), "a session has all of its turns or none");
        turns.len()
    };
    let few = transformed(all.clone(), "transform = [{ volume = { times = 0.3 } }]");
    assert!((120..=180).contains(&turns(&few)), "{}", turns(&few));
    let many = transformed(all.clone(), "transform = [{ volume = { times = 2.5, shift = \"0s\" } }]");
    assert!((1_200..=1_300).contains(&turns(&many)), "{}", turns(&many));
    let own: std::collections::BTreeSet<_> = many.iter().flat_map(|e| &e.content).map(|r| r.id).collect();
    assert_eq!(own.len(), many.len(), "what is private stays so");
}

#[test]
fn a_note_says_when_copies_share_most_of_their_prompts() {
    let named = vec![Run { id: ContentId::Named(1), start: 0, len: 8 }];
    let all: Vec<Entry> =
        (0..50).map(|i| Entry { content: named.clone(), ..entry(i, i as i64 * 1_000, 10, 5) }).collect();
    let notes = |times: f64| {
        let given = Box::new(Held::new(all.clone(), Clock::Common, "given", Vec::new()));
        let stage_key = StageKey { seed: 7, replicate: 0, stage: 0 };
        let mut made = volume::Volumed::over(given, &Volume { times, shift: SimTime::ZERO }, stage_key);
        while made.next(&mut Entry::blank()).unwrap() {}
        made.notes()
    };
    assert!(notes(2.0)[0].contains("80 % of prompt tokens"), "{:?}", notes(2.0));
    assert!(notes(1.0).is_empty() && notes(0.5).is_empty());
}
