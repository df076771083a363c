"""Fixtures of the strategy async: Redis, a Kafka broker and MariaDB, and any number of resvd on them.

The servers live as long as a file of tests, which may harm them: before each test all run again.
Each test has a database, topics, a consumer group and a key prefix of its own.

    def test_it(stack):
        server = stack.start()                      # role all, standard content
        api = stack.start(role="api", reset=None)   # one more, of what there is
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import pytest
from database_fixtures import SMALL, STANDARD, Database, require_strategy
from kafka_client import KafkaClient
from resvd_fixtures import finish, starter
from resvd_process import Resvd, wait_until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from services import Kafka, MariaDB, Redis, RedisError  # noqa: E402

# Groups that lost a member without a word soon know; nothing waits for others to join.
BROKER = {"group.min.session.timeout.ms": 500, "auto.create.topics.enable": "false",
          "log.retention.check.interval.ms": 1000, "background.threads": 2,
          "num.network.threads": 2, "num.io.threads": 2}

# Of resvd: so that all that waits is found out within a second or two.
IMPATIENT = {
    "kafka__topic_partitions": 3,
    "kafka__session.timeout.ms": 1500,
    "kafka__heartbeat.interval.ms": 300,
    "kafka__reconnect.backoff.max.ms": 250,
    "redis__timeout_ms": 300,
    "redis__ping_interval_ms": 200,
    "redis__reconnect_max_ms": 200,
    "strategy__async__sweep_after_ms": 500,
}
PENDING, CONFIRMED, CANCELLED, REJECTED = "PENDING", "CONFIRMED", "CANCELLED", "REJECTED"


class Servers:
    """One of each; as a context manager as they are."""

    def __init__(self, folder: Path, redis: dict | None = None, kafka: dict | None = None):
        self.mariadb = MariaDB(folder / "mariadb", options=SMALL)
        self.redis = Redis(folder / "redis", options=redis)
        self.kafka = Kafka(folder / "kafka", heap_mb=256, options={**BROKER, **(kafka or {})})

    def all(self) -> list:
        return [self.mariadb, self.redis, self.kafka]

    def start(self) -> None:
        """Those that do not run; a pause is over."""
        for server in self.all():
            if server.running:
                server.resume()
            else:
                server.start(wait=False)
        for server in self.all():
            server.wait_ready()

    def __enter__(self) -> Servers:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for server in self.all():
            server.kill()
            server.wipe()


class AsyncStack:
    """One installation on these servers, and the resvd that are part of it.

    make_kafka: gives it another broker than theirs, from the names of its topics.
    """

    def __init__(self, servers: Servers, start, make_kafka=None):
        require_strategy("async")
        self.servers = servers
        self.mariadb, self.redis, self.kafka = servers.all()
        self.database = Database(self.mariadb)
        self.name = f"{self.database.name}-{uuid.uuid4().hex[:6]}"
        self.prefix = f"{self.name}:"
        self.topic, self.letters = f"{self.name}-events", f"{self.name}-letters"
        if make_kafka:
            self.kafka = make_kafka(self.topic, self.letters)
        self.start_resvd = start

    def options(self) -> dict:
        """For Resvd(): which servers, and whose part of them."""
        return {
            "strategy": "async",
            **self.database.options(),
            "redis__stock": f"127.0.0.1:{self.redis.port}",
            "redis__key_prefix": self.prefix,
            "kafka__bootstrap.servers": self.kafka.bootstrap,
            "kafka__topic": self.topic,
            "kafka__dead_letter_topic": self.letters,
            "kafka__group.id": self.name,
            "server__allow_reset": "on",
            **IMPATIENT,
        }

    def start(self, role: str = "all", reset: dict | None = STANDARD, **options) -> Resvd:
        """10 concerts of 100 seats and 20 members, unless reset=None (left as it is) or {…}."""
        server = self.start_resvd(**{**self.options(), "server__role": role, **options})
        server.role = role
        if reset is not None:
            server.reset(**reset)
        return server

    def write_record(self, concert_id: int, payload: bytes) -> None:
        """Any bytes, where the events of the concert are."""
        with KafkaClient(self.kafka.bootstrap) as client:
            client.write(self.topic, str(concert_id), payload)

    # --- Redis' numbers ---

    def key(self, concert_id: int, name: str) -> str:
        return f"{self.prefix}{{c:{concert_id}}}:{name}"

    def gate(self, concert_id: int) -> dict[str, str]:
        """Its fields; `run` is one of an open gate."""
        words = self.redis.call("HGETALL", self.key(concert_id, "gate"))
        return dict(zip(words[::2], words[1::2]))

    def is_open(self, concert_id: int) -> bool:
        return "run" in self.gate(concert_id)

    def stock(self, concert_id: int) -> int:
        return int(self.gate(concert_id)["stock"])

    def pending(self, concert_id: int) -> int:
        """Reservations."""
        return self.redis.call("HLEN", self.key(concert_id, "pending"))

    # --- when nothing is asked for any more ---

    def concert_ids(self) -> list[int]:
        return [row[0] for row in self.database.concerts()]

    def is_settled(self) -> bool:
        """Nothing is pending, and every event in the log is applied."""
        try:
            if any(self.pending(concert_id) for concert_id in self.concert_ids()):
                return False
        except (OSError, RedisError):
            return False
        found = self.database.sql("SELECT partition_id, next_offset FROM consumer_position "
                                  f"WHERE topic = '{self.topic}'")
        positions = {int(number): int(offset) for number, offset in found}
        with KafkaClient(self.kafka.bootstrap) as client:
            return all(client.end(self.topic, number) == positions.get(number, 0)
                       for number in range(IMPATIENT["kafka__topic_partitions"]))

    def wait_until_settled(self, timeout_s: float = 20.0) -> None:
        """When nobody asks any more: all that was accepted has been written."""
        wait_until(self.is_settled, "nothing is pending, all events are applied", timeout_s)

    def check_quiet(self, timeout_s: float = 5.0) -> None:
        """Rows, seats sold and Redis' numbers agree: nothing is pending, and stock is what is left.
        What has been written last may have to be settled yet."""
        self.database.check()
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                return self.check_numbers()
            except AssertionError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(0.02)

    def check_numbers(self) -> None:
        run = next(line.split(":")[1] for line in self.redis.call("INFO", "server").splitlines()
                   if line.startswith("run_id:"))
        for concert_id, capacity, sold in self.database.concerts():
            assert self.pending(concert_id) == 0
            gate = self.gate(concert_id)
            if gate.get("run") == run:
                numbers = {name: int(gate[name]) for name in ("stock", "seats_pending", "sold")}
                assert numbers == {"stock": capacity - sold, "seats_pending": 0, "sold": sold}, (
                    concert_id, capacity, gate)
        assert self.redis.call("HLEN", f"{self.prefix}pending_concerts") == 0


@pytest.fixture(scope="module")
def async_servers(tmp_path_factory):
    with Servers(tmp_path_factory.mktemp("async")) as servers:
        yield servers


@pytest.fixture
def stack(request, async_servers, tmp_path_factory):
    """All resvd of it are stopped, and must have exited clean, at the end of the test."""
    async_servers.start()
    start, servers = starter(request, tmp_path_factory)
    yield AsyncStack(async_servers, start)
    async_servers.start()
    finish(request.session, servers)

