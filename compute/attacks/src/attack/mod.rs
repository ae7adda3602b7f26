//! One file an attack: its first line says what it tries.

use super::Attack;

macro_rules! attacks {
    ($(#[$doc:meta])+ $list:ident: $($name:ident),+ $(,)?) => {
        $(mod $name;)+

        $(#[$doc])+
        const $list: &[Attack] =
            &[$(Attack { name: stringify!($name), reads: $name::attack, seeds: $name::seeds }),+];
    };
}

mod good;

attacks! {
    /// Every attack on what needs no libtorch.
    LIGHT:
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

#[cfg(feature = "compute")]
attacks! {
    /// Every attack on the program's own readers.
    OF_COMPUTE:
    label_file, corpus_file, chat_template, json_bundle, neuronpedia_batch, sae_vis_json, page,
}

/// Without the program, none on its readers.
#[cfg(not(feature = "compute"))]
const OF_COMPUTE: &[Attack] = &[];

/// Every attack.
pub fn all() -> impl Iterator<Item = Attack> {
    LIGHT.iter().chain(OF_COMPUTE).copied()
}
