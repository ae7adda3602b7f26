//! Arrow's IPC format, as a stream or a file: a file is a stream between two marks.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use arrow_ipc::{reader::StreamReader, root_as_message};
use arrow_schema::Schema;

use super::Batches;
use crate::corpus::open;

/// What a file, and no stream, begins with.
const MAGIC: &[u8; 6] = b"ARROW1";
/// No schema or batch has a longer description.
const MAX_DESCRIPTION: u64 = 64 << 20;

/// The columns.
pub fn schema(path: &Path) -> Result<Schema, String> {
    Ok(open(path, None)?.schema().as_ref().clone())
}

/// Batches of one column.
pub fn batches(path: &Path, index: usize) -> Result<Batches, String> {
    let reader = open(path, Some(vec![index]))?;
    Ok(Box::new(reader.map(|batch| batch.map_err(|e| e.to_string()))))
}

fn open(path: &Path, columns: Option<Vec<usize>>) -> Result<StreamReader<BufReader<File>>, String> {
    let mut file = open::regular(path).map_err(|e| e.to_string())?;
    let len = file.metadata().map_err(|e| e.to_string())?.len();
    let start = begin(&mut file).map_err(|e| e.to_string())?;
    check_lengths(&mut file, start, len)?;
    file.seek(SeekFrom::Start(start)).map_err(|e| e.to_string())?;
    StreamReader::try_new(BufReader::new(file), columns).map_err(|e| e.to_string())
}

/// Where the stream begins: in a file after the mark and the zeros that align what follows.
fn begin(file: &mut File) -> std::io::Result<u64> {
    const MAX_ALIGNMENT: u64 = 512;
    let mut head = Vec::new();
    file.by_ref().take(MAX_ALIGNMENT + 8).read_to_end(&mut head)?;
    if !head.starts_with(MAGIC) {
        return Ok(0);
    }
    let zeros = head[MAGIC.len()..].iter().take_while(|byte| **byte == 0).count();
    // The first message begins at a multiple of 8, with a byte that is not zero.
    Ok((MAGIC.len() + zeros) as u64 / 8 * 8)
}

/// Walks over the messages: none may claim more bytes than the file has, because the library allocates what is claimed.
fn check_lengths(file: &mut File, start: u64, len: u64) -> Result<(), String> {
    let mut at = start;
    let truncated = |at: u64| format!("it is truncated: a message reaches to byte {at} of {len}");
    while at + 8 <= len {
        file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        let mut head = [0; 8];
        file.read_exact(&mut head).map_err(|e| e.to_string())?;
        let [a, b, c, d, e, f, g, h] = head;
        // Before 2019 the length stood first.
        let (first, second) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (n, begin) = if first == u32::MAX { (second, at + 8) } else { (first, at + 4) };
        let n = u64::from(n);
        if n == 0 {
            return Ok(());
        }
        if n > MAX_DESCRIPTION || begin + n > len {
            return Err(truncated(begin + n));
        }
        let mut description = vec![0; n as usize];
        file.seek(SeekFrom::Start(begin)).map_err(|e| e.to_string())?;
        file.read_exact(&mut description).map_err(|e| e.to_string())?;
        let message = root_as_message(&description).map_err(|e| format!("it is not Arrow: {e}"))?;
        let body = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
        at = (begin + n).saturating_add(body);
        if at > len {
            return Err(truncated(at));
        }
    }
    Ok(())
}
