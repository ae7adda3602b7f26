//! Tries any text as the list of published SAEs, and as a name that is looked up in the list that is shipped.

use std::str::FromStr as _;

use checkpoints::sae::{Registry, SaeFormat};

use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let registry = Registry::parse(&text);
    for found in registry.saes().take(64) {
        let _words = (found.hook(), found.hub_name(), found.release.format(), found.release.model_type());
        let _found = (registry.look_up(&found.name()), registry.at(&found.hub_name()));
    }
    let name = text.lines().next().unwrap_or_default();
    let words: Vec<String> = name.split(' ').map(str::to_owned).collect();
    let _found = (registry.search(&words), Registry::shipped().look_up(name), checkpoints::model::aliases::hub_name(name));
    let _format = judged(SaeFormat::from_str(name));
    outcome((!registry.releases.is_empty()).then_some(()))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let list = "# made from SAELens\nllama_scope_r1_distill\tfnlp/R1\tllama-3\tllama_scope_r1_distill\tconstant_norm_rescale\n\
                \tl0r_800m\tx-L0R\t50\t0.5\n\tblocks.3.hook_resid_post__t\t=\t\t\ngemma\tgoogle/g\tgemma-2-2b\tgemma_2\t\n\tlayer_3/w\tlayer_3/=\t1\t\n";
    vec![list.into()]
}
