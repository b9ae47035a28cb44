//! A column as it was read, and its values as the numbers, texts and truth values that its reader needs.
//!
//! Must keep true: a value is exact or it is refused, with its row; an empty field is `None`.
use baseload_core::types::TraceFault;
use polars_arrow::array::{Array, BinaryViewArray, BooleanArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, Field};

/// A value that is not what the column must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Row of the bad value in what was read, from 0; 0 too where it is the whole column.
    pub row: usize,
    /// What is wrong, with the column's name.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Wrong {
    /// `what` is wrong in `row`.
    pub(super) fn at(row: usize, what: impl Into<String>, hint: impl Into<String>) -> Wrong {
        Wrong { row, what: what.into(), hint: Some(hint.into()) }
    }

    /// The fault of the file that the column is of, without its place there.
    pub fn fault(self) -> TraceFault {
        TraceFault { hint: self.hint, ..TraceFault::new(self.what) }
    }
}

/// A value that is no whole number, as it is shown.
struct NotWhole(String);

/// A column as it was read: of a row group, or of a file.
pub struct ReadColumn {
    pub(super) field: Field,
    pub(super) chunks: Vec<Box<dyn Array>>,
}

/// Whole numbers that a column can be read as.
pub trait Whole: TryFrom<i128> {
    /// What a value must be, in words.
    const MUST_BE: &'static str;
}
impl Whole for u32 {
    const MUST_BE: &'static str = "a whole number from 0 to 4294967295";
}
impl Whole for u64 {
    const MUST_BE: &'static str = "a whole number from 0 to 18446744073709551615";
}
impl Whole for i32 {
    const MUST_BE: &'static str = "a whole number from -2147483648 to 2147483647";
}
impl Whole for i64 {
    const MUST_BE: &'static str = "a whole number from -9223372036854775808 to 9223372036854775807";
}
impl Whole for i128 {
    const MUST_BE: &'static str = "a whole number";
}

/// Calls `$then` for each value of a chunk of numbers: an optional value of its own type.
macro_rules! each {
    ($chunk:expr, $number:ty, $then:expr) => {{
        let array = $chunk.as_any().downcast_ref::<PrimitiveArray<$number>>();
        array.into_iter().flatten().map(|v| v.copied()).try_for_each($then)
    }};
}

impl ReadColumn {
    pub(super) fn none(field: Field) -> ReadColumn {
        ReadColumn { field, chunks: Vec::new() }
    }

    /// Name of the column.
    pub fn name(&self) -> &str {
        &self.field.name
    }

    /// Rows of the column.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(|c| c.len()).sum()
    }

    /// What the column holds, in words.
    pub fn holds(&self) -> String {
        words(&self.field.dtype)
    }

    /// Whether the column holds text as such.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.field.dtype, ArrowDataType::Utf8View | ArrowDataType::BinaryView)
    }

    pub(super) fn wrong<T>(&self, must: &str) -> Result<T, Wrong> {
        let what = format!("column `{}` holds {}", self.name(), self.holds());
        Err(Wrong::at(0, what, format!("it must hold {must}")))
    }

    /// Whole numbers: of columns of whole numbers, and of decimals, floats and texts whose values are whole.
    ///
    /// # Errors
    /// A value that is none, or not in the range of `T`.
    pub fn whole<T: Whole>(&self) -> Result<Vec<Option<T>>, Wrong> {
        let mut out = Vec::with_capacity(self.rows());
        let mut push = |value: Option<Result<i128, NotWhole>>| {
            let value = match value.transpose() {
                Ok(value) => value,
                Err(shown) => return Err(shown),
            };
            let fits = value.map(|v| T::try_from(v).map_err(|_| NotWhole(v.to_string()))).transpose();
            fits.map(|v| out.push(v))
        };
        let mut done = Ok(());
        for chunk in &self.chunks {
            macro_rules! exact {
                ($number:ty) => {
                    each!(chunk, $number, |v: Option<$number>| push(v.map(|v| Ok(v.into()))))
                };
            }
            done = match &self.field.dtype {
                ArrowDataType::Int8 => exact!(i8),
                ArrowDataType::Int16 => exact!(i16),
                ArrowDataType::Int32 => exact!(i32),
                ArrowDataType::Int64 => exact!(i64),
                ArrowDataType::UInt8 => exact!(u8),
                ArrowDataType::UInt16 => exact!(u16),
                ArrowDataType::UInt32 => exact!(u32),
                ArrowDataType::UInt64 => exact!(u64),
                ArrowDataType::Float32 => each!(chunk, f32, |v: Option<f32>| push(v.map(|v| whole_of(v.into())))),
                ArrowDataType::Float64 => each!(chunk, f64, |v: Option<f64>| push(v.map(whole_of))),
                ArrowDataType::Decimal(_, scale) => each!(chunk, i128, |v: Option<i128>| {
                    let one = power_of_ten(*scale);
                    push(v.map(|v| if v % one == 0 { Ok(v / one) } else { Err(NotWhole(decimal(v, *scale))) }))
                }),
                ArrowDataType::Utf8View => {
                    let texts = chunk.as_any().downcast_ref::<Utf8ViewArray>();
                    let read = |t: &str| t.trim().parse().map_err(|_| NotWhole(format!("`{t}`")));
                    texts.into_iter().flatten().try_for_each(|t| push(t.map(read)))
                }
                _ => return self.wrong("whole numbers"),
            };
            if done.is_err() {
                break;
            }
        }
        match done {
            Ok(()) => Ok(out),
            Err(NotWhole(shown)) => {
                let what = format!("column `{}` is {shown}", self.name());
                Err(Wrong::at(out.len(), what, format!("it must be {}", T::MUST_BE)))
            }
        }
    }

    /// Numbers, whatever their kind. Decimals and whole numbers beyond 2^53 are rounded.
    ///
    /// # Errors
    /// That it holds none.
    pub fn numbers(&self) -> Result<Vec<Option<f64>>, Wrong> {
        let mut out: Vec<Option<f64>> = Vec::with_capacity(self.rows());
        for chunk in &self.chunks {
            macro_rules! as_f64 {
                ($number:ty) => {
                    each!(chunk, $number, |v: Option<$number>| {
                        out.push(v.map(|v| v as f64));
                        Ok::<(), Wrong>(())
                    })
                };
            }
            match &self.field.dtype {
                ArrowDataType::Int8 => as_f64!(i8),
                ArrowDataType::Int16 => as_f64!(i16),
                ArrowDataType::Int32 => as_f64!(i32),
                ArrowDataType::Int64 => as_f64!(i64),
                ArrowDataType::UInt8 => as_f64!(u8),
                ArrowDataType::UInt16 => as_f64!(u16),
                ArrowDataType::UInt32 => as_f64!(u32),
                ArrowDataType::UInt64 => as_f64!(u64),
                ArrowDataType::Float32 => as_f64!(f32),
                ArrowDataType::Float64 => as_f64!(f64),
                ArrowDataType::Decimal(_, scale) => each!(chunk, i128, |v: Option<i128>| {
                    out.push(v.map(|v| v as f64 / power_of_ten(*scale) as f64));
                    Ok::<(), Wrong>(())
                }),
                _ => return self.wrong("numbers"),
            }?;
        }
        Ok(out)
    }

    /// Truth values.
    ///
    /// # Errors
    /// That it holds none.
    pub fn flags(&self) -> Result<Vec<Option<bool>>, Wrong> {
        let mut out = Vec::with_capacity(self.rows());
        for chunk in &self.chunks {
            match chunk.as_any().downcast_ref::<BooleanArray>() {
                Some(flags) => out.extend(flags.iter()),
                None => return self.wrong("truth values"),
            }
        }
        Ok(out)
    }

    /// Texts: as they are, and numbers and truth values as they are written.
    ///
    /// # Errors
    /// That it holds times, lists or bytes that are no text.
    pub fn texts(&self) -> Result<Vec<Option<String>>, Wrong> {
        match &self.field.dtype {
            ArrowDataType::Utf8View => {
                let chunks = self.chunks.iter().filter_map(|c| c.as_any().downcast_ref::<Utf8ViewArray>());
                Ok(chunks.flat_map(|c| c.iter().map(|t| t.map(str::to_owned))).collect())
            }
            ArrowDataType::BinaryView => {
                let chunks = self.chunks.iter().filter_map(|c| c.as_any().downcast_ref::<BinaryViewArray>());
                let text = |(row, bytes): (usize, Option<&[u8]>)| {
                    let text = bytes.map(|b| String::from_utf8(b.to_vec())).transpose();
                    let what = || format!("column `{}` has bytes that are no UTF-8", self.name());
                    text.map_err(|_| Wrong::at(row, what(), "it must hold text"))
                };
                chunks.flat_map(|c| c.iter()).enumerate().map(text).collect()
            }
            ArrowDataType::Boolean => Ok(self.flags()?.into_iter().map(|v| v.map(|v| v.to_string())).collect()),
            ArrowDataType::Float32 | ArrowDataType::Float64 => {
                Ok(self.numbers()?.into_iter().map(|v| v.map(|v| format!("{v:?}"))).collect())
            }
            ArrowDataType::Decimal(_, scale) => {
                let chunks = self.chunks.iter().filter_map(|c| c.as_any().downcast_ref::<PrimitiveArray<i128>>());
                Ok(chunks.flat_map(|c| c.iter().map(|v| v.map(|v| decimal(*v, *scale)))).collect())
            }
            _ => match self.whole::<i128>() {
                Ok(values) => Ok(values.into_iter().map(|v| v.map(|v| v.to_string())).collect()),
                Err(_) => self.wrong("text"),
            },
        }
    }
}

pub(super) fn power_of_ten(digits: usize) -> i128 {
    10i128.checked_pow(digits as u32).unwrap_or(i128::MAX)
}

fn whole_of(v: f64) -> Result<i128, NotWhole> {
    // Beyond 2^53 not every whole number is one of them.
    let is_whole = v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0;
    if is_whole { Ok(v as i128) } else { Err(NotWhole(v.to_string())) }
}

/// A decimal as it is written.
fn decimal(v: i128, scale: usize) -> String {
    if scale == 0 {
        return v.to_string();
    }
    let (one, sign) = (power_of_ten(scale).unsigned_abs(), if v < 0 { "-" } else { "" });
    let v = v.unsigned_abs();
    format!("{sign}{}.{:0scale$}", v / one, v % one)
}

/// A kind of values in words.
fn words(kind: &ArrowDataType) -> String {
    match kind {
        ArrowDataType::Int8
        | ArrowDataType::Int16
        | ArrowDataType::Int32
        | ArrowDataType::Int64
        | ArrowDataType::UInt8
        | ArrowDataType::UInt16
        | ArrowDataType::UInt32
        | ArrowDataType::UInt64 => "whole numbers".into(),
        ArrowDataType::Float16 | ArrowDataType::Float32 | ArrowDataType::Float64 => "numbers".into(),
        ArrowDataType::Decimal(digits, scale) => format!("decimals ({digits} digits, {scale} behind the point)"),
        ArrowDataType::Boolean => "truth values".into(),
        ArrowDataType::Utf8View => "text".into(),
        ArrowDataType::BinaryView | ArrowDataType::FixedSizeBinary(_) => "bytes".into(),
        ArrowDataType::Timestamp(..) => "timestamps".into(),
        ArrowDataType::Date32 => "dates".into(),
        ArrowDataType::Time32(_) | ArrowDataType::Time64(_) => "times of day".into(),
        ArrowDataType::List(item) | ArrowDataType::LargeList(item) => format!("lists of {}", words(&item.dtype)),
        ArrowDataType::Struct(_) => "structs".into(),
        ArrowDataType::Map(..) => "maps".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ArrowDataType, chunks: Vec<Box<dyn Array>>) -> ReadColumn {
        ReadColumn { field: Field::new("n".into(), kind, true), chunks }
    }
    fn floats(values: Vec<f64>) -> ReadColumn {
        column(ArrowDataType::Float64, vec![PrimitiveArray::from_vec(values).boxed()])
    }
    fn decimals(scale: usize, values: Vec<Option<i128>>) -> ReadColumn {
        let kind = ArrowDataType::Decimal(38, scale);
        column(kind.clone(), vec![PrimitiveArray::from(values).to(kind).boxed()])
    }
    fn words(values: Vec<Option<&str>>) -> ReadColumn {
        column(ArrowDataType::Utf8View, vec![Utf8ViewArray::from_slice(values).boxed()])
    }

    #[test]
    fn whole_numbers_are_exact_or_refused_with_their_row() {
        let chunks = vec![
            PrimitiveArray::from_vec(vec![1i64, 2]).boxed(),
            PrimitiveArray::from(vec![None, Some(-1i64)]).boxed(),
        ];
        let signed = column(ArrowDataType::Int64, chunks);
        assert_eq!(signed.whole::<i32>(), Ok(vec![Some(1), Some(2), None, Some(-1)]));
        let wrong = signed.whole::<u32>().unwrap_err();
        assert_eq!(
            (wrong.row, wrong.fault().to_string().as_str()),
            (3, "column `n` is -1; it must be a whole number from 0 to 4294967295")
        );
        assert_eq!(floats(vec![3.0, -4.0]).whole::<i64>(), Ok(vec![Some(3), Some(-4)]));
        assert_eq!(floats(vec![3.0, 0.5]).whole::<i64>().unwrap_err().row, 1);
        assert_eq!(floats(vec![f64::NAN]).whole::<i64>().unwrap_err().row, 0);
        assert_eq!(floats(vec![1e18]).whole::<i64>().unwrap_err().row, 0, "it may have been another number once");
        assert_eq!(decimals(2, vec![Some(1_200), None]).whole::<u32>(), Ok(vec![Some(12), None]));
        let wrong = decimals(2, vec![Some(1_200), Some(-1_205)]).whole::<u32>().unwrap_err();
        assert!(wrong.row == 1 && wrong.what.starts_with("column `n` is -12.05"), "{wrong:?}");
        assert_eq!(words(vec![Some("7"), None, Some(" 8")]).whole::<u64>(), Ok(vec![Some(7), None, Some(8)]));
        assert!(words(vec![Some("seven")]).whole::<u64>().unwrap_err().what.starts_with("column `n` is `seven`"));
        let flags = column(ArrowDataType::Boolean, vec![BooleanArray::from_slice([true]).boxed()]);
        assert_eq!(
            flags.whole::<u32>().unwrap_err().fault().to_string(),
            "column `n` holds truth values; it must hold whole numbers"
        );
    }

    #[test]
    fn numbers_and_texts_are_read_of_what_has_them() {
        assert_eq!(decimals(1, vec![Some(25), None]).numbers(), Ok(vec![Some(2.5), None]));
        assert_eq!(
            words(vec![Some("2")]).numbers().unwrap_err().fault().to_string(),
            "column `n` holds text; it must hold numbers"
        );
        let said =
            |c: ReadColumn| c.texts().map(|t| t.into_iter().map(|t| t.unwrap_or("-".into())).collect::<Vec<_>>());
        assert_eq!(said(words(vec![Some("a"), None])), Ok(vec!["a".into(), "-".into()]));
        assert_eq!(said(decimals(3, vec![Some(-5), Some(12_000)])), Ok(vec!["-0.005".into(), "12.000".into()]));
        assert_eq!(said(floats(vec![1.0])), Ok(vec!["1.0".into()]));
        let raw =
            |bytes: &[u8]| column(ArrowDataType::BinaryView, vec![BinaryViewArray::from_slice_values([bytes]).boxed()]);
        assert_eq!(said(raw(b"old")), Ok(vec!["old".into()]));
        assert_eq!(
            raw(&[255]).texts().unwrap_err().fault().to_string(),
            "column `n` has bytes that are no UTF-8; it must hold text"
        );
        let days = column(ArrowDataType::Date32, vec![PrimitiveArray::from_vec(vec![1i32]).boxed()]);
        assert_eq!(days.texts().unwrap_err().fault().to_string(), "column `n` holds dates; it must hold text");
    }
}
