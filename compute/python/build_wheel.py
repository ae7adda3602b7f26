"""Packs the program, the page and this package into a wheel: python3 build_wheel.py COMPUTE PAGE VERSION OUT

It needs nothing but Python. `cargo xtask wheel` calls it.
"""

import base64
import hashlib
import platform
import sys
import zipfile
from pathlib import Path

NAME = "sae_vis_rs"
SUMMARY = "What each feature of a sparse autoencoder means: pages, notebooks, arrays"
#: The version of torch whose libraries the program is linked with.
TORCH = "2.11"


def main(compute, page, version, out):
    here = Path(__file__).parent
    info = f"{NAME}-{version}.dist-info"
    tag = f"py3-none-{sys.platform}_{platform.machine()}"
    files = {f"{NAME}/{path.name}": path.read_bytes() for path in sorted((here / NAME).glob("*.py"))}
    files[f"{NAME}/bin/compute"] = Path(compute).read_bytes()
    for path in sorted(Path(page).iterdir()):
        if path.is_file():
            files[f"{NAME}/page/{path.name}"] = path.read_bytes()
    if f"{NAME}/page/index.html" not in files:
        sys.exit(f"build_wheel: the page has no index.html: build it with `cargo xtask site` ({page})")
    root = here.parent.parent
    for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
        files[f"{info}/licenses/{licence}"] = (root / licence).read_bytes()
    files[f"{info}/METADATA"] = "\n".join([
        "Metadata-Version: 2.4", f"Name: {NAME}", f"Version: {version}", f"Summary: {SUMMARY}",
        "License-Expression: MIT OR Apache-2.0", "Requires-Python: >=3.9", "Requires-Dist: numpy",
        f"Requires-Dist: torch=={TORCH}.*", "Provides-Extra: frames", "Requires-Dist: pandas; extra == 'frames'", "", "",
    ]).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()

    def digest(data):
        return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

    record = [f"{path},sha256={digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            # No time of its own: the same files make the same wheel.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name.endswith("/bin/compute") else 0o100644) << 16
            wheel.writestr(entry, data)
    print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
