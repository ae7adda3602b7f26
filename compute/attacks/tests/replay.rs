//! Every input that is kept does what every input has to do, and every good file is accepted.

use std::panic::catch_unwind;

use attacks::Outcome;

#[test]
fn good_files_are_accepted() {
    let mut refused = Vec::new();
    for attack in attacks::all() {
        let seeds = attack.seeds();
        assert!(!seeds.is_empty(), "{} has no good file", attack.name);
        let answers = seeds.iter().map(|seed| attack.run(seed).outcome).enumerate();
        refused
            .extend(answers.filter(|(_, answer)| *answer == Outcome::Refused).map(|(i, _)| (attack.name, i)));
    }
    assert!(refused.is_empty(), "good files are refused: {refused:?}");
}

#[test]
fn what_was_found_stays_mended() {
    for attack in attacks::all() {
        let kept = attack.kept();
        assert!(kept.is_ok(), "{}: {kept:?}", attack.name);
        for (place, input) in kept.unwrap_or_default() {
            let run = catch_unwind(|| attack.run(&input));
            assert!(run.is_ok(), "{} breaks its promise: {place}", attack.name);
        }
    }
}

#[test]
fn every_input_belongs_to_an_attack() {
    for kind in ["corpus", "findings"] {
        for entry in attacks::here().join(kind).read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = attacks::Attack::named(name.trim_end_matches(".txt")).is_some();
            assert!(known || !cfg!(feature = "compute"), "{kind}/{name} is no attack's");
        }
    }
}
