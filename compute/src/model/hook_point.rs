//! Where a model can be read: TransformerLens's names, parsed once.

use std::fmt;

use tch::Tensor;

/// Where in the model, or in a block, an activation is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// `hook_embed`: the token embedding, scaled where the family scales it.
    Embed,
    /// `hook_pos_embed`: the learned position embedding.
    PosEmbed,
    /// `hook_resid_pre`: the residual stream before a block.
    ResidPre,
    /// `ln1.hook_normalized`: the block's input, normalised, before gain and bias.
    Ln1Normalized,
    /// `attn.hook_q`: queries, before the rotation.
    Q,
    /// `attn.hook_k`: keys, before the rotation.
    K,
    /// `attn.hook_v`: values.
    V,
    /// `attn.hook_z`: the mixed values, heads side by side.
    Z,
    /// `hook_attn_out`: what attention adds to the residual stream.
    AttnOut,
    /// `hook_resid_mid`: the residual stream between attention and MLP.
    ResidMid,
    /// `ln2.hook_normalized`: the MLP's input, normalised, before gain and bias.
    Ln2Normalized,
    /// `mlp.hook_in`: the MLP's input, after gain and bias.
    MlpIn,
    /// `mlp.hook_pre`: neurons before the activation function (of the gate, in gated MLPs).
    Pre,
    /// `mlp.hook_pre_linear`: the linear branch of a gated MLP.
    PreLinear,
    /// `mlp.hook_post`: neurons as the MLP's last projection reads them.
    Post,
    /// `mlp.hook_out`: the MLP's output, before Gemma 2's norm.
    MlpModuleOut,
    /// `hook_mlp_out`: what the MLP adds to the residual stream.
    MlpOut,
    /// `hook_resid_post`: the residual stream after a block.
    ResidPost,
}

impl Site {
    /// Every site, in the order in which a forward pass reaches them.
    pub const ALL: [Self; 18] = [
        Self::Embed,
        Self::PosEmbed,
        Self::ResidPre,
        Self::Ln1Normalized,
        Self::Q,
        Self::K,
        Self::V,
        Self::Z,
        Self::AttnOut,
        Self::ResidMid,
        Self::Ln2Normalized,
        Self::MlpIn,
        Self::Pre,
        Self::PreLinear,
        Self::Post,
        Self::MlpModuleOut,
        Self::MlpOut,
        Self::ResidPost,
    ];

    /// Its name, without the block.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "hook_embed",
            Self::PosEmbed => "hook_pos_embed",
            Self::ResidPre => "hook_resid_pre",
            Self::Ln1Normalized => "ln1.hook_normalized",
            Self::Q => "attn.hook_q",
            Self::K => "attn.hook_k",
            Self::V => "attn.hook_v",
            Self::Z => "attn.hook_z",
            Self::AttnOut => "hook_attn_out",
            Self::ResidMid => "hook_resid_mid",
            Self::Ln2Normalized => "ln2.hook_normalized",
            Self::MlpIn => "mlp.hook_in",
            Self::Pre => "mlp.hook_pre",
            Self::PreLinear => "mlp.hook_pre_linear",
            Self::Post => "mlp.hook_post",
            Self::MlpModuleOut => "mlp.hook_out",
            Self::MlpOut => "hook_mlp_out",
            Self::ResidPost => "hook_resid_post",
        }
    }

    /// Whether the site belongs to a block.
    pub fn in_block(self) -> bool {
        !matches!(self, Self::Embed | Self::PosEmbed)
    }

    /// Whether the activation is part of the residual stream's sum, or the stream itself.
    pub fn is_residual(self) -> bool {
        use Site::{AttnOut, Embed, MlpOut, PosEmbed, ResidMid, ResidPost, ResidPre};
        matches!(self, Embed | PosEmbed | ResidPre | ResidMid | ResidPost | AttnOut | MlpOut)
    }
}

/// A site in a block, as in `blocks.6.hook_resid_pre`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookPoint {
    /// The block, from 0; 0 where the site is not in a block.
    pub layer: i64,
    /// Where in the block.
    pub site: Site,
}

impl HookPoint {
    /// Parses a name; whether the model has it is [`ModelConfig::hook_point`](super::ModelConfig::hook_point)'s to say.
    pub fn parse(name: &str) -> Option<Self> {
        let (layer, rest) = match name.strip_prefix("blocks.") {
            None => (None, name),
            Some(rest) => {
                let (layer, rest) = rest.split_once('.')?;
                (Some(layer.parse::<u32>().ok()?), rest)
            }
        };
        let site = Site::ALL.into_iter().find(|site| site.name() == rest)?;
        (site.in_block() == layer.is_some()).then(|| Self { layer: i64::from(layer.unwrap_or(0)), site })
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.site.in_block() {
            write!(f, "blocks.{}.{}", self.layer, self.site.name())
        } else {
            f.write_str(self.site.name())
        }
    }
}

/// What reads a forward pass.
pub trait Hooks {
    /// Whether [`visit`](Self::visit) is to be called at this hook point.
    fn wants(&self, hook: &HookPoint) -> bool;

    /// Sees an activation `[batch, pos, d_in]`; `Some` replaces it for the rest of the pass.
    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor>;

    /// Whether the forward pass may stop here.
    fn done(&self) -> bool {
        false
    }
}

/// No hooks.
impl Hooks for () {
    fn wants(&self, _hook: &HookPoint) -> bool {
        false
    }

    fn visit(&mut self, _hook: &HookPoint, _acts: &Tensor) -> Option<Tensor> {
        None
    }
}

/// The name most like `name` among `candidates`, by edit distance.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates.min_by_key(|candidate| edit_distance(name, candidate))
}

/// Levenshtein's distance in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
