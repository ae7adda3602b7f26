//! Rotary positions (Su et al. 2021) and how they were stretched: read from every form in which transformers
//! has written them.
//!
//! | form | written by |
//! |---|---|
//! | `rope_theta` (or `rotary_emb_base`), `rope_scaling` | transformers 4 |
//! | `rope_parameters` with everything in it | transformers 5 |
//! | `rope_parameters` or `rope_scaling` per layer type (`full_attention`, `sliding_attention`) | transformers 5 |
//! | `rope_local_base_freq` for sliding layers | transformers 4, Gemma 3 |
//!
//! All that are there are read together: two that disagree are refused, and so is a setting that is unknown.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

use serde_json::Value;

use super::error::ConfigError;
use super::fields::Fields;

/// Rotations of queries and keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// How many of a head's dimensions rotate; even.
    pub n_dims: i64,
    /// The base of the wavelengths.
    pub theta: f64,
    /// How longer contexts were reached.
    pub scaling: RopeScaling,
    /// Which dimensions turn together.
    pub pairs: RopePairs,
}

/// Which two dimensions of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RopePairs {
    /// The first half with the second: i and i + n_dims / 2.
    Halves,
    /// Neighbours: 2 i and 2 i + 1 (GPT-J).
    Neighbours,
}

/// How rotary frequencies were stretched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All by one factor.
    Linear(f64),
    /// Llama 3: low frequencies by a factor, high ones not, a ramp between.
    Llama3 {
        /// By how much low frequencies shrink.
        factor: f64,
        /// Wavelengths above context / this are low frequencies.
        low: f64,
        /// Wavelengths below context / this are high frequencies.
        high: f64,
        /// The context before stretching, in tokens.
        n_ctx: f64,
    },
    /// YaRN (Peng et al. 2023): a ramp over the dimensions, and larger queries and keys.
    Yarn {
        /// By how much low frequencies shrink.
        factor: f64,
        /// Dimensions that turn more often than this within the context keep their frequency.
        fast: f64,
        /// Dimensions that turn less often than this shrink by the whole factor.
        slow: f64,
        /// The context before stretching, in tokens.
        n_ctx: f64,
        /// Whether the ramp's ends are rounded to whole dimensions.
        truncate: bool,
        /// What rotated queries and keys are multiplied by.
        amplitude: f64,
    },
    /// LongRoPE (Ding et al. 2024): a factor for each pair, other ones for rows beyond the first context.
    LongRope {
        /// For rows within the first context, one for each pair.
        short: Vec<f64>,
        /// For longer rows.
        long: Vec<f64>,
        /// The context before stretching, in tokens.
        n_ctx: f64,
        /// What rotated queries and keys are multiplied by.
        amplitude: f64,
    },
}

/// What a family knows about its rotary positions where the config is silent.
#[derive(Clone, Copy, Debug)]
pub struct RopeDefaults {
    /// `rope_theta`.
    pub theta: f64,
    /// The share of a head that rotates.
    pub share: f64,
    /// Where the base stands outside the settings.
    pub theta_names: &'static [&'static str],
    /// Whether settings that are not per layer type are this layer type's.
    pub flat: bool,
}

impl RopeDefaults {
    /// What all families but a few have.
    pub const PLAIN: Self = Self { theta: 10_000.0, share: 1.0, theta_names: &["rope_theta"], flat: true };
}

impl Rope {
    /// Reads the settings for one layer type, `full_attention` or `sliding_attention`.
    pub fn read(
        fields: &Fields<'_>,
        layer_type: &str,
        d_head: i64,
        defaults: RopeDefaults,
    ) -> Result<Self, ConfigError> {
        let settings = Settings::new(fields, layer_type, defaults.flat)?;
        let theta = settings.float("rope_theta", defaults.theta_names)?.unwrap_or(defaults.theta);
        let share = settings.float("partial_rotary_factor", &["partial_rotary_factor", "rotary_pct"])?;
        let n_dims = (d_head as f64 * share.unwrap_or(defaults.share)) as i64;
        if !(theta > 0.0 && theta.is_finite()) {
            return Err(fields.invalid(format!("config has a rope_theta of {theta}, expected more than 0")));
        }
        if n_dims % 2 != 0 || !(0..=d_head).contains(&n_dims) {
            return Err(fields.invalid(format!("config rotates {n_dims} of {d_head} dimensions of a head")));
        }
        Ok(Self { n_dims, theta, scaling: settings.scaling(n_dims)?, pairs: RopePairs::Halves })
    }

    /// The angle per position of each pair, in radians, for rows of `n_pos` tokens.
    pub fn frequencies(&self, n_pos: i64) -> Vec<f64> {
        let n_dims = self.n_dims as f64;
        let plain = |i: i64| self.theta.powf(-2.0 * i as f64 / n_dims);
        let pairs = 0..self.n_dims / 2;
        match &self.scaling {
            RopeScaling::None => pairs.map(plain).collect(),
            RopeScaling::Linear(factor) => pairs.map(|i| plain(i) / factor).collect(),
            RopeScaling::Llama3 { factor, low, high, n_ctx } => pairs
                .map(|i| {
                    let turns = n_ctx * plain(i) / (2.0 * PI); // full turns within the first context
                    let ramp = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    plain(i) * (ramp + (1.0 - ramp) / factor)
                })
                .collect(),
            RopeScaling::Yarn { factor, fast, slow, n_ctx, truncate, .. } => {
                // The pair that turns `turns` times within the first context, as a fraction.
                let pair = |turns: f64| n_dims * (n_ctx / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
                let (mut low, mut high) = (pair(*fast), pair(*slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(n_dims - 1.0));
                if (high - low).abs() < f64::EPSILON {
                    high += 0.001; // as transformers keeps the ramp from dividing by 0
                }
                pairs
                    .map(|i| {
                        let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                        plain(i) * (1.0 - ramp + ramp / factor)
                    })
                    .collect()
            }
            RopeScaling::LongRope { short, long, n_ctx, .. } => {
                let factors = if n_pos as f64 > *n_ctx { long } else { short };
                pairs.zip(factors).map(|(i, factor)| plain(i) / factor).collect()
            }
        }
    }

    /// What rotated queries and keys are multiplied by.
    pub fn amplitude(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { amplitude, .. } | RopeScaling::LongRope { amplitude, .. } => amplitude,
            _ => 1.0,
        }
    }
}

/// Every setting that is known; another one is refused.
const KNOWN: [&str; 17] = [
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
    "beta_fast",
    "beta_slow",
    "truncate",
    "attention_factor",
    "mscale",
    "mscale_all_dim",
    "short_factor",
    "long_factor",
    "finetuned", // says how the weights came about; changes nothing
];

/// The objects that hold a layer type's settings, `rope_parameters` first.
struct Settings<'a> {
    fields: Fields<'a>,
    sections: Vec<Fields<'a>>,
}

impl<'a> Settings<'a> {
    fn new(fields: &Fields<'a>, layer_type: &str, flat: bool) -> Result<Self, ConfigError> {
        let mut sections = Vec::new();
        for within in ["rope_parameters.", "rope_scaling."] {
            let Some(section) = fields.section(within)? else { continue };
            let nested = section.entries().filter(|(_, value)| value.is_object()).count();
            if nested == 0 {
                if flat {
                    sections.push(section);
                }
            } else if nested < section.entries().count() {
                let reason = "config mixes rotary settings of all layers and of layer types in";
                return Err(fields.invalid(format!("{reason} \"{}\"", within.trim_end_matches('.'))));
            } else if let Some(object) = section.get(layer_type).and_then(Value::as_object) {
                sections.push(section.of(object));
            } else {
                let has: Vec<&str> = section.entries().map(|(name, _)| name).collect();
                let name = within.trim_end_matches('.');
                return Err(fields.invalid(format!(
                    "config has \"{name}\" for {}, and none for its layers of type {layer_type}",
                    has.join(", ")
                )));
            }
        }
        for section in &sections {
            if let Some((name, _)) = section.entries().find(|(name, _)| !KNOWN.contains(name)) {
                return Err(section.unsupported(name, "no rotary setting of this name"));
            }
        }
        Ok(Self { fields: *fields, sections })
    }

    /// A number in the sections, or at the top under other names; two that differ are refused.
    fn float(&self, name: &str, top: &[&str]) -> Result<Option<f64>, ConfigError> {
        let mut found: Option<f64> = None;
        let inside = self.sections.iter().map(|section| section.maybe_float(name));
        for value in inside.chain(top.iter().map(|name| self.fields.maybe_float(name))) {
            let Some(value) = value? else { continue };
            if let Some(other) = found.filter(|other| other.to_bits() != value.to_bits()) {
                return Err(self
                    .fields
                    .invalid(format!("config has {other} and {value} as \"{name}\", expected one value")));
            }
            found = Some(value);
        }
        Ok(found)
    }

    fn needed(&self, name: &str) -> Result<f64, ConfigError> {
        let missing = || self.fields.invalid(format!("config has rotary scaling without \"{name}\""));
        self.float(name, &[])?.ok_or_else(missing)
    }

    /// The context before stretching.
    fn maybe_n_ctx(&self) -> Result<Option<f64>, ConfigError> {
        self.float("original_max_position_embeddings", &["original_max_position_embeddings"])
    }

    fn n_ctx(&self) -> Result<f64, ConfigError> {
        let reason = "config has rotary scaling without \"original_max_position_embeddings\"";
        self.maybe_n_ctx()?.ok_or_else(|| self.fields.invalid(reason.to_owned()))
    }

    fn rope_type(&self) -> Result<&'a str, ConfigError> {
        let mut found: Option<&str> = None;
        for section in &self.sections {
            for name in ["rope_type", "type"] {
                let Some(value) = section.text(name)? else { continue };
                let value = if value == "su" { "longrope" } else { value }; // its first name
                if found.is_some_and(|other| other != value && other != "default" && value != "default") {
                    return Err(section.unsupported(name, &format!("\"{}\"", found.unwrap_or_default())));
                }
                if !["default", "linear", "llama3", "yarn", "longrope"].contains(&value) {
                    return Err(section.unsupported(name, "default, linear, llama3, yarn or longrope"));
                }
                found = found.filter(|other| *other != "default").or(Some(value));
            }
        }
        Ok(found.unwrap_or("default"))
    }

    fn scaling(&self, n_dims: i64) -> Result<RopeScaling, ConfigError> {
        Ok(match self.rope_type()? {
            "linear" => RopeScaling::Linear(self.needed("factor")?),
            "llama3" => RopeScaling::Llama3 {
                factor: self.needed("factor")?,
                low: self.needed("low_freq_factor")?,
                high: self.needed("high_freq_factor")?,
                n_ctx: self.n_ctx()?,
            },
            "yarn" => self.yarn()?,
            "longrope" => self.long_rope(n_dims)?,
            _ => RopeScaling::None,
        })
    }

    fn yarn(&self) -> Result<RopeScaling, ConfigError> {
        let longest = self.fields.maybe_float("max_position_embeddings")?;
        // Without the first context, transformers takes the whole one for it.
        let n_ctx = match self.maybe_n_ctx()?.or(longest) {
            Some(n_ctx) => n_ctx,
            None => self.n_ctx()?,
        };
        let factor = match (self.float("factor", &[])?, longest) {
            (Some(factor), _) => factor,
            (None, Some(longest)) => longest / n_ctx,
            (None, None) => self.needed("factor")?,
        };
        let grown = |mscale: f64| if factor > 1.0 { 0.1 * mscale * factor.ln() + 1.0 } else { 1.0 };
        let scales = (self.float("mscale", &[])?, self.float("mscale_all_dim", &[])?);
        let amplitude = match (self.float("attention_factor", &[])?, scales) {
            (Some(amplitude), _) => amplitude,
            (None, (Some(one), Some(all))) if one != 0.0 && all != 0.0 => grown(one) / grown(all),
            (None, _) => grown(1.0),
        };
        let truncate = self.sections.iter().try_fold(true, |truncate, section| {
            Ok::<_, ConfigError>(truncate && section.flag("truncate", true)?)
        })?;
        Ok(RopeScaling::Yarn {
            factor,
            fast: self.float("beta_fast", &[])?.unwrap_or(32.0),
            slow: self.float("beta_slow", &[])?.unwrap_or(1.0),
            n_ctx,
            truncate,
            amplitude,
        })
    }

    fn long_rope(&self, n_dims: i64) -> Result<RopeScaling, ConfigError> {
        let (n_ctx, longest) = (self.n_ctx()?, self.fields.maybe_float("max_position_embeddings")?);
        let factor = self.float("factor", &[])?.or(longest.map(|longest| longest / n_ctx)).unwrap_or(1.0);
        let amplitude = match self.float("attention_factor", &[])? {
            Some(amplitude) => amplitude,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / n_ctx.ln()).sqrt(),
        };
        let factors = |name: &str| {
            let section = self.sections.iter().find(|section| section.get(name).is_some());
            let section = section.copied().unwrap_or(self.fields);
            let list =
                |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
            let list = section.typed(name, "a list of numbers", list)?;
            let wanted = |list: &Vec<f64>| list.len() as i64 == n_dims / 2 && list.iter().all(|f| *f > 0.0);
            list.filter(wanted)
                .ok_or_else(|| section.wrong(name, &format!("{} numbers above 0, one a pair", n_dims / 2)))
        };
        Ok(RopeScaling::LongRope {
            short: factors("short_factor")?,
            long: factors("long_factor")?,
            n_ctx,
            amplitude,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn read(config: &Value) -> Result<Rope, ConfigError> {
        let fields = Fields::new(config, Path::new("config.json"))?;
        Rope::read(&fields, "full_attention", 8, RopeDefaults::PLAIN)
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12)
    }

    #[test]
    fn longrope_has_factors_for_short_and_for_long_rows() {
        let config = json!({ "max_position_embeddings": 131_072, "original_max_position_embeddings": 4096,
            "rope_scaling": { "type": "su", "short_factor": [1, 1.5, 2, 2.5], "long_factor": [1, 4, 16, 64] } });
        let rope = read(&config).unwrap();
        let plain = [1.0, 0.1, 0.01, 0.001]; // 10,000^(-2 i / 8)
        let over = |factors: [f64; 4]| [0, 1, 2, 3].map(|i| plain[i] / factors[i]);
        assert!(close(&rope.frequencies(4096), &over([1.0, 1.5, 2.0, 2.5])));
        assert!(close(&rope.frequencies(4097), &over([1.0, 4.0, 16.0, 64.0])));
        // sqrt(1 + ln 32 / ln 4096)
        assert!((rope.amplitude() - (1.0f64 + 5.0 / 12.0).sqrt()).abs() <= 1e-12);
        let short = json!({ "original_max_position_embeddings": 4096,
            "rope_scaling": { "type": "longrope", "short_factor": [1], "long_factor": [1, 4, 16, 64] } });
        assert!(read(&short).unwrap_err().to_string().contains("4 numbers above 0, one a pair"));
    }

    #[test]
    fn yarn_keeps_fast_dimensions_and_stretches_slow_ones() {
        let config = json!({ "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "beta_fast": 32.0,
            "beta_slow": 1.0, "original_max_position_embeddings": 4096 } });
        let rope = read(&config).unwrap();
        let frequencies = rope.frequencies(10);
        // Full turns in 4,096 tokens: 651.9, 65.2, 6.5 and 0.65.
        assert!((frequencies[0] - 1.0).abs() <= 1e-12 && (frequencies[1] - 0.1).abs() <= 1e-12);
        assert!(frequencies[2] < 0.01 && frequencies[2] > 0.0025);
        assert!((frequencies[3] - 0.001 / 4.0).abs() <= 1e-12);
        assert!((rope.amplitude() - (0.1 * 4.0f64.ln() + 1.0)).abs() <= 1e-12);
    }
}
