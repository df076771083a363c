"""Kafka, Redis or MariaDB that does not answer: queues fill and are full, clients are told to come
again, memory stays bounded, and all goes on by itself when the server does. On real servers, which
are stopped (SIGSTOP: connections stay, nobody answers).
"""

from __future__ import annotations

import collections
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from async_fixtures import CONFIRMED, PENDING
from raw_http import Connection, make_request
from resvd_process import is_sanitized, wait_until

LARGE = {"concerts": 3, "capacity": 1_000_000, "members": 20}
CLIENTS, PIPELINED = 12, 40
MIB = 1 << 20


class Load:
    """Clients that ask for many reservations at once on each of their connections, and take all
    answers, until they are told to stop."""

    def __init__(self, promises, server):
        self.promises, self.server = promises, server
        self.over = threading.Event()
        self.answers: collections.Counter = collections.Counter()
        self.served: set[int] = set()  # members who were sold to
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(CLIENTS)
        self.futures = [self.pool.submit(self.client, number) for number in range(CLIENTS)]

    def client(self, number: int) -> None:
        content = (1 + number % 3, 1 + number, 1)
        body = dict(zip(("concertId", "memberId", "quantity"), content))
        requests = make_request("POST", "/api/reservations", body) * PIPELINED
        with Connection(self.server.address, timeout_s=30) as connection:
            while not self.over.is_set():
                connection.send(requests)
                for _ in range(PIPELINED):
                    self.take(connection.read(), content)

    def take(self, answer, content: tuple[int, int, int]) -> None:
        self.promises.note(answer, content)
        if answer.status == 503:
            answer.problem(503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        else:
            assert answer.status in (202, 500, 504), answer.raw
        with self.lock:
            self.answers[answer.status] += 1
            if answer.status == 202:
                self.served.add(content[1])

    def count(self, status: int) -> int:
        with self.lock:
            return self.answers[status]

    def wait_for_more(self, status: int, more: int, what: str, timeout_s: float = 15.0) -> None:
        before = self.count(status)
        wait_until(lambda: self.count(status) >= before + more, f"{what}: {self.answers}", timeout_s)

    def stop(self) -> None:
        self.over.set()
        for future in self.futures:
            future.result()
        self.pool.shutdown()


@pytest.fixture
def load(promises):
    """load(server); ends with the test."""
    loads = []

    def begin(server) -> Load:
        loads.append(Load(promises, server))
        return loads[-1]

    yield begin
    promises.stack.servers.start()
    for each in loads:
        each.stop()


def start(promises, **options):
    server = promises.start(reset=LARGE, **options)
    for concert in (1, 2, 3):
        promises.wait_for(server, promises.sell(server, concert), CONFIRMED)
    return server


def check_memory(server, before: int) -> None:
    if not is_sanitized():
        grown = (server.resident_bytes() - before) / MIB
        assert grown < 40, f"{grown:.0f} MiB more than before"


def stop_and_go_on(promises, server, load, stopped, seconds: float) -> Load:
    """Nothing is sold while it is stopped, and everybody is told so; afterwards it is sold again."""
    under = load(server)
    under.wait_for_more(202, 2000, "it sells")
    before = server.resident_bytes()
    stopped.pause()
    under.wait_for_more(503, 500, "they are refused")
    check_memory(server, before)
    time.sleep(seconds)
    under.wait_for_more(503, 1000, "they are still refused")
    check_memory(server, before)
    answer = server.admin("GET", "/livez")
    assert answer.status == 200
    stopped.resume()
    under.wait_for_more(202, 2000, "it sells again")
    check_memory(server, before)
    under.stop()
    wait_until(lambda: server.admin("GET", "/readyz").status == 200, "ready")
    return under


def test_kafka_stops(promises, load):
    """Few events may be on their way: the queue is full at once."""
    server = start(promises, strategy__async__events_max=200)
    under = load(server)
    under.wait_for_more(202, 2000, "it sells")
    before = server.resident_bytes()
    promises.stack.kafka.pause()
    under.wait_for_more(503, 500, "the queue is full")
    wait_until(lambda: 200 <= server.metric("kafka_events_under_way") <= 210, "so many are on their way")
    check_memory(server, before)
    promises.stack.kafka.resume()
    under.wait_for_more(202, 2000, "it sells again")
    under.stop()


def test_kafka_stops_for_longer(promises, load):
    """Than events wait for it: nobody knows what became of those that were sent."""
    server = start(promises, kafka__timeout_ms=1500)
    stop_and_go_on(promises, server, load, promises.stack.kafka, seconds=4)
    assert promises.accepted


def test_redis_stops(promises, load):
    server = start(promises)
    stop_and_go_on(promises, server, load, promises.stack.redis, seconds=2)


def test_mariadb_stops(promises, load):
    """The log is durable: it sells on, and rows come later."""
    server = start(promises)
    under = load(server)
    under.wait_for_more(202, 2000, "it sells")
    # Who has not been seen yet has to be looked up.
    wait_until(lambda: len(under.served) == CLIENTS, "it sells to everybody")
    promises.stack.mariadb.pause()
    seen = [-1.0]

    def comes_to_its_end() -> bool:
        seen.append(server.metric("async_row_seconds_count"))
        return seen[-1] == seen[-2]

    wait_until(comes_to_its_end, "what was under way there", pause_s=0.3)
    rows = seen[-1]
    under.wait_for_more(202, 5000, "it sells on")
    before = server.resident_bytes()
    under.wait_for_more(202, 5000, "it sells on and on")
    check_memory(server, before)
    assert server.metric("async_row_seconds_count") == rows
    assert under.count(503) == under.count(500) == 0
    promises.stack.mariadb.resume()
    under.stop()
    wait_until(lambda: server.metric("kafka_consumer_lag_records") == 0, "all rows are there", 30)


def test_mariadb_is_gone(promises):
    """Not to be reached at all: who was here before can buy; its rows come when it is there again."""
    server = start(promises)
    promises.stack.mariadb.kill()
    made = [promises.reserve(server, 1 + i % 3) for i in range(20)]
    assert {answer.status for answer in made} == {202}
    for answer in made[:3]:
        found = server.ask("GET", answer.headers["location"])
        assert found.status == 503 or found.json()["status"] == PENDING
    promises.reserve(server, 1, 20, key="a-key").problem(503, "unavailable")
    promises.stack.mariadb.start()
    for answer in made:
        wait_until(lambda at=answer.headers["location"]: server.ask("GET", at).status == 200, "it answers")
        promises.wait_for(server, answer.headers["location"], CONFIRMED, 30)
