//! The head of a request, as far as this server looks at it.

use std::io::{self, BufRead as _, BufReader, Read};

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
    /// The `Host` header.
    pub host: String,
    /// Whether the answer may be gzipped.
    pub takes_gzip: bool,
}

impl Request {
    /// Reads a request's head; `None` where the client went away without one.
    pub fn read(connection: impl Read) -> io::Result<Option<Self>> {
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
                "host" => value.trim().clone_into(&mut request.host),
                "range" => request.range = Some(value.trim().to_owned()),
                "accept-encoding" => request.takes_gzip = takes_gzip(value),
                _ => {}
            }
        }
        Ok(Some(request))
    }
}

impl Request {
    /// Whether it is meant for this machine. A page elsewhere whose name was made to point here is told apart by it: its
    /// browser sends that name.
    pub fn is_for_this_machine(&self) -> bool {
        let without_port = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &self.host,
        };
        matches!(without_port.to_ascii_lowercase().as_str(), "127.0.0.1" | "localhost" | "[::1]")
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
    fn only_names_of_this_machine_are_answered() {
        let is_for_us =
            |host: &str| Request { host: host.to_owned(), ..Request::default() }.is_for_this_machine();
        for host in ["127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:8080", "127.0.0.1"] {
            assert!(is_for_us(host), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example:8080", "localhost:80@evil.example", "0.0.0.0", "x:"]
        {
            assert!(!is_for_us(host), "{host}");
        }
    }

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
