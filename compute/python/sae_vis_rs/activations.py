"""Activations of one's own, as files that `compute import --from activations` reads."""

import json
import struct
from pathlib import Path

import numpy as np

#: Entries in a file.
ENTRIES = 1 << 22
_DTYPES = {"<f4": "F32", "<i8": "I64", "<i4": "I32"}


def write_activations(
    folder, tokens, acts, *, n_features=None, decoder=None, logits=None, hook_acts=None, vocab=None, name=None, model=None,
    hook=None, dataset=None, signed=False,
):
    """Writes activations of features, so that `run(acts=folder, out=...)` makes pages of them.

    - `tokens`: token ids, `[n_rows, seq_len]`
    - `acts`: `[n_rows, seq_len, n_features]` or `[n_rows * seq_len, n_features]`, dense or a matrix of scipy.sparse; or a
      tuple of positions (`row * seq_len + pos`), features and values, `[n]` each, in any order, with `n_features`
    - `decoder`: the direction that each feature writes, `[n_features, d]`
    - `logits`: what each feature adds to the logits of the next token, `[n_features, d_vocab]`
    - `hook_acts`: activations of the neurons beside the features, `[n_rows * seq_len, d]`
    - `vocab`: the text of every token id, a list; or `tokenizer` is given to `run`
    - `signed`: whether activations may be negative
    - `name`, `model`, `hook`, `dataset`: what the page calls them

    Arrays are NumPy's, or anything that `numpy.asarray` takes. Returns the folder. Raises `ValueError` where shapes do not
    fit, or where an entry is there twice.
    """
    tokens = np.asarray(tokens)
    if tokens.ndim != 2:
        raise ValueError(f"tokens has shape {tokens.shape}, expected [n_rows, seq_len]")
    n_positions = tokens.size
    positions, features, values, found = _entries(acts, n_positions)
    n_features = found if n_features is None else int(n_features)
    if n_features is None:
        raise ValueError("n_features is needed where acts are positions, features and values")
    order = np.lexsort((features, positions))
    positions, features, values = positions[order], features[order], values[order]
    twice = (np.diff(positions) == 0) & (np.diff(features) == 0)
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        raise ValueError(f"feature {features[at]} has two activations at position {positions[at]}")
    matrices = {"decoder": ("W_dec", decoder), "logits": ("logits", logits), "hook_acts": ("hook_acts", hook_acts)}
    expected = {"decoder": n_features, "logits": n_features, "hook_acts": n_positions}
    for file, (_, matrix) in matrices.items():
        if matrix is not None and (np.ndim(matrix) != 2 or len(matrix) != expected[file]):
            raise ValueError(f"{file} has shape {np.shape(matrix)}, expected [{expected[file]}, …]")

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("acts-*.safetensors"), folder / "activations.json", folder / "vocab.json"]:
        old.unlink(missing_ok=True)
    _save(folder / "tokens.safetensors", tokens=tokens.astype("<i8"))
    for i, first in enumerate(range(0, max(len(values), 1), ENTRIES)):
        part = slice(first, first + ENTRIES)
        _save(folder / f"acts-{i:04}.safetensors", positions=positions[part].astype("<i8"),
              features=features[part].astype("<i8"), values=values[part].astype("<f4"))
    for file, (key, matrix) in matrices.items():
        path = folder / f"{file}.safetensors"
        path.unlink(missing_ok=True)
        if matrix is not None:
            _save(path, **{key: np.asarray(matrix).astype("<f4")})
    if vocab is not None:
        (folder / "vocab.json").write_text(json.dumps(list(vocab)))
    about = {"format": "sae-vis activations", "version": 1, "n_features": n_features, "signed": bool(signed)}
    named = {"name": name, "model": model, "hook": hook, "dataset": dataset}
    about |= {key: str(value) for key, value in named.items() if value is not None}
    # Last: a folder with it is whole.
    (folder / "activations.json").write_text(json.dumps(about))
    return folder


def _entries(acts, n_positions):
    """Positions, features, values, and the number of features where that is known."""
    if isinstance(acts, tuple):
        positions, features, values = (np.asarray(part) for part in acts)
        if not positions.shape == features.shape == values.shape or positions.ndim != 1:
            raise ValueError("positions, features and values have shapes "
                             f"{positions.shape}, {features.shape}, {values.shape}, expected the same [n]")
        return positions, features, values, None
    if hasattr(acts, "tocoo"):
        coo = acts.tocoo()
        positions, features, values, shape = coo.row, coo.col, coo.data, coo.shape
    else:
        dense = np.asarray(acts)
        if dense.ndim == 3:
            dense = dense.reshape(-1, dense.shape[-1])
        if dense.ndim != 2:
            raise ValueError(f"acts has shape {dense.shape}, expected [n_rows, seq_len, n_features]")
        positions, features = np.nonzero(dense)
        values, shape = dense[positions, features], dense.shape
    if shape[0] != n_positions:
        raise ValueError(f"acts has {shape[0]} positions, the tokens {n_positions}")
    return positions, features, values, shape[1]


def _save(path, **arrays):
    """Writes arrays as safetensors."""
    header, at = {}, 0
    for name, array in arrays.items():
        n_bytes = array.nbytes
        shape = list(array.shape)
        header[name] = {"dtype": _DTYPES[array.dtype.str], "shape": shape, "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            np.ascontiguousarray(array).tofile(file)
