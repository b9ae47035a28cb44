//! Kernel tables in: Parquet files of measured kernel times, one kernel a file, as rows of our own types.
//!
//! The layout is that of aiconfigurator's databases (ai-dynamo/aiconfigurator, read 2026-11-24): `latency` in ms, sizes
//! as whole numbers, formats as text. Imports nothing of the crate. Must keep true: what a file holds is told by its
//! `op_name`, not by its path; a fault names the file, the column and the row; nothing is dropped here but rows that
//! are of another operation, and those are counted.
use super::column_read::{ReadColumn, Wrong};
use super::table_read::TableFile;
use baseload_core::types::{TraceFault, wrong};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a file measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KernelPart {
    /// Matrix products.
    Products,
    /// Attention of whole prompts.
    Prefill,
    /// Attention of decode rows.
    Decode,
    /// Routed experts.
    Experts,
    /// All-reduces of an engine's own kernel or of NCCL.
    AllReduce,
    /// Attention over latents (MLA): known, and not read.
    Latent,
}

impl KernelPart {
    /// Name of the part in messages.
    pub fn name(self) -> &'static str {
        match self {
            KernelPart::Products => "products",
            KernelPart::Prefill => "prefill attention",
            KernelPart::Decode => "decode attention",
            KernelPart::Experts => "experts",
            KernelPart::AllReduce => "all-reduces",
            KernelPart::Latent => "latent attention",
        }
    }

    fn of(op_name: &str) -> Option<KernelPart> {
        Some(match op_name {
            "gemm" => KernelPart::Products,
            "context_attention" => KernelPart::Prefill,
            "generation_attention" => KernelPart::Decode,
            "moe" => KernelPart::Experts,
            "all_reduce" | "all_gather" | "alltoall" | "reduce_scatter" => KernelPart::AllReduce,
            name if name.contains("mla") => KernelPart::Latent,
            _ => return None,
        })
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelFile {
    /// Path of the file.
    pub path: PathBuf,
    /// The part of a step that the file measures.
    pub part: KernelPart,
    /// The engine (or NCCL) whose kernels they are: its version as the file says it.
    pub version: String,
    /// The GPU, as its driver calls it.
    pub device: String,
    /// Number of rows in the file.
    pub rows: usize,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// Sizes of a kernel by the name of their column, and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelTime {
    /// Index into [`KernelTimes::files`].
    pub file: usize,
    /// Number of the row in the file, from 1.
    pub row: usize,
    /// Number formats and variants: index into [`KernelTimes::variants`].
    pub variant: usize,
    /// Sizes, in the order of [`sizes`].
    pub sizes: [u64; SIZES],
    /// Measured time, ms.
    pub ms: f64,
}

/// Sizes that a row has at most.
pub const SIZES: usize = 7;

/// All rows of some files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KernelTimes {
    /// Files in the order in which they were read: by path.
    pub files: Vec<KernelFile>,
    /// Distinct texts of the rows, in the order of [`texts`].
    pub variants: Vec<Vec<String>>,
    /// Rows in file order.
    pub rows: Vec<KernelTime>,
}

impl KernelTimes {
    /// What the row says in the text column `column`; empty where its kind of file has none.
    pub fn text(&self, row: &KernelTime, column: &str) -> &str {
        let at = texts(self.files[row.file].part).iter().position(|c| *c == column);
        at.map_or("", |i| self.variants[row.variant][i].as_str())
    }
    /// The size `column` of the row; 0 where its kind of file has none.
    pub fn size(&self, row: &KernelTime, column: &str) -> u64 {
        let at = sizes(self.files[row.file].part).iter().position(|c| c.0 == column);
        at.map_or(0, |i| row.sizes[i])
    }
    /// Rows of a part.
    pub fn of(&self, part: KernelPart) -> impl Iterator<Item = &KernelTime> {
        self.rows.iter().filter(move |r| self.files[r.file].part == part)
    }
}

/// Columns of sizes of a part, and the value where the file has no such column (`None`: it must have it).
pub fn sizes(part: KernelPart) -> &'static [(&'static str, Option<u64>)] {
    match part {
        KernelPart::Products => &[("m", None), ("n", None), ("k", None)],
        KernelPart::Prefill | KernelPart::Decode => &[
            ("batch_size", None),
            ("isl", None),
            ("num_heads", None),
            ("num_key_value_heads", None),
            ("head_dim", None),
            ("step", None),
            ("window_size", Some(0)),
        ],
        KernelPart::Experts => &[
            ("num_tokens", None),
            ("hidden_size", None),
            ("inter_size", None),
            ("topk", None),
            ("num_experts", None),
            ("moe_tp_size", None),
            ("moe_ep_size", None),
        ],
        KernelPart::AllReduce => &[("num_gpus", None), ("message_size", None)],
        KernelPart::Latent => &[],
    }
}

/// Columns of text of a part. The format of an all-reduce is `allreduce_dtype` or, in NCCL's files, `nccl_dtype`.
pub fn texts(part: KernelPart) -> &'static [&'static str] {
    match part {
        KernelPart::Products => &["gemm_dtype"],
        KernelPart::Prefill | KernelPart::Decode => &["attn_dtype", "kv_cache_dtype"],
        KernelPart::Experts => &["moe_dtype", "distribution"],
        KernelPart::AllReduce => &["op_name", "dtype", "backend"],
        KernelPart::Latent => &[],
    }
}

/// Reads files and folders; of a folder all that ends in `.parquet`, at any depth.
///
/// # Errors
/// A path that does not read; a file that is no kernel table, with the column that is missing or wrong; a time that is
/// not above 0, with its row.
pub fn read_kernels(paths: &[PathBuf]) -> Result<KernelTimes, TraceFault> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            walk(path, &mut files)?;
            if files.len() == before {
                let fault = TraceFault::of(path.display(), "no file in it ends in .parquet");
                return Err(fault.hint("kernel tables lie in gemm/, attention/, moe/ and comm/"));
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    let mut all = KernelTimes::default();
    let mut variants: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for path in files {
        let name = path.display().to_string();
        read(&path, &mut all, &mut variants).map_err(|fault| fault.in_file(&name))?;
    }
    Ok(all)
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), TraceFault> {
    let fault = |e: std::io::Error| TraceFault::of(folder.display(), e);
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            walk(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "parquet") {
            into.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path, all: &mut KernelTimes, variants: &mut BTreeMap<Vec<String>, usize>) -> Result<(), TraceFault> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)).map_err(|e| wrong!("{e}"))?;
    let sha256 = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let size = bytes.len() as u64;
    let file = TableFile::open(path).map_err(|fault| fault.of_part("it does not read as Parquet"))?;
    let rows = file.groups().iter().sum();
    let table = Table { file, rows };
    if rows == 0 {
        return Err(wrong!("no rows").hint("a kernel table has one row a measurement"));
    }
    let ops = table.text("op_name")?;
    let mut parts = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let part = KernelPart::of(op).ok_or_else(|| {
            let fault = wrong!("row {}: op_name is `{op}`", i + 1);
            fault.hint("known are gemm, context_attention, generation_attention, moe, all_reduce")
        })?;
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let [part] = parts[..] else {
        let other = ops.iter().find(|o| KernelPart::of(o) != KernelPart::of(&ops[0]));
        let (one, other) = (&ops[0], other.map_or("", String::as_str));
        return Err(wrong!("column op_name has several kernels ({one}, {other})").hint("one kernel a file"));
    };
    let file = all.files.len();
    let one = |column: &str| -> Result<String, TraceFault> {
        let values = table.text(column)?;
        match values.iter().find(|v| **v != values[0]) {
            Some(other) => {
                Err(wrong!("column {column} has several values, `{}` and `{other}`", values[0]).hint("one a file"))
            }
            None => Ok(values[0].clone()),
        }
    };
    let (version, device) = (one("version")?, one("device")?);
    all.files.push(KernelFile { path: path.to_path_buf(), part, version, device, rows, bytes: size, sha256 });
    if part == KernelPart::Latent {
        return Ok(());
    }
    let numbers = sizes(part).iter().map(|(c, or)| table.whole(c, *or)).collect::<Result<Vec<_>, _>>()?;
    let words = texts(part).iter().map(|c| table.variant(part, c)).collect::<Result<Vec<_>, _>>()?;
    let ms = table.times()?;
    for (i, ms) in ms.into_iter().enumerate() {
        let variant: Vec<String> = words.iter().map(|w| w[i].clone()).collect();
        let next = all.variants.len();
        let variant = *variants.entry(variant).or_insert_with_key(|v| {
            all.variants.push(v.clone());
            next
        });
        let mut sizes = [0; SIZES];
        numbers.iter().zip(&mut sizes).for_each(|(column, size)| *size = column[i]);
        all.rows.push(KernelTime { file, row: i + 1, variant, sizes, ms });
    }
    Ok(())
}

/// A value that is not what its row must have in `column`.
fn in_row(i: usize, column: &str, value: &str, right: &str) -> TraceFault {
    wrong!("row {}: {column} is {value}", i + 1).hint(format!("it must be {right}"))
}

struct Table {
    file: TableFile,
    rows: usize,
}

impl Table {
    fn has(&self, column: &str) -> bool {
        self.file.names().contains(&column)
    }

    fn column(&self, column: &str) -> Result<ReadColumn, TraceFault> {
        self.file.whole_column(column)
    }

    fn numbers(&self, column: &str, kind: &str) -> Result<Vec<Option<f64>>, TraceFault> {
        let found = self.column(column)?;
        let wrong = || wrong!("column {column} holds {}", found.holds()).hint(format!("it must hold {kind}"));
        found.numbers().map_err(|_| wrong())
    }

    fn text(&self, column: &str) -> Result<Vec<String>, TraceFault> {
        let found = self.column(column)?;
        if !found.is_text() {
            return Err(wrong!("column {column} holds {}", found.holds()).hint("it must hold text"));
        }
        let of_row = |wrong: Wrong| {
            let row = format!("row {}", wrong.row + 1);
            wrong.fault().of_part(row)
        };
        let texts = found.texts().map_err(of_row)?;
        let text = |(i, t): (usize, Option<String>)| t.ok_or_else(|| in_row(i, column, "empty", "text"));
        texts.into_iter().enumerate().map(text).collect()
    }

    /// A text column of a part; all-reduces of an engine and of NCCL name theirs differently.
    fn variant(&self, part: KernelPart, column: &str) -> Result<Vec<String>, TraceFault> {
        match (part, column) {
            (KernelPart::AllReduce, "backend") if !self.has("backend") => Ok(vec!["nccl".to_owned(); self.rows]),
            (KernelPart::AllReduce, "dtype") if self.has("nccl_dtype") => self.text("nccl_dtype"),
            (KernelPart::AllReduce, "dtype") => self.text("allreduce_dtype"),
            _ => self.text(column),
        }
    }

    fn whole(&self, column: &str, or: Option<u64>) -> Result<Vec<u64>, TraceFault> {
        if let Some(value) = or.filter(|_| !self.has(column)) {
            return Ok(vec![value; self.rows]);
        }
        let values = self.numbers(column, "whole numbers")?;
        // Whole numbers up to 2^32 are exact in f64, and no size of a kernel is larger.
        let whole = |(i, v): (usize, Option<f64>)| match v {
            Some(v) if v >= 0.0 && v == v.floor() && v <= f64::from(u32::MAX) => Ok(v as u64),
            Some(v) => Err(in_row(i, column, &v.to_string(), "a whole number from 0 to 4294967295")),
            None => Err(in_row(i, column, "empty", "a whole number")),
        };
        values.into_iter().enumerate().map(whole).collect()
    }

    fn times(&self) -> Result<Vec<f64>, TraceFault> {
        let values = self.numbers("latency", "milliseconds")?;
        let time = |(i, v): (usize, Option<f64>)| match v {
            Some(v) if v.is_finite() && v > 0.0 => Ok(v),
            Some(v) => Err(in_row(i, "latency", &v.to_string(), "a time above 0, in milliseconds")),
            None => Err(in_row(i, "latency", "empty", "a time above 0, in milliseconds")),
        };
        values.into_iter().enumerate().map(time).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Column, write_table};

    /// A table of `gemm` rows with the columns of the real ones, changed by `edit`.
    fn gemm(path: &Path, edit: impl Fn(&mut Vec<Column>)) {
        let words = |v: &'static str| vec![v; 3];
        let mut columns = vec![
            Column::new("version", words("0.24.0")),
            Column::new("device", words("NVIDIA H100 80GB HBM3")),
            Column::new("op_name", words("gemm")),
            Column::new("gemm_dtype", vec!["bfloat16", "fp8", "bfloat16"]),
            Column::new("m", vec![1i64, 2, 4]),
            Column::new("n", vec![512i64, 512, 1_024]),
            Column::new("k", vec![4_096i64; 3]),
            Column::new("latency", vec![0.01, 0.02, 0.03]),
        ];
        edit(&mut columns);
        write_table(path, columns).unwrap();
    }

    #[test]
    fn a_table_reads_with_its_formats_sizes_and_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        gemm(&path, |_| {});
        let t = read_kernels(&[dir.path().to_path_buf(), path.clone()]).unwrap();
        assert_eq!((t.files.len(), t.rows.len(), t.variants.len()), (1, 3, 2), "a file given twice is read once");
        let file = &t.files[0];
        assert_eq!((file.version.as_str(), file.rows, file.part), ("0.24.0", 3, KernelPart::Products));
        assert_eq!((file.sha256.len(), file.bytes), (64, std::fs::metadata(&path).unwrap().len()));
        let second = t.of(KernelPart::Products).nth(1).unwrap();
        assert_eq!((t.text(second, "gemm_dtype"), t.size(second, "n"), second.ms), ("fp8", 512, 0.02));
        assert_eq!((t.text(second, "backend"), t.size(second, "isl"), second.row), ("", 0, 2));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_column_and_row() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.parquet");
        let says = |edit: &dyn Fn(&mut Vec<Column>)| {
            gemm(&path, edit);
            let e = read_kernels(std::slice::from_ref(&path)).unwrap_err().to_string();
            assert!(e.starts_with(&path.display().to_string()), "{e}");
            e[path.display().to_string().len()..].to_owned()
        };
        let latency = |v: [Option<f64>; 3]| move |c: &mut Vec<Column>| c[7] = Column::new("latency", v.to_vec());
        let wrong = "; it must be a time above 0, in milliseconds";
        assert_eq!(says(&latency([Some(1.0), Some(f64::NAN), None])), format!(": row 2: latency is NaN{wrong}"));
        assert_eq!(says(&latency([Some(1.0), Some(1.0), Some(-3.0)])), format!(": row 3: latency is -3{wrong}"));
        assert_eq!(says(&latency([Some(0.0), None, None])), format!(": row 1: latency is 0{wrong}"));
        assert_eq!(says(&latency([Some(1.0), None, None])), format!(": row 2: latency is empty{wrong}"));
        let e = says(&|c| drop(c.remove(5)));
        assert!(
            e.starts_with(": column `n` is missing; the file has version, device, op_name, gemm_dtype, m, k"),
            "{e}"
        );
        let e = says(&|c| c[4] = Column::new("m", vec!["1", "2", "3"]));
        assert_eq!(e, ": column m holds text; it must hold whole numbers");
        let e = says(&|c| c[4] = Column::new("m", vec![1i64, -2, 3]));
        assert_eq!(e, ": row 2: m is -2; it must be a whole number from 0 to 4294967295");
        let e = says(&|c| c[2] = Column::new("op_name", vec!["gemm", "gemm", "moe"]));
        assert_eq!(e, ": column op_name has several kernels (gemm, moe); one kernel a file");
        let e = says(&|c| c[2] = Column::new("op_name", vec!["conv"; 3]));
        assert!(e.starts_with(": row 1: op_name is `conv`; known are gemm, "), "{e}");
        let e = says(&|c| c[1] = Column::new("device", vec!["a", "b", "a"]));
        assert_eq!(e, ": column device has several values, `a` and `b`; one a file");
        let e = says(&|c| *c = vec![Column::new("op_name", Vec::<&str>::new())]);
        assert_eq!(e, ": no rows; a kernel table has one row a measurement");
        std::fs::write(&path, "m,n,k\n").unwrap();
        let e = read_kernels(std::slice::from_ref(&path)).unwrap_err().to_string();
        assert!(e.contains("bad.parquet: it does not read as Parquet: "), "{e}");
        std::fs::remove_file(&path).unwrap();
        let e = read_kernels(&[dir.path().to_path_buf()]).unwrap_err().to_string();
        assert!(e.contains("no file in it ends in .parquet"), "{e}");
    }
}
