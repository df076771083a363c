"""Answers of Kafka that a real broker does not give on demand, under load: 0 lost, 0 double.

The broker is librdkafka's mock. RESVD_TEST_SEED repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from async_fixtures import IMPATIENT, AsyncStack, Servers
from async_load import Ledger, check_all, under_load
from kafka_client import MockKafka
from resvd_fixtures import finish, starter
from resvd_process import wait_until

SEED = int(os.environ.get("RESVD_TEST_SEED", random.SystemRandom().randrange(2**32)))
CLIENTS = 8
SHAPE = {"concerts": 3, "members": 50, "largest": 3, "releases": 0.2, "keyless": 0.2}
PLENTY = {"concerts": 3, "capacity": 10_000_000, "members": 50}

# Requests and errors of Kafka's protocol.
PRODUCE, FETCH = 0, 1
NOT_IN_THE_LOG = {
    "too large": 10,
    "not enough replicas": 19,
    "not authorized": 29,
}
POSSIBLY_IN_THE_LOG = {
    "not enough replicas after it was appended": 20,
    "out of order": 45,
}
FETCH_ERRORS = {"not the leader": 6, "storage error": 56}


class Site:
    """One resvd on one mock, and all that its clients know."""

    def __init__(self, stack: AsyncStack):
        self.stack, self.ledger, self.chance = stack, Ledger(SHAPE), random.Random(SEED)
        # The mock forms a group after three seconds.
        self.server = stack.start(reset=PLENTY, **{"kafka__timeout_ms": 1000,
                                                   "kafka__session.timeout.ms": 10000})

    def wait_until_it_sells(self) -> None:
        begin = len(self.ledger.sales)
        wait_until(lambda: any(sale.accepted() for sale in self.ledger.sales[begin:]), "it sells", 15)

    def trouble(self, request: int, error: int, seen) -> None:
        """Until `seen` says so of the answers that were got meanwhile: messages time out some time
        after their limit, when librdkafka looks. Afterwards all is well again."""
        async def run() -> set:
            async with under_load([self.server.address], self.ledger, self.chance, CLIENTS):
                await asyncio.to_thread(self.wait_until_it_sells)
                await asyncio.sleep(0.2)
                begin = len(self.ledger.sales)
                under_way = [sale for sale in self.ledger.sales if sale.answer is None]

                def answers() -> set:
                    return {sale.answer for sale in under_way + self.ledger.sales[begin:]}

                self.stack.kafka.answer(request, error, 10000)
                await asyncio.sleep(1.0)
                await asyncio.to_thread(wait_until, lambda: seen(answers()), "clients saw it", 15)
                meanwhile = answers()
                self.stack.kafka.answer_well(request)
                await asyncio.to_thread(self.wait_until_it_sells)
                await asyncio.sleep(0.2)
            return meanwhile

        meanwhile = asyncio.run(run())
        check_all(self.stack, self.ledger, [self.server])
        print(f"seed {SEED}: {self.ledger.describe()}; meanwhile {sorted(map(str, meanwhile))}")


@pytest.fixture(scope="module")
def site(request, tmp_path_factory):
    servers, brokers = Servers(tmp_path_factory.mktemp("async")), []

    def make_kafka(events: str, letters: str) -> MockKafka:
        brokers.append(MockKafka({events: IMPATIENT["kafka__topic_partitions"], letters: 1}))
        return brokers[0]

    start, processes = starter(request, tmp_path_factory)
    with servers.mariadb, servers.redis:
        yield Site(AsyncStack(servers, start, make_kafka))
        finish(request.session, processes)
    for broker in brokers:
        broker.__exit__()


@pytest.mark.parametrize("what", NOT_IN_THE_LOG)
def test_refused(site, what):
    """503, and the seats are on sale again."""
    undone = site.server.metric("async_undone_total")
    site.trouble(PRODUCE, NOT_IN_THE_LOG[what], lambda answers: 503 in answers)
    assert site.server.metric("async_undone_total") > undone


@pytest.mark.parametrize("what", POSSIBLY_IN_THE_LOG)
def test_nobody_knows(site, what):
    """500, and in the end it has its one row."""
    name = "kafka_events_possibly_persisted_total"
    before = site.server.metric(name)
    site.trouble(PRODUCE, POSSIBLY_IN_THE_LOG[what], lambda answers: 500 in answers)
    assert site.server.metric(name) > before


@pytest.mark.parametrize("what", FETCH_ERRORS)
def test_not_read(site, what):
    """Rows come later."""
    site.trouble(FETCH, FETCH_ERRORS[what], lambda answers: 202 in answers)
