//! The device that a run computes on, opened, with what depends on it.

use anyhow::Result;
use tch::{Device, Kind};

use crate::{
    backend::{self, Precision, parse_device},
    plan::Input,
};

/// Tokens in a batch by default on the CPU: large enough for full matrix products, small enough for the caches.
const BATCH_TOKENS: usize = 2048;
/// Arrays of the model's width that a layer has at once: an estimate for MLPs of four times the width.
const WIDTHS: i64 = 24;

/// A device, and how it computes.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The device.
    pub device: Device,
    /// How the forward pass computes.
    pub precision: Precision,
    /// Number type of the product with the SAEs' encoders.
    pub sae_kind: Kind,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// What should be known of the number type, where it is not the one asked for.
    pub note: Option<String>,
}

impl Machine {
    /// The kind of the device: `cpu` or `cuda`.
    pub fn device_name(&self) -> &'static str {
        if self.device == Device::Cpu { "cpu" } else { "cuda" }
    }

    /// Opens the device that `input` names.
    pub fn open(input: &Input) -> Result<Self> {
        let options = &input.machine;
        let device = parse_device(&options.device)?;
        let (dtype, note) = options.dtype.usable(device, options.force_dtype);
        let batch_rows = options.batch_rows.unwrap_or_else(|| {
            let token_bytes = 4 * (WIDTHS * input.model_config.d_model + 3 * input.sae_config.d_in) as usize;
            (backend::batch_tokens(device, token_bytes).unwrap_or(BATCH_TOKENS) / input.rule.seq_len).max(1)
        });
        let precision = Precision::new(dtype, device)?;
        Ok(Self { device, precision, sae_kind: options.sae_dtype.kind(), batch_rows, note })
    }
}
