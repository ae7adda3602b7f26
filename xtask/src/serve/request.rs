//! The head of a request, as far as this server looks at it.

use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    net::TcpStream,
};

/// The most bytes that a request's head may have.
const MAX_HEAD_BYTES: u64 = 16 * 1024;

/// What a client asks for.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// Whether the answer may be gzipped.
    pub takes_gzip: bool,
}

impl Request {
    /// Reads a request's head; `None` where the client went away without one.
    pub fn read(connection: &TcpStream) -> io::Result<Option<Self>> {
        let mut lines = BufReader::new(connection.take(MAX_HEAD_BYTES)).lines();
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut request = Self { method, target, ..Self::default() };
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.trim().to_owned()),
                "accept-encoding" => request.takes_gzip = takes_gzip(value),
                _ => {}
            }
        }
        Ok(Some(request))
    }
}

/// Whether an `Accept-Encoding` header (RFC 9110, section 12.5.3) names gzip, and not to refuse it.
fn takes_gzip(header: &str) -> bool {
    header.split(',').any(|entry| {
        let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight.trim().trim_start_matches("q=");
        let refused = !weight.is_empty() && weight.parse::<f32>().is_ok_and(|q| q <= 0.0);
        matches!(coding.trim(), "gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for header in ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "*"] {
            assert!(takes_gzip(header), "{header}");
        }
        for header in ["", "identity", "br", "gzip;q=0", "deflate, gzip; q=0.0"] {
            assert!(!takes_gzip(header), "{header}");
        }
    }
}
