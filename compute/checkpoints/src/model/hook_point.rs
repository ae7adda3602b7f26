//! Where a model can be read: TransformerLens's names, and the paths of transformers' modules as aliases.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::module_path::ModulePath;
use super::{ConfigError, Ffn, ModelConfig};

/// Where in the model, or in a block, an activation is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Site {
    /// `hook_embed`: the token embedding, scaled where the family scales it.
    Embed,
    /// `hook_pos_embed`: the learned position embedding.
    PosEmbed,
    /// `hook_resid_pre`: the residual stream before a block.
    ResidPre,
    /// `ln1.hook_normalized`: the block's input, normalised, before gain and bias.
    Ln1Normalized,
    /// `attn.hook_q`: queries, before norm and rotation.
    Q,
    /// `attn.hook_k`: keys, before norm and rotation.
    K,
    /// `attn.hook_v`: values.
    V,
    /// `attn.hook_z`: the mixed values, heads side by side.
    Z,
    /// `attn.hook_out`: attention's output, before the norm that some families put after it.
    AttnModuleOut,
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
    /// `mlp.hook_out`: the MLP's output, before the norm that some families put after it.
    MlpModuleOut,
    /// `hook_mlp_out`: what the MLP adds to the residual stream.
    MlpOut,
    /// `hook_resid_post`: the residual stream after a block.
    ResidPost,
}

impl Site {
    /// Every site and its name without the block, in the order in which a forward pass reaches them.
    const NAMES: [(Self, &'static str); 19] = [
        (Self::Embed, "hook_embed"),
        (Self::PosEmbed, "hook_pos_embed"),
        (Self::ResidPre, "hook_resid_pre"),
        (Self::Ln1Normalized, "ln1.hook_normalized"),
        (Self::Q, "attn.hook_q"),
        (Self::K, "attn.hook_k"),
        (Self::V, "attn.hook_v"),
        (Self::Z, "attn.hook_z"),
        (Self::AttnModuleOut, "attn.hook_out"),
        (Self::AttnOut, "hook_attn_out"),
        (Self::ResidMid, "hook_resid_mid"),
        (Self::Ln2Normalized, "ln2.hook_normalized"),
        (Self::MlpIn, "mlp.hook_in"),
        (Self::Pre, "mlp.hook_pre"),
        (Self::PreLinear, "mlp.hook_pre_linear"),
        (Self::Post, "mlp.hook_post"),
        (Self::MlpModuleOut, "mlp.hook_out"),
        (Self::MlpOut, "hook_mlp_out"),
        (Self::ResidPost, "hook_resid_post"),
    ];

    /// Every site, in the order in which a forward pass reaches them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.into_iter().map(|(site, _)| site)
    }

    /// Its name, without the block.
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(site, _)| *site == self).map_or("", |(_, name)| name)
    }

    /// The site of this name; `hook_mlp_in` is what Gemma Scope 2 and circuit-tracer call `mlp.hook_in`.
    fn parse(name: &str) -> Option<Self> {
        let name = if name == "hook_mlp_in" { "mlp.hook_in" } else { name };
        Self::NAMES.into_iter().find(|(_, own)| *own == name).map(|(site, _)| site)
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HookPoint {
    /// The block, from 0; 0 where the site is not in a block.
    pub layer: i64,
    /// Where in the block.
    pub site: Site,
}

impl HookPoint {
    /// Parses TransformerLens's name; whether the model has it is [`ModelConfig::hook_point`]'s to say.
    pub fn parse(name: &str) -> Option<Self> {
        let (layer, rest) = match name.strip_prefix("blocks.") {
            None => (None, name),
            Some(rest) => {
                let (layer, rest) = rest.split_once('.')?;
                (Some(layer.parse::<u32>().ok()?), rest)
            }
        };
        let site = Site::parse(rest)?;
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

impl ModelConfig {
    /// The hook point of this name: TransformerLens's, or the path of a module of transformers with
    /// `.input` or `.output` (which may be left out) after it.
    ///
    /// Else an error with those that exist and, if one is near, that one.
    pub fn hook_point(&self, name: &str) -> Result<HookPoint, ConfigError> {
        let name = name.trim();
        let hook = match ModulePath::parse(name) {
            Some(path) => path.site(self).map(|site| HookPoint { layer: path.layer, site }),
            None => HookPoint::parse(name).ok_or_else(|| self.site_names()),
        };
        let refused = match hook {
            Ok(hook) => match self.refusal(hook) {
                None => return Ok(hook),
                Some(reason) => (reason, self.instead(hook)),
            },
            Err(reason) => (reason, self.nearest(name)),
        };
        let hint = refused.1.map(|nearest| format!("; did you mean \"{nearest}\"?")).unwrap_or_default();
        Err(ConfigError::NoHookPoint { name: name.to_owned(), has: refused.0, hint })
    }

    /// Every hook point, in the order in which a forward pass reaches them.
    pub fn hook_points(&self) -> Vec<HookPoint> {
        let ends = Site::all().filter(|site| !site.in_block()).map(|site| HookPoint { layer: 0, site });
        let blocks = (0..self.n_layers()).flat_map(|layer| {
            Site::all().filter(|site| site.in_block()).map(move |site| HookPoint { layer, site })
        });
        ends.chain(blocks).filter(|hook| self.refusal(*hook).is_none()).collect()
    }

    /// The width of the activation at a hook point.
    pub fn hook_width(&self, hook: &HookPoint) -> i64 {
        match (hook.site, self.layers.get(hook.layer as usize).map(|layer| &layer.ffn)) {
            (Site::Q | Site::Z, _) => self.n_heads * self.d_head,
            (Site::K | Site::V, _) => self.n_kv_heads * self.d_head,
            (Site::Pre | Site::PreLinear | Site::Post, Some(Ffn::Mlp(mlp))) => mlp.d_mlp,
            _ => self.d_model,
        }
    }

    /// Why the model has no such hook point; `None` where it has.
    fn refusal(&self, hook: HookPoint) -> Option<String> {
        use Site::{
            Ln1Normalized, Ln2Normalized, MlpIn, MlpModuleOut, MlpOut, Post, Pre, PreLinear, ResidMid,
        };
        let Some(layer) = self.layers.get(hook.layer as usize) else {
            return Some(format!("{} has blocks 0 to {}", self.name, self.n_layers() - 1));
        };
        let name = &self.name;
        match (hook.site, &layer.ffn) {
            (Site::PosEmbed, _) if self.learned_positions.is_none() => {
                Some(format!("{name} has no learned positions"))
            }
            (Ln1Normalized | Ln2Normalized, _) if !self.norm_order.before() => {
                Some(format!("{name} has no norms before attention and MLP"))
            }
            (
                ResidMid | Ln2Normalized | MlpIn | Pre | PreLinear | Post | MlpModuleOut | MlpOut,
                Ffn::None,
            ) => Some(format!("{name} has attention alone, and no MLP")),
            (ResidMid, _) if self.parallel != super::Parallel::No => {
                Some(format!("{name} adds attention and MLP at once, so nothing lies between them"))
            }
            (Pre | PreLinear | Post, Ffn::Moe(_)) => Some(format!(
                "block {} of {name} is a mixture of experts: tokens go through different neurons, so there are none to read at all tokens; use mlp.hook_in, mlp.hook_out or hook_mlp_out",
                hook.layer
            )),
            (PreLinear, Ffn::Mlp(mlp)) if !mlp.gated => Some(format!("{name} has MLPs of one branch")),
            _ => None,
        }
    }

    /// What stands for a hook point that the model does not have.
    fn instead(&self, hook: HookPoint) -> Option<String> {
        let last = self.n_layers() - 1;
        let nearest = match hook.site {
            // The input of the block after the last is the output of the last.
            Site::ResidPre if hook.layer == last + 1 => HookPoint { layer: last, site: Site::ResidPost },
            site if hook.layer > last => HookPoint { layer: last, site },
            _ => return None,
        };
        self.refusal(nearest).is_none().then(|| nearest.to_string())
    }

    /// The hook point whose name is most like `name`, if any is near.
    fn nearest(&self, name: &str) -> Option<String> {
        /// Below this share of equal letters a guess is a wild one.
        const NEAR: f64 = 0.75;
        /// Nor is a name of twice the longest's length near to any; the time that comparing takes grows with it.
        const LONGEST_BYTES: usize = 64;
        if name.len() > LONGEST_BYTES {
            return None;
        }
        if Site::parse(name).is_some_and(Site::in_block) {
            return Some(format!("blocks.0.{name}"));
        }
        let near = |own: String| (strsim::normalized_damerau_levenshtein(name, &own), own);
        // All blocks have much the same names, so that only the block that the name's number says is compared.
        let number = name.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse::<i64>().ok());
        let block = number.unwrap_or_default().min(self.n_layers() - 1);
        let sites =
            Site::all().map(|site| HookPoint { layer: if site.in_block() { block } else { 0 }, site });
        let names = sites.filter(|hook| self.refusal(*hook).is_none()).map(|hook| near(hook.to_string()));
        names.filter(|(share, _)| *share >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, own)| own)
    }

    fn site_names(&self) -> String {
        let has = |site: &Site| {
            (0..self.n_layers()).any(|layer| self.refusal(HookPoint { layer, site: *site }).is_none())
        };
        let (blocks, ends): (Vec<Site>, Vec<Site>) =
            Site::all().filter(has).partition(|site| site.in_block());
        let list = |sites: &[Site]| sites.iter().map(|site| site.name()).collect::<Vec<_>>().join(", ");
        let last = self.n_layers() - 1;
        format!("{} has {}, and in blocks.0 to blocks.{last}: {}", self.name, list(&ends), list(&blocks))
    }
}
