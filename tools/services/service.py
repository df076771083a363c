"""What all servers have in common: a folder, a port, a log, start, stop, kill, pause, waiting.

    folder/log.txt         all that the server said; kept (`up` begins a new one each time)
    folder/made-by-resvd   says that the folder is ours and may be wiped
    folder/process         pid and start time of a server that `up` started
    folder/data/           its data, unless the caller puts it elsewhere
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from services import ports, process
from services.process import Identity, ServerError

MARK = "made-by-resvd"


def find_program(name: str, package: str) -> str:
    """Servers live in /usr/sbin, which is not on every user's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if not found:
        raise ServerError(
            f"{name} is not installed: tools/install-needs services brings it ({package})")
    return found


def run_quietly(command, what: str, timeout_s: float, **options) -> str:
    """Runs to the end; its output. What it said is shown only if it fails. It dies with us."""
    running = process.start_owned(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, text=True, errors="replace", **options)
    try:
        output, _ = running.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise ServerError(f"{what}: not done after {timeout_s:.0f} s") from None
    finally:
        process.kill_and_reap(running)
    process.check_interrupted()
    if running.returncode != 0:
        last = "\n".join(f"    {line}" for line in output.splitlines()[-30:])
        raise ServerError(f"{what}: ended with {running.returncode}\n{last}")
    return output


class NotYet(Exception):
    """The server does not answer as it should; the text says how."""


class Service:
    """One server. Use as a context manager: started and ready inside, killed and wiped after.

    lasting: it stays when this process ends (for `up`), else it dies with this process.
    """

    kind = "server"
    start_timeout_s = 60.0
    stop_timeout_s = 30.0

    def __init__(self, folder, port: int | None = None, *, data_dir=None, lasting: bool = False,
                 keep_data: bool = False, name: str | None = None):
        self.folder = Path(folder).absolute()
        self.port = port or ports.free_port()
        self.data_dir = Path(data_dir).absolute() if data_dir else self.folder / "data"
        self.lasting = lasting
        self.keep_data = keep_data
        self.name = name or self.kind
        self.log_path = self.folder / "log.txt"
        self.record = self.folder / "process"
        self.process: subprocess.Popen | None = None
        self.log_begin = 0

    # --- what each server adds ---

    def prepare(self) -> None:
        """Whatever must be there before the server is started: first the data."""

    def command(self) -> list:
        raise NotImplementedError

    def environment(self) -> dict | None:
        return None

    def ask(self) -> None:
        """One real question over the wire that changes nothing; NotYet or OSError: no answer."""
        raise NotImplementedError

    def ask_ready(self) -> None:
        """As ask(), and all that makes the server fit for use."""
        self.ask()

    def listens_on(self) -> list[int]:
        return [self.port]

    # --- life ---

    @property
    def pid(self) -> int:
        identity = self.identity()
        if self.process is None and identity is None:
            raise ServerError(f"{self.name} was not started")
        return self.process.pid if self.process else identity.pid

    @property
    def running(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return self.identity() is not None

    def identity(self) -> Identity | None:
        """Of a running server that this process or, by its record, an earlier `up` started."""
        try:
            if self.process is not None:
                return None if self.process.poll() is not None else Identity.of(self.process.pid)
            found = Identity.parse(self.record.read_text()) if self.lasting else None
        except OSError:
            return None
        return found if found and found.is_alive() else None

    def start(self, wait: bool = True):
        """On the data and the port that it had, if it ran before."""
        if self.running:
            raise ServerError(f"{self.name} is running already, pid {self.pid}")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / MARK).touch()
        for port in self.listens_on():
            self.require_free(port)
        self.prepare()
        self.spawn()
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise
        return self

    def spawn(self) -> None:
        with open(self.log_path, "ab") as log:
            self.log_begin = log.tell()
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log,
                       "cwd": self.folder, "env": self.environment(), "start_new_session": True}
            if self.lasting:
                self.process = process.start_lasting(self.command(), self.record, **options)
            else:
                self.process = process.start_owned(self.command(), **options)

    def require_free(self, port: int) -> None:
        if ports.is_free(port, reuse=True):
            return
        holder = ports.find_holder(port)
        if holder is None and ports.is_free(port, reuse=True):
            return
        who = f"is taken by {holder}" if holder else "is taken"
        way_out = "" if holder is None else (
            f"\n    if it may go: {holder.way_out()}"
            "\n    or start all beside it: --folder var/second --port-base 14000")
        raise ServerError(f"{self.name}: port {port} {who}{way_out}")

    def wait_ready(self, timeout_s: float | None = None) -> None:
        began = time.monotonic()
        give_up = began + (timeout_s or self.start_timeout_s)
        reason = "no answer"
        while time.monotonic() < give_up:
            process.check_interrupted()
            if not self.running:
                for port in self.listens_on():
                    self.require_free(port)
                code = f" with {self.process.returncode}" if self.process else ""
                raise ServerError(f"{self.name} ended{code} instead of starting; its log "
                                  f"({self.log_path}):\n{self.log_tail()}")
            try:
                return self.ask_ready()
            except (NotYet, OSError) as error:
                reason = str(error) or type(error).__name__
            time.sleep(0.01 if time.monotonic() - began < 2 else 0.05)
        raise ServerError(f"{self.name} on port {self.port} was not ready in "
                          f"{timeout_s or self.start_timeout_s:.0f} s ({reason}); its log "
                          f"({self.log_path}):\n{self.log_tail()}")

    def stop(self, timeout_s: float | None = None) -> int | None:
        """In order, by TERM; after the time by KILL. The exit code, where it is known."""
        identity = self.identity()
        if identity and not identity.stop(timeout_s or self.stop_timeout_s):
            raise ServerError(f"{self.name}, pid {identity.pid}, does not end, not even by KILL")
        return self.reap()

    def kill(self) -> None:
        """At once, by SIGKILL."""
        if self.process is None and (identity := self.identity()):
            identity.stop(0.0)
        self.reap()

    def reap(self) -> int | None:
        if self.process is not None:
            process.kill_and_reap(self.process)
        if self.lasting:
            self.record.unlink(missing_ok=True)
        return self.process.returncode if self.process else None

    def pause(self) -> None:
        process.pause(self.pid)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def wipe(self) -> None:
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def keep_old_log(self) -> None:
        """The next start begins a new log; the one before it stays beside."""
        if self.log_path.exists():
            self.log_path.rename(self.log_path.with_name("log.old.txt"))

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines: int = 30) -> str:
        return process.tail(self.log_path, self.log_begin, lines)

    def resident_bytes(self) -> int:
        return process.resident_bytes(self.pid)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_) -> None:
        self.kill()
        if not self.keep_data:
            self.wipe()
