//! Writes the files that the tests read: what torch.save, numpy and safetensors would write, byte by byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

pub fn max_abs(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// Random and the same every time, also while other tests draw: the generator is the process's.
pub fn randn(shape: &[i64], seed: i64) -> Tensor {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.3
}

pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

/// A value in a pickle.
pub enum Item<'a> {
    Tensor(&'a Tensor),
    /// A tensor stored transposed, its strides turned back.
    Turned(&'a Tensor),
    Int(i32),
    Text(&'a str),
    Dict(Vec<(&'a str, Self)>),
}

#[derive(Default)]
struct Pickler {
    pickle: Vec<u8>,
    storages: Vec<Vec<u8>>,
}

impl Pickler {
    fn text(&mut self, text: &str) {
        self.pickle.push(b'X');
        self.pickle.extend((text.len() as u32).to_le_bytes());
        self.pickle.extend(text.as_bytes());
    }

    fn int(&mut self, value: i64) {
        self.pickle.push(b'J');
        self.pickle.extend((value as i32).to_le_bytes());
    }

    fn ints(&mut self, values: &[i64]) {
        self.pickle.push(b'(');
        for value in values {
            self.int(*value);
        }
        self.pickle.push(b't');
    }

    fn item(&mut self, item: &Item<'_>) {
        match item {
            Item::Int(value) => self.int(i64::from(*value)),
            Item::Text(text) => self.text(text),
            Item::Dict(items) => {
                self.pickle.extend(b"}(");
                for (name, item) in items {
                    self.text(name);
                    self.item(item);
                }
                self.pickle.push(b'u');
            }
            Item::Tensor(tensor) => {
                let mut strides = vec![1; tensor.size().len()];
                for axis in (1..strides.len()).rev() {
                    strides[axis - 1] = strides[axis] * tensor.size()[axis];
                }
                self.tensor(tensor, &tensor.size(), &strides);
            }
            Item::Turned(tensor) => {
                let rows = tensor.size()[0];
                self.tensor(&tensor.tr(), &tensor.size(), &[1, rows]);
            }
        }
    }

    fn tensor(&mut self, stored: &Tensor, shape: &[i64], strides: &[i64]) {
        let class = if stored.kind() == Kind::Int64 { "LongStorage" } else { "FloatStorage" };
        self.pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.pickle.extend(format!("ctorch\n{class}\n").as_bytes());
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.int(stored.numel() as i64);
        self.pickle.extend(b"tQ");
        self.int(0);
        self.ints(shape);
        self.ints(strides);
        self.pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        self.storages.push(bytes(stored));
    }
}

/// What `torch.save` writes.
pub fn torch_save(path: &Path, item: &Item<'_>) {
    let mut pickler = Pickler { pickle: b"\x80\x02".to_vec(), storages: Vec::new() };
    pickler.item(item);
    pickler.pickle.push(b'.');
    let mut members = vec![("archive/data.pkl".to_owned(), pickler.pickle)];
    for (key, storage) in pickler.storages.into_iter().enumerate() {
        members.push((format!("archive/data/{key}"), storage));
    }
    std::fs::write(path, zip(&members)).unwrap();
}

/// A zip of stored members.
pub fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let packed: Vec<_> = members.iter().map(|(n, b)| (n.clone(), 0, b.len() as u32, b.clone())).collect();
    zip_of(&packed)
}

/// A zip of members: name, method, declared size, packed bytes.
pub fn zip_of(members: &[(String, u16, u32, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, method, len, packed) in members {
        let start = out.len() as u32;
        let mut fields = Vec::new();
        fields.extend([20, 0, 0, 0]);
        fields.extend(method.to_le_bytes());
        fields.extend([0; 8]);
        fields.extend((packed.len() as u32).to_le_bytes());
        fields.extend(len.to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((members.len() as u16).to_le_bytes());
    out.extend((members.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// The same archive with every size and place in zip64 fields, as archives beyond 4 GiB have them.
pub fn zip64(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let plain = zip(members);
    let end = plain.len() - 22;
    let directory = u32::from_le_bytes(plain[end + 16..end + 20].try_into().unwrap()) as usize;
    let mut out = plain[..directory].to_vec();
    let mut at = directory;
    for (name, bytes) in members {
        let entry = &plain[at..at + 46 + name.len()];
        let header = u32::from_le_bytes(entry[42..46].try_into().unwrap());
        let mut entry = entry.to_vec();
        entry[20..28].fill(0xFF);
        entry[30..32].copy_from_slice(&28u16.to_le_bytes());
        entry[42..46].fill(0xFF);
        entry.extend([1, 0, 24, 0]);
        for value in [bytes.len() as u64, bytes.len() as u64, u64::from(header)] {
            entry.extend(value.to_le_bytes());
        }
        out.extend(&entry);
        at += 46 + name.len();
    }
    let record = out.len() as u64;
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([0; 12]);
    let count = members.len() as u64;
    for value in [count, count, record - directory as u64, directory as u64] {
        out.extend(value.to_le_bytes());
    }
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(record.to_le_bytes());
    out.extend([1, 0, 0, 0]);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([0xFF; 12]);
    out.extend([0, 0]);
    out
}

/// What `numpy.save` writes.
pub fn npy(tensor: &Tensor) -> Vec<u8> {
    let shape: Vec<String> = tensor.size().iter().map(|width| format!("{width},")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}\n", shape.join(" "));
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(bytes(tensor));
    out
}

/// What safetensors writes.
pub fn safetensors(path: &Path, tensors: &[(&str, &Tensor)]) {
    let (mut header, mut data) = (BTreeMap::new(), Vec::new());
    for (name, tensor) in tensors {
        let dtype = match tensor.kind() {
            Kind::Half => "F16",
            Kind::BFloat16 => "BF16",
            Kind::Float8e4m3fn => "F8_E4M3",
            Kind::Int => "I32",
            Kind::Int64 => "I64",
            Kind::Uint8 => "U8",
            _ => "F32",
        };
        let start = data.len();
        data.extend(bytes(tensor));
        let info = serde_json::json!({ "dtype": dtype, "shape": tensor.size(), "data_offsets": [start, data.len()] });
        header.insert(*name, info);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(data);
    std::fs::write(path, out).unwrap();
}
