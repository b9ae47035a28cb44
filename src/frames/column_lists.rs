//! A column as it was read, as lists of whole numbers.
//!
//! Must keep true: no list is empty of meaning: a field that has none and a number that has none are refused.
use super::column_read::{ReadColumn, Whole, Wrong};
use polars_arrow::array::ListArray;
use polars_arrow::datatypes::{ArrowDataType, Field};

impl ReadColumn {
    /// Lists of whole numbers: where each row's begin in all of them, with the end of the last, and all of them.
    ///
    /// # Errors
    /// That it holds none, an empty field, or a value not in the range of `T`.
    pub fn lists<T: Whole>(&self) -> Result<(Vec<usize>, Vec<T>), Wrong> {
        let (ArrowDataType::LargeList(item) | ArrowDataType::List(item)) = &self.field.dtype else {
            return self.wrong("lists of whole numbers");
        };
        let (mut offsets, mut items) = (vec![0usize], ReadColumn::none(Field::clone(item)));
        items.field.name = self.field.name.clone();
        for chunk in &self.chunks {
            let Some(lists) = chunk.as_any().downcast_ref::<ListArray<i64>>() else {
                return self.wrong("lists of whole numbers");
            };
            if let Some(row) = lists.validity().and_then(|v| v.iter().position(|there| !there)) {
                let what = format!("column `{}` has an empty field", self.name());
                return Err(Wrong::at(offsets.len() - 1 + row, what, "a request without content has an empty list"));
            }
            let (before, first) = (items.rows(), *lists.offsets().first());
            offsets.extend(lists.offsets().iter().skip(1).map(|o| before + (o - first) as usize));
            let mut values = lists.values().clone();
            values.slice(first as usize, lists.offsets().range() as usize);
            items.chunks.push(values);
        }
        let row_of = |at: usize| offsets.partition_point(|o| *o <= at).saturating_sub(1);
        let values = items.whole::<T>().map_err(|wrong| Wrong { row: row_of(wrong.row), ..wrong })?;
        let empty = |at: usize| {
            let what = format!("column `{}` has an empty value in a list", self.name());
            Wrong::at(row_of(at), what, "each run must be whole")
        };
        let whole = values.into_iter().enumerate().map(|(at, v)| v.ok_or_else(|| empty(at)));
        Ok((offsets.clone(), whole.collect::<Result<_, _>>()?))
    }
}
