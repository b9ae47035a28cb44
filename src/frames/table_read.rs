//! Tables in: a Parquet file, its columns row group by row group or whole.
//!
//! Must keep true: a row group's column is read alone, so that memory is one of them; whatever the bytes are, what comes
//! back is values or a message. Kinds are those of the Parquet schema; what Arrow wrote beside it is not needed.
use super::column_read::ReadColumn;
use super::guard::guarded;
use baseload_core::types::{TraceFault, wrong};
use polars_arrow::datatypes::Field;
use polars_parquet::read::schema::parquet_to_arrow_schema;
use polars_parquet::read::{
    BasicDecompressor, FileMetadata, PageReader, RowGroupMetadata, column_iter_to_arrays, read_metadata,
};
use std::fmt::Display;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// Rows of a row group at most: those of the largest default of a writer (pyarrow's until 2022).
const MOST_ROWS: usize = 1 << 26;
/// Bytes of a page at most.
const MOST_PAGE_BYTES: usize = 1 << 30;
/// What would be right where bytes are not what they say.
const WHOLE: &str = "the file must be whole";

/// A fault of the file in the words of who read it.
fn file_fault(e: impl Display) -> TraceFault {
    wrong!("{e}")
}

/// An open Parquet file whose footer has been read.
pub struct TableFile {
    file: File,
    bytes: u64,
    metadata: FileMetadata,
    fields: Vec<Field>,
}

impl TableFile {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// The file system's, and what makes it no Parquet, both without the path.
    pub fn open(path: &Path) -> Result<TableFile, TraceFault> {
        let mut file = File::open(path).map_err(file_fault)?;
        let bytes = file.metadata().map_err(file_fault)?.len();
        let (metadata, fields) = guarded(|| {
            let metadata = read_metadata(&mut file).map_err(file_fault)?;
            let schema = parquet_to_arrow_schema(metadata.schema().fields());
            Ok((metadata, schema.iter_values().cloned().collect::<Vec<Field>>()))
        })?;
        if fields.len() < metadata.schema().fields().len() {
            return Err(wrong!("two of its columns have one name").hint("each must have its own"));
        }
        if let Some(most) = metadata.row_groups.iter().map(RowGroupMetadata::num_rows).find(|n| *n > MOST_ROWS) {
            return Err(wrong!("a row group has {most} rows").hint(format!("at most {MOST_ROWS} are read")));
        }
        Ok(TableFile { file, bytes, metadata, fields })
    }

    /// Names of its columns, in the file's order.
    pub fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|f| f.name.as_str()).collect()
    }

    /// Rows of each of its row groups.
    pub fn groups(&self) -> Vec<usize> {
        self.metadata.row_groups.iter().map(RowGroupMetadata::num_rows).collect()
    }

    /// The column `name` of row group `group`, counted from 0.
    ///
    /// # Errors
    /// That there is none of the name; what makes it unreadable.
    pub fn column(&self, group: usize, name: &str) -> Result<ReadColumn, TraceFault> {
        let mut column = ReadColumn::none(self.field(name)?);
        self.read(group, &mut column)?;
        Ok(column)
    }

    /// The column `name` of all row groups.
    ///
    /// # Errors
    /// As [`TableFile::column`].
    pub fn whole_column(&self, name: &str) -> Result<ReadColumn, TraceFault> {
        let mut column = ReadColumn::none(self.field(name)?);
        (0..self.metadata.row_groups.len()).try_for_each(|group| self.read(group, &mut column))?;
        Ok(column)
    }

    fn field(&self, name: &str) -> Result<Field, TraceFault> {
        let field = self.fields.iter().find(|f| f.name.as_str() == name);
        field.cloned().ok_or_else(|| {
            wrong!("column `{name}` is missing").hint(format!("the file has {}", self.names().join(", ")))
        })
    }

    fn read(&self, group: usize, into: &mut ReadColumn) -> Result<(), TraceFault> {
        let (mut file, bytes, group) = (&self.file, self.bytes, &self.metadata.row_groups[group]);
        let field = into.field.clone();
        let name = field.name.clone();
        let arrays = guarded(|| {
            let (mut pages, mut kinds) = (Vec::new(), Vec::new());
            for chunk in group.columns_under_root_iter(&name).into_iter().flatten() {
                let range = chunk.byte_range();
                if range.end > bytes {
                    return Err(wrong!("its pages lie past the file's end"));
                }
                let mut buffer = vec![0; (range.end - range.start) as usize];
                file.seek(SeekFrom::Start(range.start)).map_err(file_fault)?;
                file.read_exact(&mut buffer).map_err(file_fault)?;
                let reader = PageReader::new(Cursor::new(buffer.into()), chunk, Vec::new(), MOST_PAGE_BYTES);
                pages.push(BasicDecompressor::new(reader, Vec::new()));
                kinds.push(&chunk.descriptor().descriptor.primitive_type);
            }
            let (arrays, _) = column_iter_to_arrays(pages, kinds, field, None).map_err(file_fault)?;
            Ok(arrays)
        });
        let arrays = arrays.map_err(|e| wrong!("column `{}` cannot be read ({e})", into.name()).hint(WHOLE))?;
        let rows: usize = arrays.iter().map(|a| a.len()).sum();
        if rows != group.num_rows() {
            let (name, said) = (into.name(), group.num_rows());
            return Err(wrong!("column `{name}` has {rows} rows, and its row group says {said}").hint(WHOLE));
        }
        into.chunks.extend(arrays);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::table_write::{Column, TableWriter, write_table};

    fn columns(from: u64, rows: u64) -> Vec<Column> {
        let each = || from..from + rows;
        vec![
            Column::new("id", each().collect::<Vec<u64>>()),
            Column::new("limit", each().map(|i| (i % 3 == 0).then_some(i as u32)).collect::<Vec<_>>()),
            Column::new("at", each().map(|i| i as i64 - 2).collect::<Vec<_>>()),
            Column::new("share", each().map(|i| i as f64 / 4.0).collect::<Vec<_>>()),
            Column::new("class", each().map(|i| ["big", "small", ""][i as usize % 3]).collect::<Vec<_>>()),
            Column::new(
                "note",
                each().map(|i| (i == 1).then_some("a note of more than twelve bytes")).collect::<Vec<_>>(),
            ),
            Column::new("met", each().map(|i| i % 2 == 0).collect::<Vec<_>>()),
            Column::lists("runs", each().map(|i| (0..i as u32 % 3).collect::<Vec<u32>>())),
        ]
    }

    #[test]
    fn what_is_written_is_read_group_by_group_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let mut table = TableWriter::create(&path, &columns(0, 0)).unwrap();
        table.write(columns(0, 5)).unwrap();
        table.write(columns(5, 0)).unwrap();
        table.write(columns(5, 2)).unwrap();
        table.close().unwrap();
        let file = TableFile::open(&path).unwrap();
        assert_eq!(file.groups(), [5, 2], "nothing is no row group");
        assert_eq!(file.names(), ["id", "limit", "at", "share", "class", "note", "met", "runs"]);
        assert_eq!(file.column(1, "id").unwrap().whole::<u64>(), Ok(vec![Some(5), Some(6)]));
        let whole = |name: &str| file.whole_column(name).unwrap();
        assert_eq!(whole("limit").whole(), Ok(vec![Some(0u32), None, None, Some(3), None, None, Some(6)]));
        assert_eq!(whole("at").whole(), Ok((-2i64..5).map(Some).collect()));
        assert_eq!(whole("share").numbers().unwrap()[5..], [Some(1.25), Some(1.5)]);
        assert_eq!(whole("class").texts().unwrap()[..3], ["big", "small", ""].map(|t| Some(t.into())));
        let notes: Vec<_> = whole("note").texts().unwrap().into_iter().flatten().collect();
        assert_eq!(notes, ["a note of more than twelve bytes"]);
        assert_eq!(whole("met").flags().unwrap()[..2], [Some(true), Some(false)]);
        let (offsets, runs) = whole("runs").lists::<u32>().unwrap();
        assert_eq!(offsets, [0, 0, 1, 3, 3, 4, 6, 6]);
        assert_eq!(runs, [0, 0, 1, 0, 0, 1]);
        let missing = file.column(0, "cost").err().unwrap().to_string();
        assert_eq!(missing, "column `cost` is missing; the file has id, limit, at, share, class, note, met, runs");
    }

    #[test]
    fn the_same_values_give_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = |name: &str| {
            write_table(&dir.path().join(name), columns(0, 9)).unwrap();
            std::fs::read(dir.path().join(name)).unwrap()
        };
        assert_eq!(bytes("a.parquet"), bytes("b.parquet"));
    }

    #[test]
    fn no_damage_is_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        let kept = ["id", "note", "runs"];
        write_table(&path, columns(0, 40).into_iter().filter(|c| kept.contains(&c.name())).collect()).unwrap();
        let sound = std::fs::read(&path).unwrap();
        let (mut refused, mut read) = (0, 0);
        let mut meet = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let Ok(file) = TableFile::open(&path) else { return refused += 1 };
            let names = file.names().into_iter().map(String::from).collect::<Vec<_>>();
            for name in names {
                match file.whole_column(&name) {
                    Ok(column) => read += column.rows(),
                    Err(e) => {
                        assert!(e.what.starts_with(&format!("column `{name}` ")), "{e}");
                        refused += 1;
                    }
                }
            }
        };
        for at in (0..sound.len()).step_by(2) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0xff;
            meet(&damaged);
        }
        (0..sound.len()).step_by(29).for_each(|cut| meet(&sound[..cut]));
        assert!(refused > sound.len() / 8 && read > 40, "{refused} refused, {read} rows read");
    }
}
