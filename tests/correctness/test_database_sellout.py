"""Several resvd on one database sell out one concert: exactly the capacity, each seat once."""

from __future__ import annotations

import asyncio
import random

import pytest
from database_fixtures import HONEST
from load import Client, Ledger, check_rows, look_up, take_answer
from raw_http import make_request
from redis_nodes import LOCK_NODES

# Which resvd sell together.
TOGETHER = [
    ["pessimistic"] * 2, ["pessimistic"] * 3, ["grouped"] * 2, ["grouped"] * 3,
    ["pessimistic", "procedure", "grouped"], ["redlock"] * 3, ["redlock_off"] * 2,
    ["redlock", "redlock_off", "grouped"],
]


def name(kinds) -> str:
    return "+".join(kinds)


async def stampede(servers, ledger: Ledger, clients: int, each: int, largest: int,
                   concerts: int = 1, depth: int = 2) -> None:
    """All connections, spread over the servers, are open before the first one asks."""
    chance = random.Random(7)
    connections = [await Client.connect(servers[i % len(servers)].address) for i in range(clients)]
    gate = asyncio.Event()

    async def one(client: Client) -> None:
        await gate.wait()
        for _ in range(each):
            wanted = [ledger.new(chance, concerts, 20, largest) for _ in range(depth)]
            client.send(b"".join(sale.request() for sale in wanted))
            for sale in wanted:
                take_answer(sale, await client.read())

    tasks = [asyncio.create_task(one(client)) for client in connections]
    gate.set()
    await asyncio.gather(*tasks)
    for client in connections:
        client.close()


def start_together(serve, database, kinds):
    """Patient enough that nobody is refused for having waited."""
    patient = {"server__operation_timeout_ms": 20000}
    link = {"pool_wait_ms": 15000, "pool_queue_max": 4096, "lock_wait_timeout_s": 15}
    lock = {kind: {"strategy__redlock__wait_ms": 15000} for kind in LOCK_NODES}
    return [serve(database, kind, link=link, reset=None, **lock.get(kind, {}), **patient)
            for kind in kinds]


@pytest.fixture(params=[["grouped"] * 2, ["pessimistic", "procedure", "grouped"], ["redlock"] * 2],
                ids=name)
def servers(request, database, serve):
    return start_together(serve, database, request.param)


@pytest.mark.parametrize("kinds", TOGETHER, ids=name)
def test_exactly_the_capacity_is_sold(database, serve, kinds):
    servers = start_together(serve, database, kinds)
    servers[0].reset(concerts=1, capacity=500, members=20)
    ledger = Ledger()
    asyncio.run(stampede(servers, ledger, 90, 4, 1))
    assert {sale.status for sale in ledger.sales} == {201, 409}
    assert len(ledger.granted()) == 500 == len(database.rows())
    check_rows(database.rows(), database.concerts(), ledger)
    for server in servers:
        assert server.ask("GET", "/api/concerts/1").json()["available"] == 0
        assert server.audit()["consistent"] is True
        asyncio.run(look_up(server.address, ledger.granted()[::10]))


def test_mixed_quantities(database, servers):
    """Two concerts: what is left is less than the smallest that was refused last."""
    servers[0].reset(concerts=2, capacity=301, members=20)
    ledger = Ledger()
    asyncio.run(stampede(servers, ledger, 60, 5, 4, concerts=2))
    check_rows(database.rows(), database.concerts(), ledger)
    for concert_id, capacity, sold in database.concerts():
        asked = [sale.quantity for sale in ledger.sales if sale.concert_id == concert_id]
        assert sum(asked) > capacity
        assert capacity - sold < 4
    assert servers[-1].audit()["consistent"] is True


def test_member_limit(database, servers):
    """The limit holds over all of them together."""
    servers[0].reset(concerts=1, capacity=10_000, members=20)
    assert servers[0].admin("PUT", "/admin/concerts/1", {"memberLimit": 5}).status == 200
    ledger = Ledger()
    asyncio.run(stampede(servers, ledger, 60, 4, 2))
    seats: dict[int, int] = {}
    for sale in ledger.granted():
        seats[sale.member_id] = seats.get(sale.member_id, 0) + sale.quantity
    assert max(seats.values()) <= 5
    assert min(seats.values()) >= 4
    check_rows(database.rows(), database.concerts(), ledger)


async def same_keys(servers, keys: int, clients: int) -> dict[str, list]:
    """Every client asks with every key, each at another resvd: each key may sell once."""
    answers: dict[str, list] = {f"same-{i}": [] for i in range(keys)}
    connections = [await Client.connect(servers[i % len(servers)].address) for i in range(clients)]

    async def one(client: Client) -> None:
        for key in answers:
            body = {"concertId": 1, "memberId": 1, "quantity": 2}
            client.send(make_request("POST", "/api/reservations", body, {"Idempotency-Key": key}))
            answers[key].append(await client.read())

    await asyncio.gather(*(one(client) for client in connections))
    for client in connections:
        client.close()
    return answers


def test_one_key_many_clients(database, servers):
    servers[0].reset(concerts=1, capacity=10_000, members=1)
    answers = asyncio.run(same_keys(servers, 15, 24))
    for responses in answers.values():
        granted = [response for response in responses if response.status == 201]
        assert {response.status for response in responses} <= {201, 409}
        assert sum("idempotent-replay" not in response.headers for response in granted) == 1
        assert len({response.json()["id"] for response in granted}) == 1
    assert database.concerts() == [(1, 10_000, 30)]
    assert len(database.rows()) == 15


async def churn(servers, ledger: Ledger, clients: int, rounds: int) -> None:
    """Everybody buys at one resvd, gives back at another, twice at once, and buys again."""
    chance = random.Random(11)

    async def one(number: int) -> None:
        buyer = await Client.connect(servers[number % len(servers)].address)
        others = [await Client.connect(server.address) for server in servers]
        for _ in range(rounds):
            sale = ledger.new(chance, 2, 20, 4)
            buyer.send(sale.request())
            take_answer(sale, await buyer.read())
            if sale.status == 201 and chance.random() < 0.8:
                for other in others:
                    other.send(make_request("DELETE", f"/api/reservations/{sale.id}"))
                assert {(await other.read()).status for other in others} == {204}
                sale.released = "yes"
        for client in [buyer, *others]:
            client.close()

    await asyncio.gather(*(one(number) for number in range(clients)))


def test_buying_and_giving_back(database, servers):
    servers[0].reset(concerts=2, capacity=53, members=20)
    ledger = Ledger()
    asyncio.run(churn(servers, ledger, 40, 8))
    assert len(ledger.granted()) > 2 * 30
    check_rows(database.rows(), database.concerts(), ledger)
    asyncio.run(look_up(servers[0].address, ledger.granted()))


def test_every_kind_knows_what_another_has_sold(database, serve):
    """One resvd after the other, of each kind, on the same rows."""
    ids = []
    for number, kind in enumerate(HONEST * 2):
        reset = {"concerts": 1, "capacity": 8, "members": 2} if number == 0 else None
        server = serve(database, kind, reset=reset)
        for earlier in ids:
            assert server.ask("GET", f"/api/reservations/{earlier}").status == 200
        answer = server.ask("POST", "/api/reservations", {"concertId": 1, "memberId": 1},
                            {"Idempotency-Key": f"key-{number // len(HONEST)}"})
        assert answer.status == 201
        if answer.json()["id"] not in ids:
            ids.append(answer.json()["id"])
        assert server.stop() == 0
    assert len(ids) == 2 == len(database.rows())
    database.check()
