//! Readings, judgements and faults of `routing`.
use super::*;

const HEAD: &str = "setup,section,policy,out_tok_s,req_s,ttft_p90_s,ttft_mean_s,itl_mean_s\n";
const ROWS: &str = "37-capacity,Summary across QPS,random-scheduling,1,1,1,1,1
37-capacity,QPS = 4.0,random-scheduling,2700,4,23.5,9.5,0.027
37-capacity,QPS = 3.0,random-scheduling,2500,3,1.5,0.85,0.021
37-capacity,QPS = 3.0,precise-scheduling,2579.8,3.003,0.201,0.144,0.013
37-capacity,QPS = 4.0,precise-scheduling,3366.8,4.007,0.277,0.182,0.014
";

#[test]
fn rows_are_read_by_rate() {
    let m = read(format!("{HEAD}{ROWS}").as_bytes(), "m.csv").unwrap();
    assert_eq!((m.setup.as_str(), m.rates(), m.policies().len()), ("37-capacity", vec![3.0, 4.0], 2));
    assert_eq!(m.at("random-scheduling", 4.0).unwrap().ttft_p90_s, 23.5);
}

#[test]
fn faults_name_line_and_column() {
    let fault = |from: &str, to: &str| {
        read(format!("{HEAD}{}", ROWS.replace(from, to)).as_bytes(), "m.csv").unwrap_err().to_string()
    };
    assert!(fault("QPS = 4.0,random", "QPS = four,random").starts_with("m.csv:3: section is `QPS = four`; the rate"));
    assert!(fault("2700,4,23.5", "2700,4,x").starts_with("m.csv:3: ttft_p90_s is `x`; it must be a number above 0"));
    assert!(fault("37-capacity,QPS = 3.0,random", "73,QPS = 3.0,random").starts_with("m.csv:4: setup is `73`"));
    assert!(
        fault("QPS = 4.0,precise", "QPS = 3.0,precise").contains("m.csv:6: precise-scheduling at 3 is there twice")
    );
    assert!(fault("QPS = 4.0,precise", "QPS = 5.0,precise").contains("no row of random-scheduling at QPS = 5"));
    let e = read("policy\nrandom\n".as_bytes(), "m.csv").unwrap_err().to_string();
    assert!(e.starts_with("m.csv:1: column `setup` is missing"), "{e}");
}

#[test]
fn a_small_fleet_is_simulated_and_judged() {
    let m = read(format!("{HEAD}{ROWS}").as_bytes(), "m.csv").unwrap();
    let set = ["stages.seconds=[20]".to_owned(), "workload.output_tokens=50".to_owned()];
    let setup = Setup::published(&m.setup, "m.csv", &set).unwrap();
    let mut scores = Scores::default();
    score(Catalog::embedded(), &m, &setup, &MeasuredEngine::default(), &StepTimeSource::Analytic, &mut scores).unwrap();
    assert_eq!((scores.groups.len(), scores.collapse.len()), (4, 2));
    let names: Vec<&str> = scores.groups.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names[0], "20 s stages, 3/s, random-scheduling");
    assert_eq!((scores.groups[0].n, scores.groups[1].n), (60, 80));
    let order = scores.order.unwrap();
    assert_eq!((order.pairs, order.agree), (2, 2), "precise finds its prefixes, random does not: {order:?}");
    let mut other = m.clone();
    other.points.iter_mut().for_each(|p| p.policy = p.policy.replace("random", "lucky"));
    let e = score(
        Catalog::embedded(),
        &other,
        &setup,
        &MeasuredEngine::default(),
        &StepTimeSource::Analytic,
        &mut Scores::default(),
    )
    .unwrap_err()
    .to_string();
    assert!(e.starts_with("m.csv: the set-up has no [policy.lucky-scheduling]; it has random-scheduling, "), "{e}");
}
