"""./dev services (tools/services/cli.py) as its user sees it: in a test's folder, on free ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from services import ports, process
from services.stack import PORTS, PORTS_COUNT, Stack

TIMEOUT_S = 120


class Command:
    """./dev services without its installing, on a stack of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port_base = ports.free_block(PORTS_COUNT)
        self.stack = Stack(folder, self.port_base)

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments, f"--folder={self.folder}",
             f"--port-base={self.port_base}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **options)

    def run(self, *arguments: str, **options) -> tuple[int, str]:
        """Exit code, and all that it said."""
        with self.start(*arguments, **options) as running:
            output, errors = running.communicate(timeout=TIMEOUT_S)
            return running.returncode, output + errors

    def service(self, name: str, brokers: int | None = None):
        return next(one for one in self.stack.select([], brokers) if one.name == name)

    def pids(self) -> dict[str, int]:
        return {one.name: one.pid for one in self.stack.select([], 3) if one.running}

    def at_work(self) -> list[int]:
        """All processes that are in this folder, recorded or not."""
        found = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if Path(os.readlink(link)).is_relative_to(self.folder):
                    found.append(int(link.parent.name))
            except OSError:
                continue
        return sorted(found)


@pytest.fixture
def command(tmp_path):
    stack = Command(tmp_path / "stack")
    yield stack
    for service in stack.stack.select([], 3):
        service.kill()
        service.wipe()


def test_up_status_down_reset(command):
    code, said = command.run("up")
    assert code == 0, said
    assert command.at_work() == sorted(command.pids().values())
    assert re.search(r"^all up after [\d.]+ s", said, re.MULTILINE)
    first = command.pids()
    names = [name for name in PORTS if name not in ("kafka-2", "kafka-3")]
    assert sorted(first) == sorted(names)
    for name in names:
        assert re.search(rf"^-- {name} +127.0.0.1:{command.stack.ports[name]} +ready after", said,
                         re.MULTILINE), said

    code, said = command.run("up")
    assert code == 0 and "all up already" in said and command.pids() == first

    code, said = command.run("status")
    assert code == 0
    lines = {line.split()[0]: line for line in said.splitlines()}
    for name, pid in first.items():
        address = f"127.0.0.1:{command.stack.ports[name]}"
        assert re.match(rf"{name} +up +{address} +pid {pid} +\d+ MiB +answers in [\d.]+ ms +\S",
                        lines[name]), lines[name]

    command.service("mariadb").sql("CREATE TABLE mine (id INT)")
    code, said = command.run("down")
    assert code == 0 and command.pids() == {} and command.at_work() == []
    code, said = command.run("down")
    assert code == 0 and "nothing of it was up" in said
    code, said = command.run("status")
    assert code == 69 and all(line.split()[1] == "down" for line in said.splitlines())

    code, said = command.run("up", "mariadb", "redis-stock")
    assert code == 0 and sorted(command.pids()) == ["mariadb", "redis-stock"]
    assert command.service("mariadb").sql("SHOW TABLES") == [["mine"]]
    kept = command.pids()["mariadb"]
    code, said = command.run("up", "mariadb", "redis")
    assert code == 0 and command.pids()["mariadb"] == kept and len(command.pids()) == 5

    code, said = command.run("reset", "mariadb")
    assert code == 0 and command.pids()["mariadb"] != kept
    assert command.service("mariadb").sql("SHOW TABLES") == []
    assert command.run("down")[0] == 0


def test_three_brokers(command):
    assert command.run("up", "kafka", "--brokers=3")[0] == 0
    assert sorted(command.pids()) == ["kafka-1", "kafka-2", "kafka-3"]
    code, said = command.run("up", "kafka", "--brokers=1")
    assert code == 1 and "./dev services reset kafka --brokers 1" in said
    assert command.run("status", "kafka")[0] == 0
    assert command.run("reset", "kafka-2")[0] == 64
    assert command.run("down")[0] == 0 and command.at_work() == []
    assert command.run("reset", "kafka", "--brokers=1")[0] == 0
    assert sorted(command.pids()) == ["kafka-1"]


def test_a_taken_port_is_named_with_what_holds_it(command):
    port = command.stack.ports["redis-lock-2"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        code, said = command.run("up", "redis")
        assert code == 69
        name = Path("/proc/self/comm").read_text().strip()
        assert f"redis-lock-2: port {port} is taken by {name}, pid {os.getpid()}" in said
        assert f"if it may go: kill {os.getpid()}" in said
        assert sorted(command.pids()) == ["redis-lock-1", "redis-lock-3", "redis-stock"]
        code, said = command.run("status", "redis-lock-2")
        assert code == 69 and f"port taken by {name}, pid {os.getpid()}" in said
    before = command.pids()
    assert command.run("up", "redis")[0] == 0
    assert before.items() < command.pids().items()


def wait_for_broker(command) -> None:
    """The broker's process is there, and far from ready."""
    give_up = time.monotonic() + 30
    while not (command.folder / "kafka-1" / "process").exists():
        assert time.monotonic() < give_up
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing_running(command, number):
    assert command.run("up", "redis-stock")[0] == 0
    there = command.pids()
    with command.start("up") as running:
        wait_for_broker(command)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert "interrupted" in said and "Traceback" not in said
    assert command.pids() == there  # what was up before stays
    assert command.at_work() == list(there.values())


def test_interrupted_before_anything_is_started(command):
    with command.start("up", "kafka") as running:
        while not (command.folder / "kafka-1" / "server.properties").exists():
            time.sleep(0.005)
        running.send_signal(signal.SIGTERM)  # it is being formatted
        running.communicate(timeout=30)
    assert running.returncode == 130 and command.at_work() == []
    assert command.run("up", "kafka")[0] == 0  # and it begins anew


def test_an_up_that_was_killed_is_found_again(command):
    with command.start("up", "kafka", "redis") as running:
        wait_for_broker(command)
        running.kill()
        running.communicate()
    pids = command.pids()
    assert "kafka-1" in pids
    assert command.run("up", "kafka", "redis")[0] == 0
    assert command.pids()["kafka-1"] == pids["kafka-1"]
    assert command.run("down")[0] == 0 and command.at_work() == []


def test_two_at_once_do_not_start_two_of_each(command):
    both = [command.start("up", "mariadb", "redis-stock") for _ in range(2)]
    said = [one.communicate(timeout=TIMEOUT_S)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert command.at_work() == sorted(command.pids().values()) != []


def test_down_in_any_state(command):
    assert command.run("up", "mariadb", "redis-stock", "redis-lock-1")[0] == 0
    pids = command.pids()
    os.kill(pids["mariadb"], signal.SIGSTOP)
    os.kill(pids["redis-stock"], signal.SIGKILL)
    code, said = command.run("status", "redis")
    assert code == 69 and re.search(r"^redis-stock +down", said, re.MULTILINE)
    # A record whose pid means another process now, as after a reboot.
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        record = command.service("redis-lock-2").record
        record.parent.mkdir(exist_ok=True)
        identity = process.Identity.of(stranger.pid)
        record.write_text(f"{stranger.pid} {identity.ticks + 1} {identity.boot}\n")
        assert command.run("down")[0] == 0
        assert stranger.poll() is None and not record.exists()
    finally:
        stranger.kill()
        stranger.wait()
    assert command.pids() == {} and command.at_work() == []


def test_a_server_that_went_is_started_again_on_its_data(command):
    assert command.run("up", "mariadb")[0] == 0
    server = command.service("mariadb")
    server.sql("CREATE TABLE mine (id INT)")
    os.kill(server.pid, signal.SIGKILL)
    while server.running:
        time.sleep(0.01)
    assert command.run("up", "mariadb")[0] == 0
    assert command.service("mariadb").sql("SHOW TABLES") == [["mine"]]
    assert (command.folder / "mariadb" / "log.old.txt").exists()


def test_only_folders_of_its_own_are_wiped(command):
    precious = command.folder / "mariadb"
    precious.mkdir(parents=True)
    (precious / "thesis.txt").write_text("mine")
    code, said = command.run("reset", "mariadb")
    assert code == 1 and str(precious) in said
    assert (precious / "thesis.txt").read_text() == "mine"
    shutil.rmtree(precious)


@pytest.mark.parametrize("arguments", [
    ["up", "oracle"], ["sideways"], ["down", "--brokers=3"], ["up", "--brokers=2"],
    ["up", "kafka-3"], ["reset", "mariadb", "--brokers=3"]])
def test_wrong_usage(command, arguments):
    code, said = command.run(*arguments)
    assert code == 64 and said
    assert not command.folder.exists()


def test_no_command_shows_help():
    done = subprocess.run([sys.executable, "-m", "services.cli"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 64 and "status" in done.stderr


def test_a_server_that_is_not_installed(command):
    code, said = command.run("up", "redis-stock", env={**os.environ, "PATH": "/nowhere"})
    assert code == 69
    assert "redis-server is not installed: tools/install-needs services" in said
