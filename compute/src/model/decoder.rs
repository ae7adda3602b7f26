//! The generic decoder: embedding, blocks, and the hooks along the way.

use tch::{Kind, Tensor};

use super::attention::{Attention, Positions};
use super::error::ModelError;
use super::ffn::{FeedForward, Net};
use super::hooks::{Hooks, Stop, Tap};
use checkpoints::model::{HookPoint, Site};
use checkpoints::model::{ModelConfig, Parallel};

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
    pub attention: Attention,
    pub ffn: Option<FeedForward>,
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
        let mut resid = Tensor::f_embedding(&self.embed, tokens, -1, false, false)?; // [batch, pos, d_model]
        let mut tap = Tap { hooks, layer: 0 };
        let done = self.embed(config, &mut tap, &mut resid);
        let done = done.and_then(|()| self.run(config, &mut tap, n_pos, &mut resid));
        end(done, resid)
    }

    /// See [`Model::forward_from`](super::Model::forward_from).
    pub fn forward_from(
        &self,
        config: &ModelConfig,
        layer: i64,
        resid: &Tensor,
        hooks: &mut dyn Hooks,
    ) -> Result<Tensor, ModelError> {
        let mut resid = resid.shallow_clone();
        let n_pos = resid.size()[1];
        let done = self.run(config, &mut Tap { hooks, layer }, n_pos, &mut resid);
        end(done, resid)
    }

    /// `resid`: the tokens' embeddings, then what the first block reads, `[batch, pos, d_model]`.
    fn embed(&self, config: &ModelConfig, tap: &mut Tap<'_>, resid: &mut Tensor) -> Result<(), Stop> {
        if let Some(scale) = config.embed_scale {
            // Rounded to the weights' kind, as the family's own code does.
            let scale = Tensor::from(scale as f32).f_to_device(resid.device())?.f_to_kind(resid.kind())?;
            *resid = resid.f_mul(&scale)?;
        }
        *resid = tap.at(Site::Embed, resid.shallow_clone())?;
        if let (Some(table), Some(learned)) = (&self.pos_embed, config.learned_positions) {
            let n_pos = resid.size()[1];
            let mut pos_embed = table.f_narrow(0, learned.offset, n_pos)?; // [pos, d_model]
            if tap.wants(Site::PosEmbed) {
                pos_embed = tap.at(Site::PosEmbed, pos_embed.f_expand_as(&*resid)?)?; // [batch, pos, d_model]
            }
            *resid = resid.f_add(&pos_embed)?;
        }
        Ok(())
    }

    /// Runs the blocks from the tap's layer on.
    ///
    /// `resid`: what that block reads, then the residual stream after each, `[batch, pos, d_model]`.
    fn run(
        &self,
        config: &ModelConfig,
        tap: &mut Tap<'_>,
        n_pos: i64,
        resid: &mut Tensor,
    ) -> Result<(), Stop> {
        let layers = config.layers.iter().map(|layer| &layer.attention);
        let positions = Positions::new(layers, n_pos, self.embed.kind(), self.embed.device())?;
        for (layer, block) in (0..).zip(&self.blocks).skip(tap.layer as usize) {
            tap.layer = layer;
            *resid = block.forward(config.parallel, tap, &positions, resid)?;
        }
        Ok(())
    }

    /// See [`Model::write_matrix`](super::Model::write_matrix).
    pub fn write_matrix(&self, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        let none = || ModelError::NoWriteMatrix { hook: hook.to_string() };
        if hook.site.is_residual() || matches!(hook.site, Site::AttnModuleOut | Site::MlpModuleOut) {
            return Ok(None);
        }
        let block = self.blocks.get(hook.layer as usize).ok_or_else(none)?;
        let weight = match (hook.site, &block.ffn) {
            (Site::Z, _) => &block.attention.o_proj.weight,
            (Site::Post | Site::Pre, Some(FeedForward { net: Net::Mlp(mlp), .. })) => &mlp.down_proj.weight,
            _ => return Err(none()),
        };
        Ok(Some(weight.f_transpose(0, 1)?)) // [d_in, d_model]
    }

    /// See [`Model::value_bias`](super::Model::value_bias).
    pub fn value_bias(&self, config: &ModelConfig, hook: &HookPoint) -> Result<Option<Tensor>, ModelError> {
        let block = self.blocks.get(hook.layer as usize);
        let Some(bias) = block.and_then(|block| block.attention.qkv_proj.bias.as_ref()) else {
            return Ok(None);
        };
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
    fn forward(
        &self,
        parallel: Parallel,
        tap: &mut Tap<'_>,
        positions: &Positions,
        resid: &Tensor,
    ) -> Result<Tensor, Stop> {
        let resid_pre = tap.at(Site::ResidPre, resid.shallow_clone())?;
        let attn_out = self.attention.forward(tap, positions, &resid_pre)?;
        let after_attn = resid_pre.f_add(&attn_out)?;
        let Some(ffn) = &self.ffn else { return tap.at(Site::ResidPost, after_attn) };
        let resid_post = if parallel == Parallel::No {
            let resid_mid = tap.at(Site::ResidMid, after_attn)?;
            resid_mid.f_add(&ffn.forward(tap, &resid_mid)?)?
        } else {
            after_attn.f_add(&ffn.forward(tap, &resid_pre)?)?
        };
        tap.at(Site::ResidPost, resid_post)
    }
}

/// A pass that ended, or was stopped, has come to `resid`.
fn end(done: Result<(), Stop>, resid: Tensor) -> Result<Tensor, ModelError> {
    match done {
        Ok(()) | Err(Stop::Done) => Ok(resid),
        Err(Stop::Error(error)) => Err(error),
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
