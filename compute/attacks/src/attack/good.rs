//! Good files to begin with: fixtures of the project, and small ones made here.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use flate2::{Compression, read::GzDecoder, write::DeflateEncoder, write::GzEncoder};
use safetensors::{Dtype, tensor::TensorView};
use shared::bundle::{Checked, decode};
use shared::manifest::{FileInfo, Manifest};
use shared::wire::Wire;

/// Path of every file of a bundle under attack.
pub const PATH: &str = "features/0000.bin";

/// A file of the project; empty where it is missing, which the test of the good files finds.
pub fn fixture(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read(root.join(path)).unwrap_or_default()
}

/// What a gzip file holds.
pub fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let _n = GzDecoder::new(gzip).read_to_end(&mut plain).unwrap_or_default();
    plain
}

/// A gzip file that holds `plain`.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(plain).and_then(|()| gzip.finish()).unwrap_or_default()
}

/// A file of the bundle that version 2.1 wrote, unpacked.
pub fn of_v2(path: &str) -> Vec<u8> {
    unpacked(&fixture(&format!("tests/fixtures/bundles/2.1/postcard/{path}")))
}

/// The manifest of that bundle.
pub static V2: LazyLock<Option<Manifest>> =
    LazyLock::new(|| Manifest::from_json(&fixture("tests/fixtures/bundles/2.1/postcard/manifest.json")).ok());

/// The manifest of the same bundle in today's schema.
static V3: LazyLock<Option<Manifest>> = LazyLock::new(|| {
    let mut manifest = V2.clone()?;
    manifest.schema.major = shared::manifest::MAJOR;
    Some(manifest)
});

/// Whose rules a file is read by.
#[derive(Clone, Copy, PartialEq)]
pub enum Schema {
    /// Of version 2.
    Two,
    /// Today's.
    Three,
}

/// Reads a file of a bundle from its unpacked bytes.
pub fn read<T: Checked>(schema: Schema, plain: &[u8]) -> Option<T> {
    let manifest = if schema == Schema::Two { &V2 } else { &V3 };
    let mut manifest = (**manifest).clone()?;
    let n = plain.len() as u64;
    manifest.files =
        vec![FileInfo { path: PATH.to_owned(), bytes: n, decoded_bytes: n, crc32: 0, shared: false }];
    crate::verdict::judged(decode(&manifest, PATH, plain))
}

/// The bytes of a value.
pub fn written<T: Wire>(value: &T) -> Vec<u8> {
    let mut plain = Vec::new();
    value.write(&mut plain);
    plain
}

/// Checks that a value that was read is written as bytes that are read as the same. By their bytes: NaN is not NaN.
pub fn comes_back<T: Checked>(value: &T) {
    let once = written(value);
    let again: Option<T> = read(Schema::Three, &once);
    assert!(
        again.is_some_and(|again| written(&again) == once),
        "a value changes when it is written and read"
    );
}

/// A file of version 2, written as today.
pub fn of_v3<T: Checked>(path: &str) -> Vec<u8> {
    read::<T>(Schema::Two, &of_v2(path)).map(|value| written(&value)).unwrap_or_default()
}

/// A safetensors file of zeros.
pub fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let longest =
        tensors.iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).max().unwrap_or_default();
    let zeros = vec![0; longest];
    let views = tensors.iter().filter_map(|(name, shape)| {
        let bytes = &zeros[..4 * shape.iter().product::<usize>()];
        Some((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).ok()?))
    });
    safetensors::serialize(views, None).unwrap_or_default()
}

/// A ZIP of members that are stored, or deflated.
pub fn zip(members: &[(&str, &[u8])], is_packed: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, plain) in members {
        let packed = if is_packed { deflate(plain) } else { plain.to_vec() };
        let method = if is_packed { 8u16 } else { 0 };
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);
        for field in [crc32fast::hash(plain), packed.len() as u32, plain.len() as u32] {
            common.extend(field.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10]].concat());
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
    }
    let (n, start) = ((members.len() as u16).to_le_bytes(), out.len() as u32);
    out.extend(&directory);
    out.extend([b"PK\x05\x06\0\0\0\0", &n[..], &n].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(plain).and_then(|()| encoder.finish());
    packed.unwrap_or_default()
}

/// An array of three floats, as numpy writes it.
pub fn npy() -> Vec<u8> {
    npy_of("<f4", "(1, 3)", &[0; 12])
}

/// An array of a type and a shape, as numpy writes it.
pub fn npy_of(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}     \n");
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values);
    out
}

/// The pickle of `{"W_enc": a tensor of [2, 2], "k": 3}`, as torch writes it.
pub fn pickle() -> Vec<u8> {
    let mut out = b"\x80\x02}q\x00(X\x05\0\0\0W_encq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((".to_vec();
    out.extend(b"X\x07\0\0\0storageq\x03ctorch\nFloatStorage\nq\x04X\x01\0\0\x000q\x05X\x03\0\0\0cpuq\x06K\x04tq\x07Q");
    out.extend(
        b"K\x00K\x02K\x02\x86q\x08K\x02K\x01\x86q\x09\x89ccollections\nOrderedDict\nq\x0a)Rq\x0btq\x0cRq\x0d",
    );
    out.extend(b"X\x01\0\0\0kq\x0eK\x03X\x01\0\0\0fG\x3f\xf0\0\0\0\0\0\0u.");
    out
}
