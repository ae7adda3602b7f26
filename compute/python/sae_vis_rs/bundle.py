"""Bundles as NumPy arrays, and as pandas frames where pandas is installed."""

import json
from bisect import bisect_left
from functools import cached_property
from pathlib import Path

import numpy as np

from .wire import Reader

_STATS = ("density", "max", "mean", "std", "skewness", "kurtosis")


def open(path):
    """Opens the bundle in the folder `path`."""
    return Bundle(path)


def _frame(columns):
    try:
        import pandas
    except ImportError as error:
        raise ImportError("frames need pandas: pip install pandas") from error
    return pandas.DataFrame(columns)


class Bundle:
    """A bundle. What is read is read once.

    - `manifest`: its manifest, as JSON
    - `features`: the numbers of its features, `[n]`
    """

    def __init__(self, path):
        self.path = Path(path)
        manifest = self.path / "manifest.json"
        if not manifest.is_file():
            raise FileNotFoundError(f"no bundle here: expected its folder ({self.path})")
        self.manifest = json.loads(manifest.read_text())
        major = self.manifest.get("schema", {}).get("major")
        if major != 3:
            raise ValueError(f"the bundle has schema {major}, expected 3: run compute again ({self.path})")
        ranges = self.manifest["features"]
        self.features = np.concatenate([np.arange(r["start"], r["end"]) for r in ranges] or [np.zeros(0, np.int64)])
        self._files = {file["path"]: file for file in self.manifest["files"]}
        self._blocks = {}

    def __repr__(self):
        sae, model = self.manifest["sae"]["name"], self.manifest["model"]["name"]
        return f"Bundle({str(self.path)!r}: {len(self.features)} features of {sae} on {model})"

    def _read(self, path):
        file = self._files.get(path)
        if file is None:
            raise KeyError(f"the bundle has no {path} ({self.path})")
        folder = self.path / self.manifest["shared"] if file.get("shared") else self.path
        return Reader.of_file(folder / path)

    @cached_property
    def vocab(self):
        """The bytes of every token, by id."""
        r = self._read("vocab.bin")
        ends = r.us()
        data = bytes(r.take(r.u()))
        starts = np.concatenate([[0], ends[:-1]])
        return [data[start:end] for start, end in zip(starts, ends)]

    def text(self, token_ids):
        """The text of some tokens; bytes that are no character become U+FFFD."""
        return b"".join(self.vocab[i] for i in np.atleast_1d(token_ids)).decode(errors="replace")

    @cached_property
    def tokens(self):
        """Token ids of the corpus, `[n_rows, seq_len]`; `None` where the bundle was made without its text."""
        chunks = sorted(path for path in self._files if path.startswith("corpus/"))
        rows = []
        for path in chunks:
            r = self._read(path)
            _first, seq_len = r.u(), r.u()
            rows.append(r.us().reshape(-1, seq_len))
        return np.concatenate(rows) if rows else None

    @cached_property
    def index(self):
        """The table over all features: a dict of arrays, `[n]` each, and the token ids that each is most active at and
        whose logits it raises, as lists."""
        r = self._read("features/index.bin")
        table = {"feature": r.us(), **{name: r.fs() for name in _STATS}}
        table["active_tokens"] = r.list(r.us)
        table["logit_tokens"] = r.list(r.us)
        return table

    def table(self):
        """The same as a pandas frame, with tokens as texts."""
        columns = dict(self.index)
        for name in ("active_tokens", "logit_tokens"):
            columns[name] = [[self.text(i) for i in ids] for ids in columns[name]]
        return _frame(columns).set_index("feature")

    @cached_property
    def labels(self):
        """Labels of features: a dict by feature."""
        if "layers/labels.bin" not in self._files:
            return {}
        r = self._read("layers/labels.bin")
        features = r.us()
        return dict(zip(features.tolist(), r.list(r.text)))

    def feature(self, feature):
        """A feature, by its number."""
        blocks = self.manifest["blocks"]
        i = bisect_left([block["last"] for block in blocks], feature)
        if i == len(blocks) or not np.isin(feature, self.features):
            raise KeyError(f"the bundle has no feature {feature} ({self.path})")
        if i not in self._blocks:
            r = self._read(f"features/{i:04}.bin")
            read = r.list(lambda: Feature(self, r.sized()))
            self._blocks[i] = {found.feature: found for found in read}
        return self._blocks[i][feature]

    def activations(self, feature):
        """A feature's activations on the rows of its examples: row, position in the row, value; `[n]` each."""
        s = self.feature(feature).sequences
        if s is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        slots = s["active"]
        return s["act_rows"][slots // s["row_len"]], slots % s["row_len"], s["values"]


class Feature:
    """All that one feature's page shows.

    - `feature`: its number
    - `n_active`, `density`, `max`, `min`: of its activations in the corpus
    - `moments`: mean, std, skewness, kurtosis of active values; `None` where they are not known
    - `tables`: rows of number, Pearson correlation (or value) and cosine similarity (or share of the L1 norm), by table
    - `acts_histogram`, `logits_histogram`: (minimum, maximum, counts)
    - `top_logits`, `bottom_logits`: (token ids, logits)
    - `sequences`: columns of its examples; `examples()` reads better
    """

    def __init__(self, bundle, r):
        self.bundle = bundle
        self.feature = r.u()
        self.n_active, self.density = r.optional(r.u), r.optional(r.d)
        self.max, self.min = r.f(), r.f()
        names = ("mean", "std", "skewness", "kurtosis")
        self.moments = r.optional(lambda: {name: r.d() for name in names})
        r.optional(lambda: (r.u(), r.decimals()))
        names = ("neuron_alignment", "correlated_neurons", "correlated_features", "correlated_b_features")
        self.tables = {name: r.optional(lambda: r.list(lambda: (r.u(), r.f(), r.f()))) for name in names}
        self.acts_histogram = r.optional(lambda: (r.f(), r.f(), r.us()))
        self.logits_histogram = r.optional(lambda: (r.f(), r.f(), r.us()))
        sides = r.optional(lambda: [r.list(lambda: (r.u(), r.f())) for _ in range(2)])
        self.top_logits, self.bottom_logits = sides if sides else ([], [])
        self.sequences = r.optional(lambda: _sequences(r.sized()))

    def __repr__(self):
        label = self.bundle.labels.get(self.feature)
        return f"Feature({self.feature}, density={self.density}, max={self.max:.4g}{f', {label!r}' if label else ''})"

    def examples(self):
        """Its examples: dicts of group, row, position, act, count, and the window's token ids, its text, and the index of
        the bold token in it."""
        s = self.sequences
        if s is None:
            return []
        found, at, before = [], 0, s["buffer"]
        groups = [name for name, n in s["groups"] for _ in range(n)]
        rows = s["act_rows"][s["rows"]]
        lengths = s["row_lens"][s["rows"]] if len(s["row_lens"]) else np.full(len(rows), s["row_len"])
        for i, (row, position, act) in enumerate(zip(rows, s["positions"], s["acts"])):
            first = 0 if before is None else max(0, position - before[0])
            last = lengths[i] if before is None else min(lengths[i], position + before[1] + 1)
            ids = s["token_ids"][at : at + last - first]
            at += last - first
            found.append({
                "group": groups[i], "row": int(row), "position": int(position), "act": float(act),
                "count": int(s["counts"][i]) if len(s["counts"]) else 1, "token_ids": ids, "text": self.bundle.text(ids),
                "bold": int(position - first),
            })
        return found

    def frame(self):
        """The same as a pandas frame."""
        return _frame(self.examples())


def _group(r):
    r = r.sized()
    kind, fields = r.text(), r.sized()
    if kind in ("interval", "quantile"):
        bounds = [fields.f() for _ in range(2 if kind == "interval" else 4)][-2:]
        kind = f"{kind} {bounds[0]:.4g} to {bounds[1]:.4g}"
    return kind, r.u()


def _sequences(r):
    s = {"groups": r.list(lambda: _group(r)), "rows": r.us(), "positions": r.us(), "acts": r.decimals(), "counts": r.us()}
    s["buffer"] = r.optional(lambda: (r.u(), r.u()))
    s["token_ids"], s["token_logits"] = r.us(), r.decimals()
    acts = r.sized()
    s["act_rows"], s["row_len"], s["row_lens"] = acts.gaps(), acts.u(), acts.us()
    s["active"], s["values"] = acts.gaps(), acts.decimals()
    return s
