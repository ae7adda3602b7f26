//! Reading weights needs little more memory than the weights. Alone in its file: it measures the process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs::{self, File};
use std::io::Write;

use compute::weights::{Select, Weights};
use tch::{Device, Kind};

/// The most memory that the process has held, in bytes.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn half_a_gigabyte_is_read_within_a_fifth_more() {
    const ROWS: i64 = 65_536;
    const BYTES: u64 = ROWS as u64 * 2048 * 4;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{ROWS},2048],"data_offsets":[0,{BYTES}]}}}}"#);
    let mut file = File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + BYTES).unwrap(); // sparse: zeros without a disk's worth of them
    let weights = Weights::open(&path).unwrap();
    let before = peak_bytes();
    let some = weights.read("w", Select::Rows(&[1, 65_535, 3]), Kind::Float, Device::Cpu).unwrap();
    let columns = weights.read("w", Select::Columns(&[0, 2047]), Kind::Float, Device::Cpu).unwrap();
    assert_eq!((some.size(), columns.size()), (vec![3, 2048], vec![ROWS, 2]));
    let part = peak_bytes() - before;
    assert!(part < BYTES / 4, "parts took {part} bytes");
    let whole = weights.read("w", Select::All, Kind::Float, Device::Cpu).unwrap();
    assert_eq!(whole.size(), [ROWS, 2048]);
    let taken = peak_bytes() - before;
    assert!(taken as f64 <= BYTES as f64 * 1.2, "{BYTES} bytes of weights took {taken}");
}
