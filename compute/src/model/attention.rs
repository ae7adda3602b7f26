//! Causal self-attention, with grouped heads, windows and soft-caps.

use tch::{Kind, TchError, Tensor};

use super::config::ModelConfig;

/// How one block's attention differs from another's.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    pub scale: f64,
    pub soft_cap: Option<f64>,
    pub window: Option<i64>,
}

impl Attention {
    pub fn of(config: &ModelConfig, layer: usize) -> Self {
        Self {
            scale: config.attn_scales.get(layer).copied().unwrap_or(1.0),
            soft_cap: config.attn_soft_cap,
            window: config.windows.get(layer).copied().flatten(),
        }
    }

    /// Mixes values by scores.
    ///
    /// - `q`: `[batch, head, pos, d_head]`
    /// - `k`, `v`: `[batch, kv_head, pos, d_head]`
    /// - returns `[batch, pos, head * d_head]`
    ///
    /// libtorch's fused kernel where no soft-cap is asked for.
    pub fn mix(self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
        let n_pos = q.size()[2];
        let n_heads = q.size()[1];
        let (k, v) = (repeat(k, n_heads)?, repeat(v, n_heads)?); // [batch, head, pos, d_head]
        let windowed = self.window.filter(|window| *window < n_pos);
        let z = match (self.soft_cap, windowed) {
            (None, None) => Tensor::f_scaled_dot_product_attention(
                q,
                &k,
                &v,
                None::<&Tensor>,
                0.0,
                true,
                self.scale,
                false,
            )?,
            (None, Some(_)) => {
                let mask = reachable(q, n_pos, windowed)?;
                Tensor::f_scaled_dot_product_attention(q, &k, &v, Some(&mask), 0.0, false, self.scale, false)?
            }
            (Some(cap), _) => {
                let scores = q.f_matmul(&k.f_transpose(-2, -1)?)?; // [batch, head, pos, pos]
                let scores = scores.f_to_kind(Kind::Float)?.f_mul_scalar(self.scale)?;
                let scores = scores.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?;
                let hidden = reachable(q, n_pos, windowed)?.f_logical_not()?;
                let pattern = scores.f_masked_fill(&hidden, f64::NEG_INFINITY)?.f_softmax(-1, Kind::Float)?;
                pattern.f_to_kind(v.kind())?.f_matmul(&v)? // [batch, head, pos, d_head]
            }
        };
        let [batch, _, _, d_head] = z.size()[..] else { return Ok(z) };
        z.f_transpose(1, 2)?.f_reshape([batch, n_pos, n_heads * d_head]) // [batch, pos, head * d_head]
    }
}

/// Which keys each query may see: itself and those before it, at most `window` in all. `[pos, pos]`, bool.
fn reachable(like: &Tensor, n_pos: i64, window: Option<i64>) -> Result<Tensor, TchError> {
    let causal = Tensor::f_ones([n_pos, n_pos], (Kind::Bool, like.device()))?.f_tril(0)?;
    match window {
        None => Ok(causal),
        Some(window) => causal.f_logical_and(&causal.f_ones_like()?.f_triu(1 - window)?),
    }
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
