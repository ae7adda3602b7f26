//! The experts of a mixture, in each layout that checkpoints have.

use tch::{Kind, Tensor};

use super::checkpoint::Checkpoint;
use crate::model::error::ModelError;
use crate::model::ffn::moe::Expert;
use crate::model::layers::Linear;
use checkpoints::model::{Experts, MoeConfig};

/// Reads a layer's experts; `at` puts the layer before a name.
pub fn read(
    checkpoint: &Checkpoint,
    layout: Experts,
    at: &dyn Fn(&str) -> String,
    moe: MoeConfig,
    d_model: i64,
) -> Result<Vec<Expert>, ModelError> {
    let d_mlp = moe.d_mlp;
    match layout {
        Experts::Qwen if checkpoint.has(&at("mlp.experts.gate_up_proj")) => {
            let shape = [moe.n_experts, 2 * d_mlp, d_model];
            let axes = "[n_experts, 2 * d_mlp, d_model]";
            let both = checkpoint.tensor(&at("mlp.experts.gate_up_proj"), axes, &shape)?;
            let (axes, shape) = ("[n_experts, d_model, d_mlp]", [moe.n_experts, d_model, d_mlp]);
            let down = checkpoint.tensor(&at("mlp.experts.down_proj"), axes, &shape)?;
            (0..moe.n_experts)
                .map(|n| {
                    let both = Linear { weight: both.f_select(0, n)?, bias: None };
                    let down_proj = Linear { weight: down.f_select(0, n)?, bias: None };
                    Ok(Expert {
                        gate_proj: both.rows(0, d_mlp)?,
                        up_proj: both.rows(d_mlp, d_mlp)?,
                        down_proj,
                    })
                })
                .collect()
        }
        Experts::Qwen => (0..moe.n_experts)
            .map(|n| {
                let linear = |name: &str, d_out: i64, d_in: i64| -> Result<Linear, ModelError> {
                    let name = at(&format!("mlp.experts.{n}.{name}.weight"));
                    let weight = checkpoint.tensor(&name, "[d_out, d_in]", &[d_out, d_in])?;
                    Ok(Linear { weight, bias: None })
                };
                Ok(Expert {
                    gate_proj: linear("gate_proj", d_mlp, d_model)?,
                    up_proj: linear("up_proj", d_mlp, d_model)?,
                    down_proj: linear("down_proj", d_model, d_mlp)?,
                })
            })
            .collect(),
        Experts::GptOss => {
            let both = GptOssMap { name: at("mlp.experts.gate_up_proj"), d_out: 2 * d_mlp, d_in: d_model };
            let down = GptOssMap { name: at("mlp.experts.down_proj"), d_out: d_model, d_in: d_mlp };
            let (both, down) = (both.read(checkpoint, moe)?, down.read(checkpoint, moe)?);
            both.into_iter()
                .zip(down)
                .map(|(both, down_proj)| {
                    Ok(Expert { gate_proj: both.every_second(0)?, up_proj: both.every_second(1)?, down_proj })
                })
                .collect()
        }
    }
}

/// One map of all experts as gpt-oss stores it.
struct GptOssMap {
    name: String,
    d_out: i64,
    d_in: i64,
}

impl GptOssMap {
    /// Floats are `[n_experts, d_in, d_out]`; MXFP4 is `[n_experts, d_out, d_in / 32, 16]` bytes and
    /// `[n_experts, d_out, d_in / 32]` scales.
    fn read(&self, checkpoint: &Checkpoint, moe: MoeConfig) -> Result<Vec<Linear>, ModelError> {
        let Self { name, d_out, d_in } = self;
        let n = moe.n_experts;
        let bias = checkpoint.tensor(&format!("{name}_bias"), "[n_experts, d_out]", &[n, *d_out])?;
        let weight = if checkpoint.has(&format!("{name}_blocks")) {
            let n_blocks = d_in / MXFP4_BLOCK;
            let (axes, shape) = ("[n_experts, d_out, d_in / 32, 16]", [n, *d_out, n_blocks, MXFP4_BLOCK / 2]);
            let bytes = checkpoint.bytes(&format!("{name}_blocks"), axes, &shape)?;
            let (axes, shape) = ("[n_experts, d_out, d_in / 32]", [n, *d_out, n_blocks]);
            let scales = checkpoint.bytes(&format!("{name}_scales"), axes, &shape)?;
            PackedExperts { bytes, scales, like: bias.shallow_clone() }
        } else {
            let weight = checkpoint.tensor(name, "[n_experts, d_in, d_out]", &[n, *d_in, *d_out])?;
            return (0..n)
                .map(|n| {
                    let weight = weight.f_select(0, n)?.f_transpose(0, 1)?.f_contiguous()?; // [d_out, d_in]
                    Ok(Linear { weight, bias: Some(bias.f_select(0, n)?) })
                })
                .collect();
        };
        (0..n).map(|n| Ok(Linear { weight: weight.expert(n)?, bias: Some(bias.f_select(0, n)?) })).collect()
    }
}

/// Numbers that share a scale in MXFP4 (OCP Microscaling Formats 1.0).
const MXFP4_BLOCK: i64 = 32;
/// What the 16 codes of an e2m1 number stand for.
const E2M1: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];
/// The exponent that an e8m0 scale of 0 stands for.
const E8M0_BIAS: f64 = 127.0;

/// Two e2m1 numbers a byte, the first in its low half, and an e8m0 scale for every 32.
struct PackedExperts {
    /// `[n_experts, d_out, d_in / 32, 16]`, u8.
    bytes: Tensor,
    /// `[n_experts, d_out, d_in / 32]`, u8.
    scales: Tensor,
    /// Of the kind and on the device of what is made.
    like: Tensor,
}

impl PackedExperts {
    /// One expert's map, `[d_out, d_in]`.
    fn expert(&self, n: i64) -> Result<Tensor, ModelError> {
        let device = self.like.device();
        let bytes = self.bytes.f_select(0, n)?.f_to_device(device)?.f_to_kind(Kind::Int64)?; // [d_out, block, 16]
        let halves = [bytes.f_bitwise_and(15)?, bytes.f_floor_divide_scalar(16)?];
        let codes = Tensor::f_stack(&halves, -1)?.f_flatten(-2, -1)?; // [d_out, block, 32]
        let values = Tensor::f_from_slice(&E2M1)?.f_to_device(device)?.f_take(&codes)?; // [d_out, block, 32]
        let scales = self.scales.f_select(0, n)?.f_to_device(device)?.f_to_kind(Kind::Float)?; // [d_out, block]
        let scales = scales.f_sub_scalar(E8M0_BIAS)?.f_exp2()?.f_unsqueeze(-1)?;
        Ok(values.f_mul(&scales)?.f_flatten(-2, -1)?.f_to_kind(self.like.kind())?) // [d_out, d_in]
    }
}
