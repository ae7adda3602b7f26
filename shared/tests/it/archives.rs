//! One-file bundles: what is written is read, by another program too, and what is damaged is refused.

use shared::{
    archive::{ArchiveWriter, directory, entries},
    zip::{Directory, Entry, data_start},
};

const FILES: [(&str, &[u8]); 3] =
    [("manifest.json", b"{}"), ("features/0000.bin", b"\x1f\x8b block"), ("features/empty.bin", b"")];

fn archive() -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new());
    for (path, bytes) in FILES {
        writer.add(path, bytes).unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let total = bytes.len() as u64;
    let Directory { start, bytes: len } = directory(bytes, total).map_err(|e| e.to_string())?;
    let found = entries(&bytes[start as usize..(start + len) as usize], total).map_err(|e| e.to_string())?;
    let file = |entry: &Entry| {
        let at = data_start(entry, bytes.get(entry.header as usize..).unwrap_or_default())
            .map_err(|e| e.to_string())?;
        let data = bytes.get(at as usize..(at + entry.bytes) as usize).ok_or("outside")?;
        Ok((entry.path.clone(), data.to_vec()))
    };
    found.iter().map(file).collect()
}

#[test]
fn files_come_back_as_they_were() {
    let expected: Vec<_> = FILES.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).to_vec();
    assert_eq!(read(&archive()).unwrap(), expected);
}

#[test]
fn the_bytes_are_those_of_a_plain_zip() {
    let bytes = archive();
    assert_eq!(bytes[..10], [0x50, 0x4b, 3, 4, 20, 0, 0, 0, 0, 0]);
    // Local header: CRC-32 of "{}", both lengths, the name's length.
    assert_eq!(bytes[14..30], [0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0, 2, 0, 0, 0, 13, 0, 0, 0][..]);
    assert_eq!(&bytes[30..45], b"manifest.json{}");
    assert_eq!(bytes[bytes.len() - 14..bytes.len() - 10], [3, 0, 3, 0], "entries on this disk, entries");
}

#[test]
fn every_prefix_is_refused() {
    let bytes = archive();
    for n in 0..bytes.len() {
        read(&bytes[..n]).unwrap_err();
    }
}

#[test]
fn changed_bytes_never_panic() {
    let bytes = archive();
    for i in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[i] ^= change;
            drop(read(&changed));
        }
    }
}

#[test]
fn a_compressed_entry_says_how_to_make_the_file() {
    let mut bytes = archive();
    let Directory { start, .. } = directory(&bytes, bytes.len() as u64).unwrap();
    bytes[start as usize + 10] = 8;
    assert_eq!(
        read(&bytes).unwrap_err(),
        "manifest.json is compressed, expected stored: make the file with `compute export`"
    );
}
