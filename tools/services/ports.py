"""TCP ports of loopback: free ones to take, and who holds one that is taken."""

from __future__ import annotations

import os
import pwd
import random
import re
import socket
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Five digits, and below the range that clients' own ends come from, so that no client takes it
# meanwhile.
FREE_PORT_FIRST, FREE_PORT_LAST = 15000, 32000
# What was given here lately is not given again: it may not be bound yet.
GIVEN_MAX = 5000
_given: dict[int, None] = {}


def free_port() -> int:
    """A port that nothing holds now. Nothing keeps others from taking it: bind it soon."""
    return free_block(1)


def free_block(size: int) -> int:
    """The first of `size` neighbouring ports that nothing holds now."""
    for _ in range(1000):
        first = random.randint(FREE_PORT_FIRST, FREE_PORT_LAST - size + 1)
        block = range(first, first + size)
        if all(port not in _given and is_free(port) for port in block):
            _given.update(dict.fromkeys(block))
            while len(_given) > GIVEN_MAX:
                del _given[next(iter(_given))]
            return first
    raise RuntimeError("no free port")


def is_free(port: int, reuse: bool = False) -> bool:
    """reuse: as a server with SO_REUSEADDR sees it, to whom closed connections are no matter."""
    with socket.socket() as probe:
        if reuse:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            return True
        except OSError:
            return False


# --- who holds a port ---------------------------------------------------------------------------


@dataclass
class Holder:
    """Whoever has a port. pid and name are None where another user's process may not be seen."""

    port: int
    pid: int | None
    name: str | None
    user: str | None
    unit: str | None  # of systemd, where it belongs to one

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user {self.user}" if self.user else "what cannot be seen"
        return f"{self.name}, pid {self.pid}" + (f", user {self.user}" if self.user else "")

    def way_out(self) -> str:
        """What the reader can do to have the port free."""
        if self.unit:
            return f"sudo systemctl stop {self.unit}"
        if self.name and self.name.startswith(("docker-pr", "rootlesskit")):
            return f"docker compose down (docker ps shows what publishes {self.port})"
        if self.pid is None:
            return f"sudo ss -ltnp 'sport = {self.port}' shows it"
        return f"kill {self.pid}"


def find_holder(port: int) -> Holder | None:
    """Who keeps a server from listening on 127.0.0.1:port. None: nobody, or nobody to be found."""
    sockets = sockets_on(port)
    for inode, user_id in sockets.items():
        pid = owner_of_socket(inode)
        if pid is not None:
            return Holder(port, pid, name_of(pid), user_name(user_id), unit_of(pid))
    for user_id in sockets.values():
        return Holder(port, None, None, user_name(user_id), None)
    return None


def sockets_on(port: int) -> dict[str, int]:
    """Inode and user id of each socket that is bound to it, those that listen first."""
    listening, others = {}, {}
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, local_port = fields[1].rpartition(":")
            if int(local_port, 16) == port and fields[9] != "0" and blocks_loopback(address):
                kind = listening if fields[3] == "0A" else others
                kind[fields[9]] = int(fields[7])
    return {**listening, **others}


def blocks_loopback(address: str) -> bool:
    """True for 127.0.0.1 and for every address at once, as /proc/net writes them."""
    return address in ("0100007F", "00000000", "0" * 32, "0000000000000000FFFF00000100007F")


def owner_of_socket(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in os.scandir(folder / "fd"):
                try:
                    if os.readlink(descriptor.path) == wanted:
                        return int(folder.name)
                except OSError:
                    continue
        except OSError:
            continue
    return None


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


def user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def unit_of(pid: int) -> str | None:
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return None
    match = re.search(r"/system\.slice/(?:.*/)?([^/\n]+\.service)", groups)
    return match[1] if match else None
