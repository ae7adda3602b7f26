"""A bundle's page in a notebook."""

import atexit
import html
import re
import subprocess
import tempfile
from pathlib import Path

from ._program import PAGE, ComputeError, command, compute, environment

_servers = {}


class Shown:
    """A page that notebooks display; `url` is its address, where it is served."""

    def __init__(self, markup, url=None):
        self._markup = markup
        self.url = url

    def _repr_html_(self):
        return self._markup

    def __repr__(self):
        return f"the page at {self.url}" if self.url else "a page"


def show(bundle, feature=None, *, prompt=None, height=800, inline=False, features=None):
    """Shows a bundle's page, at a feature or a prompt if one is named.

    It is served on this machine's loopback until Python ends. Where the notebook runs on another machine than the browser,
    or is to keep the page, `inline=True` puts the page with the bundle into the cell; `features` (such as `"0..64,8"`)
    chooses what it holds.
    """
    path = Path(getattr(bundle, "path", bundle)).resolve()
    fragment = f"#/feature/{feature}" if feature is not None else f"#/prompt/{prompt}" if prompt is not None else ""
    if inline:
        return Shown(_inline(path, feature, prompt, features, height))
    url = _served(path) + fragment
    return Shown(f'<iframe src="{html.escape(url)}" width="100%" height="{int(height)}" style="border:0"></iframe>', url)


def _inline(path, feature, prompt, features, height):
    chosen = [] if feature is None else ["--feature", feature]
    chosen += [] if prompt is None else ["--prompt", prompt]
    chosen += [] if features is None else ["--features", features]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        compute("export", path, "--html", "--page", PAGE, "--quiet", *chosen, "--out", page)
        text = page.read_text()
    return f'<iframe srcdoc="{html.escape(text)}" width="100%" height="{int(height)}" style="border:0"></iframe>'


def _served(path):
    """The address at which the bundle is served, by one server for each bundle."""
    server, url = _servers.get(path, (None, None))
    if server is None or server.poll() is not None:
        server = subprocess.Popen(command("serve", path, "--page", PAGE), env=environment(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        found = re.search(r"http://\S+", server.stdout.readline())
        if found is None:
            said = server.stderr.read().strip()
            raise ComputeError(said.removeprefix("compute: ") or "the page could not be served")
        url = found.group()
        atexit.register(server.kill)
        _servers[path] = (server, url)
    return url
