//! A row of a log, whether JSON or CSV had it: its fields by name, dotted names for fields of objects in it. CSV knows no
//! numbers and objects, and some exports write objects as text, so that a value is understood by what asks for it.
use super::parse::scaled;
use crate::shown::shown;
use baseload_core::types::timestamp::timestamp;
use baseload_core::types::{TraceFault, wrong};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A row's fields.
#[derive(Debug, Default)]
pub(super) struct Record {
    fields: Map<String, Value>,
}

/// Reads an object's fields without keeping the values of some.
struct Fields<'a>(&'a [&'a str]);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Map<String, Value>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = if self.0.contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
                Value::Null
            } else {
                map.next_value()?
            };
            fields.insert(key, value);
        }
        Ok(fields)
    }
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Map<String, Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl Record {
    /// A JSON object. Values of `skipped` fields are passed over and never kept.
    ///
    /// # Errors
    /// What is no object.
    pub(super) fn json(text: &str, skipped: &[&str]) -> Result<Record, TraceFault> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Fields(skipped).deserialize(&mut deserializer).and_then(|fields| {
            deserializer.end()?;
            Ok(fields)
        });
        let fields = read.map_err(|e| {
            let what = e.to_string().replace(" at line 1 column ", " at column ");
            wrong!("the line is torn or wrong ({what}); it must be one JSON object")
        })?;
        Ok(Record { fields })
    }

    /// An object within another value; `None` where it is none.
    pub(super) fn of(value: &Value) -> Option<Record> {
        value.as_object().map(|fields| Record { fields: fields.clone() })
    }

    /// A row of CSV; empty fields are absent.
    pub(super) fn csv<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Record {
        let there = fields.filter(|(_, value)| !value.is_empty());
        Record { fields: there.map(|(name, value)| (name.to_owned(), Value::String(value.to_owned()))).collect() }
    }

    /// Names of its fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The value of a field; null and empty text are absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let value = self.fields.get(name).or_else(|| dotted(&self.fields, name))?;
        let absent = matches!(value, Value::Null) || value.as_str().is_some_and(|text| text.trim().is_empty());
        (!absent).then_some(value)
    }

    /// The first of these fields that is there.
    pub(super) fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().find(|name| self.get(name).is_some()).copied()
    }

    /// A field as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }

    /// A field as text, if it is this word in any case.
    pub(super) fn is(&self, name: &str, word: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    /// A field as a count of tokens.
    ///
    /// # Errors
    /// What is no whole number from 0.
    pub(super) fn tokens(&self, name: &str) -> Result<Option<u32>, TraceFault> {
        self.get(name).map(|value| tokens(value, name)).transpose()
    }

    /// A field as a number.
    ///
    /// # Errors
    /// What is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, TraceFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite());
        number.map(Some).ok_or_else(|| wrong!("{name} is `{}`; it must be a number", written(value)))
    }

    /// A field as a duration, whose unit has so many decimal digits of a nanosecond (3 for µs, 6 for ms, 9 for s).
    ///
    /// # Errors
    /// What is no number from 0.
    pub(super) fn span(&self, name: &str, digits: usize) -> Result<Option<u64>, TraceFault> {
        self.get(name).map(|value| nanos(value, name, digits)).transpose()
    }

    /// A field as an instant, ns since 1970, and whether its zone is written.
    ///
    /// # Errors
    /// What is no ISO 8601.
    pub(super) fn instant(&self, name: &str) -> Result<Option<(i64, bool)>, TraceFault> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let at = instant(&text);
        at.map(Some).ok_or_else(|| wrong!("{name} is `{text}`; it must be ISO 8601, such as 2026-06-01T08:00:00.120Z"))
    }

    /// The object that a field is, or has as text.
    pub(super) fn object(&self, name: &str) -> Option<Record> {
        match self.get(name)? {
            Value::Object(fields) => Some(Record { fields: fields.clone() }),
            Value::String(text) => serde_json::from_str(text).ok().map(|fields| Record { fields }),
            _ => None,
        }
    }
}

/// An instant as exports write it: ISO 8601, the zone also in hours alone (PostgreSQL) or as the word UTC.
pub(super) fn instant(text: &str) -> Option<(i64, bool)> {
    let hours = |zone: &[u8]| matches!(zone, [b'+' | b'-', a, b] if a.is_ascii_digit() && b.is_ascii_digit());
    if let Some(bare) = text.strip_suffix("UTC") {
        return timestamp(bare.trim_end().as_bytes(), true).map(|(ns, _)| (ns, true));
    }
    match text.len().checked_sub(3).map(|at| &text.as_bytes()[at..]) {
        // Behind the seconds: a date alone ends in a sign and two digits, too.
        Some(zone) if hours(zone) && text.contains(':') => timestamp(format!("{text}:00").as_bytes(), true),
        _ => timestamp(text.as_bytes(), true),
    }
}

/// The value that a dotted name leads to, through objects.
pub(super) fn dotted<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let (first, rest) = name.split_once('.')?;
    let inner = object.get(first)?;
    match inner {
        Value::Object(inner) => inner.get(rest).or_else(|| dotted(inner, rest)),
        _ => None,
    }
}

/// A value that is no list or object, as text without white space around.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
        other => Some(other.to_string()),
    }
}

/// A value as it is shown in a fault.
fn written(value: &Value) -> String {
    shown(&text(value).unwrap_or_else(|| value.to_string()))
}

/// A count of tokens: a whole number as JSON, as text, or as a decimal number without a fraction.
///
/// # Errors
/// What is none.
pub(super) fn tokens(value: &Value, name: &str) -> Result<u32, TraceFault> {
    let whole = match value {
        Value::Number(n) => n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0).map(|f| f as i64)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().filter(|f: &f64| f.fract() == 0.0).map(|f| f as i64))
        }
        _ => None,
    };
    let whole = whole.ok_or_else(|| wrong!("{name} is `{}`; it must be a whole number of tokens", written(value)))?;
    super::parse::count(whole, name)
}

/// A duration whose unit has so many decimal digits of a nanosecond.
///
/// # Errors
/// What is no number from 0.
pub(super) fn nanos(value: &Value, name: &str, digits: usize) -> Result<u64, TraceFault> {
    let exact = text(value).and_then(|text| scaled(&text, digits));
    let rough = || {
        let value = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        let ns = value * [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9][digits];
        (0.0..9e18).contains(&ns).then(|| ns.round() as i64)
    };
    let ns = exact.or_else(rough);
    ns.map(|ns| ns as u64).ok_or_else(|| wrong!("{name} is `{}`; it must be a number from 0", written(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_understood_whatever_wrote_them() {
        let json =
            r#"{"a":{"b":{"c":5}},"x.y":7,"t":"12","f":3.0,"n":null,"e":" ","o":"{\"p\":1}","ms":2500.25,"skip":[1]}"#;
        let row = Record::json(json, &["skip"]).unwrap();
        assert_eq!((row.tokens("a.b.c"), row.tokens("x.y")), (Ok(Some(5)), Ok(Some(7))));
        assert_eq!(
            (row.tokens("t"), row.tokens("f"), row.tokens("n"), row.tokens("e")),
            (Ok(Some(12)), Ok(Some(3)), Ok(None), Ok(None))
        );
        assert_eq!(row.object("o").unwrap().tokens("p"), Ok(Some(1)));
        assert_eq!((row.span("ms", 6), row.get("skip")), (Ok(Some(2_500_250_000)), None));
        assert!(row.tokens("a").unwrap_err().to_string().contains("a is `{"));
        let at = |text: &str| instant(text).map(|(ns, zoned)| (ns / 1_000_000_000 % 86_400, zoned));
        let (nine, ten) = (9 * 3_600, 10 * 3_600);
        assert_eq!((at("2026-11-20 10:00:00"), at("2026-11-20T10:00:00Z")), (Some((ten, false)), Some((ten, true))));
        assert_eq!(
            (at("2026-11-20 10:00:00.5+01"), at("2026-11-20 10:00:00 UTC")),
            (Some((nine, true)), Some((ten, true)))
        );
        assert_eq!((at("2026-11-20"), at("-03"), at("é-03")), (None, None, None));
        let row = Record::csv([("a", "5"), ("b", ""), ("m", "{\"k\":2}")].into_iter());
        assert_eq!(
            (row.tokens("a"), row.get("b"), row.object("m").unwrap().tokens("k")),
            (Ok(Some(5)), None, Ok(Some(2)))
        );
        assert_eq!(row.names().collect::<Vec<_>>(), ["a", "m"]);
    }
}
