//! `[catalog] files` and `--catalog FILE`: facts of a user's own, laid over those that the program carries.
//!
//! May import: the catalogue. Must keep true: every fault names the file, the line and the key, and all of them are said at
//! once; the files are hashed as they were read.
use super::super::format::{FileFaults, Origin, ReadFile};
use super::super::whole_text::{LONGEST_TOML, read_text};
use super::hash::{KernelInput, hex};
use baseload_core::catalog::{Catalog, CatalogFault, CatalogText};
use baseload_core::types::Fault;
use sha2::{Digest, Sha256};
use std::path::Path;

/// A catalogue with the files that were laid over it.
#[derive(Debug, Clone, Default)]
pub struct OwnFacts {
    /// All rows.
    pub catalog: Catalog,
    /// What people should know of their own rows.
    pub notes: Vec<String>,
    /// The files, by name, size and hash.
    pub files: Vec<KernelInput>,
}

/// The embedded catalogue with the files at `paths` laid over it.
///
/// # Errors
/// `FILE:LINE: key: what is wrong; what would be right`, a line each where there are several.
pub fn read_catalog<P: AsRef<Path>>(paths: &[P]) -> Result<OwnFacts, FileFaults> {
    let (mut read, mut missing) = (Vec::new(), Vec::new());
    for path in paths.iter().map(AsRef::as_ref) {
        match read_text(path, LONGEST_TOML) {
            Ok(text) => read.push(ReadFile { path: path.to_path_buf(), text: text.into() }),
            Err(e) => {
                let hint = "a catalog file is TOML with rows such as [[model]], [[gpu]] or [[api_price]]";
                missing.push(FileFaults::plain(e.hint(hint)));
            }
        }
    }
    if let Some(faults) = missing.into_iter().reduce(FileFaults::and) {
        return Err(faults);
    }
    let names: Vec<String> = read.iter().map(|f| name_of(&f.path)).collect();
    let texts: Vec<CatalogText<'_>> =
        names.iter().zip(&read).map(|(name, file)| CatalogText { name, text: &file.text }).collect();
    let laid = Catalog::embedded().laid_over(&texts).map_err(|faults| error(&read, &faults))?;
    let input = |(name, file): (&String, &ReadFile)| KernelInput {
        file: name.clone(),
        bytes: file.text.len() as u64,
        sha256: hex(&Sha256::digest(file.text.as_bytes())),
    };
    Ok(OwnFacts { catalog: laid.catalog, notes: laid.notes, files: names.iter().zip(&read).map(input).collect() })
}

/// A file's name without its folders, so that what is said of it does not depend on where it lies.
fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// The faults at their places, file by file.
fn error(read: &[ReadFile], faults: &[CatalogFault]) -> FileFaults {
    let mut all: Vec<FileFaults> = Vec::new();
    for (number, file) in read.iter().enumerate() {
        let own = || faults.iter().filter(|f| f.file == number).map(|f| f.fault.clone());
        // What is no TOML at all has no key, only a place.
        let (broken, keyed): (Vec<Fault>, Vec<Fault>) = own().partition(|f| f.key.is_empty() && f.within.is_some());
        all.extend(broken.into_iter().map(|f| file.fault(f.within.clone().unwrap_or_default(), f)));
        if !keyed.is_empty() {
            let origin = Origin { files: vec![file.clone()], sets: Vec::new() };
            all.push(origin.located(keyed.into_iter().collect()));
        }
    }
    all.into_iter().reduce(FileFaults::and).unwrap_or_else(|| FileFaults::plain(Fault::new("the catalogue is wrong")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_all_files_come_with_file_line_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = write("one.toml", "# ours\n[[gpu]]\nid = \"mine\"\nlike = \"h100-sxm\"\nmemory_total_gib = 80\n");
        let says = read_catalog(&[&one]).unwrap_err().to_string();
        assert_eq!(
            says,
            format!("{}:2: gpu[0]: mem_bw_gbps is missing (Peak memory bandwidth, 10^9 bytes/s)", one.display())
        );
        let two = write("two.toml", "[[modle]]\n");
        let three = write("three.toml", "[[gpu]\n");
        let says = read_catalog(&[&one, &two, &three]).unwrap_err().to_string();
        let lines: Vec<&str> = says.lines().collect();
        assert!(lines[0].contains("one.toml:2: gpu[0]: mem_bw_gbps is missing"), "{says}");
        assert!(
            lines[1].contains("two.toml:1: modle: the catalogue has no such table; did you mean [[model]]?"),
            "{says}"
        );
        assert!(lines[2].contains("three.toml:1: "), "{says}");
        let says = read_catalog(&[dir.path().join("none.toml")]).unwrap_err().to_string();
        assert!(says.contains("none.toml: ") && says.contains("a catalog file is TOML with rows such as"), "{says}");
        let good = write("good.toml", "[[ops_cost]]\nkey = \"cake\"\ntypical = 3\nunit = \"USD/year\"\n");
        let own = read_catalog(&[good]).unwrap();
        assert_eq!((own.files[0].file.as_str(), own.files[0].sha256.len()), ("good.toml", 64));
        assert_eq!(own.catalog.ops("cake").unwrap().typical, 3.0);
    }
}
