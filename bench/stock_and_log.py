"""The Redis node with the stock and the Kafka broker of a run, for strategies that have them: real
servers, and a part of them for each measurement that nobody has used before.

They are started when a case needs them first and are idle while others are measured. Each round has
a broker of its own: one that keeps the topics of all rounds is another one in the last.
"""

import pathlib
import sys
import time

import lock_nodes
import servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import services  # noqa: E402 (the folder must be known first)

# Beside the defaults of tools/services; stated again because the figures rest on them. What Redis
# forgets is made anew from the database and the log: no accepted seat rests on its file.
REDIS_OPTIONS = {"appendonly": "yes", "appendfsync": "everysec", "save": ""}
KEY_PREFIX = "resvd:"
# One broker: acks=all waits for one. It does not sync each batch, as Kafka never does by default:
# there it is replicas that make an event durable.
HEAP_MB = 320
BROKER = {
    "auto.create.topics.enable": "false", "num.network.threads": 2, "num.io.threads": 2,
    "background.threads": 2, "log.retention.check.interval.ms": 60000,
    "log.retention.ms": 1200000,  # what measurements before have left goes meanwhile
}
WAIT_S = 120.0
POLL_S = 0.02


class StockAndLog:
    """Started by `take`; `close` kills both and removes their data."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.redis = services.Redis(folder / "stock", options=REDIS_OPTIONS, name="stock")
        self.kafka = services.Kafka(folder / "kafka", heap_mb=HEAP_MB, options=BROKER)
        self.started = []
        self.taken = 0  # how often: the number of topics and group
        self.fresh = False  # the broker was started for the measurement that is under way
        self.concerts = 0

    def close(self):
        for server in self.started:
            server.kill()
            server.wipe()
        self.started = []

    def begin_round(self):
        """The next one who takes it has a new broker."""
        if self.kafka in self.started:
            self.started.remove(self.kafka)
            self.kafka.kill()
            self.kafka.wipe()

    def take(self, concerts):
        """Both run, Redis is empty, and topics and group are new."""
        self.fresh = self.kafka not in self.started
        for server in (self.redis, self.kafka):
            if server not in self.started:
                server.folder.parent.mkdir(exist_ok=True)
                self.started.append(server)
                server.start()
        self.redis.call("FLUSHALL")
        self.taken += 1
        self.concerts = concerts

    def resvd_options(self):
        return {
            "redis.stock": f"127.0.0.1:{self.redis.port}", "redis.key_prefix": KEY_PREFIX,
            "kafka.bootstrap.servers": self.kafka.bootstrap,
            "kafka.topic": f"bench-{self.taken}", "kafka.group.id": f"bench-{self.taken}",
            "kafka.dead_letter_topic": f"bench-{self.taken}-dead",
        }

    def cpu_seconds(self):
        """Of each, so far."""
        return {name: cpu_of(server.pid)
                for name, server in (("redis", self.redis), ("kafka", self.kafka))}

    def gate_sum(self, field):
        """Of all concerts' gates; concerts that nobody has asked for yet have none."""
        found = [self.redis.call("HGET", f"{KEY_PREFIX}{{c:{number}}}:gate", field)
                 for number in range(1, self.concerts + 1)]
        return sum(int(text) for text in found if text is not None)

    def seats_pending(self):
        """Taken, and not yet in a row that Redis was told of."""
        return self.gate_sum("seats_pending")

    def wait_until_settled(self, seconds_max=WAIT_S):
        """Until nothing is pending; the seconds that it took."""
        begun = time.monotonic()
        while self.seats_pending() > 0:
            if time.monotonic() - begun > seconds_max:
                raise servers.ServerError(
                    f"{self.seats_pending()} seats are pending {seconds_max:.0f} s after the load")
            time.sleep(POLL_S)
        return time.monotonic() - begun

    def facts(self):
        """Versions and settings that the figures rest on."""
        settings = {name: (self.redis.call("CONFIG", "GET", name) or [name, "?"])[1]
                    for name in lock_nodes.SETTINGS}
        info = lock_nodes.parse_info(self.redis.call("INFO", "server"))
        return {"redis_version": info["redis_version"], "redis_settings": settings,
                "kafka_version": services.kafka_jars.kafka_version(), "kafka_brokers": 1,
                "kafka_heap_mb": HEAP_MB}


def cpu_of(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return servers.cpu_ticks(stat) / servers.TICKS_PER_SECOND
