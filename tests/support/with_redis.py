#!/usr/bin/env python3
"""Runs a test that needs Redis: with_redis.py COMMAND…

Starts three fresh nodes that know nothing of each other, runs the command with these in its
environment, stops the nodes, ends as the command did:

    RESVD_TEST_REDIS_NODES       "127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT"
    RESVD_TEST_REDIS_NODE_1, _2, _3   each of them
    RESVD_TEST_REDIS_SOCKET      unix socket of the first
    RESVD_TEST_REDIS_TLS_PORT    of the first, with a certificate for localhost and 127.0.0.1; it
                                 listens on 127.0.0.2 too, which it is not for
    RESVD_TEST_REDIS_CA, _OTHER_CA    who signed it; who did not
    RESVD_TEST_REDIS_CONTROL     a descriptor, see below

By the descriptor the command may ask for one of these, a line each, answered "ok" or by what went
wrong: "kill N", "start N", "stop N", "pause N", "resume N", "call N COMMAND…" (answered by what the
node said; a password "secret" is given if it wants one), "reset" (all nodes run, and are as at the
start).
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services import Redis, RedisError, free_port, make_certificates  # noqa: E402
from services.redis import encode, read_reply  # noqa: E402

PASSWORD = "secret"
AT_START = ("CLIENT UNPAUSE", "REPLICAOF NO ONE", "CONFIG SET requirepass ''", "ACL DELUSER other",
            "CONFIG SET maxmemory 0", "CONFIG SET maxmemory-policy noeviction",
            "CONFIG SET appendonly yes", "CONFIG SET appendfsync everysec",
            "CONFIG SET maxclients 10000", "CONFIG SET min-replicas-to-write 0", "FLUSHALL",
            "SCRIPT FLUSH", "ACL SETUSER default on nopass ~* &* +@all")


def call(node: Redis, command: str):
    words = shlex.split(command)
    try:
        return node.call(*words)
    except RedisError as error:
        if not str(error).startswith("NOAUTH"):
            raise
    with socket.create_connection(("127.0.0.1", node.port), 10.0) as connection:
        connection.sendall(encode(["AUTH", PASSWORD]) + encode(words))
        with connection.makefile("rb") as file:
            read_reply(file)
            return read_reply(file)


def reset(nodes: list[Redis]) -> None:
    for node in nodes:
        if not node.running:
            node.start()
        node.resume()
        for command in AT_START:
            call(node, command)


def do(nodes: list[Redis], line: str) -> str:
    verb, _, rest = line.partition(" ")
    if verb == "reset":
        reset(nodes)
        return "ok"
    number, _, rest = rest.partition(" ")
    node = nodes[int(number) - 1]
    if verb == "call":
        return f"ok {call(node, rest)}".replace("\n", " ").replace("\r", "")
    if verb not in ("kill", "start", "stop", "pause", "resume"):
        return f"no such request: {line}"
    getattr(node, verb)()
    return "ok"


def answer(nodes: list[Redis], control: socket.socket) -> None:
    with control.makefile("r", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            try:
                reply = do(nodes, line.rstrip("\n"))
            except Exception as error:  # noqa: BLE001: the test shows it
                reply = " ".join(f"{type(error).__name__}: {error}".split())
            control.sendall(f"{reply}\n".encode())


def run(command: list[str], folder: Path) -> int:
    ours_ca = make_certificates(folder / "ours")
    other_ca = make_certificates(folder / "other")
    tls_port = free_port()
    unix_socket = folder / "redis.sock"
    options = [{"unixsocket": unix_socket, "tls-port": tls_port,
                "tls-cert-file": ours_ca.certificate, "tls-key-file": ours_ca.key,
                "tls-ca-cert-file": ours_ca.authority, "tls-auth-clients": "optional",
                "bind": "127.0.0.1 127.0.0.2"}, {}, {}]
    with ExitStack() as stack:
        nodes = [stack.enter_context(Redis(folder / f"node-{i + 1}", options=options[i]))
                 for i in range(3)]
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        ours, theirs = socket.socketpair()
        environment = dict(
            os.environ,
            RESVD_TEST_REDIS_NODES=",".join(addresses),
            RESVD_TEST_REDIS_NODE_1=addresses[0],
            RESVD_TEST_REDIS_NODE_2=addresses[1],
            RESVD_TEST_REDIS_NODE_3=addresses[2],
            RESVD_TEST_REDIS_SOCKET=str(unix_socket),
            RESVD_TEST_REDIS_TLS_PORT=str(tls_port),
            RESVD_TEST_REDIS_CA=str(ours_ca.authority),
            RESVD_TEST_REDIS_OTHER_CA=str(other_ca.authority),
            RESVD_TEST_REDIS_CONTROL=str(theirs.fileno()),
        )
        threading.Thread(target=answer, args=(nodes, ours), daemon=True).start()
        with theirs, subprocess.Popen(command, env=environment,
                                      pass_fds=[theirs.fileno()]) as running:
            try:
                code = running.wait()
            finally:
                running.kill()
        return code if code >= 0 else 128 - code


def main() -> int:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    # As an exception, so that the nodes are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="resvd-redis-") as folder:
        return run(sys.argv[1:], Path(folder))


if __name__ == "__main__":
    sys.exit(main())
