//! Makes `src/sae/registry.tsv.gz`, the list of published SAEs that is shipped:
//!
//! ```sh
//! pip download --no-deps sae-lens==6.54.12 && unzip -o sae_lens-6.54.12-*.whl sae_lens/pretrained_saes.yaml
//! cargo run --release -p checkpoints --example registry -- sae_lens/pretrained_saes.yaml 6.54.12 compute/checkpoints/src/sae/registry.tsv.gz
//! ```
//!
//! Facts alone are taken: names, repositories, paths, models, stated L0, factors, and the settings that change numbers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a program for those who make the list")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [yaml, version, out] = arguments.as_slice() else { panic!("expected YAML VERSION OUT") };
    let list: BTreeMap<String, Value> =
        serde_yaml_ng::from_str(&std::fs::read_to_string(yaml).unwrap()).unwrap();
    let mut text = format!(
        "# SAEs of the list that SAELens {version} ships (pretrained_saes.yaml): facts alone, made by the example registry of the crate checkpoints\n"
    );
    for (name, release) in &list {
        let field = |key: &str| release[key].as_str().unwrap_or_default();
        let overrides = &release["config_overrides"];
        let mut settings = Vec::new();
        if overrides["model_from_pretrained_kwargs"]["center_writing_weights"] == true {
            settings.push("center_writing_weights");
        }
        if overrides["normalize_activations"] == "constant_norm_rescale" {
            settings.push("constant_norm_rescale");
        }
        let (repository, model) = (field("repo_id"), field("model"));
        let loader = release["conversion_func"].as_str().unwrap_or_default();
        writeln!(text, "{name}\t{repository}\t{model}\t{loader}\t{}", settings.join(",")).unwrap();
        for sae in release["saes"].as_array().unwrap() {
            let (id, path) = (word(&sae["id"]), word(&sae["path"]));
            assert!(!path.contains('=') && !id.is_empty(), "{name}: {sae}");
            let path =
                if path.ends_with(&id) { format!("{}=", &path[..path.len() - id.len()]) } else { path };
            let (l0, factor) = (word(&sae["l0"]), word(&sae["norm_scaling_factor"]));
            writeln!(text, "\t{id}\t{path}\t{l0}\t{factor}").unwrap();
        }
    }
    // Neither time nor name in the archive: the same list gives the same bytes.
    let mut packed = GzBuilder::new().write(std::fs::File::create(out).unwrap(), Compression::best());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap();
}

/// A scalar as text; nothing for null. Some ids and paths are numbers.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
