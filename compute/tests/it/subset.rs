//! A part of a bundle holds what is chosen, as the whole one says it, and nothing else.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use compute::bundle::{Bundle, subset};
use shared::{
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    layout::Layout,
    manifest::FeatureRange,
    paths,
    prompt::Prompt,
};

fn demo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(path)
}

fn run(out: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compute"));
    command.args([
        "run",
        "--sequences",
        "64",
        "--features",
        "0..60",
        "-q",
        "--prompt",
        "def f(x):\n    return x",
    ]);
    command.arg("--model").arg(demo("model")).arg("--sae").arg(demo("sae-mlp-a"));
    command.arg("--data").arg(demo("tokens.npy")).arg("--labels").arg(demo("labels.json"));
    assert!(command.arg("--out").arg(out).status().unwrap().success());
}

fn features(bundle: &Bundle) -> Vec<Feature> {
    let block = |i| bundle.file::<FeatureBlock>(&paths::block(i)).unwrap().features;
    (0..bundle.manifest.blocks.len()).flat_map(block).collect()
}

#[test]
fn chosen_features_are_those_of_the_whole_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, part) = (folder.path().join("whole"), folder.path().join("part"));
    run(&whole);
    let chosen = [FeatureRange { start: 3, end: 5 }, FeatureRange { start: 30, end: 51 }];
    let has = |feature: u32| chosen.iter().any(|range| (range.start..range.end).contains(&feature));
    subset(&whole, Some(&chosen), None, &part).unwrap();
    let (whole_bundle, part_bundle) = (Bundle::open(&whole).unwrap(), Bundle::open(&part).unwrap());
    let mut expected = features(&whole_bundle);
    expected.retain(|feature| has(feature.feature));
    assert_eq!(features(&part_bundle), expected);
    assert_eq!(expected.len(), 23);
    let index: FeatureIndex = part_bundle.file(paths::INDEX).unwrap();
    assert!(index.features.iter().copied().eq(expected.iter().map(|feature| feature.feature)));
    let labels = part_bundle.labels().unwrap();
    let all = whole_bundle.labels().unwrap();
    assert!(labels.features.iter().all(|feature| has(*feature)));
    assert_eq!(labels.features.len(), all.features.iter().filter(|feature| has(**feature)).count());
    let (whole_prompt, prompt): (Prompt, Prompt) =
        (whole_bundle.file(&paths::prompt(0)).unwrap(), part_bundle.file(&paths::prompt(0)).unwrap());
    assert!(prompt.features.iter().all(|feature| has(feature.feature)) && !prompt.features.is_empty());
    for (all, some) in whole_prompt.scores.iter().zip(&prompt.scores) {
        for (all, some) in all.positions.iter().zip(&some.positions) {
            assert!(all.iter().filter(|score| has(score.feature)).eq(some), "{all:?} {some:?}");
        }
    }
    // All of it is the very bundle.
    let copy = folder.path().join("copy");
    subset(&whole, None, None, &copy).unwrap();
    assert_eq!(crate::tiny::files(&copy), crate::tiny::files(&whole));
    for (range, said) in [((60, 61), "no feature 60"), ((58, 62), "no feature 60")] {
        let wrong = [FeatureRange { start: range.0, end: range.1 }];
        let error = subset(&whole, Some(&wrong), None, &folder.path().join("wrong")).unwrap_err();
        assert!(error.to_string().contains(&said[3..]), "{error}");
        assert!(!folder.path().join("wrong").exists());
    }
}

#[test]
fn a_layout_that_the_bundle_can_show_is_what_the_part_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, part) = (folder.path().join("whole"), folder.path().join("part"));
    run(&whole);
    let mut narrow = Layout::default_feature();
    narrow.columns.truncate(1);
    subset(&whole, None, Some(narrow.clone()), &part).unwrap();
    assert_eq!(Bundle::open(&part).unwrap().manifest.layouts.feature, narrow);
}
