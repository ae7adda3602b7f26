//! Which files an SAE needs, of a repository's or a folder's; several SAEs are listed instead.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow, bail};

use super::needed::{Needed, extension};

/// Weight files whose folder is the SAE.
const MAIN: [&str; 5] =
    ["ae.pt", "sae_weights.safetensors", "sae.safetensors", "params.npz", "params.safetensors"];
/// Weight files that lie in a folder of the SAE's own.
const BELOW: &str = "checkpoints/final.safetensors";
/// Configs that may belong to a weight file in their folder.
const CONFIGS: [&str; 6] = [
    "cfg.json",
    "config.json",
    "config.yaml",
    "hyperparams.json",
    "activation_scaler.json",
    "runner_cfg.json",
];
/// What is in the names of files that look like weights and are none.
const NO_WEIGHTS: [&str; 6] =
    ["sparsity", "optimizer", "scheduler", "training_state", "expected.safetensors", "W_dec_"];
/// SAEs named in a message.
const SHOWN: usize = 4;
/// Folders in folders that are looked into on a disk.
const MAX_DEPTH: usize = 6;
/// Files that are looked at on a disk.
const MAX_FILES: usize = 100_000;

fn file_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn inside(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn is_weights(file: &str) -> bool {
    let name = file_name(file);
    let known = ["safetensors", "npz", "pt", "pth"].contains(&extension(name));
    known && !NO_WEIGHTS.iter().any(|part| name.contains(part))
}

/// The SAEs among some files: folders, or single files, by their paths.
pub fn saes(files: &[String]) -> BTreeSet<String> {
    let mut saes = BTreeSet::new();
    for file in files.iter().filter(|file| is_weights(file)) {
        if file.ends_with(BELOW) {
            saes.insert(file[..file.len() - BELOW.len()].trim_end_matches('/').to_owned());
        } else if MAIN.contains(&file_name(file)) {
            saes.insert(folder(file).to_owned());
        }
    }
    let in_sae = |file: &str| {
        let of = folder(file);
        // Beside an SAE's own file, or a state of its training.
        saes.contains(of)
            || of.strip_suffix("checkpoints").is_some_and(|of| saes.contains(of.trim_end_matches('/')))
    };
    let single: Vec<String> =
        files.iter().filter(|file| is_weights(file) && !in_sae(file)).cloned().collect();
    saes.extend(single);
    saes
}

/// What to fetch for the SAE that `path` names, or for the only one.
///
/// - `name`: of the repository with the path, for messages
///
/// Fails where there are several; gives `None` where there is none.
pub fn choose(files: &[String], path: Option<&str>, name: &str) -> Result<Option<Needed>> {
    let path = path.unwrap_or_default();
    if files.iter().any(|file| file == path) {
        return Ok(Some(Needed::at_once(with_config(path, files), path.to_owned())));
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let all = saes(files);
    if all.contains(path) {
        return Ok(Some(of_folder(path, files)));
    }
    let below: Vec<&String> = all.iter().filter(|sae| sae.starts_with(&prefix)).collect();
    match below.as_slice() {
        [] => Ok(of_layer(path, files)),
        [only] if files.contains(*only) => {
            Ok(Some(Needed::at_once(with_config(only, files), (*only).clone())))
        }
        [only] => Ok(Some(of_folder(only, files))),
        several => Err(anyhow!("{}", several_saes(several, &prefix, name))),
    }
}

/// What to say of several SAEs.
fn several_saes(saes: &[&String], prefix: &str, name: &str) -> String {
    let mut shown: Vec<&str> = saes.iter().take(SHOWN).map(|sae| &sae[prefix.len()..]).collect();
    let example = shown.first().copied().unwrap_or_default();
    let separator = if name.contains(':') || name.starts_with(['/', '.']) || Path::new(name).exists() {
        "/"
    } else {
        ":"
    };
    let example = format!("{name}{separator}{example}");
    if saes.len() > SHOWN {
        shown.push("…");
    }
    format!("{name} holds {} SAEs ({}): name one, such as {example}", saes.len(), shown.join(", "))
}

/// A folder's files, without what only training reads.
fn of_folder(folder_path: &str, files: &[String]) -> Needed {
    let is_needed = |file: &&String| {
        let kinds = ["json", "yaml", "safetensors", "npz", "pt", "pth"];
        let own = folder(file) == folder_path && kinds.contains(&extension(file));
        let skipped = !is_weights(file) && !["json", "yaml"].contains(&extension(file));
        (own && !skipped) || **file == inside(folder_path, BELOW)
    };
    Needed::at_once(files.iter().filter(is_needed).cloned().collect(), folder_path.to_owned())
}

/// A cross-layer transcoder's layer by its number, whose encoder and decoder are two files.
fn of_layer(path: &str, files: &[String]) -> Option<Needed> {
    let (of, layer) = path.rsplit_once('/').unwrap_or(("", path));
    let encoder = inside(of, &format!("W_enc_{layer}.safetensors"));
    files.contains(&encoder).then(|| Needed::at_once(with_config(&encoder, files), encoder))
}

/// A weight file and the configs that may belong to it, of those that there are: without them the file would be encoded as
/// what its tensors' names make it look like.
fn with_config(file: &str, files: &[String]) -> Vec<String> {
    let (of, name) = (folder(file), file_name(file));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut belongs: Vec<String> = CONFIGS.iter().map(|config| inside(of, config)).collect();
    belongs.push(inside(of, &format!("{stem}_cfg.json")));
    belongs.push(inside(of, &format!("{stem}.json")));
    if name.starts_with("W_enc_") {
        belongs.push(inside(of, &name.replace("W_enc_", "W_dec_")));
    }
    if let Some(above) = of.strip_suffix("checkpoints") {
        let above = above.trim_end_matches('/');
        belongs.extend(CONFIGS.iter().map(|config| inside(above, config)));
    }
    let belongs = files.iter().filter(|own| *own != file && belongs.contains(own)).cloned();
    std::iter::once(file.to_owned()).chain(belongs).collect()
}

/// The SAE that a path on the disk means: the path itself, or the only SAE in its folders.
pub fn on_disk(given: &Path) -> Result<PathBuf> {
    if !given.is_dir() || is_sae(given) {
        return Ok(given.to_owned());
    }
    let mut files = Vec::new();
    walk(given, "", 0, &mut files);
    files.sort();
    let all = saes(&files);
    let all: Vec<&String> = all.iter().collect();
    match all.as_slice() {
        [] => Ok(given.to_owned()),
        [only] => Ok(given.join(only)),
        several => bail!("could not open the SAE: {}", several_saes(several, "", &given.to_string_lossy())),
    }
}

/// Whether a path that is not there ends in the number of a cross-layer transcoder's layer.
pub fn is_layer(given: &Path) -> bool {
    let layer = given.file_name().map(|layer| format!("W_enc_{}.safetensors", layer.to_string_lossy()));
    layer.is_some_and(|encoder| given.with_file_name(encoder).is_file())
}

/// Whether a folder holds an SAE by the usual names of its files, as nearly every one that is named does.
fn is_sae(given: &Path) -> bool {
    MAIN.iter().chain([&BELOW]).any(|name| given.join(name).is_file())
}

fn walk(root: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(prefix)) else { return };
    for entry in entries.flatten() {
        let own = entry.file_name().to_string_lossy().into_owned();
        let (path, name) = (entry.path(), inside(prefix, &own));
        if files.len() >= MAX_FILES {
            return;
        }
        if path.is_file() {
            files.push(name);
        } else if path.is_dir() && depth < MAX_DEPTH && !own.starts_with('.') {
            walk(root, &name, depth + 1, files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn chosen(all: &[&str], path: Option<&str>) -> Result<Option<Needed>, String> {
        choose(&files(all), path, "o/n").map_err(|e| e.to_string())
    }

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is a result")]
    fn needed(wanted: &[&str], at: &str) -> Result<Option<Needed>, String> {
        Ok(Some(Needed::at_once(files(wanted), at.to_owned())))
    }

    #[test]
    fn a_file_brings_its_config() {
        let all = ["25.pt", "25_cfg.json", "26.pt", "26_cfg.json", "a/cfg.json", "a/sae_weights.safetensors"];
        assert_eq!(chosen(&all, Some("25.pt")), needed(&["25.pt", "25_cfg.json"], "25.pt"));
        let weights = "a/sae_weights.safetensors";
        assert_eq!(chosen(&all, Some(weights)), needed(&[weights, "a/cfg.json"], weights));
        let scope = ["L1R/checkpoints/final.safetensors", "L1R/hyperparams.json", "L2R/hyperparams.json"];
        assert_eq!(chosen(&scope, Some(scope[0])), needed(&scope[..2], scope[0]));
    }

    #[test]
    fn a_folder_brings_what_its_format_has() {
        let all = [
            "L1R/hyperparams.json",
            "L1R/checkpoints/final.safetensors",
            "L2R/hyperparams.json",
            "L2R/checkpoints/final.safetensors",
        ];
        assert_eq!(chosen(&all, Some("L1R")), needed(&all[..2], "L1R"));
        let trained =
            ["t/ae.pt", "t/config.json", "t/optimizer.pt", "t/checkpoints/ae_100.pt", "t/eval.json"];
        assert_eq!(chosen(&trained, None), needed(&["t/ae.pt", "t/config.json", "t/eval.json"], "t"));
        let lens = ["cfg.json", "sae_weights.safetensors", "sparsity.safetensors", "README.md"];
        assert_eq!(chosen(&lens, None), needed(&lens[..2], ""));
        assert_eq!(chosen(&["sae-l19.pth", "README.md"], None), needed(&["sae-l19.pth"], "sae-l19.pth"));
        assert_eq!(chosen(&["README.md"], None), Ok(None));
        assert_eq!(chosen(&lens, Some("x")), Ok(None));
    }

    #[test]
    fn a_layer_of_a_cross_layer_transcoder_is_two_files() {
        let all = [
            "W_dec_13.safetensors",
            "W_dec_14.safetensors",
            "W_enc_13.safetensors",
            "W_enc_14.safetensors",
            "config.yaml",
        ];
        let expected =
            needed(&["W_enc_13.safetensors", "W_dec_13.safetensors", "config.yaml"], "W_enc_13.safetensors");
        assert_eq!(chosen(&all, Some("13")), expected);
        assert_eq!(chosen(&all, Some("W_enc_13.safetensors")), expected);
    }

    #[test]
    fn several_are_listed() {
        let all = ["0.pt", "1.pt", "2.pt", "3.pt", "4.pt"];
        let said = "o/n holds 5 SAEs (0.pt, 1.pt, 2.pt, 3.pt, …): name one, such as o/n:0.pt";
        assert_eq!(chosen(&all, None), Err(said.to_owned()));
        let all =
            ["x/a/cfg.json", "x/a/sae_weights.safetensors", "x/b/cfg.json", "x/b/sae_weights.safetensors"];
        let said = "o/n:x holds 2 SAEs (a, b): name one, such as o/n:x/a";
        assert_eq!(choose(&files(&all), Some("x"), "o/n:x").unwrap_err().to_string(), said);
    }

    #[test]
    fn folders_on_the_disk_hold_one_sae_or_list_theirs() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        put("one/deep/cfg.json");
        put("one/deep/sae_weights.safetensors");
        put("two/ae.pt");
        put("two/optimizer.pt");
        let at = |name: &str| root.path().join(name);
        assert_eq!(on_disk(&at("one")).unwrap(), at("one/deep"));
        assert_eq!(on_disk(&at("two")).unwrap(), at("two"));
        fs::write(at("two/W_enc_3.safetensors"), "").unwrap();
        assert!(is_layer(&at("two/3")) && !is_layer(&at("two/4")));
        fs::remove_file(at("two/W_enc_3.safetensors")).unwrap();
        let said = on_disk(root.path()).unwrap_err().to_string();
        assert!(
            said.contains("holds 2 SAEs (one/deep, two): name one, such as") && said.ends_with("/one/deep"),
            "{said}"
        );
    }
}
