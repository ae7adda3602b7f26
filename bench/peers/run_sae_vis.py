"""Runs sae_vis on the demo, with a second SAE and effects; prints the seconds its own call took.

usage: run_sae_vis.py DEMO OUT N_FEATURES N_ROWS
"""

import pathlib
import sys
import time

import torch
from sae_vis.data_config_classes import (
    ActsHistogramConfig,
    Column,
    FeatureTablesConfig,
    LogitsHistogramConfig,
    LogitsTableConfig,
    SaeVisConfig,
    SaeVisLayoutConfig,
    SequencesConfig,
)
from sae_vis.data_storing_fns import SaeVisData
from sae_vis.model_fns import AutoEncoder, AutoEncoderConfig
from transformer_lens import HookedTransformer
from transformer_lens.loading_from_pretrained import convert_gpt2_weights

import demo_model

demo, out = pathlib.Path(sys.argv[1]), sys.argv[2]
n_features, n_rows = int(sys.argv[3]), int(sys.argv[4])
torch.set_grad_enabled(False)


def sae(name):
    weights = demo_model.sae_weights(demo, name)
    d_in, d_hidden = weights["W_enc"].shape
    encoder = AutoEncoder(AutoEncoderConfig(d_in=d_in, d_hidden=d_hidden))
    encoder.load_state_dict(weights)
    return encoder


model = demo_model.load(demo, HookedTransformer, convert_gpt2_weights)
first, second = sae("sae-mlp-a"), sae("sae-mlp-b")
layout = SaeVisLayoutConfig(
    [
        Column(FeatureTablesConfig(correlated_b_features_table=True)),
        Column(ActsHistogramConfig(), LogitsTableConfig(), LogitsHistogramConfig()),
        Column(SequencesConfig()),
    ]
)
config = SaeVisConfig(
    hook_point=demo_model.HOOK, features=range(n_features), feature_centric_layout=layout, verbose=False
)
start = time.perf_counter()
data = SaeVisData.create(
    encoder=first, encoder_B=second, model=model, tokens=demo_model.tokens(demo, n_rows), cfg=config
)
data.save_feature_centric_vis(out)
print(time.perf_counter() - start)
