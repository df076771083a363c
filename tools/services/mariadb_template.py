"""A data folder of MariaDB that is made once for each version and copied for each new server.

mariadb-install-db takes seconds, the copy a fraction of one. It is kept in .cache/.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from services import mysql_wire, process
from services.service import ServerError, find_program, run_quietly

TOP = Path(__file__).resolve().parents[2]
CACHE = TOP / ".cache"
INSTALL_TIMEOUT_S = 180.0
START_TIMEOUT_S = 60.0

# Root comes by the unix socket only. Names are not looked up, so `localhost` is the socket.
SETUP = """
    DELETE FROM mysql.global_priv WHERE User IN ('root', '') AND Host <> 'localhost';
    FLUSH PRIVILEGES;
    CREATE DATABASE resvd CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    CREATE USER resvd@localhost, resvd@'127.0.0.1', resvd@'::1';
    GRANT ALL PRIVILEGES ON resvd.* TO resvd@localhost, resvd@'127.0.0.1', resvd@'::1';
"""


def find_server() -> str:
    return find_program("mariadbd", "mariadb-server")


def running_user() -> list[str]:
    """As root it must be told so. It keeps the user that starts it: one that changes its user loses
    the kernel's promise that it dies with its parent, and could not enter the folder either."""
    if os.getuid() != 0:
        return []
    return [f"--user={pwd.getpwuid(0).pw_name}"]


@functools.cache
def template_folder() -> Path:
    version = run_quietly([find_server(), "--no-defaults", "--version"], "mariadbd --version", 20)
    recipe = hashlib.sha256((version + SETUP + str(os.getuid())).encode()).hexdigest()[:12]
    return CACHE / f"mariadb-data-{recipe}"


def copy_template(target: Path) -> None:
    """target appears whole, or is empty as it was (a mount point can be a target)."""
    template = ensure_template()
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    leftover = [entry.name for entry in target.iterdir() if entry.name != "lost+found"]
    if leftover:
        raise ServerError(f"{target} is neither empty nor a data folder of MariaDB: {leftover[:5]}")
    run_quietly(["cp", "-a", "--reflink=auto", "--sparse=always", f"{template}/.", target],
                f"copying {template} to {target}", INSTALL_TIMEOUT_S)


def ensure_template() -> Path:
    template = template_folder()
    if template.is_dir():
        return template
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / "mariadb-data.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        if not template.is_dir():
            make_template(template)
    return template


def make_template(template: Path) -> None:
    # In /tmp, because the path of a unix socket must be short.
    work = Path(tempfile.mkdtemp(prefix="resvd-mariadb-"))
    try:
        data = work / "data"
        run_quietly(
            [find_program("mariadb-install-db", "mariadb-server"), "--no-defaults",
             f"--datadir={data}", f"--tmpdir={work}", *running_user(), "--skip-test-db",
             "--skip-name-resolve", "--auth-root-authentication-method=normal"],
            "mariadb-install-db", INSTALL_TIMEOUT_S)
        set_up(data, work)
        # The folder appears whole or not at all.
        new = template.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        run_quietly(["cp", "-a", "--sparse=always", data, new], "copying", INSTALL_TIMEOUT_S)
        new.rename(template)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def set_up(data: Path, work: Path) -> None:
    """Runs SETUP on a server that only its socket reaches, and stops it in order."""
    socket, log_path = work / "socket", work / "log"
    with open(log_path, "wb") as log:
        server = process.start_owned(
            [find_server(), "--no-defaults", *running_user(), f"--datadir={data}",
             f"--tmpdir={work}", f"--socket={socket}", f"--pid-file={work}/pid",
             "--skip-networking", "--skip-log-bin"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        connect_when_up(socket, server, log_path).query(SETUP)
        server.send_signal(signal.SIGTERM)
        if server.wait(START_TIMEOUT_S) != 0:
            raise ServerError(f"mariadbd ended with {server.returncode}:\n{process.tail(log_path)}")
    finally:
        process.kill_and_reap(server)


def connect_when_up(socket: Path, server, log_path: Path) -> mysql_wire.Connection:
    give_up = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return mysql_wire.Connection(socket, "root")
        except OSError:
            if server.poll() is not None or time.monotonic() > give_up:
                raise ServerError(
                    f"mariadbd did not start:\n{process.tail(log_path)}") from None
        time.sleep(0.02)
