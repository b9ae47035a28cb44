//! `[policy.NAME]`: the fleet that it keeps, the parts of its pipeline, and at most one preset's table. Whose a key is says the
//! registry of presets.
use super::{CascadeSection, GatewaySection};
use baseload_core::catalog::keyed::{self, Read, keys_of};
use baseload_core::catalog::values_between;
use baseload_core::gateway::{Given, Parts, Presets};
use baseload_core::types::key;
use baseload_core::types::{Fault, Faults};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// A policy: the fleet it keeps, what it may buy, and how it routes: one preset (`least_outstanding` unless given), or parts of
/// your own. Rules may stand beside a preset; they are asked before the preset's own.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PolicySection {
    /// Keys of the policy's own: what it keeps, and what stands around it.
    #[serde(flatten)]
    pub own: PolicyKeys,
    /// Parts that the policy routes by.
    #[serde(flatten)]
    pub parts: Parts,
    /// The preset that it names.
    #[serde(flatten, serialize_with = "as_table")]
    pub preset: Option<Given>,
}

/// Keys of a policy beside the parts of its pipeline.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyKeys {
    /// Replicas that the policy keeps of each pool; the pool's own number where unnamed, 0 = none and no cost.
    #[schemars(transform = values_between(0, 10_000))]
    pub pools: IndexMap<String, u32>,
    /// Endpoints that the policy may buy from; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// Keys of `[gateway]` that differ for this policy, laid over the experiment's; all as there unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySection>,
    /// Small models first, larger ones where an answer does not do. None unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cascade: Option<CascadeSection>,
}

/// A preset as the table that it is.
fn as_table<S: Serializer>(given: &Option<Given>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(given.iter().map(|given| (given.preset.name, &given.table)))
}

/// Reads the table of a policy. Keys of faults are counted from it.
pub fn read(table: toml::Table, presets: &Presets) -> Read<PolicySection> {
    let (of_policy, of_parts) = (keys_of::<PolicyKeys>(), keys_of::<Parts>());
    let mut faults = Faults::default();
    let (mut own, mut parts, mut given) = (toml::Table::new(), toml::Table::new(), Vec::new());
    for (name, value) in table {
        if of_policy.contains(&name.as_str()) {
            own.insert(name, value);
        } else if of_parts.contains(&name.as_str()) {
            parts.insert(name, value);
        } else if let Some(preset) = presets.get(&name) {
            given.push((preset.name, preset.read(value).map_err(|faults| faults.under(&name))));
        } else {
            let known = of_policy.iter().chain(of_parts).copied().chain(presets.iter().map(|p| p.name));
            faults.push(Fault::unknown(&name, "key", &name, known));
        }
    }
    if let [(first, _), (second, _), ..] = given[..] {
        let what = format!("{first} is given too");
        faults.push(Fault::at(second, what).hint("a policy has one preset"));
    }
    let own = keyed::read::<PolicyKeys>(toml::Value::Table(own));
    let parts = keyed::read::<Parts>(toml::Value::Table(parts));
    faults.extend(own.faults.into_iter().chain(parts.faults));
    let preset = given.pop().map(|(_, given)| given).transpose();
    let preset = faults.take(preset);
    let value = own.value.zip(parts.value).zip(preset);
    Read {
        value: value.map(|((own, parts), preset)| PolicySection { own, parts, preset }),
        faults,
        left_out: own.left_out.into_iter().chain(parts.left_out).collect(),
    }
}

/// Reads all policies of an experiment. Keys of faults are counted from the experiment's table.
pub(super) fn read_all(value: Option<&toml::Value>, presets: &Presets) -> Read<IndexMap<String, PolicySection>> {
    let mut all = Read { value: None, faults: Faults::default(), left_out: Vec::new() };
    let mut policies = IndexMap::new();
    for (name, table) in value.and_then(toml::Value::as_table).into_iter().flatten() {
        let Some(table) = table.as_table() else {
            all.faults.push(Fault::at(key!["policy", name], "it must be a table"));
            all.left_out.push(key!["policy", name]);
            continue;
        };
        let read = read(table.clone(), presets);
        all.faults.extend(read.faults.under(key!["policy", name]));
        match read.value {
            Some(policy) => drop(policies.insert(name.clone(), policy)),
            None => all.left_out.push(key!["policy", name]),
        }
    }
    Read { value: Some(policies), ..all }
}

impl JsonSchema for PolicySection {
    fn schema_name() -> Cow<'static, str> {
        "PolicySection".into()
    }

    /// Schema of a policy: keys of its own, those of parts, and a table a preset.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = PolicyKeys::json_schema(generator);
        let parts = Parts::json_schema(generator);
        let properties = schema.ensure_object().entry("properties").or_insert_with(|| serde_json::json!({}));
        let Some(properties) = properties.as_object_mut() else { return schema };
        properties.extend(parts.get("properties").and_then(|p| p.as_object()).cloned().unwrap_or_default());
        for preset in Presets::embedded().iter() {
            let mut table = preset.section.schema(generator);
            table.insert("description".into(), format!("{}.", preset.title).into());
            properties.insert(preset.name.into(), table.to_value());
        }
        let about = "A policy: the fleet it keeps, what it may buy, and how it routes: one preset (`least_outstanding` unless \
                     given), or parts of\nyour own. Rules may stand beside a preset; they are asked before the preset's own.";
        schema.insert("description".into(), about.into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Read<PolicySection> {
        read(toml::from_str(text).unwrap(), &Presets::embedded())
    }

    /// A registry row that this walk does not reach would be a preset that nobody can name.
    #[test]
    fn every_preset_is_read_shown_and_in_the_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(PolicySection)).unwrap();
        for preset in Presets::embedded().iter() {
            let text = format!("[{}]\n{}\n", preset.name, preset.example);
            let section = read_text(&text).whole().unwrap_or_else(|e| panic!("{}: {e}", preset.name));
            let given = section.preset.clone().unwrap_or_else(|| panic!("{} is not read as a preset", preset.name));
            assert_eq!((given.preset.name, &given.parts), (preset.name, &preset.parts().unwrap()));
            assert_eq!(section.parts, Parts::default(), "{}: its parts are the preset's", preset.name);
            let echo = toml::to_string(&section).unwrap();
            let again = read_text(&echo).whole().unwrap_or_else(|e| panic!("{}: {e}\n{echo}", preset.name));
            assert_eq!(again.preset.map(|g| (g.table, g.parts)), Some((given.table, given.parts)), "{}", preset.name);
            let property = &schema["properties"][preset.name];
            assert_eq!(property["description"].as_str(), Some(format!("{}.", preset.title).as_str()), "{property}");
            let table = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")).unwrap();
            assert_eq!(schema["$defs"][table]["type"].as_str(), Some("object"), "{table}");
        }
        for name in keys_of::<PolicyKeys>().iter().chain(keys_of::<Parts>()) {
            assert!(schema["properties"].get(name).is_some(), "{name}");
            assert!(Presets::embedded().get(name).is_none(), "{name}: a key of policies is no preset's name");
        }
    }

    #[test]
    fn whose_a_key_is_says_the_registry() {
        let says = |text: &str| read_text(text).faults.to_string();
        assert_eq!(says("api_onl = {}"), "api_onl: unknown key `api_onl`; did you mean `api_only`?");
        assert_eq!(says("overflow = { too = \"a\" }"), "overflow.too: unknown key `too`; did you mean `to`?");
        assert_eq!(says("random = {}\nround_robin = {}"), "round_robin: random is given too; a policy has one preset");
        let many = says("pools = 1\nscorers = { queue = \"x\" }\ngateway = { timeout = 3 }\nslo_cheapest = { a = 1 }");
        let keys: Vec<&str> = many.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(keys, ["pools", "gateway.timeout", "scorers.queue", "slo_cheapest.a"]);
    }
}
