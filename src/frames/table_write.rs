//! Tables out: columns of our own values as one Parquet file, row group by row group.
//!
//! Must keep true: every field may be empty, whether or not one is; the same values give the same bytes.
use baseload_core::types::TraceFault;
use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, ArrowSchemaRef, Field};
use polars_arrow::offset::Offsets;
use polars_arrow::record_batch::RecordBatchT;
use polars_arrow::types::NativeType;
use polars_parquet::write::{
    CompressionOptions, FileWriter, StatisticsOptions, Version, WriteOptions, get_dtype_encoding, row_group_iter,
};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A column to write: its name and its values.
pub struct Column {
    field: Field,
    array: Box<dyn Array>,
}

impl Column {
    /// The column `name` of `values`.
    pub fn new(name: &str, values: impl Values) -> Column {
        Column::of(name, values.array())
    }

    /// The column `name` whose every row is a list of numbers.
    pub(super) fn lists<T: NativeType>(name: &str, lists: impl Iterator<Item = Vec<T>>) -> Column {
        let (mut offsets, mut all) = (Offsets::<i64>::default(), Vec::new());
        for list in lists {
            // Lengths of vectors in memory cannot sum to 2^63.
            let _ = offsets.try_push(list.len());
            all.extend(list);
        }
        let items = PrimitiveArray::from_vec(all);
        let item = Field::new("item".into(), items.dtype().clone(), true);
        let kind = ArrowDataType::LargeList(Box::new(item));
        Column::of(name, ListArray::new(kind, offsets.into(), items.boxed(), None).boxed())
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.field.name
    }

    fn of(name: &str, array: Box<dyn Array>) -> Column {
        Column { field: Field::new(name.into(), array.dtype().clone(), true), array }
    }
}

/// What a column can be made of: vectors of numbers, truth values or texts, each value optional or not.
pub trait Values: made::Array {}
impl<T: made::Array> Values for T {}

mod made {
    use super::*;

    /// Hidden, so that no type of polars is on this room's surface.
    pub trait Array {
        fn array(self) -> Box<dyn polars_arrow::array::Array>;
    }

    macro_rules! numbers {
        ($($number:ty),*) => {$(
            impl Array for Vec<$number> {
                fn array(self) -> Box<dyn polars_arrow::array::Array> {
                    PrimitiveArray::from_vec(self).boxed()
                }
            }
            impl Array for Vec<Option<$number>> {
                fn array(self) -> Box<dyn polars_arrow::array::Array> {
                    PrimitiveArray::from(self).boxed()
                }
            }
        )*};
    }
    numbers!(u32, u64, i32, i64, f64);

    impl Array for Vec<bool> {
        fn array(self) -> Box<dyn polars_arrow::array::Array> {
            BooleanArray::from_slice(self).boxed()
        }
    }
    impl Array for Vec<Option<bool>> {
        fn array(self) -> Box<dyn polars_arrow::array::Array> {
            BooleanArray::from(self).boxed()
        }
    }
    impl Array for Vec<&str> {
        fn array(self) -> Box<dyn polars_arrow::array::Array> {
            Utf8ViewArray::from_slice_values(self).boxed()
        }
    }
    impl Array for Vec<Option<&str>> {
        fn array(self) -> Box<dyn polars_arrow::array::Array> {
            Utf8ViewArray::from_slice(self).boxed()
        }
    }
}

/// What somebody else says of the file at `path`.
fn write_fault(path: &Path, e: impl std::fmt::Display) -> TraceFault {
    TraceFault::of(path.display(), e)
}

/// Writes one Parquet file in row groups and holds none of them.
pub(super) struct TableWriter {
    path: PathBuf,
    schema: ArrowSchemaRef,
    writer: FileWriter<BufWriter<File>>,
}

impl TableWriter {
    /// Creates the file at `path` for tables of the names and kinds of `columns`; writes none of their values.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub(super) fn create(path: &Path, columns: &[Column]) -> Result<TableWriter, TraceFault> {
        let schema: ArrowSchema = columns.iter().map(|c| (c.field.name.clone(), c.field.clone())).collect();
        let options = WriteOptions {
            statistics: StatisticsOptions::default(),
            version: Version::V1,
            compression: CompressionOptions::Snappy,
            data_page_size: None,
        };
        let file = BufWriter::new(File::create(path).map_err(|e| write_fault(path, e))?);
        let writer = FileWriter::try_new(file, schema.clone(), options).map_err(|e| write_fault(path, e))?;
        Ok(TableWriter { path: path.to_path_buf(), schema: Arc::new(schema), writer })
    }

    /// Writes `columns`, which are those of [`TableWriter::create`], as one row group; none where they are empty.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub(super) fn write(&mut self, columns: Vec<Column>) -> Result<(), TraceFault> {
        let rows = columns.first().map_or(0, |c| c.array.len());
        if rows == 0 {
            return Ok(());
        }
        let arrays = columns.into_iter().map(|c| c.array).collect();
        let batch = RecordBatchT::try_new(rows, self.schema.clone(), arrays).map_err(|e| write_fault(&self.path, e))?;
        let encodings = self.schema.iter_values().map(|f| get_dtype_encoding(&f.dtype)).collect();
        let fields = self.writer.parquet_schema().fields().to_vec();
        let pages = row_group_iter(batch, encodings, fields, self.writer.options());
        self.writer.write(rows as u64, pages).map_err(|e| write_fault(&self.path, e))
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub(super) fn close(mut self) -> Result<(), TraceFault> {
        self.writer.end(None).map_err(|e| write_fault(&self.path, e))?;
        self.writer.into_inner().flush().map_err(|e| write_fault(&self.path, e))
    }
}

/// Writes `columns` to a Parquet file at `path`, as one row group.
///
/// # Errors
/// The file system's, with the path.
pub fn write_table(path: &Path, columns: Vec<Column>) -> Result<(), TraceFault> {
    let mut table = TableWriter::create(path, &columns)?;
    table.write(columns)?;
    table.close()
}
