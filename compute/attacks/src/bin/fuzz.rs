//! The binary of cargo-fuzz: one for all attacks, so that it is linked once. `ATTACK` names the one that it makes.
#![no_main]

use std::sync::LazyLock;

use attacks::Attack;

static ATTACK: LazyLock<Option<Attack>> =
    LazyLock::new(|| std::env::var("ATTACK").ok().and_then(|name| Attack::named(&name)));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match &*ATTACK {
        Some(attack) => {
            attack.run(bytes);
        }
        None => assert!(ATTACK.is_some(), "ATTACK names no attack: `campaign` lists them"),
    }
});
