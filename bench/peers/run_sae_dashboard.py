"""Runs SAEDashboard on the demo; it has no second SAE and no effects. Prints the seconds its own call took.

usage: run_sae_dashboard.py DEMO OUT N_FEATURES N_ROWS
"""

import pathlib
import sys
import time

import torch
from sae_dashboard.data_writing_fns import save_feature_centric_vis
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import HookedSAETransformer, StandardSAE, StandardSAEConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

import demo_model

demo, out = pathlib.Path(sys.argv[1]), sys.argv[2]
n_features, n_rows = int(sys.argv[3]), int(sys.argv[4])
torch.set_grad_enabled(False)

model = demo_model.load(demo, HookedSAETransformer, convert_gpt2_weights)
weights = demo_model.sae_weights(demo, "sae-mlp-a")
d_in, d_sae = weights["W_enc"].shape
sae = StandardSAE(StandardSAEConfig(d_in=d_in, d_sae=d_sae, dtype="float32", device="cpu", apply_b_dec_to_input=True))
sae.load_state_dict(weights)
sae.cfg.metadata.hook_name = demo_model.HOOK
sae.cfg.metadata.model_name = "demo"
config = SaeVisConfig(
    device="cpu",
    dtype="float32",
    features=list(range(n_features)),
    hook_point=demo_model.HOOK,
    minibatch_size_features=256,
    minibatch_size_tokens=64,
)
start = time.perf_counter()
data = SaeVisRunner(config).run(encoder=sae, model=model, tokens=demo_model.tokens(demo, n_rows))
save_feature_centric_vis(sae_vis_data=data, filename=out)
print(time.perf_counter() - start)
