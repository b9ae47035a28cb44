//! `perf.json`: what a run cost. Measured from outside the simulations, by the host's clocks; never compared.
use crate::experiment::{Perf, Watch};
use cpu_time::{ProcessTime, ThreadTime};
use serde::Serialize;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The file.
#[derive(Debug, Clone, Serialize)]
pub struct PerfFile {
    /// Counts of the simulations: requests, steps, events.
    #[serde(flatten)]
    counts: Perf,
    /// Simulations at a time.
    pub jobs: usize,
    /// All simulations, without reading the experiment and writing the results.
    wall_s: f64,
    /// User and system time of the whole process, all threads, from its start until this was written.
    cpu_s: f64,
    requests_per_wall_s: f64,
    requests_per_cpu_s: f64,
    /// Most memory that the process held at one time; Linux only.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    /// Threads that ran simulations, busiest first.
    workers: Vec<WorkerUse>,
}

/// What a thread did.
#[derive(Debug, Clone, Serialize)]
struct WorkerUse {
    simulations: u32,
    /// Inside simulations, by the wall clock.
    busy_s: f64,
    /// Inside simulations, by the thread's own CPU clock; less than `busy_s` where others had the core.
    cpu_s: f64,
    /// Share of `wall_s` outside simulations.
    idle_share: f64,
}

/// One worker so far.
#[derive(Debug, Clone, Default)]
struct Worker {
    simulations: u32,
    busy: Duration,
    cpu: Duration,
    /// When the simulation under way began, by the wall clock and the thread's own.
    since: Option<(Instant, Duration)>,
}

/// Watches a run's threads.
pub struct Meter {
    started: Instant,
    stopped: OnceLock<Instant>,
    /// By the pool's thread index.
    workers: Mutex<Vec<Worker>>,
}

/// CPU time of this thread; zero where the system has no such clock.
fn thread_cpu() -> Duration {
    ThreadTime::try_now().map_or(Duration::ZERO, |t| t.as_duration())
}

/// The wall clock.
pub fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "perf.json and the bounds of a download measure the wall clock; nothing compared depends on it"
    )]
    Instant::now()
}

impl Meter {
    /// Starts the clock.
    pub fn start() -> Meter {
        Meter { started: now(), stopped: OnceLock::new(), workers: Mutex::new(Vec::new()) }
    }

    /// The simulations have ended; what follows is not theirs.
    pub fn stop(&self) {
        self.stopped.get_or_init(now);
    }

    fn worker(&self, change: impl FnOnce(&mut Worker)) {
        let index = rayon::current_thread_index().unwrap_or(0);
        let mut workers = self.workers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if workers.len() <= index {
            workers.resize_with(index + 1, Worker::default);
        }
        change(&mut workers[index]);
    }

    /// What was measured, with the process's own clock as of now.
    pub fn finish(self, counts: Perf, jobs: usize) -> PerfFile {
        let wall = (*self.stopped.get_or_init(now) - self.started).as_secs_f64().max(1e-9);
        let cpu = ProcessTime::try_now().map_or(0.0, |t| t.as_duration().as_secs_f64()).max(1e-9);
        let mut threads = self.workers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A thread that found no work left is idle all along; it stands in no list.
        threads.resize_with(jobs.max(threads.len()), Worker::default);
        let mut workers: Vec<WorkerUse> = threads
            .iter()
            .map(|w| WorkerUse {
                simulations: w.simulations,
                busy_s: w.busy.as_secs_f64(),
                cpu_s: w.cpu.as_secs_f64(),
                idle_share: (1.0 - w.busy.as_secs_f64() / wall).max(0.0),
            })
            .collect();
        workers.sort_by(|a, b| b.busy_s.total_cmp(&a.busy_s));
        let requests = counts.requests as f64;
        PerfFile {
            counts,
            jobs,
            wall_s: wall,
            cpu_s: cpu,
            requests_per_wall_s: requests / wall,
            requests_per_cpu_s: requests / cpu,
            peak_rss_bytes: std::fs::read_to_string("/proc/self/status").ok().and_then(|s| peak_rss(&s)),
            workers,
        }
    }
}

impl Watch for Meter {
    fn begins(&self) {
        self.worker(|w| w.since = Some((now(), thread_cpu())));
    }
    fn ends(&self) {
        let (until, cpu_until) = (now(), thread_cpu());
        self.worker(|w| {
            if let Some((since, cpu)) = w.since.take() {
                w.simulations += 1;
                w.busy += until - since;
                w.cpu += cpu_until.saturating_sub(cpu);
            }
        });
    }
}

/// `VmHWM` of `/proc/self/status`, in bytes.
fn peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_kernels_own_words() {
        assert_eq!(peak_rss("VmPeak:\t  20 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 7 kB\n"), Some(12_345 * 1024));
        assert_eq!(peak_rss("VmRSS:\t 7 kB\n"), None);
        assert_eq!(peak_rss("VmHWM:\t 7 pages\n"), None);
    }

    #[test]
    fn busy_time_is_counted_by_thread_and_an_idle_thread_is_shown() {
        let meter = Meter::start();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            for _ in 0..2 {
                meter.begins();
                let until = now() + Duration::from_millis(5);
                while now() < until {
                    std::hint::black_box(0u64);
                }
                meter.ends();
            }
        });
        let file = meter.finish(Perf { requests: 10, ..Perf::default() }, 2);
        assert_eq!(file.workers.iter().map(|w| w.simulations).collect::<Vec<_>>(), [2, 0]);
        let [busy, idle] = &file.workers[..] else { panic!("two threads: {file:?}") };
        assert!(busy.busy_s >= 0.01 && busy.cpu_s > 0.0 && busy.cpu_s <= busy.busy_s * 1.5, "{file:?}");
        assert!(idle.busy_s == 0.0 && idle.idle_share == 1.0 && busy.idle_share < 1.0, "{file:?}");
        assert!(file.wall_s >= busy.busy_s && file.cpu_s > 0.0 && file.requests_per_cpu_s > 0.0, "{file:?}");
    }
}
