//! Who owns a folder: a result is one run's, whole or absent, whatever ends a run and whoever writes beside it; what is not
//! ours is never touched. The inputs are those of shared/cases b02 and b04.
#![cfg(all(unix, feature = "frames"))]
use crate::program::{Ended, command, end_of, root};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Requests of a run: enough that pairs overlap and kills meet each part of it.
const REQUESTS: &str = "trace.limit=3000";

fn experiment() -> PathBuf {
    root().join("tests/data/desk/experiment.toml")
}

fn run(dir: &Path, out: &str, seed: u64) -> Command {
    let mut program = Command::new(command().get_program());
    program.current_dir(dir).arg("run").arg(experiment());
    program.args(["--quiet", "--set", REQUESTS, "--seed", &seed.to_string(), "--out", out]);
    program.stdout(Stdio::null()).stderr(Stdio::piped());
    program
}

/// All that a result folder holds but what is the host's, and the mark of a run that has just put it there: paths and bytes,
/// in order.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(root: &Path, at: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(at).unwrap().map(|e| e.unwrap().path()) {
            match entry.is_dir() {
                true => walk(root, &entry, into),
                false => into.push((entry.strip_prefix(root).unwrap().into(), fs::read(&entry).unwrap())),
            }
        }
    }
    let mut all = Vec::new();
    walk(folder, folder, &mut all);
    all.retain(|(path, _)| !["perf.json", "run.json", ".baseload"].map(Path::new).contains(&path.as_path()));
    all.sort();
    assert!(
        all.len() == 6,
        "summary, manifest, page and three tables: {:?}",
        all.iter().map(|a| &a.0).collect::<Vec<_>>()
    );
    all
}

/// What runs of seeds 1 and 2 leave when nobody disturbs them.
fn alone(dir: &Path) -> [Vec<(PathBuf, Vec<u8>)>; 2] {
    [1, 2].map(|seed| {
        let out = format!("alone-{seed}");
        assert!(run(dir, &out, seed).status().unwrap().success());
        let all = content(&dir.join(&out));
        fs::remove_dir_all(dir.join(&out)).unwrap();
        all
    })
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn message(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Wherever the second run meets the first: one of them is refused, or the later one stands there, whole.
#[test]
fn of_two_runs_for_one_folder_both_are_whole_or_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let alone = alone(dir.path());
    assert_ne!(alone[0], alone[1]);
    let mut refused = 0;
    for delay_ms in [0, 0, 3, 20, 60, 150, 400] {
        let first = run(dir.path(), "r", 1).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let second = run(dir.path(), "r", 2).spawn().unwrap();
        let ended = [message(first), message(second)];
        let there = content(&dir.path().join("r"));
        let whose = alone.iter().position(|of| *of == there);
        let whose = whose.unwrap_or_else(|| panic!("{delay_ms} ms: neither run's result is whole there"));
        assert_eq!(ended[whose].0, Some(0), "{delay_ms} ms: {ended:?}");
        let other = &ended[1 - whose];
        if other.0 != Some(0) {
            refused += 1;
            let says = other.1.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(other.0 == Some(2) && says.contains("r: another run is writing it"), "{other:?}");
        }
        assert_eq!(names(dir.path()), ["r"], "{delay_ms} ms");
    }
    assert!(refused > 0, "no pair met: the test does not test");
}

/// A moment by chance, that the message names.
fn moment(i: u64) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    Duration::from_millis(RandomState::new().hash_one(i) % 700)
}

#[test]
fn whenever_a_run_is_killed_its_folder_is_whole_or_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let alone = alone(dir.path());
    let target = dir.path().join("r");
    for i in 0..12 {
        let seed = 1 + i % 2;
        let before = target.exists().then(|| content(&target));
        let mut child = run(dir.path(), "r", seed).spawn().unwrap();
        let at = moment(i);
        std::thread::sleep(at);
        child.kill().unwrap();
        let (code, says) = message(child);
        if !target.exists() {
            // Between two renames of a result in place of another it is beside its place, and the next run puts it back.
            let moved = names(dir.path()).iter().any(|name| name.ends_with(".old"));
            assert!(before.is_none() || moved, "kill {i} after {at:?} lost a result");
            continue;
        }
        let there = content(&target);
        let is_own = there == alone[seed as usize - 1];
        assert!(is_own || before == Some(there), "kill {i} after {at:?} left a mixture; {code:?} {says}");
    }
    fs::write(target.parent().unwrap().join("thesis.txt"), "mine").unwrap();
    assert!(run(dir.path(), "r", 1).status().unwrap().success(), "the next run sweeps");
    assert!(content(&target) == alone[0]);
    assert_eq!(names(dir.path()), ["r", "thesis.txt"]);
}

/// The signal that ends a process at its limit of a file's size, and no handles left for the next file.
#[test]
fn a_run_without_room_or_handles_leaves_nothing_that_looks_whole() {
    let dir = tempfile::tempdir().unwrap();
    let limited = |limit: &str| {
        let mut shell = Command::new("sh");
        shell.current_dir(dir.path()).args(["-c", &format!("ulimit -c 0; {limit}; exec \"$0\" \"$@\"")]);
        shell.arg(command().get_program()).arg("run").arg(experiment());
        shell.args(["--quiet", "--jobs", "1", "--out", "r"]).stdout(Stdio::null()).output().unwrap()
    };
    for limit in ["ulimit -f 2", "ulimit -f 8", "ulimit -n 7", "ulimit -n 9", "ulimit -n 11"] {
        let output = limited(limit);
        let died = output.status.signal().is_some_and(|signal| signal == 25);
        let says = String::from_utf8_lossy(&output.stderr);
        if output.status.success() && limit.starts_with("ulimit -n") {
            content(&dir.path().join("r"));
            fs::remove_dir_all(dir.path().join("r")).unwrap();
            continue;
        }
        assert!(died || output.status.code() == Some(2) && !says.is_empty(), "{limit}: {:?} {says}", output.status);
        assert!(!dir.path().join("r").exists(), "{limit}: a folder that looks whole");
    }
    assert!(limited("true").status.success());
    assert_eq!(names(dir.path()), ["r"], "what was left is swept");
}

/// Runs the smallest job and returns what it says.
fn small(dir: &Path, out: &str, more: &[&str]) -> Ended {
    let mut program = command();
    program.current_dir(dir).arg("run").arg(experiment());
    end_of(program.args(["--set", "trace.limit=50", "--no-records", "--out", out]).args(more))
}

#[test]
fn what_is_not_ours_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let thesis = |folder: &str| {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("thesis.txt"), "mine").unwrap();
    };
    let foreign = ["r.partial", "r.partial.old", ".r.partial"];
    foreign.into_iter().for_each(thesis);
    small(dir.path(), "r", &[]).well();
    small(dir.path(), "r.partial.2", &["--set", "name=r.partial.2"]).well();
    small(dir.path(), "r", &[]).well();
    for folder in foreign {
        assert_eq!(fs::read_to_string(dir.path().join(folder).join("thesis.txt")).unwrap(), "mine", "{folder}");
    }
    assert_eq!(names(dir.path()), [".r.partial", "r", "r.partial", "r.partial.2", "r.partial.old"]);
    // Notes in a result outlive it.
    thesis("r");
    thesis("r/requests");
    let said = small(dir.path(), "r", &["--seed", "2"]).well().stdout;
    assert!(said.contains("r: replaces the result of `small` that is there"), "{said}");
    let holds = ["manifest.json", "perf.json", "report.html", "requests", "run.json", "summary.json", "thesis.txt"];
    assert_eq!(names(&dir.path().join("r")), holds);
    assert_eq!(names(&dir.path().join("r/requests")), ["thesis.txt"]);
    assert!(fs::read_to_string(dir.path().join("r/summary.json")).unwrap().contains("\"seed\": 2,"));
    // A result of another experiment, and a folder that is none.
    let says = small(dir.path(), "r", &["--set", "name=other"]);
    assert!(
        says.code == 2 && says.message().contains("it holds a result of `small`, and this is `other`"),
        "{}",
        says.stderr
    );
    let says = small(dir.path(), "r.partial", &[]);
    assert!(
        says.code == 2 && says.message().contains("it is not a result folder; give another --out"),
        "{}",
        says.stderr
    );
    assert_eq!(names(&dir.path().join("r.partial")), ["thesis.txt"]);
}

#[test]
fn a_link_to_nothing_is_refused_before_the_run_and_one_to_a_result_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("there", dir.path().join("link")).unwrap();
    let says = small(dir.path(), "link", &[]);
    assert!(
        says.code == 2 && says.message().contains("link: it is a link to what is not there (there)"),
        "{}",
        says.stderr
    );
    assert_eq!(names(dir.path()), ["link"]);
    small(dir.path(), "there", &[]).well();
    small(dir.path(), "link", &["--seed", "2"]).well();
    assert!(fs::read_to_string(dir.path().join("there/summary.json")).unwrap().contains("\"seed\": 2,"));
    assert_eq!(names(dir.path()), ["link", "there"]);
}

#[test]
fn no_run_writes_over_another_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut program = command();
        program.current_dir(dir.path()).arg("run").arg(experiment());
        end_of(program.args(["--quiet", "--no-records", "--set", "trace.limit=50"]).args(more)).well();
    };
    run(&[]);
    run(&["--seed", "7"]);
    run(&["--set", "slo.ttft=1s"]);
    run(&["--set", "slo.ttft=1s"]);
    let made = names(&dir.path().join("results"));
    assert_eq!(made, ["small--trace.limit=50", "small--trace.limit=50--seed=7", "small--trace.limit=50--slo.ttft=1s"]);
}
