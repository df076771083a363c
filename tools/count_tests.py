#!/usr/bin/env python3
"""Counts single tests over build folders and prints the closing line of ./dev test.

    tools/count_tests.py build build-sanitize …

Reads what `meson test --logbase dev-test` logged: cmocka's TAP lines, pytest's closing line and reasons of skips. A
program that gives no count is one test. A program that failed without a failed test in its output
(it crashed, ran out of time, leaked) is one failed test more. A folder without a log did not build:
one failed test. Exits with 1 when anything failed.
"""

import json
import pathlib
import re
import sys

TAP_LINE = re.compile(r"^(not )?ok \d+\b(.*)$")
PYTEST_LINE = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s")
PYTEST_SKIP = re.compile(r"^SKIPPED \[(\d+)\] (.*)$")
PYTEST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (.*)$")
PYTEST_MEANING = {
    "passed": "passed",
    "xfailed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "xpassed": "failed",
    "skipped": "skipped",
}


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.reasons = []  # of skips
        self.failures = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.reasons += other.reasons
        self.failures += other.failures

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_tap(lines):
    """cmocka 1.1.5 writes a skipped test as "not ok 2 # SKIP name"."""
    count = Count()
    for line in lines:
        match = TAP_LINE.match(line)
        if not match:
            continue
        if "# SKIP" in match[2]:
            count.skipped += 1
            count.reasons.append(match[2].split("# SKIP", 1)[1].strip() or "no reason given")
        elif match[1]:
            count.failed += 1
            count.failures.append(match[2].strip(" -"))
        else:
            count.passed += 1
    return count


def count_pytest(lines):
    count = Count()
    for line in lines:
        match = PYTEST_LINE.match(line)
        if match:
            for part in match[1].split(", "):
                number, word = part.split()
                meaning = PYTEST_MEANING.get(word)
                if meaning:
                    setattr(count, meaning, getattr(count, meaning) + int(number))
        match = PYTEST_SKIP.match(line)
        if match:
            count.reasons.append(f"{match[2]} ({match[1]}x)")
        match = PYTEST_FAILURE.match(line)
        if match:
            count.failures.append(match[1])
    return count


def count_program(entry):
    lines = entry.get("stdout", "").splitlines()
    count = count_tap(lines)
    count.add(count_pytest(lines))
    result = entry["result"]
    total = count.passed + count.failed + count.skipped
    if result in ("OK", "EXPECTEDFAIL"):
        if total == 0:
            count.passed = 1
    elif result == "SKIP":
        if total == 0:
            count.skipped = 1
            count.reasons.append(f"{entry['name']}: {lines[-1] if lines else 'no reason given'}")
    elif count.failed == 0:
        count.failed = 1
        count.failures.append(f"ended with {result} ({entry.get('returncode')})")
    count.failures = [f"{entry['name']}: {failure}" for failure in count.failures]
    return count


def count_fuzz(path):
    count = Count()
    for target in json.loads(path.read_text()):
        if target["ok"]:
            count.passed += 1
        else:
            count.failed += 1
            count.failures.append(f"fuzz {target['name']}")
    return count


def count_folder(folder):
    log = folder / "meson-logs" / "dev-test.json"
    fuzz = folder / "fuzz-results.json"
    count = Count()
    if fuzz.exists():
        return count_fuzz(fuzz)
    if log.exists():
        for line in log.read_text().splitlines():
            try:
                count.add(count_program(json.loads(line)))
            except json.JSONDecodeError:
                count.failed += 1
                count.failures.append(f"{log} is damaged: did something else run at the same time?")
    if count.passed + count.failed + count.skipped == 0:
        count.failed = 1
        count.failures.append("nothing ran")
    return count


def main():
    total = Count()
    for name in sys.argv[1:]:
        count = count_folder(pathlib.Path(name))
        total.add(count)
        for failure in count.failures:
            print(f"{name}: FAILED: {failure}")
        for reason in count.reasons:
            print(f"{name}: skipped: {reason}")
        print(f"{name}: {count.passed} of {count.passed + count.failed + count.skipped} ok")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
