"""Processes: started in a session of their own with a log, known by pid and start time, stopped.

Two kinds of owner. What a test or a benchmark starts dies with it, however it ends. What `up`
starts stays, and leaves a record by which a later command finds it again.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import queue
import select
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PAUSE_LIMIT_S = 10.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
libc = ctypes.CDLL(None, use_errno=True)


class ServerError(Exception):
    """A server did not start, did not answer, or died. The text is for the reader as it stands."""


# --- what /proc says ----------------------------------------------------------------------------


def cpu_ticks(stat_text: str) -> int:
    """User and system time of a line of /proc/PID/stat; the name may hold blanks and brackets."""
    fields = stat_text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def parent_of(stat_text: str) -> int:
    return int(stat_text.rpartition(")")[2].split()[1])


def start_ticks(stat_text: str) -> int:
    return int(stat_text.rpartition(")")[2].split()[19])


def is_over(stat_text: str) -> bool:
    """A zombie is: it only waits for its parent."""
    return stat_text.rpartition(")")[2].split()[0] in ("Z", "X")


def is_paused(stat_text: str) -> bool:
    return stat_text.rpartition(")")[2].split()[0] in "TtZX"


def resident_bytes(pid: int) -> int:
    """0 when there is no such process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


# --- a process that is told apart from a later one with its pid ---------------------------------


@dataclass(frozen=True)
class Identity:
    pid: int
    ticks: int  # when it began, since the boot
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        return cls(pid, start_ticks(Path(f"/proc/{pid}/stat").read_text()), boot_id())

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        fields = text.split()
        if len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
            return None
        return cls(int(fields[0]), int(fields[1]), fields[2])

    def is_alive(self) -> bool:
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text()
            return start_ticks(text) == self.ticks and not is_over(text) and self.boot == boot_id()
        except (OSError, IndexError):
            return False

    def stop(self, timeout_s: float) -> bool:
        """TERM (and CONT, should it be stopped), then KILL. False: it is still there."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return not self.is_alive()
        try:
            if not self.is_alive():
                return True
            send(handle, signal.SIGTERM)
            send(handle, signal.SIGCONT)
            if has_ended(handle, timeout_s):
                return True
            send(handle, signal.SIGKILL)
            return has_ended(handle, 10.0)
        finally:
            os.close(handle)


def send(handle: int, number: int) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass


def has_ended(handle: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


# --- starting -----------------------------------------------------------------------------------


class Spawner:
    """One thread that lives as long as this process and starts all that shall die with it.

    The kernel sends the parent-death signal when the thread that forked ends, not the process: a
    server that a short-lived thread had started itself would die with that thread.
    """

    def __init__(self):
        self.pid = os.getpid()
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self.run, name="spawner", daemon=True).start()

    def run(self) -> None:
        while True:
            function, answers = self.jobs.get()
            try:
                answers.put((function(), None))
            except BaseException as error:  # handed to whoever asked
                answers.put((None, error))

    def call(self, function):
        answers: queue.SimpleQueue = queue.SimpleQueue()
        self.jobs.put((function, answers))
        result, error = answers.get()
        if error is not None:
            raise error
        return result


def interrupt() -> None:
    """Ends all work that is under way here, in whatever thread: what was started to die with this
    process dies now, and nothing new begins. For a program that is told to stop."""
    interrupted.set()
    kill_owned()


def check_interrupted() -> None:
    if interrupted.is_set():
        raise ServerError("interrupted")


interrupted = threading.Event()
spawner: Spawner | None = None
spawner_lock = threading.Lock()
owned: set[subprocess.Popen] = set()


def start_owned(command, *, preexec=None, **options) -> subprocess.Popen:
    """Popen of what is killed by the kernel when this process ends, even by SIGKILL.

    preexec runs in the child before the program does. A program that changes its user loses the
    kernel's promise; then only the end of this process in order stops it.
    """
    global spawner
    parent = os.getpid()

    def before_program() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it ended before the line above
        if preexec:
            preexec()

    def start() -> subprocess.Popen:
        check_interrupted()
        process = subprocess.Popen(
            [str(part) for part in command], preexec_fn=before_program, **options)
        owned.add(process)
        return process

    with spawner_lock:
        if spawner is None or spawner.pid != parent:
            spawner = Spawner()
            owned.clear()
    return spawner.call(start)


def start_lasting(command, record: Path, **options) -> subprocess.Popen:
    """Popen of what stays when this process ends. The child writes its own identity into `record`
    before the program runs: at no moment is there a server without a record."""
    boot = boot_id()

    def before_program() -> None:
        with open("/proc/self/stat", "rb", buffering=0) as stat:
            ticks = start_ticks(stat.read().decode())
        text = f"{os.getpid()} {ticks} {boot}\n".encode()
        file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(file, text)
        os.close(file)

    check_interrupted()
    return subprocess.Popen([str(part) for part in command], preexec_fn=before_program, **options)


def pause(pid: int) -> None:
    """SIGSTOP, and until all of its threads have stopped: each goes on until the kernel looks, and
    one that waits for a disk until it has that."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PAUSE_LIMIT_S
    while not all(is_paused(text) for text in thread_stats(pid)):
        if time.monotonic() > deadline:
            raise ServerError(f"pid {pid} was told to stop (SIGSTOP), and runs on")
        time.sleep(0.001)


def thread_stats(pid: int) -> list[str]:
    """Of each, the line of /proc; one that has ended has none."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.append(path.read_text())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def kill_and_reap(process: subprocess.Popen) -> None:
    """With its children, if it leads a session of its own."""
    if process.poll() is None:
        try:
            leads = os.getsid(process.pid) == process.pid
        except ProcessLookupError:
            leads = False
        if leads:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    owned.discard(process)


def kill_owned() -> None:
    if spawner is not None and spawner.pid == os.getpid():
        for process in list(owned):
            kill_and_reap(process)


atexit.register(kill_owned)


# --- logs ---------------------------------------------------------------------------------------


def tail(path: Path, begin: int = 0, lines: int = 30) -> str:
    """The last lines of what was written from `begin` on, indented."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(begin, file.tell() - 65536))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"    (no log: {error})"
    last = text.splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) or "    (the log is empty)"
