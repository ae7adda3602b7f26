//! One file an attack: its first line says what it tries.

use super::Attack;

macro_rules! attacks {
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+

        /// Every attack.
        pub const ALL: &[Attack] =
            &[$(Attack { name: stringify!($name), reads: $name::attack, seeds: $name::seeds }),+];
    };
}

mod good;

attacks! {
    // checkpoints: containers of weights
    weights, safetensors_header, pickle, npy, shard_index,
    // checkpoints: SAEs
    sae_config, sae_weights, sae_folder, registry,
    // checkpoints: models
    model_config, hook_points,
    // shared: JSON
    manifest, site, layout, document, shared_folder,
    // shared: files of a bundle
    packed_file, block, block_v2, index, prompt, prompt_v2, vocabulary, corpus, labels, explanations, roles,
    neighbours, numbers,
    // shared: archives
    saevis,
}
