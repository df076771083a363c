"""The test counter counts what cmocka and pytest print, and misses no crash."""

import json
import pathlib
import subprocess
import sys

import count_tests

COUNTER = pathlib.Path(__file__).resolve().parent / "count_tests.py"
CMOCKA = "1..2\nok 1 - a\nnot ok 2 # SKIP b\n# ok - one\n1..2\nok 1 - a\nnot ok 2 - c\n# 1 != 2\n"
PYTEST = ("...s.F [100%]\nSKIPPED [1] tests/test_x.py:3: no namespaces\n"
          "FAILED tests/test_x.py::test_y - assert 0\n1 failed, 4 passed, 1 skipped in 0.12s\n")


def count(result, stdout):
    return count_tests.count_program({"name": "x", "result": result, "stdout": stdout})


def test_cmocka_groups_are_summed():
    found = count("FAIL", CMOCKA)
    assert str(found) == "2 passed, 1 failed, 1 skipped"
    assert found.reasons == ["b"]
    assert found.failures == ["x: c"]


def test_pytest_line_is_read():
    found = count("FAIL", PYTEST)
    assert str(found) == "4 passed, 1 failed, 1 skipped"
    assert found.reasons == ["tests/test_x.py:3: no namespaces (1x)"]
    assert found.failures == ["x: tests/test_x.py::test_y - assert 0"]


def test_pytest_errors_are_failures():
    assert str(count("FAIL", "2 passed, 3 errors in 61.20s (0:01:01)\n")) == \
        "2 passed, 3 failed, 0 skipped"


def test_program_without_counts_is_one_test():
    assert str(count("OK", "hello\n")) == "1 passed, 0 failed, 0 skipped"
    assert str(count("FAIL", "")) == "0 passed, 1 failed, 0 skipped"
    assert str(count("SKIP", "no root")) == "0 passed, 0 failed, 1 skipped"


def test_crash_after_good_tests_is_a_failure():
    assert str(count("FAIL", "ok 1 - a\n")) == "1 passed, 1 failed, 0 skipped"
    assert str(count("TIMEOUT", "ok 1 - a\n")) == "1 passed, 1 failed, 0 skipped"


def close(tmp_path, *folders):
    run = subprocess.run([sys.executable, COUNTER, *folders], cwd=tmp_path, check=False,
                         stdout=subprocess.PIPE, text=True)
    return run.returncode, run.stdout.splitlines()[-1]


def test_closing_line_sums_folders(tmp_path):
    log = tmp_path / "build" / "meson-logs" / "dev-test.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"name": "x", "result": "OK", "stdout": "ok 1 - a\nok 2 - b\n"}))
    (tmp_path / "build-fuzz").mkdir()
    (tmp_path / "build-fuzz" / "fuzz-results.json").write_text('[{"name": "json", "ok": true}]')
    assert close(tmp_path, "build", "build-fuzz") == (0, "3 passed, 0 failed, 0 skipped")


def test_damaged_log_fails(tmp_path):
    log = tmp_path / "build" / "meson-logs" / "dev-test.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"name": "x", "result": "OK", "stdout": ""}) + "\n\0\0\n")
    assert close(tmp_path, "build") == (1, "1 passed, 1 failed, 0 skipped")


def test_folder_that_did_not_build_fails(tmp_path):
    assert close(tmp_path, "build-clang") == (1, "0 passed, 1 failed, 0 skipped")
