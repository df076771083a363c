"""Starts and stops resvd for tests: free ports, a temporary folder, the log kept for failures."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from raw_http import Connection, Response, ask

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services.ports import free_port  # noqa: E402
from services.process import kill_and_reap, pause, resident_bytes, start_owned  # noqa: E402

BUILD_DIR = Path(os.environ.get("RESVD_BUILD_DIR", Path(__file__).resolve().parents[2] / "build"))
START_TIMEOUT_S = 30.0


def child_environment(more: dict | None) -> dict:
    """Without the tests' own variables, which resvd would take for misspelt settings."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RESVD_")}
    return {**own, **(more or {})}


def find_binary(name: str) -> Path:
    for path in (BUILD_DIR / name, BUILD_DIR / "src" / name, BUILD_DIR / "tests" / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"no {name} in {BUILD_DIR}; set RESVD_BUILD_DIR")


def is_sanitized() -> bool:
    """Such binaries are slower and keep freed memory: for tests that judge time or memory."""
    return b"__asan_init" in find_binary("resvd-fake").read_bytes()


def raise_file_limit() -> int:
    """All files that we may have open; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Resvd:
    """One running process. Options are keyword arguments: server__max_connections=5."""

    def __init__(
        self,
        folder: Path,
        binary: str = "resvd",
        strategy: str = "embedded",
        arguments: list[str] | None = None,
        environment: dict | None = None,
        wrapper: list[str] | None = None,
        preexec=None,
        wait: bool = True,
        **options,
    ):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / f"log-{random.getrandbits(32):08x}.txt"
        self.file = self.folder / "resvd.db"
        self.port = free_port()
        self.admin_port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.admin_address = ("127.0.0.1", self.admin_port)
        values = {
            "server__listen": f"127.0.0.1:{self.port}",
            "server__admin_listen": f"127.0.0.1:{self.admin_port}",
        }
        if strategy == "embedded":
            values["strategy__embedded__file"] = str(self.file)
        values.update(options)
        self.file = Path(values.get("strategy__embedded__file") or self.file)
        self.command = [*(wrapper or []), str(find_binary(binary)), f"--strategy={strategy}"]
        for key, value in values.items():
            if value is not None:
                self.command.append(f"--{key.replace('__', '.')}={value}")
        self.command += arguments or []
        with open(self.log_path, "wb") as log:
            self.process = start_owned(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=child_environment(environment),
                preexec=preexec,
            )
        self.pid = self.process.pid
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    # --- life ---

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise AssertionError(f"exited with {self.process.returncode}:\n{self.log()}")
            try:
                if ask(self.admin_address, "GET", "/readyz", timeout_s=5.0).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError(f"not ready after {timeout_s} s:\n{self.log()}")

    def wait_exit(self, timeout_s: float = 20.0) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s:\n{self.log()}") from None

    def signal(self, number: int) -> None:
        """Stopped, when it is SIGSTOP."""
        if number == signal.SIGSTOP:
            pause(self.process.pid)
        else:
            self.process.send_signal(number)

    def stop(self) -> int:
        """TERM; the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        kill_and_reap(self.process)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    # --- asking ---

    def connect(self, **options) -> Connection:
        return Connection(self.address, **options)

    def ask(self, method: str, target: str, body=None, headers: dict | None = None) -> Response:
        return ask(self.address, method, target, body, headers)

    def admin(self, method: str, target: str, body=None, headers: dict | None = None) -> Response:
        return ask(self.admin_address, method, target, body, headers)

    def reset(self, concerts: int = 10, capacity: int = 100, members: int = 20) -> None:
        """Needs server__allow_reset."""
        answer = self.admin(
            "POST",
            "/admin/reset",
            {"concerts": concerts, "capacity": capacity, "members": members},
        )
        assert answer.status < 300, answer.raw

    def audit(self) -> dict:
        answer = self.admin("GET", "/admin/audit")
        assert answer.status == 200, answer.raw
        return answer.json()

    def metrics(self) -> dict[str, float]:
        """Samples by name and labels as they stand in the text."""
        answer = self.admin("GET", "/metrics")
        assert answer.status == 200
        samples = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                assert name not in samples, f"sample twice: {name}"
                samples[name] = float(value)
        return samples

    def metric(self, name: str) -> float:
        """Sum over all labels of resvd_<name>."""
        pattern = re.compile(rf"resvd_{name}(\{{.*\}})?")
        found = [value for key, value in self.metrics().items() if pattern.fullmatch(key)]
        return sum(found)

    def wait_metric(self, name: str, wanted: float, timeout_s: float = 10.0) -> None:
        give_up = time.monotonic() + timeout_s
        while (value := self.metric(name)) != wanted:
            assert time.monotonic() < give_up, f"{name} is {value}, wanted {wanted}"
            time.sleep(0.002)

    def resident_bytes(self) -> int:
        return resident_bytes(self.pid)

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def run_resvd(*arguments: str, binary: str = "resvd", environment: dict | None = None, cwd=None):
    """Runs to its end: for flags that print, and for starts that must fail."""
    return subprocess.run(
        [str(find_binary(binary)), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
        env=child_environment(environment),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def wait_until(condition, what: str, timeout_s: float = 10.0, pause_s: float = 0.02) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, f"not within {timeout_s} s: {what}"
        time.sleep(pause_s)
