//! Small files that claim much, and messages about what they hold.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use shared::{
    BundleError,
    bundle::decode,
    error::shown,
    manifest::{FileInfo, Manifest},
    prompt::PromptIndex,
    wire::Wire,
};

const PATH: &str = "prompts/index.bin";

/// What a packed file of `plain` is read as, whose checksum and lengths are right.
fn read(plain: &[u8]) -> Result<PromptIndex, BundleError> {
    let json = include_bytes!("../../../tests/fixtures/bundles/2.1/postcard/manifest.json");
    let mut manifest = Manifest::from_json(json).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(plain).unwrap();
    let bytes = gzip.finish().unwrap();
    manifest.files = vec![FileInfo {
        path: PATH.to_owned(),
        bytes: bytes.len() as u64,
        decoded_bytes: plain.len() as u64,
        crc32: crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes),
        shared: false,
    }];
    decode(&manifest, PATH, &bytes)
}

/// A list of `n` empty texts, and `n_noise` bytes after it that cannot be packed.
fn empty_texts(n: u64, n_noise: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    n.write(&mut plain);
    plain.resize(plain.len() + n as usize, 0);
    let mut state = 1u64;
    plain.extend((0..n_noise).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    }));
    plain
}

#[test]
fn a_list_takes_no_more_memory_than_its_file_is_worth() {
    // 60 KB unpack to 8 MB, of which each byte would be 24 in memory.
    let error = read(&empty_texts(7_900_000, 60_000)).unwrap_err().to_string();
    assert!(error.contains("more memory than a file of its length may need"), "{error}");
    // Fewer are read, and contradict the manifest.
    let error = read(&empty_texts(1_000_000, 60_000)).unwrap_err().to_string();
    assert!(error.contains("there are 1000000 prompts"), "{error}");
}

#[test]
fn ranges_and_lengths_at_the_end_of_their_types_are_refused_or_counted() {
    let json = include_str!("../../../tests/fixtures/bundles/2.1/postcard/manifest.json");
    let with = |pointer: &str, value: serde_json::Value| {
        let mut manifest: serde_json::Value = serde_json::from_str(json).unwrap();
        *manifest.pointer_mut(pointer).unwrap() = value;
        Manifest::from_json(&serde_json::to_vec(&manifest).unwrap())
    };
    let error = with("/features/0", serde_json::json!({ "start": 5, "end": 2 })).unwrap_err().to_string();
    assert!(error.contains("feature ranges do not ascend"), "{error}");
    let manifest = with("/files/0/bytes", u64::MAX.into()).unwrap();
    assert_eq!(manifest.total_bytes(), u64::MAX);
    let mut dataset = manifest.dataset;
    dataset.files = vec![serde_json::from_str(r#"{"name":"a.txt","first_document":0}"#).unwrap()];
    assert_eq!(dataset.origin(u32::MAX), ", begins in document 4294967296 of a.txt");
}

#[test]
fn what_a_message_quotes_is_one_line_of_bearable_length() {
    let line = shown("a\u{1b}[2J\nb\u{202e}");
    assert_eq!(line, "a\\u{1b}[2J\\nb\\u{202e}");
    assert_eq!(shown(&line), line, "what is shown already stays");
    let long = shown("é".repeat(100_000) + " at line 7");
    assert!(long.len() <= 1000 && long.starts_with("éé") && long.ends_with("é at line 7"), "{long}");
    assert_eq!(shown(&long), long);
}
