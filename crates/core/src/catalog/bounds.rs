//! The smallest and the largest value of every number of a file, as the file's JSON Schema states them.
//!
//! Must keep true: the schema is the only place that has them (`#[schemars(range(min = ..., max = ...))]` at the field), and
//! what is read by `keyed` is within them.
use crate::types::numbers::plain;
use crate::types::{Fault, Faults, KeyPath};
use schemars::{JsonSchema, Schema};
use serde_json::{Value as Json, json};
use toml::Value;

/// The schema of a type, to look its bounds up in.
pub struct Bounds(Json);

/// The least and the largest value of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    min: f64,
    max: f64,
    whole: bool,
}

/// Gives the values of a map these bounds: `#[schemars(transform = values_between(0, 100))]`.
pub fn values_between(min: impl Into<Json>, max: impl Into<Json>) -> impl Fn(&mut Schema) {
    let bounds = json!({ "minimum": min.into(), "maximum": max.into() });
    move |schema| extend(schema.get_mut("additionalProperties"), &bounds)
}

/// Gives the elements of the lists that are the values of a map these bounds.
pub fn value_items_between(min: impl Into<Json>, max: impl Into<Json>) -> impl Fn(&mut Schema) {
    let bounds = json!({ "minimum": min.into(), "maximum": max.into() });
    move |schema| extend(schema.get_mut("additionalProperties").and_then(|v| v.get_mut("items")), &bounds)
}

fn extend(schema: Option<&mut Json>, bounds: &Json) {
    let (schema, bounds) = (schema.and_then(Json::as_object_mut), bounds.as_object());
    let (Some(schema), Some(bounds)) = (schema, bounds) else { panic!("bounds: no such part of the schema") };
    schema.extend(bounds.clone());
}

impl Bounds {
    /// The bounds of `T`.
    pub fn of<T: JsonSchema>() -> Bounds {
        Bounds(schemars::schema_for!(T).to_value())
    }

    /// Says which numbers of a table are out of bounds, and puts the nearest bound in their place, so that the rest can be
    /// read and checked.
    pub fn hold(&self, table: &mut Value) -> Faults {
        let mut faults = Faults::default();
        self.walk(table, &[&self.0], &KeyPath::default(), &mut faults);
        faults
    }

    /// Numbers of the schema that lack a smallest or a largest value, by their place in it.
    pub fn lacking(&self) -> Vec<String> {
        let mut lacking = Vec::new();
        numbers(&self.0, String::new(), &mut |place, schema| {
            if range(schema).is_none() {
                lacking.push(place);
            }
        });
        lacking
    }

    fn walk(&self, value: &mut Value, schemas: &[&Json], key: &KeyPath, faults: &mut Faults) {
        let leaves: Vec<&Json> = schemas.iter().flat_map(|schema| self.leaves(schema)).collect();
        match value {
            Value::Integer(n) => {
                if let Some(bound) = held(&leaves, *n as f64, n.to_string(), key, faults) {
                    *value = bound;
                }
            }
            Value::Float(x) => {
                if let Some(bound) = held(&leaves, *x, format!("{x:?}"), key, faults) {
                    *value = bound;
                }
            }
            Value::Array(list) => {
                let items: Vec<&Json> = leaves.iter().filter_map(|leaf| leaf.get("items")).collect();
                for (at, value) in list.iter_mut().enumerate() {
                    let here = leaves.iter().filter_map(|leaf| leaf.get("prefixItems").and_then(|list| list.get(at)));
                    let here: Vec<&Json> = items.iter().copied().chain(here).collect();
                    self.walk(value, &here, &key.clone().then(at), faults);
                }
            }
            Value::Table(table) => {
                for (name, value) in table.iter_mut() {
                    let here: Vec<&Json> = leaves.iter().filter_map(|leaf| of_key(leaf, name)).collect();
                    self.walk(value, &here, &key.clone().then(name.as_str()), faults);
                }
            }
            _ => {}
        }
    }

    /// The schemas that a schema stands for: what it refers to, and each of its alternatives.
    fn leaves<'a>(&'a self, schema: &'a Json) -> Vec<&'a Json> {
        let named = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix("#"));
        let named = named.and_then(|path| self.0.pointer(path));
        let several = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|of| schema.get(of)?.as_array()).flatten();
        let beyond = named.into_iter().chain(several).flat_map(|inner| self.leaves(inner));
        std::iter::once(schema).chain(beyond).collect()
    }
}

/// The schema of a key of a table.
fn of_key<'a>(table: &'a Json, name: &str) -> Option<&'a Json> {
    let named = table.get("properties").and_then(|properties| properties.get(name));
    named.or_else(|| table.get("additionalProperties").filter(|more| more.is_object()))
}

/// Calls `each` with the place and schema of every number.
fn numbers(schema: &Json, place: String, each: &mut impl FnMut(String, &Json)) {
    if is_number(schema) {
        each(place.clone(), schema);
    }
    match schema {
        Json::Object(map) => {
            // A default or an example is no schema.
            let parts =
                map.iter().filter(|(name, _)| !matches!(name.as_str(), "default" | "const" | "enum" | "examples"));
            parts.for_each(|(name, inner)| numbers(inner, format!("{place}/{name}"), each));
        }
        Json::Array(list) => {
            list.iter().enumerate().for_each(|(at, inner)| numbers(inner, format!("{place}/{at}"), each));
        }
        _ => {}
    }
}

fn is_number(schema: &Json) -> bool {
    let is = |kind: &Json| matches!(kind.as_str(), Some("integer" | "number"));
    let is_any = |kinds: &Json| is(kinds) || kinds.as_array().is_some_and(|all| all.iter().any(is));
    schema.get("type").is_some_and(is_any)
}

fn range(schema: &Json) -> Option<Range> {
    let number = |name: &str| schema.get(name).and_then(Json::as_f64);
    let whole = !schema["type"].to_string().contains("number");
    Some(Range { min: number("minimum")?, max: number("maximum")?, whole })
}

/// The bound that a number is to be replaced by, where it is within none of the ranges that it may be in.
fn held(leaves: &[&Json], x: f64, written: String, key: &KeyPath, faults: &mut Faults) -> Option<Value> {
    let ranges: Vec<Range> = leaves.iter().filter(|leaf| is_number(leaf)).filter_map(|leaf| range(leaf)).collect();
    let first = *ranges.first()?;
    if ranges.iter().any(|r| r.min <= x && x <= r.max) {
        return None;
    }
    let kind = if first.whole { "a whole number" } else { "a number" };
    let fault = Fault::at(key.clone(), format!("it is {written}"));
    faults.push(fault.hint(format!("it must be {kind} from {} to {}", plain(first.min), plain(first.max))));
    let bound = if x > first.max { first.max } else { first.min };
    Some(if first.whole { Value::Integer(bound as i64) } else { Value::Float(bound) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(JsonSchema, Deserialize, PartialEq)]
    struct File {
        #[schemars(range(min = 0, max = 100))]
        count: Option<u32>,
        #[schemars(range(min = 0.5, max = 2.0))]
        share: f64,
        #[schemars(transform = values_between(1, 9))]
        pools: BTreeMap<String, u8>,
        #[schemars(transform = value_items_between(0.0, 1.0))]
        classes: BTreeMap<String, Vec<f64>>,
        picks: Vec<Pick>,
        free: i64,
    }

    #[derive(JsonSchema, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Pick {
        Max,
        Least {
            #[schemars(range(min = 0, max = 3))]
            by: u8,
        },
    }

    fn said(text: &str) -> (Value, Vec<String>) {
        let mut table = Value::Table(toml::from_str(text).unwrap());
        let faults = Bounds::of::<File>().hold(&mut table);
        let mut said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        said.sort();
        (table, said)
    }

    #[test]
    fn a_number_out_of_bounds_is_said_and_replaced_by_the_bound() {
        let text = "count = 101\nshare = nan\nfree = -5\npicks = [\"max\", { least = { by = 4 } }]\n[pools]\na = 0\n\"b.c\" = 9\n\
                    [classes]\nx = [0.5, 1e300]\n";
        let (table, said) = said(text);
        let expected = [
            "classes.x[1]: it is 1e300; it must be a number from 0 to 1",
            "count: it is 101; it must be a whole number from 0 to 100",
            "picks[1].least.by: it is 4; it must be a whole number from 0 to 3",
            "pools.a: it is 0; it must be a whole number from 1 to 9",
            "share: it is NaN; it must be a number from 0.5 to 2",
        ];
        assert_eq!(said, expected);
        let at = |path: &[&str]| path.iter().try_fold(&table, |t, name| t.get(name)).cloned();
        assert_eq!(at(&["count"]), Some(Value::Integer(100)));
        assert_eq!(at(&["share"]), Some(Value::Float(0.5)));
        assert_eq!(at(&["pools", "a"]), Some(Value::Integer(1)));
    }

    #[test]
    fn what_is_within_stays_as_it_is() {
        let text =
            "count = 100\nshare = 1\nfree = 9223372036854775807\npicks = [{ least = { by = 3 } }]\n[pools]\na = 1\n";
        let (table, said) = said(text);
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(table, Value::Table(toml::from_str(text).unwrap()));
    }

    #[test]
    fn a_number_without_bounds_is_found() {
        assert_eq!(Bounds::of::<File>().lacking(), ["/properties/free"]);
    }
}
