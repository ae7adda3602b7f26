//! Which files of a repository a model or a tokenizer needs.

use std::path::Path;

/// Files to fetch, and what of them is then opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Needed {
    /// Paths in the repository.
    pub files: Vec<String>,
    /// Those of weights that are fetched only when they are loaded.
    pub weights: Vec<String>,
    /// The file or folder that is opened; empty = the whole repository.
    pub at: String,
}

impl Needed {
    /// All `files` are fetched at once.
    pub fn at_once(files: Vec<String>, at: String) -> Self {
        Self { files, weights: Vec::new(), at }
    }
}

/// Files beside the weights: the last four only where there are any.
const BESIDE: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// The extension of a file's name.
pub fn extension(file: &str) -> &str {
    Path::new(file).extension().and_then(|e| e.to_str()).unwrap_or_default()
}

/// Of all files of a repository, those that a model needs; `path` narrows them to a folder.
pub fn model(files: &[String], path: Option<&str>) -> Option<Needed> {
    let path = path.unwrap_or_default();
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let inside: Vec<&String> =
        files.iter().filter(|f| f.strip_prefix(&prefix).is_some_and(|name| !name.contains('/'))).collect();
    // Many repositories hold the weights twice; only old ones have them as pickles alone.
    let safe = inside.iter().any(|f| ["safetensors", "pth"].contains(&extension(f)));
    let is_weights = |file: &String| {
        let name = &file[prefix.len()..];
        let named = if safe { name.starts_with("model") } else { name.starts_with("pytorch_model") };
        let kinds: &[&str] = if safe { &["safetensors", "pth"] } else { &["bin"] };
        named && (kinds.contains(&extension(name)) || name.ends_with(".index.json"))
    };
    let of = |wanted: &dyn Fn(&String) -> bool| -> Vec<String> {
        inside.iter().copied().filter(|file| wanted(file)).cloned().collect()
    };
    let (files, weights) = (of(&|file| BESIDE.contains(&&file[prefix.len()..])), of(&is_weights));
    (!files.is_empty() || !weights.is_empty()).then(|| Needed { files, weights, at: path.to_owned() })
}

/// Of all files of a repository, those that a tokenizer needs; `path` narrows them to a folder.
pub fn tokenizer(files: &[String], path: Option<&str>) -> Option<Needed> {
    let path = path.unwrap_or_default();
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let beside = BESIDE.into_iter().filter(|name| *name != "config.json").map(at);
    let needed: Vec<String> = beside.filter(|file| files.contains(file)).collect();
    needed.contains(&at("tokenizer.json")).then(|| Needed::at_once(needed, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_needed_files_are_fetched() {
        let files = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let needed = |all: &[String]| {
            let needed = model(all, None).unwrap();
            [needed.files, needed.weights].concat()
        };
        let all = files(&[
            "README.md",
            "config.json",
            "model-1.safetensors",
            "onnx/config.json",
            "tokenizer.json",
            "tf_model.h5",
        ]);
        assert_eq!(needed(&all), files(&["config.json", "tokenizer.json", "model-1.safetensors"]));
        let old =
            files(&["config.json", "pytorch_model-1.bin", "pytorch_model.bin.index.json", "tf_model.h5"]);
        assert_eq!(needed(&old), old[..3]);
        let both = files(&["config.json", "model.safetensors", "pytorch_model.bin"]);
        assert_eq!(needed(&both), both[..2]);
        assert_eq!(model(&all, Some("onnx")).unwrap().files, files(&["onnx/config.json"]));
        assert_eq!(model(&all, Some("nowhere")), None);
    }
}
