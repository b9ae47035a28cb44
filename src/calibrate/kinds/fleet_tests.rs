//! Readings, predictions and faults of `fleet`.
use super::*;

const RUN: &str = r#"{"kind":"run","name":"tiny","rate":2.0,"policy":"prefix-hash","replicas":2,"vllm":"0.32.0","scheduling":"sync","model":{"hidden_size":512,"intermediate_size":1408,"num_hidden_layers":8,"num_attention_heads":8,"num_key_value_heads":4,"dtype":"float32"},"engine":{"max_model_len":8192,"max_num_seqs":64,"max_num_batched_tokens":1024,"enable_prefix_caching":true,"num_gpu_blocks_override":40,"block_size":32,"num_gpu_blocks":40},"workload":{"groups":3,"prefix_tokens":64,"zipf":0.0,"seconds":60.0}}
{"kind":"request","id":"a","arrival_s":1.0,"routed_s":1.0,"replica":1,"group":3,"prompt_len":100,"output_len":2,"added_s":1.0,"first_token_s":1.05,"cached":0,"finish_s":1.06}
{"kind":"request","id":"b","arrival_s":2.0,"routed_s":2.0,"replica":1,"group":3,"prompt_len":100,"output_len":2,"added_s":2.0,"first_token_s":2.018,"cached":64,"finish_s":2.028}
{"kind":"step","replica":1,"start_s":1.0,"end_s":1.05,"batch":[["a",0,100]],"preempted":[]}
{"kind":"step","replica":1,"start_s":1.05,"end_s":1.06,"batch":[["a",100,1]],"preempted":[]}
{"kind":"step","replica":1,"start_s":2.0,"end_s":2.018,"batch":[["b",64,36]],"preempted":[]}
{"kind":"step","replica":1,"start_s":2.018,"end_s":2.028,"batch":[["b",100,1]],"preempted":[]}
"#;

#[test]
fn a_run_is_read_and_predicted_from_its_arrivals() {
    let run = read(RUN.as_bytes(), "tiny").unwrap();
    assert_eq!((run.name.as_str(), run.model.as_str()), ("tiny 2/s prefix-hash", "h512-l8-a8-kv4-f1408"));
    assert_eq!((run.engine.settings["max_num_seqs"].as_integer(), run.engine.num_gpu_blocks), (Some(64), Some(40)));
    assert_eq!((run.steps[0].len(), run.steps[1].len()), (0, 4));
    let step = StepCoefficients { step_s: 0.005, prefill_token_s: 0.000_2, ..StepCoefficients::default() };
    let (group, speeds) = score(Catalog::embedded(), &run, &step, false).unwrap();
    assert_eq!(speeds[0], 1.0, "a replica without steps has no factor");
    assert!((speeds[1] - 2.0).abs() < 1e-9, "{speeds:?}");
    let share = &group.shares[0];
    assert_eq!((share.predicted, share.measured), (0.32, 0.32));
    // The first prompt is predicted as it was; the second one takes 10 + 36 * 0.4 ms of 18.
    let e2e = group.pairs.iter().find(|p| p.metric == "e2e_mean_s").unwrap();
    assert!((e2e.measured - 0.044).abs() < 1e-9 && (e2e.predicted - (0.06 + 0.0344) / 2.0).abs() < 1e-6, "{e2e:?}");
}

#[test]
fn policies_are_compared_at_equal_loads_only() {
    let with = |policy: &str, at: &str| {
        let text = RUN.replace("prefix-hash", policy).replace("\"first_token_s\":1.05", at);
        read(text.as_bytes(), "f").unwrap()
    };
    let runs = [with("prefix-hash", "\"first_token_s\":1.05"), with("round-robin", "\"first_token_s\":1.01")];
    let step = StepCoefficients { step_s: 0.01, prefill_token_s: 0.000_4, ..StepCoefficients::default() };
    let groups: Vec<Group> = runs.iter().map(|r| score(Catalog::embedded(), r, &step, false).unwrap().0).collect();
    let judged = order(&runs, &groups);
    assert_eq!((judged.pairs, judged.ties.len()), (1, 1), "TTFT is apart, E2E is not: {judged:?}");
    let other = read(RUN.replace("\"rate\":2.0", "\"rate\":3.0").as_bytes(), "f").unwrap();
    let judged = order(&[runs[1].clone(), other], &groups);
    assert_eq!((judged.pairs, judged.ties.len()), (0, 0));
}

#[test]
fn faults_name_line_and_key() {
    let fault = |from: &str, to: &str| read(RUN.replacen(from, to, 1).as_bytes(), "f").unwrap_err().to_string();
    let e = fault("\"policy\":\"prefix-hash\"", "\"policy\":\"best\"");
    assert!(e.starts_with("f:1: policy `best` is not one that can be replayed; there are round-robin, "), "{e}");
    assert!(fault("\"group\":3,", "").starts_with("f:2: missing field `group`"));
    assert!(
        fault("\"replica\":1,\"group\"", "\"replica\":2,\"group\"")
            .starts_with("f:2: request a: replica 2; the run has 2")
    );
    assert!(fault("\"replica\":1,\"start_s\"", "\"replica\":7,\"start_s\"").starts_with("f:4: replica 7"));
    assert!(fault("\"cached\":64", "\"cached\":101").starts_with("f:3: request b: cached is 101"));
    assert!(fault("\"end_s\":1.06", "\"end_s\":1.04").starts_with("f:5: a step from 1.05 to 1.04 s"));
    assert!(fault("[[\"b\",64,36]]", "[[\"c\",64,36]]").starts_with("f:6: a step of request c"));
    assert!(fault("\"replicas\":2", "\"replicas\":0").starts_with("f:1: replicas is 0"));
    let without = RUN.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert!(read(without.as_bytes(), "f").unwrap_err().to_string().starts_with("f:1: a recording starts with"));
    assert!(read("".as_bytes(), "f").unwrap_err().to_string().contains("no line of kind `run`"));
}
