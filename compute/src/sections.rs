//! Files of arrays that one process leaves for another: a plan's rows, what a shard found, what a merge made of it.
//!
//! Arrays lie one after another as they are in memory, little-endian; a footer in JSON says whose they are and where each
//! lies, with its checksum. A file is made under another name, synced, then renamed ([`OutputFile`]): what has its name is
//! whole. That it belongs to the plan at hand, that it is as long as it says and holds the bytes that were written is
//! checked before any of it is used.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytemuck::Pod;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{interrupt, output::OutputFile};

/// The last bytes of every such file, after the footer's length.
const MAGIC: [u8; 8] = *b"SAEVISs1";
/// The footer's length and [`MAGIC`].
const END_BYTES: u64 = 16;
/// No footer is longer: it lists some tens of arrays, and the segments of stores.
const MAX_FOOTER_BYTES: u64 = 256 << 20;
/// Bytes that are checked or copied at once.
const AT_ONCE: usize = 4 << 20;

/// What a file is, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What it holds, such as `shard`.
    pub kind: String,
    /// Which of its kind.
    pub name: String,
    /// SHA-256 of the plan, hexadecimal.
    pub plan: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Section {
    start: u64,
    bytes: u64,
    crc32: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    mark: Mark,
    sections: BTreeMap<String, Section>,
    meta: Value,
}

/// A file of arrays in the making. Dropped before [`SectionWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct SectionWriter {
    file: OutputFile,
    path: PathBuf,
    at: u64,
    sections: BTreeMap<String, Section>,
}

impl SectionWriter {
    /// Begins the file that will be at `path`, where it replaces one that is there.
    pub fn create(path: &Path) -> Result<Self> {
        let file = OutputFile::replacing(path.to_owned())?;
        Ok(Self { file, path: path.to_owned(), at: 0, sections: BTreeMap::new() })
    }

    /// Writes the array `name`, of which `parts` gives one piece after another.
    pub fn write<T: Pod>(
        &mut self,
        name: &str,
        parts: impl IntoIterator<Item = Result<Vec<T>>>,
    ) -> Result<()> {
        let mut hash = crc32fast::Hasher::new();
        let start = self.at;
        for part in parts {
            interrupt::check()?;
            let part = part?;
            let bytes = bytemuck::cast_slice(&part);
            hash.update(bytes);
            self.put(bytes)?;
        }
        let section = Section { start, bytes: self.at - start, crc32: hash.finalize() };
        // Arrays of wider numbers may follow.
        let padding = self.at.next_multiple_of(8) - self.at;
        self.put(&[0; 8][..padding as usize])?;
        self.sections.insert(name.to_owned(), section);
        Ok(())
    }

    /// Writes the array `name` at once.
    pub fn write_all<T: Pod>(&mut self, name: &str, values: &[T]) -> Result<()> {
        self.write(name, values.chunks(AT_ONCE / size_of::<T>().max(1)).map(|part| Ok(part.to_vec())))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.file.write_all(bytes).with_context(|| format!("could not write ({})", self.path.display()))
    }

    /// Ends the file; `meta` says what the arrays mean.
    pub fn finish(mut self, mark: Mark, meta: &impl Serialize) -> Result<()> {
        let sections = std::mem::take(&mut self.sections);
        let footer = Footer { mark, sections, meta: serde_json::to_value(meta)? };
        let footer = serde_json::to_vec(&footer)?;
        self.put(&footer)?;
        self.put(&(footer.len() as u64).to_le_bytes())?;
        self.put(&MAGIC)?;
        self.file.finish()?;
        Ok(())
    }
}

/// A file of arrays, checked.
#[derive(Debug)]
pub struct SectionReader {
    file: Arc<File>,
    path: PathBuf,
    footer: Footer,
}

/// An array in a file.
#[derive(Debug, Clone)]
pub struct FileArray {
    /// The file.
    pub file: Arc<File>,
    /// Where its first byte lies.
    pub start: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

impl SectionReader {
    /// Opens the file at `path`, which must be `mark`'s; every byte of it is checked.
    pub fn open(path: &Path, mark: &Mark) -> Result<Self> {
        let this = Self::open_footer(path, mark)?;
        this.check().with_context(|| format!("run its {} again ({})", mark.kind, path.display()))?;
        Ok(this)
    }

    /// Opens the file at `path`, which must be `mark`'s and as long as it says; the arrays' bytes are not read.
    fn open_footer(path: &Path, mark: &Mark) -> Result<Self> {
        let again = || format!("run its {} again ({})", mark.kind, path.display());
        let reading = || format!("could not read ({})", path.display());
        let file = File::open(path).with_context(reading)?;
        let len = file.metadata().with_context(reading)?.len();
        let mut end = [0; END_BYTES as usize];
        let footer_end =
            len.checked_sub(END_BYTES).with_context(|| format!("not a whole file: {}", again()))?;
        file.read_exact_at(&mut end, footer_end).with_context(reading)?;
        let (footer_len, magic) = end.split_at(8);
        ensure!(magic == MAGIC, "not a file of this program, or cut off: {}", again());
        let footer_len = u64::from_le_bytes(footer_len.try_into()?);
        let start = footer_end.checked_sub(footer_len).filter(|_| footer_len <= MAX_FOOTER_BYTES);
        let start = start.with_context(|| format!("not a whole file: {}", again()))?;
        let mut footer = vec![0; footer_len as usize];
        file.read_exact_at(&mut footer, start).with_context(reading)?;
        let footer: Footer = serde_json::from_slice(&footer).with_context(again)?;
        if footer.mark.plan != mark.plan {
            bail!("it belongs to another plan: {}", again());
        }
        ensure!(footer.mark == *mark, "it is {} {}: {}", footer.mark.kind, footer.mark.name, again());
        let inside = |s: &Section| s.start.checked_add(s.bytes).is_some_and(|end| end <= start);
        ensure!(footer.sections.values().all(inside), "its arrays lie outside of it: {}", again());
        Ok(Self { file: Arc::new(file), path: path.to_owned(), footer })
    }

    fn check(&self) -> Result<()> {
        let mut bytes = vec![0; AT_ONCE];
        for (name, section) in &self.footer.sections {
            let mut hash = crc32fast::Hasher::new();
            let mut at = section.start;
            while at < section.start + section.bytes {
                interrupt::check()?;
                let n = (section.start + section.bytes - at).min(AT_ONCE as u64) as usize;
                self.file.read_exact_at(&mut bytes[..n], at)?;
                hash.update(&bytes[..n]);
                at += n as u64;
            }
            ensure!(hash.finalize() == section.crc32, "the array {name} is damaged");
        }
        Ok(())
    }

    /// What the arrays mean.
    pub fn meta<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.footer.meta).with_context(|| format!("could not read ({})", self.path.display()))
    }

    /// Where the array `name` lies.
    pub fn array(&self, name: &str) -> Result<FileArray> {
        let section = self.footer.sections.get(name);
        let section = section.with_context(|| format!("no array {name} ({})", self.path.display()))?;
        Ok(FileArray { file: Arc::clone(&self.file), start: section.start, bytes: section.bytes })
    }

    /// Reads the array `name`.
    pub fn read<T: Pod>(&self, name: &str) -> Result<Vec<T>> {
        let array = self.array(name)?;
        let width = size_of::<T>() as u64;
        ensure!(array.bytes.is_multiple_of(width), "the array {name} is cut off ({})", self.path.display());
        let mut values = vec![T::zeroed(); (array.bytes / width) as usize];
        let reading = || format!("could not read ({})", self.path.display());
        array.file.read_exact_at(bytemuck::cast_slice_mut(&mut values), array.start).with_context(reading)?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str) -> Mark {
        Mark { kind: "shard".into(), name: name.into(), plan: "p".into() }
    }

    fn written(path: &Path) -> Vec<u8> {
        let mut writer = SectionWriter::create(path).unwrap();
        writer.write_all("bytes", &[1u8, 2, 3]).unwrap();
        writer.write("numbers", [Ok(vec![4u64]), Ok(vec![5, 6])]).unwrap();
        writer.finish(mark("0"), &7).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn arrays_come_back_as_they_were() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0");
        written(&path);
        let reader = SectionReader::open(&path, &mark("0")).unwrap();
        assert_eq!(reader.read::<u8>("bytes").unwrap(), [1, 2, 3]);
        assert_eq!(reader.read::<u64>("numbers").unwrap(), [4, 5, 6]);
        assert_eq!(reader.meta::<u8>().unwrap(), 7);
        assert!(reader.read::<u64>("others").is_err());
    }

    #[test]
    fn every_prefix_every_changed_byte_and_the_file_of_another_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0");
        let bytes = written(&path);
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            SectionReader::open(&path, &mark("0")).is_err()
        };
        assert!((0..bytes.len()).all(|n| refused(&bytes[..n])));
        let padding = 3..8;
        for i in (0..bytes.len()).filter(|i| !padding.contains(i)) {
            let mut changed = bytes.clone();
            changed[i] ^= 1;
            // The footer says nothing of itself: another value in it is found where it is used.
            let in_footer = i >= 32;
            assert!(refused(&changed) || in_footer, "byte {i}");
        }
        std::fs::write(&path, &bytes).unwrap();
        let other = Mark { plan: "q".into(), ..mark("0") };
        let said = format!("{:#}", SectionReader::open(&path, &other).unwrap_err());
        assert!(said.starts_with("it belongs to another plan: run its shard again ("), "{said}");
        let said = format!("{:#}", SectionReader::open(&path, &mark("1")).unwrap_err());
        assert!(said.starts_with("it is shard 0: run its shard again ("), "{said}");
    }
}
