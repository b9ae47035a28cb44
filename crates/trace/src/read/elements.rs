//! Walks JSON value by value, so that a file of one list (or of objects one after the other, on however many lines, or of
//! objects that wrap lists) is never held as a whole.
use super::Reader;
use baseload_core::types::{Rest, TraceFault};
use std::io::BufRead;

/// Bytes of one element beyond which the file must be something else.
const LARGEST: usize = 1 << 28;
/// Bytes of a value beside a wrapped list that are kept.
const KEPT: usize = 1 << 10;

/// Where the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    /// Between objects that stand one after the other.
    Objects,
    /// In the file's one list.
    List {
        first: bool,
    },
    /// In the list that an object wraps.
    Wrapped {
        first: bool,
    },
    End,
}

/// Elements of a JSON list, or JSON objects with white space between them, or the elements that such objects wrap; holds one.
pub(super) struct Elements {
    reader: Reader,
    name: String,
    /// Line that the next byte stands on, from 1.
    line: u64,
    /// Line that the element last read starts on.
    start: u64,
    element: String,
    at: At,
    /// The key whose list holds the elements.
    wrapper: Option<&'static str>,
    /// Other short values of the objects that wrap lists.
    beside: Vec<(String, String)>,
}

impl Elements {
    /// Elements of `reader`; where there is a `wrapper`, those of the list that each object has under this key.
    pub(super) fn new(reader: Reader, name: &str, wrapper: Option<&'static str>) -> Elements {
        let (element, beside) = (String::new(), Vec::new());
        Elements { reader, name: name.into(), line: 1, start: 1, element, at: At::Start, wrapper, beside }
    }

    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.name, self.start)
    }

    /// The line that the element last read starts on.
    pub(super) fn first_line(&self) -> u64 {
        self.start
    }

    /// What stands beside wrapped lists so far: keys and JSON.
    pub(super) fn beside(&self) -> &[(String, String)] {
        &self.beside
    }

    pub(super) fn fault(&self, what: impl Into<TraceFault>) -> TraceFault {
        what.into().on_line(self.start).in_file(&self.name)
    }

    /// A fault behind which nothing can be told apart.
    fn torn(&self, what: &str) -> TraceFault {
        TraceFault { rest: Rest::Lost, ..self.fault(what) }
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
            let mark = self.at == At::Start && matches!(byte, 0xef | 0xbb | 0xbf);
            if !byte.is_ascii_whitespace() && !mark {
                return Ok(Some(byte));
            }
            self.line += u64::from(byte == b'\n');
            self.reader.consume(1);
        }
        Ok(None)
    }

    /// Moves to the next element, `false` at the end. [`Elements::text`] then has it.
    ///
    /// # Errors
    /// What is no JSON as it must be; nothing can be read behind it.
    pub(super) fn advance(&mut self) -> Result<bool, TraceFault> {
        let more = self.step();
        if more.is_err() {
            self.at = At::End;
        }
        more
    }

    fn step(&mut self) -> Result<bool, TraceFault> {
        loop {
            let next = self.solid()?;
            self.start = self.line;
            match self.at {
                At::End => return Ok(false),
                At::Start if next == Some(b'[') => {
                    self.reader.consume(1);
                    self.at = At::List { first: true };
                }
                At::Start => self.at = At::Objects,
                At::Objects => match (next, self.wrapper) {
                    (None, _) => self.at = At::End,
                    (Some(b'{'), None) => return self.take().map(|()| true),
                    (Some(b'{'), Some(_)) => {
                        self.reader.consume(1);
                        self.walk_beside()?;
                    }
                    _ => return Err(self.torn("this is no JSON object; each element must be one, in braces")),
                },
                At::List { first } => {
                    if self.listed(next, first)? {
                        self.at = At::List { first: false };
                        return Ok(true);
                    }
                    self.at = At::End;
                    if self.solid()?.is_some() {
                        self.start = self.line;
                        return Err(self.torn("something stands behind the array; a file is one array"));
                    }
                }
                At::Wrapped { first } => {
                    if self.listed(next, first)? {
                        self.at = At::Wrapped { first: false };
                        return Ok(true);
                    }
                    self.walk_beside()?;
                }
            }
        }
    }

    /// Takes the next element of a list, whose next byte is `next`; `false` at its end.
    fn listed(&mut self, mut next: Option<u8>, first: bool) -> Result<bool, TraceFault> {
        match next {
            None => return Err(self.torn("the array does not end; the file is torn")),
            Some(b']') => {
                self.reader.consume(1);
                return Ok(false);
            }
            Some(b',') if !first => {
                self.reader.consume(1);
                next = self.solid()?;
                self.start = self.line;
            }
            Some(_) if !first => return Err(self.torn("a comma is missing; it must stand between elements")),
            Some(_) => {}
        }
        match next {
            Some(b'{') => self.take().map(|()| true),
            _ => Err(self.torn("this is no JSON object; each element must be one, in braces")),
        }
    }

    /// Walks an object that wraps a list, behind its brace or behind the list: to the list, or past its end.
    fn walk_beside(&mut self) -> Result<(), TraceFault> {
        loop {
            match self.solid()? {
                Some(b'}') => {
                    self.reader.consume(1);
                    self.at = At::Objects;
                    return Ok(());
                }
                Some(b',') => self.reader.consume(1),
                Some(b'"') => {
                    let key = self.raw()?;
                    let key = key.trim_matches('"').to_owned();
                    if self.solid()? != Some(b':') {
                        return Err(self.torn("a colon is missing; it must stand behind a key"));
                    }
                    self.reader.consume(1);
                    if self.solid()? == Some(b'[') && self.wrapper == Some(key.as_str()) {
                        self.reader.consume(1);
                        self.at = At::Wrapped { first: true };
                        return Ok(());
                    }
                    let value = self.raw()?;
                    if value.len() <= KEPT && self.beside.len() < KEPT {
                        self.beside.push((key, value));
                    }
                }
                _ => return Err(self.torn("the object does not end; the file is torn")),
            }
        }
    }

    /// Takes the object that starts here as the element.
    fn take(&mut self) -> Result<(), TraceFault> {
        self.element = self.raw()?;
        Ok(())
    }

    /// Takes the value that starts here.
    fn raw(&mut self) -> Result<String, TraceFault> {
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
                return Err(self.torn("the object does not end; the file is torn"));
            }
            let (mut used, mut whole) = (0, false);
            for &byte in buffer {
                if depth == 0 && !text && matches!(byte, b',' | b'}' | b']') {
                    whole = true;
                    break;
                }
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
                if depth == 0 && !text && matches!(byte, b'"' | b'}' | b']') {
                    whole = true;
                    break;
                }
            }
            bytes.extend_from_slice(&buffer[..used]);
            self.reader.consume(used);
            if whole {
                break;
            }
            if bytes.len() > LARGEST {
                return Err(self.torn("the object is longer than 256 MiB; a brace must be missing"));
            }
        }
        String::from_utf8(bytes).map_err(|_| self.torn("the object is not UTF-8 text; traces are plain text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(u64, String)>, TraceFault> {
        // A buffer of 3 bytes, so that everything straddles its end.
        let reader = std::io::BufReader::with_capacity(3, std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut elements = Elements::new(Box::new(reader), "t", None);
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

    #[test]
    fn wrapped_lists_are_walked_and_what_stands_beside_them_is_kept() {
        let text = "{\"page\": 1,\n\"data\": [{\"a\":1},\n{\"b\":2}], \"total\": {\"n\": 2}}\n{\"data\":[], \"x\":null}\n{\"data\":[{}]}";
        let reader = std::io::BufReader::with_capacity(3, std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut elements = Elements::new(Box::new(reader), "t", Some("data"));
        let mut out = Vec::new();
        while elements.advance().unwrap() {
            out.push((elements.first_line(), elements.text().to_string()));
        }
        assert_eq!(out, [(2, "{\"a\":1}".into()), (3, "{\"b\":2}".into()), (5, "{}".into())]);
        let beside: Vec<(&str, &str)> = elements.beside().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(beside, [("page", "1"), ("total", "{\"n\": 2}"), ("x", "null")]);
    }
}
