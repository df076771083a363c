"""The source study's two experiments: deadlocks without control, and what a busy row does to others.

Each prints its table.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from database_fixtures import HONEST, Database, strategy_options
from load import Client
from raw_http import make_request

DEADLOCKS = "db_deadlocks_total"


async def all_at_once(address, requests: list[bytes], begin: asyncio.Event | None = None,
                      begun: asyncio.Event | None = None, delay_s: float = 0.0) -> list:
    """Each on a connection of its own; all are open before the first request goes, delay_s after
    `begin`. `begun`: they are sent."""
    clients = [await Client.connect(address) for _ in requests]
    if begin:
        await begin.wait()
    await asyncio.sleep(delay_s)
    for client, request in zip(clients, requests):
        client.send(request)
    if begun:
        begun.set()
    answers = await asyncio.gather(*(client.read() for client in clients))
    for client in clients:
        client.close()
    return answers


def buy(member_id: int) -> bytes:
    return make_request("POST", "/api/reservations", {"concertId": 1, "memberId": member_id})


# --- deadlocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["embedded", *HONEST, "redlock_off", "naive"])
def test_hundred_at_once_on_hundred_seats(mariadb, serve, start, kind, capsys):
    database = Database(mariadb)
    sold_out = {"concerts": 1, "capacity": 100, "members": 100}
    before = database.status("Innodb_deadlocks")
    if kind == "embedded":
        server = start(server__allow_reset="on")
        server.reset(**sold_out)
    else:
        server = serve(database, kind, reset=sold_out,
                       link={"pool_wait_ms": 10000, "pool_max": 32, "lock_wait_timeout_s": 5},
                       server__operation_timeout_ms=10000)
    answers = asyncio.run(all_at_once(server.address, [buy(i + 1) for i in range(100)]))
    granted = sum(answer.status == 201 for answer in answers)
    deadlocks = database.status("Innodb_deadlocks") - before
    audit = server.audit()
    concert = audit["concerts"][0]
    with capsys.disabled():
        print(f"\n{kind:12} granted {granted:3}, rows {concert['live']:3}, seats counted "
              f"{concert['sold']:3}, deadlocks {deadlocks}", end=" ")
    assert granted == concert["live"]  # no answer is untrue, not even naive's
    if kind == "naive":
        assert deadlocks > 0 and server.metric(DEADLOCKS) > 0
        assert concert["sold"] != concert["live"]
        assert audit["consistent"] is False
        return
    assert granted == concert["sold"] == concert["live"] == 100
    assert audit["consistent"] is True
    assert deadlocks == 0
    if kind != "embedded":
        assert server.metric(DEADLOCKS) == 0
        database.check()


def test_naive_must_be_wanted(mariadb, database, start):
    """Without --i-know-this-oversells it does not start."""
    options = strategy_options("naive")
    options.pop("arguments")
    server = start(wait=False, **database.options(), **options)
    assert server.wait_exit() in (64, 78)
    assert "--i-know-this-oversells" in server.log()
    assert database.sql("SHOW TABLES") == []


# --- isolation ------------------------------------------------------------------------------------

# Strategy, catalog_pool, how many of the 10 may fail.
ISOLATION = [
    ("pessimistic", 0, range(8, 11)), ("pessimistic", 2, range(1)),
    ("procedure", 0, range(8, 11)), ("procedure", 2, range(1)),
    ("grouped", 0, range(1)), ("grouped", 2, range(1)),
    ("redlock", 0, range(1)), ("redlock_off", 0, range(1)), ("redlock_off", 2, range(1)),
]


async def hot_concert_and_members(server) -> list:
    """30 want one concert; 0.1 s later 10 read members. Gives the answers of the 10."""
    members = [make_request("GET", f"/api/members/{i + 1}") for i in range(10)]
    sold = asyncio.Event()
    hot = [buy(i + 1) for i in range(30)]
    _, victims = await asyncio.gather(
        all_at_once(server.address, hot, begun=sold),
        all_at_once(server.address, members, begin=sold, delay_s=0.1))
    return victims


@pytest.mark.parametrize(("kind", "catalog_pool", "may_fail"), ISOLATION,
                         ids=[f"{kind}-{pool}" for kind, pool, _ in ISOLATION])
def test_members_beside_a_hot_concert(database, serve, capsys, kind, catalog_pool, may_fail):
    """The study's pool of 10 and its wait of 250 ms; each reservation holds its lock for 500 ms."""
    strategy = strategy_options(kind)["strategy"]
    server = serve(
        database, kind, reset={"concerts": 1, "capacity": 100, "members": 100},
        link={"pool_min": 10, "pool_max": 10, "pool_wait_ms": 250, "catalog_pool": catalog_pool},
        server__operation_timeout_ms=1500, server__operation_grace_ms=1000,
        **{f"strategy__{strategy}__hold_ms": 500})
    began = time.monotonic()
    victims = asyncio.run(hot_concert_and_members(server))
    failed = sum(answer.status != 200 for answer in victims)
    for answer in victims:
        if answer.status != 200:
            answer.problem(503, "unavailable")
    with capsys.disabled():
        print(f"\n{kind:12} catalog_pool {catalog_pool}: {failed} of 10 members' reads failed "
              f"({time.monotonic() - began:.1f} s)", end=" ")
    assert failed in may_fail
    database.check()
