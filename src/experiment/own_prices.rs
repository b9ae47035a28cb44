//! `--prices FILE`: prices of a user's own, in the form of `catalog/data/api_prices.toml`.
//!
//! May import: the catalogue. Must keep true: a fault names the file, the line and the key.
use super::manifest::hash;
use super::origin::{FileError, ReadFile, place};
use super::resolve::{KernelInput, OwnPrices};
use baseload_core::catalog::PriceFile;
use std::path::Path;

/// Reads a price file.
///
/// # Errors
/// `FILE:LINE: what is wrong; what would be right`.
pub fn read_prices(path: &Path) -> Result<OwnPrices, FileError> {
    let plain = |e: std::io::Error| {
        let what = format!("--prices {}: {e}; a price file is TOML with [[api_price]] rows", path.display());
        FileError::Plain(what)
    };
    let text = std::fs::read_to_string(path).map_err(plain)?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let (bytes, sha256) = hash(path).map_err(plain)?;
    match PriceFile::parse(&text, &name) {
        Ok(rows) => Ok(OwnPrices { rows, file: KernelInput { file: name, bytes, sha256 } }),
        Err(fault) => Err(place(&ReadFile { path: path.to_path_buf(), text }, fault.span, &fault.what, None)),
    }
}
