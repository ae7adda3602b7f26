//! Where a bundle's numbers come from: the manifest.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use shared::{
    health::Health,
    manifest::{DataFile, DatasetInfo, MAJOR, MINOR, Manifest, ModelInfo, RunInfo, SaeInfo, SchemaVersion},
};
use tch::Kind;

use super::Machine;
use crate::{
    bundle::{BundleWriter, rows_per_chunk},
    corpus::Rows,
    hub::{Artifact, end_of},
    plan::Plan,
    sae::SaeConfig,
};

/// This program, with its version.
pub fn tool() -> String {
    format!("sae-vis compute {}", env!("CARGO_PKG_VERSION"))
}

/// The manifest of a run whose files are written.
///
/// - `skipped`: token ids at which features count as inactive
/// - `model_sha256`: of the model's weights, see [`sha256`]
pub fn manifest(
    plan: &Plan,
    machine: &Machine,
    rows: &Rows,
    skipped: &[i64],
    (health, model_sha256): (Health, String),
    writer: &BundleWriter,
) -> Result<Manifest> {
    let config = &plan.input.model_config;
    let sae_b = match &plan.sae_b {
        Some((sae, config)) => Some(sae_info(plan, sae, config)?),
        None => None,
    };
    Ok(Manifest {
        schema: SchemaVersion { major: MAJOR, minor: MINOR },
        tool: tool(),
        model: ModelInfo {
            name: plan.input.model.name.clone(),
            family: Some(config.family.name().to_owned()),
            n_layers: Some(config.n_layers() as u32),
            d_model: Some(config.d_model as u32),
            d_vocab: Some(config.d_vocab as u32),
            sha256: Some(model_sha256),
        },
        sae: sae_info(plan, &plan.input.sae, &plan.input.sae_config)?,
        sae_b,
        dataset: DatasetInfo {
            name: plan.input.data.name.clone(),
            n_rows: Some(rows.n_rows() as u32),
            seq_len: Some(rows.seq_len() as u32),
            prepend_bos: Some(plan.input.rule.bos.is_some()),
            shuffled: Some(plan.input.rule.shuffle_seed.is_some()),
            skip_special: !skipped.is_empty(),
            special_tokens: skipped.iter().filter_map(|id| u32::try_from(*id).ok()).collect(),
            notes: plan.input.data.notes.iter().cloned().chain(rows.reading().sentences()).collect(),
            files: rows.files().iter().map(data_file).collect(),
            sha256: Some(rows.sha256()),
        },
        origin: None,
        run: Some(RunInfo {
            device: machine.device_name().to_owned(),
            dtype: machine.precision.name().to_owned(),
            sae_dtype: Some(if machine.sae_kind == Kind::BFloat16 { "bf16" } else { "f32" }.to_owned()),
            effects: Some(if plan.effects { "direct" } else { "none" }.to_owned()),
            batch_rows: machine.batch_rows as u32,
            seed: plan.input.seed,
            center_writing_weights: plan.input.preprocessing.center_writing_weights,
            fold_value_biases: plan.input.preprocessing.fold_value_biases,
        }),
        features: plan.feature_ranges.clone(),
        layouts: plan.layouts.clone(),
        health,
        n_prompts: plan.prompts.len() as u32,
        rows_per_chunk: Some(rows_per_chunk(rows.seq_len()) as u32),
        blocks: writer.blocks().to_vec(),
        layers: writer.layers().to_vec(),
        shared: writer.shared().cloned(),
        files: writer.files().to_vec(),
    })
}

fn sae_info(plan: &Plan, sae: &Artifact, config: &SaeConfig) -> Result<SaeInfo> {
    Ok(SaeInfo {
        name: sae.name.clone(),
        architecture: Some(config.description()),
        format: Some(config.format.name().to_owned()),
        hook: Some(plan.input.hook.to_string()),
        hook_out: config.hook_out.clone(),
        d_in: Some(config.d_in as u32),
        d_sae: Some(config.d_sae as u32),
        signed: config.is_signed(),
        sha256: Some(sha256(&sae.path)?),
    })
}

/// SHA-256 of a weight file, or of all weight files of a folder in the order of their names.
pub fn sha256(path: &Path) -> Result<String> {
    const WEIGHTS: [&str; 5] = ["safetensors", "pth", "pt", "npz", "bin"];
    let reading = || format!("could not read the weights ({})", path.display());
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries: Vec<PathBuf> = path
            .read_dir()
            .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
            .with_context(reading)?;
        let is_weights = |p: &PathBuf| p.extension().is_some_and(|e| WEIGHTS.iter().any(|w| e == *w));
        files = entries.into_iter().filter(is_weights).collect();
        files.sort();
    }
    let mut hash = Sha256::new();
    let mut part = vec![0u8; 1 << 20];
    for file in files {
        let mut file = File::open(file).with_context(reading)?;
        loop {
            let n = file.read(&mut part).with_context(reading)?;
            if n == 0 {
                break;
            }
            hash.update(&part[..n]);
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn data_file((name, first_document): &(String, u32)) -> DataFile {
    DataFile { name: end_of(Path::new(name)), first_document: *first_document }
}
