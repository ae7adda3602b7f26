//! Which files of a data set are read: its train split, by the words that folders and files are named with.

/// Words of names, and the splits that they mean.
const WORDS: [(&str, &str); 10] = [
    ("train", "train"),
    ("training", "train"),
    ("test", "test"),
    ("testing", "test"),
    ("validation", "validation"),
    ("valid", "validation"),
    ("val", "validation"),
    ("dev", "validation"),
    ("eval", "validation"),
    ("evaluation", "validation"),
];

/// Configs named in a message, at most.
const SHOWN: usize = 8;

/// Files that were chosen, and what to say of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Paths in the data set, in order.
    pub files: Vec<String>,
    /// What is read and what is not, where there is something to say.
    pub note: Option<String>,
}

/// The split that a part of a path names.
fn split_of_part(part: &str) -> Option<&'static str> {
    part.split(|c: char| !c.is_ascii_alphabetic())
        .find_map(|word| WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)))
        .map(|(_, split)| *split)
}

/// The split that a file belongs to.
pub fn split_of(path: &str) -> Option<&'static str> {
    path.split('/').rev().find_map(split_of_part)
}

/// The config that a file belongs to: the folders around it, without `data` and what names its split.
pub fn config_of(path: &str) -> String {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let named = folders.split('/').take_while(|part| WORDS.iter().all(|(word, _)| word != part));
    let named: Vec<&str> = named.filter(|part| !["", ".", "data", "default"].contains(part)).collect();
    named.join("/")
}

/// Of a data set's files, those of its only or default config, and of them the train split where there is one.
///
/// Fails with the names of the configs where there are several.
pub fn default_files(paths: &[String]) -> Result<Choice, String> {
    let mut configs: Vec<String> = paths.iter().map(|path| config_of(path)).collect();
    configs.sort();
    configs.dedup();
    let config = match configs.as_slice() {
        [only] => only.clone(),
        several if several.iter().any(String::is_empty) => String::new(),
        several => {
            let mut shown: Vec<&str> = several.iter().take(SHOWN).map(String::as_str).collect();
            if several.len() > SHOWN {
                shown.push("…");
            }
            return Err(format!("has {} parts ({}): name one", several.len(), shown.join(", ")));
        }
    };
    let of_config: Vec<&String> = paths.iter().filter(|path| config_of(path) == config).collect();
    let mut splits: Vec<&str> = of_config.iter().filter_map(|path| split_of(path)).collect();
    splits.sort_unstable();
    splits.dedup();
    let split = if splits.contains(&"train") { Some("train") } else { splits.first().copied() };
    let files: Vec<String> = of_config
        .iter()
        .filter(|path| split.is_none() || split_of(path) == split)
        .map(|path| (*path).clone())
        .collect();
    let left_out = paths.len() - files.len();
    let note = (left_out > 0).then(|| {
        let split = split.map_or_else(String::new, |split| format!("the {split} split, "));
        let (s, n) = (if files.len() == 1 { "" } else { "s" }, files.len());
        let others = if left_out == 1 { "1 other is" } else { &format!("{left_out} others are") };
        format!("reads {split}{n} file{s} beginning with {}; {others} left out", first(&files))
    });
    Ok(Choice { files, note })
}

fn first(files: &[String]) -> &str {
    files.first().map_or("", String::as_str)
}

/// The files that a name means that is neither a file nor a folder: of a config, a split, or `config/split`.
pub fn named_files(paths: &[String], name: &str) -> Vec<String> {
    let name = name.trim_matches('/');
    let is_split = |path: &str, word: &str| {
        let named = WORDS.iter().find(|(known, _)| *known == word).map(|(_, split)| *split);
        named.is_some() && split_of(path) == named
    };
    let means = |path: &&String| {
        let config = config_of(path);
        let of_both = name.rsplit_once('/').is_some_and(|(c, split)| c == config && is_split(path, split));
        config == name || (config.is_empty() && is_split(path, name)) || of_both
    };
    paths.iter().filter(means).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_train_split_is_read_wherever_it_is_named() {
        for (all, expected) in [
            (["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"], 1),
            (["val.jsonl.zst", "train/00.jsonl.zst"], 1),
            (["test.jsonl", "train.jsonl"], 1),
            (["validation/a.parquet", "train/b.parquet"], 1),
        ] {
            let choice = default_files(&paths(&all)).unwrap();
            assert_eq!(choice.files, [all[expected]]);
            assert!(choice.note.is_some_and(|note| note.contains("the train split, 1 file")));
        }
        let alone = paths(&["a.jsonl", "b.jsonl"]);
        assert_eq!(default_files(&alone), Ok(Choice { files: alone.clone(), note: None }));
        let only_test = default_files(&paths(&["data/test-0.parquet"])).unwrap();
        assert_eq!(only_test.files.len(), 1);
        assert_eq!(split_of("constraint.jsonl"), None, "train is no word of it");
    }

    #[test]
    fn one_of_several_configs_has_to_be_named() {
        let all = paths(&["en/c4-train.0.json.gz", "en/c4-validation.0.json.gz", "de/c4-train.0.json.gz"]);
        assert_eq!(default_files(&all).unwrap_err(), "has 2 parts (de, en): name one");
        assert_eq!(named_files(&all, "en").len(), 2);
        assert_eq!(named_files(&all, "en/validation"), [all[1].clone()]);
        assert_eq!(named_files(&paths(&["data/test-0.parquet", "data/train-0.parquet"]), "test").len(), 1);
        assert!(named_files(&all, "fr").is_empty());
    }
}
