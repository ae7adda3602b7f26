//! Lines and JSON values of a stream, one at a time and never longer than a limit.

use std::io::{self, BufRead, Read};

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A line or value is in the buffer.
    Some,
    /// It is longer than the limit.
    TooLong,
    /// The stream has ended.
    End,
}

/// Reads a line into `line`, without its end.
pub fn line(bytes: &mut impl BufRead, limit: u64, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let n = bytes.take(limit.saturating_add(1)).read_until(b'\n', line)?;
    if n == 0 {
        return Ok(Next::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if n as u64 > limit {
        return Ok(Next::TooLong);
    }
    Ok(Next::Some)
}

/// Reads the next value of a JSON array whose `[` was read, into `value`.
///
/// A scanner of brackets and strings: a value is whatever stands between commas of the array itself, so that a broken
/// value breaks no other.
pub fn array_value(bytes: &mut impl BufRead, limit: u64, value: &mut Vec<u8>) -> io::Result<Next> {
    value.clear();
    let mut scanner = Scanner::default();
    loop {
        let part = bytes.fill_buf()?;
        if part.is_empty() {
            return match (value.iter().all(u8::is_ascii_whitespace), scanner.depth) {
                (true, 0) => Ok(Next::End),
                _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the array has no end")),
            };
        }
        let end = part.iter().position(|byte| scanner.ends(*byte));
        value.extend_from_slice(&part[..end.unwrap_or(part.len())]);
        let n = end.map_or(part.len(), |end| end + 1);
        bytes.consume(n);
        if value.len() as u64 > limit {
            return Ok(Next::TooLong);
        }
        if end.is_some() {
            let is_blank = value.iter().all(u8::is_ascii_whitespace);
            if !is_blank {
                return Ok(Next::Some);
            }
            if scanner.closed {
                return Ok(Next::End);
            }
            value.clear();
        }
    }
}

/// Where a scan of an array stands.
#[derive(Debug, Default)]
struct Scanner {
    /// Brackets that are open within the value.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Whether the array itself has ended.
    closed: bool,
}

impl Scanner {
    /// Whether the value ends before this byte.
    fn ends(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' if self.depth > 0 => self.depth -= 1,
            b']' | b'}' => {
                self.closed = true;
                return true;
            }
            b',' => return self.depth == 0,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str, limit: u64) -> Vec<String> {
        let mut bytes = io::BufReader::with_capacity(3, text.as_bytes());
        let (mut found, mut value) = (Vec::new(), Vec::new());
        while array_value(&mut bytes, limit, &mut value).unwrap() == Next::Some {
            found.push(String::from_utf8(value.clone()).unwrap().trim().to_owned());
        }
        found
    }

    #[test]
    fn values_of_an_array_come_one_by_one() {
        assert_eq!(values(r#"{"a": "],\"{"}, [1, 2],3 ]"#, 99), [r#"{"a": "],\"{"}"#, "[1, 2]", "3"]);
        assert!(values(" ]", 99).is_empty());
        assert_eq!(values("1, 2222222, 3]", 4), ["1"], "stops at one that is too long");
    }

    #[test]
    fn lines_end_as_on_any_system_and_at_the_limit() {
        let mut bytes = "ab\r\n\ncdefg".as_bytes();
        let mut read = Vec::new();
        let mut next =
            || (line(&mut bytes, 4, &mut read).unwrap(), String::from_utf8_lossy(&read).into_owned());
        assert_eq!(next(), (Next::Some, "ab".into()));
        assert_eq!(next(), (Next::Some, String::new()));
        assert_eq!(next().0, Next::TooLong);
    }
}
