//! What a drawn policy's gateway does around its decisions: a few rules at a time, all of them tight.
use super::seeds::DrawKey;
use std::fmt::Write;

/// Writes `[TABLE.gateway]` and sometimes `[TABLE.cascade]`; `places` are the pools and endpoints of the policy.
pub fn gateway(l: &mut DrawKey, toml: &mut String, table: &str, places: &[String]) {
    let mut put = |text: String| {
        let _ = writeln!(toml, "{text}");
    };
    put(format!("[{table}.gateway]"));
    if l.percent(30) {
        put(format!("try_timeout = \"{}\"", l.pick(&["7ms", "60ms", "500ms", "3s"])));
    }
    if l.percent(30) {
        put(format!("first_token_timeout = \"{}\"", l.pick(&["5ms", "40ms", "300ms"])));
    }
    if l.percent(60) {
        let preset = *l.pick(&["openai-sdk", "anthropic-sdk", "litellm", "sglang", "envoy", "portkey"]);
        let budget = if l.percent(30) { ", budget = { share = 0.2, burst = 3 }" } else { "" };
        put(format!("retry = {{ preset = \"{preset}\"{budget} }}"));
    }
    if l.percent(50) {
        let when =
            *l.pick(&["after = \"1ms\"", "after = \"40ms\"", "quantile = 0.5", "quantile = 0.95, after = \"20ms\""]);
        put(format!("hedge = {{ {when} }}"));
    }
    if l.percent(30) {
        let (failures, open, refuse) = (l.range(1, 3), *l.pick(&["20ms", "1s", "30s"]), l.percent(50));
        put(format!(
            "breaker = {{ failures = {failures}, open = \"{open}\", successes = 1, refuse_if_all_open = {refuse} }}"
        ));
    }
    if l.percent(20) {
        put("cooldown = { time = \"500ms\", at_least = 2 }".into());
    }
    let limited = !places.is_empty() && l.percent(30);
    if limited {
        put(format!("concurrency = {{ {} = {} }}", l.pick(places), l.range(1, 6)));
    }
    if limited || l.percent(30) {
        let full = match (limited, l.range(0, 2)) {
            (true, 0) => String::new(),
            (_, 1) => "saturation = { waiting = 1, kv_use = 0.5, stale_after = \"2s\" },".into(),
            _ => format!("max_in_flight = {},", l.range(1, 9)),
        };
        let shed = if l.percent(40) { "shed_above = 0," } else { "" };
        let queue = format!(
            "queue = {{ capacity = {}, ttl = \"{}\" }}",
            l.pick(&[1, 4, 500]),
            l.pick(&["9ms", "400ms", "20s"])
        );
        put(format!(
            "admission = {{ {full} {shed} {} }}",
            if l.percent(70) { queue } else { "shed_above = -1".into() }
        )
        .replace("shed_above = 0, shed_above = -1", "shed_above = 0"));
    }
    if l.percent(30) {
        let (share, patience) = (*l.pick(&["0.2", "1.0"]), *l.pick(&["3ms", "80ms", "1s"]));
        put(format!("impatience = {{ share = {share}, patience = \"{patience}\" }}"));
    }
    if places.len() > 1 && l.percent(50) {
        // Forwards only, so that no chain goes round.
        let (first, rest) = places.split_at(1);
        let quoted: Vec<String> = rest.iter().map(|p| format!("\"{p}\"")).collect();
        let chain = quoted.join(", ");
        put(format!(
            "fallback = {{ chains = {{ {} = [{chain}] }}, context_window = {{ {} = [{chain}] }} }}",
            first[0], first[0]
        ));
    }
    if places.len() > 1 && l.percent(30) {
        let stages: Vec<String> = places.iter().take(3).map(|p| format!("\"{p}\"")).collect();
        let accept: Vec<&str> = stages.iter().skip(1).map(|_| *l.pick(&["0.0", "0.5", "0.9"])).collect();
        put(format!("[{table}.cascade]\nstages = [{}]\naccept = [{}]", stages.join(", "), accept.join(", ")));
    }
}
