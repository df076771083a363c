"""Many more want a seat than there are: exactly the capacity is sold, to exactly who was told so."""

from __future__ import annotations

import asyncio
import random

import pytest
from load import Client, Ledger, check_file, look_up, take_answer
from raw_http import make_request


async def stampede(server, ledger: Ledger, clients: int, each: int, depth: int, largest: int) -> None:
    """All connections are open before the first one asks."""
    chance = random.Random(7)
    connections = [await Client.connect(server.address) for _ in range(clients)]
    gate = asyncio.Event()

    async def one(client: Client) -> None:
        await gate.wait()
        for _ in range(each):
            wanted = [ledger.new(chance, 1, 20, largest) for _ in range(depth)]
            client.send(b"".join(sale.request() for sale in wanted))
            for sale in wanted:
                take_answer(sale, await client.read())

    tasks = [asyncio.create_task(one(client)) for client in connections]
    gate.set()
    await asyncio.gather(*tasks)
    for client in connections:
        client.close()


@pytest.mark.parametrize(
    ("clients", "each", "depth", "capacity"),
    [(400, 5, 1, 100), (400, 5, 1, 1), (50, 3, 16, 777), (300, 4, 4, 3000)],
)
def test_exactly_the_capacity_is_sold(start, clients, each, depth, capacity):
    server = start(server__allow_reset="on")
    server.reset(concerts=1, capacity=capacity, members=20)
    ledger = Ledger()
    asyncio.run(stampede(server, ledger, clients, each, depth, 1))
    assert {sale.status for sale in ledger.sales} == {201, 409}
    assert len(ledger.granted()) == capacity
    check_file(server.file, ledger)
    assert server.ask("GET", "/api/concerts/1").json()["available"] == 0


def test_mixed_quantities_leave_less_than_the_smallest_refused(start):
    server = start(server__allow_reset="on")
    server.reset(concerts=1, capacity=1999, members=20)
    ledger = Ledger()
    asyncio.run(stampede(server, ledger, 200, 10, 1, 5))
    left = 1999 - sum(sale.quantity for sale in ledger.granted())
    refused = [sale.quantity for sale in ledger.sales if sale.status == 409]
    assert 0 <= left < min(refused)
    check_file(server.file, ledger)


def test_member_limit_under_stampede(start):
    server = start(server__allow_reset="on")
    server.reset(concerts=1, capacity=100_000, members=20)
    assert server.admin("PUT", "/admin/concerts/1", {"memberLimit": 7}).status == 200
    ledger = Ledger()
    asyncio.run(stampede(server, ledger, 200, 10, 1, 3))
    seats = {}
    for sale in ledger.granted():
        seats[sale.member_id] = seats.get(sale.member_id, 0) + sale.quantity
    assert max(seats.values()) <= 7
    assert min(seats.values()) >= 5  # whoever asks for 1 to 3 a hundred times fills up to 7 or so
    check_file(server.file, ledger)


async def churn(server, ledger: Ledger, clients: int, rounds: int) -> None:
    """Everybody buys, gives back what they got, and buys again."""
    chance = random.Random(11)

    async def one(client: Client) -> None:
        for number in range(rounds):
            sale = ledger.new(chance, 2, 20, 4)
            client.send(sale.request())
            take_answer(sale, await client.read())
            if sale.status == 201 and (number < rounds - 1 or chance.random() < 0.5):
                client.send(make_request("DELETE", f"/api/reservations/{sale.id}") * 2)
                assert (await client.read()).status == (await client.read()).status == 204
                sale.released = "yes"

    connections = [await Client.connect(server.address) for _ in range(clients)]
    await asyncio.gather(*(one(client) for client in connections))
    for client in connections:
        client.close()


def test_buying_and_giving_back(start):
    server = start(server__allow_reset="on")
    server.reset(concerts=2, capacity=97, members=20)
    ledger = Ledger()
    asyncio.run(churn(server, ledger, 150, 20))
    assert len(ledger.granted()) > 2 * 97  # seats were sold again
    check_file(server.file, ledger)
    asyncio.run(look_up(server.address, ledger.granted()))
    assert server.audit()["consistent"] is True


async def same_keys(server, key_count: int, clients: int) -> dict[str, list]:
    """Every client asks with every key: each key may sell once."""
    answers: dict[str, list] = {f"same-{i}": [] for i in range(key_count)}

    async def one(client: Client) -> None:
        for key in answers:
            body = {"concertId": 1, "memberId": 1, "quantity": 2}
            client.send(make_request("POST", "/api/reservations", body, {"Idempotency-Key": key}))
            answers[key].append(await client.read())

    connections = [await Client.connect(server.address) for _ in range(clients)]
    await asyncio.gather(*(one(client) for client in connections))
    for client in connections:
        client.close()
    return answers


def test_one_key_many_clients(start):
    server = start(server__allow_reset="on")
    server.reset(concerts=1, capacity=10_000, members=1)
    answers = asyncio.run(same_keys(server, 40, 50))
    for responses in answers.values():
        granted = [r for r in responses if r.status == 201]
        assert all(r.status in (201, 409) for r in responses)
        assert sum("idempotent-replay" not in r.headers for r in granted) == 1
        assert len({r.json()["id"] for r in granted}) == 1
    assert server.ask("GET", "/api/concerts/1").json()["sold"] == 2 * 40
