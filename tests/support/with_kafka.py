#!/usr/bin/env python3
"""Runs a test that needs Kafka: with_kafka.py COMMAND…

Starts a fresh broker in a temporary folder, runs the command with these in its environment, stops
the broker, ends as the command did:

    RESVD_TEST_KAFKA_SERVERS        as [kafka] bootstrap.servers wants them
    RESVD_TEST_KAFKA_SASL_SERVERS   the same broker where one has to log in: PLAIN, resvd, "let me in"
    RESVD_TEST_KAFKA_PID            of the broker
    RESVD_TEST_KAFKA_CONTROL        a descriptor, see below

By the descriptor the command may ask for one of these, a line each, answered "ok", or by what went
wrong: kill, start, stop, pause, resume.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services import Kafka, free_port  # noqa: E402

# Groups that lost a member without a word soon know; topics must not come by themselves.
OPTIONS = {"group.min.session.timeout.ms": 1000, "auto.create.topics.enable": "true",
           "num.partitions": 2, "log.retention.check.interval.ms": 1000}


def do(server: Kafka, line: str) -> str:
    if line not in ("kill", "start", "stop", "pause", "resume"):
        return f"no such request: {line}"
    getattr(server, line)()
    return "ok" if line != "start" else f"ok {server.pid}"


def answer(server: Kafka, control: socket.socket) -> None:
    with control.makefile("r", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            try:
                reply = do(server, line.rstrip("\n"))
            except Exception as error:  # noqa: BLE001: the test shows it
                reply = " ".join(f"{type(error).__name__}: {error}".split())
            control.sendall(f"{reply}\n".encode())


def login_options(server: Kafka, port: int) -> dict:
    """A second listener, which asks who one is."""
    settings = server.settings()
    login = ('org.apache.kafka.common.security.plain.PlainLoginModule required '
             'user_resvd="let me in";')
    return {
        "listeners": f"{settings['listeners']},LOGIN://127.0.0.1:{port}",
        "advertised.listeners": f"{settings['advertised.listeners']},LOGIN://127.0.0.1:{port}",
        "listener.security.protocol.map":
            f"{settings['listener.security.protocol.map']},LOGIN:SASL_PLAINTEXT",
        "listener.name.login.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.login.plain.sasl.jaas.config": login,
        "inter.broker.listener.name": "PLAINTEXT",
    }


def run(command: list[str], folder: Path) -> int:
    server = Kafka(folder / "broker", options=OPTIONS, heap_mb=256)
    login_port = free_port()
    server.options.update(login_options(server, login_port))
    with server:
        ours, theirs = socket.socketpair()
        environment = dict(
            os.environ,
            RESVD_TEST_KAFKA_SERVERS=server.bootstrap,
            RESVD_TEST_KAFKA_SASL_SERVERS=f"127.0.0.1:{login_port}",
            RESVD_TEST_KAFKA_PID=str(server.pid),
            RESVD_TEST_KAFKA_CONTROL=str(theirs.fileno()),
        )
        threading.Thread(target=answer, args=(server, ours), daemon=True).start()
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
    # As an exception, so that the broker is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="resvd-kafka-") as folder:
        return run(sys.argv[1:], Path(folder))


if __name__ == "__main__":
    sys.exit(main())
