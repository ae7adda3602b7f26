//! The generic decoder: embedding, blocks, and the hooks along the way.

use tch::{Kind, TchError, Tensor};

use super::attention::Attention;
use super::config::{Activation, ModelConfig, Positions};
use super::error::ModelError;
use super::hook_point::{HookPoint, Hooks, Site};
use super::layers::{Linear, Norm};
use super::rotary::Rotary;

/// Embedding and blocks; the [`Head`](super::Head) is apart.
#[derive(Debug)]
pub struct Decoder {
    /// `[d_vocab, d_model]`.
    pub embed: Tensor,
    /// `[n_ctx, d_model]`.
    pub pos_embed: Option<Tensor>,
    pub blocks: Vec<Block>,
}

/// One block.
#[derive(Debug)]
pub struct Block {
    pub ln1: Norm,
    /// Queries, keys and values in one map: `[(n_heads + 2 n_kv_heads) * d_head, d_model]`.
    pub qkv: Linear,
    /// `[d_model, n_heads * d_head]`.
    pub out: Linear,
    pub attention: Attention,
    /// After attention, before it is added.
    pub post_attn: Option<Norm>,
    pub mlp: Option<Mlp>,
}

/// A block's MLP and its norms.
#[derive(Debug)]
pub struct Mlp {
    pub ln2: Norm,
    /// `[d_mlp, d_model]`; in a gated MLP, the gate.
    pub up: Linear,
    /// `[d_mlp, d_model]`; the linear branch of a gated MLP.
    pub linear: Option<Linear>,
    pub activation: Activation,
    /// Over the neurons, in SoLU models.
    pub norm: Option<Norm>,
    /// `[d_model, d_mlp]`.
    pub down: Linear,
    /// After the MLP, before it is added.
    pub post: Option<Norm>,
}

/// Why a forward pass ended early.
enum Stop {
    Done,
    Error(ModelError),
}

impl From<TchError> for Stop {
    fn from(error: TchError) -> Self {
        Self::Error(error.into())
    }
}

/// A forward pass under way.
struct Pass<'a> {
    config: &'a ModelConfig,
    hooks: &'a mut dyn Hooks,
    rotary: Option<Rotary>,
    layer: i64,
}

impl Pass<'_> {
    fn wants(&self, site: Site) -> bool {
        self.hooks.wants(&HookPoint { layer: self.layer, site })
    }

    /// Shows an activation to the hooks, if they want it, and goes on with what they make of it.
    fn at(&mut self, site: Site, acts: Tensor) -> Result<Tensor, Stop> {
        let hook = HookPoint { layer: self.layer, site };
        if !self.hooks.wants(&hook) {
            return Ok(acts);
        }
        let replacement = self.hooks.visit(&hook, &acts);
        if self.hooks.done() {
            return Err(Stop::Done);
        }
        let Some(replacement) = replacement else { return Ok(acts) };
        let (got, expected) = (replacement.size(), acts.size());
        if got != expected {
            let hook = hook.to_string();
            return Err(Stop::Error(ModelError::Replacement { hook, got, expected }));
        }
        Ok(replacement.f_to_device(acts.device())?.f_to_kind(acts.kind())?)
    }

    fn norm(&mut self, norm: &Norm, site: Site, x: &Tensor) -> Result<Tensor, Stop> {
        if !self.wants(site) {
            return Ok(norm.forward(x)?);
        }
        let normalised = self.at(site, norm.normalise(x)?)?;
        Ok(norm.affine(&normalised)?)
    }
}

impl Decoder {
    /// `[batch, pos]` -> `[batch, pos, d_model]`.
    pub fn forward(
        &self,
        config: &ModelConfig,
        tokens: &Tensor,
        hooks: &mut dyn Hooks,
    ) -> Result<Tensor, ModelError> {
        let n_pos = check_tokens(config, tokens)?;
        let (kind, device) = (self.embed.kind(), self.embed.device());
        let rotary = match config.positions {
            Positions::Learned => None,
            Positions::Rotary { n_dims, theta, scaling } => {
                Some(Rotary::new(n_dims, theta, scaling, n_pos, kind, device)?)
            }
        };
        let mut pass = Pass { config, hooks, rotary, layer: 0 };
        let mut resid = match self.embed(&mut pass, tokens, n_pos) {
            Ok(resid) => resid,
            Err(Stop::Done) => return Ok(Tensor::f_embedding(&self.embed, tokens, -1, false, false)?),
            Err(Stop::Error(error)) => return Err(error),
        };
        for (layer, block) in self.blocks.iter().enumerate() {
            pass.layer = layer as i64;
            match block.forward(&mut pass, &resid) {
                Ok(next) => resid = next,
                Err(Stop::Done) => break,
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        Ok(resid)
    }

    fn embed(&self, pass: &mut Pass<'_>, tokens: &Tensor, n_pos: i64) -> Result<Tensor, Stop> {
        let mut embed = Tensor::f_embedding(&self.embed, tokens, -1, false, false)?; // [batch, pos, d_model]
        if let Some(scale) = pass.config.embed_scale {
            // Rounded to the weights' kind, as the family's own code does.
            let scale = Tensor::from(scale as f32).f_to_device(embed.device())?.f_to_kind(embed.kind())?;
            embed = embed.f_mul(&scale)?;
        }
        let embed = pass.at(Site::Embed, embed)?;
        let Some(pos_embed) = &self.pos_embed else { return Ok(embed) };
        let pos_embed = pos_embed.f_narrow(0, 0, n_pos)?; // [pos, d_model]
        let pos_embed = if pass.wants(Site::PosEmbed) {
            let each_row = pos_embed.f_expand_as(&embed)?; // [batch, pos, d_model]
            pass.at(Site::PosEmbed, each_row)?
        } else {
            pos_embed
        };
        Ok(embed.f_add(&pos_embed)?)
    }

    /// See [`Model::write_matrix`](super::Model::write_matrix).
    pub fn write_matrix(&self, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        let none = || ModelError::NoWriteMatrix { hook: hook.to_string() };
        if hook.site.is_residual() || hook.site == Site::MlpModuleOut {
            return Ok(None);
        }
        let block = self.blocks.get(hook.layer as usize).ok_or_else(none)?;
        let weight = match (hook.site, &block.mlp) {
            (Site::Z, _) => &block.out.weight,
            (Site::Post | Site::Pre, Some(mlp)) => &mlp.down.weight,
            _ => return Err(none()),
        };
        Ok(Some(weight.f_transpose(0, 1)?)) // [d_in, d_model]
    }

    /// See [`Model::value_bias`](super::Model::value_bias).
    pub fn value_bias(&self, config: &ModelConfig, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        let block = self.blocks.get(hook.layer as usize);
        let Some(bias) = block.and_then(|block| block.qkv.bias.as_ref()) else { return Ok(None) };
        let d_kv = config.n_kv_heads * config.d_head;
        let bias = bias.f_narrow(0, (config.n_heads + config.n_kv_heads) * config.d_head, d_kv)?;
        match hook.site {
            Site::V => Ok(Some(bias)), // [n_kv_heads * d_head]
            Site::Z => {
                let groups = [config.n_kv_heads, config.n_heads / config.n_kv_heads, config.d_head];
                let bias = bias.f_reshape([config.n_kv_heads, 1, config.d_head])?;
                Ok(Some(bias.f_expand(groups, false)?.f_reshape([config.n_heads * config.d_head])?))
            }
            _ => Ok(None),
        }
    }
}

impl Block {
    /// `[batch, pos, d_model]` both ways.
    fn forward(&self, pass: &mut Pass<'_>, resid: &Tensor) -> Result<Tensor, Stop> {
        let resid_pre = pass.at(Site::ResidPre, resid.shallow_clone())?;
        let attn_out = self.attend(pass, &resid_pre)?;
        let after_attn = resid_pre.f_add(&attn_out)?;
        let Some(mlp) = &self.mlp else { return pass.at(Site::ResidPost, after_attn) };
        let resid_post = if pass.config.parallel {
            after_attn.f_add(&mlp.forward(pass, &resid_pre)?)?
        } else {
            let resid_mid = pass.at(Site::ResidMid, after_attn)?;
            resid_mid.f_add(&mlp.forward(pass, &resid_mid)?)?
        };
        pass.at(Site::ResidPost, resid_post)
    }

    fn attend(&self, pass: &mut Pass<'_>, resid_pre: &Tensor) -> Result<Tensor, Stop> {
        let (n_heads, n_kv, d_head) = (pass.config.n_heads, pass.config.n_kv_heads, pass.config.d_head);
        let x = pass.norm(&self.ln1, Site::Ln1Normalized, resid_pre)?;
        let qkv = self.qkv.forward(&x)?; // [batch, pos, (n_heads + 2 n_kv) * d_head]
        let (d_q, d_kv) = (n_heads * d_head, n_kv * d_head);
        let q = pass.at(Site::Q, qkv.f_narrow(-1, 0, d_q)?)?;
        let k = pass.at(Site::K, qkv.f_narrow(-1, d_q, d_kv)?)?;
        let v = pass.at(Site::V, qkv.f_narrow(-1, d_q + d_kv, d_kv)?)?;
        let heads = |x: &Tensor, n: i64| -> Result<Tensor, TchError> {
            let [batch, n_pos, _] = x.size()[..] else { return Ok(x.shallow_clone()) };
            x.f_reshape([batch, n_pos, n, d_head])?.f_transpose(1, 2) // [batch, head, pos, d_head]
        };
        let (mut q, mut k, v) = (heads(&q, n_heads)?, heads(&k, n_kv)?, heads(&v, n_kv)?);
        if let Some(rotary) = &pass.rotary {
            (q, k) = (rotary.rotate(&q)?, rotary.rotate(&k)?);
        }
        let z = pass.at(Site::Z, self.attention.mix(&q, &k, &v)?)?; // [batch, pos, n_heads * d_head]
        let mut attn_out = self.out.forward(&z)?; // [batch, pos, d_model]
        if let Some(norm) = &self.post_attn {
            attn_out = norm.forward(&attn_out)?;
        }
        pass.at(Site::AttnOut, attn_out)
    }
}

impl Mlp {
    /// `[batch, pos, d_model]` both ways.
    fn forward(&self, pass: &mut Pass<'_>, resid: &Tensor) -> Result<Tensor, Stop> {
        let x = pass.norm(&self.ln2, Site::Ln2Normalized, resid)?;
        let x = pass.at(Site::MlpIn, x)?;
        let pre = pass.at(Site::Pre, self.up.forward(&x)?)?; // [batch, pos, d_mlp]
        let mut post = self.activation.apply(&pre)?;
        if let Some(linear) = &self.linear {
            post = post.f_mul(&pass.at(Site::PreLinear, linear.forward(&x)?)?)?;
        }
        if let Some(norm) = &self.norm {
            post = norm.forward(&post)?;
        }
        let post = pass.at(Site::Post, post)?;
        let out = self.down.forward(&post)?; // [batch, pos, d_model]
        let mut out = pass.at(Site::MlpModuleOut, out)?;
        if let Some(norm) = &self.post {
            out = norm.forward(&out)?;
        }
        pass.at(Site::MlpOut, out)
    }
}

/// Checks a batch of tokens and returns its row length.
fn check_tokens(config: &ModelConfig, tokens: &Tensor) -> Result<i64, ModelError> {
    let size = tokens.size();
    let [batch, n_pos] = size[..] else {
        return Err(ModelError::Tokens(format!("tokens have shape {size:?}, expected [batch, pos]")));
    };
    if tokens.kind() != Kind::Int64 || batch == 0 || n_pos == 0 {
        let kind = tokens.kind();
        return Err(ModelError::Tokens(format!("tokens are {kind:?} {size:?}, expected Int64, not empty")));
    }
    if n_pos > config.n_ctx {
        return Err(ModelError::Tokens(format!(
            "rows have {n_pos} tokens, {} takes at most {}: try --seq-len {}",
            config.name, config.n_ctx, config.n_ctx
        )));
    }
    let (low, high) = (tokens.f_min()?.f_int64_value(&[])?, tokens.f_max()?.f_int64_value(&[])?);
    if low < 0 || high >= config.d_vocab {
        return Err(ModelError::Tokens(format!(
            "token ids run from {low} to {high}, {} has 0 to {}: is this another model's tokenizer?",
            config.name,
            config.d_vocab - 1
        )));
    }
    Ok(n_pos)
}
