//! Which keys a row may have, and of which kind, as the row's own type says it.
//!
//! Imports only `types`. Must keep true: a row without a fault here has every key that it needs, and no other.
use super::nearest;
use crate::key;
use crate::types::{Fault, Faults};
use schemars::JsonSchema;
use serde_json::{Map, Value};

/// The keys of a kind of row.
pub(super) struct Keys(Map<String, Value>);

impl Keys {
    /// Those of `T`.
    pub fn of<T: JsonSchema>() -> Keys {
        Keys(schemars::schema_for!(T).as_object().cloned().unwrap_or_default())
    }

    fn all(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    /// Keys that the row must not have, keys that it lacks, and values of another kind than the key's.
    pub fn faults(&self, row: &toml::Table) -> Faults {
        let mut faults = Faults::default();
        for (name, value) in row {
            let Some((_, kind)) = self.all().find(|(key, _)| *key == name) else {
                let known: Vec<&str> = self.all().map(|(key, _)| key.as_str()).collect();
                let hint = match nearest(name, &known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it may have {}", known.join(", ")),
                };
                faults.push(Fault::at(name, "a row of this table has no such key").hint(hint));
                continue;
            };
            faults.extend(wrong_kind(kind, value).map(|what| Fault::at(name, what)));
        }
        let required = self.0.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !row.contains_key(*name)) {
            let about = self.all().find(|(key, _)| *key == name).and_then(|(_, k)| k["description"].as_str());
            let about = about.map_or_else(String::new, |text| format!(" ({})", first_line(text)));
            faults.push(Fault::at(key![], format!("{name} is missing{about}")));
        }
        faults
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end_matches('.')
}

/// What is wrong with a value, if it is not of the kind that the key has.
fn wrong_kind(kind: &Value, value: &toml::Value) -> Option<String> {
    let kinds: Vec<&str> = match &kind["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).filter(|k| *k != "null").collect(),
        // A choice of words or a table: said when the row is read.
        _ => return None,
    };
    let (is, fits): (String, &[&str]) = match value {
        toml::Value::String(text) => (format!("`{text}`, a text"), &["string"]),
        toml::Value::Integer(n) => (n.to_string(), &["integer", "number"]),
        toml::Value::Float(x) => (x.to_string(), &["number"]),
        toml::Value::Boolean(b) => (b.to_string(), &["boolean"]),
        toml::Value::Datetime(d) => (format!("{d} without quotes, a date"), &[]),
        toml::Value::Array(_) => ("a list".into(), &["array"]),
        toml::Value::Table(_) => ("a table".into(), &["object"]),
    };
    if !kinds.iter().any(|k| fits.contains(k)) {
        let wanted = kinds.iter().map(|k| match *k {
            "string" => "a text in quotes",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            _ => "a table",
        });
        return Some(format!("is {is}; it must be {}", wanted.collect::<Vec<_>>().join(" or ")));
    }
    match value.as_integer() {
        Some(n) if n < 0 && kind["minimum"].as_f64() == Some(0.0) => Some(format!("is {n}; it must be from 0")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Gpu;

    #[test]
    fn what_is_missing_too_much_or_of_another_kind_is_said_all_at_once() {
        let row = "id = 3\nmem_bw_gbps = \"fast\"\nscale_up_domain_gpus = -1\ntdp = 700\nbf16_tflops_dense = 9\n\
                   scale_up_gbps_unidirectional = 1.5\nalso = \"x\"\ndate = 2026-12-01\n";
        let faults = Keys::of::<Gpu>().faults(&row.parse().unwrap());
        let says: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let want = [
            "id: is 3; it must be a text in quotes",
            "mem_bw_gbps: is `fast`, a text; it must be a number",
            "scale_up_domain_gpus: is -1; it must be from 0",
            "tdp: a row of this table has no such key; did you mean `tdp_w`?",
            "also: is `x`, a text; it must be a list",
            "date: is 2026-12-01 without quotes, a date; it must be a text in quotes",
            "memory_total_gib is missing (Memory that the runtime reports, GiB: what engines size by)",
        ];
        assert_eq!(says, want);
        let sound = "id = \"x\"\nmemory_total_gib = 80\nmem_bw_gbps = 1\nscale_up_domain_gpus = 1\nbf16_tflops_dense = 9\n\
                     scale_up_gbps_unidirectional = 1.5\n";
        assert!(Keys::of::<Gpu>().faults(&sound.parse().unwrap()).is_empty());
    }
}
