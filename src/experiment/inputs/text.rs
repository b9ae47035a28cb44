//! Files of text, plain or compressed.
use baseload_core::types::TraceFault;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Opens a file for reading, through gzip or zstd where its first bytes say so.
///
/// # Errors
/// With the path.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead + Send>, TraceFault> {
    let fault = |e: std::io::Error| TraceFault::of(path.display(), e);
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(fault)?);
    let magic = file.fill_buf().map_err(fault)?;
    Ok(if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::bufread::MultiGzDecoder::new(file)))
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::with_capacity(1 << 16, zstd::stream::read::Decoder::with_buffer(file).map_err(fault)?))
    } else {
        Box::new(file)
    })
}
