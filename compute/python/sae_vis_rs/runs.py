"""Bundles, computed."""

from ._program import compute
from .bundle import open as open_bundle


def run(*, out, acts=None, **options):
    """Computes a bundle at `out`, and opens it.

    With `acts`, a folder that `write_activations` wrote, no model is needed. Otherwise options are those of `compute run`,
    with `_` for `-`: `run(model="gpt2", sae="gpt2-small-res-jb/blocks.6.hook_resid_pre", data="corpus.jsonl", out="bundle",
    features="0..256", prompt=["When John and Mary"])`. A list gives an option several times, `True` is an option without a
    value; `None` and `False` leave it out.

    Raises `ComputeError` where the program refuses; nothing half-written is left.
    """
    if acts is None:
        arguments = ["run"]
    else:
        arguments = ["import", "--from", "activations", acts]
    arguments += ["--quiet", "--out", out]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            arguments += [option] if one is True else [option, one]
    compute(*arguments)
    return open_bundle(out)
