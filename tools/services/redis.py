"""Redis: a node that keeps what it is told in an append-only file.

    with Redis(folder) as node:
        node.call("SET", "stock", 10)       # "OK"
        node.call("GET", "stock")           # "10"
"""

from __future__ import annotations

import socket

from services.ports import LOOPBACK
from services.service import NotYet, Service, find_program

READY_KEY = "resvd-services:ready"
OPTIONS = {
    "bind": LOOPBACK,
    "protected-mode": "yes",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "daemonize": "no",
}


class RedisError(Exception):
    """The node's own error; it begins with a word in capitals that says which."""


class Redis(Service):
    """options: more of Redis' own, by name; they win."""

    kind = "redis"
    start_timeout_s = 30.0

    def __init__(self, folder, port: int | None = None, *, options: dict | None = None, **common):
        super().__init__(folder, port, **common)
        self.options = dict(options or {})

    def prepare(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)

    def command(self) -> list:
        options = {"port": self.port, "dir": self.data_dir, **OPTIONS, **self.options}
        arguments = []
        for name, value in options.items():
            arguments += [f"--{name}", value]
        return [find_program("redis-server", "redis-server"), *arguments]

    def call(self, *words, timeout_s: float = 10.0):
        """One command: text, int, list or None as Redis answers; RedisError."""
        with socket.create_connection((LOOPBACK, self.port), timeout_s) as connection:
            connection.sendall(encode(words))
            with connection.makefile("rb") as file:
                return read_reply(file)

    def ask(self) -> None:
        if self.call("PING", timeout_s=5.0) != "PONG":
            raise NotYet("a wrong answer")

    def ask_ready(self) -> None:
        """A write. A test may have forbidden it on purpose: then any answer but LOADING will do."""
        try:
            self.call("SET", READY_KEY, 1, "PX", 1000, timeout_s=2.0)
            self.call("DEL", READY_KEY, timeout_s=2.0)
        except RedisError as error:
            if self.lasting or str(error).startswith("LOADING"):
                raise NotYet(str(error)) from None


def encode(words) -> bytes:
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def read_reply(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the node closed the connection")
    kind, rest = line[:1], line[1:-2].decode(errors="replace")
    if kind == b"+":
        return rest
    if kind == b"-":
        raise RedisError(rest)
    if kind == b":":
        return int(rest)
    if int(rest) < 0:
        return None
    if kind == b"*":
        return [read_reply(file) for _ in range(int(rest))]
    data = file.read(int(rest) + 2)
    if len(data) < int(rest) + 2:
        raise ConnectionError("the node closed the connection")
    return data[:-2].decode(errors="surrogateescape")
