//! Texts that are held whole: how long they may be, and what is no file to read one from.
use baseload_core::types::TraceFault;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

/// Bytes of a file that people write, such as an experiment or a catalogue, at most: the longest here has a tenth.
pub const LONGEST_TOML: u64 = 4 << 20;
/// Bytes of a file that programs write and that is held whole, such as a summary or a measurement, at most.
pub const LONGEST_JSON: u64 = 256 << 20;

/// The text of the file at `path`, which has at most `most` bytes.
///
/// # Errors
/// With the path: a folder, a longer text, what is no UTF-8, what cannot be read.
pub fn read_text(path: &Path, most: u64) -> Result<String, TraceFault> {
    let fault = |e: std::io::Error| TraceFault::of(path.display(), e);
    if std::fs::metadata(path).map_err(fault)?.is_dir() {
        return Err(TraceFault::of(path.display(), "it is a folder"));
    }
    whole(File::open(path).map_err(fault)?, &path.display().to_string(), most)
}

/// All that `reader` has, at most `most` bytes; `name` is for messages.
///
/// # Errors
/// With the name.
pub fn whole(reader: impl Read, name: &str, most: u64) -> Result<String, TraceFault> {
    let mut bytes = Vec::new();
    let read = reader.take(most + 1).read_to_end(&mut bytes);
    let text = match read {
        // What is too long is so whether or not it is cut inside a character.
        Ok(_) if bytes.len() as u64 > most => Err(format!("it has more than {} MiB", most >> 20)),
        Ok(_) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_string()),
        Err(e) => Err(e.to_string()),
    };
    text.map_err(|what| TraceFault::of(name, what))
}

/// What a path leads to, in words, where it is neither a file nor a folder nor absent: what can be opened once at most, and
/// may wait for somebody when it is.
pub fn irregular(path: &Path) -> Option<&'static str> {
    let there = std::fs::metadata(path).ok()?;
    (!there.is_file() && !there.is_dir()).then(|| kind(&there))
}

#[cfg(unix)]
fn kind(there: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match there.file_type() {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn kind(_: &Metadata) -> &'static str {
    "no file"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "größer").unwrap();
        assert_eq!(read_text(&path, 8).unwrap(), "größer");
        let says = |path: &Path, most| read_text(path, most).unwrap_err().what;
        assert_eq!((says(&path, 3), says(dir.path(), 8)), ("it has more than 0 MiB".into(), "it is a folder".into()));
        assert!(says(&dir.path().join("none"), 8).contains("No such file"));
        std::fs::write(&path, b"a\xff").unwrap();
        assert_eq!(says(&path, 8), "it is not UTF-8 text");
        let endless = whole(std::io::repeat(b'a'), "zero", LONGEST_TOML).unwrap_err();
        assert_eq!(endless.to_string(), "zero: it has more than 4 MiB");
        assert_eq!((irregular(&path), irregular(dir.path()), irregular(Path::new("none"))), (None, None, None));
        #[cfg(unix)]
        assert_eq!(irregular(Path::new("/dev/zero")), Some("a device"));
    }
}
