//! Which keys a row must have, as its own type says it, each with what it is.
//!
//! Imports only `types`. Must keep true: what is missing hides nothing else that is wrong with the row.
use super::bounds::Bounds;
use super::keyed;
use super::nearest;
use crate::types::{Fault, Faults, Segment};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The keys of a kind of row.
pub(super) struct Keys(Map<String, Value>, Bounds);

/// A row as far as it could be read.
pub(super) struct Partial<T> {
    /// The row, with stand-ins for what could not be read.
    pub value: Option<T>,
    /// What is wrong with it as text.
    pub faults: Faults,
    /// Keys that have stand-ins.
    pub unread: Vec<String>,
}

impl Keys {
    /// The keys of `T` by its schema.
    pub fn of<T: JsonSchema>() -> Keys {
        Keys(schemars::schema_for!(T).as_object().cloned().unwrap_or_default(), Bounds::of::<T>())
    }

    /// The row of a table, as far as it can be read, and all that is wrong: keys that it must not have, keys that it lacks,
    /// values of another kind than the key's.
    pub fn read<T: DeserializeOwned>(&self, mut row: toml::Table) -> Partial<T> {
        let had = row.clone();
        let missing = self.stand_in(&mut row);
        let mut unread: Vec<String> = row.keys().filter(|key| !had.contains_key(*key)).cloned().collect();
        let keyed::Read { mut value, faults, left_out } =
            keyed::read_within::<T>(&self.1, toml::Value::Table(row.clone()));
        unread.extend(left_out.iter().filter_map(|key| match key.segments() {
            [Segment::Name(key), ..] => Some(key.clone()),
            _ => None,
        }));
        if value.is_none() {
            // A key that the row must have was left out for its kind: a stand-in lets the rest be read.
            left_out
                .iter()
                .filter_map(|key| key.segments().first())
                .for_each(|key| row.retain(|name, _| !key.is(name)));
            self.stand_in(&mut row);
            value = keyed::read_within::<T>(&self.1, toml::Value::Table(row)).value;
        }
        // What a stand-in is refused for nobody wrote.
        let written = |f: &Fault| !matches!(f.key.segments(), [Segment::Name(key), ..] if !had.contains_key(key));
        let mut faults: Faults = faults.into_iter().filter(written).collect();
        faults.extend(missing);
        Partial { value, faults, unread }
    }

    /// Gives each key that the row must have and lacks some value of its kind, so that the rest can be read, and says so. A
    /// key that another one seems to mean will be said to be misspelt.
    fn stand_in(&self, row: &mut toml::Table) -> Faults {
        let known: Vec<&str> = self.properties().map(|(key, _)| key.as_str()).collect();
        let strangers: Vec<String> = row.keys().filter(|k| !known.contains(&k.as_str())).cloned().collect();
        let meant: Vec<&str> = strangers.iter().filter_map(|k| nearest(k, &known)).collect();
        let required = self.0.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut faults = Faults::default();
        for name in required.filter_map(Value::as_str) {
            if row.contains_key(name) {
                continue;
            }
            let key = self.properties().find(|(key, _)| *key == name).map(|(_, kind)| kind);
            row.insert(name.to_owned(), some_value(key));
            if !meant.contains(&name) {
                let about = key.and_then(|k| k["description"].as_str()).unwrap_or_default();
                let about = about.lines().next().unwrap_or_default().trim_end_matches('.');
                faults.push(Fault::new(format!("{name} is missing ({about})")));
            }
        }
        faults
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("properties").and_then(Value::as_object).into_iter().flatten()
    }
}

/// A value of the kind that a key has.
fn some_value(key: Option<&Value>) -> toml::Value {
    match key.and_then(|k| k["type"].as_str()) {
        Some("integer") => toml::Value::Integer(1),
        Some("number") => toml::Value::Float(1.0),
        Some("boolean") => toml::Value::Boolean(false),
        Some("array") => toml::Value::Array(Vec::new()),
        _ => toml::Value::String(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ApiCapability, Gpu};

    fn faults<T: JsonSchema + DeserializeOwned>(row: &str) -> Vec<String> {
        let read = Keys::of::<T>().read::<T>(row.parse().unwrap());
        let mut says: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
        says.sort();
        says
    }

    #[test]
    fn what_is_missing_too_much_or_of_another_kind_is_said_all_at_once() {
        let row = "id = 3\nmem_bw_gbps = \"fast\"\nscale_up_domain_gpus = -1\ntdp = 700\n\
                   scale_up_gbps_unidirectional = 1.5\nalso = \"x\"\n";
        let want = [
            "also: it is the text \"x\"; it must be a list",
            "bf16_tflops_dense is missing (Peak dense BF16, TFLOP/s)",
            "id: it is 3; it must be a text",
            "mem_bw_gbps: it is the text \"fast\"; it must be a number",
            "memory_total_gib is missing (Memory that the runtime reports, GiB: what engines size by)",
            "scale_up_domain_gpus: it is -1; it must be a whole number from 0",
            "tdp: unknown key `tdp`; did you mean `tdp_w`?",
        ];
        assert_eq!(faults::<Gpu>(row), want);
        let sound = "id = \"x\"\nmemory_total_gib = 80\nmem_bw_gbps = 1\nscale_up_domain_gpus = 1\nbf16_tflops_dense = 9\n\
                     scale_up_gbps_unidirectional = 1.5\n";
        assert_eq!(faults::<Gpu>(sound), Vec::<String>::new());
        let slip = sound.replace("mem_bw_gbps", "mem_bw_gbsp");
        assert_eq!(faults::<Gpu>(&slip), ["mem_bw_gbsp: unknown key `mem_bw_gbsp`; did you mean `mem_bw_gbps`?"]);
    }

    #[test]
    fn a_choice_that_is_missing_is_said_once() {
        let says = faults::<ApiCapability>("provider = \"us\"\nmodel = \"x\"\n");
        assert_eq!(says, ["capability is missing (Small, mid or frontier)"]);
    }
}
