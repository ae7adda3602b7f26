//! Small files that claim much: each is refused, or read, within the memory that its length allows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::Write as _;
use std::path::Path;

use checkpoints::{InputFile, Weights, WeightsError};
use flate2::{Compression, write::DeflateEncoder};

fn open(bytes: Vec<u8>) -> Result<Weights, WeightsError> {
    Weights::from_file(&InputFile::from_memory(Path::new("hostile"), bytes))
}

/// One line that says why.
fn refused(bytes: Vec<u8>, says: &str) {
    let text = open(bytes).unwrap_err().to_string();
    assert!(text.contains(says) && !text.contains('\n') && text.len() < 300, "{text}");
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An archive of one span and a directory that names it `names.len()` times.
fn zip_over_one_span(names: &[String], packed: &[u8], len: usize, method: u16) -> Vec<u8> {
    let sizes = |out: &mut Vec<u8>| {
        out.extend(method.to_le_bytes());
        out.extend([0; 8]);
        out.extend((packed.len() as u32).to_le_bytes());
        out.extend((len as u32).to_le_bytes());
    };
    let mut out = b"PK\x03\x04\x14\0\0\0".to_vec();
    sizes(&mut out);
    out.extend([1, 0, 0, 0, b'a']);
    out.extend(packed);
    let start = out.len() as u32;
    for name in names {
        out.extend(b"PK\x01\x02\x14\0\x14\0\0\0");
        sizes(&mut out);
        out.extend((name.len() as u16).to_le_bytes());
        out.extend([0; 16]);
        out.extend(name.as_bytes());
    }
    let n = (names.len() as u16).to_le_bytes();
    let directory = out.len() as u32 - start;
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(n);
    out.extend(n);
    out.extend(directory.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A pickle as torch.save packs it, deflated.
fn torch(pickle: &[u8]) -> Vec<u8> {
    zip_over_one_span(&["archive/data.pkl".to_owned()], &deflate(pickle), pickle.len(), 8)
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// The most memory that this process has held, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

// One test, so that the peak of memory is of these files alone.
#[test]
fn little_files_take_little() {
    shapes_of_a_million_widths();
    a_key_of_twenty_megabytes();
    a_text_of_twenty_megabytes_a_thousand_times();
    shared_dicts();
    calls_with_millions_of_arguments();
    recalled_from_far();
    members_over_one_another();
    arrays_of_zeros();
    a_header_of_many_tensors();
    a_value_that_stands_for_a_thousand();
    files_that_are_too_long();
    assert!(peak() < 300 << 20, "{} bytes", peak());
}

fn shapes_of_a_million_widths() {
    let mut pickle = b"\x80\x02(".to_vec();
    pickle.extend(b"K\x01".repeat(1_000_000));
    pickle.extend(b"tr\x00\x00\x00\x000}r\x01\x00\x00\x000");
    pickle.extend(
        b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQr\x02\0\0\x000(",
    );
    for _ in 0..3000 {
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(j\x02\0\0\0K\x00j\0\0\0\0j\0\0\0\0tR");
    }
    pickle.extend(b"l.");
    refused(torch(&pickle), "pickle");
}

fn a_key_of_twenty_megabytes() {
    let mut pickle = b"\x80\x02}(".to_vec();
    pickle.extend(text(&"k".repeat(15 << 20)));
    pickle.extend(b"}(");
    for index in 0..1000 {
        pickle.extend(text(&index.to_string()));
        pickle.extend(b"N");
    }
    pickle.extend(b"uu.");
    refused(torch(&pickle), "key of");
}

fn a_text_of_twenty_megabytes_a_thousand_times() {
    let mut pickle = b"\x80\x02".to_vec();
    pickle.extend(text(&"k".repeat(15 << 20)));
    pickle.extend(b"r\0\0\0\x000}(");
    for index in 0..1000 {
        pickle.extend(text(&index.to_string()));
        pickle.extend(b"j\0\0\0\0");
    }
    pickle.extend(b"u.");
    assert_eq!(open(torch(&pickle)).unwrap().names().count(), 0);
}

fn shared_dicts() {
    let mut pickle = b"\x80\x02}q\x000".to_vec();
    for level in 0..9u8 {
        pickle.extend(b"}(");
        for key in 0..8 {
            pickle.extend(text(&format!("{}{key}", "n".repeat(200))));
            pickle.extend([b'h', level]);
        }
        pickle.extend([b'u', b'q', level + 1, b'0']);
    }
    pickle.extend([b'h', 9, b'.']);
    refused(torch(&pickle), "nests deeper");
}

fn calls_with_millions_of_arguments() {
    let mut pickle = b"\x80\x02(".to_vec();
    pickle.extend(b"N".repeat(1_000_000));
    pickle.extend(b"tq\x000(");
    for _ in 0..300_000 {
        pickle.extend(b"cm\nf\nh\x00R");
    }
    pickle.extend(b"l.");
    assert_eq!(open(torch(&pickle)).unwrap().names().count(), 0);
}

fn recalled_from_far() {
    refused(torch(b"\x80\x02Nr\xff\xff\xff\x00."), "remembers");
}

fn members_over_one_another() {
    let names: Vec<String> = (0..60_000).map(|index| format!("{index}.npy")).collect();
    refused(zip_over_one_span(&names, &[0; 4000], 4000, 0), "lie over one another");
}

fn arrays_of_zeros() {
    let zeros = vec![0; 100 << 20];
    let packed = deflate(&zeros);
    refused(zip_over_one_span(&["a.npy".to_owned()], &packed, zeros.len(), 8), "refused");
}

/// A stride of 0 shows one stored value many times.
fn a_value_that_stands_for_a_thousand() {
    let n = 100_000i32.to_le_bytes();
    let pickle = [
        b"\x80\x02}X\x01\0\0\0kctorch._utils\n_rebuild_tensor_v2\n(".as_slice(),
        b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ",
        b"K\0(J",
        &n,
        b"M\0\x04t(K\x01K\0ttRs.",
    ]
    .concat();
    let members = [("archive/data.pkl", pickle.as_slice()), ("archive/data/0", &vec![0; 100_000])];
    let weights = open(stored_zip(&members)).unwrap();
    assert_eq!(weights.shape("k"), Some(&[100_000, 1024][..]));
    let error = weights.values("k").unwrap_err().to_string();
    assert!(error.contains("a tensor of 102400000 values, expected at most"), "{error}");
}

/// A ZIP whose members lie there as they are.
fn stored_zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = shared::archive::ArchiveWriter::new(Vec::new());
    for (name, bytes) in members {
        archive.add(name, bytes).unwrap();
    }
    archive.finish().unwrap()
}

/// Text of which each byte takes many in memory once it is parsed.
fn files_that_are_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, vec![b' '; (16 << 20) + 1]).unwrap();
    let error = Weights::open_index(&index).unwrap_err().to_string();
    assert!(error.contains("more than any checkpoint needs"), "{error}");
    std::fs::write(&index, r#"{"weight_map":{"a":"b\u001b[2J"}}"#).unwrap();
    let error = Weights::open_index(&index).unwrap_err().to_string();
    assert!(error.contains("is not a plain file name") && !error.contains(char::is_control), "{error}");
    std::fs::write(folder.path().join("config.json"), vec![b' '; (4 << 20) + 1]).unwrap();
    let error = checkpoints::model::ModelConfig::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("no config is that long"), "{error}");
}

fn a_header_of_many_tensors() {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("many.safetensors");
    let mut header = b"{".to_vec();
    for index in 0..1_500_000 {
        let comma = if index == 0 { "" } else { "," };
        write!(header, "{comma}\"{index}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}")
            .unwrap();
    }
    header.push(b'}');
    let mut out = std::fs::File::create(&path).unwrap();
    out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    out.write_all(&header).unwrap();
    drop(header);
    let error = Weights::open(&path).unwrap_err().to_string();
    assert!(error.contains("more than any checkpoint needs"), "{error}");
}
