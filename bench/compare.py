"""Runs programs in turns and prints their times, memory and output sizes as a Markdown table.

usage: compare.py JSON, a list of cases {"name", "runs": [{"name", "argv", "out", "own_time", "keep"}]}

Each program is run ROUNDS times, one after the other within a case; the fastest run counts. Time is that of the whole
process, but where "own_time" holds, what the program itself printed last: the peers' imports, seconds long, are not
held against them. What is at "out" is removed before a run, but where "keep" holds: that run goes on from it. Memory is the
largest resident set of the process.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROUNDS = int(os.environ.get("ROUNDS", "2"))


def run(argv, out, own_time, keep):
    """Seconds, peak bytes, and bytes that are there afterwards."""
    path = pathlib.Path(out)
    if path.is_dir() and not keep:
        shutil.rmtree(path)
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{' '.join(argv)} ended with status {status}")
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return (
        float(said.split()[-1]) if own_time else seconds,
        usage.ru_maxrss * 1024,
        sum(file.stat().st_size for file in files),
    )


cases = json.loads(pathlib.Path(sys.argv[1]).read_text())
print("| case | program | seconds | peak memory | written | times the first |")
print("|---|---|---:|---:|---:|---:|")
for case in cases:
    best = {}
    for _ in range(ROUNDS):
        for entry in case["runs"]:
            measured = run(entry["argv"], entry["out"], entry.get("own_time", False), entry.get("keep", False))
            name = entry["name"]
            best[name] = min(best.get(name, measured), measured)
    first = best[case["runs"][0]["name"]][0]
    for name, (seconds, peak, written) in best.items():
        row = [case["name"], name, f"{seconds:.2f}", f"{peak / 2**20:.0f} MiB", f"{written / 1e6:.1f} MB"]
        print("| " + " | ".join([*row, f"{seconds / first:.1f}"]) + " |", flush=True)
