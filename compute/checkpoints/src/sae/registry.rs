//! SAEs by the names that people know them by: SAELens's list of published SAEs, shipped as a compact file.
//!
//! A name is `release/id`, such as `gpt2-small-res-jb/blocks.8.hook_resid_pre`. The list says in which repository and at which
//! path the SAE lies, and settings that are in none of its files: the factor of `expected_average_only_in`, the mean number of
//! active features that its publisher states, whether writing weights are centred.
//!
//! `registry.tsv.gz` beside this file is made by the example `registry` of this crate; its first line says from what.

use std::io::Read as _;
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

use super::config::{DictionaryClass, Normalize, SaeConfig, SaeFormat};
use super::formats::gemma_scope;
use super::origin::Origin;

static FILE: &[u8] = include_bytes!("registry.tsv.gz");
static SHIPPED: LazyLock<Registry> = LazyLock::new(|| {
    let mut text = String::new();
    // Both are constants of this crate, which a test reads.
    let _length = GzDecoder::new(FILE).read_to_string(&mut text).unwrap_or_default();
    Registry::parse(&text)
});

/// The list.
#[derive(Debug, Default)]
pub struct Registry {
    /// What it was made from.
    pub source: String,
    /// The releases, in the list's order.
    pub releases: Vec<Release>,
}

/// SAEs that were published together.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its repository on the hub, `owner/name`.
    pub repository: String,
    /// The model, as the list calls it.
    pub model: String,
    /// How SAELens reads its files; empty for SAELens's own layout.
    pub loader: String,
    /// Whether activations came from a model with centred writing weights, where the list says so.
    pub center_writing_weights: Option<bool>,
    /// Whether inputs are scaled to norm sqrt(d_in), whatever the files say.
    pub constant_norm: bool,
    /// Its SAEs.
    pub saes: Vec<RegisteredSae>,
}

/// One SAE of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredSae {
    /// Its name within the release.
    pub id: String,
    /// File or folder in the repository.
    pub path: String,
    /// Mean number of active features at a position, as its publisher states.
    pub l0: Option<f64>,
    /// The factor that the input is multiplied by, which is in no file.
    pub norm_scaling_factor: Option<f64>,
}

/// An SAE and its release.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegistryEntry<'a> {
    /// The release.
    pub release: &'a Release,
    /// The SAE.
    pub sae: &'a RegisteredSae,
}

/// What a name may be, short of an SAE.
#[derive(Debug, PartialEq)]
pub enum Lookup<'a> {
    /// An SAE.
    Sae(RegistryEntry<'a>),
    /// A release, and no SAE or none of it.
    Release(&'a Release),
    /// Nothing in the list.
    Unknown,
}

impl Registry {
    /// The list that is shipped.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Reads the list's text: a comment, then lines of releases, each followed by indented lines of SAEs.
    pub fn parse(text: &str) -> Self {
        let mut registry = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields.as_slice() {
                [comment] if comment.starts_with('#') => {
                    comment.trim_start_matches(['#', ' ']).clone_into(&mut registry.source);
                }
                ["", id, path, l0, factor] => {
                    let sae = RegisteredSae {
                        id: (*id).to_owned(),
                        path: path.replace('=', id),
                        l0: l0.parse().ok(),
                        norm_scaling_factor: factor.parse().ok(),
                    };
                    registry
                        .releases
                        .last_mut()
                        .into_iter()
                        .for_each(|release| release.saes.push(sae.clone()));
                }
                [name, repository, model, loader, settings] => registry.releases.push(Release {
                    name: (*name).to_owned(),
                    repository: (*repository).to_owned(),
                    model: (*model).to_owned(),
                    loader: (*loader).to_owned(),
                    center_writing_weights: settings.contains("center_writing_weights").then_some(true),
                    constant_norm: settings.contains("constant_norm_rescale"),
                    saes: Vec::new(),
                }),
                _ => {}
            }
        }
        registry
    }

    /// All SAEs.
    pub fn saes(&self) -> impl Iterator<Item = RegistryEntry<'_>> {
        self.releases
            .iter()
            .flat_map(|release| release.saes.iter().map(move |sae| RegistryEntry { release, sae }))
    }

    /// What `release/id` names, or `release:id` as paths in repositories are written.
    pub fn look_up(&self, name: &str) -> Lookup<'_> {
        let (release, id) = name.split_once(['/', ':']).unwrap_or((name, ""));
        let Some(release) = self.releases.iter().find(|known| known.name == release) else {
            return Lookup::Unknown;
        };
        let sae = release.saes.iter().find(|sae| sae.id == id);
        sae.map_or(Lookup::Release(release), |sae| Lookup::Sae(RegistryEntry { release, sae }))
    }

    /// The SAE at `owner/name:path` on the hub.
    pub fn at(&self, hub_name: &str) -> Option<RegistryEntry<'_>> {
        let (repository, path) = hub_name.split_once(':')?;
        let path = path.trim_end_matches('/');
        self.saes().find(|found| found.release.repository == repository && found.sae.path == path)
    }

    /// SAEs whose release, id, repository, model or hook point contain every one of these words, in any case.
    pub fn search<'a>(&'a self, words: &[String]) -> Vec<RegistryEntry<'a>> {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let has = |found: &RegistryEntry<'a>| {
            let hook = found.hook().unwrap_or_default();
            let RegistryEntry { release, sae } = found;
            let text = [&found.name(), &release.repository, &sae.path, &release.model, &hook]
                .map(|text| text.to_lowercase())
                .join("\n");
            words.iter().all(|word| text.contains(word.as_str()))
        };
        self.saes().filter(has).collect()
    }
}

impl Release {
    /// The format of its files; `None` for those that are not read.
    pub fn format(&self) -> Option<SaeFormat> {
        Some(match self.loader.as_str() {
            "" => SaeFormat::SaeLens,
            "gemma_2" | "gemma_2_transcoder" | "gemma_3" => SaeFormat::GemmaScope,
            "dictionary_learning_1" => SaeFormat::DictionaryLearning(None::<DictionaryClass>),
            "qwen_scope" => SaeFormat::QwenScope,
            "mwhanna_transcoder" => SaeFormat::PerLayerTranscoder,
            "mntss_clt_layer_transcoder" => SaeFormat::CrossLayerTranscoder,
            "llama_scope" | "llama_scope_r1_distill" => SaeFormat::LlamaScope,
            "connor_rob_hook_z" => SaeFormat::SaeVis,
            "goodfire" | "deepseek_r1" => SaeFormat::Linear,
            _ => return None,
        })
    }

    /// Hugging Face's `model_type` of its model; `None` for a name that says none.
    pub fn model_type(&self) -> Option<&'static str> {
        // The first that fits: names of later generations contain those of earlier ones.
        const TYPES: [(&str, &str); 14] = [
            ("gemma-3", "gemma3"),
            ("gemma-2-", "gemma2"),
            ("gemma-2b", "gemma"),
            ("qwen3.5-35b-a3b", "qwen3_5_moe"),
            ("qwen3.5", "qwen3_5"),
            ("qwen3-30b-a3b", "qwen3_moe"),
            ("qwen3", "qwen3"),
            ("qwen2.5", "qwen2"),
            ("llama", "llama"),
            ("mistral", "mistral"),
            ("pythia", "gpt_neox"),
            ("gpt2", "gpt2"),
            ("gpt-oss", "gpt_oss"),
            ("gelu-", "transformer_lens"),
        ];
        let model = self.model.to_lowercase();
        TYPES.iter().find(|(part, _)| model.contains(part)).map(|(_, model_type)| *model_type)
    }
}

impl RegistryEntry<'_> {
    /// `release/id`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.release.name, self.sae.id)
    }

    /// Its name on the hub, `owner/name:path`.
    pub fn hub_name(&self) -> String {
        format!("{}:{}", self.release.repository, self.sae.path)
    }

    /// The hook point that it reads, as far as id and path tell.
    pub fn hook(&self) -> Option<String> {
        let Self { release, sae } = self;
        // Ids are often hook points, some with more after them.
        if let Some(id) = sae.id.strip_prefix("blocks.") {
            let id = id.split("__").next().unwrap_or(id);
            let width = |end: &str| end.bytes().all(|byte| byte.is_ascii_digit());
            let hook = id.rsplit_once('_').filter(|(_, end)| width(end)).map_or(id, |(hook, _)| hook);
            return Some(format!("blocks.{hook}"));
        }
        let path = format!("/{}/{}", release.repository, sae.path);
        let origin = Origin::of(Path::new(&path));
        let layer = |site: &str| Some(format!("blocks.{}.{site}", last_number(&sae.id)?));
        match release.loader.as_str() {
            "gemma_2" | "gemma_2_transcoder" | "gemma_3" => gemma_scope::hook_of(&origin),
            "mwhanna_transcoder" => layer("mlp.hook_in"),
            "qwen_scope" | "goodfire" => layer("hook_resid_post"),
            "dictionary_learning_1" => {
                let number = origin.number_after("layer_")?;
                Some(format!("blocks.{number}.hook_resid_post"))
            }
            "llama_scope" | "llama_scope_r1_distill" => {
                let part = sae.path.rsplit('/').next()?.split("-L").last()?.trim_start_matches('L');
                let digits = part.find(|c: char| !c.is_ascii_digit())?;
                let site = match part.get(digits..=digits)? {
                    "R" => "hook_resid_post",
                    "A" => "hook_attn_out",
                    "M" => "hook_mlp_out",
                    _ => return None,
                };
                Some(format!("blocks.{}.{site}", &part[..digits]))
            }
            _ => None,
        }
    }

    /// Adds to a config what the list knows and the files do not say.
    pub fn apply(&self, config: &mut SaeConfig) {
        if self.release.constant_norm {
            config.normalize = Normalize::ConstantNorm;
        }
        if let (Normalize::ExpectedAverage, Some(factor)) = (config.normalize, self.sae.norm_scaling_factor) {
            config.set_scale(factor);
        }
        config.center_writing_weights = self.release.center_writing_weights.or(config.center_writing_weights);
        config.stated_l0 = config.stated_l0.or(self.sae.l0);
        config.hook = config.hook.take().or_else(|| self.hook());
        config.model_name = config.model_name.take().or_else(|| Some(self.release.model.clone()));
    }
}

/// The last run of digits that stands alone in an id: 12 in `layer_12`.
fn last_number(id: &str) -> Option<u32> {
    let end = id.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = id[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    id[start..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sae(name: &str) -> RegistryEntry<'static> {
        match Registry::shipped().look_up(name) {
            Lookup::Sae(found) => found,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn the_shipped_list_is_whole() {
        let registry = Registry::shipped();
        assert!(registry.source.contains("6.54.12"), "{}", registry.source);
        assert_eq!((registry.releases.len(), registry.saes().count()), (170, 13_857));
        assert_eq!(registry.saes().filter(|found| found.sae.l0.is_some()).count(), 12_147);
        assert_eq!(registry.saes().filter(|found| found.sae.norm_scaling_factor.is_some()).count(), 304);
        // A repository, a path and a type of model for each.
        for found in registry.saes() {
            assert!(found.release.repository.contains('/') && !found.sae.path.is_empty(), "{}", found.name());
            assert!(found.release.model_type().is_some(), "{}", found.release.model);
            assert!(matches!(registry.look_up(&found.name()), Lookup::Sae(_)), "{}", found.name());
        }
        let unread: Vec<&str> = registry
            .releases
            .iter()
            .filter(|release| release.format().is_none())
            .map(|release| release.loader.as_str())
            .collect();
        assert_eq!(unread, ["temporal", "temporal"]);
    }

    #[test]
    fn a_name_is_looked_up() {
        let found = sae("gpt2-small-res-jb/blocks.8.hook_resid_pre");
        assert_eq!(sae("gpt2-small-res-jb:blocks.8.hook_resid_pre"), found);
        assert_eq!(found.hub_name(), "jbloom/GPT2-Small-SAEs-Reformatted:blocks.8.hook_resid_pre");
        assert_eq!(found.release.center_writing_weights, Some(true));
        let registry = Registry::shipped();
        assert!(matches!(registry.look_up("gpt2-small-res-jb/blocks.99.hook"), Lookup::Release(_)));
        assert_eq!(registry.at(&found.hub_name()), Some(found));
        assert_eq!(registry.look_up("jbloom/GPT2-Small-SAEs-Reformatted"), Lookup::Unknown);
        let found = sae("gemma-scope-2b-pt-transcoders/layer_0/width_16k/average_l0_76");
        assert_eq!(
            (found.sae.l0, found.hook().as_deref()),
            (Some(76.0), Some("blocks.0.ln2.hook_normalized"))
        );
    }

    #[test]
    fn hook_points_are_told_from_names() {
        for (name, hook) in [
            ("llama_scope_lxa_8x/l7a_8x", "blocks.7.hook_attn_out"),
            ("llama_scope_lxm_32x/l31m_32x", "blocks.31.hook_mlp_out"),
            ("llama_scope_r1_distill/l0r_800m_slimpajama", "blocks.0.hook_resid_post"),
            ("qwen-scope-3-8b-base-w64k-l50/layer11", "blocks.11.hook_resid_post"),
            ("gemma-scope-2-4b-pt-transcoders-all/layer_3_width_16k_l0_big", "blocks.3.mlp.hook_in"),
            ("gemma-scope-2-1b-it-att/layer_13_width_16k_l0_big", "blocks.13.attn.hook_z"),
            ("mwhanna-qwen3-4b-transcoders/layer_20", "blocks.20.mlp.hook_in"),
            ("goodfire-llama-3.1-8b-instruct/layer_19", "blocks.19.hook_resid_post"),
            ("qwen2.5-7b-instruct-andyrdt/resid_post_layer_3_trainer_1", "blocks.3.hook_resid_post"),
            (
                "saebench_gemma-2-2b_width-2pow12_date-0108/blocks.12.hook_resid_post__trainer_0",
                "blocks.12.hook_resid_post",
            ),
        ] {
            assert_eq!(sae(name).hook().as_deref(), Some(hook), "{name}");
        }
        let n = Registry::shipped().saes().filter(|found| found.hook().is_some()).count();
        assert!(n > 13_700, "{n} of 13857 tell their hook point");
    }

    #[test]
    fn words_are_looked_for_in_all_of_a_name() {
        let words = ["GEMMA-3-1b-it", "resid_post", "262k"].map(str::to_owned);
        let found = Registry::shipped().search(&words);
        assert!(!found.is_empty() && found.iter().all(|sae| sae.release.model == "google/gemma-3-1b-it"));
        assert!(Registry::shipped().search(&["nonesuch".to_owned()]).is_empty());
        assert_eq!(Registry::shipped().search(&["gpt2-small-res-jb/".to_owned()]).len(), 13);
    }

    #[test]
    fn what_no_file_says_is_added_to_the_config() {
        let mut config = SaeConfig::new(SaeFormat::LlamaScope, 8, 16, 8);
        config.normalize = Normalize::ExpectedAverage;
        let found = sae("llama_scope_r1_distill/l0r_800m_slimpajama");
        found.apply(&mut config);
        assert_eq!(config.normalize, Normalize::Scale(found.sae.norm_scaling_factor.unwrap()));
        assert_eq!(config.hook.as_deref(), Some("blocks.0.hook_resid_post"));
        let mut config = SaeConfig::new(SaeFormat::SaeLens, 8, 16, 8);
        sae("gpt2-small-res-jb/blocks.8.hook_resid_pre").apply(&mut config);
        assert_eq!((config.center_writing_weights, config.normalize), (Some(true), Normalize::None));
        let mut config = SaeConfig::new(SaeFormat::SaeLens, 8, 16, 8);
        sae("mistral-7b-res-wg/blocks.8.hook_resid_pre").apply(&mut config);
        assert_eq!((config.normalize, config.stated_l0), (Normalize::ConstantNorm, Some(92.0)));
    }
}
