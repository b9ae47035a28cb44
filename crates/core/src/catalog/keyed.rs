//! Reads tables of TOML into structs, and says of all that is wrong which key it stands at.
//!
//! Must keep true: nothing is taken that serde would refuse, and no number out of its bounds; what is wrong in one place hides nothing in another.
use super::bounds::Bounds;
use crate::types::shown::in_quotes;
use crate::types::{Fault, Faults, KeyPath, Segment, nearest};
use schemars::JsonSchema;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;
use toml::Value;

/// Faults that are looked for: each reads what is left once more, and nobody mends more at a time.
const MOST_FAULTS: usize = 100;

/// What was read of a table.
#[derive(Debug)]
pub struct Read<T> {
    /// The struct, as far as what is right makes one.
    pub value: Option<T>,
    /// What is wrong, keys counted from the table.
    pub faults: Faults,
    /// Keys that were left out for a fault at them or inside.
    pub left_out: Vec<KeyPath>,
}

impl<T> Read<T> {
    /// The struct, if nothing is wrong.
    ///
    /// # Errors
    /// All faults.
    pub fn whole(self) -> Result<T, Faults> {
        match self.value {
            Some(value) => self.faults.finish(value),
            None => Err(self.faults),
        }
    }
}

/// Reads all of `table` that can be read: a number out of its bounds counts as the bound, any other key that is wrong is left
/// out and the rest read again.
pub fn read<T: DeserializeOwned + JsonSchema>(table: Value) -> Read<T> {
    read_within(&Bounds::of::<T>(), table)
}

/// As [`read`], with bounds that were looked up before: those of `T`.
pub fn read_within<T: DeserializeOwned>(bounds: &Bounds, mut table: Value) -> Read<T> {
    let (mut faults, mut left_out) = (bounds.hold(&mut table), Vec::new());
    let mut meant: Vec<KeyPath> = Vec::new();
    loop {
        let wrong = match T::deserialize(Reader(&table)) {
            Ok(value) => return Read { value: Some(value), faults, left_out },
            Err(wrong) => wrong,
        };
        let key: KeyPath = wrong.inside_out.into_iter().rev().collect::<Vec<Segment>>().into();
        // A key that is missing because it was left out, or misspelt, has been said to be wrong.
        let said = wrong.missing.map(|name| key.clone().then(name));
        if !said.is_some_and(|missing| left_out.contains(&missing) || meant.contains(&missing)) {
            faults.push(Fault { key: key.clone(), within: None, what: wrong.what, hint: wrong.hint });
        }
        let beside = key.segments().split_last().map_or(&[][..], |(_, outer)| outer).to_vec();
        meant.extend(wrong.meant.map(|name| KeyPath::from(beside).then(name)));
        match cut(&mut table, key) {
            Some(key) if faults.len() < MOST_FAULTS => left_out.push(key),
            _ => return Read { value: None, faults, left_out },
        }
    }
}

/// The names of the keys of a struct.
pub fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    match T::deserialize(Names) {
        Err(Found(names)) => names,
        Ok(_) => &[],
    }
}

/// Takes `key` out of a table, and says which key it took: of an element of a list the whole list, so that no other element
/// changes its place. None where that is the table itself.
fn cut(table: &mut Value, key: KeyPath) -> Option<KeyPath> {
    let mut segments = key.segments().to_vec();
    while matches!(segments.last(), Some(Segment::Index(_))) {
        segments.pop();
    }
    let (last, outer) = segments.split_last()?;
    let mut here = table;
    for segment in outer {
        here = match segment {
            Segment::Name(name) => here.get_mut(name.as_str())?,
            Segment::Index(at) => here.get_mut(*at)?,
        };
    }
    let Segment::Name(name) = last else { return None };
    here.as_table_mut()?.remove(name)?;
    Some(segments.into())
}

/// The first thing that is wrong, with the segments of its key from the innermost to the outermost.
#[derive(Debug)]
struct Wrong {
    inside_out: Vec<Segment>,
    what: String,
    hint: Option<String>,
    /// The name of a key that is not there.
    missing: Option<&'static str>,
    /// The key that an unknown one seems to mean.
    meant: Option<&'static str>,
}

impl Wrong {
    fn new(what: String, hint: Option<String>) -> Wrong {
        Wrong { inside_out: Vec::new(), what, hint, missing: None, meant: None }
    }
    fn under(mut self, segment: impl Into<Segment>) -> Wrong {
        self.inside_out.push(segment.into());
        self
    }
    /// `name` is none of `known`.
    fn unknown(kind: &str, name: &str, known: &'static [&'static str]) -> Wrong {
        let Fault { what, hint, .. } = Fault::unknown(KeyPath::default(), kind, name, known.iter().copied());
        Wrong::new(what, hint)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Wrong {
        Wrong::new(what.to_string(), None)
    }
    fn invalid_type(is: Unexpected<'_>, wanted: &dyn Expected) -> Wrong {
        Wrong::new(format!("it is {}", in_words(is)), Some(format!("it must be {}", wanted_in_words(wanted))))
    }
    fn invalid_value(is: Unexpected<'_>, wanted: &dyn Expected) -> Wrong {
        Wrong::invalid_type(is, wanted)
    }
    fn invalid_length(n: usize, wanted: &dyn Expected) -> Wrong {
        Wrong::new(format!("it has {n} elements"), Some(format!("it must be {}", wanted_in_words(wanted))))
    }
    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Wrong {
        Wrong::unknown("value", name, known)
    }
    fn unknown_field(name: &str, known: &'static [&'static str]) -> Wrong {
        Wrong { meant: nearest(name, known), ..Wrong::unknown("key", name, known) }
    }
    fn missing_field(name: &'static str) -> Wrong {
        Wrong { missing: Some(name), ..Wrong::new(format!("`{name}` is missing"), None) }
    }
    fn duplicate_field(name: &'static str) -> Wrong {
        Wrong::new(format!("`{name}` stands twice"), Some("it may stand once".into()))
    }
}

fn in_words(is: Unexpected<'_>) -> String {
    match is {
        Unexpected::Bool(b) => b.to_string(),
        Unexpected::Unsigned(n) => n.to_string(),
        Unexpected::Signed(n) => n.to_string(),
        Unexpected::Float(x) => format!("{x:?}"),
        Unexpected::Str(text) => format!("the text {}", in_quotes(text)),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// What serde expects, in the words of this file's other messages.
fn wanted_in_words(wanted: &dyn Expected) -> String {
    let words = wanted.to_string();
    match words.as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" => "a text".into(),
        "a map" => "a table".into(),
        "a sequence" => "a list".into(),
        _ if words.starts_with("struct ") => "a table".into(),
        _ => words,
    }
}

/// A value of TOML as serde reads it.
#[derive(Clone, Copy)]
struct Reader<'de>(&'de Value);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(n) => match u64::try_from(*n) {
                Ok(n) => visitor.visit_u64(n),
                Err(_) => visitor.visit_i64(*n),
            },
            Value::Float(x) => visitor.visit_f64(*x),
            Value::Boolean(b) => visitor.visit_bool(*b),
            Value::Datetime(at) => visitor.visit_string(at.to_string()),
            Value::Array(list) => visitor.visit_seq(List { list: list.iter(), at: 0 }),
            Value::Table(table) => visitor.visit_map(Table { entries: table.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Table(table) if table.len() == 1 => visitor.visit_enum(Choice(table)),
            Value::Table(table) => {
                Err(Wrong::new(format!("it has {} keys", table.len()), Some("a choice is a table of one key".into())))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct List<'de> {
    list: std::slice::Iter<'de, Value>,
    at: usize,
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Wrong;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some(value) = self.list.next() else { return Ok(None) };
        self.at += 1;
        seed.deserialize(Reader(value)).map(Some).map_err(|wrong| wrong.under(self.at - 1))
    }
}

struct Table<'de> {
    entries: toml::map::Iter<'de, String, Value>,
    value: Option<(&'de String, &'de Value)>,
}

impl<'de> MapAccess<'de> for Table<'de> {
    type Error = Wrong;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        let name: StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|wrong| wrong.under(key))
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let (key, value) = self.value.take().expect("keyed: serde asks for a key before its value");
        seed.deserialize(Reader(value)).map_err(|wrong| wrong.under(key))
    }
}

/// `{ variant = value }`.
struct Choice<'de>(&'de toml::Table);

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Wrong;
    type Variant = Chosen<'de>;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Chosen<'de>), Wrong> {
        let (key, value) = self.0.iter().next().expect("keyed: a choice has one key");
        let name: StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        Ok((seed.deserialize(name).map_err(|wrong| wrong.under(key))?, Chosen { key, value }))
    }
}

struct Chosen<'de> {
    key: &'de String,
    value: &'de Value,
}

impl<'de> VariantAccess<'de> for Chosen<'de> {
    type Error = Wrong;
    fn unit_variant(self) -> Result<(), Wrong> {
        match self.value {
            Value::Table(table) if table.is_empty() => Ok(()),
            _ => Err(Wrong::new("it takes no value".into(), Some(format!("write \"{}\"", self.key))).under(self.key)),
        }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Wrong> {
        seed.deserialize(Reader(self.value)).map_err(|wrong| wrong.under(self.key))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        Reader(self.value).deserialize_any(visitor).map_err(|wrong| wrong.under(self.key))
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        Reader(self.value).deserialize_any(visitor).map_err(|wrong| wrong.under(self.key))
    }
}

/// Asks a struct for the names of its keys and refuses it.
struct Names;

#[derive(Debug)]
struct Found(&'static [&'static str]);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
impl std::error::Error for Found {}
impl Error for Found {
    fn custom<T: fmt::Display>(_: T) -> Found {
        Found(&[])
    }
}

impl<'de> Deserializer<'de> for Names {
    type Error = Found;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Found> {
        Err(Found(&[]))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        Err(Found(names))
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct File {
        name: String,
        #[serde(default)]
        seed: Option<u32>,
        #[serde(default)]
        pool: BTreeMap<String, Pool>,
        #[serde(default)]
        picks: Vec<Pick>,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Pool {
        gpu: String,
        #[serde(default)]
        share: f64,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Pick {
        Max,
        Least { by: u8 },
    }

    fn read_text(text: &str) -> Read<File> {
        read(Value::Table(toml::from_str(text).unwrap()))
    }

    #[test]
    fn what_is_right_is_read() {
        let text =
            "name = \"n\"\nseed = 7\npicks = [\"max\", { least = { by = 3 } }]\n[pool.a]\ngpu = \"g\"\nshare = 1\n";
        let file = read_text(text).whole().unwrap();
        let pool = BTreeMap::from([("a".into(), Pool { gpu: "g".into(), share: 1.0 })]);
        assert_eq!(file, File { name: "n".into(), seed: Some(7), pool, picks: vec![Pick::Max, Pick::Least { by: 3 }] });
        assert_eq!(keys_of::<File>(), ["name", "seed", "pool", "picks"]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_its_key() {
        let text = "name = \"n\"\nsede = 7\nseed = -1\npicks = [\"max\", \"mxa\", { least = { by = 300 } }]\n\
            [pool.a]\ngup = \"g\"\n[pool.b]\ngpu = 3\n[pool.c]\ngpu = \"g\"\nshare = \"much\"\n[pool.d]\ngpu = \"g\"\n";
        let read = read_text(text);
        let mut said: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
        said.sort();
        let expected = [
            "picks[1]: unknown value `mxa`; did you mean `max`?",
            "picks[2].least.by: it is 300; it must be a whole number from 0 to 255",
            "pool.a.gup: unknown key `gup`; did you mean `gpu`?",
            "pool.b.gpu: it is 3; it must be a text",
            "pool.c.share: it is the text \"much\"; it must be a number",
            "sede: unknown key `sede`; did you mean `seed`?",
            "seed: it is -1; it must be a whole number from 0",
        ];
        assert_eq!(said, expected);
        let file = read.value.expect("the rest is a file");
        assert_eq!(file.pool.keys().collect::<Vec<_>>(), ["c", "d"], "what is left can be checked further");
        assert!(read.left_out.contains(&KeyPath::from("pool").then("b")));
    }

    #[test]
    fn a_table_with_nothing_right_is_given_up_in_time() {
        let text: String = (0..20_000).map(|i| format!("k{i} = {i}\n")).collect();
        let read = read_text(&text);
        assert_eq!((read.value, read.faults.len()), (None, MOST_FAULTS));
    }

    #[test]
    fn a_table_that_lacks_what_it_needs_is_none() {
        let read = read_text("seed = 1\n");
        assert_eq!((read.value, read.faults.to_string().as_str()), (None, "`name` is missing"));
        let wrong = read_text("name = 1\n");
        assert_eq!((wrong.value, wrong.faults.to_string().as_str()), (None, "name: it is 1; it must be a text"));
    }
}
