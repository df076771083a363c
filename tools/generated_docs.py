#!/usr/bin/env python3
"""The pages that the binary prints from its tables: are they what is in the repository?

    tools/generated_docs.py --binary ./resvd           compares; exits with 1 when one is stale
    tools/generated_docs.py --binary ./resvd --write   writes them again
"""

import argparse
import difflib
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGES = {
    "docs/configuration.md": "--print-reference",
    "docs/resvd.1": "--print-man",
    "docs/metrics.md": "--print-metrics",
    "config/resvd.conf": "--print-default-config",
}


def printed(binary, flag):
    return subprocess.run([binary, flag], check=True, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL).stdout.decode()


def is_current(path, text):
    stored = (TOP / path).read_text() if (TOP / path).exists() else ""
    sys.stdout.writelines(difflib.unified_diff(
        stored.splitlines(True), text.splitlines(True), path, "what the binary prints"))
    return stored == text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    stale = 0
    for number, (path, flag) in enumerate(PAGES.items(), 1):
        text = printed(arguments.binary, flag)
        if arguments.write:
            (TOP / path).parent.mkdir(exist_ok=True)
            (TOP / path).write_text(text)
            print(f"wrote {path}")
        elif is_current(path, text):
            print(f"ok {number} - {path} is current")
        else:
            print(f"not ok {number} - {path} is stale: run ./dev docs")
            stale += 1
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
