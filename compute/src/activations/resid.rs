//! The last residuals of all positions, which effects read again: in memory, or in a temporary file once large.

use std::{fs::File, io, io::Write, os::unix::fs::FileExt};

/// Up to this size residuals stay in memory.
const MAX_MEMORY_BYTES: usize = 2 << 30;

/// Vectors of the residual stream before the final norm, one a position.
#[derive(Debug)]
pub struct Residuals {
    d_model: usize,
    memory: Vec<f32>,
    /// Everything, once it outgrew memory. The file has no name, so nothing is left whatever happens.
    spilled: Option<File>,
}

impl Residuals {
    /// No residuals yet, of width `d_model`.
    pub fn new(d_model: usize) -> Self {
        Self { d_model, memory: Vec::new(), spilled: None }
    }

    /// Appends residuals, `[n_pos, d_model]` row-major.
    pub fn push(&mut self, resid: &[f32]) -> io::Result<()> {
        if self.spilled.is_none() && (self.memory.len() + resid.len()) * 4 <= MAX_MEMORY_BYTES {
            self.memory.extend_from_slice(resid);
            return Ok(());
        }
        if self.spilled.is_none() {
            let mut file = tempfile::tempfile()?;
            write_floats(&mut file, &std::mem::take(&mut self.memory))?;
            self.spilled = Some(file);
        }
        self.spilled.as_mut().map_or(Ok(()), |file| write_floats(file, resid))
    }

    /// The residuals of `positions`, one after another.
    pub fn read(&self, positions: &[u32]) -> io::Result<Vec<f32>> {
        let mut resid = Vec::with_capacity(positions.len() * self.d_model);
        let mut bytes = vec![0u8; self.d_model * 4];
        for &position in positions {
            let start = position as usize * self.d_model;
            if let Some(file) = &self.spilled {
                file.read_exact_at(&mut bytes, start as u64 * 4)?;
                resid.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            } else {
                resid.extend_from_slice(&self.memory[start..start + self.d_model]);
            }
        }
        Ok(resid)
    }
}

fn write_floats(file: &mut File, floats: &[f32]) -> io::Result<()> {
    for part in floats.chunks(1 << 18) {
        let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
        file.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spilled_residuals_read_back_bit_for_bit() {
        let mut kept = Residuals::new(3);
        let values: Vec<f32> = (0..30).map(|i| (i as f32).sin()).collect();
        kept.push(&values[..12]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        write_floats(&mut file, &std::mem::take(&mut kept.memory)).unwrap();
        kept.spilled = Some(file);
        kept.push(&values[12..]).unwrap();
        assert_eq!(kept.read(&[9, 0, 4]).unwrap(), [&values[27..], &values[..3], &values[12..15]].concat());
    }
}
