//! A policy of your own in any experiment: each tenant keeps to its own replica while that one is not much busier than the
//! least busy one, so that its prompts find their prefixes cached. It is compared with the policies of the file.
//!
//!     cargo run --release --no-default-features --example custom_policy -- experiments/quickstart.toml
use baseload::experiment::Experiment;
use baseload::gateway::{Decide, Decision, Draws, Feedback, GatewayView, Needs};
use baseload::types::{Place, ReplicaId};
use std::collections::BTreeMap;
use std::path::Path;

/// The policy. Its state is keyed by ids, and what it sees is a `GatewayView`: no output length, no backend.
#[derive(Default, Clone)]
struct TenantHome {
    home: BTreeMap<u32, ReplicaId>,
    answers: u64,
}

impl Decide for TenantHome {
    fn needs(&self) -> Needs {
        // Its own counts are always there; it asks only to be told of answers.
        Needs { feedback: true, ..Needs::default() }
    }

    fn decide(&mut self, view: &GatewayView<'_>, draws: &mut Draws) -> Decision {
        // Constraints have already dropped what may not serve the request.
        if view.own.is_empty() {
            return view.without_own();
        }
        let outstanding = view.signals.outstanding();
        let least = view.own.iter().map(|&r| outstanding[r]).min().unwrap_or(0);
        if let Some(&home) = self.home.get(&view.request.tenant)
            && view.own.contains(&home)
            && outstanding[home] <= least + 4
        {
            return Decision::Send(home.into());
        }
        // A new home by chance among the least busy: a draw keyed by the request, never a generator of its own.
        let idle: Vec<ReplicaId> = view.own.iter().copied().filter(|&r| outstanding[r] == least).collect();
        let home = idle[draws.below(idle.len())];
        self.home.insert(view.request.tenant, home);
        Decision::Send(home.into())
    }

    fn learn(&mut self, feedback: &Feedback) {
        if let Feedback::Ended { to: Place::Replica(_), completed: true, .. } = feedback {
            self.answers += 1;
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "experiments/quickstart.toml".into());
    let experiment = Experiment::load(Path::new(&path))?.with_policy("tenant-home", TenantHome::default())?;
    for policy in experiment.run()?.policies {
        println!(
            "{:<20} {:>5.1} % of prompts cached, p99 TTFT {} s, US$ {:.0} a month",
            policy.name,
            100.0 * policy.cached_prompt_share,
            policy.ttft_p99_s.map_or_else(|| "-".into(), |s| format!("{s:.2}")),
            policy.total_usd_per_month
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use baseload::experiment::Settings;
    use std::fmt::Write;

    /// 400 requests of eight tenants in no order, ten a second, each with its tenant's 3,000 tokens in front; four small caches.
    const EXPERIMENT: &str = r#"
name = "homes"
[trace]
path = "t.jsonl"
[pool.chat]
model = "llama-3.1-8b"
gpu = "h100-sxm"
replicas = 4
num_blocks = 600
max_model_len = 8192
rent = { usd_per_gpu_hour = 2.0 }
[policy.least.least_outstanding]
"#;

    fn trace() -> String {
        (0..400u64).fold(String::new(), |mut text, i| {
            let tenant = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61;
            let (at, own) = (i as f64 / 10.0, format!("[[{tenant},0,3000]]"));
            let _ = writeln!(
                text,
                "{{\"arrival_s\":{at},\"prompt_tokens\":3200,\"output_tokens\":50,\"tenant\":{tenant},\"content\":{own}}}"
            );
            text
        })
    }

    #[test]
    fn a_home_finds_its_prefix_and_every_run_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("homes.toml");
        std::fs::write(&path, EXPERIMENT).unwrap();
        std::fs::write(dir.path().join("t.jsonl"), trace()).unwrap();
        let run =
            || Experiment::load(&path).unwrap().with_policy("home", TenantHome::default()).unwrap().run().unwrap();
        let (one, two) = (run(), run());
        let [least, home] = &one.policies[..] else { panic!("{} policies", one.policies.len()) };
        assert_eq!((home.name.as_str(), home.completed, least.completed), ("home", 400, 400));
        assert_eq!(one.policies, two.policies, "the same experiment gives the same results");
        let (cached, by_chance) = (home.cached_prompt_share, least.cached_prompt_share);
        assert!(cached > by_chance, "{cached} of prompts cached at home, {by_chance} elsewhere");
    }

    #[test]
    fn it_runs_beside_the_policies_of_a_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
        let settings = Settings { sets: vec!["trace.limit=300".into()], ..Settings::default() };
        let experiment = Experiment::load_with(&path, &settings).unwrap();
        let taken = experiment.policies[0].name.clone();
        let summary = experiment.with_policy("tenant-home", TenantHome::default()).unwrap().run().unwrap();
        let names: Vec<&str> = summary.policies.iter().map(|p| p.name.as_str()).collect();
        assert_eq!((names[0], names.last()), (taken.as_str(), Some(&"tenant-home")));
        assert!(summary.policies.iter().all(|p| p.requests == 300));
        let again = Experiment::load_with(&path, &settings).unwrap().with_policy(&taken, TenantHome::default());
        let says = again.err().unwrap().to_string();
        assert!(says.contains(&format!("policy.{taken}: a policy has this name; give another name")), "{says}");
    }
}
