#!/usr/bin/env python3
"""Runs a test that needs a database: with_database.py COMMAND…

Starts a fresh MariaDB in a temporary folder, runs the command with these in its environment, stops
the server, ends as the command did:

    RESVD_TEST_DATABASE_HOST, _PORT, _SOCKET, _USER, _NAME   as [database] wants them
    RESVD_TEST_DATABASE_PID                                  of the server
    RESVD_TEST_DATABASE_CA, _OTHER_CA                        who signed its certificate; who did not
    RESVD_TEST_DATABASE_CONTROL                              a descriptor, see below

The server has TLS, with a certificate for localhost and 127.0.0.1, and listens on 127.0.0.2 too,
which it is not for. By the descriptor the command may ask for one of these, a line each, answered
"ok", or by what went wrong: kill, start, stop, pause, resume, "sql STATEMENTS" (as root, answered
by the first column of the first row).
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

from services import MariaDB, make_certificates  # noqa: E402

OPTIONS = {"bind-address": "127.0.0.1,127.0.0.2", "innodb-buffer-pool-size": "32M",
           "innodb-log-file-size": "16M"}


def do(server: MariaDB, line: str) -> str:
    verb, _, rest = line.partition(" ")
    if verb == "sql":
        rows = server.sql(rest)
        return "ok" if not rows else f"ok {rows[0][0]}"
    if verb not in ("kill", "start", "stop", "pause", "resume"):
        return f"no such request: {line}"
    getattr(server, verb)()
    return "ok" if verb != "start" else f"ok {server.pid}"


def answer(server: MariaDB, control: socket.socket) -> None:
    with control.makefile("r", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            try:
                reply = do(server, line.rstrip("\n"))
            except Exception as error:  # noqa: BLE001: the test shows it
                reply = " ".join(f"{type(error).__name__}: {error}".split())
            control.sendall(f"{reply}\n".encode())


def run(command: list[str], folder: Path) -> int:
    other = make_certificates(folder / "other")
    with MariaDB(folder / "server", options=OPTIONS, tls=True) as server:
        ours, theirs = socket.socketpair()
        environment = dict(
            os.environ,
            RESVD_TEST_DATABASE_HOST="127.0.0.1",
            RESVD_TEST_DATABASE_PORT=str(server.port),
            RESVD_TEST_DATABASE_SOCKET=str(server.socket),
            RESVD_TEST_DATABASE_USER="resvd",
            RESVD_TEST_DATABASE_NAME="resvd",
            RESVD_TEST_DATABASE_PID=str(server.pid),
            RESVD_TEST_DATABASE_CA=str(server.certificates.authority),
            RESVD_TEST_DATABASE_OTHER_CA=str(other.authority),
            RESVD_TEST_DATABASE_CONTROL=str(theirs.fileno()),
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
    # As an exception, so that the server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="resvd-database-") as folder:
        return run(sys.argv[1:], Path(folder))


if __name__ == "__main__":
    sys.exit(main())
