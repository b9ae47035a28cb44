//! A column as it was read, as times.
//!
//! Must keep true: a time is exact to the nanosecond, or of a number with more digits the nearest one.
use super::column_read::{ReadColumn, Wrong, power_of_ten};
use baseload_core::types::TimeUnit;
use baseload_core::types::timestamp::timestamp;
use polars_arrow::array::PrimitiveArray;
use polars_arrow::datatypes::{ArrowDataType, TimeUnit as ArrowUnit};
use polars_arrow::types::NativeType;

impl ReadColumn {
    /// Times in ns. Numbers count `unit`s; timestamps and times of day know their own; texts are ISO 8601 where that is
    /// the unit, else numbers.
    ///
    /// # Errors
    /// A value that is no time, or not within 2^63 ns.
    pub fn times(&self, unit: TimeUnit) -> Result<Vec<Option<i64>>, Wrong> {
        let scale = 10i128.pow(unit.digits() as u32);
        match &self.field.dtype {
            ArrowDataType::Timestamp(own, _) | ArrowDataType::Time32(own) | ArrowDataType::Time64(own) => {
                let scale = match own {
                    ArrowUnit::Second => 1_000_000_000,
                    ArrowUnit::Millisecond => 1_000_000,
                    ArrowUnit::Microsecond => 1_000,
                    ArrowUnit::Nanosecond => 1,
                };
                if matches!(self.field.dtype, ArrowDataType::Time32(_)) {
                    return self.scaled::<i32>(|v| Some(i128::from(v) * scale));
                }
                self.scaled::<i64>(|v| Some(i128::from(v) * scale))
            }
            ArrowDataType::Date32 => self.scaled::<i32>(|v| Some(i128::from(v) * 86_400_000_000_000)),
            _ if unit == TimeUnit::Iso8601 => {
                let read = |(row, text): (usize, Option<String>)| {
                    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(None) };
                    let at = timestamp(text.as_bytes(), true);
                    let hint = "it must be ISO 8601, such as 2026-06-01T08:00:00.120Z";
                    let wrong = || Wrong::at(row, format!("{} is `{text}`", self.name()), hint);
                    at.map(|(ns, _)| Some(ns)).ok_or_else(wrong)
                };
                self.texts()?.into_iter().enumerate().map(read).collect()
            }
            ArrowDataType::Float64 => self.scaled::<f64>(|v| rounded(v * scale as f64)),
            ArrowDataType::Float32 => self.scaled::<f32>(|v| rounded(f64::from(v) * scale as f64)),
            ArrowDataType::Decimal(_, digits) => {
                let one = power_of_ten(*digits);
                self.scaled::<i128>(|v| {
                    let ns = v.checked_mul(scale)?;
                    Some(ns.div_euclid(one) + i128::from(ns.rem_euclid(one) >= one - one / 2))
                })
            }
            _ => {
                let values = self.whole::<i64>()?.into_iter().enumerate();
                let ns = |(row, v): (usize, Option<i64>)| {
                    let ns = v.map(|v| i64::try_from(i128::from(v) * scale)).transpose();
                    ns.map_err(|_| self.too_long(row, v.unwrap_or(0)))
                };
                values.map(ns).collect()
            }
        }
    }

    /// Times that `ns` makes of values of the type that the column has.
    fn scaled<S: NativeType>(&self, ns: impl Fn(S) -> Option<i128>) -> Result<Vec<Option<i64>>, Wrong> {
        let chunks = self.chunks.iter().filter_map(|c| c.as_any().downcast_ref::<PrimitiveArray<S>>());
        let time = |(row, v): (usize, Option<&S>)| match v {
            None => Ok(None),
            Some(v) => {
                let ns = ns(*v).and_then(|ns| i64::try_from(ns).ok());
                ns.map(Some).ok_or_else(|| self.too_long(row, v))
            }
        };
        chunks.flat_map(|c| c.iter()).enumerate().map(time).collect()
    }

    fn too_long(&self, row: usize, value: impl std::fmt::Display) -> Wrong {
        Wrong::at(row, format!("{} is {value}", self.name()), "it must be a time within 2^63 ns")
    }
}

fn rounded(ns: f64) -> Option<i128> {
    (-9e18..9e18).contains(&ns).then(|| ns.round() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::{Array, Utf8ViewArray};
    use polars_arrow::datatypes::Field;

    fn times(kind: ArrowDataType, values: Box<dyn Array>, unit: TimeUnit) -> Result<Vec<Option<i64>>, Wrong> {
        let column = ReadColumn { field: Field::new("at".into(), kind, true), chunks: vec![values] };
        column.times(unit)
    }

    #[test]
    fn numbers_count_the_unit_that_is_said() {
        let whole = |v: Vec<Option<i64>>, unit| times(ArrowDataType::Int64, PrimitiveArray::from(v).boxed(), unit);
        assert_eq!(whole(vec![Some(-2), None], TimeUnit::Millis), Ok(vec![Some(-2_000_000), None]));
        let late = Wrong::at(1, "at is 9223372036855", "it must be a time within 2^63 ns");
        assert_eq!(whole(vec![Some(0), Some(9_223_372_036_855)], TimeUnit::Millis), Err(late));
        let float =
            |v: f64| times(ArrowDataType::Float64, PrimitiveArray::from_vec(vec![v]).boxed(), TimeUnit::Seconds);
        assert_eq!(float(1.000_000_000_6), Ok(vec![Some(1_000_000_001)]));
        assert!(float(1e10).is_err() && float(f64::NAN).is_err());
        let decimal = |scale, v: i128| {
            let kind = ArrowDataType::Decimal(38, scale);
            times(kind.clone(), PrimitiveArray::from_vec(vec![v]).to(kind).boxed(), TimeUnit::Millis)
        };
        assert_eq!(decimal(3, 1_500), Ok(vec![Some(1_500_000)]), "1.500 ms");
        assert_eq!((decimal(7, 15), decimal(7, 14)), (Ok(vec![Some(2)]), Ok(vec![Some(1)])), "1.5 and 1.4 ns");
        assert_eq!((decimal(7, -15), decimal(7, -16)), (Ok(vec![Some(-1)]), Ok(vec![Some(-2)])));
        assert!(decimal(0, i128::MAX).is_err());
    }

    #[test]
    fn timestamps_and_dates_know_their_own() {
        let kind = ArrowDataType::Timestamp(ArrowUnit::Microsecond, None);
        let at = PrimitiveArray::from(vec![Some(3i64), None]).to(kind.clone()).boxed();
        assert_eq!(times(kind, at, TimeUnit::Seconds), Ok(vec![Some(3_000), None]));
        let day = PrimitiveArray::from_vec(vec![2i32]).to(ArrowDataType::Date32).boxed();
        assert_eq!(times(ArrowDataType::Date32, day, TimeUnit::Iso8601), Ok(vec![Some(172_800_000_000_000)]));
        let text =
            |t: &str| times(ArrowDataType::Utf8View, Utf8ViewArray::from_slice_values([t]).boxed(), TimeUnit::Iso8601);
        assert_eq!(text("1970-01-01T00:00:01.5Z"), Ok(vec![Some(1_500_000_000)]));
        assert_eq!(text(""), Ok(vec![None]));
        let wrong = text("noon").unwrap_err();
        assert_eq!((wrong.row, wrong.what.as_str()), (0, "at is `noon`"));
        assert!(wrong.hint.is_some_and(|hint| hint.starts_with("it must be ISO 8601")));
    }
}
