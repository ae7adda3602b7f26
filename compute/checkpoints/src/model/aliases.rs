//! Models by the names that TransformerLens gives them: facts of its list, for families that are read.
//!
//! Most names are the hub's without the owner (`pythia-70m`); the rest are in a table.

/// Names that are not the hub's without the owner. TransformerLens also knows NeelNanda's models with `-new`
/// and `-c4-code` after their names.
const NAMES: [(&str, &str); 71] = [
    ("gpt2-small", "gpt2"),
    ("gpt2-xs", "distilgpt2"),
    ("distillgpt2", "distilgpt2"),
    ("distill-gpt2", "distilgpt2"),
    ("distil-gpt2", "distilgpt2"),
    ("gpt-j", "EleutherAI/gpt-j-6B"),
    ("gptj", "EleutherAI/gpt-j-6B"),
    ("gpt-neo-small", "EleutherAI/gpt-neo-125M"),
    ("neo-small", "EleutherAI/gpt-neo-125M"),
    ("neo", "EleutherAI/gpt-neo-125M"),
    ("gpt-neo-medium", "EleutherAI/gpt-neo-1.3B"),
    ("neo-medium", "EleutherAI/gpt-neo-1.3B"),
    ("gpt-neo-large", "EleutherAI/gpt-neo-2.7B"),
    ("neo-large", "EleutherAI/gpt-neo-2.7B"),
    ("gpt-neox", "EleutherAI/gpt-neox-20b"),
    ("neox", "EleutherAI/gpt-neox-20b"),
    ("pythia", "EleutherAI/pythia-70m"),
    ("pythia-v0", "EleutherAI/pythia-70m-v0"),
    ("opt", "facebook/opt-125m"),
    ("opt-small", "facebook/opt-125m"),
    ("opt-medium", "facebook/opt-1.3b"),
    ("opt-large", "facebook/opt-2.7b"),
    ("opt-xl", "facebook/opt-6.7b"),
    ("opt-xxl", "facebook/opt-13b"),
    ("opt-xxxl", "facebook/opt-30b"),
    ("opt-xxxxl", "facebook/opt-66b"),
    ("llama-2-7b", "meta-llama/Llama-2-7b-hf"),
    ("llama-2-7b-chat", "meta-llama/Llama-2-7b-chat-hf"),
    ("llama-2-13b", "meta-llama/Llama-2-13b-hf"),
    ("llama-2-13b-chat", "meta-llama/Llama-2-13b-chat-hf"),
    ("llama-2-70b-chat", "meta-llama/Llama-2-70b-chat-hf"),
    ("codellamallama-2-7b", "codellama/CodeLlama-7b-hf"),
    ("codellama-7b-python", "codellama/CodeLlama-7b-Python-hf"),
    ("codellama-7b-instruct", "codellama/CodeLlama-7b-Instruct-hf"),
    ("mistral-7b", "mistralai/Mistral-7B-v0.1"),
    ("mistral-7b-instruct", "mistralai/Mistral-7B-Instruct-v0.1"),
    ("phi-3", "microsoft/Phi-3-mini-4k-instruct"),
    ("gelu-1l", "NeelNanda/GELU_1L512W_C4_Code"),
    ("gelu-2l", "NeelNanda/GELU_2L512W_C4_Code"),
    ("gelu-3l", "NeelNanda/GELU_3L512W_C4_Code"),
    ("gelu-4l", "NeelNanda/GELU_4L512W_C4_Code"),
    ("solu-1l", "NeelNanda/SoLU_1L512W_C4_Code"),
    ("solu-2l", "NeelNanda/SoLU_2L512W_C4_Code"),
    ("solu-3l", "NeelNanda/SoLU_3L512W_C4_Code"),
    ("solu-4l", "NeelNanda/SoLU_4L512W_C4_Code"),
    ("solu-6l", "NeelNanda/SoLU_6L768W_C4_Code"),
    ("solu-8l", "NeelNanda/SoLU_8L1024W_C4_Code"),
    ("solu-10l", "NeelNanda/SoLU_10L1280W_C4_Code"),
    ("solu-12l", "NeelNanda/SoLU_12L1536W_C4_Code"),
    ("solu-1l-wiki", "NeelNanda/SoLU_1L512W_Wiki_Finetune"),
    ("solu-4l-wiki", "NeelNanda/SoLU_4L512W_Wiki_Finetune"),
    ("solu-1l-pile", "NeelNanda/SoLU_1L_v9_old"),
    ("solu-2l-pile", "NeelNanda/SoLU_2L_v10_old"),
    ("solu-4l-pile", "NeelNanda/SoLU_4L_v11_old"),
    ("solu-6l-pile", "NeelNanda/SoLU_6L_v13_old"),
    ("solu-8l-pile", "NeelNanda/SoLU_8L_v21_old"),
    ("solu-10l-pile", "NeelNanda/SoLU_10L_v22_old"),
    ("solu-12l-pile", "NeelNanda/SoLU_12L_v23_old"),
    ("attn-only-1l", "NeelNanda/Attn_Only_1L512W_C4_Code"),
    ("attn-only-2l", "NeelNanda/Attn_Only_2L512W_C4_Code"),
    ("attn-only-3l", "NeelNanda/Attn_Only_3L512W_C4_Code"),
    ("attn-only-4l", "NeelNanda/Attn_Only_4L512W_C4_Code"),
    ("tiny-stories-1l-21m", "roneneldan/TinyStories-1Layer-21M"),
    ("tiny-stories-2l-33m", "roneneldan/TinyStories-2Layers-33M"),
    ("tiny-stories-instruct-2l-33m", "roneneldan/TinyStories-Instruct-2Layers-33M"),
    ("tiny-stories-instruct-1l-21m", "roneneldan/TinyStories-Instuct-1Layer-21M"), // so spelt on the hub
    ("stanford-gpt2-small-a", "stanford-crfm/alias-gpt2-small-x21"),
    ("stanford-gpt2-small-b", "stanford-crfm/battlestar-gpt2-small-x49"),
    ("stanford-gpt2-small-c", "stanford-crfm/caprica-gpt2-small-x81"),
    ("stanford-gpt2-small-d", "stanford-crfm/darkmatter-gpt2-small-x343"),
    ("stanford-gpt2-small-e", "stanford-crfm/expanse-gpt2-small-x777"),
];

/// Owners whose models are called by the rest of their names: what such a name begins with, the owner, and
/// the names that exist (without the beginning, as the hub spells them).
const OWNERS: [(&str, &str, &str); 17] = [
    (
        "pythia-",
        "EleutherAI/pythia-",
        "14m 31m 70m 160m 410m 1b 1.4b 2.8b 6.9b 12b 70m-deduped 160m-deduped 410m-deduped 1b-deduped 1.4b-deduped 2.8b-deduped 6.9b-deduped 12b-deduped 70m-v0 160m-v0 410m-v0 1b-v0 1.4b-v0 2.8b-v0 6.9b-v0 12b-v0 70m-deduped-v0 160m-deduped-v0 410m-deduped-v0 1b-deduped-v0 1.4b-deduped-v0 2.8b-deduped-v0 6.9b-deduped-v0 12b-deduped-v0 160m-seed1 160m-seed2 160m-seed3",
    ),
    ("gpt-neo-", "EleutherAI/gpt-neo-", "125M 1.3B 2.7B"),
    ("gpt-neox-", "EleutherAI/gpt-neox-", "20b"),
    ("gpt-j-", "EleutherAI/gpt-j-", "6B"),
    ("opt-", "facebook/opt-", "125m 1.3b 2.7b 6.7b 13b 30b 66b"),
    ("gemma-", "google/gemma-", "2b 2b-it 7b 7b-it"),
    ("gemma-2-", "google/gemma-2-", "2b 2b-it 9b 9b-it 27b 27b-it"),
    ("gemma-3-", "google/gemma-3-", "270m 270m-it 1b-pt 1b-it 4b-pt 4b-it 12b-pt 12b-it 27b-pt 27b-it"),
    ("llama-3.1-", "meta-llama/Llama-3.1-", "8B 8B-Instruct 70B 70B-Instruct"),
    ("llama-3.2-", "meta-llama/Llama-3.2-", "1B 1B-Instruct 3B 3B-Instruct"),
    ("meta-llama-3-", "meta-llama/Meta-Llama-3-", "8B 8B-Instruct 70B 70B-Instruct"),
    ("phi-", "microsoft/phi-", "1 1_5 2 4"),
    ("qwen2-", "Qwen/Qwen2-", "0.5B 0.5B-Instruct 1.5B 1.5B-Instruct 7B 7B-Instruct"),
    (
        "qwen2.5-",
        "Qwen/Qwen2.5-",
        "0.5B 0.5B-Instruct 1.5B 1.5B-Instruct 3B 3B-Instruct 7B 7B-Instruct 14B 14B-Instruct 32B 32B-Instruct 72B 72B-Instruct",
    ),
    ("qwen3-", "Qwen/Qwen3-", "0.6B 0.6B-Base 1.7B 4B 8B 14B"),
    (
        "tiny-stories-",
        "roneneldan/TinyStories-",
        "1M 3M 8M 28M 33M Instruct-1M Instruct-3M Instruct-8M Instruct-28M Instruct-33M",
    ),
    (
        "deepseek-r1-distill-",
        "deepseek-ai/DeepSeek-R1-Distill-",
        "Llama-8B Llama-70B Qwen-1.5B Qwen-7B Qwen-14B Qwen-32B",
    ),
];

/// The hub's name of a model that TransformerLens knows by a name of its own; `None` for any other name.
///
/// Letters may be small or capital, as in TransformerLens.
pub fn hub_name(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let plain = name.strip_suffix("-new").or(name.strip_suffix("-c4-code")).unwrap_or(&name);
    let named = |(own, hub): &&(&str, &str)| *own == name || (*own == plain && hub.ends_with("_C4_Code"));
    if let Some((_, hub)) = NAMES.iter().find(named) {
        return Some((*hub).to_owned());
    }
    OWNERS.iter().find_map(|(begins, owner, rests)| {
        let rest = name.strip_prefix(begins)?;
        let own = rests.split(' ').find(|own| own.eq_ignore_ascii_case(rest))?;
        Some(format!("{owner}{own}"))
    })
}

#[cfg(test)]
mod tests {
    use super::hub_name;

    #[test]
    fn transformer_lens_names_are_known() {
        for (name, hub) in [
            ("gpt2-small", "gpt2"),
            ("pythia-70m", "EleutherAI/pythia-70m"),
            ("Pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"),
            ("gelu-1l", "NeelNanda/GELU_1L512W_C4_Code"),
            ("gelu-1l-c4-code", "NeelNanda/GELU_1L512W_C4_Code"),
            ("solu-1l-pile", "NeelNanda/SoLU_1L_v9_old"),
            ("gemma-2-2b", "google/gemma-2-2b"),
            ("gemma-2b-it", "google/gemma-2b-it"),
            ("gpt-neo-125m", "EleutherAI/gpt-neo-125M"),
            ("tiny-stories-1M", "roneneldan/TinyStories-1M"),
            ("qwen3-1.7b", "Qwen/Qwen3-1.7B"),
        ] {
            assert_eq!(hub_name(name).as_deref(), Some(hub), "{name}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in ["gpt2", "google/gemma-2-2b", "solu-1l-pile-new", "gemma-2-3b", "", "a/folder"] {
            assert_eq!(hub_name(name), None, "{name}");
        }
    }
}
