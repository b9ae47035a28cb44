//! The instruction gate must be able to fail: its judgement on counts made by hand.
#[allow(dead_code, reason = "the gate's program uses the rest")]
#[path = "../../benches/instructions/gate.rs"]
mod gate;

use gate::{Baselines, Counts, Key, collected, compare};

fn counts(of: &[(&str, u64)]) -> Counts {
    of.iter().map(|&(name, n)| (name.to_string(), n)).collect()
}

#[test]
fn three_percent_more_passes_and_one_instruction_above_fails() {
    let before = counts(&[("a", 1_000_000), ("b", 500)]);
    assert!(compare(&before, &counts(&[("a", 1_030_000), ("b", 500)])).is_ok());
    let table = compare(&before, &counts(&[("a", 1_030_001), ("b", 500)])).unwrap_err();
    assert!(table.contains("| a | 1000000 | 1030001 | +3.00 % | WORSE |"), "{table}");
    assert!(table.contains("| b | 500 | 500 | +0.00 % |  |"), "{table}");
    let table = compare(&before, &counts(&[("a", 900_000), ("b", 500)])).unwrap();
    assert!(table.contains("-10.00 % | better"), "{table}");
}

#[test]
fn a_workload_that_is_gone_fails_and_a_new_one_is_said() {
    let before = counts(&[("a", 10)]);
    assert!(compare(&before, &Counts::new()).unwrap_err().contains("GONE"));
    assert!(compare(&before, &counts(&[("a", 10), ("b", 7)])).unwrap().contains("| b | - | 7 | - | new |"));
}

#[test]
fn baselines_are_kept_by_toolchain() {
    let key = |rustc: &str| Key { rustc: rustc.into(), valgrind: "3.19.0".into(), target: "t".into() };
    let mut all = Baselines::default();
    all.set(&key("1"), counts(&[("a", 1)]));
    all.set(&key("2"), counts(&[("a", 2)]));
    all.set(&key("1"), counts(&[("a", 3)]));
    let again = Baselines::parse(&all.text().unwrap()).unwrap();
    assert_eq!(again, all);
    assert_eq!(again.of(&key("1")), Some(&counts(&[("a", 3)])));
    assert_eq!((again.of(&key("3")), again.measured.len()), (None, 2));
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
    let committed = Baselines::parse(&std::fs::read_to_string(committed).unwrap()).unwrap();
    assert!(!committed.measured.is_empty(), "the gate has no baseline at all");
}

#[test]
fn the_count_is_read_from_what_callgrind_prints() {
    let said = "==7== Events    : Ir\n==7== Collected : 2221081\n==7== \n==7== I   refs:      2,221,081\n";
    assert_eq!(collected(said), Some(2_221_081));
    assert_eq!(collected("==7== Collected : 0\n"), None, "a toggle that matches no function counts nothing");
    assert_eq!(collected("valgrind: no such program\n"), None);
}
