"""What resvd says, and what it keeps to itself: --check-config with the strategy's own checks, secrets in
lines that are wrong, failures as JSON, warnings, generated pages.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from database_fixtures import require_strategy
from resvd_process import run_resvd

SECRET = "hunter2"
CONFIG = Path(__file__).resolve().parents[2] / "config"
ASIDE = ("--server.listen=127.0.0.1:0", "--server.admin_listen=127.0.0.1:0")


def json_lines(text: str) -> list[dict]:
    """Every line is one object."""
    return [json.loads(line) for line in text.splitlines()]


def wait_log(server, text: str) -> None:
    give_up = time.monotonic() + 5
    while text not in server.log():
        assert time.monotonic() < give_up, server.log()
        time.sleep(0.01)


# --- --check-config -------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["pessimistic", "grouped", "redlock", "async"])
@pytest.mark.parametrize(("flags", "word"), [
    (["pool_min=9", "pool_max=3"], "pool_min"),
    (["reconnect_min_ms=900", "reconnect_max_ms=100"], "reconnect_min_ms"),
    (["ssl_cert=/c.pem"], "ssl_key"),
])
def test_check_config_asks_the_strategy(strategy, flags, word):
    require_strategy(strategy)
    flags = [f"--database.{flag}" for flag in flags]
    checked = run_resvd("--check-config", f"--strategy={strategy}", *flags)
    assert checked.returncode == 78 and checked.stdout == "", checked
    assert "[database]" in checked.stderr and word in checked.stderr
    started = run_resvd(*ASIDE, "--log-level=error", f"--strategy={strategy}", *flags)
    assert (started.returncode, started.stderr) == (78, checked.stderr)


@pytest.mark.parametrize(("flags", "words"), [
    (["batch_wait_ms=500", "sweep_after_ms=500"], "batch_wait_ms must be below sweep_after_ms"),
    (["batch_wait_ms=10001"], "0 to 10000"),
    (["batch_max=0"], "1 to 2000"),
    (["vector_max=501"], "1 to 500"),
    (["sweep_after_ms=99"], "100 to 600000"),
])
def test_check_config_says_what_async_cannot_do(flags, words):
    require_strategy("async")
    flags = [f"--strategy.async.{flag}" for flag in flags]
    checked = run_resvd("--check-config", "--strategy=async", *flags)
    assert checked.returncode == 78 and checked.stdout == "", checked
    assert words in checked.stderr


@pytest.mark.parametrize("strategy", ["embedded", "pessimistic", "grouped", "naive", "redlock",
                                      "async"])
def test_check_config_opens_nothing(strategy, tmp_path):
    """No file, no server."""
    require_strategy(strategy)
    checked = run_resvd("--check-config", f"--strategy={strategy}", "--i-know-this-oversells",
                        "--database.port=1", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == f"configuration is good; strategy {strategy}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.conf")), ids=lambda path: path.stem)
def test_examples_are_good(path):
    """The file of a strategy has its name; resvd.conf is the defaults."""
    strategy = "embedded" if path.stem == "resvd" else path.stem
    require_strategy(strategy)
    checked = run_resvd("--check-config", "-c", str(path))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == f"configuration is good; strategy {strategy}\n"


def test_unknown_strategy_says_where(tmp_path):
    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nstrategy = embeded\n")
    said = run_resvd("--check-config", "-c", str(path)).stderr
    assert f"{path}:2: strategy: 'embeded' is not in this binary" in said
    assert "did you mean 'embedded'?" in said
    said = run_resvd("--check-config", environment={"RESVD_SERVER_STRATEGY": "embeded"}).stderr
    assert said.startswith("RESVD_SERVER_STRATEGY: 'embeded'")
    said = run_resvd("--check-config", "--strategy=embeded").stderr
    assert said.startswith("--server.strategy: 'embeded'")


# --- secrets --------------------------------------------------------------------------------------

LEAKY = [
    f"password {SECRET}", f"paswd = {SECRET}", f"pwd = {SECRET}", f"url=mysql://u:{SECRET}@h/db",
    f"password {SECRET}==", f"api_keys {SECRET}", f"pwd = a\n  {SECRET}",
]


@pytest.mark.parametrize("line", LEAKY)
@pytest.mark.parametrize("section", ["server", "strategy.embedded", "database"])
def test_secret_in_a_wrong_line(tmp_path, section, line):
    path = tmp_path / "resvd.conf"
    path.write_text(f"[{section}]\n{line}\n")
    for more in (["--check-config"], ["--log-format=json"], []):
        result = run_resvd("-c", str(path), *more)
        assert SECRET not in result.stderr + result.stdout
        if result.returncode == 0:  # [database] is not built in: a warning
            assert "built without" in result.stderr
            return
        assert result.returncode == 78 and f"{path}:2: " in result.stderr, result.stderr


@pytest.mark.parametrize("arguments", [
    [f"--database.paswd={SECRET}"], ["--database.paswd", SECRET], [f"--password={SECRET}"], [f"-p{SECRET}"],
    ["-p", SECRET], ["--server.api_keys=a", SECRET],
])
def test_secret_in_a_wrong_flag(arguments):
    result = run_resvd(*arguments)
    assert result.returncode == 64 or "built without" in result.stderr
    assert SECRET not in result.stderr + result.stdout


def test_secret_in_a_wrong_variable():
    for name in ("RESVD_DATABASE_PASWD", "RESVD_PASSWORD", "RESVD_SERVER_API_KEY"):
        result = run_resvd("--check-config", environment={name: SECRET})
        assert name in result.stderr and SECRET not in result.stderr


# --- JSON -----------------------------------------------------------------------------------------


def test_failed_start_as_json(start_fake, tmp_path):
    fake = start_fake(wait=False, server__log_format="json", strategy__fake__start_exit_code=69)
    assert fake.wait_exit() == 69
    (failure,) = [line for line in json_lines(fake.log()) if line["event"] == "start failed"]
    assert failure["level"] == "error" and "start_exit_code" in failure["message"]

    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nlog_format = json\nlistn = x\nmax_connections = many\n")
    result = run_resvd("-c", str(path))
    assert result.returncode == 78
    lines = json_lines(result.stderr)
    assert [line["event"] for line in lines] == ["configuration error"] * 2
    assert lines[0]["message"].startswith(f"{path}:3: ") and "did you mean" in lines[0]["message"]
    assert lines[1]["message"].startswith(f"{path}:4: ")


def test_hup_errors_as_json(start_fake, tmp_path):
    path = tmp_path / "resvd.conf"
    path.write_text("[server]\nlog_format = json\n")
    fake = start_fake(arguments=["-c", str(path)])
    path.write_text(f"[server]\nlog_format = text\npwd = {SECRET}\nlistn = x\n")
    fake.signal(signal.SIGHUP)
    wait_log(fake, "the old one stays")
    events = [line["event"] for line in json_lines(fake.log())]
    assert events.count("configuration error") == 2
    assert SECRET not in fake.log()


def test_failed_start_as_text(start_fake):
    fake = start_fake(wait=False, server__log_format="logfmt", strategy__fake__start_exit_code=69)
    assert fake.wait_exit() == 69
    assert any(line.startswith("resvd: ") for line in fake.log().splitlines())


# --- what is worth a line -------------------------------------------------------------------------


def test_overselling_strategy_warns():
    require_strategy("naive")
    result = run_resvd(*ASIDE, "--strategy=naive", "--i-know-this-oversells", "--log-format=json",
                       "--database.port=1", "--server.start_timeout_ms=200")
    assert result.returncode == 69
    (warning,) = [line for line in json_lines(result.stderr) if "oversells" in line["event"]]
    assert warning["level"] == "warning" and warning["strategy"] == "naive"
    result = run_resvd("--strategy=naive", "--log-format=json")
    assert result.returncode == 78 and "--i-know-this-oversells" in json_lines(result.stderr)[0]["message"]


def test_reset_is_logged(start_fake):
    fake = start_fake(server__allow_reset="on", server__log_format="json")
    fake.admin("POST", "/admin/reset", {"concerts": -1, "capacity": 1, "members": 1}).problem(422)
    fake.reset(concerts=3, capacity=40, members=5)
    (line,) = [line for line in json_lines(fake.log()) if "deleted" in line["event"]]
    assert (line["level"], line["concerts"], line["capacity"], line["members"]) == ("info", "3", "40", "5")


# --- generated pages --------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--print-metrics", "--print-reference"])
def test_each_heading_and_row_once(flag):
    lines = run_resvd(flag).stdout.splitlines()
    headings = [line for line in lines if line.startswith("#")]
    assert len(headings) > 3 and len(headings) == len(set(headings)), headings
    if flag == "--print-metrics":
        rows = [line for line in lines if line.startswith("| `")]
        assert len(rows) > 10 and len(rows) == len(set(rows))


def test_help_has_each_setting_once():
    lines = run_resvd("--help").stdout.splitlines()
    sections = [line for line in lines if line.startswith("[")]
    settings = [line.split("=")[0] for line in lines if line.startswith("  --")]
    assert len(sections) == len(set(sections)) >= 2
    assert len(settings) == len(set(settings))
