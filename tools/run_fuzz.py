#!/usr/bin/env python3
"""Runs the fuzz targets of a build folder for some seconds each, as many at once as there are CPUs.

    tools/run_fuzz.py build-fuzz --seconds 60

Each starts from its corpus in tests/fuzz/corpus/NAME; what it finds new goes to
build-fuzz/corpus/NAME, inputs that crash to build-fuzz/crashes/. Leaves build-fuzz/fuzz-results.json
and exits with 1 when a target failed.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
UBSAN_OPTIONS = "halt_on_error=1:abort_on_error=1:print_stacktrace=1"


def run_target(target, folder, seconds):
    name = target.name.removeprefix("fuzz_")
    found = folder / "corpus" / name
    crashes = folder / "crashes"
    seeds = TOP / "tests" / "fuzz" / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(exist_ok=True)
    dictionary = TOP / "tests" / "fuzz" / f"{name}.dict"
    command = [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               "-print_final_stats=1", f"-artifact_prefix={crashes}/{name}-", found]
    if seeds.is_dir():
        command.append(seeds)
    if dictionary.exists():
        command.insert(1, f"-dict={dictionary}")
    log = folder / f"fuzz-{name}.log"
    started = time.monotonic()
    with log.open("wb") as output:
        status = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=output, check=False,
                                env=os.environ | {"UBSAN_OPTIONS": UBSAN_OPTIONS}).returncode
    runs = [line.split()[-1] for line in log.read_text(errors="replace").splitlines()
            if line.startswith("stat::number_of_executed_units")]
    took = time.monotonic() - started
    print(f"-- fuzz {name}: {'ok' if status == 0 else 'FAILED'}, "
          f"{runs[0] if runs else '?'} runs in {took:.0f} s", flush=True)
    if status != 0:
        print(log.read_text(errors="replace")[-6000:], flush=True)
    return {"name": name, "ok": status == 0, "runs": int(runs[0]) if runs else None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    targets = sorted(path for path in (arguments.folder / "tests" / "fuzz").glob("fuzz_*")
                     if path.is_file() and os.access(path, os.X_OK))
    print(f"-- fuzzing {', '.join(target.name for target in targets)}: "
          f"{arguments.seconds} s each", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(
            lambda target: run_target(target, arguments.folder, arguments.seconds), targets))
    (arguments.folder / "fuzz-results.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0 if results and all(result["ok"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
