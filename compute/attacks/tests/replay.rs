//! Every input that is kept does what every input has to do, and every good file is accepted.

use attacks::Outcome;

#[test]
fn good_files_are_accepted() {
    for attack in attacks::all() {
        let seeds = attack.seeds();
        assert!(!seeds.is_empty(), "{} has no good file", attack.name);
        for (i, seed) in seeds.iter().enumerate() {
            assert_eq!(
                attack.run(seed).outcome,
                Outcome::Accepted,
                "{} refuses its good file {i}",
                attack.name
            );
        }
    }
}

#[test]
fn what_was_found_stays_mended() {
    let mut n = 0;
    for attack in attacks::all() {
        for path in attack.kept() {
            let input = std::fs::read(&path);
            assert!(input.is_ok(), "{}: {input:?}", path.display());
            attack.run(&input.unwrap_or_default());
            n += 1;
        }
    }
    assert!(n > 0, "no inputs lie in compute/attacks");
}

#[test]
fn every_folder_of_inputs_belongs_to_an_attack() {
    for kind in ["corpus", "findings"] {
        let folders = attacks::here().join(kind).read_dir().into_iter().flatten().flatten();
        for folder in folders {
            let name = folder.file_name().to_string_lossy().into_owned();
            assert!(attacks::Attack::named(&name).is_some(), "{kind}/{name} is no attack's");
        }
    }
}
