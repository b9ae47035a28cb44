//! Lines of a text, with the faults that all text formats share: bytes that are not text, torn compression, BOM, CRLF.
use super::Reader;
use baseload_core::types::{Rest, TraceFault, wrong};
use std::io::{BufRead, Read};

/// Bytes of one record at most. Batches of thousands of spans with their prompts, the longest lines that programs write, have
/// some 50 MB; what is longer is no text of lines, and would be held whole.
const LONGEST_RECORD: usize = 1 << 26;

/// Reads a text line by line; holds one line.
pub struct Lines<R: BufRead = Reader> {
    reader: R,
    name: String,
    /// Lines of the file that were read.
    lines_read: u64,
    /// The line on which what was read last starts, from 1.
    line: u64,
    buffer: String,
}

/// Whether a quote is open at the end of `text`.
fn is_open(text: &str) -> bool {
    text.bytes().filter(|&b| b == b'"').count() % 2 == 1
}

impl<R: BufRead> Lines<R> {
    /// Lines of `reader`; `name` is for messages.
    pub fn new(reader: R, name: &str) -> Lines<R> {
        Lines { reader, name: name.into(), lines_read: 0, line: 1, buffer: String::new() }
    }

    /// The line last read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// `NAME:LINE` of the line last read.
    pub fn place(&self) -> String {
        format!("{}:{}", self.name, self.line)
    }

    /// `NAME:LINE: what` of the line last read.
    pub fn fault(&self, what: impl Into<TraceFault>) -> TraceFault {
        what.into().on_line(self.line).in_file(&self.name)
    }

    /// Reads one more line behind `bytes`, without its end; `false` at the end.
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<bool, TraceFault> {
        let before = bytes.len();
        let read = self.reader.by_ref().take(LONGEST_RECORD as u64 + 1).read_until(b'\n', bytes);
        self.lines_read += 1;
        if before == 0 {
            self.line = self.lines_read;
        }
        if read.map_err(|e| self.fault(TraceFault::unreadable(e)))? == 0 {
            return Ok(false);
        }
        if bytes.len() - before > LONGEST_RECORD {
            let fault = wrong!("the line has more than {} MiB", LONGEST_RECORD >> 20);
            let fault = TraceFault { rest: Rest::Lost, ..fault.hint("a text format has a record a line") };
            return Err(self.fault(fault));
        }
        if self.lines_read == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        while bytes.len() > before && matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(true)
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Result<(), TraceFault> {
        self.buffer =
            String::from_utf8(bytes).map_err(|_| self.fault("the line is not UTF-8 text; traces are plain text"))?;
        Ok(())
    }

    /// Moves to the next line that is not blank, `false` at the end. [`Lines::text`] then has it.
    ///
    /// # Errors
    /// What cannot be read, or is no UTF-8.
    pub fn advance(&mut self) -> Result<bool, TraceFault> {
        let mut bytes = std::mem::take(&mut self.buffer).into_bytes();
        loop {
            bytes.clear();
            if !self.read(&mut bytes)? {
                return Ok(false);
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                return self.keep(bytes).map(|()| true);
            }
        }
    }

    /// Like `advance`, but a line that ends inside quotes goes on in the next one.
    pub(super) fn advance_quoted(&mut self) -> Result<bool, TraceFault> {
        if !self.advance()? {
            return Ok(false);
        }
        while is_open(&self.buffer) {
            let mut bytes = std::mem::take(&mut self.buffer).into_bytes();
            bytes.push(b'\n');
            if !self.read(&mut bytes)? || bytes.len() > LONGEST_RECORD {
                return Err(self.fault("a quote does not close; the line is torn or its quotes are wrong"));
            }
            self.keep(bytes)?;
        }
        Ok(true)
    }

    /// The line last read, without its end.
    pub fn text(&self) -> &str {
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn a_line_without_end_is_given_up() {
        let endless = BufReader::new((&b"a\n1,"[..]).chain(std::io::repeat(b'1')));
        let mut lines = Lines::new(endless, "bomb");
        assert!(lines.advance().unwrap() && lines.text() == "a");
        let fault = lines.advance().unwrap_err();
        assert_eq!(fault.to_string(), "bomb:2: the line has more than 64 MiB; a text format has a record a line");
        assert_eq!(fault.rest, Rest::Lost);
    }
}
