//! Lines of a text, with the faults that all text formats share: bytes that are not text, torn compression, BOM, CRLF.
use super::Reader;

/// Reads a text line by line; holds one line.
pub struct Lines {
    reader: Reader,
    name: String,
    line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// Lines of `reader`; `name` is for messages.
    pub fn new(reader: Reader, name: &str) -> Lines {
        Lines { reader, name: name.into(), line: 0, buffer: Vec::new() }
    }

    /// `NAME:LINE` of the line last read.
    pub fn place(&self) -> String {
        format!("{}:{}", self.name, self.line.max(1))
    }

    /// `NAME:LINE: what` of the line last read.
    pub fn fault(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.place())
    }

    /// Moves to the next line that is not blank, `false` at the end. [`Lines::text`] then has it.
    ///
    /// # Errors
    /// What cannot be read, or is no UTF-8.
    pub fn advance(&mut self) -> Result<bool, String> {
        loop {
            self.buffer.clear();
            let read = self.reader.read_until(b'\n', &mut self.buffer);
            self.line += 1;
            if read.map_err(|e| self.fault(format!("cannot be read ({e}); the file is torn or not what it seems")))?
                == 0
            {
                return Ok(false);
            }
            if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            while self.buffer.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                self.buffer.pop();
            }
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if std::str::from_utf8(&self.buffer).is_err() {
                return Err(self.fault("the line is not UTF-8 text; traces are plain text"));
            }
            return Ok(true);
        }
    }

    /// The line last read, without its end.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.buffer).expect("line-checked: advance found it to be text")
    }
}
