//! Causal self-attention, with grouped heads, norms of queries and keys, windows, soft-caps and sinks.

use std::collections::HashMap;

use tch::{Device, Kind, TchError, Tensor};

use super::hooks::{Stop, Tap};
use super::layers::{Linear, Norm};
use super::rotary::Rotary;
use checkpoints::model::Site;
use checkpoints::model::{AttentionConfig, QkNorm, Rope};

/// A layer's attention and its norms.
#[derive(Debug)]
pub struct Attention {
    /// Before; `None` where the family normalises only after.
    pub norm: Option<Norm>,
    /// `q_proj`, `k_proj` and `v_proj` in one map: `[(n_heads + 2 n_kv_heads) * d_head, d_model]`.
    pub qkv_proj: Linear,
    /// Of queries and of keys, `[d_head]` or all heads' widths.
    pub qk_norms: Option<[Norm; 2]>,
    /// `[n_heads]`.
    pub sinks: Option<Tensor>,
    /// `[d_model, n_heads * d_head]`.
    pub o_proj: Linear,
    /// After, before the result is added.
    pub post_norm: Option<Norm>,
    pub heads: Heads,
    pub config: AttentionConfig,
}

/// How many heads there are, and how wide.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the config's names")]
pub struct Heads {
    pub n_heads: i64,
    pub n_kv_heads: i64,
    pub d_head: i64,
}

impl Attention {
    /// - `resid`: `[batch, pos, d_model]`
    /// - returns what is added to it, `[batch, pos, d_model]`
    pub fn forward(&self, tap: &mut Tap<'_>, positions: &Positions, resid: &Tensor) -> Result<Tensor, Stop> {
        let Heads { n_heads, n_kv_heads, d_head } = self.heads;
        let x = tap.norm(self.norm.as_ref(), Site::Ln1Normalized, resid)?;
        let qkv = self.qkv_proj.forward(&x)?; // [batch, pos, (n_heads + 2 n_kv_heads) * d_head]
        let (d_q, d_kv) = (n_heads * d_head, n_kv_heads * d_head);
        let q = tap.at(Site::Q, qkv.f_narrow(-1, 0, d_q)?)?;
        let k = tap.at(Site::K, qkv.f_narrow(-1, d_q, d_kv)?)?;
        let v = tap.at(Site::V, qkv.f_narrow(-1, d_q + d_kv, d_kv)?)?;
        let (mut q, mut k) = (self.heads(&q, n_heads, 0)?, self.heads(&k, n_kv_heads, 1)?);
        let v = split(&v, n_kv_heads)?; // [batch, kv_head, pos, d_head]
        if let Some(rotary) = positions.rotary(self.config.rope.as_ref()) {
            (q, k) = (rotary.rotate(&q)?, rotary.rotate(&k)?);
        }
        let z = self.mix(positions, &q, &k, &v)?;
        let z = tap.at(Site::Z, z)?; // [batch, pos, n_heads * d_head]
        let attn_out = self.o_proj.forward(&z)?; // [batch, pos, d_model]
        let mut attn_out = tap.at(Site::AttnModuleOut, attn_out)?;
        if let Some(norm) = &self.post_norm {
            attn_out = norm.forward(&attn_out)?;
        }
        tap.at(Site::AttnOut, attn_out)
    }

    /// Queries (`which` 0) or keys (1), normalised and by head: `[batch, head, pos, d_head]`.
    fn heads(&self, x: &Tensor, n: i64, which: usize) -> Result<Tensor, TchError> {
        let norm = self.qk_norms.as_ref().map(|norms| &norms[which]);
        match (norm, self.config.qk_norm) {
            (Some(norm), QkNorm::Whole) => split(&norm.forward(x)?, n),
            (Some(norm), _) => norm.forward(&split(x, n)?),
            (None, _) => split(x, n),
        }
    }

    /// Mixes values by scores.
    ///
    /// - `q`: `[batch, head, pos, d_head]`
    /// - `k`, `v`: `[batch, kv_head, pos, d_head]`
    /// - returns `[batch, pos, head * d_head]`
    ///
    /// libtorch's fused kernel where no soft-cap is asked for.
    fn mix(&self, positions: &Positions, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
        let n_heads = self.heads.n_heads;
        let (k, v) = (repeat(k, n_heads)?, repeat(v, n_heads)?); // [batch, head, pos, d_head]
        let visible = positions.visible(self.config.window); // [pos, pos]
        let scale = self.config.scale;
        let fused = |k: &Tensor, v: &Tensor, mask: Option<&Tensor>| {
            Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, mask.is_none(), scale, false)
        };
        let z = match (self.config.soft_cap, &self.sinks) {
            (None, None) => fused(&k, &v, visible)?,
            (Some(cap), None) => {
                let scores = q.f_matmul(&k.f_transpose(-2, -1)?)?; // [batch, head, pos, pos]
                let scores = scores.f_to_kind(Kind::Float)?.f_mul_scalar(scale)?;
                let scores = scores.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?;
                let hidden = hidden(visible)?;
                let pattern = scores.f_masked_fill(&hidden, f64::NEG_INFINITY)?.f_softmax(-1, Kind::Float)?;
                pattern.f_to_kind(v.kind())?.f_matmul(&v)? // [batch, head, pos, d_head]
            }
            (_, Some(sinks)) => {
                // One more key, of score `sink` for every query and of value 0: attending to nothing.
                let (k, v) = (k.f_constant_pad_nd([0, 0, 0, 1])?, v.f_constant_pad_nd([0, 0, 0, 1])?);
                let hidden = hidden(visible)?;
                let bias = hidden.f_zeros_like()?.f_to_kind(q.kind())?;
                let bias = bias.f_masked_fill(&hidden, f64::NEG_INFINITY)?; // [pos, pos]
                let n_pos = bias.size()[0];
                let bias = bias.f_unsqueeze(0)?.f_expand([n_heads, n_pos, n_pos], false)?;
                let sinks = sinks.f_reshape([n_heads, 1, 1])?.f_expand([n_heads, n_pos, 1], false)?;
                let bias = Tensor::f_cat(&[&bias, &sinks], -1)?.f_unsqueeze(0)?; // [1, head, pos, pos + 1]
                fused(&k, &v, Some(&bias))?
            }
        };
        z.f_transpose(1, 2)?.f_flatten(-2, -1) // [batch, pos, head * d_head]
    }
}

/// What depends on positions alone, made once for a pass: rotations and what each query may see.
#[derive(Debug)]
pub struct Positions {
    n_pos: i64,
    rotaries: Vec<(Rope, Rotary)>,
    /// `[pos, pos]`, bool: itself and those before, in a window that is shorter than the rows or in all of them; where
    /// the fused kernel does not know it by itself.
    masks: HashMap<Option<i64>, Tensor>,
}

impl Positions {
    pub fn new<'a>(
        layers: impl Iterator<Item = &'a AttentionConfig>,
        n_pos: i64,
        kind: Kind,
        device: Device,
    ) -> Result<Self, TchError> {
        let mut made = Self { n_pos, rotaries: Vec::new(), masks: HashMap::new() };
        for layer in layers {
            if let Some(rope) = &layer.rope
                && made.rotary(Some(rope)).is_none()
            {
                made.rotaries.push((rope.clone(), Rotary::new(rope, n_pos, kind, device)?));
            }
            let window = layer.window.filter(|window| *window < n_pos);
            let needed = window.is_some() || layer.soft_cap.is_some() || layer.sinks;
            if needed && !made.masks.contains_key(&window) {
                let all = Tensor::f_ones([n_pos, n_pos], (Kind::Bool, device))?;
                let mask = all.f_tril(0)?;
                let mask = match window {
                    Some(window) => mask.f_logical_and(&all.f_triu(1 - window)?)?,
                    None => mask,
                };
                made.masks.insert(window, mask);
            }
        }
        Ok(made)
    }

    fn rotary(&self, rope: Option<&Rope>) -> Option<&Rotary> {
        self.rotaries.iter().find(|(own, _)| Some(own) == rope).map(|(_, rotary)| rotary)
    }

    /// Which keys each query may see, `[pos, pos]`; `None` where it is all before and no mask was needed.
    fn visible(&self, window: Option<i64>) -> Option<&Tensor> {
        self.masks.get(&window.filter(|window| *window < self.n_pos))
    }
}

/// The keys that a query may not see, `[pos, pos]`.
fn hidden(visible: Option<&Tensor>) -> Result<Tensor, TchError> {
    let missing = || TchError::Shape("attention of this kind without its mask".to_owned());
    visible.ok_or_else(missing)?.f_logical_not()
}

/// `[batch, pos, n * d_head]` -> `[batch, head, pos, d_head]`.
fn split(x: &Tensor, n: i64) -> Result<Tensor, TchError> {
    x.f_unflatten(-1, [n, -1])?.f_transpose(1, 2)
}

/// `[batch, kv_head, pos, d_head]` -> `[batch, head, pos, d_head]`, each key head for its group of heads.
fn repeat(x: &Tensor, n_heads: i64) -> Result<Tensor, TchError> {
    let [batch, n_kv, n_pos, d_head] = x.size()[..] else { return Ok(x.shallow_clone()) };
    if n_kv == n_heads {
        return Ok(x.shallow_clone());
    }
    let groups = [batch, n_kv, n_heads / n_kv, n_pos, d_head];
    x.f_unsqueeze(2)?.f_expand(groups, false)?.f_reshape([batch, n_heads, n_pos, d_head])
}
