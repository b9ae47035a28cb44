//! The instruction gate: fixed small simulations in one thread, counted by callgrind. `.ci/instructions` builds and calls it.
//!
//!     instructions                      runs every workload and prints its digest, nothing counted (what `cargo bench` does)
//!     instructions run WORKLOAD         runs one
//!     instructions gate BASELINE        counts all and compares; exit 1: worse, 3: no baseline for this toolchain
//!     instructions against OTHER        counts all, and those of another build of this program, and compares
//!     instructions write BASELINE       counts all and replaces the baseline of this toolchain
//!
//! Only what happens inside `counted_workload` counts: drawing requests, simulating, and records into a sink that adds up. Parsing
//! of experiments does not. Counts repeat to the last digit on one machine; between processors libc's choice of memcpy
//! moves them by less than a thousandth, and the script pins that where glibc lets it.
mod gate;

use baseload::engine::EngineMode;
use baseload::experiment::Experiment;
use baseload::sim::simulate;
use baseload::trace::{GenerateSpec, Generator, SourceOptions};
use baseload::types::{AttemptRecord, GapRun, RecordSink, RequestRecord, SeriesRow, Source};
use gate::{Baselines, Counts, Key};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A small simulation that never changes: a new one takes a new name, so that no count is compared with another's.
struct Workload {
    name: &'static str,
    experiment: &'static str,
    policy: &'static str,
    traffic: &'static str,
    requests: u64,
}

/// Azure's hour in kind: bursty, long-tailed, about its rate and its means.
const AZURE_LIKE: &str = "requests = 2000\nprompt = { median = 820, sigma = 0.85, max = 8000 }\n\
    output = { median = 150, sigma = 0.8, max = 1500 }\n[arrivals]\nprocess.gamma.cv = 1.3\n\
    rate = [{ at = \"0s\", per_s = 5.6 }]\n";

const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "w1-like",
        experiment: "bench/w1.toml",
        policy: "round-robin",
        traffic: AZURE_LIKE,
        requests: 2000,
    },
    Workload {
        name: "w2-like",
        experiment: "bench/w2-lo.toml",
        policy: "least-outstanding",
        traffic: include_str!("../../traces/bench-w2.toml"),
        requests: 5000,
    },
    Workload {
        name: "quickstart-like",
        experiment: "quickstart.toml",
        policy: "overflow",
        traffic: include_str!("../../traces/support-desk.toml"),
        requests: 5000,
    },
];

/// Adds up what must not change, so that nothing is optimised away and a wrong run is seen.
#[derive(Debug, Default)]
struct Digest {
    attempts: u64,
    requests: u64,
    tokens: u64,
    gaps: u64,
    ended_ns: u64,
}

impl RecordSink for Digest {
    fn attempt(&mut self, _record: &AttemptRecord) {
        self.attempts += 1;
    }
    fn request(&mut self, record: &RequestRecord) {
        self.requests += 1;
        self.tokens += u64::from(record.output_tokens);
        self.ended_ns = self.ended_ns.wrapping_mul(31).wrapping_add(record.ended.0);
    }
    fn gaps(&mut self, run: &GapRun) {
        self.gaps += u64::from(run.steps) * u64::from(run.tokens);
    }
    fn series(&mut self, _row: &SeriesRow) {}
}

/// What callgrind counts, by this name (see `count`).
#[inline(never)]
fn counted_workload(exp: &Experiment, source: &mut dyn Source, sink: &mut Digest) {
    let (progress, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    simulate(&exp.world(&exp.policies[0], 0, EngineMode::default()), source, sink, &progress, &stop)
        .expect("a sound workload");
}

fn run(w: &Workload) -> Result<Digest, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(w.experiment);
    let mut exp = Experiment::load(&path).map_err(|e| format!("{}: {e}", w.name))?;
    exp.policies.retain(|p| p.name == w.policy);
    if exp.policies.len() != 1 {
        return Err(format!("{}: {} has no policy `{}`", w.name, w.experiment, w.policy));
    }
    let options = SourceOptions { limit: Some(w.requests), ..SourceOptions::default() };
    let spec = GenerateSpec::parse(w.traffic, w.name).map_err(|fault| fault.to_string())?;
    let mut source = Generator::source(&spec, &options).map_err(|fault| fault.to_string())?;
    let mut digest = Digest::default();
    counted_workload(&exp, &mut source, &mut digest);
    if digest.requests != w.requests || digest.attempts < w.requests {
        return Err(format!("{}: it lost requests: {digest:?}", w.name));
    }
    Ok(digest)
}

/// Counts every workload of a build of this program.
fn count(program: &Path) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for w in &WORKLOADS {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_workload*"])
            .arg(program)
            .args(["run", w.name])
            .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512F,-AVX2,-ERMS,-FSRM")
            .output()
            .map_err(|e| format!("valgrind: {e}; on Debian: apt-get install valgrind"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{} {}: {}\n{said}", program.display(), w.name, output.status));
        }
        let n = gate::collected(&said).ok_or_else(|| format!("{}: callgrind gave no count:\n{said}", w.name))?;
        counts.insert(w.name.into(), n);
    }
    Ok(counts)
}

/// The first line that a program prints about itself.
fn version(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn key() -> Result<Key, String> {
    let rustc = version("rustc", &["-vV"])?;
    let line = |prefix: &str| rustc.lines().find_map(|l| l.strip_prefix(prefix)).map(|s| s.trim().to_string());
    let valgrind = version("valgrind", &["--version"])?;
    Ok(Key {
        rustc: line("rustc ").ok_or("rustc -vV names no version")?,
        valgrind: valgrind.trim().trim_start_matches("valgrind-").into(),
        target: line("host:").ok_or("rustc -vV names no host")?,
    })
}

/// Exit status where the baseline has nothing for this toolchain.
const UNKNOWN_KEY: u8 = 3;

fn verdict(compared: Result<String, String>) -> ExitCode {
    match compared {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(table) => {
            println!("{table}\ninstructions: worse than allowed (+{} permille)", gate::TOLERANCE_PERMILLE);
            ExitCode::from(1)
        }
    }
}

fn main_of(args: &[&str]) -> Result<ExitCode, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let baselines = |path: &str| {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        Baselines::parse(&text).map_err(|e| format!("{path}: {e}"))
    };
    match args {
        ["run", name] => {
            let known = || WORKLOADS.map(|w| w.name).join(", ");
            let w = WORKLOADS.iter().find(|w| w.name == *name);
            println!("{name}: {:?}", run(w.ok_or_else(|| format!("no workload `{name}`; there are {}", known()))?)?);
            Ok(ExitCode::SUCCESS)
        }
        ["gate", path] => {
            let (baselines, key) = (baselines(path)?, key()?);
            let Some(before) = baselines.of(&key) else {
                println!("{path} knows nothing of {key:?}");
                return Ok(ExitCode::from(UNKNOWN_KEY));
            };
            Ok(verdict(gate::compare(before, &count(&this)?)))
        }
        ["against", other] => Ok(verdict(gate::compare(&count(Path::new(other))?, &count(&this)?))),
        ["write", path] => {
            let (mut baselines, key) = (baselines(path)?, key()?);
            baselines.set(&key, count(&this)?);
            std::fs::write(path, baselines.text()?).map_err(|e| format!("{path}: {e}"))?;
            println!("{path} has {key:?} now");
            Ok(ExitCode::SUCCESS)
        }
        [] => {
            for w in &WORKLOADS {
                println!("{}: {:?}", w.name, run(w)?);
            }
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(format!("cannot make sense of {args:?}; the head of benches/instructions/main.rs says what there is")),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    main_of(&args).unwrap_or_else(|e| {
        eprintln!("instructions: {e}");
        ExitCode::from(2)
    })
}
