"""The Redis nodes of a run that hold locks: real servers, emptied for each measurement.

They are started when a case needs them first and are idle while others are measured.
"""

import pathlib
import sys

import servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import services  # noqa: E402 (the folder must be known first)

# Beside the defaults of tools/services; stated again because the figures rest on them. A node that
# is killed may forget the locks of the last second: the fencing token is what forbids overselling.
OPTIONS = {"appendonly": "yes", "appendfsync": "everysec", "save": ""}
SETTINGS = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy", "io-threads")


class LockNodes:
    """Started by `take`, as many as were ever asked for; `close` kills them and removes their data.

    `used` are those of the measurement that is under way.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.nodes = []
        self.used = []

    def close(self):
        for node in self.nodes:
            node.kill()
            node.wipe()
        self.nodes = self.used = []

    def take(self, count):
        """The first `count`, running and empty: no lock of the measurement before is waited for."""
        while len(self.nodes) < count:
            name = f"lock-{len(self.nodes) + 1}"
            node = services.Redis(self.folder / name, options=OPTIONS, name=name)
            self.nodes.append(node)
            node.start()
        self.used = self.nodes[:count]
        for node in self.used:
            node.call("FLUSHALL")

    def resvd_options(self):
        return {"redis.lock_nodes": ",".join(f"127.0.0.1:{node.port}" for node in self.used)}

    def cpu_seconds(self):
        """Of those used, together."""
        ticks = sum(servers.cpu_ticks(pathlib.Path(f"/proc/{node.pid}/stat").read_text())
                    for node in self.used)
        return ticks / servers.TICKS_PER_SECOND

    def commands(self):
        """That those used have executed, together."""
        return sum(int(parse_info(node.call("INFO", "stats"))["total_commands_processed"])
                   for node in self.used)

    def facts(self):
        """Version and settings, as the first one says: all are started alike."""
        first = self.nodes[0]
        settings = {}
        for name in SETTINGS:
            answer = first.call("CONFIG", "GET", name)
            if answer:
                settings[name] = answer[1]
        return {"version": parse_info(first.call("INFO", "server"))["redis_version"],
                "settings": settings}


def parse_info(text):
    """The pairs of Redis' INFO."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def work_done(commands, cpu_seconds, reservations):
    """What the nodes did for so many reservations."""
    return {
        "cpu_seconds_per_1000": cpu_seconds / reservations * 1000 if reservations else None,
        "commands_per_reservation": commands / reservations if reservations else None,
    }
