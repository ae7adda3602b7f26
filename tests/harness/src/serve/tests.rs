//! The server as a client sees it, over a socket.

use super::*;

/// A folder with a page, a file to cut ranges from, and a secret beside it.
fn site() -> (tempfile::TempDir, Server) {
    site_with(LIMITS)
}

fn site_with(limits: Limits) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    std::fs::create_dir_all(root.join("bundle")).unwrap();
    std::fs::write(root.join("index.html"), "<p>page").unwrap();
    std::fs::write(root.join("app.wasm"), vec![0_u8; 100_000]).unwrap();
    std::fs::write(root.join("bundle/data.bin"), "0123456789").unwrap();
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    let served = Server::start_with(&root, 0, limits).unwrap();
    (folder, served)
}

/// Sends a raw request and gives back the answer's head and body.
fn ask(served: &Server, method: &str, target: &str, headers: &str) -> (String, Vec<u8>) {
    ask_host(served, &served.address.to_string(), method, target, headers)
}

/// The same, where the client takes the server for `host`.
fn ask_host(served: &Server, host: &str, method: &str, target: &str, headers: &str) -> (String, Vec<u8>) {
    let mut socket = TcpStream::connect(served.address).unwrap();
    write!(socket, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
        .unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let cut = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..cut].to_vec()).unwrap(), answer[cut + 4..].to_vec())
}

#[test]
fn a_folder_gives_its_index_page() {
    let (_folder, served) = site();
    let (head, body) = ask(&served, "GET", "/?bundle=elsewhere", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("Content-Type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains("Cache-Control: no-cache"), "{head}");
    assert_eq!(body, b"<p>page");
}

#[test]
fn a_large_file_comes_with_its_length_and_media_type() {
    let (_folder, served) = site();
    let (head, body) = ask(&served, "GET", "/app.wasm", "");
    assert!(head.contains("Content-Type: application/wasm"), "{head}");
    assert!(head.contains("Content-Length: 100000"), "{head}");
    assert_eq!(body.len(), 100_000);
}

#[test]
fn what_hosts_gzip_is_gzipped_for_those_who_take_it() {
    let (folder, served) = site();
    let unpacked = |body: &[u8]| {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        plain
    };
    let gzip = "Accept-Encoding: gzip, br\r\n";
    let (head, body) = ask(&served, "GET", "/app.wasm", gzip);
    assert!(head.contains("Content-Encoding: gzip") && head.contains("Vary: Accept-Encoding"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())) && body.len() < 1000, "{head}");
    assert_eq!(unpacked(&body), vec![0; 100_000]);
    let (head, body) = ask(&served, "HEAD", "/app.wasm", gzip);
    assert!(head.contains("Content-Encoding: gzip") && body.is_empty(), "{head}");
    for (target, headers) in [
        ("/app.wasm", ""),
        ("/app.wasm", "Accept-Encoding: br\r\n"),
        ("/app.wasm", "Accept-Encoding: gzip\r\nRange: bytes=0-9\r\n"),
        ("/bundle/data.bin", gzip),
    ] {
        let (head, _) = ask(&served, "GET", target, headers);
        assert!(!head.contains("Content-Encoding"), "{target} {headers}: {head}");
    }
    let page = folder.path().join("site/index.html");
    for text in ["<p>page", "<p>another page"] {
        let later = std::time::SystemTime::now() + Duration::from_secs(text.len() as u64);
        std::fs::write(&page, text).unwrap();
        File::options().write(true).open(&page).unwrap().set_modified(later).unwrap();
        assert_eq!(
            unpacked(&ask(&served, "GET", "/", gzip).1),
            text.as_bytes(),
            "a rebuilt page is the page seen"
        );
    }
}

#[test]
fn head_gives_the_length_without_the_body() {
    let (_folder, served) = site();
    let (head, body) = ask(&served, "HEAD", "/bundle/data.bin", "");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("Content-Length: 10"), "{head}");
    assert!(body.is_empty());
}

#[test]
fn a_range_gives_just_those_bytes() {
    let (_folder, served) = site();
    let (head, body) = ask(&served, "GET", "/bundle/data.bin", "Range: bytes=3-5\r\n");
    assert!(head.starts_with("HTTP/1.1 206") && head.contains("Content-Range: bytes 3-5/10"), "{head}");
    assert_eq!(body, b"345");
    let (head, _) = ask(&served, "GET", "/bundle/data.bin", "Range: bytes=10-\r\n");
    assert!(head.starts_with("HTTP/1.1 416") && head.contains("Content-Range: bytes */10"), "{head}");
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let (_folder, served) = site();
    for target in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/bundle/../../secret.txt",
        "/bundle/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/hostname",
        "/%2fetc/hostname",
        "http://x/../secret.txt",
        "/missing",
        "/bundle",
    ] {
        let (head, body) = ask(&served, "GET", target, "");
        assert!(head.starts_with("HTTP/1.1 404"), "{target}: {head}");
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{target}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let (folder, served) = site();
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), folder.path().join("site/link.txt"))
        .unwrap();
    let (head, _) = ask(&served, "GET", "/link.txt", "");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

#[test]
fn what_is_not_there_is_the_folders_own_page_for_it() {
    let (folder, served) = site();
    std::fs::write(folder.path().join("site/404.html"), "<p>nothing").unwrap();
    let (head, body) = ask(&served, "GET", "/missing", "");
    assert!(head.starts_with("HTTP/1.1 404") && head.contains("text/html"), "{head}");
    assert_eq!(body, b"<p>nothing");
    assert_eq!(ask(&served, "HEAD", "/missing", "").1, b"");
}

#[test]
fn other_methods_are_refused() {
    let (_folder, served) = site();
    let (head, _) = ask(&served, "POST", "/index.html", "Content-Length: 0\r\n");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
}

#[test]
fn a_request_that_takes_the_server_for_another_is_refused() {
    let (_folder, served) = site();
    for host in ["evil.example", "evil.example:8080", ""] {
        let (head, body) = ask_host(&served, host, "GET", "/", "");
        assert!(head.starts_with("HTTP/1.1 421") && body.is_empty(), "{host}: {head}");
    }
}

/// What the server sends until it closes the connection, which may cut off what it has not read.
fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn connections_beyond_the_limit_are_closed_until_others_end() {
    let (_folder, served) = site_with(Limits { n_connections: 2, ..LIMITS });
    let held = [(); 2].map(|()| TcpStream::connect(served.address).unwrap());
    let mut third = TcpStream::connect(served.address).unwrap();
    third.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap_or_default();
    assert_eq!(rest(&mut third), "");
    drop(held);
    let answered = || {
        let mut socket = TcpStream::connect(served.address).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap_or_default();
        rest(&mut socket).starts_with("HTTP/1.1 200")
    };
    while !answered() {
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_never_finishes_its_request_is_let_go() {
    let (_folder, served) = site_with(Limits { head_time: Duration::from_millis(50), ..LIMITS });
    let mut slow = TcpStream::connect(served.address).unwrap();
    slow.write_all(b"GET / HT").unwrap();
    assert_eq!(rest(&mut slow), "");
}

#[test]
fn a_taken_port_gives_the_next() {
    let (folder, first) = site();
    let second = Server::start(&folder.path().join("site"), first.address.port()).unwrap();
    assert!(second.address.port() > first.address.port());
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let error = Server::start(Path::new("no/such/folder"), 0).unwrap_err();
    assert_eq!(error.to_string(), "nothing to serve (no/such/folder)");
}
