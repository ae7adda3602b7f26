//! From a checkpoint folder to a decoder: one reader for all families whose names are in the table, one for
//! TransformerLens's own layout.

mod checkpoint;
mod experts;
mod transformer_lens;

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::attention::{Attention, Heads};
use super::decoder::{Block, Decoder};
use super::error::ModelError;
use super::ffn::mlp::Mlp;
use super::ffn::moe::Moe;
use super::ffn::{FeedForward, Net};
use super::head::Head;
use super::layers::{Linear, Norm};
use checkpoint::Checkpoint;
use checkpoints::model::{
    Ffn, LayerConfig, MlpConfig, MlpNames, ModelConfig, Names, NormKind, Parallel, QkNorm, Qkv,
};

/// Reads a folder's weights.
pub fn load(
    folder: &Path,
    config: &ModelConfig,
    device: Device,
    kind: Kind,
) -> Result<(Decoder, Head), ModelError> {
    let (decoder, norm, unembed) = match config.family.names() {
        None => transformer_lens::load(folder, config, device, kind)?,
        Some(names) => {
            let open = Checkpoint::open(folder, names.prefixes, names.embed, device, kind)?;
            Reader { checkpoint: open, config, names }.read()?
        }
    };
    let head = Head::new(&norm, &unembed, config.logit_soft_cap)?;
    Ok((decoder, head))
}

/// The blocks, the final norm, the unembedding.
type Parts = (Decoder, Norm, Linear);

struct Reader<'a> {
    checkpoint: Checkpoint,
    config: &'a ModelConfig,
    names: &'a Names,
}

impl Reader<'_> {
    fn read(&self) -> Result<Parts, ModelError> {
        let (config, names) = (self.config, self.names);
        let (d_model, d_vocab) = (config.d_model, config.d_vocab);
        let embed = format!("{}.weight", names.embed);
        let embed = self.checkpoint.tensor(&embed, "[d_vocab, d_model]", &[d_vocab, d_model])?;
        let pos_embed = match config.learned_positions {
            None => None,
            Some(learned) => {
                let shape = [config.n_ctx + learned.offset, d_model];
                let name = format!("{}.weight", names.pos_embed);
                Some(self.checkpoint.tensor(&name, "[n_ctx, d_model]", &shape)?)
            }
        };
        let blocks = (0..).zip(&config.layers).map(|(n, layer)| self.block(n, layer));
        let blocks = blocks.collect::<Result<_, _>>()?;
        let norm = self.norm(names.norm, d_model, config.final_norm)?;
        let unembed = if config.tied {
            Linear { weight: embed.shallow_clone(), bias: self.unembed_bias()? }
        } else {
            let name = format!("{}.weight", names.unembed);
            let weight = self.checkpoint.outside(&name, "[d_vocab, d_model]", &[d_vocab, d_model])?;
            Linear { weight, bias: self.unembed_bias()? }
        };
        self.checkpoint.refuse_unread(names.layers)?;
        Ok((Decoder { embed, pos_embed, blocks }, norm, unembed))
    }

    fn unembed_bias(&self) -> Result<Option<Tensor>, ModelError> {
        let name = format!("{}.bias", self.names.unembed);
        let bias = self.config.biases.unembed;
        bias.then(|| self.checkpoint.outside(&name, "[d_vocab]", &[self.config.d_vocab])).transpose()
    }

    fn block(&self, n: i64, layer: &LayerConfig) -> Result<Block, ModelError> {
        let at = |name: &str| format!("{}.{n}.{name}", self.names.layers);
        let ffn = match layer.ffn {
            Ffn::None => None,
            Ffn::Mlp(mlp) => Some(self.feed_forward(&at, Net::Mlp(self.mlp(&at, mlp)?))?),
            Ffn::Moe(moe) => {
                let (d_model, biased) = (self.config.d_model, self.config.biases.mlp);
                let router = self.linear(&at(self.names.router), moe.n_experts, d_model, biased)?;
                let experts = experts::read(&self.checkpoint, self.names.experts, &at, moe, d_model)?;
                Some(self.feed_forward(&at, Net::Moe(Moe { router, experts, config: moe }))?)
            }
        };
        Ok(Block { attention: self.attention(&at, layer)?, ffn })
    }

    fn attention(&self, at: &dyn Fn(&str) -> String, layer: &LayerConfig) -> Result<Attention, ModelError> {
        let (config, names) = (self.config, self.names);
        let heads = Heads { n_heads: config.n_heads, n_kv_heads: config.n_kv_heads, d_head: config.d_head };
        let (d_model, d_q, d_kv) =
            (config.d_model, heads.n_heads * heads.d_head, heads.n_kv_heads * heads.d_head);
        let qk_widths = match layer.attention.qk_norm {
            QkNorm::None => None,
            QkNorm::Head => Some([config.d_head; 2]),
            QkNorm::Whole => Some([d_q, d_kv]),
        };
        let qk_norms = match qk_widths {
            None => None,
            Some([q, k]) => Some([
                self.norm(&at(names.qk_norms[0]), q, config.norm)?,
                self.norm(&at(names.qk_norms[1]), k, config.norm)?,
            ]),
        };
        let sinks = layer.attention.sinks;
        let sinks = sinks.then(|| self.checkpoint.tensor(&at(names.sinks), "[n_heads]", &[config.n_heads]));
        Ok(Attention {
            norm: self.norm_if(config.norm_order.before(), &at(names.attn_norm))?,
            qkv_proj: self.qkv(at, heads)?,
            qk_norms,
            sinks: sinks.transpose()?,
            o_proj: self.linear(&at(names.o), d_model, d_q, config.biases.o)?,
            post_norm: self.norm_if(config.norm_order.after(), &at(names.attn_post_norm))?,
            heads,
            config: layer.attention.clone(),
        })
    }

    fn qkv(&self, at: &dyn Fn(&str) -> String, heads: Heads) -> Result<Linear, ModelError> {
        let Heads { n_heads, n_kv_heads, d_head } = heads;
        let (d_model, biased) = (self.config.d_model, self.config.biases.qkv);
        let (d_q, d_kv) = (n_heads * d_head, n_kv_heads * d_head);
        match self.names.qkv {
            Qkv::Stacked(name) => self.linear(&at(name), d_q + 2 * d_kv, d_model, biased),
            Qkv::ByHead(name) => by_projection(&self.linear(&at(name), 3 * d_q, d_model, biased)?, heads),
            Qkv::Apart([q, k, v]) => {
                let maps = [(at(q), d_q), (at(k), d_kv), (at(v), d_kv)];
                let maps = maps.iter().map(|(name, d_out)| self.linear(name, *d_out, d_model, biased));
                let maps: Vec<Linear> = maps.collect::<Result<_, _>>()?;
                let weights: Vec<&Tensor> = maps.iter().map(|map| &map.weight).collect();
                let biases: Vec<&Tensor> = maps.iter().filter_map(|map| map.bias.as_ref()).collect();
                let bias = if biased { Some(Tensor::f_cat(&biases, 0)?) } else { None };
                Ok(Linear { weight: Tensor::f_cat(&weights, 0)?, bias }) // [d_q + 2 d_kv, d_model]
            }
        }
    }

    fn mlp(&self, at: &dyn Fn(&str) -> String, mlp: MlpConfig) -> Result<Mlp, ModelError> {
        let (d_model, d_mlp, biased) = (self.config.d_model, mlp.d_mlp, self.config.biases.mlp);
        let up = |name: &str| self.linear(&at(name), d_mlp, d_model, biased);
        let (gate_proj, up_proj, down) = match self.names.mlp {
            MlpNames::Plain([up_proj, down]) => (None, up(up_proj)?, down),
            MlpNames::Gated([gate, up_proj, down]) => (Some(up(gate)?), up(up_proj)?, down),
            MlpNames::Fused([both, down]) => {
                let both = self.linear(&at(both), 2 * d_mlp, d_model, biased)?;
                (Some(both.rows(0, d_mlp)?), both.rows(d_mlp, d_mlp)?, down)
            }
        };
        let down_proj = self.linear(&at(down), d_model, d_mlp, biased)?;
        Ok(Mlp { gate_proj, up_proj, activation: mlp.activation, norm: None, down_proj })
    }

    fn feed_forward(&self, at: &dyn Fn(&str) -> String, net: Net) -> Result<FeedForward, ModelError> {
        let (order, names) = (self.config.norm_order, self.names);
        let norm = match self.config.parallel {
            Parallel::OneNorm => names.attn_norm,
            _ => names.mlp_norm,
        };
        Ok(FeedForward {
            norm: self.norm_if(order.before(), &at(norm))?,
            net,
            post_norm: self.norm_if(order.after(), &at(names.mlp_post_norm))?,
        })
    }

    fn norm_if(&self, wanted: bool, name: &str) -> Result<Option<Norm>, ModelError> {
        wanted.then(|| self.norm(name, self.config.d_model, self.config.norm)).transpose()
    }

    fn norm(&self, name: &str, width: i64, kind: NormKind) -> Result<Norm, ModelError> {
        let weight = self.checkpoint.tensor(&format!("{name}.weight"), "[d_model]", &[width])?;
        let eps = self.config.eps;
        let (kind, weight, bias) = match kind {
            NormKind::Layer => {
                let bias = self.checkpoint.tensor(&format!("{name}.bias"), "[d_model]", &[width])?;
                (kind, weight, Some(bias))
            }
            NormKind::Rms => (kind, weight.f_to_kind(Kind::Float)?, None),
            NormKind::RmsPlusOne => (NormKind::Rms, weight.f_to_kind(Kind::Float)?.f_add_scalar(1.0)?, None),
        };
        Ok(Norm { kind, eps, weight: Some(weight), bias })
    }

    fn linear(&self, name: &str, d_out: i64, d_in: i64, biased: bool) -> Result<Linear, ModelError> {
        let weight = format!("{name}.weight");
        let weight = if self.names.transposed {
            self.checkpoint.tensor(&weight, "[d_in, d_out]", &[d_in, d_out])?.f_transpose(0, 1)?
        } else {
            self.checkpoint.tensor(&weight, "[d_out, d_in]", &[d_out, d_in])?
        };
        let bias = biased.then(|| self.checkpoint.tensor(&format!("{name}.bias"), "[d_out]", &[d_out]));
        Ok(Linear { weight, bias: bias.transpose()? })
    }
}

/// Rows lie as (head, q k v, dim) in the checkpoint, as (q k v, head, dim) in the decoder.
fn by_projection(qkv: &Linear, heads: Heads) -> Result<Linear, ModelError> {
    let by_head = [heads.n_heads, 3, heads.d_head];
    let order = |rows: &Tensor| -> Result<Tensor, ModelError> {
        Ok(rows.f_unflatten(0, by_head)?.f_transpose(0, 1)?.f_flatten(0, 2)?)
    };
    let bias = qkv.bias.as_ref().map(order).transpose()?;
    Ok(Linear { weight: order(&qkv.weight)?, bias })
}
