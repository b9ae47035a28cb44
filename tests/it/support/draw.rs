//! A whole experiment from one seed: trace, pools with hardly any memory, endpoints with tight limits, policies,
//! failures. Valid by construction; what a drawn experiment is about is that nothing in it is comfortable.
use super::draw_shared::{self, Said};
use super::seeds::DrawKey;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// An experiment as files of one folder; `experiment.toml` is the one to run.
pub struct Drawn {
    pub toml: String,
    files: Vec<(String, String)>,
}

impl Drawn {
    /// Writes the files into `folder`; the experiment's path.
    pub fn write(&self, folder: &Path) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let put = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            path
        };
        for (name, text) in &self.files {
            put(name, text);
        }
        put("experiment.toml", &self.toml)
    }
}

/// A pool that may be drawn: model, GPU, GPUs of a replica.
const POOLS: [(&str, &str, u64); 6] = [
    ("llama-3.1-8b", "h100-sxm", 1),
    ("llama-3.1-8b", "l4", 1),
    ("qwen2.5-7b", "a100-80-sxm", 1),
    ("gpt-oss-20b", "h100-sxm", 1),
    ("llama-3.1-70b", "h100-sxm", 4),
    ("llama-3.1-405b", "h200-sxm", 8),
];
/// Endpoints, those with long-context steps and with an automatic prompt cache among them.
const ENDPOINTS: [&str; 9] = [
    "openai/gpt-4o",
    "openai/gpt-6-astra",
    "openai/gpt-5.4-mini",
    "openai/gpt-4o-mini",
    "anthropic/claude-sonnet-4-6",
    "anthropic/claude-haiku-5-5",
    "google/gemini-3.1-pro-preview",
    "deepinfra/meta-llama/Meta-Llama-3.1-8B-Instruct",
    "groq/openai/gpt-oss-120b",
];
/// Policies of any backends that the auditor does not follow.
const OTHERS: [&str; 7] = [
    "random",
    "power_of_two",
    "session_hash",
    "litellm_simple_shuffle",
    "litellm_least_busy",
    "litellm_latency",
    "litellm_usage_v2",
];
/// Those that need own replicas,
const OTHERS_OF_OWN: [&str; 9] = [
    "least_kv",
    "sglang_cache_aware",
    "production_stack_session",
    "production_stack_prefix",
    "dynamo_kv",
    "vllm_dp",
    "llmd_default",
    "rules",
    "precise",
];
/// and those that need endpoints.
const OTHERS_THAT_BUY: [&str; 4] = ["baseload_split", "budget_paced", "route_llm_threshold", "time_of_day"];
/// Conditions of drawn rules.
const RULES: [&str; 4] = [
    "request.prompt_tokens > 300",
    "pool.waiting_mean > 1.0 && !request.private",
    "request.try > 0 || pool.kv_use_mean > 0.5",
    "pool.predicted_ttft_s > 0.2 && endpoint.in_flight < 3",
];
/// Tokens of the system prompts that requests share.
const SYSTEM_PROMPTS: [u64; 8] = [5, 16, 33, 64, 130, 700, 1_300, 2_300];

/// Draws the experiment of a seed. `schema` is the experiment's JSON schema: keys that it does not know are not drawn.
pub fn draw(seed: u64, schema: &str) -> Drawn {
    let mut d =
        Draw { luck: DrawKey::new(seed), toml: String::new(), files: Vec::new(), schema, longest: 0, long: false };
    let l = &mut d.luck;
    let seed_in_file = l.range(0, 1 << 40);
    let _ = writeln!(d.toml, "version = 1\nname = \"swarm-{seed}\"\nseed = {seed_in_file}\n");
    let classes = d.classes();
    let pools: Vec<String> = (0..*d.luck.pick(&[0, 1, 1, 1, 1, 1, 2, 2, 2])).map(|i| d.pool(i)).collect();
    let least = u64::from(pools.is_empty());
    let endpoints: Vec<String> = (0..(*d.luck.pick(&[0, 0, 1, 1, 2, 3])).max(least)).map(|i| d.endpoint(i)).collect();
    d.trace(&classes, !endpoints.is_empty());
    d.slo();
    d.gateway();
    d.failures();
    d.economics();
    let policies = d.luck.range(1, 4);
    (0..policies).for_each(|i| d.policy(i, &pools, &endpoints));
    Drawn { toml: d.toml, files: d.files }
}

struct Draw<'a> {
    luck: DrawKey,
    toml: String,
    files: Vec<(String, String)>,
    schema: &'a str,
    /// Longest sequence of the largest pool, so that prompts come near to it.
    longest: u64,
    /// Prompts long enough for an endpoint's prompt cache.
    long: bool,
}

macro_rules! line {
    ($d:expr, $($text:tt)*) => {
        let _ = writeln!($d.toml, $($text)*);
    };
}

impl Draw<'_> {
    fn knows(&self, key: &str) -> bool {
        self.schema.contains(&format!("\"{key}\""))
    }

    fn classes(&mut self) -> Vec<String> {
        let mut names = vec!["default".to_string()];
        for (name, keys) in [
            ("private", &["privacy = \"internal-only\""][..]),
            ("hard", &["needs = \"frontier\"", "needs = \"mid\""][..]),
            ("closed", &["privacy = \"internal-only\"\nneeds = \"mid\""][..]),
        ] {
            if self.luck.percent(30) {
                let share = self.luck.range(0, 330);
                let key = self.luck.pick(keys);
                line!(self, "[class.{name}]\nshare = {}\n{key}", share as f64 / 1000.0);
                if self.luck.percent(20) {
                    line!(self, "tolerates = \"{}\"", self.luck.pick(&["40ms", "2s", "90s"]));
                }
                line!(self, "");
                names.push(name.into());
            }
        }
        names
    }

    fn pool(&mut self, i: u64) -> String {
        let name = format!("pool{i}");
        let (model, gpu, gpus) = *self.luck.pick(&POOLS);
        let l = &mut self.luck;
        let block_size = *l.pick(&[1, 4, 16, 16, 32]);
        let tokens = *l.pick(&[48, 200, 600, 1_500, 4_000]);
        let blocks = (tokens / block_size).max(1) + 1 + l.range(0, 3);
        let room = (blocks - 1) * block_size;
        let longest = if l.percent(60) { l.range(room / 2 + 1, room) } else { room };
        self.longest = self.longest.max(longest);
        line!(self, "[pool.{name}]\nmodel = \"{model}\"\ngpu = \"{gpu}\"\ntensor_parallel = {gpus}");
        line!(self, "max_model_len = {longest}\nnum_blocks = {blocks}\nreplicas = {}", self.luck.range(1, 3));
        let rent = *self.luck.pick(&["2.5", "0.999999999999", "7", "0"]);
        if gpu == "h100-sxm" && self.luck.percent(50) {
            line!(self, "rent = {{ provider = \"AWS\", kind = \"on-demand\" }}");
        } else {
            line!(self, "rent = {{ usd_per_gpu_hour = {rent} }}");
        }
        if self.luck.percent(20) {
            let l = &mut self.luck;
            let (rows, wait) = (*l.pick(&[1, 2, 7, 32]), *l.pick(&["0s", "20ms", "500ms"]));
            line!(
                self,
                "[pool.{name}.engine.static]\nmax_batch = {rows}\ntimeout = \"{wait}\"\nblock_size = {block_size}\n"
            );
        } else {
            self.vllm(&name, block_size, longest);
        }
        name
    }

    fn vllm(&mut self, pool: &str, block_size: u64, longest: u64) {
        let l = &mut self.luck;
        let seqs = *l.pick(&[1, 2, 4, 9, 32, 256]);
        let budget = (*l.pick(&[1, 8, 17, 64, 300, 2_048, 2_048])).max(seqs);
        let threshold = if l.percent(40) { l.range(1, longest) } else { 0 };
        line!(self, "[pool.{pool}.engine.vllm]\nmax_num_seqs = {seqs}\nmax_num_batched_tokens = {budget}");
        line!(self, "block_size = {block_size}\nlong_prefill_token_threshold = {threshold}");
        line!(self, "enable_prefix_caching = {}", self.luck.percent(70));
        line!(self, "watermark = {}", self.luck.pick(&["0.0", "0.0", "0.01", "0.2"]));
        line!(self, "scheduler_reserve_full_isl = {}", self.luck.percent(60));
        if self.luck.percent(30) {
            line!(self, "max_num_queued_reqs = {}", self.luck.pick(&[1, 2, 5]));
        }
        if self.knows("async_scheduling") {
            line!(self, "async_scheduling = {}", self.luck.percent(60));
        }
        if self.knows("scheduling_policy") {
            line!(self, "scheduling_policy = \"{}\"", self.luck.pick(&["fcfs", "fcfs", "priority"]));
        }
        line!(self, "");
    }

    fn endpoint(&mut self, i: u64) -> String {
        let name = format!("buy{i}");
        let l = &mut self.luck;
        let (catalog, ttft) = (*l.pick(&ENDPOINTS), *l.pick(&["1ms", "50ms", "400ms", "3s"]));
        let (speed, errors) = (*l.pick(&["3.7", "60.0", "5000.0"]), *l.pick(&["0.0", "0.0", "0.1", "0.5", "1.0"]));
        line!(self, "[endpoint.{name}]\ncatalog = \"{catalog}\"\nttft_p50 = \"{ttft}\"\noutput_tokens_per_s = {speed}");
        if self.luck.percent(70) {
            line!(self, "error_rate = {errors}");
        }
        // Those that the table has prices of.
        let tiers: &[&str] = match catalog {
            "openai/gpt-6-astra" | "openai/gpt-5.4-mini" | "google/gemini-3.1-pro-preview" => &["flex", "priority"],
            c if c.starts_with("openai/") => &["priority"],
            _ => &[],
        };
        if self.knows("tier") && !tiers.is_empty() && self.luck.percent(30) {
            line!(self, "tier = \"{}\"", self.luck.pick(tiers));
        }
        let mut limits = Vec::new();
        for (key, values) in [
            ("requests_per_minute", [1, 6, 40, 300]),
            ("input_tokens_per_minute", [50, 900, 9_000, 60_000]),
            ("output_tokens_per_minute", [1, 40, 500, 5_000]),
        ] {
            if self.luck.percent(35) {
                limits.push(format!("{key} = {}", self.luck.pick(&values)));
            }
        }
        if !limits.is_empty() {
            // The auditor knows no provider's rules of its own.
            limits.push("preset = \"plain\"".to_string());
            line!(self, "limits = {{ {} }}", limits.join(", "));
        }
        line!(self, "");
        name
    }

    fn trace(&mut self, classes: &[String], bought: bool) {
        line!(self, "[trace]");
        self.long = bought && self.luck.percent(40);
        let kind = self.luck.range(0, 13);
        let requests = self.luck.range(20, 300);
        match kind {
            0..=1 => self.csv(requests, classes),
            2..=6 => self.jsonl(requests, classes),
            7 => self.azure(requests),
            8 => self.mooncake(requests),
            9 => self.generator(requests),
            10..=12 => {
                let text = draw_shared::generator(&mut self.luck, requests, self.longest);
                self.file("generator.toml", text, "generate");
            }
            _ => return self.users(requests, bought),
        }
        line!(self, "rate_scale = {}", self.luck.pick(&["1.0", "1.0", "0.5", "3.7"]));
        line!(self, "default_max_output_tokens = {}", self.luck.pick(&[1, 9, 1024]));
        if self.luck.percent(25) {
            line!(self, "limit = {}", self.luck.range(requests / 2, requests + 5));
        }
        line!(self, "");
    }

    /// Arrivals in ns, in order: bursts, equal instants, pauses. The second is later than the first.
    fn arrivals(&mut self, requests: u64) -> Vec<u64> {
        let mean = *self.luck.pick(&[200_000, 2_000_000, 5_000_000, 20_000_000, 200_000_000]);
        // On a grid, arrivals meet timeouts, retries and scrapes at the very instant.
        let grid = *self.luck.pick(&[1, 1, 1, 10_000_000, 100_000_000]);
        let (mut at, mut out) = (0, vec![0]);
        for i in 1..requests {
            at += match self.luck.range(0, 9) {
                0..=2 if i > 1 => 0,
                0..=5 => 1 + self.luck.skewed(0, mean),
                6..=8 => 1 + self.luck.range(mean / 2, mean * 2),
                _ => self.luck.range(1, mean * 20),
            };
            out.push(if i == 1 { at.next_multiple_of(grid) } else { at.max(out[1]) / grid * grid });
        }
        out
    }

    fn prompt(&mut self) -> u64 {
        let longest = if self.longest == 0 { 3_000 } else { self.longest };
        if self.long && self.luck.percent(60) {
            return self.luck.range(1_100, 3_000);
        }
        match self.luck.range(0, 99) {
            0..=9 => 1,
            10..=74 => self.luck.skewed(1, longest.min(800)),
            75..=89 => self.luck.range(1, longest),
            90..=94 => longest.saturating_sub(self.luck.range(0, 12)).max(1),
            95..=97 => longest + self.luck.range(1, 4_000),
            _ => self.luck.range(90_000, 400_000),
        }
    }

    fn output(&mut self) -> u64 {
        match self.luck.range(0, 19) {
            0..=2 => 1,
            3..=17 => 1 + self.luck.skewed(0, 90),
            _ => 1 + self.luck.range(0, (self.longest / 2).clamp(1, 400)),
        }
    }

    fn csv(&mut self, requests: u64, classes: &[String]) {
        let mut text =
            "class,arrival_s,output_tokens,prompt_tokens,tenant,max_output_tokens,priority,session\n".to_string();
        for at in self.arrivals(requests) {
            let class = if self.luck.percent(30) { self.luck.pick(classes).clone() } else { String::new() };
            let most = if self.luck.percent(30) { self.luck.range(1, 40).to_string() } else { String::new() };
            let session = if self.luck.percent(30) { self.luck.range(0, 9).to_string() } else { String::new() };
            let (output, prompt) = (self.output(), self.prompt());
            let (tenant, priority) = (self.luck.range(0, 3), self.luck.range(0, 4) as i64 - 2);
            let (s, ns) = ((at + 5_000) / 1_000_000_000, (at + 5_000) % 1_000_000_000);
            let _ = writeln!(text, "{class},{s}.{ns:09},{output},{prompt},{tenant},{most},{priority},{session}");
        }
        self.file("trace.csv", text, "path");
    }

    /// Prompts that begin with a part of a system prompt, cut into runs at random.
    fn content(&mut self, prompt: u64) -> String {
        let (mut runs, mut left) = (Vec::new(), prompt);
        let first = if self.long { self.luck.range(5, 7) } else { self.luck.range(0, 7) };
        for id in [first, self.luck.range(100, 105)] {
            let whole = *SYSTEM_PROMPTS.get(id as usize).unwrap_or(&50);
            let take = if self.luck.percent(70) { whole } else { self.luck.range(0, whole) }.min(left);
            let cut = if self.luck.percent(30) && take > 1 { self.luck.range(1, take - 1) } else { take };
            for (start, len) in [(0, cut), (cut, take - cut)] {
                if len > 0 {
                    runs.push(format!("[{id},{start},{len}]"));
                }
            }
            left -= take;
        }
        format!("[{}]", runs.join(","))
    }

    fn jsonl(&mut self, requests: u64, classes: &[String]) {
        let mut text = String::new();
        let mut said = self.luck.percent(50).then(Said::default);
        for at in self.arrivals(requests) {
            let (prompt, output) = (self.prompt(), self.output());
            let _ = write!(
                text,
                "{{\"arrival_s\":{},\"prompt_tokens\":{prompt},\"output_tokens\":{output}",
                at as f64 / 1e9
            );
            if let Some(said) = &mut said {
                let content = said.content(&mut self.luck, prompt, output);
                let _ = write!(text, ",\"content\":{content}");
            } else if self.luck.percent(85) {
                let content = self.content(prompt);
                let _ = write!(text, ",\"content\":{content}");
            }
            if self.luck.percent(20) {
                let class = self.luck.pick(classes).clone();
                let _ = write!(text, ",\"class\":\"{class}\"");
            }
            if self.luck.percent(20) {
                let _ = write!(
                    text,
                    ",\"max_output_tokens\":{},\"priority\":{}",
                    self.luck.range(1, 30),
                    self.luck.range(0, 5)
                );
            }
            let _ = writeln!(text, ",\"tenant\":{}}}", self.luck.range(0, 2));
        }
        self.file("trace.jsonl", text, "path");
    }

    fn azure(&mut self, requests: u64) {
        let mut text = "TIMESTAMP,ContextTokens,GeneratedTokens\n".to_string();
        for at in self.arrivals(requests) {
            // Two minutes before midnight, so that traces cross it.
            let s = at / 1_000_000_000 + 86_280;
            let (day, s) = (27 + s / 86_400, s % 86_400);
            let (month, day) = if day > 28 { (3, day - 28) } else { (2, day) };
            let (h, m, s, fraction) = (s / 3_600, s / 60 % 60, s % 60, at % 1_000_000_000 / 100);
            let (prompt, output) = (self.prompt(), self.output());
            let _ = writeln!(text, "2023-{month:02}-{day:02} {h:02}:{m:02}:{s:02}.{fraction:07},{prompt},{output}");
        }
        self.file("azure.csv", text, "path");
    }

    fn mooncake(&mut self, requests: u64) {
        let mut text = String::new();
        let per_bucket = self.luck.range(1, 40);
        for i in 0..requests {
            let (prompt, output) = (self.prompt().min(20_000), self.output());
            let blocks = prompt.div_ceil(512);
            let root = self.luck.range(0, 3);
            let shared = self.luck.range(0, blocks);
            let ids: Vec<String> = (0..blocks)
                .map(|b| if b < shared { root * 1_000 + b } else { 1_000_000 + i * 1_000 + b }.to_string())
                .collect();
            let at = i / per_bucket * 3_000;
            let _ = writeln!(
                text,
                "{{\"timestamp\":{at},\"input_length\":{prompt},\"output_length\":{output},\"hash_ids\":[{}]}}",
                ids.join(",")
            );
        }
        self.file("mooncake.jsonl", text, "path");
        line!(self, "spread_buckets = {}", per_bucket * 2 >= requests || self.luck.percent(60));
    }

    fn generator(&mut self, requests: u64) {
        let longest = self.longest.clamp(2, 4_000);
        let l = &mut self.luck;
        let (median, rate) = (l.range(1, longest), *l.pick(&["0.7", "20.0", "900.0"]));
        let (prefix, share, cv) = (*l.pick(&SYSTEM_PROMPTS), *l.pick(&["0.3", "1.0"]), *l.pick(&["0.5", "3.0"]));
        let text = format!(
            "requests = {requests}\nprompt = {{ median = {median}, p95 = {}, max = {} }}\n\
             output = {{ median = 12, sigma = 1.0, max = 120 }}\n\
             prefixes = {{ count = 3, tokens = {prefix}, tokens_last = 40, share = {share}, zipf_s = 1.0 }}\n\
             [arrivals]\nprocess.gamma.cv = {cv}\nrate = [{{ at = \"0s\", per_s = {rate} }}]\n\
             bursts = [{{ at = \"1s\", duration = \"2s\", times = 5.0 }}]\n",
            median * 3,
            longest + 20,
        );
        self.file("generator.toml", text, "generate");
    }

    fn users(&mut self, requests: u64, bought: bool) {
        let l = &mut self.luck;
        let (users, think) = (l.range(1, 20.min(requests / 2)), *l.pick(&["0s", "1ms", "100ms", "2s"]));
        // Users who do not think may send everything at one instant, whose spend cannot be scaled to a month.
        let think = if bought && think == "0s" { "3ms" } else { think };
        let prompt = l.range(1, 1 + self.longest.min(1_000));
        line!(
            self,
            "users = {{ concurrency = {users}, requests = {requests}, think = \"{think}\", prompt_tokens = {prompt}, \
             output_tokens = 20 }}\n"
        );
    }

    fn file(&mut self, name: &str, text: String, key: &str) {
        line!(self, "{key} = \"{name}\"");
        self.files.push((name.into(), text));
    }

    fn slo(&mut self) {
        line!(self, "[slo]");
        for (key, values) in [
            ("ttft", ["5ms", "80ms", "700ms", "4s"]),
            ("tpot", ["1ms", "9ms", "30ms", "200ms"]),
            ("e2e", ["50ms", "400ms", "2s", "20s"]),
        ] {
            if self.luck.percent(60) {
                line!(self, "{key} = \"{}\"", self.luck.pick(&values));
            }
        }
        line!(self, "");
    }

    fn gateway(&mut self) {
        let l = &mut self.luck;
        let timeout = *l.pick(&["30ms", "300ms", "1.5s", "1.5s", "8s", "60s", "600s", "600s"]);
        let (interval, delay) = (l.range(10, 1_000), *l.pick(&["0s", "0s", "1ms", "120ms", "2500ms"]));
        line!(self, "[gateway]\ntimeout = \"{timeout}\"\nretries = {}", self.luck.range(0, 5));
        line!(self, "scrape = {{ interval = \"{interval}ms\", delay = \"{delay}\" }}");
        if self.luck.percent(30) {
            line!(self, "assumed_prefill_tokens_per_s = {}", self.luck.pick(&[1, 900, 100_000]));
        }
        if self.luck.percent(60) {
            line!(self, "kv_event_delay = \"{}\"", self.luck.pick(&["1ns", "1ms", "40ms", "3s"]));
        }
        line!(self, "");
    }

    fn failures(&mut self) {
        if self.luck.percent(60) {
            return;
        }
        let l = &mut self.luck;
        let (rate, detection) = (*l.pick(&["30.0", "900.0", "20000.0"]), *l.pick(&["0s", "3ms", "200ms", "4s"]));
        let recovery = *l.pick(&["1ms", "150ms", "3s"]);
        line!(self, "[failures]\nper_gpu_hour = {rate}\ndetection = \"{detection}\"\nrecovery = \"{recovery}\"\n");
    }

    fn economics(&mut self) {
        if self.luck.percent(50) {
            let (fte, yearly) = (self.luck.range(0, 3_000), self.luck.pick(&["100", "123456.789"]));
            line!(self, "[economics]\npeople_fte = {}\npeople_usd_per_year = {yearly}", fte as f64 / 1000.0);
            line!(self, "on_call_usd_per_year = 1001\n");
        }
    }

    fn policy(&mut self, i: u64, pools: &[String], endpoints: &[String]) {
        // Of each kind the first word of its table, and whether it needs pools or endpoints.
        let mut kinds = vec!["", "round_robin", "least_outstanding", "cost_aware"];
        if !pools.is_empty() {
            kinds.push("self_hosted_only");
        }
        if !endpoints.is_empty() {
            kinds.push("api_only");
            kinds.extend(["overflow", "overflow", "cost_aware"]);
        }
        // Half of the policies are those that the auditor follows; of the others it only knows who was a candidate.
        if self.luck.percent(50) {
            kinds = OTHERS.to_vec();
            if !pools.is_empty() {
                kinds.extend(OTHERS_OF_OWN);
            }
            if !endpoints.is_empty() {
                kinds.extend(OTHERS_THAT_BUY);
            }
        }
        let kind = *self.luck.pick(&kinds);
        let needs_own = kind == "self_hosted_only" || OTHERS_OF_OWN.contains(&kind) || endpoints.is_empty();
        let mut kept: Vec<u64> = pools.iter().map(|_| self.luck.range(0, 3)).collect();
        if needs_own && kept.iter().sum::<u64>() == 0 {
            kept[0] = 1;
        }
        let mut bought = endpoints.to_vec();
        if self.luck.percent(40) {
            bought.reverse();
        }
        if self.luck.percent(30) && (bought.len() > 1 || kind.is_empty() && kept.iter().sum::<u64>() > 0) {
            bought.pop();
        }
        let counts: Vec<String> = pools.iter().zip(&kept).map(|(p, n)| format!("{p} = {n}")).collect();
        let quoted: Vec<String> = bought.iter().map(|e| format!("\"{e}\"")).collect();
        line!(
            self,
            "[policy.p{i}{}]\npools = {{ {} }}",
            if kind.is_empty() { "" } else { "-" }.to_string() + kind,
            counts.join(", ")
        );
        if self.luck.percent(70) || bought.len() < endpoints.len() {
            line!(self, "endpoints = [{}]", quoted.join(", "));
        }
        match kind {
            "" => {}
            "overflow" => {
                let l = &mut self.luck;
                let (waiting, use_, back) =
                    (*l.pick(&["0.1", "1.0", "5.0"]), *l.pick(&["0.0", "0.5", "1.0"]), *l.pick(&["0.0", "0.3", "1.0"]));
                let to = self.luck.pick(&bought);
                line!(
                    self,
                    "overflow = {{ to = \"{to}\", waiting_per_replica = {waiting}, kv_use = {use_}, hysteresis = {back} }}"
                );
            }
            "baseload_split" => {
                let (rate, burst) = (*self.luck.pick(&["0.5", "20.0"]), self.luck.range(1, 9));
                line!(self, "baseload_split = {{ requests_per_s = {rate}, burst = {burst} }}");
            }
            "budget_paced" => {
                let (usd, waiting) = (*self.luck.pick(&["0.01", "900.0"]), *self.luck.pick(&["0.1", "3.0"]));
                line!(self, "budget_paced = {{ usd_per_day = {usd}, waiting_per_replica = {waiting} }}");
            }
            "route_llm_threshold" => {
                let to = self.luck.pick(&bought);
                line!(self, "route_llm_threshold = {{ to = \"{to}\", strong_share = 0.3 }}");
            }
            "time_of_day" => {
                line!(self, "time_of_day = {{ from = \"23h\", until = \"1h\", offset = \"86340s\" }}");
            }
            "rules" => {
                let (words, to) = (*self.luck.pick(&RULES), *self.luck.pick(&["own", "any"]));
                line!(self, "rules = [{{ when = \"{words}\", to = \"{to}\", picker = \"random\" }}]");
                line!(
                    self,
                    "scorers = {{ queue = 2, kv_use = 2, prefix = 3, token_load = 1 }}\npicker = \"max_random\""
                );
                line!(self, "scrape = {{ interval = \"70ms\" }}");
            }
            "precise" => {
                let wait = self.luck.pick(&["1ms", "700ms", "1h"]);
                line!(self, "rules = [{{ when = \"pool.waiting_mean > 3.0\", to = \"defer\", wait = \"{wait}\" }}]");
                line!(self, "scorers = {{ cached_prefix = 3, outstanding = 1 }}\npicker = \"max\"");
            }
            other => {
                line!(self, "{other} = {{}}");
            }
        }
        let table = format!("policy.p{i}{}{kind}", if kind.is_empty() { "" } else { "-" });
        let own = pools.iter().zip(&kept).filter(|(_, n)| **n > 0 && kind != "api_only").map(|(p, _)| p.clone());
        let places: Vec<String> = own.chain(bought.into_iter().filter(|_| kind != "self_hosted_only")).collect();
        if self.luck.percent(45) {
            super::draw_gateway::gateway(&mut self.luck, &mut self.toml, &table, &places);
        }
        line!(self, "");
    }
}
