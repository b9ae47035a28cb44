//! Whole break-evens of small experiments, one against the closed form.
use super::*;
use baseload_core::economics::ConstantLoad;
use std::path::Path;

/// A request a second for an hour, 512 prompt tokens and 100 of output.
fn constant_trace(dir: &Path) {
    let rows: String = (0..3_600).map(|i| format!("{i},512,100\n")).collect();
    std::fs::write(dir.join("t.csv"), format!("arrival_s,prompt_tokens,output_tokens\n{rows}")).unwrap();
}

/// One sequence at a time a replica, no people, no on-call, and a price list.
fn text(usd_per_hour: f64) -> String {
    format!(
        "name = \"t\"\n[trace]\npath = \"t.csv\"\n[slo]\nttft = \"20s\"\n[pool.p]\nmodel = \"llama-3.1-8b\"\n\
         gpu = \"h100-sxm\"\nrent = {{ usd_per_gpu_hour = {usd_per_hour} }}\n[pool.p.engine.vllm]\nmax_num_seqs = 1\n\
         max_num_batched_tokens = 2048\n[endpoint.a]\ncatalog = \"openai/gpt-4o\"\n\
         limits = {{ requests_per_minute = 100000 }}\n[policy.buy]\n[policy.buy.api_only]\n[policy.own]\n\
         pools = {{ p = 1 }}\nendpoints = []\n[policy.own.round_robin]\n[policy.both]\npools = {{ p = 1 }}\n\
         [policy.both.overflow]\nto = \"a\"\nwaiting_per_replica = 2\n\
         [economics]\npeople_fte = 0.0\non_call_usd_per_year = 0.0\n"
    )
}

fn experiment(dir: &Path, text: &str) -> Experiment {
    let path = dir.join("e.toml");
    std::fs::write(&path, text).unwrap();
    Experiment::load(&path).unwrap()
}

fn even(exp: &Experiment, named: Named<'_>, volumes: &[f64], jobs: usize) -> Result<BreakEven, RunError> {
    let (progress, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (target, tolerance) = (0.99, 0.02);
    run(exp, &Options { named, volumes, target, tolerance, jobs, progress: &progress, done: &done, stop: &stop })
}

#[test]
fn a_constant_load_crosses_where_the_closed_form_says() {
    let dir = tempfile::tempdir().unwrap();
    constant_trace(dir.path());
    // How long a request takes alone: that is all that is taken from the simulator.
    let exp = experiment(dir.path(), &text(1.0));
    let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let bench = Bench::new(&exp, &progress, &stop).unwrap();
    let mut fleet = exp.policies[1].clone();
    fleet.pools[0].1 = 8;
    let alone_s = bench.simulate(&fleet, 1.0).unwrap().summary.e2e_p50_s.unwrap();
    // GPT-4o's list price: 2.5 US$ a million tokens in, 10 out.
    let usd_per_request = (512.0 * 2.5 + 100.0 * 10.0) / 1e6;
    let stair = 1.0 / alone_s;
    // A rent at which the lines meet in the middle of the third stair.
    let rent = 2.5 * stair * usd_per_request * 3_600.0 / 3.0;
    let rent = (rent * 1e4).round() / 1e4;
    let paper = ConstantLoad {
        requests_per_s: 1.0,
        replica_requests_per_s: stair,
        usd_per_replica_hour: rent,
        fixed_usd_per_month: 0.0,
        usd_per_request,
    };
    let exp = experiment(dir.path(), &text(rent));
    // Volumes in the middle of the second, third and fourth stair, between which lies one crossing each.
    let volumes = [2.1 * stair, 2.85 * stair];
    let found = even(&exp, [Some("buy"), Some("own"), None], &volumes, 2).unwrap();
    // The trace's rate is 3,600 requests in 3,599 s.
    let per_s = 3_600.0 / 3_599.0;
    for point in &found.points {
        let [buy, own] = [0, 1].map(|i| &point.lines[i]);
        assert_eq!(f64::from(own.replicas()), paper.replicas(point.volume * per_s), "x{}", point.volume);
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.005, "x{}: {got} {want}", point.volume);
        near(own.usd_per_month, paper.own_usd_per_month(point.volume * per_s));
        near(buy.usd_per_month, paper.api_usd_per_month(point.volume * per_s));
        assert!(own.meets_slo && own.goodput_share >= 0.99);
    }
    let want: Vec<f64> = paper.crossings(volumes[0], volumes[1]).iter().map(|v| v / per_s).collect();
    let of_both = |c: &&Crossing| c.below != Kind::Hybrid && c.above != Kind::Hybrid;
    let got: Vec<&Crossing> = found.crossings.iter().filter(of_both).collect();
    assert_eq!((got.len(), want.len()), (1, 1), "{found:?} {want:?}");
    let crossing = got[0];
    assert!((crossing.volume / want[0] - 1.0).abs() <= 0.02, "{crossing:?} {want:?}");
    assert!(crossing.volume / crossing.volume_below <= 1.02);
    assert_eq!((crossing.below, crossing.above), (Kind::Api, Kind::Own));
    assert!(crossing.usd_per_month[0] > crossing.usd_per_month[1]);
    assert!(crossing.usd_per_month_below[0] < crossing.usd_per_month_below[1]);
}

#[test]
fn all_three_lines_repeat_for_any_number_of_threads_and_gaps_add_up() {
    let dir = tempfile::tempdir().unwrap();
    constant_trace(dir.path());
    let text = text(3.0).replace("[trace]\n", "[trace]\nlimit = 1200\n");
    let exp = experiment(dir.path(), &text);
    let volumes = volumes(0.2, 5.0, 3);
    assert_eq!(volumes, [0.2, 1.0, 5.0]);
    let found = even(&exp, [None; 3], &volumes, 1).unwrap();
    assert_eq!(found, even(&exp, [None; 3], &volumes, 2).unwrap());
    let kinds: Vec<_> = found.lines.iter().map(|l| (l.kind, l.policy.as_str())).collect();
    assert_eq!(kinds, [(Kind::Api, "buy"), (Kind::Own, "own"), (Kind::Hybrid, "both")]);
    for p in &found.points {
        let gap = p.gap.unwrap();
        let parts = [gap.naive, gap.packing, gap.prompts, gap.idle, gap.headroom, gap.bought, gap.people, gap.on_call];
        let sum: f64 = parts.iter().sum();
        assert!((sum - p.lines[1].usd_per_month).abs() < 1e-6, "{gap:?}");
        assert_eq!(p.lines[1].gap.unwrap().total().as_f64(), p.lines[1].usd_per_month);
        assert!(gap.idle >= 0.0 && gap.packing >= 0.0 && gap.prompts > 0.0, "{gap:?}");
        // Tokens a second of all and of the own are two sums of floating-point numbers.
        assert!(gap.bought.abs() < 1e-9, "{gap:?}");
        assert_eq!((gap.people, gap.on_call), (0.0, 0.0));
        assert!(p.lines[2].replicas() <= p.lines[1].replicas(), "{p:?}");
        assert!(p.lines[0].api_usd_per_month > 0.0 && p.lines[0].replicas() == 0);
    }
    // The naive lines are straight through nothing.
    let [a, b] = [0, 2].map(|i| found.points[i].naive_own_usd_per_month.unwrap());
    assert!((b / a - 25.0).abs() < 1e-9);
    // At x1 nothing is thinned or copied: the lines are those of `baseload run`.
    let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let options = super::super::RunOptions {
        jobs: 1,
        records: None,
        progress: &progress,
        stop: &stop,
        mode: baseload_core::engine::EngineMode { strides: true, reference_pool: false },
        watch: &(),
    };
    let traffic = super::super::Traffic::of(&exp, &stop).unwrap();
    let (summary, _) = super::super::run(&exp, &traffic, &options).unwrap();
    let (run, line) = (&summary.policies[0], &found.points[1].lines[0]);
    assert_eq!((run.total_usd_per_month, run.goodput_share), (line.usd_per_month, line.goodput_share));
}

#[test]
fn a_line_that_cannot_meet_the_slo_is_drawn_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    constant_trace(dir.path());
    let secret = text(3.0).replace("[trace]\n", "[trace]\nlimit = 600\n")
        + "[class.private]\nshare = 0.2\nprivacy = \"internal-only\"\n";
    let exp = experiment(dir.path(), &secret);
    let found = even(&exp, [Some("buy"), Some("own"), None], &[0.5, 1.0], 2).unwrap();
    for p in &found.points {
        assert!(!p.lines[0].meets_slo && (0.7..0.9).contains(&p.lines[0].goodput_share), "{p:?}");
        assert!(p.lines[1].meets_slo, "{p:?}");
    }
    // An objective that no replica can keep: the search ends, with few replicas.
    let hopeless = text(3.0).replace("[trace]\n", "[trace]\nlimit = 600\n").replace("20s", "1ms");
    let found = even(&experiment(dir.path(), &hopeless), [None; 3], &[1.0, 1.1], 2).unwrap();
    assert!(found.points.iter().all(|p| p.lines.iter().all(|l| !l.meets_slo)), "{found:?}");
    assert!(found.points[0].lines[1].replicas() < 64, "{found:?}");
}

#[test]
fn lines_are_chosen_by_what_policies_keep_and_buy_or_by_name() {
    let dir = tempfile::tempdir().unwrap();
    constant_trace(dir.path());
    let says = |text: &str, named: Named<'_>| {
        even(&experiment(dir.path(), text), named, &[1.0, 2.0], 1).unwrap_err().to_string()
    };
    let all = text(1.0);
    assert!(says(&all, [Some("by"), None, None]).contains("--api: unknown policy `by`; did you mean `buy`?"));
    assert!(says(&all, [Some("own"), None, None]).contains("--api own: it keeps replicas"));
    assert!(says(&all, [None, Some("buy"), None]).contains("--own buy: it keeps no replicas"));
    let wrong = says(&all, [None, Some("own"), Some("own")]);
    assert!(wrong.contains("--hybrid own: it never buys ") && wrong.contains("it belongs to --own"), "{wrong}");
    let wrong = says(&all, [None, Some("both"), None]);
    assert!(wrong.contains("--own both: it may buy ") && wrong.contains("it belongs to --hybrid"), "{wrong}");
    let one = all.split("[policy.own]").next().unwrap().to_owned();
    let message = says(&one, [None; 3]);
    for word in ["there is only an all-API one (`buy`)", "[policy.own.least_outstanding]", "all-self-hosted", "hybrid"]
    {
        assert!(message.contains(word), "{word}: {message}");
    }
    let users = all.replace(
        "path = \"t.csv\"\n",
        "users = { concurrency = 2, requests = 9, prompt_tokens = 9, output_tokens = 9 }\n",
    );
    assert!(says(&users, [None; 3]).contains("trace.users: "), "{}", says(&users, [None; 3]));
}
