//! Walks JSON value by value, so that a file of one array (or of objects one after the other, on however many lines) is
//! never held as a whole.
use super::Reader;
use baseload_core::types::TraceFault;
use std::io::BufRead;

/// Bytes of one element beyond which the file must be something else.
const LARGEST: usize = 1 << 28;

/// Elements of a JSON array, or JSON objects with white space between them; holds one.
pub(super) struct Elements {
    reader: Reader,
    name: String,
    /// Line that the next byte stands on, from 1.
    line: u64,
    /// Line that the element last read starts on.
    start: u64,
    element: String,
    /// Inside the file's one array; `None` before its first byte.
    array: Option<bool>,
    ended: bool,
}

impl Elements {
    pub(super) fn new(reader: Reader, name: &str) -> Elements {
        Elements { reader, name: name.into(), line: 1, start: 1, element: String::new(), array: None, ended: false }
    }

    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.name, self.start)
    }

    pub(super) fn fault(&self, what: impl Into<TraceFault>) -> TraceFault {
        what.into().on_line(self.start).in_file(&self.name)
    }

    pub(super) fn text(&self) -> &str {
        &self.element
    }

    fn peek(&mut self) -> Result<Option<u8>, TraceFault> {
        match self.reader.fill_buf() {
            Ok(buffer) => Ok(buffer.first().copied()),
            Err(e) => Err(TraceFault::unreadable(e).on_line(self.line).in_file(&self.name)),
        }
    }

    /// The next byte that is no white space, without taking it.
    fn solid(&mut self) -> Result<Option<u8>, TraceFault> {
        while let Some(byte) = self.peek()? {
            // A byte order mark may stand in front.
            let mark = self.array.is_none() && matches!(byte, 0xef | 0xbb | 0xbf);
            if !byte.is_ascii_whitespace() && !mark {
                return Ok(Some(byte));
            }
            self.line += u64::from(byte == b'\n');
            self.reader.consume(1);
        }
        Ok(None)
    }

    /// Moves to the next element, `false` at the end. [`Elements::text`] then has it.
    pub(super) fn advance(&mut self) -> Result<bool, TraceFault> {
        if self.ended {
            return Ok(false);
        }
        let mut next = self.solid()?;
        let first = self.array.is_none();
        if first {
            self.array = Some(next == Some(b'['));
            if next == Some(b'[') {
                self.reader.consume(1);
                next = self.solid()?;
            }
        }
        self.start = self.line;
        if self.array == Some(true) {
            match next {
                None => return Err(self.fault("the array does not end; the file is torn")),
                Some(b']') => {
                    self.reader.consume(1);
                    self.ended = true;
                    if self.solid()?.is_some() {
                        self.start = self.line;
                        return Err(self.fault("something stands behind the array; a file is one array"));
                    }
                    return Ok(false);
                }
                Some(b',') if !first => {
                    self.reader.consume(1);
                    next = self.solid()?;
                    self.start = self.line;
                }
                Some(_) if !first => return Err(self.fault("a comma is missing; it must stand between elements")),
                Some(_) => {}
            }
        }
        match next {
            None if self.array == Some(false) => {
                self.ended = true;
                Ok(false)
            }
            Some(b'{') => self.take().map(|()| true),
            _ => Err(self.fault("this is no JSON object; each element must be one, in braces")),
        }
    }

    /// Takes the object that starts here.
    fn take(&mut self) -> Result<(), TraceFault> {
        let mut bytes = std::mem::take(&mut self.element).into_bytes();
        bytes.clear();
        let (mut depth, mut text, mut escaped) = (0u32, false, false);
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(e) => {
                    return Err(TraceFault::unreadable(e).on_line(self.line).in_file(&self.name));
                }
            };
            if buffer.is_empty() {
                return Err(self.fault("the object does not end; the file is torn"));
            }
            let mut used = 0;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if text => escaped = true,
                    b'"' => text = !text,
                    b'{' | b'[' if !text => depth += 1,
                    b'}' | b']' if !text => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            bytes.extend_from_slice(&buffer[..used]);
            self.reader.consume(used);
            if depth == 0 {
                break;
            }
            if bytes.len() > LARGEST {
                return Err(self.fault("the object is longer than 256 MiB; a brace must be missing"));
            }
        }
        self.element =
            String::from_utf8(bytes).map_err(|_| self.fault("the object is not UTF-8 text; traces are plain text"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(u64, String)>, TraceFault> {
        // A buffer of 3 bytes, so that everything straddles its end.
        let reader = std::io::BufReader::with_capacity(3, std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut elements = Elements::new(Box::new(reader), "t");
        let mut out = Vec::new();
        while elements.advance()? {
            out.push((elements.start, elements.text().to_string()));
        }
        Ok(out)
    }

    #[test]
    fn arrays_and_objects_in_a_row_are_walked() {
        let want = |at: &[(u64, &str)]| Ok(at.iter().map(|&(n, t)| (n, t.to_string())).collect());
        assert_eq!(
            all("\u{feff}[{\"a\":\"}\\\"\"},\n{\"b\":[{}]}\n]\n"),
            want(&[(1, "{\"a\":\"}\\\"\"}"), (2, "{\"b\":[{}]}")])
        );
        assert_eq!(all("{\n}\n\n {\"é\":1}"), want(&[(1, "{\n}"), (4, "{\"é\":1}")]));
        assert_eq!(all("[]"), want(&[]));
        for (text, error) in [
            ("[{}", "t:1: the array does not end"),
            ("[{},\n{\"a\":", "t:2: the object does not end"),
            ("[{}{}]", "t:1: a comma is missing"),
            ("[{},]", "t:1: this is no JSON object"),
            ("[{}]\nx", "t:2: something stands behind"),
            ("[1]", "t:1: this is no JSON object"),
        ] {
            assert!(all(text).unwrap_err().to_string().starts_with(error), "{text}: {:?}", all(text));
        }
    }
}
