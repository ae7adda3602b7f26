"""The program `compute`, which comes with this package and uses the torch that is installed."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "page"


class ComputeError(RuntimeError):
    """What `compute` said when it failed: one line."""


def environment():
    """The environment in which the program finds torch's libraries."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise ComputeError("torch is not installed: pip install torch==2.11.*")
    torch = Path(next(iter(spec.submodule_search_locations)))
    folders = [torch / "lib", *sorted(torch.parent.glob("nvidia/*/lib"))]
    before = os.environ.get("LD_LIBRARY_PATH")
    paths = [str(folder) for folder in folders] + ([before] if before else [])
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}


def command(*arguments):
    """The program with arguments, as `subprocess` takes it."""
    return [str(HERE / "bin" / "compute"), *map(str, arguments)]


def compute(*arguments):
    """Runs `compute` with arguments as on the command line, and returns what it printed.

    Raises `ComputeError` with the program's own line where it fails.
    """
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ComputeError(said[-1].removeprefix("compute: ") if said else f"compute ended with {done.returncode}")
    return done.stdout
