"""Writes a model of a published one's shape with random weights in bfloat16, an SAE of 16,384 features in the middle of it, and tokens.

usage: random_model.py SHAPE OUT ROWS     SHAPE: gemma-3-1b, qwen3-0.6b or qwen3-1.7b; needs nothing but Python

Then: compute run --model OUT/model --sae OUT/sae --data OUT/tokens.npy --features 0..256 --out OUT/bundle
Random weights have no meaning, but take as long as trained ones.
"""
import json, os, random, struct, sys
from array import array

shape, out, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
common = dict(bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-6, tie_word_embeddings=True, torch_dtype='bfloat16')
CONFIGS = {
    'gemma-3-1b': dict(common, model_type='gemma3_text', hidden_size=1152, intermediate_size=6912, num_hidden_layers=26, num_attention_heads=4, num_key_value_heads=1, head_dim=256, vocab_size=262144,
                       max_position_embeddings=32768, query_pre_attn_scalar=256, sliding_window=512, sliding_window_pattern=6, rope_theta=1000000, rope_local_base_freq=10000, hidden_activation='gelu_pytorch_tanh'),
    'qwen3-0.6b': dict(common, model_type='qwen3', hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8, head_dim=128, vocab_size=151936,
                       max_position_embeddings=40960, rope_theta=1000000, hidden_act='silu'),
    'qwen3-1.7b': dict(common, model_type='qwen3', hidden_size=2048, intermediate_size=6144, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8, head_dim=128, vocab_size=151936,
                       max_position_embeddings=40960, rope_theta=1000000, hidden_act='silu'),
}
config = CONFIGS[shape]
random.seed(0)
d, d_mlp, layers = config['hidden_size'], config['intermediate_size'], config['num_hidden_layers']
d_q, d_kv, d_head = config['num_attention_heads'] * config['head_dim'], config['num_key_value_heads'] * config['head_dim'], config['head_dim']
gemma = shape.startswith('gemma')


def tensors():
    yield 'model.embed_tokens.weight', [config['vocab_size'], d]
    yield 'model.norm.weight', [d]
    norms = ['input_layernorm', 'post_attention_layernorm'] + (['pre_feedforward_layernorm', 'post_feedforward_layernorm'] if gemma else [])
    for layer in range(layers):
        at = f'model.layers.{layer}.'
        for norm in norms:
            yield f'{at}{norm}.weight', [d]
        for norm in ('q_norm', 'k_norm'):
            yield f'{at}self_attn.{norm}.weight', [d_head]
        for name, size in (('self_attn.q_proj', [d_q, d]), ('self_attn.k_proj', [d_kv, d]), ('self_attn.v_proj', [d_kv, d]), ('self_attn.o_proj', [d, d_q]),
                           ('mlp.gate_proj', [d_mlp, d]), ('mlp.up_proj', [d_mlp, d]), ('mlp.down_proj', [d, d_mlp])):
            yield f'{at}{name}.weight', size


def floats(scale, n=1 << 20):
    return array('f', (random.gauss(0, scale) for _ in range(n)))


def as_bf16(values):
    """The upper halves."""
    return array('H', values.tobytes())[1::2].tobytes()


def write(path, items, dtype, width, random_block, one):
    header, start = {}, 0
    items = list(items)
    for name, size in items:
        n = width
        for axis in size:
            n *= axis
        header[name] = dict(dtype=dtype, shape=size, data_offsets=[start, start + n])
        start += n
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for name, size in items:
            n = header[name]['data_offsets'][1] - header[name]['data_offsets'][0]
            if len(size) == 1:
                file.write(one * (n // width))
                continue
            while n:
                first = random.randrange(len(random_block) // width // 2) * width  # the same numbers from another place
                piece = random_block[first:first + n]
                file.write(piece)
                n -= len(piece)


os.makedirs(f'{out}/model', exist_ok=True)
os.makedirs(f'{out}/sae', exist_ok=True)
json.dump(config, open(f'{out}/model/config.json', 'w'))
one = struct.pack('<f', 0.0 if gemma else 1.0)[2:]
write(f'{out}/model/model.safetensors', tensors(), 'BF16', 2, as_bf16(floats(0.02)), one)
d_sae = 16384
json.dump(dict(architecture='topk', k=50, d_in=d, d_sae=d_sae, dtype='float32', apply_b_dec_to_input=True, normalize_activations='none', hook_name=f'blocks.{layers // 2}.hook_resid_post', prepend_bos=False, context_size=128),
          open(f'{out}/sae/cfg.json', 'w'))
write(f'{out}/sae/sae_weights.safetensors', [('W_enc', [d, d_sae]), ('W_dec', [d_sae, d]), ('b_enc', [d_sae]), ('b_dec', [d])], 'F32', 4, floats(0.03).tobytes(), struct.pack('<f', 0.0))
tokens = array('i', (random.randrange(3, config['vocab_size']) for _ in range(rows * 128)))
head = "{'descr': '<i4', 'fortran_order': False, 'shape': (%d, 128), }\n" % rows
with open(f'{out}/tokens.npy', 'wb') as file:
    file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + tokens.tobytes())
