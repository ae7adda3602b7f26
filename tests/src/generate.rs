//! Synthetic bundles: valid, of any number of features, quick to make, and full of awkward text.
//!
//! They need no model. Browser tests and budgets run on them, and the viewer is developed against them. The
//! numbers hang together as those of a real bundle do (density, histogram, intervals and examples agree), but
//! mean nothing.

mod feature;
mod prompt;
mod text;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use serde_json::json;
use shared::{
    bundle::encode,
    corpus::CorpusChunk,
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    labels::Labels,
    layers::LABELS,
    layout::Layout,
    manifest::{BlockInfo, FileInfo, MAJOR, MINOR, Manifest},
    paths,
    prompt::PromptIndex,
    quantiles::Quantiles,
    wire::Wire,
};

use prompt::FeatureFacts;
use text::Text;

/// Tokens of the corpus, and of one chunk of it.
const N_TOKENS: usize = 1 << 16;
const CHUNK_TOKENS: usize = 1 << 13;
/// Tokens of a row, where nothing else is asked for.
const SEQ_LEN: usize = 128;
/// Rows cut from one document.
const ROWS_PER_DOCUMENT: u32 = 4;
const D_VOCAB: usize = 1500;
const D_IN: usize = 512;
const FEATURES_PER_BLOCK: u32 = 32;
/// Features beyond these appear in no prompt, so that large bundles stay quick to make.
const N_PROMPT_FEATURES: u32 = 512;

/// The text as features see it.
struct Corpus {
    /// Row after row.
    token_ids: Vec<u32>,
    /// Tokens of a row.
    seq_len: usize,
    /// Where each token of the vocabulary stands.
    positions_of: Vec<Vec<usize>>,
    /// Features of the bundle.
    n_features: usize,
}

/// A small generator of random numbers (splitmix64): the same bytes from the same seed, everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`.
    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// About normal: the sum of twelve uniform numbers less six.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Files of the bundle, written as they come.
struct Writer<'a> {
    folder: &'a Path,
    files: Vec<FileInfo>,
}

impl Writer<'_> {
    fn write<T: Wire>(&mut self, value: &T, path: String) -> anyhow::Result<()> {
        let (info, bytes) = encode(value, path)?;
        let file = self.folder.join(&info.path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, bytes).with_context(|| format!("could not write {}", file.display()))?;
        self.files.push(info);
        Ok(())
    }
}

/// Writes a bundle of features `0..n_features` to `folder`.
pub fn generate(folder: &Path, n_features: u32, seed: u64) -> anyhow::Result<()> {
    generate_with_rows(folder, n_features, seed, SEQ_LEN)
}

/// Writes such a bundle with rows of `seq_len` tokens.
pub fn generate_with_rows(folder: &Path, n_features: u32, seed: u64, seq_len: usize) -> anyhow::Result<()> {
    let mut rng = Rng(seed);
    let text = Text::generate(N_TOKENS, D_VOCAB, &mut rng);
    let mut positions_of = vec![Vec::new(); text.vocab.len()];
    for (p, t) in text.token_ids.iter().enumerate() {
        positions_of[*t as usize].push(p);
    }
    let token_ids = text.token_ids.clone();
    let corpus = Corpus { token_ids, seq_len, positions_of, n_features: n_features as usize };
    let mut writer = Writer { folder, files: Vec::new() };
    writer.write(&text.vocab, paths::VOCAB.to_owned())?;
    for (i, rows) in corpus.token_ids.chunks(CHUNK_TOKENS).enumerate() {
        let first_row = (i * CHUNK_TOKENS / seq_len) as u32;
        let n_rows = (rows.len() / seq_len) as u32;
        let documents = (first_row..first_row + n_rows).map(|row| row / ROWS_PER_DOCUMENT).collect();
        let chunk = CorpusChunk { first_row, seq_len: seq_len as u32, token_ids: rows.to_vec(), documents };
        writer.write(&chunk, paths::chunk(i))?;
    }
    let (index, known) = write_features(&mut writer, &corpus, n_features, seed)?;
    writer.write(&index, paths::INDEX.to_owned())?;
    let mut texts = Vec::new();
    for (i, line) in [3, 0, 6, 10].into_iter().enumerate() {
        let prompt = prompt::prompt(&text.lines[line], &text.vocab, &known, &mut rng);
        texts.push(prompt.text.clone());
        writer.write(&prompt, paths::prompt(i))?;
    }
    let n_prompts = texts.len();
    writer.write(&PromptIndex { texts }, paths::PROMPTS.to_owned())?;
    writer.write(&labels(&index, &text), LABELS.path())?;
    let n_dead = index.max.iter().filter(|m| **m == 0.0).count();
    let manifest = manifest(&writer.files, &corpus, n_prompts, n_dead, seed)?;
    fs::write(folder.join("manifest.json"), manifest.to_json()?)?;
    Ok(())
}

fn write_features(
    writer: &mut Writer<'_>,
    corpus: &Corpus,
    n_features: u32,
    seed: u64,
) -> anyhow::Result<(FeatureIndex, Vec<FeatureFacts>)> {
    let mut index = FeatureIndex::default();
    let mut known = Vec::new();
    let mut block = FeatureBlock::default();
    for f in 0..n_features {
        let mut rng = Rng(seed ^ (u64::from(f) + 1).wrapping_mul(0xd6e8_feb8_6659_fd93));
        let acts = feature::acts(f, corpus, &mut rng);
        let logits = feature::logits(corpus.positions_of.len(), &mut rng);
        let shown = feature::feature(f, &acts, &logits, corpus, &mut rng);
        let by_token: BTreeMap<u32, f32> = acts.iter().map(|(p, a)| (corpus.token_ids[*p], *a)).collect();
        let mut triggers: Vec<(u32, f32)> = by_token.into_iter().collect();
        triggers.sort_by(|a, b| b.1.total_cmp(&a.1));
        enter(&mut index, &shown, &triggers);
        if f < N_PROMPT_FEATURES {
            let quantiles = shown.quantiles.as_ref().map(Quantiles::values).unwrap_or_default();
            known.push(FeatureFacts { feature: f, triggers, quantiles, logits });
        }
        block.features.push(shown);
        if block.features.len() as u32 == FEATURES_PER_BLOCK || f + 1 == n_features {
            let path = paths::block((f / FEATURES_PER_BLOCK) as usize);
            writer.write(&std::mem::take(&mut block), path)?;
        }
    }
    Ok((index, known))
}

/// Labels of nine features in ten: a line of the text, markup and all, and the feature's strongest token.
fn labels(index: &FeatureIndex, text: &Text) -> Labels {
    let labelled = index.features.iter().zip(&index.active_tokens).filter(|(f, _)| *f % 10 != 9);
    let label = |(f, tokens): (&u32, &Vec<u32>)| {
        let line = text::LINES[*f as usize % text::LINES.len()];
        let token = tokens.first().map_or_else(|| "nothing".to_owned(), |t| text.vocab.text(*t));
        (*f, format!("{token} as in {}", line.trim()))
    };
    let (features, texts) = labelled.map(label).unzip();
    Labels { features, texts }
}

fn enter(index: &mut FeatureIndex, f: &Feature, triggers: &[(u32, f32)]) {
    index.features.push(f.feature);
    let moments = f.stats.moments.unwrap_or_default();
    index.density.push(f.stats.density.unwrap_or_default() as f32);
    index.max.push(f.stats.max);
    index.mean.push(moments.mean as f32);
    index.std.push(moments.std as f32);
    index.skewness.push(moments.skewness as f32);
    index.kurtosis.push(moments.kurtosis as f32);
    index.active_tokens.push(triggers.iter().take(5).map(|(t, _)| *t).collect());
    let top = f.logits_table.as_ref().map(|t| t.top.iter().take(5).map(|l| l.token_id).collect());
    index.logit_tokens.push(top.unwrap_or_default());
}

fn manifest(
    files: &[FileInfo],
    corpus: &Corpus,
    n_prompts: usize,
    n_dead: usize,
    seed: u64,
) -> anyhow::Result<Manifest> {
    let (n_features, seq_len, d_vocab) =
        (corpus.n_features as u32, corpus.seq_len, corpus.positions_of.len());
    let sae = |name: &str, d_sae: u32| {
        json!({ "name": name, "architecture": "standard", "format": "synthetic", "hook": "blocks.1.mlp.hook_post",
                "d_in": D_IN, "d_sae": d_sae, "sha256": "0".repeat(64) })
    };
    let blocks: Vec<BlockInfo> = (0..n_features.div_ceil(FEATURES_PER_BLOCK))
        .map(|b| BlockInfo {
            first: b * FEATURES_PER_BLOCK,
            last: ((b + 1) * FEATURES_PER_BLOCK).min(n_features) - 1,
        })
        .collect();
    Ok(serde_json::from_value(json!({
        "schema": { "major": MAJOR, "minor": MINOR },
        "tool": concat!("tests::generate ", env!("CARGO_PKG_VERSION")),
        "model": { "name": "synthetic", "family": "gpt2", "n_layers": 2, "d_model": 128, "d_vocab": d_vocab,
                   "sha256": "0".repeat(64) },
        "sae": sae("sae-a", n_features),
        "sae_b": sae("sae-b", 4 * n_features),
        "dataset": { "name": "synthetic lines", "n_rows": N_TOKENS / seq_len, "seq_len": seq_len, "prepend_bos": false,
                     "shuffled": true, "sha256": "0".repeat(64),
                     "files": [{ "name": "lines.txt", "first_document": 0 }] },
        "run": { "device": "cpu", "dtype": "f32", "sae_dtype": "f32", "effects": "direct", "batch_rows": 32, "seed": seed,
                 "center_writing_weights": false },
        "features": [{ "start": 0, "end": n_features }],
        "layouts": { "feature": Layout::default_feature(), "prompt": Layout::default_prompt() },
        "health": { "l0": 9.25, "n_l0": N_TOKENS, "n_dead": n_dead, "n_dead_measured": N_TOKENS,
                    "n_features": n_features, "n_measured": N_TOKENS, "explained_variance": 0.871,
                    "loss": 3.412, "loss_reconstructed": 3.561, "loss_zeroed": 5.207,
                    "acts_norm": 8.4, "reconstruction_norm": 7.9, "decoder_norm": 1.0 },
        "n_prompts": n_prompts,
        "rows_per_chunk": CHUNK_TOKENS / seq_len,
        "blocks": blocks,
        "layers": [LABELS.info()],
        "files": files,
    }))?)
}
