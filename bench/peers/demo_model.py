"""The demo's model and tokens as the peers read them."""

import pathlib

import numpy
import torch
import transformer_lens
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

HOOK = "blocks.0.mlp.hook_post"


def load(demo: pathlib.Path, hooked_class, convert):
    """The model, with LayerNorm folded and centred weights, as the peers load models by default."""
    folder = demo / "model"
    config = GPT2Config.from_pretrained(folder)
    reference = GPT2LMHeadModel(config)
    weights = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    reference.load_state_dict(weights, strict=False)
    reference.tie_weights()
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token=end, eos_token=end, pad_token=end
    )
    hooked = hooked_class(
        transformer_lens.HookedTransformerConfig(
            act_fn="gelu_new",
            d_head=config.n_embd // config.n_head,
            d_mlp=4 * config.n_embd,
            d_model=config.n_embd,
            d_vocab=config.vocab_size,
            default_prepend_bos=False,
            device="cpu",
            n_ctx=config.n_positions,
            n_heads=config.n_head,
            n_layers=config.n_layer,
            normalization_type="LN",
            original_architecture="GPT2LMHeadModel",
        )
    )
    hooked.tokenizer = tokenizer
    hooked.load_and_process_state_dict(
        convert(reference, hooked.cfg), fold_ln=True, center_writing_weights=True, center_unembed=True
    )
    return hooked


def tokens(demo: pathlib.Path, n_rows: int) -> torch.Tensor:
    """The first rows of the demo's tokens, `[n_rows, 128]`."""
    return torch.from_numpy(numpy.load(demo / "tokens.npy")[:n_rows].astype(numpy.int64))


def sae_weights(demo: pathlib.Path, name: str):
    """An SAE's tensors by name, f32."""
    return {key: tensor.float() for key, tensor in load_file(demo / name / "sae_weights.safetensors").items()}
