"""What each feature of a sparse autoencoder means, from Python.

`run` computes a bundle, `open` reads one as NumPy arrays, `show` puts its page into a notebook, and `write_activations`
writes activations of your own making (probes, steering vectors, neurons, transcoders), of which `run(acts=...)` makes a
bundle without any model.
"""

from ._program import ComputeError, compute
from .activations import write_activations
from .bundle import Bundle, Feature, open
from .notebook import show
from .runs import run

__all__ = ["Bundle", "ComputeError", "Feature", "compute", "open", "run", "show", "write_activations"]
