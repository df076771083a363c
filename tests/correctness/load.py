"""A load of reservations and releases over many connections, and what each was answered.

Every reservation has an Idempotency-Key, so that after a crash each can be asked for again.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from raw_http import make_request, parse_response


@dataclass
class Sale:
    """One reservation that was asked for. status: of the answer; None: no answer came."""

    key: str
    concert_id: int
    member_id: int
    quantity: int
    status: int | None = None
    id: str | None = None
    released: str = "no"  # "asked": no answer came to the DELETE; "yes": 204

    def request(self) -> bytes:
        body = {"concertId": self.concert_id, "memberId": self.member_id, "quantity": self.quantity}
        return make_request("POST", "/api/reservations", body, {"Idempotency-Key": self.key})


@dataclass
class Ledger:
    """All that clients know."""

    sales: list[Sale] = field(default_factory=list)
    counter: int = 0

    def new(self, chance: random.Random, concerts: int, members: int, largest: int) -> Sale:
        self.counter += 1
        sale = Sale(
            key=f"k{self.counter}",
            concert_id=chance.randint(1, concerts),
            member_id=chance.randint(1, members),
            quantity=chance.randint(1, largest),
        )
        self.sales.append(sale)
        return sale

    def granted(self) -> list[Sale]:
        return [sale for sale in self.sales if sale.status == 201]

    def unanswered(self) -> list[Sale]:
        return [sale for sale in self.sales if sale.status in (None, 500)]


class Client:
    """A connection of asyncio."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.data = b""

    @classmethod
    async def connect(cls, address):
        return cls(*await asyncio.open_connection(*address))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self):
        while (parsed := parse_response(self.data)) is None:
            more = await asyncio.wait_for(self.reader.read(1 << 16), 20)
            if not more:
                raise ConnectionError
            self.data += more
        response, self.data = parsed
        return response

    def close(self) -> None:
        self.writer.close()


def take_answer(sale: Sale, response) -> None:
    assert response.status in (201, 409, 500, 503, 504), response.raw
    sale.status = response.status
    if response.status == 201:
        answer = response.json()
        sale.id = answer["id"]
        assert answer["concertId"] == sale.concert_id and answer["quantity"] == sale.quantity
        assert answer["memberId"] == sale.member_id
        assert response.headers["location"] == f"/api/reservations/{sale.id}"


async def buy(address, ledger: Ledger, chance: random.Random, shape: dict, stop: asyncio.Event) -> None:
    """One client until it is told to stop or the server is gone: buys in pipelines, gives back some.

    shape["outages"]: the server's own backend may be away, so that a DELETE may be refused too.
    """
    try:
        client = await Client.connect(address)
    except OSError:
        return
    try:
        while not stop.is_set():
            depth = chance.choice([1, 1, 4])
            wanted = [
                ledger.new(chance, shape["concerts"], shape["members"], shape["largest"])
                for _ in range(depth)
            ]
            client.send(b"".join(sale.request() for sale in wanted))
            for sale in wanted:
                response = await client.read()
                assert "idempotent-replay" not in response.headers
                take_answer(sale, response)
            if wanted[0].status == 201 and chance.random() < shape["releases"]:
                await give_back(client, wanted[0], shape.get("outages", False))
            if wanted[0].status in (500, 503, 504):
                await asyncio.sleep(0.02)
            elif shape.get("pause_s"):
                await asyncio.sleep(shape["pause_s"])
    except (ConnectionError, OSError):
        pass
    finally:
        client.close()


async def give_back(client: Client, sale: Sale, outages: bool) -> None:
    sale.released = "asked"
    client.send(make_request("DELETE", f"/api/reservations/{sale.id}"))
    response = await client.read()
    if response.status == 204:
        sale.released = "yes"
    else:
        assert outages and response.status in (409, 500, 503, 504), response.raw
        if response.status != 500:
            sale.released = "no"


UNDECIDED = {"/problems/in-progress", "/problems/contended", "/problems/unavailable"}


async def ask_again(address, sales: list[Sale]) -> None:
    """Each key once more: the first answer again; what had none has one now. As a patient client:
    those whose first request is still under way, or who cannot be served yet, ask once more."""
    client = await Client.connect(address)
    give_up = time.monotonic() + 20
    while sales:
        undecided = []
        for begin in range(0, len(sales), 50):
            part = sales[begin : begin + 50]
            client.send(b"".join(sale.request() for sale in part))
            for sale in part:
                response = await client.read()
                if response.status in (409, 503) and response.json()["type"] in UNDECIDED:
                    assert time.monotonic() < give_up, (sale, response.raw)
                    undecided.append(sale)
                else:
                    take_second_answer(sale, response)
        sales = undecided
        await asyncio.sleep(0.05 if sales else 0)
    client.close()


def take_second_answer(sale: Sale, response) -> None:
    if sale.status != 201:
        take_answer(sale, response)
        assert sale.status in (201, 409), response.raw
        return
    assert response.status == 201, (sale, response.raw)
    assert response.headers["idempotent-replay"] == "true", (sale, response.raw)
    answer = response.json()
    assert answer["id"] == sale.id, (sale, response.raw)
    wanted = {"no": ["CONFIRMED"], "yes": ["CANCELLED"], "asked": ["CONFIRMED", "CANCELLED"]}
    assert answer["status"] in wanted[sale.released], (sale, response.raw)


async def look_up(address, sales: list[Sale]) -> None:
    client = await Client.connect(address)
    for begin in range(0, len(sales), 50):
        part = sales[begin : begin + 50]
        client.send(b"".join(make_request("GET", f"/api/reservations/{sale.id}") for sale in part))
        for sale in part:
            response = await client.read()
            assert response.status == 200, (sale, response.raw)
            answer = response.json()
            assert (answer["id"], answer["concertId"]) == (sale.id, sale.concert_id)
            assert (answer["memberId"], answer["quantity"]) == (sale.member_id, sale.quantity)
            if answer["status"] == "CANCELLED" and sale.released == "asked":
                sale.released = "yes"
            elif sale.released == "asked":
                sale.released = "no"  # the DELETE never arrived
            assert answer["status"] == ("CANCELLED" if sale.released == "yes" else "CONFIRMED"), sale
    client.close()


def check_file(path: Path, ledger: Ledger) -> None:
    """embedded's file holds exactly what clients were promised."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = database.execute(
            "SELECT id, concert_id, member_id, quantity, status FROM reservations"
        ).fetchall()
        concerts = database.execute("SELECT id, capacity, sold FROM concerts").fetchall()
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        database.close()
    by_id = {str(uuid.UUID(bytes=bytes(row[0]))): row[1:] for row in rows}
    assert len(by_id) == len(rows)
    check_rows(by_id, concerts, ledger)


def check_rows(by_id: dict, concerts: list, ledger: Ledger) -> None:
    """(concert, member, quantity, status) by id, and (id, capacity, sold): exactly what clients
    were promised: none lost, none twice, none unknown."""
    promised = {sale.id: sale for sale in ledger.granted()}
    assert len(promised) == len(ledger.granted()), "one id for two keys"
    assert set(promised) - set(by_id) == set(), "lost"
    assert set(by_id) - set(promised) == set(), "nobody was promised these"
    live: dict[int, int] = {}
    for reservation_id, (concert_id, member_id, quantity, status) in by_id.items():
        sale = promised[reservation_id]
        assert (concert_id, member_id, quantity) == (sale.concert_id, sale.member_id, sale.quantity)
        assert status == (3 if sale.released == "yes" else 2), (sale, status)
        if status == 2:
            live[concert_id] = live.get(concert_id, 0) + quantity
    for concert_id, capacity, sold in concerts:
        assert sold == live.get(concert_id, 0), f"concert {concert_id}: sold {sold}, rows {live}"
        assert 0 <= sold <= capacity, f"concert {concert_id} oversold"


def describe(ledger: Ledger) -> str:
    counts: dict[str, int] = {}
    for sale in ledger.sales:
        counts[str(sale.status)] = counts.get(str(sale.status), 0) + 1
    return json.dumps(counts, sort_keys=True)
