//! What the experiment file and the catalogue's tables say, read from their text.
use super::money;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

pub struct Class {
    pub name: String,
    pub private: bool,
    pub needs: u8,
    pub share_ppm: u32,
    /// Its own timeout.
    pub tolerates: Option<u64>,
}

pub struct Pool {
    pub name: String,
    pub capability: u8,
    pub max_model_len: u64,
    pub block_size: u64,
    pub num_blocks: u64,
    pub gpus: u32,
    pub rent: i128,
    pub vllm: bool,
    pub prefix_caching: bool,
    pub max_queued: Option<usize>,
}

impl Pool {
    /// Tokens of the longest sequence it can hold; one block is the null block.
    pub fn context(&self) -> u64 {
        self.max_model_len.min((self.num_blocks - 1) * self.block_size)
    }
}

/// Pico-dollars a token.
#[derive(Clone, Copy)]
pub struct Rates {
    pub input: i128,
    pub output: i128,
    pub cached: i128,
    /// Written to the prompt cache, where that has a price of its own.
    pub write: Option<i128>,
}

/// A prompt cache that nobody has to ask for.
pub struct Cache {
    /// Tokens of the shortest hit, and of the steps above it.
    pub from: u32,
    pub step: u32,
    /// Nanoseconds after the last use.
    pub alive: u64,
}

pub struct Endpoint {
    pub name: String,
    pub capability: u8,
    pub context: u64,
    pub rates: Rates,
    /// Above so many input tokens the whole request costs this.
    pub long: Option<(u64, Rates)>,
    pub cache: Option<Cache>,
    pub ttft_p50_s: f64,
    pub tokens_per_s: f64,
    pub p95_over_p50: f64,
    pub error_rate: f64,
    /// Requests, input tokens, output tokens a minute.
    pub limits: [Option<u64>; 3],
}

impl Endpoint {
    /// What the provider bills: whole steps of the prompt that were not read are written.
    pub fn bill(&self, prompt: u64, cached: u64, output: u64) -> i128 {
        let held = |c: &Cache| match prompt.checked_sub(c.from.into()) {
            Some(more) => u64::from(c.from) + more / u64::from(c.step) * u64::from(c.step),
            None => 0,
        };
        let written = self.cache.as_ref().filter(|_| self.rates.write.is_some()).map_or(0, held).saturating_sub(cached);
        self.bill_of(prompt, cached, written, output)
    }
    /// What a gateway that knows of no cache expects.
    pub fn expected(&self, prompt: u64, output: u64) -> i128 {
        self.bill_of(prompt, 0, 0, output)
    }
    fn bill_of(&self, prompt: u64, cached: u64, written: u64, output: u64) -> i128 {
        let rates = match self.long {
            Some((threshold, long)) if prompt > threshold => long,
            _ => self.rates,
        };
        let fresh = i128::from(prompt - cached - written);
        let (cached, written, output) = (i128::from(cached), i128::from(written), i128::from(output));
        let write = rates.write.unwrap_or(rates.input);
        fresh * rates.input + cached * rates.cached + written * write + output * rates.output
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    RoundRobin,
    LeastOutstanding,
    /// To this endpoint of the policy.
    Overflow(usize),
    CostAware,
    /// One that the auditor does not follow: it checks that a pick was a candidate, not which.
    Other,
}

pub struct Policy {
    pub name: String,
    /// Replicas of each pool of the file.
    pub replicas: Vec<u32>,
    /// Indices into the file's endpoints.
    pub endpoints: Vec<usize>,
    pub routing: Routing,
    /// Its gateway has rules of its own, which the auditor does not replay: it holds what they do against what must be true.
    pub free: bool,
}

pub struct Failures {
    pub per_gpu_hour: f64,
    pub detection: u64,
    pub recovery: u64,
}

/// Times in ns.
pub struct Facts {
    pub name: String,
    pub seed: u64,
    pub trace: Table,
    /// The last one is `default`.
    pub classes: Vec<Class>,
    pub slo: [Option<u64>; 3],
    pub pools: Vec<Pool>,
    pub endpoints: Vec<Endpoint>,
    pub policies: Vec<Policy>,
    pub timeout: u64,
    pub retries: u64,
    pub failures: Option<Failures>,
    pub people_per_year: i128,
    pub fte_thousandths: i128,
    pub on_call_per_year: i128,
}

/// Nanoseconds of `1.5s`.
pub fn duration(text: &str) -> u64 {
    let units = [("ns", 1u64), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000)];
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let (_, ns) = units.iter().find(|(u, _)| *u == unit).unwrap_or_else(|| panic!("`{text}` has no unit"));
    let number = text.trim_end_matches(unit);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10u64.pow(fraction.len() as u32);
    format!("{whole}{fraction}").parse::<u64>().expect("a decimal number") * ns / scale
}

fn catalog(table: &str) -> Table {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crates/core/src/catalog/data").join(table);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn row<'a>(table: &'a Table, name: &str, matches: impl Fn(&Table) -> bool) -> Option<&'a Table> {
    table[name].as_array().expect("rows").iter().filter_map(Value::as_table).find(|r| matches(r))
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or("")
}
fn whole(table: &Table, key: &str) -> Option<u64> {
    table.get(key).and_then(Value::as_integer).map(|n| u64::try_from(n).expect("a number from 0"))
}
fn real(table: &Table, key: &str) -> Option<f64> {
    let value = table.get(key)?;
    value.as_float().or(value.as_integer().map(|n| n as f64))
}
fn sub<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    table.get(key).and_then(Value::as_table)
}
fn each<'a>(table: &'a Table, key: &str) -> Vec<(&'a String, &'a Table)> {
    sub(table, key).map(|t| t.iter().map(|(k, v)| (k, v.as_table().expect("a table"))).collect()).unwrap_or_default()
}

fn capability(name: &str) -> u8 {
    match name {
        "" | "small" => 0,
        "mid" => 1,
        "frontier" => 2,
        other => panic!("capability `{other}`"),
    }
}

fn pool(name: &str, t: &Table) -> Pool {
    let models = catalog("models.toml");
    let model = row(&models, "model", |r| text(r, "id") == text(t, "model")).expect("a known model");
    // crates/core/src/catalog/model.rs: 20 and 300 thousand million parameters.
    let capability = match whole(model, "params_total").expect("params_total") {
        p if p >= 300_000_000_000 => 2,
        p if p >= 20_000_000_000 => 1,
        _ => 0,
    };
    let engine = sub(t, "engine");
    let fixed = engine.and_then(|e| sub(e, "static"));
    let none = Table::new();
    let vllm = engine.and_then(|e| sub(e, "vllm")).unwrap_or(&none);
    let rent = t["rent"].as_table().expect("a rent");
    let rents = catalog("gpu_prices.toml");
    let is_it = |r: &Table| {
        ["provider", "kind"].iter().all(|k| text(r, k) == text(rent, k)) && text(r, "gpu") == text(t, "gpu")
    };
    Pool {
        name: name.into(),
        capability,
        max_model_len: whole(t, "max_model_len").or(whole(model, "max_context")).expect("a context length"),
        block_size: whole(fixed.unwrap_or(vllm), "block_size").unwrap_or(16),
        num_blocks: whole(t, "num_blocks").expect("audited experiments give num_blocks"),
        gpus: whole(t, "tensor_parallel").unwrap_or(1) as u32,
        rent: match rent.get("usd_per_gpu_hour") {
            Some(own) => money::of(own),
            None => money::of(&row(&rents, "gpu_price", is_it).expect("a known rent")["usd_per_gpu_hour"]),
        },
        vllm: fixed.is_none(),
        prefix_caching: fixed.is_none() && vllm.get("enable_prefix_caching").and_then(Value::as_bool).unwrap_or(true),
        max_queued: whole(vllm, "max_num_queued_reqs").map(|n| n as usize),
    }
}

fn endpoint(name: &str, t: &Table) -> Endpoint {
    let (provider, model) = text(t, "catalog").split_once('/').expect("provider/model");
    let is_it = |r: &Table| text(r, "provider") == provider && text(r, "model") == model;
    let (prices, latencies) = (catalog("api_prices.toml"), catalog("api_latency.toml"));
    let price = row(&prices, "api_price", is_it).expect("a known endpoint");
    let latency = row(&latencies, "api_latency", is_it);
    let rated = row(&latencies, "api_capability", is_it);
    let token = |key: &str| price.get(key).map(|v| money::of(v) / 1_000_000);
    let must = |key: &str| token(key).expect("a price");
    let tier = text(t, "tier");
    // Another tier's input and output are in the table; the rest is in proportion to input, output to output.
    let (standard_in, standard_out) = (must("input"), must("output"));
    let of_tier = |key: &str| if tier.is_empty() { must(key) } else { must(&format!("{tier}_{key}")) };
    let (input, output) = (of_tier("input"), of_tier("output"));
    let times = |price: i128, by: i128, of: i128| if of == 0 { price } else { money::scaled(price, by, of) };
    let as_input = |price: i128| times(price, input, standard_in);
    let as_output = |price: i128| times(price, output, standard_out);
    let (tables, model_name) = (catalog("prompt_caches.toml"), model);
    let named = |r: &Table| r.get("models").and_then(Value::as_array).is_some_and(|m| !m.is_empty());
    let names = |r: &Table| {
        r.get("models").and_then(Value::as_array).is_some_and(|m| m.iter().any(|m| m.as_str() == Some(model_name)))
    };
    let own = row(&tables, "prompt_cache", |r| text(r, "provider") == provider && names(r));
    let rule = own.or(row(&tables, "prompt_cache", |r| text(r, "provider") == provider && !named(r)));
    let rule = rule.filter(|r| r["unasked"].as_bool() == Some(true));
    let written = rule.filter(|r| r["priced_writes"].as_bool() == Some(true)).and_then(|_| token("cache_write_5m"));
    let cached = token("cached_input");
    let long = whole(price, "long_context_threshold_tokens").map(|threshold| {
        let (input, output) =
            (token("long_input").unwrap_or(standard_in), token("long_output").unwrap_or(standard_out));
        let cached = token("long_cached_input").or(cached).unwrap_or(input);
        let write = written.map(|w| as_input(times(w, input, standard_in)));
        (threshold, Rates { input: as_input(input), output: as_output(output), cached: as_input(cached), write })
    });
    let known = |key: &str| latency.and_then(|l| real(l, key));
    let none = Table::new();
    let limits = sub(t, "limits").unwrap_or(&none);
    Endpoint {
        name: name.into(),
        capability: rated.map_or(0, |r| capability(text(r, "capability"))),
        context: whole(price, "max_input_tokens").expect("max_input_tokens"),
        rates: Rates { input, output, cached: cached.map_or(input, as_input), write: written.map(as_input) },
        long,
        cache: rule.map(|r| Cache {
            from: whole(r, "min_tokens").expect("tokens") as u32,
            step: whole(r, "step_tokens").expect("tokens") as u32,
            alive: whole(r, "ttl_s").expect("seconds") * 1_000_000_000,
        }),
        ttft_p50_s: match t.get("ttft_p50") {
            Some(own) => duration(own.as_str().expect("a duration")) as f64 / 1e9,
            None => known("ttft_p50_s").expect("a latency"),
        },
        tokens_per_s: real(t, "output_tokens_per_s").or(known("output_tokens_per_s")).expect("a speed"),
        p95_over_p50: known("p95_over_p50").unwrap_or(3.0),
        error_rate: real(t, "error_rate").or(known("error_rate")).unwrap_or(0.0),
        limits: ["requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute"]
            .map(|k| whole(limits, k)),
    }
}

fn policy(name: &str, t: &Table, pools: &[(String, u32)], endpoints: &[Endpoint]) -> Policy {
    let has = |key: &str| t.contains_key(key);
    let find = |v: &Value| endpoints.iter().position(|e| Some(e.name.as_str()) == v.as_str()).expect("an endpoint");
    let kept = sub(t, "pools");
    let replicas = pools.iter().map(|(name, default)| match kept.and_then(|k| whole(k, name)) {
        _ if has("api_only") => 0,
        Some(own) => own as u32,
        None => *default,
    });
    let bought: Vec<usize> = match t.get("endpoints").and_then(Value::as_array) {
        _ if has("self_hosted_only") => Vec::new(),
        Some(names) => names.iter().map(find).collect(),
        None => (0..endpoints.len()).collect(),
    };
    let routing = match sub(t, "overflow") {
        Some(o) => {
            let to = find(&o["to"]);
            Routing::Overflow(bought.iter().position(|e| *e == to).expect("overflow to an endpoint of the policy"))
        }
        None if has("round_robin") => Routing::RoundRobin,
        None if has("cost_aware") => Routing::CostAware,
        None if ["least_outstanding", "api_only", "self_hosted_only"].iter().any(|k| has(k)) => {
            Routing::LeastOutstanding
        }
        None if t.keys().all(|k| k == "pools" || k == "endpoints") => Routing::LeastOutstanding,
        None => Routing::Other,
    };
    let rules = t.get("rules").and_then(Value::as_array).into_iter().flatten();
    let defers = rules.filter_map(|r| r.get("to")).any(|to| to.as_str() == Some("defer"));
    Policy {
        name: name.into(),
        replicas: replicas.collect(),
        endpoints: bought,
        routing,
        // When these send is not replayed: a gateway of its own, or a policy that may turn requests away or put them off.
        free: ["gateway", "cascade", "llmd_default"].iter().any(|k| has(k)) || defers,
    }
}

impl Facts {
    /// When a request is given up.
    pub fn deadline(&self, ask: &super::trace::Ask) -> u64 {
        ask.arrival.saturating_add(self.classes[ask.class].tolerates.unwrap_or(self.timeout))
    }
    /// TTFT, TPOT and E2E that a request should meet.
    pub fn objectives(&self, ask: &super::trace::Ask) -> [Option<u64>; 3] {
        let [ttft, tpot, e2e] = self.slo;
        let own = |limit: Option<u64>| limit.map(|l| l.max(self.classes[ask.class].tolerates.unwrap_or(0)));
        [own(ttft), tpot, own(e2e)]
    }
    /// Reads an experiment file that extends no other.
    pub fn read(path: &Path) -> Facts {
        let file = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file: Table = file.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!file.contains_key("extends"), "the auditor reads plain experiments");
        let none = Table::new();
        let section = |key: &str| sub(&file, key).unwrap_or(&none);
        let mut classes: Vec<Class> = each(&file, "class")
            .into_iter()
            .map(|(name, c)| Class {
                name: name.clone(),
                private: text(c, "privacy") == "internal-only",
                needs: capability(text(c, "needs")),
                share_ppm: (real(c, "share").expect("a share") * 1e6).round() as u32,
                tolerates: c.get("tolerates").map(|t| duration(t.as_str().expect("a duration"))),
            })
            .collect();
        let rest = 1_000_000 - classes.iter().map(|c| c.share_ppm).sum::<u32>();
        classes.push(Class { name: "default".into(), private: false, needs: 0, share_ppm: rest, tolerates: None });
        let pools: Vec<Pool> = each(&file, "pool").into_iter().map(|(n, t)| pool(n, t)).collect();
        let endpoints: Vec<Endpoint> = each(&file, "endpoint").into_iter().map(|(n, t)| endpoint(n, t)).collect();
        let defaults: Vec<(String, u32)> = each(&file, "pool")
            .into_iter()
            .map(|(n, t)| (n.clone(), whole(t, "replicas").unwrap_or(1) as u32))
            .collect();
        let (slo, gateway, economics) = (section("slo"), section("gateway"), section("economics"));
        let ops = catalog("ops_costs.toml");
        let yearly = |own: &str, key: &str| match economics.get(own) {
            Some(value) => money::of(value),
            None => money::of(&row(&ops, "ops_cost", |r| text(r, "key") == key).expect("a known cost")["typical"]),
        };
        Facts {
            name: text(&file, "name").into(),
            seed: whole(&file, "seed").unwrap_or(1),
            trace: section("trace").clone(),
            classes,
            slo: ["ttft", "tpot", "e2e"].map(|k| slo.get(k).map(|v| duration(v.as_str().expect("a duration")))),
            policies: each(&file, "policy").into_iter().map(|(n, t)| policy(n, t, &defaults, &endpoints)).collect(),
            pools,
            endpoints,
            timeout: gateway.get("timeout").map_or(600_000_000_000, |t| duration(t.as_str().expect("a duration"))),
            retries: whole(gateway, "retries").unwrap_or(2),
            failures: sub(&file, "failures").map(|f| Failures {
                per_gpu_hour: real(f, "per_gpu_hour").unwrap_or(2e-5),
                detection: f.get("detection").map_or(30_000_000_000, |t| duration(t.as_str().expect("a duration"))),
                recovery: f.get("recovery").map_or(180_000_000_000, |t| duration(t.as_str().expect("a duration"))),
            }),
            people_per_year: yearly("people_usd_per_year", "ml_infra_engineer_loaded_us"),
            fte_thousandths: (real(economics, "people_fte").unwrap_or(0.5) * 1000.0).round() as i128,
            on_call_per_year: yearly("on_call_usd_per_year", "on_call_stipend_us"),
        }
    }
}
