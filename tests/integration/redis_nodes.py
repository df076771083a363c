"""Redis servers for tests of the lock: several at once, and what can be done to them."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from resvd_process import wait_until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services.redis import Redis, encode, read_reply  # noqa: E402

FOREIGN = "held-by-the-test"

# How many of the shared nodes each kind of resvd uses, where a test names no others.
LOCK_NODES = {"redlock": 3, "redlock_off": 1}


class LockNodes:
    """Redis servers that know nothing of each other."""

    def __init__(self, nodes: list[Redis]):
        self.nodes = nodes

    def __iter__(self):
        return iter(self.nodes)

    def __getitem__(self, index: int) -> Redis:
        return self.nodes[index]

    def first(self, count: int) -> LockNodes:
        return LockNodes(self.nodes[:count])

    def options(self, **changed) -> dict:
        """[redis] for Resvd()."""
        addresses = ",".join(f"{getattr(node, 'host', '127.0.0.1')}:{node.port}" for node in self.nodes)
        return {f"redis__{key}": value for key, value in {"lock_nodes": addresses, **changed}.items()}

    def start(self) -> None:
        for node in self.nodes:
            if not node.running:
                node.start(wait=False)
        for node in self.nodes:
            node.wait_ready()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
            node.wipe()

    def restart_empty(self) -> None:
        for node in self.nodes:
            node.kill()
            node.wipe()
        self.start()

    def call(self, *words) -> list:
        """The same on each."""
        return [node.call(*words) for node in self.nodes]

    def ask(self, *words) -> list:
        """The same on each; None of those that give no answer."""
        answers = []
        for node in self.nodes:
            try:
                answers.append(node.call(*words, timeout_s=0.2))
            except OSError:
                answers.append(None)
        return answers

    # --- locks ---

    def holders(self, database, concert_id: int = 1) -> list[str | None]:
        """Whose the concert is, by each node."""
        return self.ask("GET", lock_key(database, concert_id))

    def holder(self, database, concert_id: int = 1) -> str | None:
        """Whose it is by a majority."""
        found = self.holders(database, concert_id)
        return next((value for value in found if value and 2 * found.count(value) > len(found)), None)

    def wait_until_held(self, database, concert_id: int = 1, but: str | None = None) -> str:
        """By anybody but that one; gives the holder."""
        seen = []

        def is_held() -> bool:
            seen.append(self.holder(database, concert_id))
            return seen[-1] not in (None, but)

        wait_until(is_held, "the lock is taken", pause_s=0.002)
        return seen[-1]

    def wait_until_lost(self, database, value: str, concert_id: int = 1) -> None:
        """That holder has it on no node any more."""
        wait_until(lambda: value not in self.holders(database, concert_id), "the lock is free",
                   pause_s=0.005)

    def take(self, database, concert_id: int = 1, lease_ms: int = 5000) -> int:
        """For the test, where it is free: the number of nodes that gave it."""
        answers = self.ask("SET", lock_key(database, concert_id), FOREIGN, "NX", "PX", lease_ms)
        return answers.count("OK")

    def let_go(self, database, concert_id: int = 1, publish: bool = True) -> None:
        """Whoever has it."""
        self.ask("DEL", lock_key(database, concert_id))
        if publish:
            self.ask("PUBLISH", f"{prefix(database)}{{c:{concert_id}}}:free", "1")

    def keys(self, database) -> list[str]:
        """All that is left, on any node."""
        return [key for found in self.ask("KEYS", prefix(database) + "*") for key in found or []]

    def wait_until_no_keys(self, database) -> None:
        wait_until(lambda: not self.keys(database), "all locks are released")

    def is_listened_for(self, database, concert_id: int = 1) -> bool:
        """By somebody who waits for it, on each node."""
        channel = f"{prefix(database)}{{c:{concert_id}}}:free"
        return all(answer and answer[1] > 0 for answer in self.ask("PUBSUB", "NUMSUB", channel))

    # --- who is connected ---

    def connections(self, kind: str, node: int = 0) -> int:
        """kind: "normal" or "pubsub"."""
        return len(self.nodes[node].call("CLIENT", "LIST", "TYPE", kind).splitlines())

    @contextmanager
    def killing_subscribers(self, pause_s: float = 0.005):
        """All the time; gives a list of one number: how many connections were killed."""
        over, killed = threading.Event(), [0]

        def kill() -> None:
            while not over.wait(pause_s):
                killed[0] += sum(answer or 0 for answer in self.ask("CLIENT", "KILL", "TYPE", "pubsub"))

        thread = threading.Thread(target=kill, name="killing-subscribers")
        thread.start()
        try:
            yield killed
        finally:
            over.set()
            thread.join()


def prefix(database) -> str:
    """[redis] key_prefix: so that tests that share nodes do not wait for each other."""
    return f"{database.name}:"


def lock_key(database, concert_id: int = 1) -> str:
    return f"{prefix(database)}{{c:{concert_id}}}:lock"


def make_nodes(folder: Path, count: int, **options) -> LockNodes:
    nodes = LockNodes([Redis(folder / f"node-{i + 1}", options=options, name=f"lock node {i + 1}")
                       for i in range(count)])
    nodes.start()
    return nodes


shared: LockNodes | None = None


def shared_nodes(count: int) -> LockNodes:
    """The first 1 or 3 of three servers that live as long as these tests; not to be harmed."""
    global shared
    if shared is None:
        folder = tempfile.TemporaryDirectory(prefix="resvd-locks-")
        shared = make_nodes(Path(folder.name), 3)
        atexit.register(folder.cleanup)
        atexit.register(shared.stop)
    return shared.first(count)


# --- a clock that steps ----------------------------------------------------------------------------


class SteppedClock:
    """The wall clock of the processes that have its environment; CLOCK_MONOTONIC is left alone."""

    def __init__(self, library: Path, folder: Path):
        self.file = folder / "clock"
        self.file.write_bytes(bytes(8))
        self.environment = {
            "LD_PRELOAD": str(library),
            "STEPPED_CLOCK": str(self.file),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        }

    def step(self, seconds: float) -> None:
        """From the true time. One write: the library has the file mapped."""
        nanoseconds = int(seconds * 1e9)
        with open(self.file, "r+b", buffering=0) as file:
            file.write(nanoseconds.to_bytes(8, sys.byteorder, signed=True))


class SteppedRedis(Redis):
    """Redis expires by the wall clock: this one's steps."""

    def __init__(self, clock: SteppedClock, folder, **options):
        super().__init__(folder, **options)
        self.clock = clock

    def environment(self) -> dict:
        return {**os.environ, **self.clock.environment}


# --- a network that swallows -----------------------------------------------------------------------


class FarRedis(Redis):
    """In a network namespace of its own, behind a cable that can be pulled: then packets are lost in
    both directions, and nobody is told."""

    def __init__(self, folder, number: int):
        self.namespace = f"resvd-{os.getpid()}-{number}"
        self.cable = f"rv{os.getpid() % 100000}n{number}"
        network = f"10.{os.getpid() % 200 + 20}.{number}"
        self.near, self.host = f"{network}.1", f"{network}.2"
        # No other machine can reach it there.
        super().__init__(folder, options={"bind": self.host, "protected-mode": "no"})

    def lay_cable(self) -> None:
        inside = ["ip", "-n", self.namespace]
        for command in (
            ["ip", "netns", "add", self.namespace],
            ["ip", "link", "add", self.cable, "type", "veth", "peer", "name", "far", "netns", self.namespace],
            ["ip", "address", "add", f"{self.near}/30", "dev", self.cable],
            ["ip", "link", "set", self.cable, "up"],
            [*inside, "address", "add", f"{self.host}/30", "dev", "far"],
            [*inside, "link", "set", "lo", "up"],
            [*inside, "link", "set", "far", "up"],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True)

    def remove_cable(self) -> None:
        """Whatever there is of it. The namespace goes later than its name."""
        for command in (["ip", "link", "delete", self.cable], ["ip", "netns", "delete", self.namespace]):
            subprocess.run(command, check=False, capture_output=True)

    def pull(self) -> None:
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "far", "down"], check=True)

    def plug_in(self) -> None:
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "far", "up"], check=True)

    def command(self) -> list:
        return ["ip", "netns", "exec", self.namespace, *super().command()]

    def call(self, *words, timeout_s: float = 10.0):
        with socket.create_connection((self.host, self.port), timeout_s) as connection:
            connection.sendall(encode(words))
            with connection.makefile("rb") as file:
                return read_reply(file)
